"""American revaluation: solver, fit and kernel against their twins, the edges, and the vector code."""

from __future__ import annotations

import itertools
import math
import platform
import re
import time

import llvmlite.binding
import numba
import numpy as np
import pytest
from american_books import Book
from european_options import NO_GAPS
from numba import njit

from crossmargin.kernels import american_pairs as kernels
from crossmargin.kernels.american_boundary import (
    REFERENCE_RULE,
    AmericanStatus,
    boundary_prices,
    boundary_prices_numpy,
    boundary_rule,
    exercise_case,
    log_start,
)
from crossmargin.kernels.american_pairs import (
    american_base_prices,
    american_pairs,
    american_pairs_full,
    american_pairs_numpy,
    american_pairs_plain,
    deviation_ranges,
    pair_premiums,
)
from crossmargin.kernels.american_premium import (
    CALL,
    CLASS_DEGREES,
    PUT,
    fit_premiums,
    premium_numpy,
)

WIDTHS = (np.float32, np.float64)
TWIN = {np.float32: 2e-6, np.float64: 1e-12}  # of the larger of spot and strike


def one(*values):
    return [np.array([value], np.float64) for value in values]


def random_book(scenarios=37, sizes=(40, 1, 0, 30, 25, 20), *, smile=0.0, seed=3):
    """Return a book with every class of polynomial and sides that are never exercised."""
    rng = np.random.default_rng(seed)
    years = np.array([5 / 365, 30 / 365, 1.0, 1.5, 5.0, 0.5])[: len(sizes)]
    rates = np.array([0.03, 0.04, 0.03, 0.03, 0.01, 0.0])[: len(sizes)]
    yields = np.array([0.01, 0.05, 0.0, 0.02, 0.06, 0.0])[: len(sizes)]
    level = np.repeat(np.array([0.3, 0.5, 0.2, 0.25, 1.2, 0.2])[: len(sizes)], sizes)
    count, shape = sum(sizes), (len(sizes), scenarios)
    return Book(
        years,
        rates,
        yields,
        np.full(count, 100.0),
        100.0 * np.exp(rng.uniform(-0.5, 0.5, count)),
        level * rng.uniform(0.8, 1.25, count),
        rng.uniform(-0.4, 0.4, shape),
        np.exp(rng.uniform(-0.6, 0.6, shape)),
        smile,
        sizes,
    )


# Solver


def test_solver_equals_its_twin():
    rule = boundary_rule(12, 32, 48)
    for deviation, interest, income in (
        (0.2, 0.03, 0.0),
        (0.1, 0.03, 0.05),
        (1.5, 0.2, 0.1),
        (0.3, 0.0, -0.02),
    ):
        for log_spot in (0.0, 0.1, 0.4):
            spot, ones = math.exp(log_spot), np.ones(1)
            found, status = boundary_prices(
                rule, -ones, spot * ones, *one(1.0, deviation, 1.0, interest, income), 1e-13
            )
            twin = boundary_prices_numpy(rule, log_spot, deviation, interest, income, 100)
            assert status[0] == AmericanStatus.FOUND
            assert found[0] == pytest.approx(twin, abs=1e-13)


def test_finer_rules_agree_within_1e_7():
    """The rule of the fits, one between and the reference, over a wide grid."""
    grid = np.meshgrid(
        [-1.0, 1.0],
        [0.8, 1.0, 1.3],
        [0.05, 0.3, 1.0],
        [1 / 365, 0.5, 2.0],
        [0.0, 0.03],
        [-0.01, 0.0, 0.02, 0.05],
    )
    side, spot, volatility, years, rate, income = (np.ascontiguousarray(axis.ravel()) for axis in grid)
    terms = (side, spot, np.ones_like(spot), volatility, years, rate, income)
    best, statuses = boundary_prices(REFERENCE_RULE, *terms)
    assert set(statuses) == {AmericanStatus.FOUND, AmericanStatus.NEVER_EXERCISED}
    for rule, most in ((boundary_rule(10, 24, 40), 3e-7), (boundary_rule(16, 40, 64), 3e-8)):
        prices, _ = boundary_prices(rule, *terms)
        assert np.abs(prices - best).max() < most


def test_perpetual_limit():
    """With 400 years to go a put is worth what McKean's formula of the perpetual put says."""
    rate, volatility, spot = 0.05, 0.3, 1.0
    price, _ = boundary_prices(REFERENCE_RULE, *one(-1.0, spot, 1.0, volatility, 400.0, rate, 0.0))
    power = 2.0 * rate / volatility**2
    boundary = power / (1.0 + power)
    assert price[0] == pytest.approx((1.0 - boundary) * (spot / boundary) ** -power, abs=2e-4)


@pytest.mark.parametrize(
    ("rate", "income", "put", "call"),
    [
        (0.03, 0.0, AmericanStatus.FOUND, AmericanStatus.NEVER_EXERCISED),
        (0.03, 0.05, AmericanStatus.FOUND, AmericanStatus.FOUND),
        (0.0, 0.0, AmericanStatus.NEVER_EXERCISED, AmericanStatus.NEVER_EXERCISED),
        (0.0, -0.01, AmericanStatus.FOUND, AmericanStatus.NEVER_EXERCISED),
        (-0.01, 0.02, AmericanStatus.NEVER_EXERCISED, AmericanStatus.FOUND),
        (-0.01, 0.0, AmericanStatus.NEVER_EXERCISED, AmericanStatus.FOUND),
        (-0.01, -0.02, AmericanStatus.TWO_BOUNDARIES, AmericanStatus.NEVER_EXERCISED),
        (-0.02, -0.01, AmericanStatus.NEVER_EXERCISED, AmericanStatus.TWO_BOUNDARIES),
    ],
)
def test_cases_of_exercise(rate, income, put, call):
    assert exercise_case(rate, income) == put
    assert exercise_case(income, rate) == call
    for side, status in ((-1.0, put), (1.0, call)):
        _, found = boundary_prices(REFERENCE_RULE, *one(side, 1.1, 1.0, 0.2, 1.0, rate, income))
        assert found[0] == status
    fits = fit_premiums(*one(rate, income, 0.1, 0.4))
    assert fits.statuses[0].tolist() == [call, put]
    assert (fits.classes[0] > 0).tolist() == [call == AmericanStatus.FOUND, put == AmericanStatus.FOUND]


@pytest.mark.parametrize("place", range(1, 7))
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_told(place, value):
    terms = [-1.0, 1.0, 1.0, 0.2, 1.0, 0.03, 0.01]
    terms[place] = value
    price, status = boundary_prices(REFERENCE_RULE, *one(*terms))
    assert status[0] == AmericanStatus.INVALID
    assert np.isnan(price[0])


@pytest.mark.parametrize(
    "terms",
    [
        (0.0, 1.0, 1.0, 0.2, 1.0, 0.03, 0.01),
        (1.0, 0.0, 1.0, 0.2, 1.0, 0.03, 0.01),
        (1.0, 1.0, -1.0, 0.2, 1.0, 0.03, 0.01),
        (-1.0, 1.0, 1.0, 0.0, 1.0, 0.03, 0.01),
        (-1.0, 1.0, 1.0, 0.2, 0.0, 0.03, 0.01),
        (-1.0, 1.0, 1.0, 0.2, -1.0, 0.03, 0.01),
    ],
)
def test_impossible_terms_are_told(terms):
    _, status = boundary_prices(REFERENCE_RULE, *one(*terms))
    assert status[0] == AmericanStatus.INVALID


def test_boundary_at_expiry():
    assert log_start(0.03, 0.01) == 0.0
    assert log_start(0.02, 0.04) == pytest.approx(math.log(0.5))


# Fit


def test_fits_of_impossible_ranges_are_told():
    interest, income = np.full(5, 0.03), np.array([0.01, 0.01, 0.01, math.nan, 0.01])
    low, high = np.array([0.0, 0.3, math.nan, 0.1, 0.1]), np.array([0.1, 0.2, 0.2, 0.2, math.inf])
    fits = fit_premiums(interest, income, low, high)
    assert (fits.statuses == AmericanStatus.INVALID).all()
    assert (fits.classes == 0).all()


def test_a_range_of_one_deviation_can_be_fitted():
    fits = fit_premiums(*one(0.03, 0.01, 0.2, 0.2))
    log_spot = np.linspace(-0.3, 0.3, 13)
    premium = premium_numpy(fits.classes[0, PUT], fits.numbers[0, PUT], log_spot, np.full(13, 0.2))
    ones = np.ones(13)
    found, _ = boundary_prices(
        REFERENCE_RULE, -ones, np.exp(log_spot), ones, 0.2 * ones, ones, 0.03 * ones, 0.01 * ones
    )
    never, _ = boundary_prices(  # the European price: with the rates of a put that is never exercised
        REFERENCE_RULE,
        -ones,
        np.exp(log_spot - 0.01),
        ones * math.exp(-0.03),
        0.2 * ones,
        ones,
        0 * ones,
        0 * ones,
    )
    price = np.maximum(never + premium, 1.0 - np.exp(log_spot))
    assert np.abs(price - found).max() < 3e-6


def test_classes_begin_each_other():
    for smaller, larger in itertools.pairwise(CLASS_DEGREES):
        assert all(a <= b for a, b in zip(smaller, larger, strict=False))
        assert len(smaller) <= len(larger)


def test_wider_ranges_take_larger_classes():
    widths = np.array([1.05, 3.0, 6.0, 12.0])
    fits = fit_premiums(*(np.full(4, x) for x in (0.04, 0.03)), 0.4 / np.sqrt(widths), 0.4 * np.sqrt(widths))
    assert (np.diff(fits.classes, axis=0) >= 0).all()
    assert (fits.classes[-1] > fits.classes[0]).all()


# Kernel and twin


@pytest.mark.parametrize("smile", [0.0, -0.15])
@pytest.mark.parametrize("kind", WIDTHS)
def test_kernel_equals_its_twin(kind, smile):
    book = random_book(smile=smile)
    calls, puts, fits = book.prices(kind)
    twin_calls, twin_puts, _ = book.prices(np.float64, american_pairs_numpy)
    assert smile or set(np.unique(fits.classes)) == {0, 1, 2, 3, 4}
    scale = np.maximum(book.moved()[0], book.strikes[:, None])
    assert np.max(np.abs(calls - twin_calls) / scale) < TWIN[kind]
    assert np.max(np.abs(puts - twin_puts) / scale) < TWIN[kind]


@pytest.mark.parametrize("columns", [1, 15, 16, 17, 2047, 2048, 2049, 4100])
def test_any_number_of_columns(columns):
    """Whole vectors and blocks, and some left over."""
    book = random_book(columns, (3, 2))
    calls, puts, _ = book.prices(np.float32)
    twin_calls, twin_puts, _ = book.prices(np.float64, american_pairs_numpy)
    assert np.abs(calls - twin_calls).max() < 4e-4
    assert np.abs(puts - twin_puts).max() < 4e-4


def test_full_kernel_without_smile_and_skew_is_the_plain_one():
    book = random_book()
    plain, full = (book.prices(np.float64, kernel) for kernel in (american_pairs_plain, american_pairs_full))
    np.testing.assert_allclose(full[0], plain[0], rtol=0, atol=1e-11)
    np.testing.assert_allclose(full[1], plain[1], rtol=0, atol=1e-11)
    assert all(
        a.tobytes() == b.tobytes() for a, b in zip(plain[:2], book.prices(np.float64)[:2], strict=True)
    )


def test_sticky_delta_smile_is_the_price_at_the_moved_volatility():
    """What the scenario does to the volatility, written out for the solver."""
    book = random_book(5, (6, 3), smile=-0.2)
    spots, volatilities = book.moved()
    calls, puts, _ = book.prices(np.float64)
    group = book.group
    terms = [np.repeat(x[group], 5) for x in (book.years, book.rates, book.yields)]
    strikes = np.repeat(book.strikes, 5)
    for side, prices in ((1.0, calls), (-1.0, puts)):
        exact, _ = boundary_prices(
            REFERENCE_RULE, np.full(strikes.size, side), spots.ravel(), strikes, volatilities.ravel(), *terms
        )
        assert np.abs(prices.ravel() - exact).max() < 1e-3


def arguments(kind, book):
    groups, pairs, factors, fits = book.arguments(kind)
    premiums = pair_premiums(fits, book.rates * book.years, book.yields * book.years, kind)
    return groups, pairs, factors, premiums


@pytest.mark.parametrize("kind", WIDTHS)
def test_gaps_are_zero_and_unwanted_rows_are_left_alone(kind):
    groups, pairs, factors, premiums = arguments(kind, random_book(64, (4, 3)))
    pairs.call_row[2], pairs.put_row[5] = -1, -1
    cube = np.full((14, 64), 7.0, kind)
    american_pairs(groups, pairs, factors, premiums, np.array([[10, 17], [60, 64]]), cube)
    untouched = np.zeros(14, dtype=bool)
    untouched[[4, 11]] = True
    assert (cube[untouched] == 7.0).all()
    assert (cube[~untouched][:, 10:17] == 0.0).all()
    assert (cube[~untouched][:, 60:] == 0.0).all()
    assert (cube[~untouched][:, :10] != 7.0).all()


def test_rates_that_move_are_refused():
    groups, pairs, factors, premiums = arguments(np.float64, random_book(4, (2,)))
    moving = factors._replace(discount=np.ones((1, 4)))
    with pytest.raises(AssertionError, match="rates standing still"):
        american_pairs(groups, pairs, moving, premiums, NO_GAPS, np.empty((4, 4)))


def test_no_move_is_no_profit_from_the_base():
    groups, pairs, factors, premiums = arguments(np.float64, random_book(3, (5, 4, 3)))
    call, put = american_base_prices(groups, pairs, premiums)
    pairs = pairs._replace(call_base=call, put_base=put)
    still = factors._replace(
        log_return=0 * factors.log_return,
        growth=0 * factors.growth + 1,
        volatility_factor=0 * factors.volatility_factor + 1,
    )
    cube = np.empty((24, 3))
    american_pairs(groups, pairs, still, premiums, NO_GAPS, cube)
    assert np.abs(cube).max() == 0.0


def test_scale_and_base():
    groups, pairs, factors, premiums = arguments(np.float64, random_book(9, (3, 2)))
    prices, cube = np.empty((10, 9)), np.empty((10, 9))
    american_pairs(groups, pairs, factors, premiums, NO_GAPS, prices)
    base = np.arange(5.0)
    scaled = pairs._replace(
        call_scale=np.full(5, 50.0), put_scale=np.full(5, 10.0), call_base=base, put_base=2 * base
    )
    american_pairs(groups, scaled, factors, premiums, NO_GAPS, cube)
    np.testing.assert_allclose(cube[::2], 50.0 * (prices[::2] - base[:, None]), atol=1e-10)
    np.testing.assert_allclose(cube[1::2], 10.0 * (prices[1::2] - 2 * base[:, None]), atol=1e-10)


def test_expired_options_are_worth_their_exercise():
    book = Book(
        np.zeros(1), np.full(1, 0.03), np.full(1, 0.01), np.full(3, 100.0), np.array([80.0, 100.0, 130.0]),
        np.full(3, 0.2), np.array([[-0.1, 0.0, 0.2]]), np.ones((1, 3)),
    )  # fmt: skip
    calls, puts, fits = book.prices(np.float64)
    assert (fits.classes == 0).all()
    moneyness = book.moved()[0] - book.strikes[:, None]
    np.testing.assert_allclose(calls, np.maximum(moneyness, 0.0), atol=1e-10)
    np.testing.assert_allclose(puts, np.maximum(-moneyness, 0.0), atol=1e-10)


@pytest.mark.parametrize("smile", [0.0, 0.3])
def test_ranges_are_those_of_the_deviations(smile):
    book = random_book(50, (4, 0, 6), smile=smile)
    groups, pairs, factors, _ = book.arguments(np.float64)
    low, high = deviation_ranges(groups, pairs, factors)
    both = np.concatenate([book.moved()[1], book.volatilities[:, None]], axis=1)
    deviations = np.maximum(both * np.sqrt(book.years[book.group])[:, None], 1e-13)
    for group in (0, 2):
        own = deviations[book.group == group]
        assert low[group] == pytest.approx(own.min(), rel=1e-12)
        assert high[group] == pytest.approx(own.max(), rel=1e-12)
    assert (low[1], high[1]) == (1.0, 1.0)


def test_same_bytes_on_one_thread_and_two():
    book = random_book(100, (90, 80, 3))
    before = numba.get_num_threads()
    found = []
    try:
        for threads in {1, before}:
            numba.set_num_threads(threads)
            for kind in WIDTHS:
                calls, puts, fits = book.prices(kind)
                found.append((kind, calls.tobytes(), puts.tobytes(), *(part.tobytes() for part in fits)))
    finally:
        numba.set_num_threads(before)
    assert len(set(found)) == len(WIDTHS)


# Vector code


def packed_instructions(function, suffix, *values):
    """Return how many multiply-adds of a fresh compilation work on a whole register."""
    fresh = njit(fastmath=kernels.FAST, error_model="numpy")(function.py_func)
    fresh(*values)
    (assembly,) = fresh.inspect_asm().values()
    return len(re.findall(rf"\bvfn?m(?:add|sub)\d+p{suffix}\s.*[yz]mm", assembly))


@pytest.mark.skipif(
    platform.machine() not in {"x86_64", "AMD64"} or not llvmlite.binding.get_host_cpu_features().get("fma"),
    reason="reads x86 instructions with fused multiply-adds",
)
@pytest.mark.parametrize(("kind", "suffix"), [(np.float32, "s"), (np.float64, "d")])
def test_the_loops_are_vector_code(kind, suffix):
    """Nearly all multiply-adds of each step; where a loop is scalar there are none."""
    _, pairs, factors, premiums = arguments(kind, random_book(64, (2,)))
    rows, numbers, real = list(np.ones((8, 64), kind)), premiums.numbers[0, PUT], kind
    moves = (factors.log_return[0], factors.growth[0])
    # what comes back to Python is a float64
    terms, own = np.ones(42, kind), kernels.Own(*(real(x) for x in kernels._own(pairs, 0, premiums, 0)))
    cases = [
        (kernels._plain_europeans, 15, (own, *moves, rows[0], *rows[1:5])),
        (kernels._full_europeans, 15, (own, *moves, rows[0], rows[5], *rows[1:5])),
        (kernels._place, 7, (real(1.0), real(0.1), numbers, moves[0], *rows[:4])),
        (kernels._powers_12, 9, (terms, *rows[:3])),
        (kernels._powers_17, 13, (terms, *rows[:3])),
        (kernels._powers_29, 24, (terms, *rows[:3])),
        (kernels._powers_42, 36, (terms, *rows[:3])),
        (kernels._finish, 10, (own, moves[1], *rows[:4])),
    ]
    for function, fewest, values in cases:
        packed = packed_instructions(function, suffix, *values)
        assert packed >= fewest, function


def least_seconds(function, runs):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def test_faster_than_one_option_at_a_time():
    """About 5,000 times the solver with its smallest rule, a few hundred times where a loop is scalar."""
    book = random_book(2048, (40,))
    groups, pairs, factors, premiums = arguments(np.float32, book)
    cube, terms = np.empty((80, 2048), np.float32), one(-1.0, 100.0, 103.0, 0.3, 0.5, 0.03, 0.02)
    many, rule = [np.repeat(term, 200) for term in terms], boundary_rule(8, 16, 24)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        american_pairs(groups, pairs, factors, premiums, NO_GAPS, cube)
        boundary_prices(rule, *many)
        fast = least_seconds(lambda: american_pairs(groups, pairs, factors, premiums, NO_GAPS, cube), 10)
        single = least_seconds(lambda: boundary_prices(rule, *many), 3)
    finally:
        numba.set_num_threads(before)
    assert (single / 200) / (fast / cube.size) > 1000.0


def test_sides_are_numbered_as_the_kernels_take_them():
    assert (CALL, PUT) == (0, 1)
