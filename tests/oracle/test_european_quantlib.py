"""The kernel of European options against QuantLib, over the whole range it is meant for.

Grid: 1 day to 5 years, volatilities of 1% to 300%, strikes of a fifth to five times the spot, the forward of
a scenario at half to one and four fifths of what it was, half to three times the volatility. Errors are parts of
the spot: 1e-6 in float32 (found: 6.7e-7), 1e-12 in float64 (found: 1.0e-14).
"""

from __future__ import annotations

import importlib
import itertools
import math
import warnings

import numpy as np
import pytest
from european_options import TOLERANCE, WIDTHS, factors_of, groups_of, pairs_of, revalue

SPOT, RATE, YIELD = 100.0, 0.03, 0.015
DAYS = (1, 7, 30, 91, 365, 3 * 365, 5 * 365)
VOLATILITIES = (0.01, 0.05, 0.2, 0.6, 1.5, 3.0)
STRIKES = (20.0, 50.0, 80.0, 95.0, 99.5, 100.0, 101.0, 110.0, 140.0, 200.0, 500.0)
MOVES = tuple(itertools.product((-0.6, -0.2, -0.01, 0.0, 0.003, 0.1, 0.6), (0.5, 1.0, 1.3, 3.0)))


@pytest.fixture(scope="module")
def ql():
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=r"builtin type \w+ has no __module__ attribute", category=DeprecationWarning
        )
        quantlib = importlib.import_module("QuantLib")
    quantlib.Settings.instance().evaluationDate = quantlib.Date(15, 6, 2026)
    return quantlib


def grid(kind):
    """Return terms of every option, and the arguments of the kernel."""
    terms = np.array(list(itertools.product(DAYS, VOLATILITIES, STRIKES)))
    years, volatility, strike = terms[:, 0] / 365, terms[:, 1], terms[:, 2]
    forward_leg, strike_leg = SPOT * np.exp(-YIELD * years), strike * np.exp(-RATE * years)
    pairs = pairs_of(kind, forward_leg, strike_leg, volatility * np.sqrt(years))
    moves = np.array(MOVES)
    return terms, pairs, factors_of(kind, moves[None, :, 0], moves[None, :, 1])


@pytest.mark.parametrize("kind", WIDTHS)
def test_prices_are_those_of_the_black_formula(ql, kind):
    terms, pairs, factors = grid(kind)
    cube = revalue(groups_of(len(terms)), pairs, factors)
    worst = 0.0
    for i, (days, volatility, strike) in enumerate(terms.tolist()):
        years = days / 365
        forward, discount = SPOT * math.exp((RATE - YIELD) * years), math.exp(-RATE * years)
        for row, side in ((2 * i, ql.Option.Call), (2 * i + 1, ql.Option.Put)):
            base = ql.blackFormula(side, strike, forward, volatility * math.sqrt(years), discount)
            for s, (log_return, factor) in enumerate(MOVES):
                deviation = volatility * factor * math.sqrt(years)
                moved = forward * math.exp(log_return)
                expected = ql.blackFormula(side, strike, moved, deviation, discount) - base
                worst = max(worst, abs(float(cube[row, s]) - expected) / SPOT)
    assert worst <= TOLERANCE[kind]


def test_smile_skew_and_rates_are_those_of_the_black_formula(ql):
    """What the scenario does to the deviation and the discount factor, written out for QuantLib."""
    years, smile, skew = 0.25, -0.08, 0.03
    forward, discount = SPOT * math.exp((RATE - YIELD) * years), math.exp(-RATE * years)
    pairs = pairs_of(
        np.float64,
        forward * discount,
        np.array(STRIKES) * discount,
        0.25 * math.sqrt(years),
        smile=smile,
        skew=skew,
    )
    skews, rates = np.linspace(-1.0, 1.0, len(MOVES)), np.linspace(0.99, 1.01, len(MOVES))
    moves = np.array(MOVES)
    factors = factors_of(np.float64, moves[None, :, 0], moves[None, :, 1], skews[None], rates[None])
    cube = revalue(groups_of(len(STRIKES)), pairs, factors)
    for i, strike in enumerate(STRIKES):
        for s, (log_return, factor) in enumerate(MOVES):
            deviation = 0.25 * math.sqrt(years) * factor + smile * log_return + skew * skews[s]
            for row, side in ((2 * i, ql.Option.Call), (2 * i + 1, ql.Option.Put)):
                base = ql.blackFormula(side, strike, forward, 0.25 * math.sqrt(years), discount)
                moved = forward * math.exp(log_return)
                price = ql.blackFormula(side, strike, moved, deviation, discount * rates[s])
                assert cube[row, s] == pytest.approx(price - base, abs=TOLERANCE[np.float64] * SPOT)


def test_prices_are_those_of_the_engine_whose_quotes_are_moved(ql):
    """The same through QuantLib's process, curves and dates: spot and volatility bumped, option repriced."""
    today, counter = ql.Settings.instance().evaluationDate, ql.Actual365Fixed()
    spot, level = ql.SimpleQuote(SPOT), ql.SimpleQuote(0.2)
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(spot),
        ql.YieldTermStructureHandle(ql.FlatForward(today, YIELD, counter)),
        ql.YieldTermStructureHandle(ql.FlatForward(today, RATE, counter)),
        ql.BlackVolTermStructureHandle(
            ql.BlackConstantVol(today, ql.NullCalendar(), ql.QuoteHandle(level), counter)
        ),
    )
    engine = ql.AnalyticEuropeanEngine(process)
    terms, pairs, factors = grid(np.float64)
    cube = revalue(groups_of(len(terms)), pairs, factors)
    for i in range(0, len(terms), 7):
        days, volatility, strike = terms[i].tolist()
        for row, side in ((2 * i, ql.Option.Call), (2 * i + 1, ql.Option.Put)):
            option = ql.VanillaOption(
                ql.PlainVanillaPayoff(side, strike), ql.EuropeanExercise(today + int(days))
            )
            option.setPricingEngine(engine)
            spot.setValue(SPOT)
            level.setValue(volatility)
            base = option.NPV()
            for s, (log_return, factor) in enumerate(MOVES):
                spot.setValue(SPOT * math.exp(log_return))
                level.setValue(volatility * factor)
                expected = option.NPV() - base
                assert abs(cube[row, s] - expected) <= TOLERANCE[np.float64] * SPOT
