"""Profit and loss of American options in every scenario: the call and the put of a strike together.

An American price is the European one, from the formulas of ``european_pairs``, and the premium of
``american_premium``, but never less than what exercise brings:

    price = max(European + unit · 2^(p(u, t) − tail · |u − clipped u|), exercise)

where the unit is the strike of a put and the spot of a call. The tail takes the premium away where its
polynomial does not reach: far from the boundary, where it is below 3e-7 of the strike, and beyond it, where
exercise is worth more. So there is neither a branch nor a table in the loops. A side that lies beyond in every
scenario skips its polynomial, which would not change a bit.

Cost of a pair in one scenario: that of the European pair, a division, and for each side 32 to 62 additions
and multiplications by the class of its polynomial. The steps are loops of their own over rows that stay in the
nearest caches: a processor looks ahead over so many operations only, and short chains of them overlap where
one long chain would be waited for; and the coefficients of a step fit the registers.

One thread writes a row, so that the number of threads changes no bit.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int64
from numba import njit, prange

from crossmargin.kernels.american_premium import (
    BOUNDARY,
    CALL,
    DEPTH,
    MIDDLE,
    PUT,
    SCALE,
    START,
    TAIL,
    TERMS,
    PremiumFits,
    premium_numpy,
)
from crossmargin.kernels.european_pairs import (
    FAST,
    LEAST_DEVIATION,
    PAIRS_PER_TASK,
    Cube,
    FactorVectors,
    Gaps,
    PairGroups,
    Pairs,
    Row,
    clear_gaps,
    european_pairs_numpy,
    output_rows,
    pair_numbers,
    pair_prices,
)
from crossmargin.kernels.fast_math import Real, power_of_two

__all__ = [
    "PairPremiums",
    "american_base_prices",
    "american_pairs",
    "american_pairs_full",
    "american_pairs_numpy",
    "american_pairs_plain",
    "deviation_ranges",
    "pair_premiums",
]

TAIL_POWER = TAIL * math.log2(math.e)
LEAST_POWER = -126.0  # what is left of a premium then is below 1e-37 of the strike


class Own(NamedTuple):
    """Numbers of one pair, in the type of the cube: what a step takes instead of all arrays of all pairs."""

    moneyness: Real
    deviation: Real
    least: Real
    smile: Real
    skew: Real
    forward_leg: Real
    strike_leg: Real
    strike: Real
    spot: Real
    call_start: Real
    put_start: Real
    middle: Real
    scale: Real
    call_scale: Real
    call_base: Real
    put_scale: Real
    put_base: Real


class Scratch(NamedTuple):
    """Rows that a task writes again and again, each an array of its own so that LLVM sees it contiguous."""

    t: Row
    inverse: Row
    inside: Row
    call_power: Row
    put_power: Row
    none: Row


class PairPremiums(NamedTuple):
    """What a group's American options have beyond the European ones, in the type of the cube.

    Parameters
    ----------
    classes : ndarray of int64, shape (groups, 2)
        Class of polynomial of calls and puts; 0 where early exercise never pays.
    numbers : ndarray, shape (groups, 2, numbers)
        As in ``PremiumFits``.
    interest, income : ndarray of float64, shape (groups,)
        Rate and yield, each times the years to expiry.
    """

    classes: Int64[np.ndarray, "groups 2"]
    numbers: Float[np.ndarray, "groups 2 numbers"]
    interest: Float64[np.ndarray, " groups"]
    income: Float64[np.ndarray, " groups"]


def pair_premiums(
    fits: PremiumFits,
    interest: Float64[np.ndarray, " groups"],
    income: Float64[np.ndarray, " groups"],
    kind: type[np.floating],
) -> PairPremiums:
    """Return what the kernel needs of the fits; ``kind`` is the floating-point type of the cube."""
    return PairPremiums(fits.classes, fits.numbers.astype(kind), interest, income)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _plain_europeans(
    own: Own,
    log_return: Row,
    growth: Row,
    factor: Row,
    call: Row,
    put: Row,
    t: Row,
    inverse: Row,
) -> None:
    """Fill European prices, t and the reciprocal of the deviation: forward and level of volatility move."""
    numbers = pair_numbers(call)
    one, middle, scale = call.dtype.type(1.0), own.middle, own.scale
    twice = (scale + scale) * middle
    moneyness, deviation, least = own.moneyness, own.deviation, own.least
    forward_leg, strike_leg = own.forward_leg, own.strike_leg
    for s in range(call.size):
        moved = max(deviation * factor[s], least)
        prices = pair_prices(moneyness + log_return[s], moved, forward_leg * growth[s], strike_leg, numbers)
        call[s], put[s] = prices
        inverse[s] = one / moved
        t[s] = min(max(scale - twice / (moved + middle), -one), one)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _full_europeans(
    own: Own,
    log_return: Row,
    growth: Row,
    factor: Row,
    skews: Row,
    call: Row,
    put: Row,
    t: Row,
    inverse: Row,
) -> None:
    """Fill European prices, t and the reciprocal of the deviation: smile and skew move too."""
    numbers = pair_numbers(call)
    one, middle, scale = call.dtype.type(1.0), own.middle, own.scale
    twice = (scale + scale) * middle
    moneyness, deviation, least, smile, skew = (
        own.moneyness, own.deviation, own.least, own.smile, own.skew
    )  # fmt: skip
    forward_leg, strike_leg = own.forward_leg, own.strike_leg
    for s in range(call.size):
        moved = max(deviation * factor[s] + smile * log_return[s] + skew * skews[s], least)
        prices = pair_prices(moneyness + log_return[s], moved, forward_leg * growth[s], strike_leg, numbers)
        call[s], put[s] = prices
        inverse[s] = one / moved
        t[s] = min(max(scale - twice / (moved + middle), -one), one)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _place(
    sign: Real, start: Real, c: Row, log_return: Row, t: Row, inverse: Row, inside: Row, power: Row
) -> int:
    """Fill u, clipped, and how far it was outside; return how many are near."""
    b0, b1, b2, b3 = c[BOUNDARY], c[BOUNDARY + 1], c[BOUNDARY + 2], c[BOUNDARY + 3]
    h0, h1, h2 = c[DEPTH], c[DEPTH + 1], c[DEPTH + 2]
    one = power.dtype.type(1.0)
    limit = power.dtype.type(-LEAST_POWER / TAIL_POWER)
    near = 0  # whole numbers: their sum is the same in any order, so the loop may be vector code
    for s in range(t.size):
        x = t[s]
        boundary, depth = ((b3 * x + b2) * x + b1) * x + b0, (h2 * x + h1) * x + h0
        u = ((sign * log_return[s] + start) * inverse[s] + boundary) * depth - one
        clipped = min(max(u, -one), one)
        inside[s] = clipped
        outside = abs(u - clipped)
        power[s] = outside
        near += outside < limit
    return near


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _powers_12(c: Row, t: Row, inside: Row, power: Row) -> None:
    """Turn the distance outside into the power of two, by the polynomial of the first class."""
    c0, c1, c2, c3, d0, d1, d2 = c[0], c[1], c[2], c[3], c[4], c[5], c[6]
    e0, e1, e2, f0, f1 = c[7], c[8], c[9], c[10], c[11]
    least, tail = power.dtype.type(LEAST_POWER), power.dtype.type(TAIL_POWER)
    for s in range(t.size):
        x, u = t[s], inside[s]
        p0, p1 = ((c3 * x + c2) * x + c1) * x + c0, (d2 * x + d1) * x + d0
        p2, p3 = (e2 * x + e1) * x + e0, f1 * x + f0
        power[s] = max(((p3 * u + p2) * u + p1) * u + (p0 - tail * power[s]), least)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _powers_17(c: Row, t: Row, inside: Row, power: Row) -> None:
    """Do the same for the second class."""
    c0, c1, c2, c3, c4, c5 = c[0], c[1], c[2], c[3], c[4], c[5]
    d0, d1, d2, d3, d4 = c[6], c[7], c[8], c[9], c[10]
    e0, e1, e2, e3, f0, f1 = c[11], c[12], c[13], c[14], c[15], c[16]
    least, tail = power.dtype.type(LEAST_POWER), power.dtype.type(TAIL_POWER)
    for s in range(t.size):
        x, u = t[s], inside[s]
        p0 = ((((c5 * x + c4) * x + c3) * x + c2) * x + c1) * x + c0
        p1, p2 = (((d4 * x + d3) * x + d2) * x + d1) * x + d0, ((e3 * x + e2) * x + e1) * x + e0
        power[s] = max((((f1 * x + f0) * u + p2) * u + p1) * u + (p0 - tail * power[s]), least)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _powers_29(c: Row, t: Row, inside: Row, power: Row) -> None:
    """Do the same for the third class: first the higher powers of u, then the others."""
    e0, e1, e2, e3, e4, e5 = c[15], c[16], c[17], c[18], c[19], c[20]
    f0, f1, f2, f3, f4, g0, g1, g2 = c[21], c[22], c[23], c[24], c[25], c[26], c[27], c[28]
    tail = power.dtype.type(TAIL_POWER)
    for s in range(t.size):
        x, u = t[s], inside[s]
        p2 = ((((e5 * x + e4) * x + e3) * x + e2) * x + e1) * x + e0
        p3, p4 = (((f4 * x + f3) * x + f2) * x + f1) * x + f0, (g2 * x + g1) * x + g0
        power[s] = ((p4 * u + p3) * u + p2) * (u * u) - tail * power[s]
    c0, c1, c2, c3, c4, c5, c6, c7 = c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
    d0, d1, d2, d3, d4, d5, d6 = c[8], c[9], c[10], c[11], c[12], c[13], c[14]
    least = power.dtype.type(LEAST_POWER)
    for s in range(t.size):
        x, u = t[s], inside[s]
        p0 = ((((((c7 * x + c6) * x + c5) * x + c4) * x + c3) * x + c2) * x + c1) * x + c0
        p1 = (((((d6 * x + d5) * x + d4) * x + d3) * x + d2) * x + d1) * x + d0
        power[s] = max(p1 * u + p0 + power[s], least)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _powers_42(c: Row, t: Row, inside: Row, power: Row) -> None:
    """Do the same for the fourth class, in three steps."""
    f0, f1, f2, f3, f4, f5, f6 = c[27], c[28], c[29], c[30], c[31], c[32], c[33]
    g0, g1, g2, g3, g4, h0, h1, h2 = c[34], c[35], c[36], c[37], c[38], c[39], c[40], c[41]
    tail = power.dtype.type(TAIL_POWER)
    for s in range(t.size):
        x, u = t[s], inside[s]
        p3 = (((((f6 * x + f5) * x + f4) * x + f3) * x + f2) * x + f1) * x + f0
        p4, p5 = (((g4 * x + g3) * x + g2) * x + g1) * x + g0, (h2 * x + h1) * x + h0
        power[s] = ((p5 * u + p4) * u + p3) * (u * u * u) - tail * power[s]
    d0, d1, d2, d3, d4, d5, d6, d7, d8 = c[10], c[11], c[12], c[13], c[14], c[15], c[16], c[17], c[18]
    e0, e1, e2, e3, e4, e5, e6, e7 = c[19], c[20], c[21], c[22], c[23], c[24], c[25], c[26]
    for s in range(t.size):
        x, u = t[s], inside[s]
        p1 = (((((((d8 * x + d7) * x + d6) * x + d5) * x + d4) * x + d3) * x + d2) * x + d1) * x + d0
        p2 = ((((((e7 * x + e6) * x + e5) * x + e4) * x + e3) * x + e2) * x + e1) * x + e0
        power[s] += (p2 * u + p1) * u
    c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 = c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9]
    least = power.dtype.type(LEAST_POWER)
    for s in range(t.size):
        x = t[s]
        p0 = (((((((c9 * x + c8) * x + c7) * x + c6) * x + c5) * x + c4) * x + c3) * x + c2) * x
        power[s] = max((p0 + c1) * x + c0 + power[s], least)


@njit(cache=True, error_model="numpy")
def _powers(
    kind: int,
    sign: Real,
    start: Real,
    numbers: Row,
    log_return: Row,
    t: Row,
    inverse: Row,
    inside: Row,
    power: Row,
) -> bool:
    """Fill the power of two that the premium of one side is, over its unit; False where it is nowhere any.

    Where every scenario lies so far outside that its power is the least, the polynomial would not change it:
    so do most calls whose yield is below the interest rate.
    """
    if _place(sign, start, numbers, log_return, t, inverse, inside, power) == 0:
        return False
    terms = numbers[TERMS:]
    if kind == 1:
        _powers_12(terms, t, inside, power)
    elif kind == 2:  # noqa: PLR2004 (the second class)
        _powers_17(terms, t, inside, power)
    elif kind == 3:  # noqa: PLR2004 (the third)
        _powers_29(terms, t, inside, power)
    else:
        _powers_42(terms, t, inside, power)
    return True


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _finish(own: Own, growth: Row, call_power: Row, put_power: Row, call: Row, put: Row) -> None:
    """Turn European prices and powers of the premiums into the P&L of both sides."""
    strike, spot, call_scale, put_scale = own.strike, own.spot, own.call_scale, own.put_scale
    call_base, put_base = call_scale * own.call_base, put_scale * own.put_base
    for s in range(call.size):
        moved = spot * growth[s]
        exercised = moved - strike
        call_price = call[s] + moved * power_of_two(call_power[s])
        put_price = put[s] + strike * power_of_two(put_power[s])
        call[s] = call_scale * max(call_price, exercised) - call_base
        put[s] = put_scale * max(put_price, -exercised) - put_base


@njit(cache=True, error_model="numpy")
def _scratch(cube: Cube) -> Scratch:
    columns, kind = cube.shape[1], cube.dtype
    rows = np.empty(columns, kind), np.empty(columns, kind), np.empty(columns, kind)
    powers = np.empty(columns, kind), np.empty(columns, kind)
    none = np.full(columns, kind.type(LEAST_POWER))
    return Scratch(rows[0], rows[1], rows[2], powers[0], powers[1], none)


@njit(cache=True, error_model="numpy")
def _own(pairs: Pairs, i: int, premiums: PairPremiums, group: int) -> Own:
    """Numbers of pair i; both sides of a group share the range of deviations, so middle and scale."""
    real = pairs.forward_leg.dtype.type
    interest, income, numbers = premiums.interest[group], premiums.income[group], premiums.numbers[group]
    moneyness = pairs.log_moneyness[i] - (interest - income)
    side = PUT if premiums.classes[group, PUT] > 0 else CALL
    return Own(
        pairs.log_moneyness[i],
        pairs.deviation[i],
        max(pairs.least_deviation[i], real(LEAST_DEVIATION)),
        pairs.smile[i],
        pairs.skew[i],
        pairs.forward_leg[i],
        pairs.strike_leg[i],
        real(pairs.strike_leg[i] * math.exp(interest)),
        real(pairs.forward_leg[i] * math.exp(income)),
        real(-moneyness - numbers[CALL, START]),
        real(moneyness - numbers[PUT, START]),
        max(numbers[side, MIDDLE], real(LEAST_DEVIATION)),
        numbers[side, SCALE],
        pairs.call_scale[i],
        pairs.call_base[i],
        pairs.put_scale[i],
        pairs.put_base[i],
    )


@njit(cache=True, error_model="numpy")
def _add_premiums(
    own: Own,
    classes: Int64[np.ndarray, " 2"],
    numbers: Float[np.ndarray, "2 numbers"],
    log_return: Row,
    growth: Row,
    scratch: Scratch,
    call: Row,
    put: Row,
) -> None:
    """Add the premiums to the European prices of a pair, and take the P&L."""
    one, call_start, put_start = call.dtype.type(1.0), own.call_start, own.put_start
    t, inverse, inside = scratch.t, scratch.inverse, scratch.inside
    call_power = put_power = scratch.none
    if classes[CALL] > 0 and _powers(
        classes[CALL], -one, call_start, numbers[CALL], log_return, t, inverse, inside, scratch.call_power
    ):
        call_power = scratch.call_power
    if classes[PUT] > 0 and _powers(
        classes[PUT], one, put_start, numbers[PUT], log_return, t, inverse, inside, scratch.put_power
    ):
        put_power = scratch.put_power
    _finish(own, growth, call_power, put_power, call, put)


@njit(cache=True, error_model="numpy")
def _plain_task(
    first: int,
    last: int,
    groups: PairGroups,
    pairs: Pairs,
    factors: FactorVectors,
    premiums: PairPremiums,
    gaps: Gaps,
    cube: Cube,
) -> None:
    spare, scratch = np.empty((2, cube.shape[1]), cube.dtype), _scratch(cube)
    group = int(np.searchsorted(groups.starts, first, side="right")) - 1
    for i in range(first, last):
        while i >= groups.starts[group + 1]:
            group += 1
        call, put = output_rows(pairs, i, cube, spare)
        forward, volatility = groups.forward_row[group], groups.volatility_row[group]
        log_return, growth = factors.log_return[forward], factors.growth[forward]
        factor = factors.volatility_factor[volatility]
        own, classes, numbers = (
            _own(pairs, i, premiums, group),
            premiums.classes[group],
            premiums.numbers[group],
        )
        _plain_europeans(own, log_return, growth, factor, call, put, scratch.t, scratch.inverse)
        _add_premiums(own, classes, numbers, log_return, growth, scratch, call, put)
        clear_gaps(call, gaps)
        clear_gaps(put, gaps)


@njit(cache=True, error_model="numpy")
def _full_task(
    first: int,
    last: int,
    groups: PairGroups,
    pairs: Pairs,
    factors: FactorVectors,
    premiums: PairPremiums,
    gaps: Gaps,
    cube: Cube,
) -> None:
    spare, scratch = np.empty((2, cube.shape[1]), cube.dtype), _scratch(cube)
    still = np.zeros(cube.shape[1], cube.dtype)
    group = int(np.searchsorted(groups.starts, first, side="right")) - 1
    for i in range(first, last):
        while i >= groups.starts[group + 1]:
            group += 1
        call, put = output_rows(pairs, i, cube, spare)
        forward, volatility = groups.forward_row[group], groups.volatility_row[group]
        skews = factors.skew[volatility] if factors.skew.shape[0] > 0 else still
        log_return, growth = factors.log_return[forward], factors.growth[forward]
        factor = factors.volatility_factor[volatility]
        own, classes, numbers = (
            _own(pairs, i, premiums, group),
            premiums.classes[group],
            premiums.numbers[group],
        )
        _full_europeans(own, log_return, growth, factor, skews, call, put, scratch.t, scratch.inverse)
        _add_premiums(own, classes, numbers, log_return, growth, scratch, call, put)
        clear_gaps(call, gaps)
        clear_gaps(put, gaps)


@njit(cache=True, parallel=True, error_model="numpy")
def american_pairs_plain(
    groups: PairGroups,
    pairs: Pairs,
    factors: FactorVectors,
    premiums: PairPremiums,
    gaps: Gaps,
    cube: Cube,
) -> None:
    """Do what ``american_pairs`` does, without smile and skew."""
    count = pairs.deviation.size
    tasks = (count + PAIRS_PER_TASK - 1) // PAIRS_PER_TASK
    for task in prange(tasks):
        first, last = task * count // tasks, (task + 1) * count // tasks
        _plain_task(first, last, groups, pairs, factors, premiums, gaps, cube)


@njit(cache=True, parallel=True, error_model="numpy")
def american_pairs_full(
    groups: PairGroups,
    pairs: Pairs,
    factors: FactorVectors,
    premiums: PairPremiums,
    gaps: Gaps,
    cube: Cube,
) -> None:
    """Do what ``american_pairs`` does, with smile and skew."""
    count = pairs.deviation.size
    tasks = (count + PAIRS_PER_TASK - 1) // PAIRS_PER_TASK
    for task in prange(tasks):
        first, last = task * count // tasks, (task + 1) * count // tasks
        _full_task(first, last, groups, pairs, factors, premiums, gaps, cube)


def american_pairs(
    groups: PairGroups,
    pairs: Pairs,
    factors: FactorVectors,
    premiums: PairPremiums,
    gaps: Gaps,
    cube: Cube,
) -> None:
    """Write the profit and loss of each American option in each scenario into its row of the cube.

    Everything is as in ``european_pairs``, with these differences. Bases are American prices. The log return
    is that of the spot, which is the forward's as long as rates and yields stand still; so there are no
    discount rows. Deviations stay in the range of the fits (``deviation_ranges``): outside, the premium is
    taken with the boundary and shape at the end of the range.

    Against exact prices, a price is off by what ``PremiumFits.errors`` says and by 1e-6 (float32) of the
    larger of spot and strike.

    Parameters
    ----------
    groups, pairs, factors, gaps, cube
        As in ``european_pairs``; no discount row.
    premiums : PairPremiums
        One row a group, each with a status of FOUND or NEVER_EXERCISED on both sides.
    """
    assert factors.discount.shape[0] == 0, "American options are revalued with rates standing still"
    moving = factors.skew.shape[0] > 0 or pairs.smile.any()
    kernel = american_pairs_full if moving else american_pairs_plain
    kernel(groups, pairs, factors, premiums, gaps, cube)


def american_base_prices(
    groups: PairGroups, pairs: Pairs, premiums: PairPremiums
) -> tuple[Float64[np.ndarray, " pairs"], Float64[np.ndarray, " pairs"]]:
    """Price call and put of each pair before any scenario, in float64.

    Pairs and premiums are of float64; bases, rows and scales of the pairs are not read. These are the prices
    that ``american_pairs`` gives where nothing moves, so that the P&L of that scenario is 0.
    """
    count, rows = pairs.deviation.size, int(groups.forward_row.max(initial=0)) + 1
    zero, one, still = np.zeros(count), np.ones(count), np.zeros((rows, 1))
    volatilities = int(groups.volatility_row.max(initial=0)) + 1
    own = pairs._replace(
        call_base=zero,
        put_base=zero,
        call_row=np.arange(count),
        put_row=np.arange(count, 2 * count),
        call_scale=one,
        put_scale=one,
    )
    factors = FactorVectors(
        still, still + 1.0, np.ones((volatilities, 1)), np.empty((0, 1)), np.empty((0, 1))
    )
    cube = np.empty((2 * count, 1))
    american_pairs_plain(groups, own, factors, premiums, np.empty((0, 2), dtype=np.int64), cube)
    return cube[:count, 0], cube[count:, 0]


@njit(cache=True, error_model="numpy")
def _pair_range(
    pairs: Pairs, i: int, log_return: Row, factor: Row, skews: Row, least_factor: float, most_factor: float
) -> tuple[float, float]:
    """Least and greatest deviation of one pair; ``skews`` is empty where no skew moves."""
    deviation, smile = float(pairs.deviation[i]), float(pairs.smile[i])
    skew = float(pairs.skew[i]) if skews.size > 0 else 0.0
    low, high = deviation * min(least_factor, 1.0), deviation * max(most_factor, 1.0)
    if smile != 0.0 or skew != 0.0:
        low, high = deviation, deviation
        for s in range(factor.size):
            moved = deviation * factor[s] + smile * log_return[s]
            if skew != 0.0:
                moved += skew * skews[s]
            low, high = min(low, moved), max(high, moved)
    return low, high


@njit(cache=True, parallel=True, error_model="numpy")
def deviation_ranges(
    groups: PairGroups, pairs: Pairs, factors: FactorVectors
) -> tuple[Float64[np.ndarray, " groups"], Float64[np.ndarray, " groups"]]:
    """Least and greatest deviation of each group, over all its pairs now and in all scenarios.

    Arguments as in ``american_pairs``; a group without pairs has the range from 1 to 1.
    """
    count = groups.starts.size - 1
    low, high = np.full(count, math.inf), np.zeros(count)
    for g in prange(count):
        factor = factors.volatility_factor[groups.volatility_row[g]]
        log_return = factors.log_return[groups.forward_row[g]]
        skews = factors.skew[groups.volatility_row[g]] if factors.skew.shape[0] > 0 else factor[:0]
        least_factor, most_factor = 1.0, 1.0
        for s in range(factor.size):
            least_factor, most_factor = min(least_factor, factor[s]), max(most_factor, factor[s])
        for i in range(groups.starts[g], groups.starts[g + 1]):
            least = max(float(pairs.least_deviation[i]), LEAST_DEVIATION)
            own = _pair_range(pairs, i, log_return, factor, skews, least_factor, most_factor)
            low[g], high[g] = min(low[g], max(own[0], least)), max(high[g], own[1], least)
        if low[g] > high[g]:
            low[g], high[g] = 1.0, 1.0
    return low, high


def american_pairs_numpy(
    groups: PairGroups,
    pairs: Pairs,
    factors: FactorVectors,
    premiums: PairPremiums,
    gaps: Gaps,
    cube: Cube,
) -> None:
    """Do what ``american_pairs`` does, readably and in float64 up to the last step: the reference in tests."""
    group_of = np.repeat(np.arange(groups.starts.size - 1), np.diff(groups.starts))
    count, columns = group_of.size, cube.shape[1]
    zero, one = np.zeros(count), np.ones(count)
    rows = {"call_row": np.arange(count), "put_row": np.arange(count, 2 * count)}
    europeans = np.empty((2 * count, columns))
    plain = pairs._replace(call_base=zero, put_base=zero, call_scale=one, put_scale=one, **rows)
    european_pairs_numpy(groups, plain, factors, np.empty((0, 2), dtype=np.int64), europeans)
    for i, group in enumerate(group_of):
        forward, volatility = groups.forward_row[group], groups.volatility_row[group]
        log_return = factors.log_return[forward].astype(np.float64)
        skews = factors.skew[volatility].astype(np.float64) if factors.skew.size else 0.0
        own = {name: float(values[i]) for name, values in pairs._asdict().items()}
        moved = own["deviation"] * factors.volatility_factor[volatility] + own["smile"] * log_return
        moved = np.maximum(moved + own["skew"] * skews, max(own["least_deviation"], LEAST_DEVIATION))
        interest, income = premiums.interest[group], premiums.income[group]
        log_spot = own["log_moneyness"] - interest + income + log_return
        strike = own["strike_leg"] * math.exp(interest)
        spot = own["forward_leg"] * math.exp(income) * factors.growth[forward].astype(np.float64)
        for name, kind, sign, unit in (("call", CALL, 1.0, spot), ("put", PUT, -1.0, strike)):
            if own[f"{name}_row"] < 0:
                continue
            numbers = premiums.numbers[group, kind].astype(np.float64)
            premium = unit * premium_numpy(premiums.classes[group, kind], numbers, -sign * log_spot, moved)
            price = np.maximum(europeans[rows[f"{name}_row"][i]] + premium, sign * (spot - strike))
            row = cube[int(own[f"{name}_row"])]
            row[:] = own[f"{name}_scale"] * (price - own[f"{name}_base"])
            clear_gaps.py_func(row, gaps)
