"""What holds for HKSCC's model of any books, of its own and of converted products."""

from __future__ import annotations

from dataclasses import replace

import numba
import numpy as np
from hkscc_house_market import FUND_PRICE, NEAR_FUTURE, books_of, house_of, scenarios_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossmargin.programmes.books import joined_books, make_books
from crossmargin.programmes.conversion import Conversion

profile = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)

HOUSE = house_of(sub_margin_groups={"9999": "1"})
CODES = HOUSE.snapshot.instruments["instrument"].filter(HOUSE.can_margin.tolist()).to_list()
MOST_GROUPS = 2
"""Sub-margin groups of flat rates at most: each is rounded to the cent."""

quantities = st.integers(-50_000, 50_000).filter(bool)
legs = st.tuples(st.sampled_from(CODES), quantities)
books = st.lists(legs, max_size=8)


def risk(*held, house=HOUSE):
    return house.market_risk(books_of(house, *held))


@profile
@given(books, st.data())
def test_splitting_a_line_and_a_position_of_zero_change_nothing(held, data):
    parts = []
    for code, quantity in held:
        cut = data.draw(st.integers(-50_000, 50_000))
        parts += [(code, cut), (code, quantity - cut)]
    parts += [(code, 0) for code in data.draw(st.lists(st.sampled_from(CODES), max_size=3))]
    split = data.draw(st.permutations(parts))
    whole, other = risk(held, split)
    assert whole == other
    assert len(set(HOUSE.liquidation(books_of(HOUSE, held, split)).tolist())) == 1


@profile
@given(st.lists(books, min_size=1, max_size=6), st.data())
def test_the_order_of_books_is_that_of_results(many, data):
    flags = data.draw(st.lists(st.booleans(), min_size=len(many), max_size=len(many)))
    order = np.array(data.draw(st.permutations(range(len(many)))))
    given_books = books_of(HOUSE, *many, gross=flags)
    for measure in (HOUSE.market_risk, HOUSE.liquidation):
        result = measure(given_books)
        assert np.array_equal(measure(given_books.select(order)), result[order])
        alone = [measure(given_books.select(np.array([book])))[0] for book in range(len(many))]
        assert result.tolist() == alone
        assert np.all(result >= 0)


@profile
@given(books)
def test_twice_the_book_is_twice_the_margin_but_for_rounding(held):
    single = books_of(HOUSE, held)
    union = joined_books([single, single]).regrouped(np.zeros(2, np.int64), 1)
    once, twice = int(HOUSE.market_risk(single)[0]), int(HOUSE.market_risk(union)[0])
    lines = single.rows.size
    whole_hkd, cents = 150 * (lines + 1), 1.5 * (lines + MOST_GROUPS)
    assert abs(twice - 2 * once) <= whole_hkd + cents


@profile
@given(st.integers(1, 2_000), st.booleans())
def test_a_fund_against_equal_futures_leaves_the_measured_basis(futures, long_fund):
    """One future is 50,000 units of the fund: what is left is charged for index and fund coming apart."""
    side = 1 if long_fund else -1
    proxy, factor, basis = (
        HOUSE.conversion.table.filter(native=NEAR_FUTURE).select("proxy", "factor", "basis_charge").row(0)
    )
    assert abs(factor - 50_000) < 1e-6
    hedged, fund = risk(
        [(proxy, side * 50_000 * futures), (NEAR_FUTURE, -side * futures)], [(proxy, futures)]
    )
    assert int(hedged) == round(basis * futures * 50_000 * FUND_PRICE * 100)
    assert 0 < hedged < 50_000 * int(fund)


@profile
@given(books, st.floats(0.0, 0.01))
def test_a_higher_charge_is_never_a_lower_margin(held, more):
    table = HOUSE.conversion.table
    raised = table.with_columns(table["basis_charge"] + more, table["short_charge"] + 100 * more)
    dearer = replace(HOUSE, conversion=Conversion(table=raised, unconverted=HOUSE.conversion.unconverted))
    assert risk(held, house=dearer)[0] >= risk(held)[0]


@profile
@given(books, books)
def test_two_books_together_ask_for_no_more_than_apart(first, second):
    """Expected shortfall and floors are subadditive, so that two books together ask for no more than apart."""
    house = house_of_loss_tails()
    alone = house.market_risk(books_of(house, first, second))
    joint = house.market_risk(books_of(house, [*first, *second]))
    lines = len(first) + len(second)
    assert int(joint[0]) <= int(alone.sum()) + 150 * (lines + 2) + 2 * MOST_GROUPS + 2 * lines


def house_of_loss_tails():
    """Without the guide's absolute value, by which a tail that is a gain is charged."""
    return replace(HOUSE, settings=replace(HOUSE.settings, gain_tail="zero"))


def test_threads_change_nothing():
    rng = np.random.default_rng(3)
    rows = np.flatnonzero(HOUSE.can_margin)[rng.integers(0, len(CODES), 20_000)].astype(np.int32)
    many = make_books(rng.integers(0, 2_000, 20_000), rows, rng.integers(-9_999, 9_999, 20_000), count=2_000)
    before, found = numba.get_num_threads(), []
    for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        found.append(HOUSE.market_risk(many).tobytes())
    numba.set_num_threads(before)
    assert len(set(found)) == 1


def test_a_fund_that_tracks_without_error_is_charged_nothing():
    exact = house_of(scenarios=scenarios_of(tracking=0.0))
    assert exact.conversion.table.filter(native=NEAR_FUTURE)["basis_charge"].item() == 0.0
    assert exact.market_risk(books_of(exact, [("2801", 50_000), (NEAR_FUTURE, -1)])) == 0
