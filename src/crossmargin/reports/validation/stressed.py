"""What reports show of stress tests: losses over margin against funds, liquidation, and what exhausts a layer first."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crossmargin.programmes.stress.result import StressResult

    Amount = Decimal | float

__all__ = [
    "MERGED",
    "MUTUAL",
    "NOT_COVERED",
    "RECEIVED",
    "cover_table",
    "first_exhausted",
    "liquidation_table",
    "named",
    "runs",
    "scenario_losses",
    "total",
]

MERGED: Final = "merged"
"""What stands for the house of a fund that all houses share."""

NOT_COVERED: Final = "not covered"
RECEIVED: Final = "received from other houses"
"""Name of the last layer of a waterfall."""

MUTUAL: Final = ("survivors' contributions", "assessments")
"""Layers of a waterfall that participants pay who are not in default; names as of ``clearing.waterfall.LAYERS``."""

KEYS: Final = ("arrangement", "house")
RUN: Final = ("arrangement", "guarantee", "scenario", "defaulters")


def total(amounts: Iterable[Amount | None]) -> Amount:
    """Return an exact sum of decimals, a correctly rounded one of floats: no order of rows changes it. Nulls are 0."""
    found = [amount for amount in amounts if amount is not None]
    if found and all(isinstance(amount, Decimal) for amount in found):
        return sum((Decimal(amount) for amount in found), Decimal(0))
    return math.fsum(found)


def named(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table of stress tests with a name where the house is null."""
    return frame.with_columns(pl.col("house").fill_null(MERGED))


def scenario_losses(result: StressResult) -> pl.DataFrame:
    """Return the largest loss over margin of one group, and the sum of the two largest, in each scenario.

    Columns ``arrangement``, ``house``, ``scenario``, ``one``, ``two``; in the order of the losses.
    """
    largest = pl.col("over_margin").sort(descending=True)
    return (
        named(result.losses)
        .group_by(*KEYS, "scenario", maintain_order=True)
        .agg(largest.head(1).sum().alias("one"), largest.head(2).sum().alias("two"))
    )


def cover_table(result: StressResult) -> pl.DataFrame:
    """Return losses over margin, without any guarantee, against the fund: a row an arrangement and house.

    Columns ``arrangement``, ``house``, ``standard`` (groups that the fund is to cover), ``one``, ``two`` (the largest
    of ``scenario_losses``), ``mean_one``, ``mean_two`` (over scenarios), ``fund`` (its size), ``left`` (of the fund
    after the loss it is to cover; negative where it is too small), ``exceeded_one``, ``exceeded_two`` (scenarios whose
    loss is above the fund). Null where a house has no fund.
    """
    funds = {
        (row["arrangement"], row["house"]): (row["standard"], row["size"])
        for row in named(result.funds).iter_rows(named=True)
    }
    parts = scenario_losses(result).partition_by(*KEYS, as_dict=True, maintain_order=True)
    rows = [_cover_row(key, part, *funds.get(key, (None, None))) for key, part in parts.items()]
    return pl.DataFrame(rows, schema=_cover_schema(result), infer_schema_length=None)


def _cover_schema(result: StressResult) -> dict[str, Any]:
    loss, fund = result.losses.schema["over_margin"], result.funds.schema["size"]
    return {
        **dict.fromkeys(KEYS, pl.String),
        "standard": pl.Int64,
        **dict.fromkeys(("one", "two"), loss),
        **dict.fromkeys(("mean_one", "mean_two"), pl.Float64),
        "fund": fund,
        "left": pl.Decimal(38, 2) if loss.is_decimal() and fund.is_decimal() else pl.Float64,
        **dict.fromkeys(("exceeded_one", "exceeded_two"), pl.Int64),
    }


def _cover_row(
    key: tuple[Any, ...], part: pl.DataFrame, standard: int | None, fund: Amount | None
) -> dict[str, object]:
    peaks = {name: max(part[name]) for name in ("one", "two")}
    return {
        "arrangement": key[0],
        "house": key[1],
        "standard": standard,
        **peaks,
        **{f"mean_{name}": float(total(part[name])) / len(part) for name in peaks},
        "fund": fund,
        "left": None if fund is None else _left(fund, peaks["one" if standard == 1 else "two"]),
        **{
            f"exceeded_{name}": None if fund is None else sum(loss > fund for loss in part[name])
            for name in peaks
        },
    }


def _left(fund: Amount, loss: Amount) -> Amount:
    if isinstance(fund, Decimal) and isinstance(loss, Decimal):
        return fund - loss
    return float(fund) - float(loss)


def runs(result: StressResult) -> list[tuple[tuple[str, ...], pl.DataFrame]]:
    """Return each run of the waterfall, by ``arrangement``, ``guarantee``, ``scenario`` and ``defaulters``, with its rows."""
    parts = named(result.waterfall).partition_by(*RUN, as_dict=True, maintain_order=True)
    return [(tuple(str(word) for word in key), part) for key, part in parts.items()]


def first_exhausted(result: StressResult) -> pl.DataFrame:
    """Return, for each layer, the scenario that exhausts it at the smallest multiple of its moves.

    Columns ``arrangement``, ``house``, ``layer``, ``scenario``, ``multiple``; null where no scenario does.
    """
    found = named(result.reverse).sort("multiple", nulls_last=True, maintain_order=True)
    places = named(result.reverse).select(*KEYS, "layer").unique(maintain_order=True)
    best = found.drop_nulls("multiple").unique([*KEYS, "layer"], keep="first", maintain_order=True)
    return places.join(best, on=[*KEYS, "layer"], how="left", maintain_order="left").select(
        *KEYS, "layer", "scenario", "multiple"
    )


def liquidation_table(result: StressResult) -> pl.DataFrame:
    """Return losses of closing out together and apart, summed over the groups that have both, a row a strategy and loss.

    Columns ``strategy``, ``loss_kind`` ("transient", "terminal"), ``compared`` (groups), ``joint``, ``apart``, ``share``
    (what liquidating together takes off, of ``apart``; null where that is not positive), ``worse`` (groups for which
    together is worse).
    """
    rows = [
        _liquidation_row(result, str(strategy), kind)
        for strategy in result.close_out["strategy"].unique(maintain_order=True)
        for kind in ("transient", "terminal")
    ]
    schema = {
        "strategy": pl.String,
        "loss_kind": pl.String,
        "compared": pl.Int64,
        **dict.fromkeys(("joint", "apart", "share"), pl.Float64),
        "worse": pl.Int64,
    }
    return pl.DataFrame(rows, schema=schema)


def _liquidation_row(result: StressResult, strategy: str, kind: str) -> dict[str, object]:
    mine = result.close_out.filter(pl.col("strategy") == strategy)
    both = [
        dict(mine.filter(pl.col("coordination") == how).select("group", f"{kind}_loss").iter_rows())
        for how in ("joint", "each house")
    ]
    pairs = [
        (float(both[0][group]), float(both[1][group]))
        for group in both[0]
        if both[0][group] is not None and both[1].get(group) is not None
    ]
    joint, apart = math.fsum(a for a, _ in pairs), math.fsum(b for _, b in pairs)
    return {
        "strategy": strategy,
        "loss_kind": kind,
        "compared": len(pairs),
        "joint": joint,
        "apart": apart,
        "share": 1 - joint / apart if apart > 0 else None,
        "worse": sum(a > b for a, b in pairs),
    }
