"""Laws of the joint model that hold of any legs: whole numbers, so that nothing but the division rounds."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_market import AS_OF, index_market, scenario_set

from crossmargin.models.expected_shortfall.settings import EsSettings
from crossmargin.models.market import HOUSES
from crossmargin.models.revaluation.cube import make_cube
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.programmes.books import Books, make_books
from crossmargin.programmes.joint.model import JointModel, joint_model
from crossmargin.programmes.joint.tails import joint_tails

SUBSETS = range(1 << len(HOUSES))


def whole_model() -> JointModel:
    """A model whose rows are whole numbers; weights 3/4 and 1/4, tails 3 and 2, buffer 1/4."""
    snapshot = make_snapshot(index_market(), AS_OF)
    cube = make_cube(snapshot, scenario_set(), RevaluationSettings(precision="float64"))
    cube.pnl[:] = np.rint(cube.pnl)
    return joint_model(snapshot, cube, EsSettings(buffer=0.25))


MODEL = whole_model()


@st.composite
def legs_of_units(draw: st.DrawFn) -> Books:
    """Up to four units of three legs with few instruments, so that legs share some; some are empty."""
    count = 3 * draw(st.integers(1, 4))
    position = st.tuples(st.integers(0, count - 1), st.integers(0, 7), st.integers(-9, 9))
    held = draw(st.lists(position, max_size=24))
    book, rows, quantities = np.array(held, np.int64).reshape(-1, 3).T
    return make_books(book, rows, quantities, count=count)


def exact_margin(books: Books, book: int) -> Fraction:
    """The blended shortfall with buffer in hundredths, in rational arithmetic, before rounding; at least 0."""
    held = slice(books.starts[book], books.starts[book + 1])
    pnl = books.quantities[held] @ MODEL.cube.pnl[MODEL.rows[books.rows[held]]]
    total = Fraction(0)
    for part, (start, stop) in zip(MODEL.cube.parts, MODEL.cube.layout.bounds, strict=True):
        worst = sorted(Fraction(value) for value in pnl[start:stop].tolist())[: part.tail_count]
        total -= Fraction(part.weight) * sum(worst) / part.tail_count
    return max(total, Fraction(0)) * Fraction(5, 4) * 100


def unions(legs: Books, subset: int) -> Books:
    """The netted positions of a subset of each unit's legs."""
    number = np.arange(legs.count)
    inside = (subset >> number % len(HOUSES) & 1).astype(bool)
    return legs.regrouped(np.where(inside, number // len(HOUSES), -1), legs.count // len(HOUSES))


@given(legs_of_units())
@settings(max_examples=30)
def test_every_subset_is_its_union_in_exact_arithmetic(legs):
    """Rounded to a whole hundredth: a half away, and 10^-3 for what float64 makes of the division."""
    tails = joint_tails(MODEL, legs, HOUSES)
    for subset in SUBSETS:
        books = unions(legs, subset)
        exact = [exact_margin(books, book) for book in range(books.count)]
        for found in (tails.subsets[:, subset], MODEL.market_risk(books)):
            assert all(
                abs(int(amount) - value) <= Fraction("0.501")
                for amount, value in zip(found, exact, strict=True)
            )


@given(legs_of_units())
def test_parts_by_house_add_up(legs):
    tails = joint_tails(MODEL, legs, HOUSES)
    books = unions(legs, SUBSETS[-1])
    exact = [float(exact_margin(books, book)) / 100 for book in range(books.count)]
    size = np.abs(tails.euler).sum(axis=1)
    assert (np.abs(np.maximum(tails.euler.sum(axis=1), 0) - exact) <= 1e-12 * size).all()


@given(legs_of_units())
def test_no_leg_brings_more_than_its_own_margin(legs):
    """Mean loss in any scenarios is at most that in the leg's worst: Euler's part is not above the stand-alone."""
    tails = joint_tails(MODEL, legs, HOUSES)
    assert (tails.euler <= tails.alone / 100 + 0.005001).all()


@given(legs_of_units())
def test_a_union_needs_no_more_than_its_parts(legs):
    """Subadditive, for subsets without a house in common; a hundredth for the rounding of three amounts."""
    subsets = joint_tails(MODEL, legs, HOUSES).subsets
    for one in SUBSETS:
        for other in SUBSETS:
            if not one & other:
                assert (subsets[:, one | other] <= subsets[:, one] + subsets[:, other] + 1).all()


@given(legs_of_units(), st.integers(2, 50))
def test_so_many_times_the_positions_need_so_many_times_the_margin(legs, factor):
    larger = Books(starts=legs.starts, rows=legs.rows, quantities=legs.quantities * factor, gross=legs.gross)
    one, several = (joint_tails(MODEL, books, HOUSES) for books in (legs, larger))
    assert (np.abs(several.subsets - factor * one.subsets) <= (factor + 1) / 2).all()
    np.testing.assert_allclose(several.euler, factor * one.euler, rtol=1e-12, atol=0)
    np.testing.assert_allclose(several.correlations, one.correlations, rtol=0, atol=1e-9)


@given(legs_of_units(), st.sampled_from(list(permutations(range(3)))))
def test_the_order_of_the_houses_permutes_the_result(legs, order):
    units = legs.count // 3
    moved = legs.select((3 * np.arange(units)[:, None] + np.array(order)).ravel())
    one, other = joint_tails(MODEL, legs, HOUSES), joint_tails(MODEL, moved, HOUSES)
    for subset in SUBSETS:
        image = sum((subset >> order[place] & 1) << place for place in range(3))
        assert np.array_equal(other.subsets[:, image], one.subsets[:, subset])
    assert np.array_equal(other.euler, one.euler[:, list(order)])


@given(legs_of_units())
def test_the_order_of_the_units_permutes_the_result(legs):
    units = legs.count // 3
    backwards = np.arange(units)[::-1]
    moved = legs.select((3 * backwards[:, None] + np.arange(3)).ravel())
    one, other = joint_tails(MODEL, legs, HOUSES), joint_tails(MODEL, moved, HOUSES)
    for name in ("subsets", "euler", "correlations"):
        assert getattr(other, name).tobytes() == np.ascontiguousarray(getattr(one, name)[::-1]).tobytes()


@given(legs_of_units())
def test_a_gross_book_needs_no_less(legs):
    gross = Books(
        starts=legs.starts, rows=legs.rows, quantities=legs.quantities, gross=np.ones(legs.count, bool)
    )
    slack = (np.diff(legs.starts) + 1) / 2
    assert (MODEL.market_risk(gross) >= MODEL.market_risk(legs) - slack).all()


@pytest.mark.parametrize("subset", SUBSETS)
def test_the_laws_are_not_of_empty_books(subset):
    """The rows that the books above draw from do move."""
    held = MODEL.cube.pnl[MODEL.rows[:8]]
    assert (np.ptp(held, axis=1) > 0).all()
    legs = make_books(np.arange(3), np.arange(3), np.ones(3, np.int64), count=3)
    amount = joint_tails(MODEL, legs, HOUSES).subsets[0, subset]
    assert (amount > 0) == (subset > 0)
