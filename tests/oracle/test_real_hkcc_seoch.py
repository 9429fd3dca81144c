"""Books of HKCC and SEOCH: stock options against index futures and options, modelled and as settled."""

from __future__ import annotations

import numpy as np
import pytest
from real_books import (
    CHAIN_MONTH,
    DAYS_A_YEAR,
    OPTION_STOCKS,
    VOLATILITY_DAYS,
    VOLATILITY_FACTOR,
    chain_books,
    code,
    option_books,
    settlements,
    stocks,
    volatility,
)
from real_evidence import DAYS, DERIVATIVES, MERGED, TABLES, by_book, chain, options, shown
from real_market import requires_real_data

pytestmark = requires_real_data


@pytest.mark.parametrize("name", ["options", "options-2024"])
def test_the_page_shows_what_is_computed(name):
    assert shown(name) == TABLES[name]()


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_modelled_options_keep_parity_and_the_stated_volatility(day):
    books = option_books(day)
    strikes = dict(books.market["instruments"].select("instrument", "strike").iter_rows())
    history = stocks(day, OPTION_STOCKS)
    for name in OPTION_STOCKS:
        closes = history.filter(underlying=name).sort("date")
        at = closes["date"].to_list().index(day)
        prices = closes["close"].to_numpy()[at - VOLATILITY_DAYS : at + 3]
        call, put = (books.prices[f"{code(name)}.{right}"] for right in "CP")
        strike = strikes[f"{code(name)}.C"]
        assert strike == prices[VOLATILITY_DAYS]
        np.testing.assert_allclose(
            np.array(call) - put, prices[VOLATILITY_DAYS:] - strike, atol=1e-9 * strike
        )
        moves = np.diff(np.log(prices[: VOLATILITY_DAYS + 1]))
        expected = VOLATILITY_FACTOR * moves.std(ddof=1) * DAYS_A_YEAR**0.5
        assert volatility(history, name, day) == pytest.approx(expected)


def test_published_settlements_are_used_as_they_are_and_nearly_keep_parity():
    books = chain_books()
    table = settlements()
    strike = books.market["instruments"].filter(instrument="HSI.C")["strike"][0]
    assert set(table["last_trading_day"]) == {CHAIN_MONTH}
    for right, name in (("C", "HSI.C"), ("P", "HSI.P")):
        assert books.prices[name] == tuple(table.filter(right=right, strike=strike)["price"])
    call, put, future = (np.array(books.prices[name]) for name in ("HSI.C", "HSI.P", "HSI.F"))
    # Undiscounted; the exchange settles strikes away from the money by a smile, 0.1% of the future off at most.
    assert np.abs(call - put - (future - strike)).max() <= 0.001 * future.max()


def test_no_design_asks_for_more_than_the_houses_alone_and_both_houses_join():
    for row in (*options(), *chain()):
        assert 0 < row.requirement <= row.together + 0.01
        assert set(row.alone) == {"HKCC", "SEOCH"}
    assert len(options()) == len(DAYS) * 4 * 3
    assert all(each[DERIVATIVES].found["prime"] > 0 for each in by_book(options()).values())


def test_a_hedged_book_of_the_joint_model_asks_for_less_than_its_options_alone():
    for each in by_book(options()).values():
        row = each[MERGED]
        assert row.requirement < max(row.alone.values())
