"""The Tracker Fund against index futures on every usable day of four months."""

from __future__ import annotations

import pytest
from real_books import fund_days
from real_evidence import LINKED, MERGED, MONTHS, TABLES, month, shown
from real_market import requires_real_data

pytestmark = requires_real_data


@pytest.mark.parametrize("key", MONTHS, ids=str)
def test_every_usable_day_of_a_month_is_there_both_ways(key):
    rows = month(*key)
    days = fund_days(*key)
    assert len(days) >= 10
    assert len(rows) == 2 * 2 * len(days)
    assert {row.as_of for row in rows} == set(days)
    for row in rows:
        assert 0 < row.requirement <= row.together + 0.01
    by = {(row.as_of, row.programme, row.book): row for row in rows}
    for day in days:
        for programme in (LINKED, MERGED):
            long, short = (by[day, programme, book] for book in ("long fund", "short fund"))
            assert long.gains == pytest.approx([-gain for gain in short.gains])


def test_the_page_shows_what_is_computed():
    assert shown("etf-futures-months") == TABLES["etf-futures-months"]()
