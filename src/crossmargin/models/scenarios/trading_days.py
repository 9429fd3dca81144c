"""Which days were trading days: the exchange's calendar where it is known, and the prices themselves.

Weekends never are. In years that the calendar covers (``holidays``, XHKG from 2014, half days trade) a
scheduled day is one unless nothing has a price on it, or ``FEW`` or more have one and none has changed:
a storm or another unscheduled closure. A day off is one if enough prices changed. In years before, a
day is one if an index has a level or enough prices changed: data vendors carry prices over public
holidays, but do not move them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from crossmargin.core.exchange_days import exchange_days

if TYPE_CHECKING:
    from crossmargin.models.scenarios.findings import Days, FindingLog

__all__ = ["last_priced", "scheduled_days", "trading_days"]

FEW: Final = 5
"""From so many prices on, a day on which none changes is no trading day."""

FROZEN_SHARE: Final = 0.1
"""Below this share of changed prices a trading day looks as if the vendor had repeated the day before."""

WEEKEND_FROM: Final = 5

EPOCH_YEAR: Final = 1970


def scheduled_days(calendar: str, days: Days) -> tuple[Bool[np.ndarray, " days"], Bool[np.ndarray, " days"]]:
    """Return which days the calendar covers, and on which of these it schedules trading.

    Raises
    ------
    InputError
        If no such calendar is known.
    """
    scheduled = exchange_days(days[0].item(), days[-1].item(), calendar)
    from holidays import financial_holidays  # noqa: PLC0415  (slow to load)

    known = financial_holidays(calendar)
    years = days.astype("datetime64[Y]").astype(np.int64) + EPOCH_YEAR
    covered = (years >= known.start_year) & (years <= known.end_year)
    return covered, covered & np.isin(days, np.array(scheduled, "datetime64[D]"))


def is_weekend(days: Days) -> Bool[np.ndarray, " days"]:
    """Return which days are Saturdays or Sundays."""
    weekday = (days.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    return weekday >= WEEKEND_FROM


def last_priced(priced: Bool[np.ndarray, "days factors"]) -> Int64[np.ndarray, "days factors"]:
    """Return of each cell the last row before its own that has a price in its column, −1 if none has."""
    rows = np.where(priced, np.arange(priced.shape[0])[:, None], -1)
    before = np.full(priced.shape, -1, np.int64)
    if priced.shape[0] > 1:
        before[1:] = np.maximum.accumulate(rows, axis=0)[:-1]
    return before


def _changed(
    prices: Float64[np.ndarray, "days factors"], priced: Bool[np.ndarray, "days factors"]
) -> Bool[np.ndarray, "days factors"]:
    before = last_priced(priced)
    previous = np.take_along_axis(prices, np.maximum(before, 0), axis=0)
    return priced & ((before < 0) | (prices != previous))


def _active(priced: Bool[np.ndarray, "days factors"]) -> Int64[np.ndarray, " days"]:
    """Return how many columns are between their first and last price on each day."""
    started = np.maximum.accumulate(priced, axis=0)
    not_ended = np.maximum.accumulate(priced[::-1], axis=0)[::-1]
    return (started & not_ended).sum(axis=1)


def trading_days(
    days: Days,
    prices: Float64[np.ndarray, "days underlyings"],
    is_index: Bool[np.ndarray, " underlyings"],
    *,
    calendar: str,
    trading_share: float,
    log: FindingLog,
) -> Bool[np.ndarray, " days"]:
    """Return which of the days were trading days.

    Parameters
    ----------
    days : ndarray of datetime64[D], shape (days,)
        Every day with a price and every scheduled day between the first and the last of them.
    prices : ndarray of float64, shape (days, underlyings)
        0 where there is none.
    is_index : ndarray of bool, shape (underlyings,)
        Which of them are levels of an index.
    calendar : str
        Code of the calendar.
    trading_share : float
        Share of the underlyings whose price must change for a day to be one without a calendar.
    log : FindingLog
        Gets unscheduled closures and sessions, and days that look like a copy of the day before.
    """
    priced = prices > 0
    covered, scheduled = scheduled_days(calendar, days)
    changes = _changed(prices, priced).sum(axis=1)
    count = priced.sum(axis=1)
    many_moved = (changes > 0) & (changes >= trading_share * _active(priced))
    closed = (count == 0) | ((count >= FEW) & (changes == 0))
    told = np.where(scheduled, ~closed, many_moved)
    evident = priced[:, is_index].any(axis=1) | many_moved
    trades = np.where(covered, told, evident) & ~is_weekend(days)
    name = f"calendar:{calendar}"
    closures, sessions = scheduled & ~trades, covered & ~scheduled & trades
    log.add(name, "unscheduled closure", days[closures], count[closures], "no trading day")
    log.add(name, "unscheduled session", days[sessions], changes[sessions], "trading day")
    frozen = trades & (count >= FEW) & (changes < FROZEN_SHARE * count)
    log.add(name, "frozen day", days[frozen], changes[frozen], "prices kept")
    return trades
