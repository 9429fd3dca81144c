"""What an arrangement costs beside what it saves: margin saved against larger default funds."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.programmes.stress.arrangements import ALONE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crossmargin.programmes.stress.result import StressResult

__all__ = ["costs"]

SCHEMA: Final = {
    **dict.fromkeys(("arrangement", "guarantee"), pl.String()),
    **dict.fromkeys(("margin", "funds", "additional_margin"), pl.Decimal(38, 2)),
}


def costs(result: StressResult) -> pl.DataFrame:
    """Return margin, default funds and additional margin of each arrangement beside those of today.

    Parameters
    ----------
    result : StressResult
        A programme under stress.

    Returns
    -------
    DataFrame
        ``arrangement``, ``guarantee``, ``margin`` (with the value of options held), ``margin_saved``, ``funds`` (sizes
        in all), ``funds_growth``, ``additional_margin`` (called beyond the limits of the funds),
        ``additional_growth``, ``saved_in_all`` (margin saved less growth of funds and of additional margin). Under a
        guarantee the funds are what they would have to cover if they were sized in reliance on it, without least
        contributions and limits; otherwise each house's own.
    """
    names = result.funds["arrangement"].unique(maintain_order=True)
    relied = result.cover.filter(pl.col("guarantee") != ALONE).select("arrangement", "guarantee")
    keys = [*((name, ALONE) for name in names), *relied.unique(maintain_order=True).iter_rows()]
    table = pl.DataFrame([(*key, *_amounts(result, *key)) for key in keys], schema=SCHEMA, orient="row")
    saved, funds, more = (
        pl.col(name) - pl.col(name).first() for name in ("margin", "funds", "additional_margin")
    )
    return table.select(
        "arrangement",
        "guarantee",
        "margin",
        (-saved).alias("margin_saved"),
        "funds",
        funds.alias("funds_growth"),
        "additional_margin",
        more.alias("additional_growth"),
        (-saved - funds - more).alias("saved_in_all"),
    )


def _amounts(result: StressResult, arrangement: str, guarantee: str) -> tuple[Decimal, Decimal, Decimal]:
    """Return margin, funds and additional margin of an arrangement."""
    losses = result.losses.filter(arrangement=arrangement)
    held = losses.unique(["group", "house"], maintain_order=True)["margin"]
    funds = result.funds.filter(arrangement=arrangement)
    if guarantee == ALONE:
        return _sum(held), _sum(funds["size"]), _sum(funds["beyond_limit"])
    standard = funds.select("house", pl.col("standard").alias("cover"))
    relied = result.cover.filter(arrangement=arrangement, guarantee=guarantee)
    sizes = relied.join(standard, on=["house", "cover"], nulls_equal=True)["over_margin"]
    return _sum(held), _sum(sizes), Decimal(0)


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))
