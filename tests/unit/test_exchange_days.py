"""Business days and last trading days: HKEX's published ones."""

from __future__ import annotations

from datetime import date

import pytest

from crossmargin.core.exchange_days import exchange_days, last_trading_day
from crossmargin.errors import InputError


def test_days_of_a_holiday_week():
    """Chinese New Year 2026: 17 to 19 February closed."""
    days = exchange_days(date(2026, 2, 13), date(2026, 2, 23))
    assert [day.day for day in days] == [13, 16, 20, 23]


def test_both_ends_are_included_and_nothing_lies_between_them_backwards():
    assert exchange_days(date(2026, 1, 5), date(2026, 1, 5)) == [date(2026, 1, 5)]
    assert exchange_days(date(2026, 1, 3), date(2026, 1, 4)) == []
    assert exchange_days(date(2026, 1, 6), date(2026, 1, 5)) == []


@pytest.mark.parametrize(
    "day",
    [
        date(2024, 4, 29),
        date(2024, 5, 30),
        date(2024, 6, 27),
        date(2024, 7, 30),
        date(2024, 9, 27),
        date(2024, 12, 30),
        date(2025, 3, 28),
        date(2025, 6, 27),
        date(2025, 12, 30),
    ],
)
def test_last_trading_days_of_index_futures(day):
    """As the exchange's report of 24 April 2024 prints them."""
    assert last_trading_day(day.year, day.month) == day


def test_an_unknown_calendar_is_refused():
    with pytest.raises(InputError, match="XXXX"):
        exchange_days(date(2026, 1, 1), date(2026, 1, 2), "XXXX")
