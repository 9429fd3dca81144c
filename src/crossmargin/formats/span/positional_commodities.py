"""Combined commodities, their tiers and their charges, from records 2, 3, 4, S, C and E.

Amounts of money stand as integers and are multiplied by ten to the risk exponent of record 2. Factors and
ratios that are blank or zero are not given and read as 1: a zero would wipe out what it multiplies.

Source: CME, SPAN expanded unpacked positional layout; HKEX, Risk Parameter File Descriptions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.formats.span.layout import PRODUCT_GROUPS, SCAN_TIERS, SERIES_LEGS, TIER_LEGS, TIERS
from crossmargin.formats.span.positional_fields import scaled
from crossmargin.formats.span.positional_records import CURRENCY_BYTES, title
from crossmargin.models.span.parameters import SPAN_SCHEMAS

if TYPE_CHECKING:
    from crossmargin.formats.span.positional_records import Records

__all__ = [
    "commodity_products",
    "commodity_table",
    "intra_spread_tables",
    "month_tiers",
    "spot_charge_table",
    "tier_table",
]

OPTION_STYLES: Final = {"": "premium", "P": "premium", "F": "futures"}
PRICE_RISK_METHODS: Final = {"": "normal", "1": "normal", "2": "capped", "3": "scan_range"}
TABLE_METHOD, SOM_METHOD, MONTHLY_METHOD, SOM_MAX = "10", "30", "02", "1"
TIER_KINDS: Final = {
    "10": ("scan",),
    "20": ("inter",),
    "21": ("scan", "inter"),
    "22": ("scan",),
    "23": ("inter",),
    "30": ("som",),
}
"""Method of a record S → what its tiers are for."""

FACTORS: Final = {
    "adjustment_member": "4",
    "adjustment_hedger": "4",
    "adjustment_speculator": "4",
    "initial_member": "3",
    "initial_hedger": "3",
    "initial_speculator": "3",
}
COMMODITY_RULE: Final = "a combined commodity of a record 2"
MONTHS: Final = 12


def money(frame: pl.DataFrame, column: str) -> pl.Series:
    """Return integers of a column times ten to its row's ``risk_exponent``; null stays null."""
    values = scaled(frame[column].fill_null(0).to_numpy(), frame["risk_exponent"].to_numpy())
    return pl.select(pl.when(frame[column].is_not_null()).then(pl.Series(values))).to_series().alias(column)


def commodity_products(records: Records) -> pl.DataFrame:
    """Return the products of each combined commodity: where they belong and the scale of their arrays.

    Returns
    -------
    DataFrame
        ``line``, ``exchange``, ``product``, ``product_type``, ``commodity`` and ``power``: an array value
        is its integer times ten to it.
    """
    first = records["2"].with_columns(pl.col("risk_exponent").fill_null(0))
    groups = []
    for group in range(1, PRODUCT_GROUPS + 1):
        locator = pl.col(f"decimal_locator_{group}").fill_null(0)
        groups.append(
            first.select(
                "line",
                "exchange",
                "commodity",
                product=f"product_{group}",
                product_type=f"product_type_{group}",
                power=pl.col("risk_exponent") - locator,
            )
        )
    products = (
        pl.concat(groups)
        .filter((pl.col("product") != "") | (pl.col("product_type") != ""))
        .sort("line", maintain_order=True)
    )
    for name in ("product", "product_type"):
        field = title("2", f"{name}_1").split(" (")[0].removesuffix("_1")
        records.refuse(products, pl.col(name) == "", field, pl.col(name), "given with each product")
    records.refuse_repeated(products, ["exchange", "product", "product_type"], "product, product_type")
    return products


def commodity_table(records: Records) -> pl.DataFrame:
    """Return the commodities with all of ``SPAN_SCHEMAS`` and ``risk_exponent``, in the order of the file."""
    first = _identified(records)
    table = first.unique("commodity", keep="first", maintain_order=True)
    for name, record in FACTORS.items():
        given = pl.when(pl.col(name) > 0).then(name)
        table = table.join(_agreed(records, record, name, given), on="commodity", how="left")
    minimum = pl.col("short_option_minimum")
    table = table.join(_agreed(records, "4", "short_option_minimum", minimum), on="commodity", how="left")
    for name, record in (("method", "3"), ("method", "4"), ("som_method", "4"), ("price_risk_method", "S")):
        given = pl.when(~pl.col(name).is_in(["", "0", "00"])).then(name)
        agreed = _agreed(records, record, name, given).rename({name: f"{name}_{record}"})
        table = table.join(agreed, on="commodity", how="left")
    spread = pl.concat([records["C"]["commodity"], records["E"]["commodity"]])
    table_driven = (pl.col("method_3") == TABLE_METHOD) | (
        pl.col("method_3").is_null() & pl.col("commodity").is_in(spread.implode())
    )
    table = table.with_columns(money(table, "short_option_minimum").fill_null(0.0))
    return table.select(
        "commodity",
        "exchange",
        pl.lit("").alias("name"),
        "currency",
        pl.col("option_style").replace_strict(OPTION_STYLES, return_dtype=pl.String),
        (pl.col("limit_option_value") == "Y").alias("cap_option_value"),
        "short_option_minimum",
        _either(pl.col("som_method_4") == SOM_MAX, "max", "sum").alias("som_method"),
        pl.col("price_risk_method_S")
        .fill_null("")
        .replace_strict(PRICE_RISK_METHODS, return_dtype=pl.String)
        .alias("price_risk_method"),
        _either(table_driven, "table", "none").alias("intra_method"),
        _either(pl.col("method_4") == TABLE_METHOD, "table", "none").alias("spot_method"),
        *(pl.col(name).fill_null(1.0) for name in FACTORS),
        "risk_exponent",
    )


def _either(holds: pl.Expr, one: str, other: str) -> pl.Expr:
    return pl.when(holds).then(pl.lit(one)).otherwise(pl.lit(other))


def _identified(records: Records) -> pl.DataFrame:
    """Record 2 with its currency by ISO code, checked to agree where it repeats."""
    by_byte = {byte: currency for currency, byte in CURRENCY_BYTES.items()}
    from_byte = pl.col("currency_code").replace_strict(by_byte, default="", return_dtype=pl.String)
    first = records["2"].with_columns(
        pl.col("risk_exponent").fill_null(0),
        pl.when(pl.col("currency") == "").then(from_byte).otherwise("currency").alias("currency"),
    )
    currency = pl.col("currency")
    records.refuse(first, currency == "", title("2", "currency"), pl.col("currency_code"), "a currency")
    rule = "the same in every record 2 of a combined commodity"
    for name in ("risk_exponent", "currency", "option_style", "limit_option_value"):
        other = pl.col(name) != pl.col(name).first().over("commodity")
        records.refuse(first, other, title("2", name), pl.col(name), rule)
    for record in ("3", "4", "S", "C", "E"):
        field = title(record, "commodity")
        records.refuse_unknown(records[record], "commodity", first["commodity"], field, COMMODITY_RULE)
    return first


def _agreed(records: Records, record: str, name: str, given: pl.Expr) -> pl.DataFrame:
    """Return the one value that all records of a commodity give, where they give one."""
    frame = records[record].select("line", "commodity", given.alias(name)).drop_nulls(name)
    other = pl.col(name) != pl.col(name).first().over("commodity")
    rule = f"the same in every record {record} of a combined commodity"
    records.refuse(frame, other, title(record, name), pl.col(name), rule)
    return frame.unique("commodity", keep="first", maintain_order=True).select("commodity", name)


def tier_table(records: Records, commodities: pl.DataFrame) -> pl.DataFrame:
    """Return the tiers of records 3 and S, and one without ends where a record C means all months."""
    second = _tiers(records, "3", TIERS).with_columns(
        pl.lit("intra").alias("kind"), rate=pl.lit(None, pl.Int64)
    )
    scanning = _tiers(records, "S", SCAN_TIERS).with_columns(
        pl.col("method")
        .replace_strict(TIER_KINDS, default=[], return_dtype=pl.List(pl.String))
        .alias("kind"),
        pl.when(pl.col("method") == SOM_METHOD).then("rate").alias("rate"),
    )
    missing = (pl.col("method") == SOM_METHOD) & pl.col("rate").is_null()
    records.refuse(scanning, missing, title("S", "rate_1").replace("_1", ""), pl.col("tier"), "7 digits")
    scanning = scanning.explode("kind", empty_as_null=True).drop_nulls("kind")
    columns = ["line", *SPAN_SCHEMAS["tiers"]]
    tiers = pl.concat([second.select(columns), scanning.select(columns)])
    records.refuse_repeated(tiers, ["commodity", "kind", "tier"], "commodity, kind, tier")
    tiers = _known(tiers, commodities)
    tiers = tiers.with_columns(money(tiers, "rate"))
    return pl.concat([tiers, _implied_tiers(records, tiers)], how="diagonal").select(*SPAN_SCHEMAS["tiers"])


def _implied_tiers(records: Records, tiers: pl.DataFrame) -> pl.DataFrame:
    """Tier 1 over all months, for commodities with tier spreads whose file defines no tiers."""
    own = tiers.filter(kind="intra")["commodity"]
    without = records["C"].filter(~pl.col("commodity").is_in(own.implode()))["commodity"]
    return pl.DataFrame({"commodity": without.unique(maintain_order=True)}).with_columns(
        kind=pl.lit("intra"), tier=pl.lit(1, pl.Int64), start=pl.lit(""), end=pl.lit("")
    )


def _tiers(records: Records, record: str, count: int) -> pl.DataFrame:
    slots = []
    for slot in range(1, count + 1):
        rate = pl.col(f"rate_{slot}") if record == "S" else pl.lit(None, pl.Int64)
        slots.append(
            records[record].select(
                "line",
                "commodity",
                "method",
                tier=pl.col(f"tier_{slot}").fill_null(0),
                start=_day(f"start_{slot}", f"start_day_{slot}"),
                end=_day(f"end_{slot}", f"end_day_{slot}"),
                rate=rate,
            )
        )
    start, end = pl.col("start"), pl.col("end")
    given = (pl.col("tier") > 0) | (start != "") | (end != "")
    tiers = pl.concat(slots).filter(given.fill_null(value=False))
    tiers = tiers.sort("line", maintain_order=True)
    records.refuse(tiers, pl.col("tier") == 0, "tier", pl.col("tier"), "1 to 99")
    for name in ("start", "end"):
        rule = "six digits CCYYMM, zeros for an open end"
        records.refuse(tiers, pl.col(name).is_null(), name, pl.col("tier"), rule)
    reversed_ = (start != "") & (end != "") & (start.str.slice(0, 6) > end.str.slice(0, 6))
    records.refuse(tiers, reversed_, "start", start, "not behind the end of the tier")
    return tiers


def _day(month: str, day: str) -> pl.Expr:
    return pl.when(pl.col(month) != "").then(pl.col(month) + pl.col(day)).otherwise(month)


def _known(frame: pl.DataFrame, commodities: pl.DataFrame) -> pl.DataFrame:
    """Rows with the risk exponent of their commodity; a commodity that is not there was refused before."""
    return frame.join(
        commodities.select("commodity", "risk_exponent"), on="commodity", how="inner", maintain_order="left"
    )


def month_tiers(records: Records, series: pl.DataFrame) -> pl.DataFrame:
    """Return a tier for each month of the commodities whose record S makes every month its own (method 02)."""
    monthly = records["S"].filter(method=MONTHLY_METHOD)["commodity"].unique()
    months = (
        series.filter(pl.col("commodity").is_in(monthly.implode()) & (pl.col("delta_month") != ""))
        .select("commodity", start="delta_month", end="delta_month")
        .unique(maintain_order=True)
        .sort("commodity", "start")
        .with_columns(tier=pl.int_range(1, pl.len() + 1).over("commodity"))
    )
    return pl.concat(
        [months.with_columns(kind=pl.lit(kind), rate=pl.lit(None, pl.Float64)) for kind in ("scan", "inter")]
    ).select(*SPAN_SCHEMAS["tiers"])


def spot_charge_table(records: Records, commodities: pl.DataFrame) -> pl.DataFrame:
    """Return the delivery charges of record 4; one that repeats adds months."""
    slots = [
        records["4"].select(
            "line",
            "commodity",
            month=f"month_{slot}",
            in_spreads=f"in_spreads_{slot}",
            outright=f"outright_{slot}",
        )
        for slot in (1, 2)
    ]
    charges = pl.concat(slots).filter(pl.col("month") != "").sort("line", maintain_order=True)
    for name in ("in_spreads", "outright"):
        records.refuse(charges, pl.col(name).is_null(), name, pl.col("month"), "7 digits beside a month")
    records.refuse_repeated(charges, ["commodity", "month"], "commodity, month")
    charges = _known(charges, commodities)
    return charges.with_columns(money(charges, "in_spreads"), money(charges, "outright")).select(
        *SPAN_SCHEMAS["spot_charges"]
    )


def intra_spread_tables(
    records: Records, commodities: pl.DataFrame, tiers: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the spreads of records C and E and their legs, numbered in the order of the file."""
    spreads = pl.concat(
        [
            records[record].select("line", "commodity", "priority", "charge", pl.lit(kind).alias("kind"))
            for record, kind in (("C", "tier"), ("E", "series"))
        ]
    )
    spreads = _known(spreads, commodities).sort("line")
    spreads = spreads.with_columns(money(spreads, "charge"), spread=pl.int_range(1, pl.len() + 1))
    legs = pl.concat([_tier_legs(records, tiers), _month_legs(records)], how="diagonal")
    records.refuse(legs, ~(pl.col("ratio") > 0).fill_null(value=False), "ratio", pl.col("ratio"), "above 0")
    records.refuse(legs, pl.col("side") == "", "side", pl.col("side"), "A or B")
    legs = legs.sort("line", "leg").join(spreads.select("line", "spread"), on="line", maintain_order="left")
    legs = legs.with_columns(leg=pl.int_range(1, pl.len() + 1).over("spread"))
    return spreads.select(*SPAN_SCHEMAS["intra_spreads"]), legs.select(*SPAN_SCHEMAS["intra_legs"])


def _tier_legs(records: Records, tiers: pl.DataFrame) -> pl.DataFrame:
    legs = pl.concat(
        [
            records["C"].select(
                "line",
                "commodity",
                "leg_count",
                leg=pl.lit(leg, pl.Int64),
                number=pl.col(f"leg_{leg}").fill_null(0),
                tier=pl.col(f"tier_{leg}").fill_null(0),
                ratio=pl.col(f"ratio_{leg}").cast(pl.Float64),
                side=f"side_{leg}",
                month=pl.lit(None, pl.String),
            )
            for leg in range(1, TIER_LEGS + 1)
        ]
    ).filter((pl.col("number") > 0) | (pl.col("tier") > 0) | (pl.col("ratio") > 0) | (pl.col("side") != ""))
    counts = records["C"].join(legs.group_by("line").len(), on="line", how="left", maintain_order="left")
    other = (pl.col("leg_count") != pl.col("len").fill_null(0)) | (pl.col("leg_count") == 0)
    records.refuse(counts, other, title("C", "leg_count"), pl.col("leg_count"), "the number of its legs")
    known = tiers.filter(kind="intra").select("commodity", "tier")
    unknown = legs.join(known, on=["commodity", "tier"], how="anti")
    records.refuse(unknown, pl.lit(value=True), "tier", pl.col("tier"), "a tier of a record 3")
    return legs.drop("commodity", "leg_count", "number")


def _month_legs(records: Records) -> pl.DataFrame:
    legs = pl.concat(
        [
            records["E"].select(
                "line",
                leg=pl.lit(leg, pl.Int64),
                tier=pl.lit(None, pl.Int64),
                ratio=f"ratio_{leg}",
                side=f"side_{leg}",
                number=pl.col(f"month_{leg}").fill_null(0),
                period=f"period_{leg}",
            )
            for leg in range(1, SERIES_LEGS + 1)
        ]
    ).filter((pl.col("number") > 0) | (pl.col("ratio") > 0) | (pl.col("side") != ""))
    records.refuse(
        legs, ~(pl.col("number") % 100).is_between(1, MONTHS), "month", pl.col("number"), "a month YYMM"
    )
    without = records["E"].join(legs, on="line", how="anti")
    records.refuse(without, pl.lit(value=True), "legs", pl.lit(""), "at least one leg")
    month = "20" + pl.col("number").cast(pl.String).str.pad_start(4, "0") + pl.col("period")
    return legs.with_columns(month=month).drop("number", "period")
