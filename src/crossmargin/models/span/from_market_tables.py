"""The tables of risk parameters made from a market: series and products, charges and spreads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from crossmargin.models.revaluation.snapshot import DAYS_A_YEAR
from crossmargin.models.span.from_market_arrays import DECIMALS, points_of, series_arrays
from crossmargin.models.span.parameters import SPAN_SCHEMAS

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float64

    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.span.from_market_arrays import OptionArrays
    from crossmargin.models.span.from_market_rules import MarketSpanRules

__all__ = ["inter_tables", "series_of", "shared_tables"]

PHYSICAL_TIER, MONTHS_TIER = 1, 2
FIRST_MONTH: Final = "0"
"""Every month is at or behind this text; a physical product has none, and stands before."""


def series_of(
    listed: pl.DataFrame, commodities: pl.DataFrame, arrays: OptionArrays, rules: MarketSpanRules
) -> tuple[pl.DataFrame, Float64[np.ndarray, "series 16"], list[tuple[str, str, str]]]:
    """Return the series with all columns of ``SPAN_SCHEMAS`` and more, their losses, and options left out.

    Parameters
    ----------
    listed : DataFrame
        Instruments of a snapshot with ``row``, ``derivative`` and ``commodity``.
    commodities : DataFrame
        Scan ranges, shares, and ``delta_value`` of each.
    arrays : OptionArrays
        Options revalued; one without a volatility is left out.
    rules : MarketSpanRules
        Scan points, and whose options are marked daily.
    """
    ranges = commodities.select("commodity", "price_scan_range", "volatility_scan_range", "delta_value")
    table = listed.join(ranges, on="commodity", how="left", maintain_order="left")
    table = table.join(arrays.table, on="row", how="left", maintain_order="left")
    option = pl.col("kind") == "option"
    out = table.filter(option & pl.col("volatility").is_null())["instrument"]
    table = table.filter(~option | pl.col("volatility").is_not_null())
    losses, deltas = series_arrays(table, arrays.pnl, rules)
    unit = pl.col("spot") * pl.col("multiplier") * pl.col("exchange_rate")
    price = pl.coalesce("price_now", "mark")
    columns = table.with_columns(
        *_codes(table, rules),
        pl.Series("composite_delta", deltas),
        (unit / pl.col("delta_value")).alias("delta_scaling"),
        pl.col("multiplier").alias("contract_size"),
        pl.col("mark").alias("price"),
        pl.col("volatility").round(DECIMALS).alias("implied_volatility"),
        (pl.col("price_scan_range") * price).alias("price_scan_range"),
        pl.when(option)
        .then((pl.col("volatility_scan_range") * pl.col("volatility")).round(DECIMALS))
        .alias("volatility_scan_range"),
        pl.when("derivative").then(pl.col("days") / DAYS_A_YEAR).alias("years_to_expiry"),
    )
    return columns, losses, [(name, "neither volatility nor forward", "left out") for name in out]


def _codes(table: pl.DataFrame, rules: MarketSpanRules) -> list[pl.Expr | pl.Series]:
    """Return what names each series; a product is all contracts of one kind, size and style on an underlying."""
    option, derivative = pl.col("kind") == "option", pl.col("derivative")
    kinds = pl.when(option).then(pl.lit("OOP")).when(derivative).then(pl.lit("FUT")).otherwise(pl.lit("PHY"))
    paid = pl.when(pl.col("house").is_in(rules.marked_daily)).then(pl.lit("futures"))
    return [
        pl.col("house").alias("exchange"),
        _products(table),
        kinds.alias("product_type"),
        pl.col("right").fill_null(""),
        pl.when(derivative)
        .then(pl.col("expiry").dt.strftime("%Y%m%d"))
        .otherwise(pl.lit(""))
        .alias("expiry"),
        pl.lit("").alias("future_month"),
        pl.when(derivative)
        .then(pl.col("expiry").dt.strftime("%Y%m"))
        .otherwise(pl.lit(""))
        .alias("delta_month"),
        pl.col("strike").fill_null(0.0),
        pl.when(option)
        .then(paid.otherwise(pl.lit("premium")))
        .otherwise(pl.lit("futures"))
        .alias("option_style"),
    ]


PRODUCT_KEY: Final = ("house", "kind", "underlying", "currency", "multiplier", "style", "settlement")
SERIES_KEY: Final = (*PRODUCT_KEY, "expiry", "right", "strike")


def _products(table: pl.DataFrame) -> pl.Series:
    """Return the code of each series' product: its instrument for a share or fund, else its underlying.

    A number stands behind it where it is not the largest of its kind, or where two series have equal terms.
    """
    again = table.select(pl.int_range(pl.len()).over(SERIES_KEY)).to_series()
    keyed = table.with_columns(again=again)
    key = ["house", "kind", "underlying"]
    kinds = (
        keyed.select(*PRODUCT_KEY, "again")
        .unique()
        .sort(
            *key,
            "again",
            "multiplier",
            "currency",
            "style",
            "settlement",
            descending=[False] * 4 + [True] + [False] * 3,
        )
    )
    number = pl.int_range(pl.len()).over(key)
    suffix = pl.when(number > 0).then(pl.format(".{}", number + 1)).otherwise(pl.lit(""))
    named = kinds.with_columns((pl.col("underlying") + suffix).alias("product"))
    found = keyed.join(named, on=[*PRODUCT_KEY, "again"], how="left", nulls_equal=True, maintain_order="left")
    product = pl.when("derivative").then(pl.col("product")).otherwise(pl.col("instrument"))
    return found.select(product.alias("product")).to_series()


def _table(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SPAN_SCHEMAS[name], orient="row")


def shared_tables(
    snapshot: Snapshot, series: pl.DataFrame, commodities: pl.DataFrame, rules: MarketSpanRules
) -> dict[str, Any]:
    """Return the tables that both parameter sets share: all but credits between commodities.

    ``series`` and ``commodities`` are those of ``series_of``, the commodities with ``house``, ``derivative``
    and ``is_index``.
    """
    products = series.with_columns(name=pl.col("product")).unique(
        ["exchange", "product", "product_type"], keep="first", maintain_order=True
    )
    foreign = snapshot.instruments.filter(pl.col("currency") != snapshot.currency)
    rates = foreign.select("currency", multiplier="exchange_rate").unique().sort("currency")
    own = pl.lit(snapshot.currency)
    return {
        "scan_points": points_of(rules),
        "commodities": _commodity_table(snapshot, commodities, rules),
        "products": products.select(list(SPAN_SCHEMAS["products"])).sort(
            "exchange", "product_type", "product"
        ),
        "series": series.select(list(SPAN_SCHEMAS["series"])),
        "spot_charges": _table("spot_charges", []),
        "currency_rates": rates.select("currency", own.alias("to_currency"), "multiplier"),
        "skipped": _table("skipped", []),
        **_intra_tables(commodities, rules),
    }


def _commodity_table(snapshot: Snapshot, commodities: pl.DataFrame, rules: MarketSpanRules) -> pl.DataFrame:
    one = ("member", "hedger", "speculator")
    daily = pl.col("house").is_in(rules.marked_daily)
    table = commodities.with_columns(
        pl.col("house").alias("exchange"),
        pl.col("commodity").alias("name"),
        pl.lit(snapshot.currency).alias("currency"),
        pl.when(daily).then(pl.lit("futures")).otherwise(pl.lit("premium")).alias("option_style"),
        pl.lit(value=False).alias("cap_option_value"),
        (rules.short_option_minimum * _scan_money()).alias("short_option_minimum"),
        pl.lit("sum").alias("som_method"),
        pl.lit("normal").alias("price_risk_method"),
        pl.lit("table").alias("intra_method"),
        pl.lit("none").alias("spot_method"),
        *(pl.lit(1.0).alias(f"{factor}_{who}") for factor in ("adjustment", "initial") for who in one),
    )
    return table.select(list(SPAN_SCHEMAS["commodities"]))


def _scan_money() -> pl.Expr:
    """Scan range of one delta in the market's currency."""
    return (pl.col("price_scan_range") * pl.col("delta_value")).round(DECIMALS)


def _intra_tables(commodities: pl.DataFrame, rules: MarketSpanRules) -> dict[str, pl.DataFrame]:
    """Return two spreads of each commodity with derivatives: physical against months, then month against month."""
    tiers: list[dict[str, Any]] = []
    spreads: list[dict[str, Any]] = []
    legs: list[dict[str, Any]] = []
    charged = commodities.filter("derivative").select("commodity", "is_index", _scan_money().alias("money"))
    for commodity, is_index, money in charged.iter_rows():
        for tier, start, end in ((PHYSICAL_TIER, "", FIRST_MONTH), (MONTHS_TIER, FIRST_MONTH, "")):
            bounds = {"start": start, "end": end, "rate": 0.0}
            tiers.append({"commodity": commodity, "kind": "intra", "tier": tier, **bounds})
        months = rules.index_month_charge if is_index else rules.stock_month_charge
        for priority, tier, share in ((1, PHYSICAL_TIER, rules.physical_charge), (2, MONTHS_TIER, months)):
            number = len(spreads) + 1
            spread = {"spread": number, "commodity": commodity, "kind": "tier", "priority": priority}
            spreads.append(spread | {"charge": share * money})
            for leg, (of, side) in enumerate(((tier, "A"), (MONTHS_TIER, "B")), 1):
                legs.append(
                    {"spread": number, "leg": leg, "tier": of, "month": "", "ratio": 1.0, "side": side}
                )
    return {
        "tiers": _table("tiers", tiers),
        "intra_spreads": _table("intra_spreads", spreads),
        "intra_legs": _table("intra_legs", legs),
    }


def inter_tables(chosen: pl.DataFrame, commodities: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return delta-based spreads whose two legs have equal scan ranges: one delta against so many of the other.

    Two legs of equal risk are what a credit rate is of (``credit_rate``); with equal values instead, the
    riskier leg would earn more than the two together save.

    Parameters
    ----------
    chosen : DataFrame
        ``commodity``, ``other``, ``rate`` in the order in which spreads are formed.
    commodities : DataFrame
        ``commodity``, ``price_scan_range`` (a share) and ``delta_value``.
    """
    money = dict(commodities.select("commodity", _scan_money()).iter_rows())
    usual = {"group": "", "method": "delta", "credit": "price_risk", "first": False}
    spreads, legs = [], []
    for number, (one, other, rate) in enumerate(chosen.select("commodity", "other", "rate").iter_rows(), 1):
        key = {"spread": number, "priority": number, "rate": rate}
        spreads.append(usual | key | {"minimum_legs": 2, "eligibility": "all"})
        for leg, (code, ratio, side) in enumerate(
            ((one, 1.0, "A"), (other, money[one] / money[other], "B")), 1
        ):
            names = {"spread": number, "leg": leg, "commodity": code, "tier": None, "ratio": ratio}
            legs.append(names | {"side": side, "required": True, "target": False, "rate": None})
    return {"inter_spreads": _table("inter_spreads", spreads), "inter_legs": _table("inter_legs", legs)}
