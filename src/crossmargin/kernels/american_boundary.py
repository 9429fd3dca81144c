"""Early-exercise boundary and price of American options on an asset with a continuous yield.

The method is that of Andersen, Lake and Offengenden (High-performance American option pricing, 2016):
the boundary of the put solves an integral equation, by iteration at Chebyshev points of √time, where the
squared logarithm of the boundary is smooth; the price is the European price and one more integral. Three
things differ from the paper:

- time is measured in lives of the option: interest r·T, income q·T and deviation σ√T say everything;
- the integrals run over the angle θ of u = τ·sin²θ, by Gauss and Legendre's rule: that smooths the
  integrand at both ends, so that no rule for singular ends is needed;
- the equation that is iterated is the sum of the paper's two, A + (r − q)⁺/σ² · B. A alone fails where
  drift is large beside volatility and B alone is slow; the sum gains a digit or so a step everywhere.

A call is the put with spot and strike, rate and yield exchanged. Exercise of a put pays where the interest
on the strike exceeds the income on the asset, so there are three cases (``exercise_case``): never, below one
boundary, or, with both rates negative and the yield below the rate, between two boundaries. The last is not
solved but told by a status, as QuantLib's QdFp engine refuses it too.

Cost of one boundary: iterations × nodes × history points × 2 (exponential and Mills' ratio), 9 to 20
iterations from a cold start; of one price: 2 × price points of the same.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from numba import njit, prange

from crossmargin.kernels.fast_math import exp64, mills64

__all__ = [
    "REFERENCE_RULE",
    "AmericanStatus",
    "BoundaryRule",
    "boundary_prices",
    "boundary_prices_numpy",
    "boundary_rule",
    "exercise_case",
]


class AmericanStatus(IntEnum):
    """How a side came by its price."""

    FOUND = 0  # the boundary was solved
    NEVER_EXERCISED = 1  # early exercise never pays: the European price is the price
    TWO_BOUNDARIES = 2  # not solved: exercise pays between two boundaries
    NOT_CONVERGED = 3  # the iteration did not settle
    INVALID = 4  # an argument is not a finite number, or spot, strike, time or volatility is not above 0


FOUND: Final = int(AmericanStatus.FOUND)
NEVER_EXERCISED: Final = int(AmericanStatus.NEVER_EXERCISED)
TWO_BOUNDARIES: Final = int(AmericanStatus.TWO_BOUNDARIES)
NOT_CONVERGED: Final = int(AmericanStatus.NOT_CONVERGED)
INVALID: Final = int(AmericanStatus.INVALID)

ROOT_INVERSE_TAU = 1.0 / math.sqrt(2.0 * math.pi)
MOST_ITERATIONS = 200
NEGLIGIBLE = 1e-12
SAME_POINT = 1e-15  # of the option's life: a point this near a node is on it
LEAST_BOUNDARY = 1e-3  # of the strike: where the first guess of a boundary that falls towards 0 stops

Vector = Float64[np.ndarray, " points"]


class BoundaryRule(NamedTuple):
    """Points and weights of the method; times are in lives of the option.

    Attributes
    ----------
    roots : ndarray of float64, shape (nodes + 1,)
        Square roots of the times at which the boundary is solved, from 0 to 1.
    history, price : ndarray of float64, shape (3, points)
        sin θ, cos θ and weight of each point of the integrals; the weight holds du/dθ for a time of 1.
    history_values : ndarray of float64, shape (nodes, points, nodes + 1)
        What turns values at ``roots`` into values at ``roots[i + 1]`` · sin θ.
    price_values : ndarray of float64, shape (points, nodes + 1)
        The same at sin θ.
    """

    roots: Float64[np.ndarray, " nodes+1"]
    history: Float64[np.ndarray, "3 history"]
    price: Float64[np.ndarray, "3 price"]
    history_values: Float64[np.ndarray, "nodes history nodes+1"]
    price_values: Float64[np.ndarray, "price nodes+1"]


def boundary_rule(nodes: int, history: int, price: int) -> BoundaryRule:
    """Return the rule with so many Chebyshev points and points of the two integrals."""
    at = np.arange(nodes + 1)
    roots = 0.5 - 0.5 * np.cos(np.pi * at / nodes)
    signs = np.where(at % nodes == 0, 0.5, 1.0) * (-1.0) ** at
    history_points, price_points = _angle_points(history), _angle_points(price)
    values = [_interpolation(roots, signs, root * history_points[0]) for root in roots[1:]]
    return BoundaryRule(
        roots,
        history_points,
        price_points,
        np.stack(values),
        _interpolation(roots, signs, price_points[0]),
    )


def _angle_points(count: int) -> Float64[np.ndarray, "3 count"]:
    points, weights = np.polynomial.legendre.leggauss(count)
    angles = 0.25 * np.pi * (points + 1.0)
    return np.stack(
        [np.sin(angles), np.cos(angles), 0.25 * np.pi * weights * 2.0 * np.sin(angles) * np.cos(angles)]
    )


def _interpolation(
    nodes: Vector, signs: Vector, points: Float64[np.ndarray, " at"]
) -> Float64[np.ndarray, "at points"]:
    """Return the matrix of barycentric interpolation from ``nodes`` to ``points``."""
    distances = points[:, None] - nodes
    on_node = np.abs(distances) < SAME_POINT
    terms = signs / np.where(on_node, 1.0, distances)
    terms[on_node.any(axis=1)] = on_node[on_node.any(axis=1)]
    return terms / terms.sum(axis=1, keepdims=True)


REFERENCE_RULE: Final = boundary_rule(24, 64, 96)


@njit(inline="always", error_model="numpy")
def _distribution(x: float) -> tuple[float, float]:
    """Distribution function and density of the standard normal distribution at ``x``."""
    density = ROOT_INVERSE_TAU * exp64(-0.5 * x * x)
    tail = density * mills64(abs(x))
    return (1.0 - tail if x > 0.0 else tail), density


@njit(cache=True, error_model="numpy")
def exercise_case(interest: float, income: float) -> int:
    """Return the status of a put: FOUND where it has one boundary, NEVER_EXERCISED or TWO_BOUNDARIES.

    ``interest`` and ``income`` are rate and yield times the years; what is nearer to 0 than ``NEGLIGIBLE``
    is 0, for early exercise gains no more than that part of the strike.
    """
    if interest > NEGLIGIBLE or (interest >= -NEGLIGIBLE and income < -NEGLIGIBLE):
        return FOUND
    return TWO_BOUNDARIES if interest < -NEGLIGIBLE and income < interest else NEVER_EXERCISED


@njit(cache=True, error_model="numpy")
def log_start(interest: float, income: float) -> float:
    """Logarithm of the boundary at expiry, over the strike."""
    return math.log(interest / income) if income > interest else 0.0


@njit(cache=True, error_model="numpy")
def first_squares(
    rule: BoundaryRule, deviation: float, interest: float, income: float
) -> Float64[np.ndarray, " nodes+1"]:
    """Guess the squared logarithms of boundary over start: an exponential towards the perpetual boundary."""
    start = log_start(interest, income)
    half_drift = (interest - income) / deviation**2 - 0.5
    power = half_drift + math.sqrt(half_drift**2 + 2.0 * interest / deviation**2)
    depth = max(start - math.log(max(power / (power + 1.0), LEAST_BOUNDARY)), 1e-12)
    squares = np.zeros(rule.roots.size)
    for i in range(1, rule.roots.size):
        squares[i] = (depth * -math.expm1(-2.0 * deviation * rule.roots[i] / depth)) ** 2
    return squares


@njit(cache=True, error_model="numpy")
def history_weights(
    rule: BoundaryRule, interest: float, income: float
) -> Float64[np.ndarray, "nodes 3 history"]:
    """Return for each node what the volatility leaves alone: weights of interest and income, and drift."""
    weights = np.empty((rule.roots.size - 1, 3, rule.history.shape[1]))
    for i in range(rule.roots.size - 1):
        time = rule.roots[i + 1] ** 2
        for k in range(rule.history.shape[1]):
            past = time * rule.history[0, k] ** 2
            weights[i, 0, k] = interest * math.exp(interest * past) * rule.history[2, k] * time
            weights[i, 1, k] = income * math.exp(income * past) * rule.history[2, k] * time
            weights[i, 2, k] = (interest - income) * time * rule.history[1, k] ** 2
    return weights


@njit(cache=True, fastmath={"contract", "nsz"}, error_model="numpy")
def _next_log(
    root: float,
    level: float,
    past: Vector,
    cosines: Vector,
    weights: Float64[np.ndarray, "3 points"],
    deviation: float,
    drift: float,
    blend: float,
) -> float:
    """Logarithm of the boundary at one node by the integral equation, from the last boundary.

    ``level`` and ``past`` are logarithms over the strike: of the boundary at the node and before it.
    """
    spread, grown = deviation * root, drift * root * root
    low = (level + grown) / spread - 0.5 * spread
    low_tail, low_density = _distribution(low)
    high_tail, high_density = _distribution(low + spread)
    above, below = low_density / spread + blend * low_tail, high_density / spread + (1.0 + blend) * high_tail
    terms = np.empty((2, past.size))
    for k in range(past.size):
        own = spread * cosines[k]
        low = (level - past[k] + weights[2, k]) / own - 0.5 * own
        low_tail, low_density = _distribution(low)
        high_tail, high_density = _distribution(low + own)
        terms[0, k] = weights[0, k] * (low_density / own + blend * low_tail)
        terms[1, k] = weights[1, k] * (high_density / own + (1.0 + blend) * high_tail)
    for k in range(past.size):  # in order, as in held_premium
        above += terms[0, k]
        below += terms[1, k]
    return math.log(above / below) - grown


@njit(cache=True, error_model="numpy")
def solve_squares(
    rule: BoundaryRule,
    weights: Float64[np.ndarray, "nodes 3 history"],
    deviation: float,
    interest: float,
    income: float,
    tolerance: float,
    squares: Float64[np.ndarray, " nodes+1"],
) -> int:
    """Solve the boundary of a put in place; return the iterations, or 0 where they did not settle.

    Parameters
    ----------
    rule, weights
        The points, and ``history_weights`` of the same interest and income.
    deviation, interest, income : float
        σ√T, above 0; r·T; q·T. ``exercise_case`` is FOUND.
    tolerance : float
        Most that the logarithm of the boundary may still move.
    squares : ndarray of float64, shape (nodes + 1,)
        Squared logarithm of boundary over start at each node: a guess, and then the solution.
    """
    start, drift = log_start(interest, income), interest - income
    blend = max(drift, 0.0) / deviation**2
    moved = np.zeros(squares.size)
    for iteration in range(1, MOST_ITERATIONS + 1):
        largest = 0.0
        for i in range(1, squares.size):
            level = start - math.sqrt(squares[i])
            past = log_boundary(rule.history_values[i - 1], squares, start)
            new = _next_log(
                rule.roots[i], level, past, rule.history[1], weights[i - 1], deviation, drift, blend
            )
            if not math.isfinite(new):
                return 0
            new = min(new, start)
            moved[i] = (start - new) ** 2
            largest = max(largest, abs(new - level))
        squares[:] = moved
        if largest <= tolerance:
            return iteration
    return 0


@njit(cache=True, fastmath={"contract", "nsz"}, error_model="numpy")
def log_boundary(
    values: Float64[np.ndarray, "points nodes+1"], squares: Float64[np.ndarray, " nodes+1"], start: float
) -> Vector:
    """Return the logarithm of the boundary over the strike at the points of an interpolation matrix."""
    logs = np.empty(values.shape[0])
    for k in range(values.shape[0]):
        square = 0.0
        for j in range(squares.size):
            square += values[k, j] * squares[j]
        logs[k] = start - math.sqrt(max(square, 0.0))
    return logs


@njit(cache=True, fastmath={"contract", "nsz"}, error_model="numpy")
def held_premium(
    points: Float64[np.ndarray, "3 price"],
    past: Vector,
    log_spot: float,
    deviation: float,
    interest: float,
    income: float,
) -> float:
    """Return what a put above its boundary is worth beyond the European put, over the strike.

    ``past`` is the logarithm of the boundary at the points, ``log_spot`` that of spot over strike.
    """
    spot, terms = math.exp(log_spot), np.empty(past.size)
    for k in range(past.size):
        left = points[1, k] ** 2
        own = deviation * points[1, k]
        low = (log_spot - past[k] + (interest - income) * left) / own - 0.5 * own
        gain = interest * exp64(-interest * left) * _distribution(-low)[0]
        cost = income * spot * exp64(-income * left) * _distribution(-low - own)[0]
        terms[k] = points[2, k] * (gain - cost)
    premium = 0.0
    for k in range(past.size):  # in order: the sum is no part of the loop that is vector code
        premium += terms[k]
    return premium


@njit(cache=True, error_model="numpy")
def european_put(log_spot: float, deviation: float, interest: float, income: float) -> float:
    """European put over its strike."""
    low = (log_spot + interest - income) / deviation - 0.5 * deviation
    paid = math.exp(-interest) * _distribution(-low)[0]
    return paid - math.exp(log_spot - income) * _distribution(-low - deviation)[0]


@njit(cache=True, error_model="numpy")
def put_premium(
    rule: BoundaryRule,
    past: Vector,
    level: float,
    log_spot: float,
    deviation: float,
    interest: float,
    income: float,
) -> float:
    """Return what a put is worth beyond the European put, over the strike; ``level`` is the boundary today."""
    if log_spot <= level:
        return -math.expm1(log_spot) - european_put(log_spot, deviation, interest, income)
    return max(held_premium(rule.price, past, log_spot, deviation, interest, income), 0.0)


@njit(cache=True, error_model="numpy")
def _put(
    rule: BoundaryRule, log_spot: float, deviation: float, interest: float, income: float, tolerance: float
) -> tuple[float, int]:
    """Price of an American put over its strike, and its status."""
    status = exercise_case(interest, income)
    if status == TWO_BOUNDARIES:
        return math.nan, status
    european = european_put(log_spot, deviation, interest, income)
    if status == NEVER_EXERCISED:
        return european, status
    squares = first_squares(rule, deviation, interest, income)
    weights = history_weights(rule, interest, income)
    if solve_squares(rule, weights, deviation, interest, income, tolerance, squares) == 0:
        return math.nan, NOT_CONVERGED
    start = log_start(interest, income)
    level = start - math.sqrt(squares[-1])
    if log_spot <= level:
        return -math.expm1(log_spot), FOUND
    past = log_boundary(rule.price_values, squares, start)
    premium = put_premium(rule, past, level, log_spot, deviation, interest, income)
    return max(european + premium, -math.expm1(log_spot)), FOUND


@njit(cache=True, parallel=True, error_model="numpy")
def boundary_prices(
    rule: BoundaryRule,
    sides: Float64[np.ndarray, " options"],
    spots: Float64[np.ndarray, " options"],
    strikes: Float64[np.ndarray, " options"],
    volatilities: Float64[np.ndarray, " options"],
    years: Float64[np.ndarray, " options"],
    rates: Float64[np.ndarray, " options"],
    yields: Float64[np.ndarray, " options"],
    tolerance: float = 1e-10,
) -> tuple[Float64[np.ndarray, " options"], Int64[np.ndarray, " options"]]:
    """Price American options one by one: the reference for what is fast.

    Parameters
    ----------
    rule : BoundaryRule
        ``REFERENCE_RULE``, or a smaller one for less precision in less time.
    sides : ndarray of float64, shape (options,)
        1 for a call, −1 for a put.
    spots, strikes, volatilities, years, rates, yields : ndarray of float64, shape (options,)
        Spot and strike in money; volatility a year; time to expiry; continuous interest and yield a year.
    tolerance : float
        Most that the logarithm of the boundary may still move when the iteration stops.

    Returns
    -------
    prices : ndarray of float64, shape (options,)
        In the unit of the spot; NaN where the status is TWO_BOUNDARIES, NOT_CONVERGED or INVALID.
    statuses : ndarray of int64, shape (options,)
        Of ``AmericanStatus``.
    """
    prices, statuses = np.full(strikes.size, math.nan), np.full(strikes.size, INVALID)
    for i in prange(strikes.size):
        deviation = volatilities[i] * math.sqrt(years[i])
        moneyness, interest, income = (
            math.log(spots[i] / strikes[i]),
            rates[i] * years[i],
            yields[i] * years[i],
        )
        total = deviation + moneyness + interest + income + sides[i]
        if not (math.isfinite(total) and deviation > 0.0 and abs(sides[i]) == 1.0):
            continue
        if sides[i] > 0.0:
            price, statuses[i] = _put(rule, -moneyness, deviation, income, interest, tolerance)
            prices[i] = price * spots[i]
        else:
            price, statuses[i] = _put(rule, moneyness, deviation, interest, income, tolerance)
            prices[i] = price * strikes[i]
    return prices, statuses


def boundary_prices_numpy(
    rule: BoundaryRule, log_spot: float, deviation: float, interest: float, income: float, iterations: int
) -> float:
    """Price of one put over its strike with whole arrays and the C library's functions: the twin in tests.

    ``exercise_case`` is FOUND, and the spot is above the boundary.
    """
    start, drift = log_start(interest, income), interest - income
    blend = max(drift, 0.0) / deviation**2
    logs = start - np.sqrt(first_squares(rule, deviation, interest, income))
    times, (sines, cosines, weights) = rule.roots[1:, None] ** 2, rule.history
    past_times, own = times * sines**2, deviation * rule.roots[1:, None] * cosines
    for _ in range(iterations):
        levels = logs[1:, None]
        past = start - np.sqrt(np.maximum(rule.history_values @ (logs - start) ** 2, 0.0))
        low = (levels - past + drift * times * cosines**2) / own - 0.5 * own
        gains = interest * np.exp(interest * past_times) * weights * times
        costs = income * np.exp(income * past_times) * weights * times
        spread = deviation * rule.roots[1:]
        last = (logs[1:] + drift * times[:, 0]) / spread - 0.5 * spread
        above = _density(last) / spread + blend * _cdf(last)
        above += (gains * (_density(low) / own + blend * _cdf(low))).sum(axis=1)
        below = _density(last + spread) / spread + (1.0 + blend) * _cdf(last + spread)
        below += (costs * (_density(low + own) / own + (1.0 + blend) * _cdf(low + own))).sum(axis=1)
        logs[1:] = np.minimum(np.log(above / below) - drift * times[:, 0], start)
    past = start - np.sqrt(np.maximum(rule.price_values @ (logs - start) ** 2, 0.0))
    left, own = rule.price[1] ** 2, deviation * rule.price[1]
    low = (log_spot - past + drift * left) / own - 0.5 * own
    gains = interest * np.exp(-interest * left) * _cdf(-low)
    costs = income * np.exp(log_spot - income * left) * _cdf(-low - own)
    end = (log_spot + drift) / deviation - 0.5 * deviation
    ends = _cdf(-np.array([end, end + deviation]))
    european = np.exp(-interest) * ends[0] - np.exp(log_spot - income) * ends[1]
    return float(european + (rule.price[2] * (gains - costs)).sum())


def _cdf(x: Float64[np.ndarray, " *shape"]) -> Float64[np.ndarray, " *shape"]:
    return np.vectorize(lambda at: 0.5 * math.erfc(-at / math.sqrt(2.0)))(x)


def _density(x: Float64[np.ndarray, " *shape"]) -> Float64[np.ndarray, " *shape"]:
    return ROOT_INVERSE_TAU * np.exp(-0.5 * x**2)
