"""Option kernels against their twins, against QuantLib, in their limits, and on one thread or two."""

from __future__ import annotations

import importlib
import math
import warnings
from itertools import product

import numba
import numpy as np
import pytest

from crossmargin.kernels.american import american_price_delta, american_price_numpy, american_values
from crossmargin.kernels.black76 import black76_price_delta, black76_values, black76_values_numpy
from crossmargin.kernels.implied_volatility import (
    VolatilityStatus,
    implied_volatilities,
    implied_volatility,
)
from crossmargin.kernels.normal import normal_cdf, normal_density

NONE = np.empty(0)
SPOT = 100.0


@pytest.fixture(scope="module")
def ql():
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=r"builtin type \w+ has no __module__ attribute", category=DeprecationWarning
        )
        quantlib = importlib.import_module("QuantLib")
    quantlib.Settings.instance().evaluationDate = quantlib.Date(15, 6, 2026)
    return quantlib


def grid(options: int, scenarios: int):
    """Options from far in to far out of the money, among them expired and riskless ones."""
    rng = np.random.default_rng(7)
    years = rng.uniform(0.0, 3.0, options)
    years[::11] = 0.0
    forwards = SPOT * np.exp(rng.normal(0.0, 0.6, (options, scenarios)))
    volatilities = rng.uniform(0.0, 1.2, (options, scenarios))
    forwards[::13, :1], volatilities[::7, -1:] = 0.0, 0.0
    sides = np.where(rng.random(options) < 0.5, 1.0, -1.0)
    strikes = SPOT * np.exp(rng.normal(0.0, 0.4, options))
    return sides, strikes, years, rng.uniform(-0.02, 0.08, options), forwards, volatilities


# Black's formula


@pytest.mark.parametrize(("options", "scenarios"), [(500, 17), (1, 1), (0, 16), (3, 0)])
def test_black76_equals_its_twin_within_1e_13_of_the_forward(options, scenarios):
    arguments = grid(options, scenarios)
    prices, deltas = black76_values(*arguments)
    with np.errstate(divide="ignore"):
        twin_prices, twin_deltas = black76_values_numpy(*arguments)
    scale = np.maximum(arguments[4], SPOT)
    # logarithm and exponential of the two differ by a last digit, 2e-16, which moneyness of a few
    # deviations multiplies
    assert (np.abs(prices - twin_prices) <= 1e-13 * scale).all()
    assert (np.abs(deltas - twin_deltas) <= 1e-13).all()


def test_black76_of_arrays_that_are_not_contiguous():
    sides, strikes, years, rates, forwards, volatilities = grid(40, 8)
    other = [np.repeat(values, 2)[::2] for values in (sides, strikes, years, rates)]
    whole = black76_values(sides, strikes, years, rates, forwards[:, ::2], volatilities[:, ::2])
    parts = black76_values(*other, forwards[:, ::2].copy(), volatilities[:, ::2].copy())
    assert whole[0].tobytes() == parts[0].tobytes()
    assert whole[1].tobytes() == parts[1].tobytes()


def test_black76_equals_quantlib_within_1e_12(ql):
    sides, strikes, years, rates, forwards, volatilities = grid(300, 4)
    prices, _ = black76_values(sides, strikes, years, rates, forwards, volatilities)
    kinds = {1.0: ql.Option.Call, -1.0: ql.Option.Put}
    for i, s in product(range(300), range(4)):
        if forwards[i, s] > 0.0:
            discount = math.exp(-rates[i] * years[i])
            deviation = volatilities[i, s] * math.sqrt(years[i])
            expected = ql.blackFormula(kinds[sides[i]], strikes[i], forwards[i, s], deviation, discount)
            # QuantLib's normal distribution is its own; both are good to some 1e-15 of the forward
            assert prices[i, s] == pytest.approx(expected, rel=0, abs=1e-12 * max(SPOT, forwards[i, s]))


def test_black76_delta_is_the_slope_of_the_price():
    for side, forward, volatility in product((1.0, -1.0), (60.0, 99.0, 150.0), (0.1, 0.6)):
        around = [
            black76_price_delta(side, forward + move, SPOT, volatility, 0.7, 0.03)[0]
            for move in (-1e-3, 1e-3)
        ]
        _, delta = black76_price_delta(side, forward, SPOT, volatility, 0.7, 0.03)
        # central difference: gamma' × 1e-6 / 6, and 1e-14 × price / 1e-3 from rounding
        assert delta == pytest.approx((around[1] - around[0]) / 2e-3, abs=1e-8)


@pytest.mark.parametrize(("volatility", "years"), [(0.0, 0.5), (0.3, 0.0), (0.3, -0.1), (0.0, 0.0)])
@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("forward", [0.0, 80.0, 100.0, 120.0])
def test_black76_without_time_or_volatility_is_the_intrinsic_value(side, forward, volatility, years):
    price, delta = black76_price_delta(side, forward, SPOT, volatility, years, 0.05)
    discount = math.exp(-0.05 * max(years, 0.0))
    gain = side * (forward - SPOT)
    assert price == discount * max(gain, 0.0)
    assert delta == side * discount * (0.5 if gain == 0 else float(gain > 0))


def test_black76_goes_to_its_limits_steadily():
    for small in (1e-4, 1e-8, 1e-160):
        assert black76_price_delta(1.0, 101.0, SPOT, small, 1.0, 0.0)[0] == pytest.approx(1.0, abs=1e-12)
        assert black76_price_delta(-1.0, 101.0, SPOT, small, 1.0, 0.0)[0] <= 1e-300
    assert black76_price_delta(1.0, 1e-300, SPOT, 0.2, 1.0, 0.0) == (0.0, 0.0)


def test_the_normal_distribution_keeps_its_digits_in_the_tail():
    # 1 − Φ(10) and Φ(−37), from erfc in high precision, 16 digits
    assert normal_cdf(-10.0) == pytest.approx(7.619853024160527e-24, rel=1e-14)
    assert normal_cdf(-37.0) == pytest.approx(5.725571222524577e-300, rel=1e-12)
    assert normal_cdf(0.0) == 0.5
    assert normal_density(0.0) == pytest.approx(1 / math.sqrt(2 * math.pi), rel=1e-15)
    assert [normal_cdf.py_func(x) for x in (-3.0, 1.5)] == [normal_cdf(x) for x in (-3.0, 1.5)]


# Implied volatility


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("strike", [20.0, 70.0, 99.0, 100.0, 103.0, 160.0, 900.0])
@pytest.mark.parametrize("deviation", [0.003, 0.02, 0.1, 0.5, 2.0, 7.0])
def test_the_volatility_found_gives_the_price_again(side, strike, deviation):
    years, rate = 0.25, 0.04
    price, _ = black76_price_delta(side, SPOT, strike, deviation / math.sqrt(years), years, rate)
    volatility, status = implied_volatility(side, price, SPOT, strike, years, rate)
    if status == VolatilityStatus.NO_TIME_VALUE:  # what is left of it is below the last digit of the price
        otm = black76_price_delta(
            1.0 if strike >= SPOT else -1.0, SPOT, strike, deviation / math.sqrt(years), years, rate
        )
        assert otm[0] <= 2e-15 * max(price, 1e-290)
        return
    assert status == VolatilityStatus.FOUND
    again, _ = black76_price_delta(side, SPOT, strike, volatility, years, rate)
    # one last digit of the largest number on the way, the forward or the strike
    assert again == pytest.approx(price, rel=1e-12, abs=1e-15 * max(SPOT, strike))


@pytest.mark.parametrize(
    ("side", "price", "forward", "strike", "years", "status"),
    [
        (1.0, 19.9, 120.0, 100.0, 0.5, VolatilityStatus.BELOW_INTRINSIC),
        (-1.0, -0.01, 120.0, 100.0, 0.5, VolatilityStatus.BELOW_INTRINSIC),
        (1.0, 120.0, 120.0, 100.0, 0.5, VolatilityStatus.ABOVE_MAXIMUM),
        (-1.0, 100.0, 120.0, 100.0, 0.5, VolatilityStatus.ABOVE_MAXIMUM),
        (1.0, 20.0, 120.0, 100.0, 0.5, VolatilityStatus.NO_TIME_VALUE),
        (-1.0, 0.0, 120.0, 100.0, 0.5, VolatilityStatus.NO_TIME_VALUE),
        (1.0, 25.0, 120.0, 100.0, 0.0, VolatilityStatus.INVALID),
        (1.0, math.nan, 120.0, 100.0, 0.5, VolatilityStatus.INVALID),
        (1.0, 25.0, math.inf, 100.0, 0.5, VolatilityStatus.INVALID),
        (1.0, 25.0, 120.0, 0.0, 0.5, VolatilityStatus.INVALID),
    ],
)
def test_a_price_that_no_volatility_gives_has_a_status(side, price, forward, strike, years, status):
    volatility, found = implied_volatility(side, price, forward, strike, years, 0.0)
    assert found == status
    assert volatility == 0.0 if status == VolatilityStatus.NO_TIME_VALUE else math.isnan(volatility)


def test_a_far_price_near_the_smallest_number_is_inverted():
    volatility, status = implied_volatility(1.0, 1e-300, SPOT, 200.0, 1.0, 0.0)
    assert status == VolatilityStatus.FOUND
    assert math.log(black76_price_delta(1.0, SPOT, 200.0, volatility, 1.0, 0.0)[0]) == pytest.approx(
        math.log(1e-300), rel=1e-12
    )


def test_inversion_of_a_column_equals_plain_python():
    sides, strikes, years, rates, forwards, volatilities = grid(200, 1)
    prices = black76_values(sides, strikes, years, rates, forwards, volatilities)[0][:, 0]
    found, statuses = implied_volatilities(sides, prices, forwards[:, 0], strikes, years, rates)
    for i in range(200):
        alone = implied_volatility.py_func(
            sides[i], prices[i], forwards[i, 0], strikes[i], years[i], rates[i]
        )
        assert alone[1] == statuses[i]
        # the two take erfc and exp from different libraries; flat prices pass a last digit on magnified
        assert found[i] == pytest.approx(alone[0], rel=1e-9, nan_ok=True)


# American options


def american_cases(count: int, *, dividends: bool):
    rng = np.random.default_rng(3)
    for number in range(count):
        days = int(rng.integers(5, 500))
        paid = 1 + days // 200 if dividends else 0
        ex_days = np.sort(rng.choice(np.arange(1, days), paid, replace=False))
        strike = SPOT * math.exp(rng.normal(0.0, 0.12))
        yield (
            1.0 if number % 2 else -1.0,
            strike,
            float(rng.uniform(0.12, 0.6)),
            days,
            float(rng.uniform(0.0, 0.06)),
            ex_days,
            rng.uniform(0.3, 4.0, paid),
        )


def quantlib_option(ql, side, strike, volatility, days, rate):
    today, counter = ql.Settings.instance().evaluationDate, ql.Actual365Fixed()

    def curve(level):
        return ql.YieldTermStructureHandle(ql.FlatForward(today, level, counter))

    surface = ql.BlackConstantVol(today, ql.NullCalendar(), volatility, counter)
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(SPOT)), curve(0.0), curve(rate), ql.BlackVolTermStructureHandle(surface)
    )
    payoff = ql.PlainVanillaPayoff(ql.Option.Call if side > 0 else ql.Option.Put, strike)
    return process, ql.VanillaOption(payoff, ql.AmericanExercise(today, today + days))


def test_american_equals_its_twin_within_1e_13_of_the_spot():
    for side, strike, volatility, days, rate, ex_days, amounts in american_cases(60, dividends=True):
        terms = side, SPOT, strike, volatility, days / 365, rate, ex_days / 365, amounts, 25
        # sums of some hundred steps, each good to a last digit
        assert american_price_delta(*terms)[0] == pytest.approx(american_price_numpy(*terms), abs=1e-11)


def test_american_without_dividends_is_within_1e_5_of_the_spot_of_quantlib(ql):
    """QdFp's accurate scheme is good to 1e-8 or so: the difference is the tree's (worst of 300: 9.6e-6)."""
    differences = []
    for side, strike, volatility, days, rate, _, _ in american_cases(60, dividends=False):
        process, option = quantlib_option(ql, side, strike, volatility, days, rate)
        option.setPricingEngine(ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.accurateScheme()))
        price, _ = american_price_delta(side, SPOT, strike, volatility, days / 365, rate, NONE, NONE, 200)
        differences.append(abs(price - option.NPV()) / SPOT)
    assert max(differences) <= 1e-5
    assert np.median(differences) <= 2e-6


def test_american_with_dividends_is_within_1e_4_of_the_spot_of_quantlib(ql):
    """Finite differences on 500 × 500 points, escrowed dividends as here, are good to 3e-5 themselves."""
    today, prices, deltas = ql.Settings.instance().evaluationDate, [], []
    for side, strike, volatility, days, rate, ex_days, amounts in american_cases(30, dividends=True):
        process, option = quantlib_option(ql, side, strike, volatility, days, rate)
        schedule = ql.DividendVector([today + day for day in ex_days.tolist()], amounts.tolist())
        engine = ql.FdBlackScholesVanillaEngine(
            process, schedule, 500, 500, 0, ql.FdmSchemeDesc.Douglas(), False, -1.0,
            ql.FdBlackScholesVanillaEngine.Escrowed,
        )  # fmt: skip
        option.setPricingEngine(engine)
        price, delta = american_price_delta(
            side, SPOT, strike, volatility, days / 365, rate, ex_days / 365, amounts, 200
        )
        prices.append(abs(price - option.NPV()) / SPOT)
        deltas.append(abs(delta - option.delta()))
    assert max(prices) <= 1e-4
    assert np.median(prices) <= 1e-5
    assert max(deltas) <= 1e-3


def test_american_call_without_dividends_is_the_european_one():
    for strike, volatility, days in product((70.0, 100.0, 130.0), (0.15, 0.5), (3, 90, 700)):
        years = days / 365
        price, delta = american_price_delta(1.0, SPOT, strike, volatility, years, 0.03, NONE, NONE, 200)
        forward = SPOT * math.exp(0.03 * years)
        expected, slope = black76_price_delta(1.0, forward, strike, volatility, years, 0.03)
        assert price == pytest.approx(expected, abs=1e-5 * SPOT)
        assert delta == pytest.approx(slope * math.exp(0.03 * years), abs=2e-4)


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("strike", [80.0, 100.0, 120.0])
def test_american_expired_is_the_intrinsic_value(side, strike):
    price, _ = american_price_delta(side, SPOT, strike, 0.3, 0.0, 0.05, NONE, NONE, 50)
    assert price == max(side * (SPOT - strike), 0.0)


def test_american_without_volatility_is_exercised_at_the_best_moment():
    ex, paid = np.array([0.5]), np.array([10.0])
    # call at 95: before the dividend, for the strike discounted half a year
    price, delta = american_price_delta(1.0, SPOT, 95.0, 0.0, 1.0, 0.04, ex, paid, 50)
    assert (price, delta) == (pytest.approx(SPOT - 95.0 * math.exp(-0.02), abs=1e-12), 1.0)
    # put at 105: after it, when the stock is ten lower
    price, delta = american_price_delta(-1.0, SPOT, 105.0, 0.0, 1.0, 0.04, ex, paid, 50)
    assert (price, delta) == (pytest.approx(115.0 * math.exp(-0.02) - SPOT, abs=1e-12), -1.0)
    for side, strike in ((1.0, 95.0), (-1.0, 105.0)):
        limit, _ = american_price_delta(side, SPOT, strike, 0.0, 1.0, 0.04, ex, paid, 50)
        near, _ = american_price_delta(side, SPOT, strike, 1e-5, 1.0, 0.04, ex, paid, 50)
        assert near == pytest.approx(limit, abs=1e-2)


def test_american_call_about_to_go_ex_can_be_exercised_with_the_dividend():
    price, delta = american_price_delta(1.0, SPOT, 80.0, 0.2, 0.1, 0.02, np.array([0.0]), np.array([8.0]), 50)
    assert (price, delta) == (20.0, 1.0)


def test_american_of_a_stock_worth_less_than_its_dividends():
    ex, paid = np.array([0.25]), np.array([150.0])
    assert american_price_delta(1.0, SPOT, 90.0, 0.3, 1.0, 0.0, ex, paid, 50) == (10.0, 1.0)
    assert american_price_delta(-1.0, SPOT, 90.0, 0.3, 1.0, 0.0, ex, paid, 50) == (140.0, -1.0)


def test_american_of_very_high_volatility_stays_between_its_bounds():
    call, _ = american_price_delta(1.0, SPOT, 100.0, 7.0, 2.0, 0.03, NONE, NONE, 50)
    put, _ = american_price_delta(-1.0, SPOT, 100.0, 7.0, 2.0, 0.03, NONE, NONE, 50)
    assert 0.99 * SPOT < call <= SPOT
    assert 0.99 * SPOT < put <= SPOT


# Threads


def bytes_on(threads: int) -> list[bytes]:
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        sides, strikes, years, rates, forwards, volatilities = grid(60, 5)
        starts = np.arange(61, dtype=np.int64)
        dividends = starts, np.linspace(0.0, 2.0, 60), np.full(60, 1.5)
        black = black76_values(sides, strikes, years, rates, forwards, volatilities)
        tree = american_values(sides, strikes, years, rates, forwards, volatilities, *dividends, 12)
        inverse = implied_volatilities(
            sides, black[0][:, 1].copy(), forwards[:, 1].copy(), strikes, years, rates
        )
        return [values.tobytes() for values in (*black, *tree, *inverse)]
    finally:
        numba.set_num_threads(before)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads; one is here")
def test_same_bytes_on_one_thread_and_on_two():
    assert bytes_on(1) == bytes_on(2)
