"""Cash dividends as an income: against QuantLib's finite differences, the identities, and bad input."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from american_books import QuantLibAmerican

from crossmargin.errors import InputError
from crossmargin.kernels.american_boundary import boundary_prices, boundary_rule
from crossmargin.models.revaluation.dividends import (
    Dividends,
    escrowed_income,
    present_values,
)

EX_DAYS = (20, 200, 380)
DAYS, AMOUNTS, RATES = (45, 120, 250, 500), (0.5, 1.5, 3.0), (0.01, 0.04)
VOLATILITIES, STRIKES = (0.15, 0.3, 0.5), (80.0, 95.0, 100.0, 110.0, 130.0)
SPOT = 100.0


def schedule(*groups):
    """Return dividends from lists of (years, amount), one a group."""
    flat = np.array([pair for group in groups for pair in group], np.float64).reshape(-1, 2)
    starts = np.concatenate([[0], np.cumsum([len(group) for group in groups])]).astype(np.int64)
    return Dividends(starts, flat[:, 0].copy(), flat[:, 1].copy())


def finite_differences(quantlib, side, strike, volatility, days, rate, amount):
    ql = quantlib.ql
    for quote, value in zip(quantlib.quotes, (SPOT, 0.0, rate, volatility), strict=True):
        quote.setValue(value)
    kind = ql.Option.Call if side > 0 else ql.Option.Put
    exercise = ql.AmericanExercise(quantlib.today, quantlib.today + days)
    option = ql.VanillaOption(ql.PlainVanillaPayoff(kind, strike), exercise)
    ex_days = [day for day in EX_DAYS if day < days]
    dividends = ql.DividendVector([quantlib.today + day for day in ex_days], [amount] * len(ex_days))
    scheme, model = ql.FdmSchemeDesc.Douglas(), ql.FdBlackScholesVanillaEngine.Escrowed
    option.setPricingEngine(
        ql.FdBlackScholesVanillaEngine(quantlib.process, dividends, 300, 400, 0, scheme, False, -1.0, model)
    )
    return option.NPV()


@pytest.fixture(scope="module")
def grid():
    """Return groups, and options of each: every second one of the grid of the module's docstring."""
    groups = list(itertools.product(DAYS, AMOUNTS, RATES))
    years, rates = (np.array([group[k] for group in groups], np.float64) for k in (0, 2))
    years /= 365
    dividends = schedule(
        *([(day / 365, amount) for day in EX_DAYS if day < days] for days, amount, _ in groups)
    )
    options = list(itertools.product(range(len(groups)), VOLATILITIES, STRIKES))[::2]
    group, volatilities, strikes = (np.array(column) for column in zip(*options, strict=True))
    return groups, years, rates, dividends, group, volatilities, strikes


def test_prices_are_as_near_to_finite_differences_as_the_docstring_says(grid):
    groups, years, rates, dividends, group, volatilities, strikes = grid
    quantlib = QuantLibAmerican()
    spots = np.full(years.size, SPOT)
    yields = escrowed_income(spots, dividends, years, rates) / years
    terms = (np.full(group.size, SPOT), strikes, volatilities, years[group], rates[group], yields[group])
    off = {}
    for side in (1.0, -1.0):
        prices, _ = boundary_prices(boundary_rule(12, 32, 48), np.full(group.size, side), *terms)
        exact = np.array(
            [
                finite_differences(
                    quantlib, side, strike, volatility, groups[g][0], groups[g][2], groups[g][1]
                )
                for g, volatility, strike in zip(
                    group.tolist(), volatilities.tolist(), strikes.tolist(), strict=True
                )
            ]
        )
        off[side] = np.abs(prices - exact) / SPOT
    for side, largest, rms in ((1.0, 1.1e-2, 1.9e-3), (-1.0, 1.6e-2, 2.8e-3)):
        assert off[side].max() <= largest
        assert np.sqrt(np.mean(off[side] ** 2)) <= rms


def test_the_forward_is_the_spot_without_its_dividends(grid):
    _, years, rates, dividends, *_ = grid
    spots = np.linspace(60.0, 140.0, years.size)
    income = escrowed_income(spots, dividends, years, rates)
    np.testing.assert_allclose(spots * np.exp(-income), spots - present_values(dividends, years, rates))


def test_present_values_by_hand():
    dividends = schedule([(0.5, 2.0), (1.0, 3.0), (1.5, 9.0)], [], [(0.25, 1.0)])
    values = present_values(dividends, np.array([1.0, 1.0, 0.2]), np.array([0.05, 0.05, 0.0]))
    expected = [2.0 * math.exp(-0.025) + 3.0 * math.exp(-0.05), 0.0, 0.0]
    np.testing.assert_allclose(values, expected, rtol=1e-15)
    assert escrowed_income(np.full(3, 50.0), dividends, np.ones(3), np.zeros(3))[1] == 0.0


def test_bad_dividends_are_all_named():
    with pytest.raises(InputError) as caught:
        schedule([(0.0, 1.0), (0.5, -1.0)], [(math.nan, 1.0), (1.0, math.inf), (1.0, 0.0)])
    places = [(record.line, record.field) for record in caught.value.records]
    assert places == [(1, "times"), (2, "amounts"), (3, "times"), (4, "amounts")]


@pytest.mark.parametrize("spot", [2.0, 1.0, 0.0, -5.0, math.nan, math.inf])
def test_spots_that_dividends_use_up_are_refused(spot):
    dividends, years = schedule([(0.5, 2.0)], [(0.5, 2.0)]), np.ones(2)
    with pytest.raises(InputError) as caught:
        escrowed_income(np.array([100.0, spot]), dividends, years, np.zeros(2))
    assert [record.line for record in caught.value.records] == [2]
