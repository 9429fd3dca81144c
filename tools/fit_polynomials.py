"""Derive the coefficients of ``crossmargin.kernels.fast_math``; needs nothing but Python.

Each function is approximated on an interval with the least largest relative error (the exchange algorithm
of Remez), in decimal arithmetic far finer than the result, so that every run and machine prints the same
digits. Mills' ratio is a quotient of two polynomials, the exponential function one polynomial.

Source: E. Ya. Remez, Sur le calcul effectif des polynomes d'approximation de Tchebichef, 1934; for
quotients, W. Fraser and J. F. Hart, On the computation of rational approximations, 1962.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, getcontext
from functools import cache
from itertools import accumulate, pairwise
from math import cos, pi
from operator import mul
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

GRID, ROUNDS, REFINEMENTS = 600, 40, 3
EVEN = Decimal("1e-3")  # the largest errors of the last round agree to this part of themselves
DIGITS = 400  # exp(x²/2) at x = 35 cancels 270 of them
FIT_DIGITS = 60
NEAREST = Decimal("2.5")  # points are evenly spaced in 1 / (x + this)


@dataclass(frozen=True, slots=True)
class Approximation:
    """A quotient of polynomials, coefficients from the constant up, and its largest relative error over the tolerance."""

    above: tuple[Decimal, ...]
    below: tuple[Decimal, ...]
    error: Decimal


class Point(NamedTuple):
    """A place, the function's value there, and the relative error allowed there against other places."""

    x: Decimal
    f: Decimal
    tolerance: Decimal


def exact_pi() -> Decimal:
    """Return π to the precision of the context, by Machin's formula."""
    return 4 * (4 * _inverse_tangent(5) - _inverse_tangent(239))


def _inverse_tangent(inverse: int) -> Decimal:
    """Return the arc tangent of 1 / inverse by its series."""
    power, n = 1 / Decimal(inverse), 1
    total, before = power, Decimal(0)
    while total != before:
        power /= -inverse * inverse
        n += 2
        before, total = total, total + power / n
    return total


def mills_ratio(x: Decimal) -> Decimal:
    """Return N(−x) / φ(x): half of the mass over the density, less the mass between 0 and x over it."""
    term, total, before, n = x, x, Decimal(-1), 1
    while total != before:
        n += 2
        term *= x * x / n
        before, total = total, total + term
    return at_zero(getcontext().prec) * (x * x / 2).exp() - total


@cache
def at_zero(_digits: int) -> Decimal:
    """Return Mills' ratio at 0, √(π/2), to the precision of the context, which is given for the cache."""
    return (exact_pi() / 2).sqrt()


def value(coefficients: Sequence[Decimal], x: Decimal) -> Decimal:
    """Return a polynomial's value."""
    total = Decimal(0)
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


def solve(rows: list[list[Decimal]]) -> list[Decimal]:
    """Solve linear equations, each with its right side behind it, by elimination with pivots."""
    size = len(rows)
    for column in range(size):
        pivot = max(range(column, size), key=lambda r: abs(rows[r][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for r in range(size):
            if r != column:
                factor = rows[r][column] / rows[column][column]
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[column], strict=True)]
    return [rows[i][size] / rows[i][i] for i in range(size)]


def _levelled(
    points: Sequence[Point], degrees: tuple[int, int], below: Sequence[Decimal]
) -> tuple[list[Decimal], list[Decimal]]:
    """Return the quotient whose errors at the points are equal parts of the tolerance, of alternate signs."""
    for _ in range(REFINEMENTS if degrees[1] else 1):
        rows = []
        for i, (x, f, tolerance) in enumerate(points):
            powers = list(accumulate([x] * max(degrees), mul, initial=Decimal(1)))
            error = (-1) ** i * f * tolerance * value(below, x)
            denominator = [-f * power for power in powers[1 : degrees[1] + 1]]
            rows.append([*powers[: degrees[0] + 1], *denominator, -error, f])
        found = solve(rows)
        above, below = found[: degrees[0] + 1], [Decimal(1), *found[degrees[0] + 1 : -1]]
    return above, list(below)


def _exchanged(errors: Sequence[Decimal], count: int) -> list[int]:
    """Return where the errors are largest: once between two changes of sign, the smaller end dropped."""
    cuts = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(errors)) if (a > 0) != (b > 0)), len(errors)]
    peaks = [max(range(a, b), key=lambda i: abs(errors[i])) for a, b in pairwise(cuts)]
    while len(peaks) > count:
        peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
    assert len(peaks) == count, f"{len(peaks)} of {count} extremes: the approximation has degenerated"
    return peaks


def fit(points: Sequence[Point], degrees: tuple[int, int]) -> Approximation:
    """Approximate a function, given at many points from left to right, by a quotient of the two degrees."""
    count = sum(degrees) + 2
    places = [round((1 - cos(pi * i / (count - 1))) / 2 * (len(points) - 1)) for i in range(count)]
    below = [Decimal(1)] + [Decimal(0)] * degrees[1]
    for _ in range(ROUNDS):
        above, below = _levelled([points[i] for i in places], degrees, below)
        errors = [(value(above, x) / value(below, x) / f - 1) / t for x, f, t in points]
        places = _exchanged(errors, count)
        sizes = [abs(errors[i]) for i in places]
        if max(sizes) - min(sizes) <= EVEN * max(sizes):
            break
    return Approximation(tuple(above), tuple(below), max(sizes))


def mills_points(farthest: Decimal) -> list[Point]:
    """Return Mills' ratio at points that lie close near 0; the tolerance grows with 1 + x².

    The density at x, by which a price multiplies the ratio, falls far faster than that tolerance grows.
    """
    near, far = 1 / NEAREST, 1 / (farthest + NEAREST)
    steps = (near - (near - far) * i / (GRID - 1) for i in range(GRID))
    places = [max(1 / step - NEAREST, Decimal(0)) for step in steps]
    return [Point(x, mills_ratio(x), 1 + x * x) for x in places]


def power_points() -> list[Point]:
    """Return powers of two with exponents from −1/2 to 1/2."""
    places = [Decimal(i) / (GRID - 1) - Decimal("0.5") for i in range(GRID)]
    return [Point(x, Decimal(2) ** x, Decimal(1)) for x in places]


def approximations() -> dict[str, Approximation]:
    """Return each function's approximation, by the name of its coefficients in ``fast_math``."""
    getcontext().prec = DIGITS
    mills = {32: mills_points(Decimal(11)), 64: mills_points(Decimal(35))}
    getcontext().prec = FIT_DIGITS
    power = power_points()
    return {
        "POWER_32": fit(power, (5, 0)),
        "POWER_64": fit(power, (10, 0)),
        "MILLS_32": fit(mills[32], (3, 4)),
        "MILLS_64": fit(mills[64], (7, 8)),
    }


def tuples(found: dict[str, Approximation]) -> dict[str, tuple[float, ...]]:
    """Return the coefficients, from the constant up, by their names in ``fast_math``.

    Both polynomials of a quotient are divided by their highest coefficient, which is then left out: a 1 costs
    no multiplication. What the division changes is the scale.
    """
    result = {}
    for name, one in found.items():
        kind, width = name.split("_")
        if len(one.below) == 1:
            result[name] = tuple(map(float, one.above))
            continue
        for side, coefficients in (("ABOVE", one.above), ("BELOW", one.below)):
            result[f"{kind}_{side}_{width}"] = tuple(float(c / coefficients[-1]) for c in coefficients[:-1])
        result[f"{kind}_SCALE_{width}"] = (float(one.above[-1] / one.below[-1]),)
    return result


def main() -> None:
    """Print the coefficients, and the largest error of each approximation before rounding."""
    found = approximations()
    for name, coefficients in tuples(found).items():
        print(f"{name} = {coefficients!r}")
    for name, one in found.items():
        print(f"# {name}: error {one.error:.2e} of the tolerance")


if __name__ == "__main__":
    main()
