"""Profit and loss of European options in every scenario: the call and the put of a strike together.

Cost of a pair in one scenario, without smile, skew and rates: 59 additions and multiplications (101 in 64 bits)
and two divisions, so that the vector units of the processor set the limit, not the memory: 8 (16) bytes are
written, and the three rows of the scenarios that are read stay in the nearest caches. No branch and no call is
in the loop, which LLVM turns into vector code; a test fails where it does not.

One exponential serves four distribution functions. With S and K the present values of forward and strike,
S·φ(d₁) = K·φ(d₂); with Mills' ratio R, N(−|d|) = φ(d)·R(|d|). So S·N(−|d₁|) and K·N(−|d₂|) share the factor
S·φ(d₁). What they are short of S/2 and K/2 has the sign of d₁ and d₂; their difference is half the straddle,
and the call is that plus (S − K)/2, the put that minus it. An option far out of the money is therefore good to
the last digits of S and K, not of its own price.

A task takes 64 pairs or fewer and may span groups; one thread writes a row, so that the number of threads
changes no bit. Source of the price: F. Black, The pricing of commodity contracts, 1976.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, Float64, Int64
from numba import njit, prange

from crossmargin.kernels.fast_math import (
    FARTHEST_32,
    FARTHEST_64,
    MILLS_SCALE_32,
    MILLS_SCALE_64,
    Real,
    mills_parts,
    power_of_two,
)
from crossmargin.kernels.normal import ROOT_HALF, normal_cdf, normal_density

__all__ = [
    "FAST",
    "LEAST_DEVIATION",
    "PAIRS_PER_TASK",
    "Cube",
    "FactorVectors",
    "Gaps",
    "PairGreeks",
    "PairGroups",
    "Pairs",
    "Row",
    "clear_gaps",
    "european_base_prices",
    "european_greeks",
    "european_pairs",
    "european_pairs_full",
    "european_pairs_numpy",
    "european_pairs_plain",
    "output_rows",
    "pair_numbers",
    "pair_prices",
]

PAIRS_PER_TASK = 64
# Below, an option is worth what it brings at once, to 1e-13 of the forward; a float32 holds its reciprocal.
LEAST_DEVIATION = 1e-13
EXPONENT = -0.5 * math.log2(math.e)
# log₂ of twice the density at 0 and the scale of Mills' ratio: factors that cost nothing in an exponent.
LOG_FACTOR_32, LOG_FACTOR_64 = (
    math.log2(scale * math.sqrt(2.0 / math.pi)) for scale in (float(MILLS_SCALE_32), MILLS_SCALE_64)
)
# No approximate reciprocals: processors differ in them, and they are no faster here.
# No reassociation: a loop may be compiled where it stands and again inside its caller, differently, and which of
# the two runs depends on whether it was compiled now or loaded; results would differ in the last bits.
FAST = {"nnan", "ninf", "nsz", "contract"}


class PairGroups(NamedTuple):
    """Pairs that move together: one underlying and expiry each.

    Parameters
    ----------
    starts : ndarray of int64, shape (groups + 1,)
        Group g has the pairs ``starts[g]`` up to ``starts[g + 1]``; the last is the number of pairs.
    forward_row : ndarray of int64, shape (groups,)
        Row of ``log_return`` and ``growth``.
    volatility_row : ndarray of int64, shape (groups,)
        Row of ``volatility_factor`` and ``skew``.
    discount_row : ndarray of int64, shape (groups,)
        Row of ``discount``.
    """

    starts: Int64[np.ndarray, " groups+1"]
    forward_row: Int64[np.ndarray, " groups"]
    volatility_row: Int64[np.ndarray, " groups"]
    discount_row: Int64[np.ndarray, " groups"]


class Pairs(NamedTuple):
    """Call and put of many strikes, as they stand before any scenario; every number is finite.

    Parameters
    ----------
    log_moneyness : ndarray, shape (pairs,)
        ln(forward / strike).
    deviation : ndarray, shape (pairs,)
        Volatility × √years, not negative; 0 for an expired option.
    least_deviation : ndarray, shape (pairs,)
        The scenarios take the deviation no lower; ``LEAST_DEVIATION`` counts where this is less.
    smile : ndarray, shape (pairs,)
        Added to the deviation for a log return of 1 of the forward: a slope of the smile that moves with
        the forward ("sticky delta"); 0 where each strike keeps its volatility.
    skew : ndarray, shape (pairs,)
        Added to the deviation for a skew factor of 1.
    forward_leg, strike_leg : ndarray, shape (pairs,)
        Present value of the forward and of the strike, above 0.
    call_base, put_base : ndarray, shape (pairs,)
        Present value of each option; the P&L counts from it.
    call_row, put_row : ndarray of int64, shape (pairs,)
        Row of the cube, or −1 where that option is not wanted. No row is named twice.
    call_scale, put_scale : ndarray, shape (pairs,)
        Money for one unit of price, of one contract held long.
    """

    log_moneyness: Float[np.ndarray, " pairs"]
    deviation: Float[np.ndarray, " pairs"]
    least_deviation: Float[np.ndarray, " pairs"]
    smile: Float[np.ndarray, " pairs"]
    skew: Float[np.ndarray, " pairs"]
    forward_leg: Float[np.ndarray, " pairs"]
    strike_leg: Float[np.ndarray, " pairs"]
    call_base: Float[np.ndarray, " pairs"]
    put_base: Float[np.ndarray, " pairs"]
    call_row: Int64[np.ndarray, " pairs"]
    put_row: Int64[np.ndarray, " pairs"]
    call_scale: Float[np.ndarray, " pairs"]
    put_scale: Float[np.ndarray, " pairs"]


class FactorVectors(NamedTuple):
    """What moves in the scenarios; every number is finite.

    Parameters
    ----------
    log_return, growth : ndarray, shape (forwards, scenarios)
        Log return of the forward, and e to the power of it.
    volatility_factor : ndarray, shape (volatilities, scenarios)
        Multiplies the deviation; not negative.
    skew : ndarray, shape (volatilities, scenarios), or (0, scenarios)
        Multiplies the pair's ``skew``; no row where no skew moves.
    discount : ndarray, shape (curves, scenarios), or (0, scenarios)
        Discount factor over that of now; no row where rates stand still.
    """

    log_return: Float[np.ndarray, "forwards scenarios"]
    growth: Float[np.ndarray, "forwards scenarios"]
    volatility_factor: Float[np.ndarray, "volatilities scenarios"]
    skew: Float[np.ndarray, "skews scenarios"]
    discount: Float[np.ndarray, "curves scenarios"]


class PairGreeks(NamedTuple):
    """Sensitivities of the present value of a call and a put of one strike.

    Parameters
    ----------
    call_delta, put_delta : ndarray of float64, shape (pairs,)
        First derivative by the forward × forward: change for a rise by 100%, were it linear.
    gamma : ndarray of float64, shape (pairs,)
        Second derivative by the forward × forward².
    vega : ndarray of float64, shape (pairs,)
        Derivative by the deviation; × √years it is that by the volatility.
    """

    call_delta: Float64[np.ndarray, " pairs"]
    put_delta: Float64[np.ndarray, " pairs"]
    gamma: Float64[np.ndarray, " pairs"]
    vega: Float64[np.ndarray, " pairs"]


Row: TypeAlias = Float[np.ndarray, " scenarios"]
Cube: TypeAlias = Float[np.ndarray, "rows scenarios"]
Gaps: TypeAlias = Int64[np.ndarray, "gaps 2"]
Numbers: TypeAlias = "tuple[Real, Real, Real, Real, Real]"


@njit(inline="always", error_model="numpy")
def pair_numbers(like: Row) -> Numbers:
    """Return the constants in the width of an array: a wider one would widen every result."""
    real = like.dtype.type
    narrow = like.itemsize == 4  # noqa: PLR2004 (bytes)
    farthest = real(FARTHEST_32) if narrow else real(FARTHEST_64)
    factor = real(LOG_FACTOR_32) if narrow else real(LOG_FACTOR_64)
    return real(0.5), real(1.0), farthest, real(EXPONENT), factor


@njit(inline="always", error_model="numpy")
def pair_prices(
    moneyness: Real, deviation: Real, forward_leg: Real, strike_leg: Real, numbers: Numbers
) -> tuple[Real, Real]:
    """Return the present value of the call and the put: half a straddle, more or less half a forward."""
    half, one, farthest, exponent, factor = numbers
    upper = moneyness * (one / deviation) + half * deviation
    lower = upper - deviation
    high, low = min(abs(upper), farthest), min(abs(lower), farthest)
    high_above, high_below = mills_parts(high)
    low_above, low_below = mills_parts(low)
    half_forward, half_strike = half * forward_leg, half * strike_leg
    shared = half_forward * power_of_two(exponent * high * high + factor) / (high_below * low_below)
    forward_part = math.copysign(half_forward - shared * (high_above * low_below), upper)
    strike_part = math.copysign(half_strike - shared * (low_above * high_below), lower)
    straddle, parity = forward_part - strike_part, half_forward - half_strike
    return straddle + parity, straddle - parity


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _plain_pair(
    pairs: Pairs, i: int, scale: Real, log_return: Row, growth: Row, factor: Row, call: Row, put: Row
) -> None:
    """Fill the rows of a pair: only forward and level of volatility move."""
    numbers = pair_numbers(call)
    least = max(pairs.least_deviation[i], call.dtype.type(LEAST_DEVIATION))
    moneyness, deviation = pairs.log_moneyness[i], pairs.deviation[i]
    forward_leg, strike_leg = scale * pairs.forward_leg[i], scale * pairs.strike_leg[i]
    call_base, put_base = scale * pairs.call_base[i], scale * pairs.put_base[i]
    for s in range(call.size):
        moved = max(deviation * factor[s], least)
        prices = pair_prices(moneyness + log_return[s], moved, forward_leg * growth[s], strike_leg, numbers)
        call[s] = prices[0] - call_base
        put[s] = prices[1] - put_base


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _full_pair(
    pairs: Pairs,
    i: int,
    scale: Real,
    log_return: Row,
    growth: Row,
    factor: Row,
    skews: Row,
    discount: Row,
    call: Row,
    put: Row,
) -> None:
    """Fill the rows of a pair: smile, skew and discount factor move too."""
    numbers = pair_numbers(call)
    least = max(pairs.least_deviation[i], call.dtype.type(LEAST_DEVIATION))
    moneyness, deviation, smile, skew = (
        pairs.log_moneyness[i], pairs.deviation[i], pairs.smile[i], pairs.skew[i]
    )  # fmt: skip
    forward_leg, strike_leg = scale * pairs.forward_leg[i], scale * pairs.strike_leg[i]
    call_base, put_base = scale * pairs.call_base[i], scale * pairs.put_base[i]
    for s in range(call.size):
        moved = max(deviation * factor[s] + smile * log_return[s] + skew * skews[s], least)
        prices = pair_prices(moneyness + log_return[s], moved, forward_leg * growth[s], strike_leg, numbers)
        call[s] = discount[s] * prices[0] - call_base
        put[s] = discount[s] * prices[1] - put_base


@njit(cache=True, error_model="numpy")
def clear_gaps(row: Row, gaps: Gaps) -> None:
    """Put 0 into the columns of a row that are no scenarios."""
    for k in range(gaps.shape[0]):
        row[gaps[k, 0] : gaps[k, 1]] = 0


@njit(cache=True, error_model="numpy")
def output_rows(pairs: Pairs, i: int, cube: Cube, spare: Cube) -> tuple[Row, Row]:
    """Return the rows to fill; a spare one in place of an option that is not wanted."""
    call_row, put_row = pairs.call_row[i], pairs.put_row[i]
    call = cube[call_row] if call_row >= 0 else spare[0]
    put = cube[put_row] if put_row >= 0 else spare[1]
    return call, put


@njit(cache=True, error_model="numpy")
def _plain_task(
    first: int, last: int, groups: PairGroups, pairs: Pairs, factors: FactorVectors, gaps: Gaps, cube: Cube
) -> None:
    spare = np.empty((2, cube.shape[1]), cube.dtype)
    group = np.searchsorted(groups.starts, first, side="right") - 1
    for i in range(first, last):
        while i >= groups.starts[group + 1]:
            group += 1
        call, put = output_rows(pairs, i, cube, spare)
        forward, volatility = groups.forward_row[group], groups.volatility_row[group]
        log_return, growth = factors.log_return[forward], factors.growth[forward]
        factor = factors.volatility_factor[volatility]
        _plain_pair(pairs, i, pairs.call_scale[i], log_return, growth, factor, call, put)
        if pairs.put_scale[i] != pairs.call_scale[i]:
            _plain_pair(pairs, i, pairs.put_scale[i], log_return, growth, factor, spare[0], put)
        clear_gaps(call, gaps)
        clear_gaps(put, gaps)


@njit(cache=True, error_model="numpy")
def _full_task(
    first: int, last: int, groups: PairGroups, pairs: Pairs, factors: FactorVectors, gaps: Gaps, cube: Cube
) -> None:
    spare = np.empty((2, cube.shape[1]), cube.dtype)
    still = np.empty((2, cube.shape[1]), cube.dtype)
    still[0], still[1] = 0, 1
    group = np.searchsorted(groups.starts, first, side="right") - 1
    for i in range(first, last):
        while i >= groups.starts[group + 1]:
            group += 1
        call, put = output_rows(pairs, i, cube, spare)
        forward, volatility = groups.forward_row[group], groups.volatility_row[group]
        skews = factors.skew[volatility] if factors.skew.shape[0] > 0 else still[0]
        discount = factors.discount[groups.discount_row[group]] if factors.discount.shape[0] > 0 else still[1]
        log_return, growth = factors.log_return[forward], factors.growth[forward]
        factor = factors.volatility_factor[volatility]
        moved = log_return, growth, factor, skews, discount
        _full_pair(pairs, i, pairs.call_scale[i], *moved, call, put)
        if pairs.put_scale[i] != pairs.call_scale[i]:
            _full_pair(pairs, i, pairs.put_scale[i], *moved, spare[0], put)
        clear_gaps(call, gaps)
        clear_gaps(put, gaps)


@njit(cache=True, parallel=True, error_model="numpy")
def european_pairs_plain(
    groups: PairGroups, pairs: Pairs, factors: FactorVectors, gaps: Gaps, cube: Cube
) -> None:
    """Do what ``european_pairs`` does, without smile, skew and discount factors."""
    count = pairs.deviation.size
    tasks = (count + PAIRS_PER_TASK - 1) // PAIRS_PER_TASK
    for task in prange(tasks):
        _plain_task(task * count // tasks, (task + 1) * count // tasks, groups, pairs, factors, gaps, cube)


@njit(cache=True, parallel=True, error_model="numpy")
def european_pairs_full(
    groups: PairGroups, pairs: Pairs, factors: FactorVectors, gaps: Gaps, cube: Cube
) -> None:
    """Do what ``european_pairs`` does, with smile, skew and discount factors."""
    count = pairs.deviation.size
    tasks = (count + PAIRS_PER_TASK - 1) // PAIRS_PER_TASK
    for task in prange(tasks):
        _full_task(task * count // tasks, (task + 1) * count // tasks, groups, pairs, factors, gaps, cube)


def european_pairs(groups: PairGroups, pairs: Pairs, factors: FactorVectors, gaps: Gaps, cube: Cube) -> None:
    """Write the profit and loss of each option in each scenario into its row of the cube.

    In a scenario the forward is multiplied by its growth, and the deviation is the largest of
    ``least_deviation`` and deviation × factor + smile × log return + pair's skew × skew factor. The P&L is
    scale × (discount × price − base), gain-positive, for one contract held long.

    All floating-point arrays are of one type, float32 or float64, and lie row after row. Nothing is
    checked here: a number that is not finite spoils its row. Against exact arithmetic a price is off by less
    than 1e-6 (float32) or 1e-12 (float64) of the larger of forward and strike leg.

    Parameters
    ----------
    groups, pairs, factors
        The options and what moves them. Where no pair has smile or skew and no rates move, a shorter
        kernel runs, whose results may differ in the last digit.
    gaps : ndarray of int64, shape (gaps, 2)
        Columns from and up to, that are no scenarios: they become 0. Their factors are finite too.
    cube : ndarray of float32 or float64, shape (rows, scenarios)
        Filled in the rows that the pairs name; other rows stay.
    """
    moving = factors.skew.shape[0] > 0 or factors.discount.shape[0] > 0
    kernel = european_pairs_full if moving or pairs.smile.any() else european_pairs_plain
    kernel(groups, pairs, factors, gaps, cube)


def european_pairs_numpy(
    groups: PairGroups, pairs: Pairs, factors: FactorVectors, gaps: Gaps, cube: Cube
) -> None:
    """Do what ``european_pairs`` does, readably and in float64 up to the last step: the reference in tests."""
    group_of = np.repeat(np.arange(groups.starts.size - 1), np.diff(groups.starts))
    wide = FactorVectors(*(values.astype(np.float64) for values in factors))
    for i, group in enumerate(group_of):
        forward, volatility = groups.forward_row[group], groups.volatility_row[group]
        log_return = wide.log_return[forward]
        skews = wide.skew[volatility] if wide.skew.size else 0.0
        discount = wide.discount[groups.discount_row[group]] if wide.discount.size else 1.0
        own = {name: float(values[i]) for name, values in pairs._asdict().items()}
        moved = own["deviation"] * wide.volatility_factor[volatility] + own["smile"] * log_return
        moved = np.maximum(moved + own["skew"] * skews, max(own["least_deviation"], LEAST_DEVIATION))
        upper = (own["log_moneyness"] + log_return) / moved + 0.5 * moved
        forward_leg, strike_leg = own["forward_leg"] * wide.growth[forward], own["strike_leg"]
        for name, side in (("call", 1.0), ("put", -1.0)):
            price = forward_leg * _cdf(side * upper) - strike_leg * _cdf(side * (upper - moved))
            if own[f"{name}_row"] >= 0:
                row = cube[int(own[f"{name}_row"])]
                row[:] = own[f"{name}_scale"] * (discount * side * price - own[f"{name}_base"])
                clear_gaps.py_func(row, gaps)


def _cdf(x: Float64[np.ndarray, " scenarios"]) -> Float64[np.ndarray, " scenarios"]:
    return 0.5 * np.vectorize(math.erfc, otypes=[np.float64])(-x * ROOT_HALF)


@njit(cache=True, error_model="numpy")
def european_base_prices(
    log_moneyness: Float64[np.ndarray, " pairs"],
    deviation: Float64[np.ndarray, " pairs"],
    forward_leg: Float64[np.ndarray, " pairs"],
    strike_leg: Float64[np.ndarray, " pairs"],
) -> tuple[Float64[np.ndarray, " pairs"], Float64[np.ndarray, " pairs"]]:
    """Present value of the call and the put of each pair before any scenario; arguments as ``Pairs``."""
    call, put = np.empty_like(deviation), np.empty_like(deviation)
    numbers = pair_numbers(call)
    for i in range(call.size):
        spread = max(deviation[i], LEAST_DEVIATION)
        call[i], put[i] = pair_prices(log_moneyness[i], spread, forward_leg[i], strike_leg[i], numbers)
    return call, put


@njit(cache=True, error_model="numpy")
def european_greeks(
    log_moneyness: Float64[np.ndarray, " pairs"],
    deviation: Float64[np.ndarray, " pairs"],
    forward_leg: Float64[np.ndarray, " pairs"],
) -> PairGreeks:
    """Sensitivities of each pair before any scenario, at unchanged smile; arguments as ``Pairs``."""
    call_delta, put_delta = np.empty_like(deviation), np.empty_like(deviation)
    gamma, vega = np.empty_like(deviation), np.empty_like(deviation)
    for i in range(deviation.size):
        spread = max(deviation[i], LEAST_DEVIATION)
        upper = log_moneyness[i] / spread + 0.5 * spread
        call_delta[i] = forward_leg[i] * normal_cdf(upper)
        put_delta[i] = -forward_leg[i] * normal_cdf(-upper)
        vega[i] = forward_leg[i] * normal_density(upper)
        gamma[i] = vega[i] / spread
    return PairGreeks(call_delta, put_delta, gamma, vega)
