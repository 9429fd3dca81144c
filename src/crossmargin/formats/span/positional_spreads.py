"""Inter-commodity spreads from record 6, and conversions from record T.

Credit rates are percent in the file and fractions in the parameters; a flat credit is money with two
decimals. A leg may name a combined commodity of an exchange that is not of this file: such a spread cannot
form here, and it is counted with what was passed over.

Source: CME, SPAN expanded unpacked positional layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from crossmargin.formats.span.layout import SPREAD_LEGS
from crossmargin.formats.span.positional_fields import scaled
from crossmargin.formats.span.positional_records import title
from crossmargin.models.span.parameters import SPAN_SCHEMAS

if TYPE_CHECKING:
    from crossmargin.formats.span.positional_records import Records

__all__ = ["ELIGIBILITIES", "SPREAD_METHODS", "currency_table", "inter_spread_tables"]

SPREAD_METHODS: Final = {
    "": "delta",
    "01": "delta",
    "02": "tiered",
    "10": "tiered",
    "20": "tiered",
    "04": "scanning",
}
"""Method of a record 6 → method of the parameters."""

ELIGIBILITIES: Final = {"": "all", "N": "non_segregated", "H": "house"}
"""Eligibility code of a record 6 → accounts that may form the spread."""

MINIMUM_LEGS: Final = 2
FRACTION_DECIMALS: Final = 6
"""A percent rate has four decimals, so that its integer is a fraction in millionths."""

MONEY_DECIMALS: Final = 2


def currency_table(records: Records) -> pl.DataFrame:
    """Return the conversion multipliers of record T."""
    rates = records["T"]
    multiplier = pl.col("multiplier")
    records.refuse(rates, multiplier <= 0, title("T", "multiplier"), multiplier, "above 0")
    records.refuse_repeated(rates, ["currency", "to_currency"], "currency, to_currency")
    return rates.select(*SPAN_SCHEMAS["currency_rates"])


def inter_spread_tables(
    records: Records, commodities: pl.DataFrame, tiers: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, int]]:
    """Return the spreads of record 6, their legs, and what was passed over.

    Returns
    -------
    spreads, legs : DataFrame
        As in ``SPAN_SCHEMAS``, numbered in the order of the file.
    passed_over : dict of str to int
        Spreads with a leg of another organisation, and of an eligibility that is not known.
    """
    frame = _with_rates(records["6"])
    legs = _legs(frame)
    foreign = _foreign(records, legs, commodities)
    unknown = frame.filter(~pl.col("eligibility").is_in(list(ELIGIBILITIES)))["line"]
    spreads = frame.filter(~pl.col("line").is_in(pl.concat([foreign, unknown]).implode()))
    spreads = spreads.sort("line").with_columns(spread=pl.int_range(1, pl.len() + 1))
    legs = legs.join(spreads.select("line", "spread"), on="line").sort("spread", "leg")
    legs = legs.with_columns(leg=pl.int_range(1, pl.len() + 1).over("spread"))
    _check_legs(records, spreads, legs, commodities)
    legs = _tiers(records, legs, tiers)
    passed_over = {
        "6 with a commodity of another organisation": len(foreign),
        "6 with an unknown eligibility": len(unknown),
    }
    return _spreads(spreads), legs.select(*SPAN_SCHEMAS["inter_legs"]), passed_over


def _with_rates(frame: pl.DataFrame) -> pl.DataFrame:
    """Return record 6 with its credit rates as fractions, or as money where the credit is flat."""
    powers = np.where(frame["credit"].to_numpy() == "F", -MONEY_DECIMALS, -FRACTION_DECIMALS)
    rates = {}
    for name in ("rate", *(f"rate_{leg}" for leg in range(1, SPREAD_LEGS + 1))):
        values = pl.Series(scaled(frame[name].fill_null(0).to_numpy(), powers), dtype=pl.Float64)
        rates[name] = pl.when(pl.col(name).is_not_null()).then(values)
    return frame.with_columns(**rates)


def _spreads(spreads: pl.DataFrame) -> pl.DataFrame:
    minimum = pl.col("minimum_legs").fill_null(0)
    return spreads.select(
        "spread",
        "group",
        "priority",
        pl.col("method").replace_strict(SPREAD_METHODS, return_dtype=pl.String),
        "rate",
        pl.when(pl.col("credit") == "F").then(pl.lit("flat")).otherwise(pl.lit("price_risk")).alias("credit"),
        (pl.col("spread_group") == "S").alias("first"),
        pl.when(minimum > 0).then(minimum).otherwise(MINIMUM_LEGS).cast(pl.Int64).alias("minimum_legs"),
        pl.col("eligibility").replace_strict(ELIGIBILITIES, return_dtype=pl.String),
    ).select(*SPAN_SCHEMAS["inter_spreads"])


def _legs(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the legs that are there; a target of method 04 that is none of them becomes the last."""
    by_leg = pl.col("rates_by_leg") == "Y"
    scanning = pl.col("method") == "04"
    numbered = [
        frame.select(
            "line",
            leg=pl.lit(leg, pl.Int64),
            exchange=f"exchange_{leg}",
            commodity=f"commodity_{leg}",
            tier=pl.col(f"tier_{leg}").fill_null(0),
            ratio=f"ratio_{leg}",
            side=f"side_{leg}",
            required=pl.col(f"required_{leg}") != "N",
            target=scanning & (pl.col(f"commodity_{leg}") == pl.col("commodity_target")),
            rate=pl.when(by_leg).then(f"rate_{leg}"),
            rate_missing=by_leg & pl.col(f"rate_{leg}").is_null(),
        )
        for leg in range(1, SPREAD_LEGS + 1)
    ]
    legs = pl.concat(numbered).filter(
        (pl.col("commodity") != "") | (pl.col("side") != "") | (pl.col("ratio") > 0)
    )
    marked = legs.filter("target")["line"].unique()
    apart = frame.filter(
        scanning & (pl.col("commodity_target") != "") & ~pl.col("line").is_in(marked.implode())
    ).select(
        "line",
        leg=pl.lit(SPREAD_LEGS + 1, pl.Int64),
        exchange="exchange_target",
        commodity="commodity_target",
        tier=pl.lit(0, pl.Int64),
        ratio=pl.when(pl.col("ratio_target") > 0).then("ratio_target").otherwise(1.0),
        side=pl.lit("A"),
        required=pl.col("required_target") != "N",
        target=pl.lit(value=True),
        rate=pl.lit(None, pl.Float64),
        rate_missing=pl.lit(value=False),
    )
    return pl.concat([legs, apart]).sort("line", "leg")


def _foreign(records: Records, legs: pl.DataFrame, commodities: pl.DataFrame) -> pl.Series:
    """Lines with a leg on an exchange that the file has no record 1 for."""
    own = pl.concat([records["1"]["exchange"], commodities["exchange"], pl.Series([""])])
    known = pl.col("commodity").is_in(commodities["commodity"].implode())
    outside = ~pl.col("exchange").is_in(own.implode()) & ~known & (pl.col("commodity") != "")
    return legs.filter(outside)["line"].unique(maintain_order=True)


def _check_legs(
    records: Records, spreads: pl.DataFrame, legs: pl.DataFrame, commodities: pl.DataFrame
) -> None:
    rule = "a combined commodity of a record 2"
    records.refuse_unknown(legs, "commodity", commodities["commodity"], "commodity of a leg", rule)
    positive = (pl.col("ratio") > 0).fill_null(value=False)
    records.refuse(legs, ~positive, "ratio of a leg", pl.col("ratio"), "above 0")
    records.refuse(legs, pl.col("side") == "", "side of a leg", pl.col("side"), "A or B")
    records.refuse(legs, pl.col("rate_missing"), "rate of a leg", pl.lit(""), "7 digits")
    without = spreads.join(legs, on="line", how="anti")
    records.refuse(without, pl.lit(value=True), "legs", pl.lit(""), "at least one leg")


def _tiers(records: Records, legs: pl.DataFrame, tiers: pl.DataFrame) -> pl.DataFrame:
    """Legs with tier null for the whole commodity: where blank, or 1 and the commodity has no tiers."""
    defined = tiers.filter(kind="inter").select("commodity", "tier").with_columns(defined=pl.lit(value=True))
    legs = legs.join(defined, on=["commodity", "tier"], how="left", maintain_order="left")
    tiered = pl.col("commodity").is_in(defined["commodity"].implode())
    whole = (pl.col("tier") == 0) | ((pl.col("tier") == 1) & ~tiered)
    unknown = ~whole & pl.col("defined").is_null()
    records.refuse(legs, unknown, "tier of a leg", pl.col("tier"), "a tier of a record S")
    return legs.with_columns(tier=pl.when(~whole).then("tier"))
