"""Benchmark: American options in every scenario, against European ones and QuantLib's fixed-point engine."""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np

from crossmargin.kernels.american_boundary import REFERENCE_RULE, boundary_prices
from crossmargin.kernels.american_pairs import (
    american_base_prices,
    american_pairs,
    deviation_ranges,
    pair_premiums,
)
from crossmargin.kernels.american_premium import fit_premiums
from crossmargin.kernels.european_pairs import european_pairs
from machine import in_fresh_process, seconds
from option_market import COLUMNS, CONTRACT, SCENARIOS, OptionMarket, european_inputs, option_market
from report import Row, Table, ratio_row

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["bench_american_options"]

RUNS = 9
QUANTLIB_OPTIONS, CHECKED = 400, 20_000
EUROPEAN_GOAL, QUANTLIB_GOAL, FIT_GOAL = 2.5, 40_000.0, 20.0
LARGEST_ERROR, MEAN_ERROR = 1e-5, 1e-6
SEED = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class American:
    """Times, the least of several runs each, errors and sizes."""

    american: float
    european: float
    ranges: float
    fit: float
    quantlib: float  # of one option
    largest: float
    rms: float
    prices: int
    sides: int
    classes: tuple[int, ...]
    cores: int


def measure() -> American:
    """Revalue the whole market as American and as European options, in float32."""
    market = option_market()
    groups, pairs, factors, gaps = european_inputs(market, np.float32)
    wide = european_inputs(market, np.float64)
    interest = market.rate * market.years
    income = market.dividend_yield[market.underlying] * market.years
    low, high = deviation_ranges(*wide[:3])
    fits = fit_premiums(interest, income, low, high)
    call, put = american_base_prices(groups, wide[1], pair_premiums(fits, interest, income, np.float64))
    pairs = pairs._replace(call_base=call.astype(np.float32), put_base=put.astype(np.float32))
    premiums = pair_premiums(fits, interest, income, np.float32)
    cube = np.zeros((2 * market.strike.size, COLUMNS), np.float32)
    european = min(seconds(lambda: european_pairs(groups, pairs, factors, gaps, cube), RUNS))
    american = min(seconds(lambda: american_pairs(groups, pairs, factors, premiums, gaps, cube), RUNS))
    largest, rms = errors(market, cube, np.stack([call, put]))
    return American(
        american=american,
        european=european,
        ranges=min(seconds(lambda: deviation_ranges(*wide[:3]), RUNS)),
        fit=min(seconds(lambda: fit_premiums(interest, income, low, high), RUNS)),
        quantlib=min(seconds(quantlib_prices(market), 5)) / QUANTLIB_OPTIONS,
        largest=largest,
        rms=rms,
        prices=2 * market.strike.size * SCENARIOS,
        sides=fits.classes.size,
        classes=tuple(np.bincount(fits.classes.ravel(), minlength=5).tolist()),
        cores=numba.get_num_threads(),
    )


def errors(market: OptionMarket, cube: np.ndarray, base: np.ndarray) -> tuple[float, float]:
    """Return the largest and the root mean square error of a sample, in parts of the strike."""
    rng = np.random.default_rng(SEED)
    pair, side = rng.integers(0, market.strike.size, CHECKED), rng.integers(0, 2, CHECKED)
    column, group = rng.choice(market.scenario_columns, CHECKED), market.group[pair]
    owner, strike = market.underlying[group], market.strike[pair]
    exact, statuses = boundary_prices(
        REFERENCE_RULE,
        1.0 - 2.0 * side,
        market.spot[owner] * np.exp(market.log_return[owner, column]),
        strike,
        market.volatility[pair] * market.volatility_factor[group, column],
        market.years[group],
        np.full(CHECKED, market.rate),
        market.dividend_yield[owner],
    )
    assert statuses.max() <= 1, "a price of the reference is missing"
    found = cube[2 * pair + side, column] / CONTRACT + base[side, pair]
    off = np.abs(found - exact) / strike
    return float(off.max()), float(np.sqrt(np.mean(off**2)))


def quantlib_prices(market: OptionMarket) -> Callable[[], None]:
    """Return what prices a sample by QuantLib's QdFp engine, fast scheme: quotes are set and NPV is asked."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="builtin type", category=DeprecationWarning)
        ql = importlib.import_module("QuantLib")
    today, counter = ql.Date(15, 6, 2026), ql.Actual365Fixed()
    ql.Settings.instance().evaluationDate = today
    quotes = [ql.SimpleQuote(value) for value in (1.0, 0.0, 0.2)]
    spot, income, level = (ql.QuoteHandle(quote) for quote in quotes)
    process = ql.BlackScholesMertonProcess(
        spot,
        ql.YieldTermStructureHandle(ql.FlatForward(today, income, counter)),
        ql.YieldTermStructureHandle(ql.FlatForward(today, market.rate, counter)),
        ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), level, counter)),
    )
    engine = ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.fastScheme())
    pair = np.random.default_rng(SEED).integers(0, market.strike.size, QUANTLIB_OPTIONS)
    group = market.group[pair]
    owner, days = market.underlying[group], np.rint(market.years[group] * 365).astype(int)
    options = []
    for i in range(QUANTLIB_OPTIONS):
        payoff = ql.PlainVanillaPayoff(
            ql.Option.Call if i % 2 else ql.Option.Put, float(market.strike[pair[i]])
        )
        options.append(ql.VanillaOption(payoff, ql.AmericanExercise(today, today + int(days[i]))))
        options[i].setPricingEngine(engine)
    columns = (market.spot[owner], market.dividend_yield[owner], market.volatility[pair])
    values = np.stack(columns, axis=1).tolist()

    def price() -> None:
        for option, numbers in zip(options, values, strict=True):
            for quote, number in zip(quotes, numbers, strict=True):
                quote.setValue(number)
            option.NPV()

    return price


def bench_american_options() -> Table:
    """Return the table of American revaluation."""
    found = in_fresh_process(measure)
    ratio = found.quantlib / (found.american / found.prices)
    kinds = ", ".join(f"{count:,}" for count in found.classes)
    return Table(
        "American options in every scenario",
        f"{found.prices:,} prices in float32: European prices of calls and puts, one polynomial and one power "
        "of two for each side; 4 bytes written a price.",
        [
            Row("all American prices", f"{1e3 * found.american:,.1f} ms"),
            Row("one price", f"{1e9 * found.american / found.prices:.3f} ns"),
            ratio_row(
                "time over that of European prices",
                found.american / found.european,
                EUROPEAN_GOAL,
                at_most=True,
            ),
            ratio_row("times as fast as QuantLib's QdFp engine, fast scheme", ratio, QUANTLIB_GOAL),
            Row(
                "largest error, of the strike",
                f"{found.largest:.1e}",
                f"≤ {LARGEST_ERROR:.0e}",
                found.largest <= LARGEST_ERROR,
            ),
            Row("mean error (rms)", f"{found.rms:.1e}", f"≤ {MEAN_ERROR:.0e}", found.rms <= MEAN_ERROR),
            Row(f"fit of {found.sides:,} sides", f"{1e3 * found.fit:,.0f} ms"),
            ratio_row(
                "time of the fit over that of all prices",
                found.fit / found.american,
                FIT_GOAL,
                at_most=True,
            ),
        ],
        [
            f"QuantLib takes {1e6 * found.quantlib:.1f} µs for one option on one core; ours runs on {found.cores}.",
            f"Errors: {CHECKED:,} prices of the run against the solver at its finest, in parts of the strike.",
            f"Sides by class of polynomial, from never exercised to the largest: {kinds}.",
            f"Ranges of volatilities, which the fits need, take {1e3 * found.ranges:.1f} ms more.",
            (
                "The European part is that of the European kernel; premium and comparison with exercise take two fifths "
                "as long again for each side. What would bring it below 2.5 is a shorter polynomial, at the price of "
                "errors above 1e-5 of the strike."
            ),
        ],
    )


if __name__ == "__main__":
    print(bench_american_options().to_markdown())
