"""What an arrangement costs beside what it saves: margin saved against larger default funds."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.programmes.stress.arrangements import ALONE

if TYPE_CHECKING:
    from crossmargin.programmes.stress.result import StressResult

__all__ = ["costs"]

SCHEMA: Final = {
    **dict.fromkeys(("arrangement", "guarantee"), pl.String()),
    **dict.fromkeys(("margin", "cover"), pl.Decimal(38, 2)),
}


def costs(result: StressResult) -> pl.DataFrame:
    """Return margin, and what default funds are to cover, of each arrangement beside those of today.

    Parameters
    ----------
    result : StressResult
        A programme under stress.

    Returns
    -------
    DataFrame
        ``arrangement``, ``guarantee``, ``margin`` (with the value of options held), ``margin_saved``, ``cover`` (losses
        over margin of as many groups as the funds' standards name, houses added), ``cover_growth``, ``saved_in_all``
        (margin saved less growth of the cover). Covers are compared, not sizes of funds: these have least contributions
        and limits, and are sized without a guarantee. Today is without one: a guarantee lowers the cover by itself too.
    """
    names = result.funds["arrangement"].unique(maintain_order=True)
    relied = result.cover.filter(pl.col("guarantee") != ALONE).select("arrangement", "guarantee")
    keys = [*((name, ALONE) for name in names), *relied.unique(maintain_order=True).iter_rows()]
    table = pl.DataFrame([(*key, *_amounts(result, *key)) for key in keys], schema=SCHEMA, orient="row")
    saved, grown = (pl.col(name) - pl.col(name).first() for name in ("margin", "cover"))
    return table.select(
        "arrangement",
        "guarantee",
        "margin",
        (-saved).alias("margin_saved"),
        "cover",
        grown.alias("cover_growth"),
        (-saved - grown).alias("saved_in_all"),
    )


def _amounts(result: StressResult, arrangement: str, guarantee: str) -> tuple[Decimal, Decimal]:
    """Return margin and cover of an arrangement."""
    losses = result.losses.filter(arrangement=arrangement)
    held = losses.unique(["group", "house"], maintain_order=True)["margin"]
    funds = result.funds.filter(arrangement=arrangement)
    standard = funds.select("house", pl.col("standard").alias("cover"))
    covers = result.cover.filter(arrangement=arrangement, guarantee=guarantee)
    sizes = covers.join(standard, on=["house", "cover"], nulls_equal=True)["over_margin"]
    return sum(held, Decimal(0)), sum(sizes, Decimal(0))
