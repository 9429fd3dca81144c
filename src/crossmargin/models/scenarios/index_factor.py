"""The risk factor whose worst days are stressed days where nobody names another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from datetime import date

    from crossmargin.models.market import Market

__all__ = ["index_factor"]


def index_factor(market: Market, day: date) -> str:
    """Return the spot of the index with most prices up to a day; without an index, of the underlying."""
    counts = market["prices"].filter(pl.col("date") <= day).group_by("underlying").len("prices")
    priced = market["underlyings"].join(counts, on="underlying")
    order = [pl.col("kind") == "index", pl.col("prices"), pl.col("underlying")]
    ranked = priced.sort(order, descending=[True, True, False])["underlying"]
    return f"spot:{ranked[0]}" if len(ranked) else "spot:none"
