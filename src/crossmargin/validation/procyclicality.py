"""How procyclical margins are: over the cycle, over short horizons, and after a shock.

Murphy, Vasios and Vause, "An investigation into the procyclicality of risk-based initial margin models", Bank of
England Financial Stability Paper 29 (2014). Margins are those of a portfolio that stays the same, or they tell
of trading as well. Rows are dates at which margins were computed; n counts rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float64, Int64

from crossmargin.validation.cells import bad_cells, bad_number, refuse, unfit_cells

if TYPE_CHECKING:
    from crossmargin.errors import BadRecord

__all__ = [
    "LargestCall",
    "PeakToTrough",
    "cost",
    "impulse_response",
    "largest_call",
    "n_day",
    "peak_to_trough",
    "stability",
]

TABLE: Final = "margins"


@dataclass(frozen=True, kw_only=True, eq=False)
class PeakToTrough:
    """Largest margin over smallest, by series.

    Parameters
    ----------
    ratio : ndarray of float64
        At least 1.
    peak_at, trough_at : ndarray of int64
        Rows, the first of equal ones. Either may come first: the ratio is one of the whole cycle.
    """

    ratio: Float64[np.ndarray, " series"]
    peak_at: Int64[np.ndarray, " series"]
    trough_at: Int64[np.ndarray, " series"]


@dataclass(frozen=True, kw_only=True, eq=False)
class LargestCall:
    """Largest rise of margin, by series.

    Parameters
    ----------
    amount : ndarray of float64
        In the unit of the margin; 0 where margin never rises.
    at : ndarray of int64
        Row whose margin is called, the first of equal ones; −1 where margin never rises.
    """

    amount: Float64[np.ndarray, " series"]
    at: Int64[np.ndarray, " series"]


def peak_to_trough(margin: Float64[np.ndarray, " dates series"]) -> PeakToTrough:
    """Return the largest margin over the smallest: 3 where margin was between 2 and 6.

    Parameters
    ----------
    margin : ndarray of float64
        Finite and above 0, of at least one date; else an ``InputError``.
    """
    _require(margin, dates=1, positive=True)
    peak_at, trough_at = np.argmax(margin, axis=0), np.argmin(margin, axis=0)
    series = np.arange(margin.shape[1])
    ratio = margin[peak_at, series] / margin[trough_at, series]
    return PeakToTrough(ratio=ratio, peak_at=peak_at, trough_at=trough_at)


def n_day(margin: Float64[np.ndarray, " dates series"], n: int) -> Float64[np.ndarray, " series"]:
    """Return the largest ratio of margin to that n rows before; below 1 where it falls throughout.

    Parameters
    ----------
    margin : ndarray of float64
        Finite and above 0, of more than n dates; else an ``InputError``.
    n : int
        At least 1.
    """
    _require(margin, dates=n + 1, positive=True, n=n)
    return (margin[n:] / margin[:-n]).max(axis=0)


def largest_call(margin: Float64[np.ndarray, " dates series"], n: int = 1) -> LargestCall:
    """Return the largest rise of margin over n rows, and when.

    Parameters
    ----------
    margin : ndarray of float64
        Finite and at least 0, of more than n dates; else an ``InputError``.
    n : int
        At least 1.
    """
    _require(margin, dates=n + 1, n=n)
    rises = margin[n:] - margin[:-n]
    places = np.argmax(rises, axis=0)
    amount = np.maximum(rises[places, np.arange(margin.shape[1])], 0.0)
    return LargestCall(amount=amount, at=np.where(amount > 0.0, places + n, -1))


def stability(margin: Float64[np.ndarray, " dates series"]) -> Float64[np.ndarray, " series"]:
    """Return the standard deviation of changes of ln margin from row to row, about their mean, one degree lost.

    Parameters
    ----------
    margin : ndarray of float64
        Finite and above 0, of at least three dates; else an ``InputError``.
    """
    _require(margin, dates=3, positive=True)
    return np.diff(np.log(margin), axis=0).std(axis=0, ddof=1)


def cost(
    margin: Float64[np.ndarray, " dates series"], unmitigated: Float64[np.ndarray, " dates series"]
) -> Float64[np.ndarray, " series"]:
    """Return what an anti-procyclical tool costs: mean margin over that without it, less 1.

    Parameters
    ----------
    margin : ndarray of float64
        With the tool; finite and at least 0, of at least one date; else an ``InputError``.
    unmitigated : ndarray of float64
        Without it, on the same dates; not 0 throughout.
    """
    assert margin.shape == unmitigated.shape, "margins are of the same dates and series"
    _require(margin, dates=1)
    _require(unmitigated, dates=1, table="unmitigated margins")
    without = unmitigated.mean(axis=0)
    rule = "a mean above 0"
    refuse(bad_cells("unmitigated margins", "mean", without[None], (without == 0.0)[None], rule))
    return margin.mean(axis=0) / without - 1.0


def impulse_response(
    margin: Float64[np.ndarray, " dates series"], shock_at: int
) -> Float64[np.ndarray, " dates_after series"]:
    """Return margin from a shock on, as a multiple of the last one before it.

    Margins are those of a path on which something jumps once, such as volatility. A model over-reacts where the
    response passes its last value on the way.

    Parameters
    ----------
    margin : ndarray of float64
        Finite and at least 0, above 0 on the date before the shock; else an ``InputError``.
    shock_at : int
        First row that knows of the shock, at least 1.

    Returns
    -------
    ndarray of float64
        A row for the shock and for each date after it.
    """
    assert 1 <= shock_at < len(margin), "a shock comes after a margin and before the end"
    _require(margin, dates=2)
    _require(margin[shock_at - 1 : shock_at], dates=1, positive=True, table="margins before the shock")
    return margin[shock_at:] / margin[shock_at - 1]


def _require(
    margin: Float64[np.ndarray, " dates series"],
    dates: int,
    *,
    positive: bool = False,
    n: int = 1,
    table: str = TABLE,
) -> None:
    bad: list[BadRecord] = []
    if n < 1:
        bad.append(bad_number(table, "n", n, "at least 1"))
    if len(margin) < dates:
        bad.append(bad_number(table, "dates", len(margin), f"at least {dates}"))
    bad += unfit_cells(table, "margin", margin, np.ones(margin.shape, np.bool_), least=0.0)
    if positive:
        bad += bad_cells(table, "margin", margin, margin == 0.0, "above 0, as a ratio needs")
    refuse(bad)
