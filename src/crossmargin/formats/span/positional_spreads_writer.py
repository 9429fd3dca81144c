"""Lines of tiers, charges and spreads: records 3, 4, S, C, E, 5 and 6.

Source: CME, SPAN expanded unpacked positional layout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.errors import BadRecord
from crossmargin.formats.span.layout import (
    GROUP_CODES,
    SCAN_TIERS,
    SERIES_LEGS,
    SPREAD_LEGS,
    TIER_LEGS,
    TIERS,
)
from crossmargin.formats.span.positional_fields import unscaled

if TYPE_CHECKING:
    from crossmargin.formats.span.positional_rendered import Rendered
    from crossmargin.models.span.parameters import SpanParameters

__all__ = ["inter_spread_lines", "intra_spread_lines", "spot_charge_lines", "tier_lines"]

METHODS: Final = {"none": "01", "table": "10"}
SPREAD_METHODS: Final = {"delta": "01", "tiered": "02", "scanning": "04"}
ELIGIBILITIES: Final = {"all": "", "non_segregated": "N", "house": "H"}
PRICE_RISK_METHODS: Final = {"normal": "1", "capped": "2", "scan_range": "3"}
DELIVERY_MONTHS: Final = 2
MONEY_RULE: Final = "a whole number of units of ten to the risk exponent"


def _whole_money(
    rendered: Rendered, frame: pl.DataFrame, column: str, table: str, exponents: pl.DataFrame
) -> pl.DataFrame:
    """Return the frame with money of a column as the integers of the file."""
    frame = frame.join(exponents, on="commodity", how="left", maintain_order="left")
    whole, held = unscaled(frame[column].fill_null(0.0).to_numpy(), frame["risk_exponent"].to_numpy())
    for row in (~pl.Series(held)).arg_true().to_list():
        value = f"{frame['commodity'][row]}: {frame[column][row]}"
        rendered.bad.append(
            BadRecord(file=f"parameters.{table}", line=row + 1, field=column, value=value, rule=MONEY_RULE)
        )
    given = pl.when(pl.Series(frame[column].is_not_null())).then(pl.Series(whole))
    return frame.with_columns(given.alias(column)).drop("risk_exponent")


def _slots(frame: pl.DataFrame, group: list[str], count: int, columns: list[str]) -> pl.DataFrame:
    """One row for each ``count`` rows of a group, the n-th row in columns that end in ``_n``."""
    frame = frame.with_columns(place=pl.int_range(pl.len()).over(group))
    frame = frame.with_columns(chunk=pl.col("place") // count, slot=pl.col("place") % count + 1)
    rows = frame.select(*group, "chunk").unique(maintain_order=True)
    for slot in range(1, count + 1):
        of_slot = frame.filter(slot=slot).select(
            *group, "chunk", *(pl.col(name).alias(f"{name}_{slot}") for name in columns)
        )
        rows = rows.join(of_slot, on=[*group, "chunk"], how="left", maintain_order="left")
    return rows


def tier_lines(rendered: Rendered, parameters: SpanParameters, exponents: pl.DataFrame) -> None:
    """Add records 3 and S."""
    tiers = _whole_money(rendered, parameters.tiers, "rate", "tiers", exponents).with_columns(
        start_day=pl.col("start").str.slice(6),
        end_day=pl.col("end").str.slice(6),
        start=pl.col("start").str.slice(0, 6),
        end=pl.col("end").str.slice(0, 6),
    )
    columns = ["tier", "start", "end", "start_day", "end_day"]
    intra = _slots(tiers.filter(kind="intra"), ["commodity"], TIERS, columns)
    second = parameters.commodities.select(
        "commodity",
        pl.col("intra_method").replace(METHODS).alias("method"),
        "initial_member",
        "initial_hedger",
        "initial_speculator",
    ).join(intra, on="commodity", how="left", maintain_order="left")
    rendered.add("3", second.with_columns(where="commodity"))
    _scanning_lines(rendered, parameters, tiers.filter(pl.col("kind") != "intra"), [*columns, "rate"])


def _scanning_lines(
    rendered: Rendered, parameters: SpanParameters, tiers: pl.DataFrame, columns: list[str]
) -> None:
    both = pl.col("kinds").list.contains("scan") & pl.col("kinds").list.contains("inter")
    kinds = tiers.group_by("commodity").agg(kinds=pl.col("kind").unique()).select("commodity", both=both)
    method = (
        pl.when(pl.col("kind") == "som")
        .then(pl.lit("30"))
        .when(pl.col("kind") == "scan")
        .then(pl.when("both").then(pl.lit("22")).otherwise(pl.lit("10")))
        .otherwise(pl.when("both").then(pl.lit("23")).otherwise(pl.lit("20")))
    )
    slots = _slots(tiers, ["commodity", "kind"], SCAN_TIERS, columns).join(kinds, on="commodity", how="left")
    counts = tiers.group_by("commodity", "kind").len("tier_count")
    slots = slots.join(counts, on=["commodity", "kind"], how="left")
    scanning = parameters.commodities.with_row_index("at").select(
        "at", "commodity", pl.col("price_risk_method").replace(PRICE_RISK_METHODS).alias("price_risk_method")
    )
    rows = scanning.join(slots, on="commodity", how="left", maintain_order="left")
    rows = rows.filter(pl.col("kind").is_not_null() | (pl.col("price_risk_method") != "1"))
    rows = rows.with_columns(
        method=pl.when(pl.col("kind").is_null()).then(pl.lit("01")).otherwise(method),
        tier_count=pl.col("tier_count").cast(pl.Int64),
    )
    rendered.add("S", rows.sort("at", "kind", "chunk").with_columns(where="commodity"))


def spot_charge_lines(rendered: Rendered, parameters: SpanParameters, exponents: pl.DataFrame) -> None:
    """Add records 4: minimum, factors and two delivery months in each."""
    charges = parameters.spot_charges.with_columns(number=pl.int_range(1, pl.len() + 1).over("commodity"))
    for name in ("in_spreads", "outright"):
        charges = _whole_money(rendered, charges, name, "spot_charges", exponents)
    columns = ["number", "month", "in_spreads", "outright"]
    slots = _slots(charges, ["commodity"], DELIVERY_MONTHS, columns)
    counts = charges.group_by("commodity").len("month_count")
    third = _whole_money(rendered, parameters.commodities, "short_option_minimum", "commodities", exponents)
    third = third.select(
        "commodity",
        pl.col("spot_method").replace(METHODS).alias("method"),
        "short_option_minimum",
        "adjustment_member",
        "adjustment_hedger",
        "adjustment_speculator",
        pl.col("som_method").replace({"sum": "2", "max": "1"}).alias("som_method"),
    ).join(slots, on="commodity", how="left", maintain_order="left")
    third = third.join(counts, on="commodity", how="left", maintain_order="left")
    rendered.add(
        "4", third.with_columns(pl.col("month_count").fill_null(0).cast(pl.Int64), where="commodity")
    )


def intra_spread_lines(rendered: Rendered, parameters: SpanParameters, exponents: pl.DataFrame) -> None:
    """Add records C and E in the order of the spreads."""
    spreads = _whole_money(rendered, parameters.intra_spreads, "charge", "intra_spreads", exponents)
    spreads = spreads.with_columns(at=pl.int_range(pl.len()), where="commodity")
    legs = parameters.intra_legs.sort("spread", "leg").with_columns(
        month_text=pl.col("month"),
        month=pl.col("month").str.slice(2, 4).cast(pl.Int64, strict=False),
        period=pl.col("month").str.slice(6),
        leg=pl.int_range(1, pl.len() + 1).over("spread"),
    )
    made: list[tuple[int, bytes]] = []
    for kind, record, count, columns in (
        ("tier", "C", TIER_LEGS, ["leg", "tier", "ratio", "side"]),
        ("series", "E", SERIES_LEGS, ["month", "period", "ratio", "side"]),
    ):
        of_kind = spreads.filter(kind=kind)
        own = legs.filter(pl.col("spread").is_in(of_kind["spread"].implode()))
        too_long = own.filter(pl.col("leg") > count).select("spread").unique(maintain_order=True)
        _refuse_long(rendered, "intra_legs", too_long["spread"], count)
        slots = _slots(own.filter(pl.col("leg") <= count), ["spread"], count, columns)
        leg_count = own.group_by("spread").len("leg_count")
        rows = of_kind.join(slots, on="spread", how="left", maintain_order="left")
        rows = rows.join(leg_count, on="spread", how="left", maintain_order="left").with_columns(
            pl.col("leg_count").fill_null(0).cast(pl.Int64), method=pl.lit("10")
        )
        made.extend(zip(rows["at"], rendered.lines(record, rows), strict=True))
    rendered.parts.extend(line for _, line in sorted(made))


def _refuse_long(rendered: Rendered, table: str, spreads: pl.Series, count: int) -> None:
    rendered.bad.extend(
        BadRecord(
            file=f"parameters.{table}",
            line=0,
            field="spread",
            value=str(spread),
            rule=f"at most {count} legs",
        )
        for spread in spreads
    )


def inter_spread_lines(rendered: Rendered, parameters: SpanParameters) -> None:
    """Add records 5, the groups that spreads name, and 6."""
    legs = parameters.inter_legs.sort("spread", "leg").join(
        parameters.commodities.select("commodity", "exchange"), on="commodity", maintain_order="left"
    )
    spreads = parameters.inter_spreads
    grouped = legs.join(spreads.select("spread", "group"), on="spread", maintain_order="left")
    grouped = grouped.filter(pl.col("group") != "").select("group", "commodity").unique(maintain_order=True)
    rendered.add("5", _slots(grouped, ["group"], GROUP_CODES, ["commodity"]).with_columns(where="group"))
    numbered, apart = _without_target(legs)
    too_long = numbered.filter(pl.col("place") > SPREAD_LEGS)["spread"].unique(maintain_order=True)
    _refuse_long(rendered, "inter_legs", too_long, SPREAD_LEGS)
    numbered = numbered.filter(pl.col("place") <= SPREAD_LEGS).join(
        spreads.select("spread", "credit"), on="spread", maintain_order="left"
    )
    flat = pl.col("credit") == "flat"
    numbered = numbered.with_columns(
        required=pl.when("required").then(pl.lit("")).otherwise(pl.lit("N")),
        rate=pl.col("rate") * pl.when(flat).then(100.0).otherwise(1e6),
    ).with_columns(pl.col("rate").round(6))
    columns = ["exchange", "required", "commodity", "ratio", "side", "tier", "rate"]
    slots = _slots(numbered, ["spread"], SPREAD_LEGS, columns)
    rows = spreads.join(slots, on="spread", how="left", maintain_order="left")
    rows = rows.join(apart, on="spread", how="left", maintain_order="left")
    by_leg = pl.col("rate_1").is_not_null()
    rows = rows.with_columns(
        pl.col("method").replace(SPREAD_METHODS),
        rate=(pl.col("rate") * pl.when(flat).then(100.0).otherwise(1e6)).round(6),
        credit=pl.when(flat).then(pl.lit("F")).otherwise(pl.lit("")),
        spread_group=pl.when("first").then(pl.lit("S")).otherwise(pl.lit("")),
        eligibility=pl.col("eligibility").replace(ELIGIBILITIES),
        rates_by_leg=pl.when(by_leg).then(pl.lit("Y")).otherwise(pl.lit("")),
        where=pl.col("group") + pl.lit(" ") + pl.col("priority").cast(pl.String),
    )
    rendered.add("6", _rounded(rows))


def _rounded(rows: pl.DataFrame) -> pl.DataFrame:
    """Rates as the nearest integers; what is lost by it shows when the file is read back."""
    names = ["rate", *(f"rate_{leg}" for leg in range(1, SPREAD_LEGS + 1))]
    return rows.with_columns(pl.col(name).round(0) for name in names)


def _without_target(legs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Legs in their places, and apart the targets that columns 91-100 hold: last, side A, plain.

    Another target stays in its place, and columns 95-100 name it there.
    """
    last = pl.col("leg") == pl.col("leg").max().over("spread")
    once = pl.len().over("spread", "commodity") == 1
    plain = (pl.col("side") == "A") & pl.col("tier").is_null() & pl.col("rate").is_null()
    legs = legs.with_columns(apart=pl.col("target") & last & once & plain)
    target = legs.filter("target").select(
        "spread",
        exchange_target="exchange",
        commodity_target="commodity",
        required_target=pl.when("required").then(pl.lit("")).otherwise(pl.lit("N")),
        ratio_target="ratio",
    )
    numbered = legs.filter(~pl.col("apart"))
    numbered = numbered.with_columns(place=pl.int_range(1, pl.len() + 1).over("spread"))
    return numbered, target.unique("spread", keep="first", maintain_order=True)
