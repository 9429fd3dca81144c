"""Layout of the initial margin risk parameter file RPF01: header keys and record fields (guide §2)."""

from __future__ import annotations

from typing import Final

from crossmargin.formats.records import AMOUNT_MAX, CODE, Field

__all__ = [
    "FIELDS",
    "HEADER",
    "MEASURE",
    "RETURN_MAX",
    "SCENARIO_MEASURES",
    "TABLE_HEADING",
    "TABLE_NAMES",
]

MEASURE: Final = 4
"""The only measure that the guide defines: expected shortfall of filtered historical scenarios, discrete."""

RETURN_MAX: Final = 100.0
"""A one-period return beyond ±10,000% is a broken number."""

SCENARIOS_MAX: Final = 100_000

HEADER: Final = (
    Field("valuation_date", "date", label="Valuation_DT"),
    Field("historical_weight", "decimal", 0, 1, label="HVaR_WGT"),
    Field("stressed_weight", "decimal", 0, 1, label="SVaR_WGT"),
    Field("historical_count", "integer", 1, SCENARIOS_MAX, label="HVaR_Scen_Count"),
    Field("stressed_count", "integer", 1, SCENARIOS_MAX, label="SVaR_Scen_Count"),
    Field("stress_test_count", "integer", 0, SCENARIOS_MAX, label="STV_Count"),
    Field("historical_confidence", "decimal", 0.5, 0.9999999999, label="HVaR_CL"),
    Field("stressed_confidence", "decimal", 0.5, 0.9999999999, label="SVaR_CL"),
    Field("historical_measure", "integer", MEASURE, MEASURE, label="HVaR_Measure"),
    Field("stressed_measure", "integer", MEASURE, MEASURE, label="SVaR_Measure"),
    Field("rounding", "integer", 1, AMOUNT_MAX, label="Rounding"),
    Field("holiday_factor", "decimal", 0, 100, label="Holiday_Factor"),
)
"""The key/value rows above the table, in the order in which they are written."""

TABLE_HEADING: Final = ("InstrumentId", "FieldType")

SCENARIO_MEASURES: Final = {1: "historical", 2: "stressed"}
"""FieldTypes whose records are a row of scenario returns."""

TABLE_NAMES: Final = {3: "flat_rate", 4: "liquidation", 5: "structured_product", 6: "tick", 7: "benefit"}
"""FieldTypes whose records are a few named values, and the table of ``HksccParameters`` they fill."""

_FIELD_TYPE: Final = Field("field_type", "integer", label="FieldType")

FIELDS: Final = {
    3: (CODE, _FIELD_TYPE, Field("rate", "decimal", 0, 10)),
    4: (
        CODE,
        _FIELD_TYPE,
        Field("bucket_rate", "decimal", 0, 10),
        Field("beta", "decimal", -100, 100),
        Field("threshold", "integer", 0, AMOUNT_MAX),
        Field("cash_delta", "decimal", 0, AMOUNT_MAX),
    ),
    5: (
        CODE,
        _FIELD_TYPE,
        Field("underlying", "text"),
        Field("delta", "decimal", -1000, 1000),
        Field("conversion_ratio", "decimal", 0, AMOUNT_MAX, above=True),
        Field("cash_delta", "decimal", -AMOUNT_MAX, AMOUNT_MAX),
    ),
    6: (
        CODE,
        _FIELD_TYPE,
        Field("price_threshold", "decimal", 0, AMOUNT_MAX),
        Field("tick_multiplier_tenth", "decimal", 0, AMOUNT_MAX),
    ),
    7: (
        CODE,
        _FIELD_TYPE,
        Field("benefit_type", "integer", 1, 3),
        Field("price", "decimal", 0, AMOUNT_MAX),
        Field("short_rate", "decimal", -10, 10),
        Field("long_rate", "decimal", -10, 10),
    ),
}
"""FieldType → fields of its records, the instrument and the FieldType first."""
