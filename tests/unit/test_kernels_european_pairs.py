"""European revaluation: the short polynomials, the kernel against its twin, its edges, and its vector code."""

from __future__ import annotations

import importlib.util
import math
import platform
import re
import time
from pathlib import Path

import llvmlite.binding
import numba
import numpy as np
import pytest
from european_options import (
    TOLERANCE,
    WIDTHS,
    factors_of,
    groups_of,
    pairs_of,
    random_book,
    revalue,
)
from numba import njit

from crossmargin.kernels import european_pairs as kernels
from crossmargin.kernels import fast_math
from crossmargin.kernels.black76 import black76_price_delta, black76_values
from crossmargin.kernels.european_pairs import (
    european_base_prices,
    european_greeks,
    european_pairs,
    european_pairs_full,
    european_pairs_numpy,
    european_pairs_plain,
)

FIT = Path(__file__).parents[2] / "tools" / "fit_polynomials.py"


@pytest.fixture(scope="module")
def fit_polynomials():
    spec = importlib.util.spec_from_file_location("fit_polynomials", FIT)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "fit_polynomials", module)
        spec.loader.exec_module(module)
        yield module


# Polynomials


def over(function, places):
    @njit(error_model="numpy")
    def loop(x, y):
        for i in range(x.size):
            y[i] = function(x[i])

    values = np.empty_like(places)
    loop(places, values)
    return values


def test_coefficients_are_what_the_fit_gives(fit_polynomials):
    for name, coefficients in fit_polynomials.tuples(fit_polynomials.approximations()).items():
        width = np.float32 if name.endswith("32") else np.float64
        assert np.atleast_1d(getattr(fast_math, name)).tolist() == [width(c) for c in coefficients], name


@pytest.mark.parametrize(
    ("function", "kind", "least", "flat", "slope"),
    [
        (fast_math.exp32, np.float32, -87.0, 2e-7, 1.2e-7),
        (fast_math.exp64, np.float64, -708.0, 5e-16, 2.2e-16),
    ],
)
def test_exp_is_within_its_stated_error(function, kind, least, flat, slope):
    places = np.concatenate([np.linspace(least, -least, 20_001), np.linspace(-1, 1, 20_001)]).astype(kind)
    exact = np.exp(places.astype(np.longdouble))
    error = np.abs(over(function, places) / exact - 1)
    assert np.max(error / (flat + slope * np.abs(places.astype(np.float64)))) < 1
    assert over(function, np.array([2 * least], kind)) == over(function, np.array([least], kind))


@pytest.mark.parametrize(
    ("function", "kind", "farthest", "slope", "rounding"),
    [
        (fast_math.mills32, np.float32, fast_math.FARTHEST_32, 4e-8, 2e-7),
        (fast_math.mills64, np.float64, fast_math.FARTHEST_64, 8e-15, 1e-15),
    ],
)
def test_mills_ratio_is_within_its_stated_error(fit_polynomials, function, kind, farthest, slope, rounding):
    places = np.concatenate([np.linspace(0, farthest, 150), np.linspace(0, 3, 150)]).astype(kind)
    fit_polynomials.getcontext().prec = fit_polynomials.DIGITS
    exact = [fit_polynomials.mills_ratio(fit_polynomials.Decimal(float(x))) for x in places]
    found = over(function, places)
    errors = [
        abs(float(fit_polynomials.Decimal(float(a)) / b - 1)) for a, b in zip(found, exact, strict=True)
    ]
    assert np.max(errors / (rounding + slope * (1 + places.astype(np.float64) ** 2))) < 1
    assert over(function, np.array([2 * farthest], kind)) == found[149]


@pytest.mark.parametrize("kind", WIDTHS)
def test_generic_functions_keep_the_width(kind):
    places = np.linspace(0.0, 5.0, 11).astype(kind)

    @njit(error_model="numpy")
    def loop(x):
        above, below = fast_math.mills_parts(x[3])
        return fast_math.exp_of(x[3]), fast_math.power_of_two(x[3]), above, below

    exponential, power, above, below = loop(places)
    assert set(loop.nopython_signatures[0].return_type.types) == {numba.from_dtype(places.dtype)}
    tolerance = {np.float32: 3e-7, np.float64: 1e-15}[kind]
    assert exponential == pytest.approx(math.exp(1.5), rel=tolerance)
    assert power == pytest.approx(2**1.5, rel=tolerance)
    ratio = 0.5 * math.erfc(1.5 / math.sqrt(2)) * math.sqrt(2 * math.pi) * math.exp(1.5**2 / 2)
    scale = {np.float32: fast_math.MILLS_SCALE_32, np.float64: fast_math.MILLS_SCALE_64}[kind]
    assert scale * above / below == pytest.approx(ratio, rel={np.float32: 3e-7, np.float64: 3e-14}[kind])


def test_generic_functions_in_plain_python():
    for function in (fast_math.exp_of, fast_math.power_of_two):
        assert function(np.float32(1.25)) == pytest.approx(function(1.25), rel=3e-7)
    # the parts of Mills' ratio have a scale of their own in each width
    (above, below), (wide_above, wide_below) = (fast_math.mills_parts(kind(1.25)) for kind in WIDTHS)
    ratio = fast_math.MILLS_SCALE_32 * above / below
    assert ratio == pytest.approx(fast_math.MILLS_SCALE_64 * wide_above / wide_below, rel=3e-7)


# Kernel and twin


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("kind", WIDTHS)
def test_kernel_equals_its_twin(kind, full):
    groups, pairs, factors = random_book(kind, (70, 1, 0, 90), 37, full=full)
    found = revalue(groups, pairs, factors)
    twin = revalue(groups, pairs, factors, kernel=european_pairs_numpy, kind=np.float64)
    highest = np.exp(0.6)  # the scenarios lift the forward no higher
    largest = pairs.call_scale * np.maximum(highest * pairs.forward_leg, pairs.strike_leg)
    assert np.max(np.abs(found - twin) / np.repeat(largest, 2)[:, None]) < TOLERANCE[kind]


@pytest.mark.parametrize("kind", WIDTHS)
def test_full_kernel_without_smile_skew_and_rates_is_the_plain_one(kind):
    book = random_book(kind, (30, 40), 33, full=False)
    plain, full = revalue(*book, kernel=european_pairs_plain), revalue(*book, kernel=european_pairs_full)
    scale = np.repeat(book[1].call_scale * (book[1].forward_leg + book[1].strike_leg), 2)[:, None]
    assert np.max(np.abs(full - plain) / scale) < 4 * np.finfo(kind).eps
    assert revalue(*book).tobytes() == plain.tobytes()


@pytest.mark.parametrize("moved", ["smile", "skew", "discount"])
def test_what_moves_is_not_left_out(moved):
    level, none = np.full((1, 4), 1.02), None
    pairs = pairs_of(
        np.float64, [100.0], [104.0], [0.2], smile=0.1 * (moved == "smile"), skew=0.1 * (moved == "skew")
    )
    factors = factors_of(
        np.float64,
        np.full((1, 4), 0.05),
        np.ones((1, 4)),
        level if moved == "skew" else none,
        level if moved == "discount" else none,
    )
    still = factors_of(np.float64, np.full((1, 4), 0.05), np.ones((1, 4)))
    found = revalue(groups_of(1), pairs, factors)
    twin = revalue(groups_of(1), pairs, factors, kernel=european_pairs_numpy)
    np.testing.assert_allclose(found, twin, atol=1e-11)
    plain = revalue(groups_of(1), pairs._replace(smile=np.zeros(1), skew=np.zeros(1)), still)
    assert np.abs(found - plain).min() > 0.01


def test_twin_equals_black76():
    groups, pairs, factors = random_book(np.float64, (5,), 9, full=False)
    cube = revalue(groups, pairs, factors, kernel=european_pairs_numpy)
    for i in range(5):
        for s in range(9):
            forward = pairs.forward_leg[i] * factors.growth[0, s]
            deviation = max(pairs.deviation[i] * factors.volatility_factor[0, s], pairs.least_deviation[i])
            for row, side, base in (
                (2 * i, 1.0, pairs.call_base[i]),
                (2 * i + 1, -1.0, pairs.put_base[i]),
            ):
                price, _ = black76_price_delta(side, forward, pairs.strike_leg[i], deviation, 1.0, 0.0)
                assert cube[row, s] == pytest.approx(pairs.call_scale[i] * (price - base), abs=1e-9)


# Edges


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("kind", WIDTHS)
def test_gaps_are_exactly_zero_and_other_columns_are_not(kind, full):
    groups, pairs, factors = random_book(kind, (6, 7), 64, full=full)
    gaps = np.array([[10, 17], [60, 64]])
    cube, whole = revalue(groups, pairs, factors, gaps), revalue(groups, pairs, factors)
    inside = np.isin(np.arange(64), [*range(10, 17), *range(60, 64)])
    assert not cube[:, inside].any()
    assert cube[:, ~inside].tobytes() == whole[:, ~inside].tobytes()
    twin = revalue(groups, pairs, factors, gaps, kernel=european_pairs_numpy)
    assert not twin[:, inside].any()


@pytest.mark.parametrize("full", [False, True])
def test_only_named_rows_are_written(full):
    groups, pairs, factors = random_book(np.float64, (4,), 8, full=full)
    whole = revalue(groups, pairs, factors)
    few = pairs._replace(call_row=np.array([3, -1, 0, -1]), put_row=np.array([-1, -1, 6, 5]))
    for kernel in (european_pairs, european_pairs_numpy):
        cube = revalue(groups, few, factors, kernel=kernel)
        np.testing.assert_allclose(cube[[3, 0, 6, 5]], whole[[0, 4, 5, 7]], rtol=1e-9, atol=1e-9)
        assert np.isnan(cube[[1, 2, 4, 7]]).all()


def test_no_pairs_and_no_scenarios():
    nothing = revalue(groups_of(), pairs_of(np.float64, [], [], []), factors_of(np.float64, [[0.1]], [[1.0]]))
    assert nothing.shape == (0, 1)
    none = np.empty((1, 0))
    cube = revalue(
        groups_of(1), pairs_of(np.float64, [9.0], [9.0], [0.2]), factors_of(np.float64, none, none)
    )
    assert cube.shape == (2, 0)


@pytest.mark.parametrize("kind", WIDTHS)
def test_each_pair_takes_the_factors_of_its_group(kind):
    sizes = (3, 0, 150, 1, 64, 0)  # tasks of up to 64 pairs start and end inside groups
    groups, pairs, factors = random_book(kind, sizes, 21, full=True)
    cube = revalue(groups, pairs, factors)
    owners = np.repeat(np.arange(len(sizes)), sizes)
    for i, owner in enumerate(owners):
        alone = type(pairs)(*(column[i : i + 1] for column in pairs))
        alone = alone._replace(call_row=np.array([0]), put_row=np.array([1]))
        group = groups_of(1)._replace(forward_row=np.array([owner]), volatility_row=np.array([owner]))
        assert revalue(group, alone, factors).tobytes() == cube[2 * i : 2 * i + 2].tobytes()


@pytest.mark.parametrize("kind", WIDTHS)
@pytest.mark.parametrize("deviation", [0.0, 1e-30, 1e-14])
def test_without_time_or_volatility_an_option_is_worth_its_intrinsic_value(kind, deviation):
    strikes = np.array([1.0, 50.0, 100.0, 101.0, 100.0 * math.exp(0.05), 1e4])
    pairs = pairs_of(kind, 100.0, strikes, deviation)
    log_return = np.array([[0.0, 0.05, -0.05, 3.0, -3.0]])
    cube = revalue(groups_of(6), pairs, factors_of(kind, log_return, np.full((1, 5), 3.0)))
    spot = 100.0 * np.exp(log_return)
    for i, strike in enumerate(strikes):
        largest = max(strike, spot.max())
        call, put = np.maximum(spot - strike, 0.0), np.maximum(strike - spot, 0.0)
        assert np.abs(cube[2 * i] - (call - max(100.0 - strike, 0.0))).max() < TOLERANCE[kind] * largest
        assert np.abs(cube[2 * i + 1] - (put - max(strike - 100.0, 0.0))).max() < TOLERANCE[kind] * largest


def test_negative_deviation_ends_at_the_least_one():
    pairs = pairs_of(np.float64, 100.0, [95.0, 105.0], 0.1, least=0.03, smile=5.0)
    cube = revalue(groups_of(2), pairs, factors_of(np.float64, [[-0.2]], [[1.0]]))
    for i, strike in enumerate((95.0, 105.0)):
        price, _ = black76_price_delta(-1.0, 100 * math.exp(-0.2), strike, 0.03, 1.0, 0.0)
        assert cube[2 * i + 1, 0] == pytest.approx(price - pairs.put_base[i], abs=1e-11)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("kernel", [european_pairs, european_pairs_numpy])
def test_call_and_put_of_a_strike_may_have_contracts_of_different_sizes(kernel, full):
    groups, pairs, factors = random_book(np.float64, (5,), 11, full=full)
    one = pairs._replace(call_scale=np.ones(5), put_scale=np.ones(5))
    mixed = one._replace(put_scale=np.array([1.0, 2.0, 50.0, 0.0, 1.0]))
    cube, unit = revalue(groups, mixed, factors, kernel=kernel), revalue(groups, one, factors, kernel=kernel)
    np.testing.assert_allclose(cube[::2], unit[::2], rtol=1e-13)
    np.testing.assert_allclose(cube[1::2], mixed.put_scale[:, None] * unit[1::2], atol=1e-11)


# Sensitivities


def bumped(pairs, log_return, factor):
    """Return the change of call and put, pair by pair, for a move of the forward or the deviation."""
    cube = revalue(groups_of(pairs.deviation.size), pairs, factors_of(np.float64, [[log_return]], [[factor]]))
    return cube[::2, 0], cube[1::2, 0]


def test_greeks_are_the_slopes_of_the_kernel():
    groups, pairs, _ = random_book(np.float64, (60,), 1, full=False)
    assert groups.starts[-1] == 60
    pairs = pairs._replace(
        call_scale=np.ones(60),
        put_scale=np.ones(60),
        least_deviation=np.zeros(60),
        deviation=np.maximum(pairs.deviation, 0.05),
    )
    greeks = european_greeks(pairs.log_moneyness, pairs.deviation, pairs.forward_leg)
    width = 1e-4
    sides = zip(
        bumped(pairs, math.log1p(width), 1.0),
        bumped(pairs, math.log1p(-width), 1.0),
        bumped(pairs, 0.0, 1.0),
        (greeks.call_delta, greeks.put_delta),
        bumped(pairs, 0.0, 1.0 + width),
        bumped(pairs, 0.0, 1.0 - width),
        strict=True,
    )
    for up, down, still, delta, more, less in sides:
        # differences of second order: the next term is width² times the fourth derivative, here up to 1e5
        np.testing.assert_allclose((up - down) / (2 * width), delta, atol=2e-4 * 200)
        np.testing.assert_allclose((up + down - 2 * still) / width**2, greeks.gamma, rtol=5e-4, atol=0.02)
        slope = (more - less) / (2 * width) / pairs.deviation
        np.testing.assert_allclose(slope, greeks.vega, rtol=5e-4, atol=1e-4)


def test_base_prices_are_those_of_black76():
    _, pairs, _ = random_book(np.float64, (80,), 1, full=False)
    call, put = european_base_prices(
        pairs.log_moneyness, pairs.deviation, pairs.forward_leg, pairs.strike_leg
    )
    for side, prices in ((1.0, call), (-1.0, put)):
        exact = black76_values(
            np.full(80, side),
            pairs.strike_leg,
            np.ones(80),
            np.zeros(80),
            pairs.forward_leg[:, None],
            pairs.deviation[:, None],
        )[0]
        np.testing.assert_allclose(prices, exact[:, 0], rtol=0, atol=1e-12 * 500)


# Threads


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads; one is here")
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("kind", WIDTHS)
def test_same_bytes_on_one_thread_and_on_two_and_again(kind, full):
    book = random_book(kind, (300, 5, 77, 120), 100, full=full)
    before, found = numba.get_num_threads(), []
    try:
        for threads in (1, 2, 2):
            numba.set_num_threads(threads)
            found.append(revalue(*book).tobytes())
    finally:
        numba.set_num_threads(before)
    assert found[0] == found[1] == found[2]


# Vector code


def packed_instructions(function, suffix, *arguments):
    """Return how many multiply-adds of a fresh compilation work on a whole register, and how many do not."""
    fresh = njit(fastmath=kernels.FAST, error_model="numpy")(function.py_func)
    fresh(*arguments)
    (assembly,) = fresh.inspect_asm().values()
    packed = re.findall(rf"\bvfn?m(?:add|sub)\d+p{suffix}\s.*[yz]mm", assembly)
    single = re.findall(rf"\bvfn?m(?:add|sub)\d+s{suffix}\b", assembly)
    return len(packed), len(single)


@pytest.mark.skipif(
    platform.machine() not in {"x86_64", "AMD64"} or not llvmlite.binding.get_host_cpu_features().get("fma"),
    reason="reads x86 instructions with fused multiply-adds",
)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("kind", "suffix", "fewest"), [(np.float32, "s", 15), (np.float64, "d", 35)])
def test_the_loop_is_vector_code(kind, suffix, fewest, full):
    """Each polynomial is in the vector loop as often as in the loop over the last columns."""
    _, pairs, factors = random_book(kind, (2,), 64, full=full)
    rows = [factors.log_return[0], factors.growth[0], factors.volatility_factor[0]]
    rows += [factors.skew[0], factors.discount[0]] if full else []
    function = kernels._full_pair if full else kernels._plain_pair
    packed, single = packed_instructions(function, suffix, pairs, 0, kind(1), *rows, *np.empty((2, 64), kind))
    assert packed >= fewest
    assert packed >= single


def least_seconds(function, runs):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.parametrize(("kind", "goal"), [(np.float32, 12.0), (np.float64, 7.0)])
def test_faster_than_one_price_at_a_time(kind, goal):
    """About 50 and 28 times where vectors are 512 bits wide, 4 and 3 times where the loop is scalar."""
    groups, pairs, factors = random_book(kind, (40,), 2048, full=False)
    wide = [column.astype(np.float64) for column in pairs]
    forwards = wide[5][:, None] * factors.growth.astype(np.float64)
    deviations = wide[1][:, None] * factors.volatility_factor.astype(np.float64)
    ones, zeros = np.ones(40), np.zeros(40)
    cube = np.empty((80, 2048), kind)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        european_pairs(groups, pairs, factors, np.empty((0, 2), np.int64), cube)
        black76_values(ones, wide[6], ones, zeros, forwards, deviations)
        fast = least_seconds(
            lambda: european_pairs(groups, pairs, factors, np.empty((0, 2), np.int64), cube), 20
        )
        scalar = 2 * least_seconds(
            lambda: black76_values(ones, wide[6], ones, zeros, forwards, deviations), 5
        )
    finally:
        numba.set_num_threads(before)
    assert scalar / fast > goal
