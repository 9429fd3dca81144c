"""American options against QuantLib's fixed-point engine (QdFp).

Two things are compared. The solver of the boundary: with QuantLib's high precision scheme, taken to the end of
its iteration (40 steps; its own 10 leave up to 1e-7). The kernel, float32 and float64: with QuantLib's accurate
scheme and with the solver, over every option of this grid in every scenario, 32,760 prices in each width:

- 1, 7, 30, 91 and 365 days, 3 and 5 years;
- rate and yield: none, yield below, at and above the rate, negative yield, negative rate, neither;
- volatilities in four groups around 2%, 11%, 45% and 150%, each halved and doubled: 1% to 300%;
- strikes of 0.5 to 2 spots, and spots moved by −35% to +35%.

Errors are parts of the strike, or of the spot where that is larger. Found: 6.0e-6 at most and 3.7e-7 in the mean
(root of the mean square), in either width; of the strike alone 9.0e-6. QuantLib's accurate scheme is itself off
by up to 4.2e-6 on this grid.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from american_books import Book, QuantLibAmerican

from crossmargin.kernels.american_boundary import REFERENCE_RULE, AmericanStatus, boundary_prices

DAYS = (1, 7, 30, 91, 365, 3 * 365, 5 * 365)
RATES = (
    (0.03, 0.0),
    (0.03, 0.015),
    (0.03, 0.03),
    (0.03, 0.05),
    (0.05, 0.01),
    (0.01, 0.06),
    (0.02, -0.01),
    (-0.01, 0.02),
    (0.0, 0.0),
)
LEVELS = (0.02, 0.11, 0.45, 1.5)
STRIKES = (50.0, 90.0, 100.0, 110.0, 200.0)
MOVES = (*itertools.product((-0.35, -0.05, 0.05, 0.35), (0.5, 1.0, 2.0)), (0.0, 1.4))
SPOT = 100.0


@pytest.fixture(scope="module")
def quantlib():
    return QuantLibAmerican()


@pytest.fixture(scope="module")
def book():
    terms = np.array(list(itertools.product(DAYS, RATES, LEVELS)), dtype=object)
    days, (rates, yields) = terms[:, 0].astype(float), np.array(list(terms[:, 1])).T
    count, moves = len(STRIKES), np.array(MOVES)
    return Book(
        days / 365,
        np.ascontiguousarray(rates),
        np.ascontiguousarray(yields),
        np.full(count * days.size, SPOT),
        np.tile(STRIKES, days.size),
        np.repeat(terms[:, 2].astype(float), count),
        np.repeat(moves[None, :, 0], days.size, axis=0),
        np.repeat(moves[None, :, 1], days.size, axis=0),
    )


def flat(book, side):
    """Return the terms of every option and scenario as columns."""
    spots, volatilities = book.moved()
    group, shape = book.group, spots.shape
    columns = [spots, np.broadcast_to(book.strikes[:, None], shape), volatilities]
    columns += [np.broadcast_to(c[group][:, None], shape) for c in (book.years, book.rates, book.yields)]
    return [np.full(spots.size, side), *(np.ascontiguousarray(column).ravel() for column in columns)]


@pytest.fixture(scope="module")
def exact(book):
    """Return prices by the solver, calls and puts."""
    both = [boundary_prices(REFERENCE_RULE, *flat(book, side)) for side in (1.0, -1.0)]
    for _, statuses in both:
        assert set(np.unique(statuses)) == {AmericanStatus.FOUND, AmericanStatus.NEVER_EXERCISED}
    return [prices for prices, _ in both]


def errors(book, found, expected):
    spots = book.moved()[0]
    return np.abs(found - expected.reshape(spots.shape)) / np.maximum(spots, book.strikes[:, None])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_kernel_is_within_1e_5_of_the_solver_and_1e_6_in_the_mean(book, exact, kind):
    calls, puts, fits = book.prices(kind)
    assert fits.statuses.max() <= AmericanStatus.NEVER_EXERCISED
    off = np.concatenate([errors(book, calls, exact[0]), errors(book, puts, exact[1])])
    assert off.size >= 10_000
    assert off.max() <= 1e-5
    assert np.sqrt(np.mean(off**2)) <= 1e-6


def test_kernel_is_as_near_to_quantlib(book, quantlib):
    """Every second price, 16,380, with the accurate scheme; found: 4.4e-6 at most, 3.6e-7 in the mean."""
    calls, puts, _ = book.prices(np.float32)
    off = []
    for side, prices in ((1.0, calls), (-1.0, puts)):
        found = prices.ravel()[::2]
        for price, *terms in zip(found, *(column[::2] for column in flat(book, side)), strict=True):
            _, spot, strike, volatility, years, rate, income = terms
            expected = quantlib.price(
                quantlib.accurate, side, spot, strike, volatility, round(years * 365), rate, income
            )
            off.append(abs(price - expected) / max(spot, strike))
    assert len(off) >= 10_000
    assert max(off) <= 1e-5
    assert np.sqrt(np.mean(np.square(off))) <= 1e-6


@pytest.mark.parametrize(("rate", "income"), [*RATES[:-1], (0.0, -0.03), (0.1, 0.0), (-0.02, 0.01)])
def test_solver_is_within_2e_8_of_quantlib(quantlib, rate, income):
    """Found on a like grid: 4e-9 at most, with 300% for five years; 2e-9 elsewhere."""
    terms = list(
        itertools.product((1.0, -1.0), (0.85, 1.0, 1.2), (0.02, 0.1, 0.3, 1.0, 3.0), (1, 30, 365, 1825))
    )
    columns = [np.ascontiguousarray(column, np.float64) for column in zip(*terms, strict=True)]
    side, spot, volatility, days = columns
    ones = np.ones_like(side)
    prices, statuses = boundary_prices(
        REFERENCE_RULE, side, spot, ones, volatility, days / 365, rate * ones, income * ones
    )
    assert not set(np.unique(statuses)) & {AmericanStatus.NOT_CONVERGED, AmericanStatus.INVALID}
    for i in range(0, side.size, 3):
        expected = quantlib.price(
            quantlib.settled, side[i], spot[i], 1.0, volatility[i], days[i], rate, income
        )
        assert prices[i] == pytest.approx(expected, abs=2e-8 * max(1.0, spot[i]))


def test_two_boundaries_are_told_where_quantlib_refuses_too(quantlib):
    """A put whose yield lies below a negative rate, and the call that it is the mirror of."""
    for side, rate, income in ((-1.0, -0.01, -0.02), (1.0, -0.02, -0.01)):
        with pytest.raises(RuntimeError, match="double-boundary"):
            quantlib.price(quantlib.high, side, 1.0, 1.0, 0.2, 365, rate, income)
        one = np.ones(1)
        price, status = boundary_prices(
            REFERENCE_RULE, side * one, one, one, 0.2 * one, one, rate * one, income * one
        )
        assert status[0] == AmericanStatus.TWO_BOUNDARIES
        assert np.isnan(price[0])
