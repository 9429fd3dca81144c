"""European options as they are revalued elsewhere: QuantLib option by option, JAX array by array."""

from __future__ import annotations

import importlib
import importlib.util
import time
import warnings
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from machine import seconds

if TYPE_CHECKING:
    from option_market import OptionMarket

__all__ = ["has_jax", "jax_prices", "quantlib_engine", "quantlib_formula"]

RUNS = 31  # enough for threads of other libraries to come to rest


def has_jax() -> bool:
    """Tell whether JAX is installed; the project does not ask for it."""
    return importlib.util.find_spec("jax") is not None


def _quantlib() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        quantlib = importlib.import_module("QuantLib")
    quantlib.Settings.instance().evaluationDate = quantlib.Date(15, 6, 2026)
    return quantlib


def _moved(market: OptionMarket, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return spot and volatility of each pair in each scenario."""
    group, columns = market.group[pairs], market.scenario_columns
    owner = market.underlying[group]
    spot = market.spot[owner, None] * np.exp(market.log_return[owner][:, columns])
    return spot, market.volatility[pairs, None] * market.volatility_factor[group][:, columns]


def quantlib_engine(market: OptionMarket, pairs: np.ndarray) -> tuple[float, np.ndarray]:
    """Return seconds of one run and the prices (options × scenarios), with two quotes set for each scenario."""
    ql = _quantlib()
    today, counter = ql.Settings.instance().evaluationDate, ql.Actual365Fixed()
    spot, level, dividend = ql.SimpleQuote(1.0), ql.SimpleQuote(0.2), ql.SimpleQuote(0.0)

    def curve(quote: Any) -> Any:
        return ql.YieldTermStructureHandle(ql.FlatForward(today, ql.QuoteHandle(quote), counter))

    surface = ql.BlackConstantVol(today, ql.NullCalendar(), ql.QuoteHandle(level), counter)
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(spot),
        curve(dividend),
        curve(ql.SimpleQuote(market.rate)),
        ql.BlackVolTermStructureHandle(surface),
    )
    engine = ql.AnalyticEuropeanEngine(process)
    spots, levels = (values.tolist() for values in _moved(market, pairs))
    days = np.rint(market.years[market.group[pairs]] * 365).astype(int).tolist()
    prices = np.empty((2 * pairs.size, len(spots[0])))
    start = time.perf_counter()
    for i, strike in enumerate(market.strike[pairs].tolist()):
        exercise = ql.EuropeanExercise(today + days[i])
        call, put = (
            ql.VanillaOption(ql.PlainVanillaPayoff(side, strike), exercise)
            for side in (ql.Option.Call, ql.Option.Put)
        )
        call.setPricingEngine(engine)
        put.setPricingEngine(engine)
        dividend.setValue(float(market.dividend_yield[market.underlying[market.group[pairs[i]]]]))
        for s, (price, volatility) in enumerate(zip(spots[i], levels[i], strict=True)):
            spot.setValue(price)
            level.setValue(volatility)
            prices[2 * i, s], prices[2 * i + 1, s] = call.NPV(), put.NPV()
    return time.perf_counter() - start, prices


def quantlib_formula(market: OptionMarket, pairs: np.ndarray) -> float:
    """Return seconds of one run with Black's formula, called for each price."""
    ql = _quantlib()
    spots, levels = _moved(market, pairs)
    group = market.group[pairs]
    years, dividend = market.years[group], market.dividend_yield[market.underlying[group]]
    forwards = (spots * np.exp((market.rate - dividend) * years)[:, None]).tolist()
    deviations = (levels * np.sqrt(years)[:, None]).tolist()
    discounts, strikes = np.exp(-market.rate * years).tolist(), market.strike[pairs].tolist()
    call, put, formula = ql.Option.Call, ql.Option.Put, ql.blackFormula
    start = time.perf_counter()
    for i, (strike, discount) in enumerate(zip(strikes, discounts, strict=True)):
        for forward, deviation in zip(forwards[i], deviations[i], strict=True):
            formula(call, strike, forward, deviation, discount)
            formula(put, strike, forward, deviation, discount)
    return time.perf_counter() - start


def jax_prices(market: OptionMarket, pairs: np.ndarray, kind: type[np.floating]) -> tuple[float, np.ndarray]:
    """Return the median time and the prices (options × scenarios), compiled and on all cores.

    The put follows from the call by parity, and spots and volatilities of the scenarios are in memory.
    """
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", kind is np.float64)
    ndtr, jnp = importlib.import_module("jax.scipy.special").ndtr, jax.numpy
    group = market.group[pairs]
    columns = (market.years[group], market.strike[pairs], market.dividend_yield[market.underlying[group]])
    arrays = [jnp.asarray(values, kind) for values in _moved(market, pairs)]
    arrays += [jnp.asarray(values[:, None], kind) for values in columns]
    rate = kind(market.rate)

    @jax.jit
    def prices(spot: Any, level: Any, years: Any, strike: Any, dividend: Any) -> Any:
        deviation = level * jnp.sqrt(years)
        upper = (jnp.log(spot / strike) + (rate - dividend) * years) / deviation + deviation / 2
        forward_leg, strike_leg = spot * jnp.exp(-dividend * years), strike * jnp.exp(-rate * years)
        call = forward_leg * ndtr(upper) - strike_leg * ndtr(upper - deviation)
        return call, call - forward_leg + strike_leg

    def run() -> Any:
        return jax.block_until_ready(prices(*arrays))

    call, put = run()
    both = np.stack([np.asarray(call), np.asarray(put)], axis=1).reshape(2 * pairs.size, -1)
    return median(seconds(run, RUNS)), both
