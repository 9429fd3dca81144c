"""Arguments of the kernels of European options, and the call that fills a fresh cube."""

from __future__ import annotations

import numpy as np

from crossmargin.kernels.european_pairs import (
    FactorVectors,
    PairGroups,
    Pairs,
    european_base_prices,
    european_pairs,
)

NO_GAPS = np.empty((0, 2), np.int64)
WIDTHS = (np.float32, np.float64)
TOLERANCE = {np.float32: 1e-6, np.float64: 1e-12}  # of the larger of forward and strike leg


def pairs_of(kind, forward_leg, strike_leg, deviation, *, least=0.0, smile=0.0, skew=0.0, scale=1.0):
    """Return pairs whose base is their own price; numbers that are alone hold for every pair."""
    forward_leg, strike_leg, deviation, least, smile, skew, scale = (
        np.ascontiguousarray(column, np.float64)
        for column in np.broadcast_arrays(forward_leg, strike_leg, deviation, least, smile, skew, scale)
    )
    moneyness = np.log(forward_leg / strike_leg)
    call, put = european_base_prices(moneyness, np.maximum(deviation, least), forward_leg, strike_leg)
    rows = np.arange(deviation.size)
    numbers = {
        "log_moneyness": moneyness,
        "deviation": deviation,
        "least_deviation": least,
        "smile": smile,
        "skew": skew,
        "forward_leg": forward_leg,
        "strike_leg": strike_leg,
        "call_base": call,
        "put_base": put,
        "call_scale": scale,
        "put_scale": scale,
    }
    narrowed = {name: column.astype(kind) for name, column in numbers.items()}
    return Pairs(**narrowed, call_row=2 * rows, put_row=2 * rows + 1)


def groups_of(*sizes):
    """Return groups of so many pairs; each has its own row of factors, and the first curve."""
    own = np.arange(len(sizes))
    return PairGroups(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), own, own, own * 0)


def factors_of(kind, log_return, volatility_factor, skew=None, discount=None):
    """Return factors from matrices of rows × scenarios; those that are not given do not move."""
    still = np.empty((0, np.shape(log_return)[1]))
    log_return, factor, skew, discount = (
        still if rows is None else np.asarray(rows, np.float64)
        for rows in (log_return, volatility_factor, skew, discount)
    )
    columns = (log_return, np.exp(log_return), factor, skew, discount)
    return FactorVectors(*(np.ascontiguousarray(rows, kind) for rows in columns))


def revalue(groups, pairs, factors, gaps=NO_GAPS, kernel=european_pairs, kind=None):
    """Return a cube of one row for each option, filled by the kernel."""
    cube = np.full((2 * pairs.deviation.size, factors.growth.shape[1]), np.nan, kind or pairs.deviation.dtype)
    kernel(groups, pairs, factors, gaps, cube)
    return cube


def random_book(kind, sizes, scenarios, *, full, seed=5):
    """Return groups, pairs and factors over wide ranges of expiries, volatilities and strikes."""
    rng = np.random.default_rng(seed)
    count = sum(sizes)
    years = np.exp(rng.uniform(np.log(1 / 365), np.log(5.0), count))
    volatility = np.exp(rng.uniform(np.log(0.01), np.log(3.0), count))
    forward = rng.uniform(10.0, 200.0, count)
    pairs = pairs_of(
        kind,
        forward,
        forward * np.exp(rng.uniform(-1.5, 1.0, count)),
        volatility * np.sqrt(years),
        least=1e-3 * np.sqrt(years),
        smile=rng.uniform(-0.2, 0.2, count) * np.sqrt(years) if full else 0.0,
        skew=rng.uniform(-0.2, 0.2, count) * np.sqrt(years) if full else 0.0,
        scale=rng.choice([1.0, 10.0, 50.0], count),
    )
    shape = (len(sizes), scenarios)
    factors = factors_of(
        kind,
        rng.uniform(-0.6, 0.6, shape),
        np.exp(rng.uniform(-0.7, 1.3, shape)),
        rng.normal(0.0, 0.3, shape) if full else None,
        np.exp(rng.uniform(-0.05, 0.05, (1, scenarios))) if full else None,
    )
    return groups_of(*sizes), pairs, factors
