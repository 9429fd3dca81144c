"""What holds of American options for any input: bounds, order, symmetry, and the twin."""

from __future__ import annotations

import numpy as np
from american_books import ERROR, Book
from european_options import WIDTHS, revalue
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.kernels.american_boundary import AmericanStatus, boundary_prices, boundary_rule
from crossmargin.kernels.american_pairs import american_pairs_numpy
from crossmargin.kernels.european_pairs import european_pairs_numpy

SCENARIOS = 19  # one whole vector of either width, and some left over
RULE = boundary_rule(12, 32, 48)

kinds = st.sampled_from(WIDTHS)
rates = st.one_of(st.sampled_from([0.0, 0.03]), st.floats(0.0, 0.08))
years = st.floats(1 / 365, 2.0)
levels = st.floats(0.05, 1.0)


@st.composite
def books(draw, *, moves=None):
    """Return five strikes of one or two groups, volatilities within a factor of six of each other."""
    groups = draw(st.integers(1, 2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (groups, SCENARIOS)
    log_return, factor = moves or (rng.uniform(-0.6, 0.6, shape), np.exp(rng.uniform(-0.6, 0.6, shape)))
    terms = [np.array([draw(value) for _ in range(groups)]) for value in (years, rates, rates, levels)]
    return Book(
        *terms[:3],
        np.full(5 * groups, 100.0),
        100.0 * np.exp(rng.uniform(-0.7, 0.7, 5 * groups)),
        np.repeat(terms[3], 5) * np.exp(rng.uniform(-0.3, 0.3, 5 * groups)),
        np.broadcast_to(log_return, shape).copy(),
        np.broadcast_to(factor, shape).copy(),
    )


def slack(book, kind):
    return ERROR[kind] * np.maximum(book.moved()[0], book.strikes[:, None])


@given(kinds, books())
@settings(deadline=None)
def test_not_below_the_european_price_nor_what_exercise_brings(kind, book):
    calls, puts, _ = book.prices(kind)
    groups, pairs, factors, _ = book.arguments(kind)
    europeans = revalue(groups, pairs, factors, kernel=european_pairs_numpy, kind=np.float64)
    moneyness = book.moved()[0] - book.strikes[:, None]
    # what the width of a number rounds, no more: neither bound rests on the fit
    rounding = {np.float32: 1e-6, np.float64: 1e-11}[kind] * np.maximum(
        book.moved()[0], book.strikes[:, None]
    )
    for prices, european, exercised in (
        (calls, europeans[::2], moneyness),
        (puts, europeans[1::2], -moneyness),
    ):
        assert np.all(prices >= european - rounding)
        assert np.all(prices >= exercised - rounding)
        assert np.all(prices >= -rounding)


@given(kinds, books())
@settings(deadline=None)
def test_not_above_spot_or_strike(kind, book):
    calls, puts, _ = book.prices(kind)
    assert np.all(calls <= book.moved()[0] + slack(book, kind))
    assert np.all(puts <= book.strikes[:, None] + slack(book, kind))


@given(kinds, books())
@settings(deadline=None)
def test_kernel_is_its_twin(kind, book):
    found, twin = book.prices(kind), book.prices(np.float64, american_pairs_numpy)
    scale = np.maximum(book.moved()[0], book.strikes[:, None])
    for a, b in zip(found[:2], twin[:2], strict=True):
        assert np.max(np.abs(a - b) / scale) < {np.float32: 2e-6, np.float64: 1e-12}[kind]


@given(kinds, books())
@settings(deadline=None)
def test_a_call_is_the_put_with_spot_and_strike_rate_and_yield_exchanged(kind, book):
    mirror = Book(
        book.years, book.yields, book.rates, book.strikes, book.spots, book.volatilities,
        -book.log_return, book.factor,
    )  # fmt: skip
    calls, puts, _ = book.prices(kind)
    mirror_calls, mirror_puts, _ = mirror.prices(kind)
    growth = np.exp(book.log_return[book.group])
    assert np.all(np.abs(calls - growth * mirror_puts) <= slack(book, kind))
    assert np.all(np.abs(puts - growth * mirror_calls) <= slack(book, kind))


@given(kinds, books(moves=(np.linspace(-0.6, 0.6, SCENARIOS), np.ones(SCENARIOS))))
@settings(deadline=None)
def test_calls_rise_and_puts_fall_with_the_spot(kind, book):
    calls, puts, _ = book.prices(kind)
    assert np.all(np.diff(calls, axis=1) >= -slack(book, kind)[:, 1:])
    assert np.all(np.diff(puts, axis=1) <= slack(book, kind)[:, 1:])
    # and by no more than the spot itself
    assert np.all(np.diff(calls, axis=1) <= np.diff(book.moved()[0], axis=1) + slack(book, kind)[:, 1:])


@given(kinds, books(moves=(np.zeros(SCENARIOS), np.exp(np.linspace(-0.6, 0.6, SCENARIOS)))))
@settings(deadline=None)
def test_prices_rise_with_the_volatility(kind, book):
    for prices in book.prices(kind)[:2]:
        assert np.all(np.diff(prices, axis=1) >= -slack(book, kind)[:, 1:])


@given(kinds, books(), st.floats(-0.3, 0.3))
@settings(deadline=None)
def test_calls_fall_and_puts_rise_with_the_strike(kind, book, shift):
    higher = Book(
        book.years, book.rates, book.yields, book.spots, book.strikes * np.exp(abs(shift)),
        book.volatilities, book.log_return, book.factor,
    )  # fmt: skip
    calls, puts, _ = book.prices(kind)
    higher_calls, higher_puts, _ = higher.prices(kind)
    assert np.all(higher_calls <= calls + 2 * slack(higher, kind))
    assert np.all(higher_puts >= puts - 2 * slack(higher, kind))


@given(kinds, books(), st.floats(1.0, 2.0))
@settings(deadline=None)
def test_prices_rise_with_the_time_left(kind, book, factor):
    longer = Book(
        book.years * factor, book.rates, book.yields, book.spots, book.strikes, book.volatilities,
        book.log_return, book.factor,
    )  # fmt: skip
    for later, sooner in zip(longer.prices(kind)[:2], book.prices(kind)[:2], strict=True):
        assert np.all(later >= sooner - 2 * slack(book, kind))


@given(kinds, books(), st.floats(1e-2, 1e2))
@settings(deadline=None)
def test_the_unit_of_money_does_not_matter(kind, book, unit):
    other = Book(
        book.years, book.rates, book.yields, unit * book.spots, unit * book.strikes, book.volatilities,
        book.log_return, book.factor,
    )  # fmt: skip
    for a, b in zip(other.prices(kind)[:2], book.prices(kind)[:2], strict=True):
        assert np.all(np.abs(a - unit * b) <= unit * slack(book, kind))


@given(
    st.sampled_from([1.0, -1.0]),
    st.floats(0.3, 3.0),
    st.floats(0.01, 3.0),
    st.floats(1 / 365, 5.0),
    st.floats(-0.05, 0.15),
    st.floats(-0.05, 0.15),
)
@settings(deadline=None)
def test_the_solver_settles_or_says_why_and_keeps_the_bounds(side, spot, volatility, left, rate, income):
    terms = [np.array([x]) for x in (side, spot, 1.0, volatility, left, rate, income)]
    (price,), (status,) = boundary_prices(RULE, *terms)
    interest, yielded = (rate * left, income * left) if side < 0 else (income * left, rate * left)
    # a rate that is nothing to the twelfth digit counts as nothing
    assert (status == AmericanStatus.TWO_BOUNDARIES) == (yielded < interest < -1e-12)
    if status != AmericanStatus.TWO_BOUNDARIES:
        assert status in {AmericanStatus.FOUND, AmericanStatus.NEVER_EXERCISED}
        assert price >= side * (spot - 1.0) - 1e-9
        assert price >= -1e-12
