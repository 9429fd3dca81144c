"""What holds of PRiME's view of any book, whatever it holds."""

from __future__ import annotations

from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from prime_market import FUND, correlated_scenarios, fund_weights, linked_market

from crossmargin.models.span.from_market import market_span
from crossmargin.programmes.books import make_books
from crossmargin.programmes.prime_house import PrimeHouse


@cache
def prime():
    snapshot = linked_market(fund_options=True)
    return snapshot.instruments, PrimeHouse(
        span=market_span(snapshot, correlated_scenarios(), fund_weights({FUND: "HSI"}))
    )


POSITIONS = st.dictionaries(
    st.integers(0, 35), st.integers(-1000, 1000).filter(bool), min_size=1, max_size=12
)


def books_of(*held, gross=False):
    rows = [(number, row, quantity) for number, book in enumerate(held) for row, quantity in book.items()]
    book, row, quantity = np.array(rows, np.int64).reshape(-1, 3).T
    return make_books(book, row.astype(np.int32), quantity, count=len(held), gross=np.full(len(held), gross))


@settings(max_examples=40)
@given(POSITIONS)
def test_risk_is_not_negative_and_grows_with_the_book(held):
    """Tolerance: each of at most 6 commodities and 4 cash instruments is rounded to the cent, once and three times."""
    instruments, house = prime()
    assert len(instruments) > 35
    tripled = {row: 3 * quantity for row, quantity in held.items()}
    once, thrice = house.market_risk(books_of(held, tripled)).tolist()
    assert once >= 0
    assert abs(thrice - 3 * once) <= 4 * 10


@settings(max_examples=40)
@given(POSITIONS)
def test_gross_is_no_less_than_net_of_what_has_no_options(held):
    """Tolerance: as above. An offset saves twice the scan range and a spread charges a part of one."""
    instruments, house = prime()
    linear = np.flatnonzero((instruments["kind"] != "option").to_numpy())
    book: dict[int, int] = {}
    for number, quantity in held.items():
        row = int(linear[number % linear.size])
        book[row] = book.get(row, 0) + quantity
    net = house.market_risk(books_of(book))[0]
    gross = house.market_risk(books_of(book, gross=True))[0]
    assert gross >= net - 10


@settings(max_examples=40)
@given(POSITIONS, POSITIONS)
def test_a_book_alone_is_what_it_is_among_others(held, other):
    _, house = prime()
    both, alone = house.accounts(books_of(held, other)), house.accounts(books_of(held))
    assert both.risk[0] == alone.risk[0]
    assert both.requirement[0] == alone.requirement[0]


@settings(max_examples=40)
@given(POSITIONS)
def test_option_value_turns_with_the_book(held):
    _, house = prime()
    turned = {row: -quantity for row, quantity in held.items()}
    value = house.accounts(books_of(held, turned)).option_value
    assert abs(int(value.sum())) <= 10
