"""Baskets of real members of the Hang Seng Index against its futures."""

from __future__ import annotations

import pytest
from real_books import (
    AMOUNT,
    MEMBERS,
    basket_books,
    index_and_fund,
    members_on,
    trading_days,
    turnover_weights,
)
from real_evidence import DAYS, LINKED, MERGED, SPREAD, TABLES, baskets, by_book, shown
from real_market import requires_real_data

pytestmark = requires_real_data


def test_the_page_shows_what_is_computed():
    assert shown("baskets") == TABLES["baskets"]()


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_baskets_are_of_members_that_traded_and_worth_what_is_said(day):
    members = members_on(trading_days(index_and_fund(), "HSI", day))
    weights = turnover_weights(day, members)
    assert sum(weights.values()) == pytest.approx(1.0)
    assert 27 <= len(members) <= len(MEMBERS)
    assert set(members) <= set(MEMBERS)
    books = basket_books(day)
    for book, held in books.books.items():
        worth = sum(quantity * books.prices[name][0] for name, quantity in held.items() if name != "HSI.F")
        assert worth == pytest.approx(AMOUNT if book.startswith("long") else -AMOUNT, rel=1e-4)
        assert len(held) == len(members) + 1


def test_no_design_asks_for_more_than_the_houses_alone():
    for row in baskets():
        assert 0 < row.requirement <= row.together + 0.01
    assert len(baskets()) == len(DAYS) * 4 * 4


def test_a_replica_has_india_s_credit_and_an_equal_basket_less_of_any_but_the_joint_model():
    under = by_book(baskets())
    for day in DAYS:
        for way in ("long", "short"):
            replica, equal = (under[day, f"{way} basket, {name}"] for name in ("turnover", "equal"))
            assert replica[SPREAD.name].saving == pytest.approx(0.75, abs=0.01)
            assert equal[SPREAD.name].saving < 0.5
            assert equal[LINKED].saving < replica[LINKED].saving
            assert equal[MERGED].saving > 0.6
