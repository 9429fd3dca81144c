"""Business days of an exchange, and the last trading days of its contracts."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from itertools import count, takewhile
from typing import TYPE_CHECKING, Final

from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

__all__ = ["exchange_days", "last_trading_day"]

SATURDAY: Final = 5
ONE_DAY: Final = timedelta(days=1)


@cache
def _holidays(calendar: str) -> Container[date]:
    from holidays import financial_holidays  # noqa: PLC0415  (slow to load)

    try:
        return financial_holidays(calendar)
    except NotImplementedError as error:
        record = BadRecord(
            file="calendar",
            line=0,
            field="",
            value=calendar,
            rule="an exchange that the package holidays knows",
        )
        raise InputError([record]) from error


def _is_open(day: date, calendar: str) -> bool:
    return day.weekday() < SATURDAY and day not in _holidays(calendar)


def _downward(last: date, calendar: str) -> Iterator[date]:
    days = (last - i * ONE_DAY for i in count())
    return (day for day in days if _is_open(day, calendar))


def exchange_days(first: date, last: date, calendar: str = "XHKG") -> list[date]:
    """Return the business days from ``first`` to ``last``, both included.

    Days that the exchange closes at short notice, for a typhoon, are among them. Of the years before the
    calendar's first (2014 for XHKG), no holiday is known but weekends.

    Raises
    ------
    InputError
        If no such calendar is known.
    """
    return [*takewhile(lambda day: day >= first, _downward(last, calendar))][::-1]


def last_trading_day(year: int, month: int, calendar: str = "XHKG") -> date:
    """Return the business day before the last business day of a month.

    It is the last trading day of Hang Seng index futures and options and of Hong Kong stock options.
    Source: HKEX, contract specifications.
    """
    first_of_next = date(year + month // 12, month % 12 + 1, 1)
    days = _downward(first_of_next - ONE_DAY, calendar)
    next(days)
    return next(days)
