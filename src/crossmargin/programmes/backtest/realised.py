"""What positions made over the days after one in the past: by the moves that then happened, or by the marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64, Int64

from crossmargin.models.scenarios.rolling import RollingScenarios
from crossmargin.validation.rolling_cubes import realised_rows

if TYPE_CHECKING:
    from datetime import date

    from crossmargin.models.market import Market
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.scenarios.build import ScenarioSettings
    from crossmargin.models.scenarios.histories import Histories
    from crossmargin.programmes.books import Books
    from crossmargin.validation.rolling_cubes import MarkedMarket

__all__ = ["Realised", "book_results", "marked", "realised"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Realised:
    """Gains of one unit of each instrument over the horizon after each day, in the market's currency.

    Parameters
    ----------
    gains : ndarray of float64, shape (instruments, days)
        0 where it is not known.
    known : ndarray of bool, shape (instruments, days)
        Whether its underlying, and its currency, have a move of their own: what was filled from a proxy did not happen.
    """

    gains: Float64[np.ndarray, "instruments days"]
    known: Bool[np.ndarray, "instruments days"]

    def of_day(self, at: int) -> Realised:
        """Return those of one day."""
        return Realised(gains=self.gains[:, at : at + 1], known=self.known[:, at : at + 1])


def realised(
    market: MarkedMarket,
    histories: Histories,
    scenarios: ScenarioSettings,
    places: Int64[np.ndarray, " days"],
    horizon_days: int,
) -> Realised:
    """Value the instruments of a snapshot after the moves that followed past days.

    Parameters
    ----------
    market : MarkedMarket
        Instruments and marks from which the moves start; time does not pass, as in the margin's scenarios.
    histories : Histories
        With the days after the last of ``places``; they may be of another day than the snapshot.
    scenarios : ScenarioSettings
        Of the margins; no scenario is made by them.
    places : ndarray of int64, shape (days,)
        Rows of the histories, ascending.
    horizon_days : int
        Trading days over which a position is held.
    """
    rolling = RollingScenarios(histories=histories, settings=scenarios)
    moves = rolling.realised(places, horizon_days)
    filled = np.concatenate(
        [np.zeros((1, len(histories.factors)), np.int64), histories.proxied.cumsum(axis=0)]
    )
    ends = np.minimum(places + horizon_days + 1, filled.shape[0] - 1)
    own = filled[ends] == filled[places + 1]
    gains, known = realised_rows(market, rolling, moves._replace(valid=moves.valid & own))
    return Realised(gains=gains, known=known)


def marked(found: Realised, market: Market, snapshot: Snapshot, day: date) -> Realised:
    """Return gains of one day in which futures and options that have a mark on the last day made what marks say.

    Parameters
    ----------
    found : Realised
        Of one day, by moves: it stays where there is no mark, of shares and of what has expired meanwhile.
    market : Market
        Marks.
    snapshot : Snapshot
        Of the first day.
    day : date
        Last day of the horizon.
    """
    later = market["marks"].filter(date=day).select("instrument", "price")
    table = snapshot.instruments.join(later, on="instrument", how="left", maintain_order="left")
    is_marked = table["kind"].is_in(["future", "option"]) & table["price"].is_not_null()
    price, mark, multiplier, rate = (
        table[name].fill_null(0.0).to_numpy() for name in ("price", "mark", "multiplier", "exchange_rate")
    )
    by_mark = (price - mark) * multiplier * rate
    chosen = is_marked.to_numpy()
    gains = np.where(chosen[:, None], by_mark[:, None], found.gains)
    return Realised(gains=gains, known=found.known | chosen[:, None])


def book_results(
    books: Books, results: Float64[np.ndarray, "instruments columns"]
) -> Float64[np.ndarray, "books columns"]:
    """Return what each book makes in each column, from what one unit of each instrument makes.

    Positions of a book are added in the order of its rows.
    """
    from scipy.sparse import csr_array  # type: ignore[import-untyped]  # noqa: PLC0415  (slow to load)

    shape = (books.count, results.shape[0])
    held = csr_array((books.quantities.astype(np.float64), books.rows, books.starts), shape=shape)
    return np.asarray(held @ results)
