"""What an American option is worth beyond the European one, as one short polynomial for all strikes.

For one underlying, expiry and side, premium over strike depends on two numbers alone: moneyness and deviation
v = σ√T. Its logarithm is close to a polynomial of low degree in

    t = (v − m) / (v + m) · scale                       from −1 to 1 over the deviations asked for
    u = ((ln S/K − ln b₀) / v + M(t)) · h(t) − 1         from −1 at the boundary to 1 where the premium ends

where b₀ is the boundary at expiry over the strike, M (degree 3) its distance from today's boundary in
deviations and h (degree 2) twice the reciprocal of the depth, in deviations, at which the premium falls below
``END``. Neither t nor u needs a logarithm of the volatility, and a deviation that a smile has moved is as
good as any other. A call is the put with spot and strike, rate and yield exchanged.

The coefficients are weighted least squares of solver values at Chebyshev points of t and u, weights being the
premium itself, so that errors count in parts of the strike. The power of t falls as that of u rises: a full
rectangle of powers needs twice the coefficients for the same error. Four classes of polynomial have 12, 17,
29 and 42 coefficients; a side takes the first that is good enough (``GOOD_RMS``, ``GOOD_MOST``), and the last
where none is. ``errors`` says what is left at the points of the fit, which lie densest where it is largest.

Cost of one side: 12 boundaries, 12 × 30 premiums and a factorisation of order 42.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from numba import njit, prange

from crossmargin.kernels.american_boundary import (
    AmericanStatus,
    BoundaryRule,
    boundary_rule,
    exercise_case,
    first_squares,
    history_weights,
    log_boundary,
    log_start,
    put_premium,
    solve_squares,
)

__all__ = [
    "CALL",
    "CLASS_DEGREES",
    "PUT",
    "TAIL",
    "PremiumFits",
    "fit_premiums",
    "premium_numpy",
]

CALL, PUT = 0, 1
CLASS_DEGREES: Final = (
    (3, 2, 2, 1),
    (5, 4, 3, 1),
    (7, 6, 5, 4, 2),
    (9, 8, 7, 6, 4, 2),
)  # of t beside each power of u
BOUNDARY_DEGREE, DEPTH_DEGREE = 3, 2
MIDDLE, SCALE, START, BOUNDARY, DEPTH, TERMS = 0, 1, 2, 3, 7, 10
NUMBERS = TERMS + sum(degree + 1 for degree in CLASS_DEGREES[-1])
END = 3e-7  # of the strike: the premium at u = 1
TAIL = 1000.0  # e-folds that the premium loses a unit of u beyond 1: it ends there
LEAST_PREMIUM = 1e-7  # of the strike: least weight of a point, and what a logarithm starts from
GOOD_RMS, GOOD_MOST = 1e-6, 8e-6  # of the strike, at the points of the fit
MOST_WEIGHT = 4.0  # a call's error counts in parts of the strike up to a spot of so many strikes
LEAST_DEPTH, MOST_DEPTH, HALVINGS = 0.25, 24.0, 14
NARROWEST = 1.01  # least ratio of the greatest deviation of a fit to its middle
RIDGE = 1e-15
DEVIATION_POINTS, DEPTH_POINTS = 12, 16
TOLERANCE = 1e-8

SOLVED: Final = int(AmericanStatus.FOUND)
UNSETTLED: Final = int(AmericanStatus.NOT_CONVERGED)
UNSOUND: Final = int(AmericanStatus.INVALID)
FIT_RULE: Final = boundary_rule(10, 24, 40)


class PremiumFits(NamedTuple):
    """Premiums of every group (underlying and expiry) and side; ``CALL`` is 0 and ``PUT`` 1.

    Attributes
    ----------
    classes : ndarray of int64, shape (groups, 2)
        0 where early exercise never pays; else the class of polynomial, from 1.
    numbers : ndarray of float64, shape (groups, 2, numbers)
        Middle deviation; scale of t; logarithm of the boundary at expiry; coefficients of M and h in
        ascending powers; those of the logarithm of the premium, base 2, ascending in t within each power of u.
    errors : ndarray of float64, shape (groups, 2)
        Largest error at the points of the fit, in parts of the strike; for calls whose spot is above it in
        parts of the spot, or of four strikes where the spot is above that.
    statuses : ndarray of int64, shape (groups, 2)
        Of ``AmericanStatus``; only FOUND and NEVER_EXERCISED may be revalued.
    """

    classes: Int64[np.ndarray, "groups 2"]
    numbers: Float64[np.ndarray, "groups 2 numbers"]
    errors: Float64[np.ndarray, "groups 2"]
    statuses: Int64[np.ndarray, "groups 2"]


class Basis(NamedTuple):
    """What all fits share: points, products of Chebyshev polynomials there, and the ways to powers."""

    t: Float64[np.ndarray, " deviations"]
    u: Float64[np.ndarray, " depths"]
    products: Float64[np.ndarray, "columns points"]
    sizes: Int64[np.ndarray, " classes"]
    powers: Float64[np.ndarray, "columns columns"]
    places: Int64[np.ndarray, "classes columns"]
    boundary: Float64[np.ndarray, "powers deviations"]
    depth: Float64[np.ndarray, "powers deviations"]


def _columns() -> list[tuple[int, int]]:
    """Pairs of powers of u and t in an order in which each class is the beginning of the next."""
    columns: list[tuple[int, int]] = []
    for degrees in CLASS_DEGREES:
        pairs = ((i, k) for i, degree in enumerate(degrees) for k in range(degree + 1))
        columns += [pair for pair in pairs if pair not in columns]
    return columns


def _chebyshev_points(count: int) -> Float64[np.ndarray, " count"]:
    return np.cos(np.pi * (np.arange(count) + 0.5) / count)


def _power_series(degree: int) -> Float64[np.ndarray, " powers"]:
    return np.polynomial.chebyshev.cheb2poly(np.eye(degree + 1)[degree])


def _make_basis() -> Basis:
    t, u, columns = _chebyshev_points(DEVIATION_POINTS), _chebyshev_points(DEPTH_POINTS), _columns()
    most = max(max(degrees) for degrees in CLASS_DEGREES)
    at_t, at_u = (np.polynomial.chebyshev.chebvander(points, most) for points in (t, u))
    products = np.stack([np.outer(at_t[:, k], at_u[:, i]).ravel() for i, k in columns])
    powers = np.zeros((len(columns), len(columns)))
    for column, (i, k) in enumerate(columns):
        for (p, a), (q, b) in product(enumerate(_power_series(i)), enumerate(_power_series(k))):
            if a * b != 0.0:
                powers[columns.index((p, q)), column] = a * b
    places = np.zeros((len(CLASS_DEGREES), len(columns)), dtype=np.int64)
    for row, degrees in zip(places, CLASS_DEGREES, strict=True):
        first = np.concatenate([[0], np.cumsum([degree + 1 for degree in degrees])])
        for column, (i, k) in enumerate(columns[: first[-1]]):
            row[column] = first[i] + k
    sizes = np.array([sum(degree + 1 for degree in degrees) for degrees in CLASS_DEGREES])
    series = [np.linalg.pinv(np.vander(t, d + 1, increasing=True)) for d in (BOUNDARY_DEGREE, DEPTH_DEGREE)]
    return Basis(t, u, products, sizes, powers, places, *(np.ascontiguousarray(s) for s in series))


BASIS: Final = _make_basis()


@njit(cache=True, error_model="numpy")
def _weight(is_call: bool, log_spot: float) -> float:
    """How many strikes of the option one unit of the put's price over its strike is worth, to the cap."""
    return min(max(math.exp(-log_spot), 1.0), MOST_WEIGHT) if is_call else 1.0


@njit(cache=True, error_model="numpy")
def _polynomial(coefficients: Float64[np.ndarray, " powers"], at: float) -> float:
    value = 0.0
    for k in range(coefficients.size - 1, -1, -1):
        value = value * at + coefficients[k]
    return value


@njit(cache=True, error_model="numpy")
def _boundaries(
    rule: BoundaryRule,
    interest: float,
    income: float,
    deviations: Float64[np.ndarray, " deviations"],
    levels: Float64[np.ndarray, " deviations"],
    pasts: Float64[np.ndarray, "deviations points"],
) -> bool:
    """Boundary today and before at each deviation; each starts from the last one, stretched."""
    weights, start = history_weights(rule, interest, income), log_start(interest, income)
    squares = first_squares(rule, deviations[0], interest, income)
    for i in range(deviations.size):
        if i > 0:
            squares *= (deviations[i] / deviations[i - 1]) ** 2
        if solve_squares(rule, weights, deviations[i], interest, income, TOLERANCE, squares) == 0:
            return False
        levels[i] = start - math.sqrt(squares[-1])
        pasts[i] = log_boundary(rule.price_values, squares, start)
    return True


@njit(cache=True, error_model="numpy")
def _depth(
    rule: BoundaryRule,
    past: Float64[np.ndarray, " points"],
    level: float,
    deviation: float,
    interest: float,
    income: float,
    is_call: bool,
) -> float:
    """Deviations from the boundary to where the premium falls below ``END``."""
    near, far = LEAST_DEPTH, MOST_DEPTH
    for _ in range(HALVINGS):
        middle = 0.5 * (near + far)
        log_spot = level + middle * deviation
        premium = put_premium(rule, past, level, log_spot, deviation, interest, income)
        if premium * _weight(is_call, log_spot) > END:
            near = middle
        else:
            far = middle
    return near


@njit(cache=True, error_model="numpy")
def _sample(
    rule: BoundaryRule,
    basis: Basis,
    interest: float,
    income: float,
    is_call: bool,
    numbers: Float64[np.ndarray, " numbers"],
    premiums: Float64[np.ndarray, " points"],
    worths: Float64[np.ndarray, " points"],
) -> bool:
    """Set the numbers of boundary and depth, and premium and its weight at the points of the fit."""
    count = basis.t.size
    levels, depths, pasts = np.empty(count), np.empty(count), np.empty((count, rule.price.shape[1]))
    deviations = numbers[MIDDLE] * (numbers[SCALE] + basis.t) / (numbers[SCALE] - basis.t)
    if not _boundaries(rule, interest, income, deviations, levels, pasts):
        return False
    for i in range(count):
        depths[i] = 2.0 / _depth(rule, pasts[i], levels[i], deviations[i], interest, income, is_call)
    numbers[BOUNDARY:DEPTH] = basis.boundary @ ((numbers[START] - levels) / deviations)
    numbers[DEPTH:TERMS] = basis.depth @ depths
    for i in range(count):
        distance = _polynomial(numbers[BOUNDARY:DEPTH], basis.t[i])
        depth = _polynomial(numbers[DEPTH:TERMS], basis.t[i])
        for j in range(basis.u.size):
            log_spot = numbers[START] + ((basis.u[j] + 1.0) / depth - distance) * deviations[i]
            point = i * basis.u.size + j
            premiums[point] = put_premium(
                rule, pasts[i], levels[i], log_spot, deviations[i], interest, income
            )
            worths[point] = _weight(is_call, log_spot)
    return True


@njit(cache=True, fastmath={"contract", "nsz"}, error_model="numpy")
def _factor(
    products: Float64[np.ndarray, "columns points"],
    values: Float64[np.ndarray, " points"],
    weights: Float64[np.ndarray, " points"],
) -> tuple[Float64[np.ndarray, "columns columns"], Float64[np.ndarray, " columns"]]:
    """Cholesky factor of the normal equations, and their right-hand side with the factor divided out."""
    columns = products.shape[0]
    lower, right = np.zeros((columns, columns)), np.zeros(columns)
    scaled = np.empty(weights.size)
    for i in range(columns):
        scaled[:] = products[i] * weights
        for j in range(i + 1):
            total = 0.0
            for k in range(weights.size):
                total += scaled[k] * products[j, k]
            lower[i, j] = total
        for k in range(weights.size):
            right[i] += scaled[k] * values[k]
    ridge = RIDGE * np.trace(lower)
    for i in range(columns):
        for j in range(i + 1):
            total = lower[i, j]
            for k in range(j):
                total -= lower[i, k] * lower[j, k]
            lower[i, j] = math.sqrt(max(total, 0.0) + ridge) if i == j else total / lower[j, j]
            if i != j:
                right[i] -= lower[i, j] * right[j]
        right[i] /= lower[i, i]
    return lower, right


@njit(cache=True, error_model="numpy")
def _solve(
    lower: Float64[np.ndarray, "columns columns"], right: Float64[np.ndarray, " columns"], size: int
) -> Float64[np.ndarray, " columns"]:
    """Coefficients of the first ``size`` columns alone."""
    found = np.zeros(right.size)
    for i in range(size - 1, -1, -1):
        total = right[i]
        for k in range(i + 1, size):
            total -= lower[k, i] * found[k]
        found[i] = total / lower[i, i]
    return found


@njit(cache=True, error_model="numpy")
def _errors(
    products: Float64[np.ndarray, "columns points"],
    found: Float64[np.ndarray, " columns"],
    premiums: Float64[np.ndarray, " points"],
    worths: Float64[np.ndarray, " points"],
) -> tuple[float, float]:
    """Root of the mean square and the largest of the errors at the points of the fit."""
    squares, most = 0.0, 0.0
    for point in range(premiums.size):
        logarithm = 0.0
        for column in range(found.size):
            logarithm += found[column] * products[column, point]
        error = abs(math.exp(logarithm) - premiums[point]) * worths[point]
        squares += error * error
        most = max(most, error)
    return math.sqrt(squares / premiums.size), most


@njit(cache=True, error_model="numpy")
def _fit_side(
    rule: BoundaryRule,
    basis: Basis,
    interest: float,
    income: float,
    is_call: bool,
    low: float,
    high: float,
    numbers: Float64[np.ndarray, " numbers"],
) -> tuple[int, int, float]:
    """Fit one side; return its status, class and largest error. ``interest`` is that of the put it is."""
    if not (math.isfinite(interest + income + high) and 0.0 < low <= high):
        return UNSOUND, 0, math.nan
    status = exercise_case(interest, income)
    if status != SOLVED:
        return status, 0, 0.0
    middle = math.sqrt(low * high)
    end = max(high, NARROWEST * middle)
    numbers[MIDDLE], numbers[SCALE], numbers[START] = middle, (end + middle) / (end - middle), 0.0
    numbers[START] = log_start(interest, income)
    points = basis.products.shape[1]
    premiums, worths = np.empty(points), np.empty(points)
    if not _sample(rule, basis, interest, income, is_call, numbers, premiums, worths):
        return UNSETTLED, 0, math.nan
    kept = np.maximum(premiums, LEAST_PREMIUM)
    lower, right = _factor(basis.products, np.log(kept), (kept * worths) ** 2)
    chosen, most = 0, 0.0
    while True:
        found = _solve(lower, right, basis.sizes[chosen])
        rms, most = _errors(basis.products, found, premiums, worths)
        if (rms <= GOOD_RMS and most <= GOOD_MOST) or chosen == basis.sizes.size - 1:
            break
        chosen += 1
    powers = basis.powers @ found
    for column in range(basis.sizes[chosen]):
        numbers[TERMS + basis.places[chosen, column]] = powers[column] / math.log(2.0)
    return SOLVED, chosen + 1, most


@njit(cache=True, parallel=True, error_model="numpy")
def _fit_sides(
    rule: BoundaryRule,
    basis: Basis,
    interest: Float64[np.ndarray, " groups"],
    income: Float64[np.ndarray, " groups"],
    low: Float64[np.ndarray, " groups"],
    high: Float64[np.ndarray, " groups"],
) -> PremiumFits:
    groups = interest.size
    classes, statuses = np.zeros((groups, 2), dtype=np.int64), np.zeros((groups, 2), dtype=np.int64)
    numbers, errors = np.zeros((groups, 2, NUMBERS)), np.zeros((groups, 2))
    for side in prange(2 * groups):
        g, is_call = side // 2, side % 2 == CALL
        own, other = (income[g], interest[g]) if is_call else (interest[g], income[g])
        statuses[g, side % 2], classes[g, side % 2], errors[g, side % 2] = _fit_side(
            rule, basis, own, other, is_call, low[g], high[g], numbers[g, side % 2]
        )
    return PremiumFits(classes, numbers, errors, statuses)


def fit_premiums(
    interest: Float64[np.ndarray, " groups"],
    income: Float64[np.ndarray, " groups"],
    low: Float64[np.ndarray, " groups"],
    high: Float64[np.ndarray, " groups"],
    rule: BoundaryRule = FIT_RULE,
) -> PremiumFits:
    """Fit the premiums of calls and puts of each group over a range of deviations.

    Parameters
    ----------
    interest, income : ndarray of float64, shape (groups,)
        Continuous rate and yield a year, each times the years to expiry.
    low, high : ndarray of float64, shape (groups,)
        Least and greatest volatility × √years, of every strike in every scenario; low above 0.
    rule : BoundaryRule
        The points of the solver.

    Returns
    -------
    PremiumFits
        With a status for each side instead of an error: a side that is not FOUND or NEVER_EXERCISED has no
        premium and must not be revalued.
    """
    return _fit_sides(rule, BASIS, interest, income, low, high)


def premium_numpy(
    kind: int,
    numbers: Float64[np.ndarray, " numbers"],
    log_spot: Float64[np.ndarray, " options"],
    deviation: Float64[np.ndarray, " options"],
) -> Float64[np.ndarray, " options"]:
    """Premium over strike of a put with one side's numbers: the reference in tests.

    ``kind`` is the side's class, ``log_spot`` the logarithm of spot over strike; for a call, of strike over
    spot, and the premium is over the spot.
    """
    if kind == 0:
        return np.zeros_like(log_spot)
    polynomial = np.polynomial.polynomial.polyval
    middle, scale, start = numbers[MIDDLE], numbers[SCALE], numbers[START]
    t = np.clip((deviation - middle) / (deviation + middle) * scale, -1.0, 1.0)
    reach = (log_spot - start) / deviation + polynomial(t, numbers[BOUNDARY:DEPTH])
    u = reach * polynomial(t, numbers[DEPTH:TERMS]) - 1.0
    inside, logarithm, first = np.clip(u, -1.0, 1.0), np.zeros_like(u), TERMS
    for power, degree in enumerate(CLASS_DEGREES[kind - 1]):
        logarithm += inside**power * polynomial(t, numbers[first : first + degree + 1])
        first += degree + 1
    return np.exp2(logarithm) * np.exp(-TAIL * np.abs(u - inside))
