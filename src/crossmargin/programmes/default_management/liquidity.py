"""How much of each instrument can be traded in a day, what that costs, and what a book is hedged with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

from crossmargin.core.columns import require_known
from crossmargin.core.rounding import exact_sums

if TYPE_CHECKING:
    from crossmargin.programmes.default_management.settings import CloseOutSettings
    from crossmargin.programmes.houses import Houses

__all__ = ["daily_caps", "hedging_rows", "held_of_all", "trading_costs"]


def held_of_all(houses: Houses) -> Int64[np.ndarray, " instruments"]:
    """Return what all accounts together are long, or short where that is more, of each instrument."""
    books, count = houses.accounts.books, len(houses.snapshot.instruments)
    rows = books.rows.astype(np.int64)
    long = exact_sums(np.maximum(books.quantities, 0), rows, count)
    short = exact_sums(np.maximum(-books.quantities, 0), rows, count)
    return np.maximum(long, short)


def daily_caps(houses: Houses, settings: CloseOutSettings) -> Float64[np.ndarray, "instruments days"]:
    """Return units of each instrument of the snapshot that can be traded on each day of a close-out.

    Raises
    ------
    InputError
        Listing every cap of an instrument that the snapshot lacks.
    """
    instruments, given = houses.snapshot.instruments, settings.checked_caps()
    require_known(given["instrument"], instruments["instrument"], "caps", "an instrument with a mark")
    units = settings.daily_shares.of(instruments["kind"]) * held_of_all(houses)
    own = instruments.join(given, on="instrument", how="left", maintain_order="left")["units"]
    units = own.fill_null(pl.Series(units)).to_numpy()
    first = np.array([settings.first_days.get(house, 1) for house in instruments["house"]])
    open_then = np.arange(1, settings.days + 1) >= first[:, None]
    return np.asarray(units[:, None] * open_then)


def trading_costs(houses: Houses, settings: CloseOutSettings) -> Float64[np.ndarray, " instruments"]:
    """Return half the spread of one unit of each instrument, in the market's currency."""
    instruments = houses.snapshot.instruments
    unit = instruments.select(pl.col("mark") * pl.col("multiplier") * pl.col("exchange_rate"))
    return settings.half_spreads.of(instruments["kind"]) * unit.to_series().to_numpy()


def hedging_rows(houses: Houses, settings: CloseOutSettings) -> Int64[np.ndarray, " hedges"]:
    """Return the rows of the hedging instruments among the snapshot's instruments.

    Raises
    ------
    InputError
        Listing every one that the snapshot lacks.
    """
    table = houses.snapshot.instruments.with_row_index("row")
    if settings.hedges is not None:
        named = pl.Series("hedges", list(settings.hedges), pl.String)
        require_known(named, table["instrument"], "CloseOutSettings", "an instrument with a mark")
        return table.filter(pl.col("instrument").is_in(named.implode()))["row"].to_numpy().astype(np.int64)
    value = pl.col("mark") * pl.col("multiplier") * pl.Series(held_of_all(houses))
    futures = table.with_columns(value.alias("value")).filter(
        pl.col("kind") == "future", pl.col("underlying_kind") == "index", pl.col("value") > 0
    )
    lives = np.busday_count(np.datetime64(houses.as_of), futures["expiry"].to_numpy()) > settings.days
    most = futures.filter(pl.Series(lives)).sort("value", "instrument", descending=[True, False])
    rows = most.unique("underlying", keep="first", maintain_order=True)["row"].sort()
    return rows.to_numpy().astype(np.int64)
