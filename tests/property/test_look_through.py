"""What holds of matching and spread credit for any books: bounds, splitting, scaling, order."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from matching_market import Bench, replica

from crossmargin.programmes.books import make_books
from crossmargin.programmes.look_through import FUND
from crossmargin.programmes.programme import Matching, Saving
from crossmargin.programmes.spread_credit import spread_credit

BENCH = Bench()
NAMES = sorted(BENCH.row)
UNITS = {"equity": 1000, "etf": 1000, "future": 1, "option": 10}
KIND = dict(zip(BENCH.snapshot.instruments["instrument"], BENCH.snapshot.instruments["kind"], strict=True))
FREE = Saving(minimum=0.0, cap=1.0)

LINES = st.dictionaries(st.sampled_from(NAMES), st.integers(-40, 40), max_size=10)
BASKETS = st.tuples(st.integers(-20, 20), st.sampled_from([1.0, 0.5, 1.2, 0.0]))
COVERAGES = st.sampled_from([1.0, 0.9, 0.6])


@st.composite
def books(draw):
    """Random lines, and often a basket near a replica."""
    held = {name: quantity * UNITS[KIND[name]] for name, quantity in draw(LINES).items()}
    size, factor = draw(BASKETS)
    for share, quantity in replica(size * 500_000, D=factor).items():
        held[share] = held.get(share, 0) + quantity
    return held


def matches(held, coverage=1.0):
    return BENCH.look.matched(BENCH.books(held), minimum_coverage=coverage)


def within(part, whole):
    return np.all(part <= np.abs(whole) * (1 + 1e-9) + 1e-6)


@given(books(), COVERAGES)
@settings(max_examples=200, deadline=None)
def test_no_side_is_matched_beyond_itself(held, coverage):
    found = matches(held, coverage)
    own = found.exposures
    assert np.all(found.amounts >= 0)
    assert within(found.amounts[:, [0, 2]].sum(axis=1), own.derivative)
    assert within(found.amounts[:, [1, 2]].sum(axis=1), own.fund)
    taken = own.held - found.left
    assert within(np.abs(taken), own.held)
    assert np.all(taken * own.held >= 0)
    np.testing.assert_allclose(
        np.abs(taken).sum(), found.amounts[:, :2].sum(), rtol=1e-6, atol=1.0 + 0.01 * found.amounts.size
    )


@given(books(), COVERAGES)
@settings(max_examples=100, deadline=None)
def test_what_is_matched_has_opposite_signs(held, coverage):
    found = matches(held, coverage)
    both = found.amounts[:, 2] > 0
    own = found.exposures
    assert np.all(own.derivative[both] * own.fund[both] < 0)
    against = found.amounts[:, 0] > 0
    assert np.all(own.derivative[against] * found.replica[against] < 0)


@given(books(), COVERAGES, st.integers(2, 50))
@settings(max_examples=100, deadline=None)
def test_many_times_the_book_matches_many_times_as_much(held, coverage, factor):
    once, more = matches(held, coverage), matches({name: factor * q for name, q in held.items()}, coverage)
    np.testing.assert_allclose(more.amounts, factor * once.amounts, rtol=1e-9, atol=0.01 * factor)


@given(books(), COVERAGES)
@settings(max_examples=100, deadline=None)
def test_the_opposite_book_matches_as_much(held, coverage):
    once, other = matches(held, coverage), matches({name: -q for name, q in held.items()}, coverage)
    assert once.amounts.tobytes() == other.amounts.tobytes()


@given(books(), st.randoms(use_true_random=False), COVERAGES)
@settings(max_examples=100, deadline=None)
def test_splitting_a_line_and_its_place_change_nothing(held, random, coverage):
    lines = []
    for name, quantity in held.items():
        part = random.randint(-50, 50)
        lines += [(0, BENCH.row[name], part), (0, BENCH.row[name], quantity - part)]
    random.shuffle(lines)
    book, rows, quantities = np.array(lines, np.int64).reshape(-1, 3).T
    split = BENCH.look.matched(make_books(book, rows, quantities, count=1), minimum_coverage=coverage)
    assert split.amounts.tobytes() == matches(held, coverage).amounts.tobytes()


@given(books(), books(), COVERAGES)
@settings(max_examples=50, deadline=None)
def test_a_book_is_matched_alike_in_any_company(held, other, coverage):
    alone = matches(held, coverage)
    together = BENCH.look.matched(BENCH.books(other, held, other), minimum_coverage=coverage)
    mine = together.exposures.book == 1
    assert together.amounts[mine].tobytes() == alone.amounts.tobytes()


@given(books())
@settings(max_examples=50, deadline=None)
def test_decomposition_keeps_the_sum(held):
    own = BENCH.look.exposures(BENCH.books(held))
    total = own.derivative.sum() + own.fund.sum() + own.held.sum()
    _, _, exposure = BENCH.look.by_share(BENCH.books(held))
    np.testing.assert_allclose(exposure.sum(), total, rtol=1e-9, atol=1e-3)
    assert np.all(own.fund[~np.isin(own.root, BENCH.look.root[BENCH.look.kind == FUND])] == 0)


@given(
    st.lists(books(), min_size=1, max_size=3),
    st.lists(st.integers(0, 10**9), min_size=9, max_size=9),
    COVERAGES,
)
@settings(max_examples=150, deadline=None)
def test_no_leg_saves_more_than_its_charge_leaves(held, margins, coverage):
    own = np.array(margins, np.int64)[: 3 * len(held)].reshape(-1, 3)
    matching = Matching(index_charge=0.25, far_charge=0.35, stock_charge=0.3, minimum_coverage=coverage)
    result = spread_credit(own, BENCH.legs(*held), BENCH.look, matching, FREE)
    reduced = result.outcome.reduced
    assert np.all(reduced <= own)
    assert np.all(reduced >= np.floor(0.25 * own) - 1)
    assert np.all(result.outcome.saving == own.sum(axis=1) - reduced.sum(axis=1))
    rows = np.zeros(len(held))
    cents = (result.matches["saving"].cast(float).to_numpy() * 100).round()
    np.add.at(rows, result.matches["account"].to_numpy(), cents)
    np.testing.assert_allclose(rows, result.outcome.saving, atol=3 + len(result.matches))
    capped = spread_credit(own, BENCH.legs(*held), BENCH.look, matching, Saving(minimum=0.0, cap=0.1))
    assert np.all(capped.outcome.saving <= 0.1 * own.sum(axis=1))
    assert np.all(capped.outcome.reduced >= reduced)


@given(books())
@settings(max_examples=50, deadline=None)
def test_charges_of_one_save_nothing(held):
    own = np.full((1, 3), 10_000)
    full = Matching(index_charge=1.0, far_charge=1.0, stock_charge=1.0)
    assert (
        spread_credit(own, BENCH.legs(held), BENCH.look, full, FREE).outcome.reduced.tolist() == own.tolist()
    )
