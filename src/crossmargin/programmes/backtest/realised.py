"""What positions made over the days after one in the past: by the moves that then happened, or by the marks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64, Int64

from crossmargin.models.revaluation.cube import make_cube
from crossmargin.models.scenarios.build import ScenarioSettings, scenarios_from_histories
from crossmargin.models.scenarios.part_rules import PartRules
from crossmargin.models.scenarios.selection import StressPeriods

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from crossmargin.models.market import Market
    from crossmargin.models.revaluation.settings import RevaluationSettings
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.scenarios.histories import Histories
    from crossmargin.programmes.books import Books

__all__ = ["Realised", "all_known", "book_results", "marked", "realised"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Realised:
    """Gains of one unit of each instrument over the horizon after each day, in the market's currency.

    Parameters
    ----------
    gains : ndarray of float64, shape (instruments, days)
        0 of instruments that are not known.
    known : ndarray of bool, shape (instruments,)
        Whether the histories have a move of everything that the instrument depends on, on every day.
    """

    gains: Float64[np.ndarray, "instruments days"]
    known: Bool[np.ndarray, " instruments"]


def realised(
    snapshot: Snapshot,
    histories: Histories,
    places: Int64[np.ndarray, " days"],
    horizon_days: int,
    revaluation: RevaluationSettings,
) -> Realised:
    """Value the instruments of a snapshot after the moves that followed past days.

    Parameters
    ----------
    snapshot : Snapshot
        Instruments and marks from which the moves start; time does not pass, as in the margin's scenarios.
    histories : Histories
        With the days after the last of ``places``; they may be of another day than the snapshot.
    places : ndarray of int64, shape (days,)
        Rows of the histories, ascending, each at least ``horizon_days`` before the last.
    horizon_days : int
        Trading days over which a position is held.
    revaluation : RevaluationSettings
        How instruments are revalued; in float64 whatever its precision.
    """
    ends = histories.days[places + horizon_days].tolist()
    periods = tuple((day.isoformat(), day, day) for day in ends)
    part = PartRules(name="realised", selection=StressPeriods(periods=periods), confidence="0.5")
    settings = ScenarioSettings(parts=(part,), rules=histories.rules, horizon_days=horizon_days)
    scenarios = scenarios_from_histories(replace(histories, as_of=snapshot.as_of), settings)
    cube = make_cube(snapshot, scenarios, replace(revaluation, precision="float64"))
    rows = snapshot.instruments["instrument"].is_in(cube.instruments["instrument"].implode()).to_numpy()
    gains = np.zeros((rows.size, places.size))
    gains[rows] = cube.pnl[:, cube.layout.columns]
    return Realised(gains=gains, known=rows)


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
    return Realised(
        gains=np.where(chosen[:, None], by_mark[:, None], found.gains), known=found.known | chosen
    )


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


def all_known(
    books: Books, known: Sequence[bool] | Bool[np.ndarray, " instruments"]
) -> Bool[np.ndarray, " books"]:
    """Return which books hold nothing but instruments of known results."""
    unknown = ~np.asarray(known)[books.rows]
    return np.bincount(books.book, unknown, books.count) == 0
