"""The house's risk parameters of one day, in columns (guide §2, file RPF01)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Float64, Int32

from crossmargin.core.tails import tail_count
from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from decimal import Decimal

__all__ = ["BENEFIT_PREFIXES", "TABLE_SCHEMAS", "HksccParameters", "TailMeasure", "add_up_to_one"]

BENEFIT_PREFIXES: Final = {1: "DSP", 2: "SRI", 3: "DIV"}
"""Benefit type → prefix of the position code: distribution in specie, rights issue, cash dividend."""

WEIGHT_SLACK: Final = 1e-11
"""Below the last decimal of a file, and above what float64 leaves of a sum of two weights."""

TABLE_SCHEMAS: Final[dict[str, dict[str, pl.DataType]]] = {
    "flat_rate": {"instrument": pl.String(), "rate": pl.Float64()},
    "liquidation": {
        "instrument": pl.String(),
        "bucket_rate": pl.Float64(),
        "beta": pl.Float64(),
        "threshold": pl.Int64(),
        "cash_delta": pl.Float64(),
    },
    "structured_product": {
        "instrument": pl.String(),
        "underlying": pl.String(),
        "delta": pl.Float64(),
        "conversion_ratio": pl.Float64(),
        "cash_delta": pl.Float64(),
    },
    "tick": {
        "instrument": pl.String(),
        "price_threshold": pl.Float64(),
        "tick_multiplier_tenth": pl.Float64(),
    },
    "benefit": {
        "instrument": pl.String(),
        "benefit_type": pl.Int64(),
        "price": pl.Float64(),
        "short_rate": pl.Float64(),
        "long_rate": pl.Float64(),
    },
}
"""Tables of an RPF01 file by name, for FieldTypes 3, 4, 5, 6 and 7 in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TailMeasure:
    """One of the two expected shortfalls: its weight in the blend, confidence and scenario count.

    Parameters
    ----------
    weight : float
        Share of this measure in the blend, 0 to 1.
    confidence : Decimal
        Confidence level as the file prints it, between 0 and 1; exact, so that the tail is.
    scenario_count : int
        Number of scenarios.
    """

    weight: float
    confidence: Decimal
    scenario_count: int

    @property
    def tail_count(self) -> int:
        """Scenarios in the tail, ⌈(1 − confidence) × count⌉ in exact arithmetic (§3.2.1): 6 of 1,000 at 0.994."""
        return tail_count(self.confidence, self.scenario_count)


def add_up_to_one(historical: TailMeasure, stressed: TailMeasure) -> bool:
    """Tell whether the weights are those of a blend: 0.75 and 0.25 are, 0.75 and 0.2 would lose a twentieth."""
    return abs(historical.weight + stressed.weight - 1.0) < WEIGHT_SLACK


@dataclass(frozen=True, kw_only=True, eq=False)
class HksccParameters:
    """Everything an RPF01 file says, checked and in columns.

    Parameters
    ----------
    valuation_date : date
        The day whose close the parameters describe.
    historical, stressed : TailMeasure
        HVaR and SVaR: weight, confidence, number of scenarios.
    stress_test_count : int
        Scenarios of the stress test, reserved by the house; carried, not used.
    rounding : int
        The aggregate is rounded up to a multiple of this, HKD.
    holiday_factor : float
        √H − 1 for H consecutive holidays.
    scenario_instruments : Series of str, shape (instruments,)
        The row names of ``returns`` (FieldTypes 1 and 2).
    returns : ndarray of shape (instruments, historical + stressed scenarios)
        One-period returns, gain-positive for a long; a row is one instrument, historical scenarios first.
    flat_rate, liquidation, structured_product, tick, benefit : DataFrame
        FieldTypes 3, 4, 5, 6 and 7 with the columns of ``TABLE_SCHEMAS``. Rates are fractions, cash
        deltas and prices HKD per unit, ``threshold`` HKD.

    Raises
    ------
    InputError
        If an instrument stands twice in one table (with its benefit type in ``benefit``), has a flat rate
        beside returns, or the weights of the two measures do not add up to 1.
    """

    valuation_date: date
    historical: TailMeasure
    stressed: TailMeasure
    stress_test_count: int
    rounding: int
    holiday_factor: float
    scenario_instruments: pl.Series
    returns: Float64[np.ndarray, "instruments scenarios"]
    flat_rate: pl.DataFrame
    liquidation: pl.DataFrame
    structured_product: pl.DataFrame
    tick: pl.DataFrame
    benefit: pl.DataFrame

    def __post_init__(self) -> None:
        scenario_count = self.historical.scenario_count + self.stressed.scenario_count
        assert self.returns.shape == (len(self.scenario_instruments), scenario_count)
        for name, schema in TABLE_SCHEMAS.items():
            assert dict(self.table(name).schema) == schema, name
        if bad := [*self._bad_weights(), *self._duplicates(), *self._in_both_tiers()]:
            raise InputError(bad)

    def table(self, name: str) -> pl.DataFrame:
        """Return the table of that name, one of ``TABLE_SCHEMAS``."""
        frame: pl.DataFrame = getattr(self, name)
        return frame

    def _keys(self) -> Iterator[tuple[str, pl.Series]]:
        """Yield each table's name with the position codes that its rows speak of."""
        yield "returns", self.scenario_instruments
        for name in TABLE_SCHEMAS:
            table = self.table(name)
            codes = table["instrument"]
            if name == "benefit":
                codes = table["benefit_type"].replace_strict(BENEFIT_PREFIXES, return_dtype=pl.String) + codes
            yield name, codes

    def _bad_weights(self) -> Iterator[BadRecord]:
        if not add_up_to_one(self.historical, self.stressed):
            value = f"{self.historical.weight} and {self.stressed.weight}"
            rule = "weights of HVaR and SVaR that add up to 1"
            yield BadRecord(file="parameters", line=0, field="weight", value=value, rule=rule)

    def _in_both_tiers(self) -> Iterator[BadRecord]:
        codes = self.flat_rate["instrument"]
        both = codes.is_in(self.scenario_instruments.implode())
        for row in np.flatnonzero(both.to_numpy()).tolist():
            rule = "an instrument with a flat rate or with returns, not with both"
            yield BadRecord(
                file="parameters", line=row + 1, field="flat_rate.instrument", value=codes[row], rule=rule
            )

    def _duplicates(self) -> Iterator[BadRecord]:
        for name, codes in self._keys():
            for row in np.flatnonzero(~codes.is_first_distinct().to_numpy()):
                yield BadRecord(
                    file="parameters",
                    line=int(row) + 1,
                    field=f"{name}.instrument",
                    value=codes[int(row)],
                    rule="an instrument stands once in each table",
                )

    @cached_property
    def directory(self) -> pl.DataFrame:
        """Row of every position code in every table: ``<table>_row``, null where it has none, and ``code``."""
        tables = [
            codes.alias("code")
            .to_frame()
            .with_columns(pl.int_range(pl.len(), dtype=pl.Int32).alias(f"{name}_row"))
            for name, codes in self._keys()
        ]
        directory = pl.concat([table.select("code") for table in tables]).unique(maintain_order=True)
        for table in tables:
            directory = directory.join(table, on="code", how="left", maintain_order="left")
        return directory.with_row_index("directory_row").cast({"directory_row": pl.Int32})

    @cached_property
    def _underlying_rows(self) -> Int32[np.ndarray, " structured_products"]:
        return self.rows(self.structured_product["underlying"])["liquidation"]

    def liquidation_group(
        self, rows: dict[str, Int32[np.ndarray, " positions"]]
    ) -> Int32[np.ndarray, " positions"]:
        """Row in ``liquidation`` of each position's underlying group, −1 where it has none (§3.2.3).

        A stock is its own group; a structured product belongs to its underlying's.
        """
        of_product = np.append(self._underlying_rows, np.int32(-1))[rows["structured_product"]]
        return np.where(rows["liquidation"] >= 0, rows["liquidation"], of_product)

    def rows(self, codes: pl.Series) -> dict[str, Int32[np.ndarray, " positions"]]:
        """Row of each code in each table, −1 where it has none; keys: ``directory``, ``returns``, the tables."""
        found = (
            codes.alias("code").to_frame().join(self.directory, on="code", how="left", maintain_order="left")
        )
        return {
            name.removesuffix("_row"): found[name].fill_null(-1).to_numpy()
            for name in found.columns
            if name.endswith("_row")
        }

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over everything the parameters say: equal content, equal hash, whatever file it came in."""
        digest = hashlib.sha256(
            repr(
                (
                    self.valuation_date,
                    *(
                        (m.weight, Fraction(m.confidence), m.scenario_count)
                        for m in (self.historical, self.stressed)
                    ),
                    self.stress_test_count,
                    self.rounding,
                    self.holiday_factor,
                )
            ).encode()
        )
        digest.update("\n".join(self.scenario_instruments).encode())
        digest.update(np.ascontiguousarray(self.returns).data)
        for name in TABLE_SCHEMAS:
            digest.update(self.table(name).write_csv().encode())
        return digest.hexdigest()
