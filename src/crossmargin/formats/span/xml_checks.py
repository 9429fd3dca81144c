"""What SPAN XML does not hold of parameters that another format may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from crossmargin.core.columns import NUMBER_LIMIT
from crossmargin.errors import BadRecord
from crossmargin.formats.span.xml_values import NUMBER_RULE
from crossmargin.models.span.parameters import SCENARIO_COUNT, SPAN_SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crossmargin.models.span.parameters import SpanParameters

__all__ = ["FAMILY_TYPES", "unwritable"]

FAMILY_TYPES: Final = {
    "PHY": "phyPf",
    "FUT": "futPf",
    "OOP": "oopPf",
    "OOF": "oofPf",
    "CMB": "cmbPf",
    "OOC": "oocPf",
}
"""Product type → element of the family, in the order of the schema."""

# Null is "not given" in these; elsewhere a null has no place in the file.
NULLABLE: Final = {
    "series": ("price", "implied_volatility", "price_scan_range", "volatility_scan_range", "years_to_expiry"),
    "tiers": ("rate",),
    "intra_legs": ("tier", "month"),
    "inter_legs": ("tier", "rate"),
}
MAY_BE_EMPTY: Final = {
    "commodities": ("exchange", "name"),
    "products": ("name",),
    "series": ("right", "expiry", "future_month", "delta_month"),
    "tiers": ("start", "end"),
    "inter_spreads": ("group",),
}
TEXT_RULE: Final = "a text without blanks around it and without control characters"
TEXT: Final = r"^[^\x00-\x1F\x7F-\x9F\x{FFFE}\x{FFFF}]+$"
PERIOD: Final = r"^[0-9]{6}[0-9A-Za-z_]{0,3}$"


def unwritable(parameters: SpanParameters) -> Iterator[BadRecord]:
    """Yield everything that a file would not give back."""
    if not _is_text(parameters.organization):
        yield BadRecord(
            file="parameters", line=0, field="organization", value=parameters.organization, rule=TEXT_RULE
        )
    if parameters.settlement not in {"final", "early", "intraday"}:
        rule = "final, early or intraday"
        yield BadRecord(file="parameters", line=0, field="settlement", value=parameters.settlement, rule=rule)
    values = list(_values(parameters))
    yield from values
    if not values:
        yield from _series(parameters)
        yield from _commodities(parameters)
        yield from _tiers(parameters)
        yield from _intra_spreads(parameters)
        yield from _inter_spreads(parameters)


def _is_text(value: str) -> bool:
    return bool(value) and value.strip() == value and value.isprintable()


def _values(parameters: SpanParameters) -> Iterator[BadRecord]:
    """Yield every null, number and text that has no place in any element."""
    for name, schema in SPAN_SCHEMAS.items():
        if name == "skipped":
            continue
        table = parameters.table(name)
        for column, dtype in schema.items():
            value = pl.col(column)
            if column not in NULLABLE.get(name, ()):
                yield from _broken(table, name, column, value.is_not_null(), "a value")
            if dtype == pl.Float64():
                within = value.is_finite() & (value.abs() <= NUMBER_LIMIT)
                yield from _broken(table, name, column, within, NUMBER_RULE)
            elif dtype == pl.Int64():
                yield from _broken(
                    table, name, column, value.is_between(0, NUMBER_LIMIT - 1), "from 0 to 10^12"
                )
            elif dtype == pl.String():
                clean = value.str.contains(TEXT) & (value.str.strip_chars() == value)
                empty = value == "" if column in MAY_BE_EMPTY.get(name, ()) else pl.lit(value=False)
                yield from _broken(table, name, column, clean | empty, TEXT_RULE)
    large = np.argwhere(~(np.abs(parameters.losses) <= NUMBER_LIMIT))
    for row, scenario in large.tolist():
        shown = str(parameters.losses[row, scenario])
        yield _bad("losses", row, f"scenario {scenario + 1}", shown, NUMBER_RULE)
    points = parameters.scan_points
    everything = range(1, SCENARIO_COUNT + 1)
    yield from _broken(points, "scan_points", "paired", pl.col("paired").is_in(everything), "from 1 to 16")
    if set(points["scenario"]) != set(everything):
        yield _bad("scan_points", 0, "scenario", "", "scenarios 1 to 16, once each")


def _series(parameters: SpanParameters) -> Iterator[BadRecord]:
    products, series = parameters.products, parameters.series
    rule = f"one of {', '.join(FAMILY_TYPES)}"
    yield from _broken(products, "products", "product_type", pl.col("product_type").is_in(FAMILY_TYPES), rule)
    key = ["exchange", "product", "product_type"]
    styles = products.select(*key, of_commodity="commodity", of_style="option_style")
    series = series.join(styles, on=key, how="left", maintain_order="left")
    checks = {
        "product": (pl.col("of_commodity").is_not_null(), "a product of the products table"),
        "commodity": (pl.col("commodity") == pl.col("of_commodity"), "the commodity of the product"),
        "option_style": (pl.col("option_style") == pl.col("of_style"), "the option style of the product"),
    }
    for column, (holds, rule) in checks.items():
        yield from _broken(series, "series", column, holds.fill_null(value=column != "product"), rule)
    for name in ("products", "series"):
        styled = pl.col("option_style").is_in(["premium", "futures"])
        yield from _broken(parameters.table(name), name, "option_style", styled, "premium or futures")
    yield from _months(series)


def _months(series: pl.DataFrame) -> Iterator[BadRecord]:
    series = series.with_columns(beneath=_has_future(series))
    kind = pl.col("product_type")
    is_option = kind.str.starts_with("OO")
    on_future = kind.is_in(["OOF", "OOC"])
    no_month = (pl.col("expiry") == "") & (kind == "PHY")
    month = pl.when(on_future).then("future_month").otherwise("expiry")
    right = pl.when(is_option).then(pl.col("right").is_in(["C", "P"])).otherwise(pl.col("right") == "")
    no_years = pl.col("years_to_expiry").is_null()
    period = no_month | pl.col("expiry").str.contains(PERIOD)
    no_future = pl.col("future_month") == ""
    checks = [
        ("right", right, "C or P of an option, else empty"),
        ("strike", is_option | (pl.col("strike") == 0), "0 where it is no option"),
        ("price", ~is_option | pl.col("price").is_not_null(), "a price of an option"),
        ("expiry", period, "a period: YYYYMM, up to three characters more"),
        ("future_month", on_future | no_future, "empty but for an option on a future"),
        (
            "future_month",
            ~on_future | pl.col("beneath"),
            "the month of a future of the same combined commodity",
        ),
        ("delta_month", pl.col("delta_month") == month, "the month of the future, or the contract's own"),
        ("years_to_expiry", (kind != "PHY") | no_years, "nothing: a physical has no time to expiry"),
    ]
    yield from _all_broken(series, "series", checks)


def _has_future(series: pl.DataFrame) -> pl.Series:
    """Tell of each option on a future or combination whether the file has it; false of the others."""
    under = {"OOF": "FUT", "OOC": "CMB"}
    futures = series.filter(pl.col("product_type").is_in(under.values()))
    known = set(futures.select("commodity", "product_type", "expiry").iter_rows())
    months = series.select("commodity", "product_type", "future_month").iter_rows()
    found = [(commodity, under.get(kind, ""), month) in known for commodity, kind, month in months]
    return pl.Series(found, dtype=pl.Boolean)


def _commodities(parameters: SpanParameters) -> Iterator[BadRecord]:
    options = pl.col("product_type").str.starts_with("OO")
    premium = parameters.products.filter(options, option_style="premium")["commodity"]
    code, exchange = pl.col("commodity"), pl.col("exchange")
    own = code.replace_strict(_first_exchanges(parameters), default="", return_dtype=pl.String)
    style = pl.when(code.is_in(premium.implode())).then(pl.lit("premium")).otherwise(pl.lit("futures"))
    has_spreads = code.is_in(parameters.intra_spreads["commodity"].implode())
    method = pl.when(has_spreads).then(pl.lit("table")).otherwise(pl.lit("none"))
    tiered = code.is_in(parameters.tiers.filter(kind="som")["commodity"].implode())
    no_minimum = pl.col("short_option_minimum") == 0
    risk_methods = ["normal", "capped", "scan_range"]
    checks = [
        ("exchange", exchange == own, "the exchange of the first of its products"),
        (
            "option_style",
            pl.col("option_style") == style,
            "premium where one of its option products is, else futures",
        ),
        ("som_method", pl.col("som_method").is_in(["sum", "max"]), "sum or max"),
        ("spot_method", pl.col("spot_method").is_in(["table", "none"]), "table or none"),
        (
            "price_risk_method",
            pl.col("price_risk_method").is_in(risk_methods),
            "normal, capped or scan_range",
        ),
        ("intra_method", pl.col("intra_method") == method, "table where it has spreads within, else none"),
        ("short_option_minimum", ~tiered | no_minimum, "0 where tiers of kind som give it"),
    ]
    yield from _all_broken(parameters.commodities, "commodities", checks)
    yield from _broken(parameters.spot_charges, "spot_charges", "month", pl.col("month") != "", "a month")


def _first_exchanges(parameters: SpanParameters) -> dict[str, str]:
    """Return the exchange that the file names first for each commodity.

    The writer puts the families of an exchange together, exchanges in the order of the products.
    """
    products = parameters.products
    order = {exchange: place for place, exchange in reversed(list(enumerate(products["exchange"])))}
    found: dict[str, str] = {}
    for code, exchange in products.select("commodity", "exchange").iter_rows():
        if code not in found or order[exchange] < order[found[code]]:
            found[code] = exchange
    return found


def _tiers(parameters: SpanParameters) -> Iterator[BadRecord]:
    tiers = parameters.tiers.with_columns(
        alone=(pl.col("kind") == "som") & (pl.len().over("commodity", "kind") == 1)
    )
    is_som = pl.col("kind") == "som"
    checks = [
        ("kind", pl.col("kind").is_in(["intra", "scan", "inter", "som"]), "intra, scan, inter or som"),
        ("rate", pl.col("rate").is_not_null() == is_som, "a rate of kind som, else null"),
        (
            "start",
            ~pl.col("alone") | (pl.col("start") != "") | (pl.col("end") != ""),
            "a month where it is the only tier of kind som; without one it is the commodity's own minimum",
        ),
    ]
    yield from _all_broken(tiers, "tiers", checks)


def _intra_spreads(parameters: SpanParameters) -> Iterator[BadRecord]:
    spreads = parameters.intra_spreads
    columns = ["spread", "kind", "commodity"]
    legs = parameters.intra_legs.join(spreads.select(columns), on="spread", maintain_order="left")
    tiers = parameters.tiers.filter(kind="intra").select("commodity", "tier", is_tier=pl.lit(value=True))
    legs = legs.join(tiers, on=["commodity", "tier"], how="left", maintain_order="left")
    has_legs = pl.col("spread").is_in(legs["spread"].implode())
    yield from _broken(spreads, "intra_spreads", "spread", has_legs, "a spread with legs")
    yield from _broken(
        spreads, "intra_spreads", "kind", pl.col("kind").is_in(["tier", "series"]), "tier or series"
    )
    of_tier = pl.col("kind") == "tier"
    checks = [
        ("tier", pl.col("tier").is_not_null() == of_tier, "a tier in a spread of kind tier, else null"),
        (
            "tier",
            pl.col("tier").is_null() | pl.col("is_tier").is_not_null(),
            "a tier of kind intra of the commodity",
        ),
        ("month", pl.col("month").is_not_null() != of_tier, "a month in a spread of kind series, else null"),
        *LEG_CHECKS,
    ]
    yield from _all_broken(legs, "intra_legs", checks)


LEG_CHECKS: Final = [
    ("ratio", pl.col("ratio") > 0, "a ratio above 0"),
    ("side", pl.col("side").is_in(["A", "B"]), "A or B"),
]


def _inter_spreads(parameters: SpanParameters) -> Iterator[BadRecord]:
    counts = parameters.inter_legs.group_by("spread").agg(legs=pl.len())
    spreads = parameters.inter_spreads.join(counts, on="spread", how="left", maintain_order="left")
    scanning = pl.col("method") == "scanning"
    by_risk = pl.col("credit") == "price_risk"
    credit = by_risk | (~scanning & (pl.col("credit") == "flat"))
    all_legs = pl.col("minimum_legs") == pl.col("legs").fill_null(0)
    checks = [
        ("method", pl.col("method").is_in(["delta", "scanning"]), "delta or scanning"),
        ("group", pl.col("group") == "", "no group"),
        ("eligibility", pl.col("eligibility") == "all", "all: the format does not say which accounts"),
        ("credit", credit, "price_risk, or flat for method delta"),
        ("spread", pl.col("legs").is_not_null(), "a spread with legs"),
        ("minimum_legs", scanning | all_legs, "the number of legs for method delta"),
    ]
    yield from _all_broken(spreads, "inter_spreads", checks)
    yield from _inter_legs(parameters)


def _inter_legs(parameters: SpanParameters) -> Iterator[BadRecord]:
    methods = parameters.inter_spreads.select("spread", "method")
    tiers = parameters.tiers.filter(pl.col("tier") > 0, kind="inter")
    tiers = tiers.select("commodity", "tier", is_tier=pl.lit(value=True))
    legs = parameters.inter_legs.join(methods, on="spread", maintain_order="left")
    legs = legs.join(tiers, on=["commodity", "tier"], how="left", maintain_order="left")
    known = pl.col("tier").is_null() | pl.col("is_tier").is_not_null()
    scanning = pl.col("method") == "scanning"
    checks = [
        ("tier", known, "a tier of kind inter of the commodity, above 0"),
        *LEG_CHECKS,
        ("side", ~scanning | (pl.col("side") == "A"), "A for method scanning"),
        ("tier", ~scanning | pl.col("tier").is_null(), "null for method scanning"),
        ("required", scanning | pl.col("required"), "true for method delta"),
        ("target", scanning | ~pl.col("target"), "false for method delta"),
    ]
    yield from _all_broken(legs, "inter_legs", checks)


def _all_broken(
    table: pl.DataFrame, name: str, checks: Sequence[tuple[str, pl.Expr, str]]
) -> Iterator[BadRecord]:
    """Yield the rows where a column does not hold what it must, check by check."""
    for column, holds, rule in checks:
        yield from _broken(table, name, column, holds, rule)


def _broken(table: pl.DataFrame, name: str, column: str, holds: pl.Expr, rule: str) -> Iterator[BadRecord]:
    """Yield the rows where something does not hold; where it is null, it holds."""
    kept = table.select(holds.fill_null(value=True).alias("kept")).to_series()
    if len(kept) != len(table):  # a constant
        kept = kept.new_from_index(0, len(table))
    for row in np.flatnonzero(~kept.to_numpy()).tolist():
        yield _bad(name, row, column, str(table[column][row]), rule)


def _bad(table: str, row: int, field: str, value: str, rule: str) -> BadRecord:
    return BadRecord(file=f"parameters.{table}", line=row + 1, field=field, value=value, rule=rule)
