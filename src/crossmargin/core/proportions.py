"""Shares of whole amounts: exact quotients, bounds rounded one way, and parts that add up to the unit."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from crossmargin.core.rounding import toward_zero
from crossmargin.errors import RangeError

__all__ = ["AMOUNT_LIMIT", "at_least", "at_most", "leftover_units", "pro_rata", "proportion", "require_exact"]

AMOUNT_LIMIT: Final = 2**53
"""Amounts keep below this, where float64 still holds every whole number: HKD 90 trillion in cents."""


def at_most(
    amounts: Int64[np.ndarray, "*shape"], share: float | Float64[np.ndarray, "*#shape"]
) -> Int64[np.ndarray, "*shape"]:
    """Return share × amount rounded down, the largest whole amount that keeps within a share.

    Parameters
    ----------
    amounts : ndarray of int64
        At least 0.
    share : float or ndarray of float64
        From 0 to 1. A number is a printed decimal, and the product exact: 0.29 of 100 is 29, though in float64
        it is a little less. Shares that were computed come as an array; products of them within the slack of
        ``core.rounding`` below a whole amount count as it.
    """
    if isinstance(share, np.ndarray):
        return toward_zero(amounts * share).astype(np.int64)
    return proportion(amounts, *_printed(share))[0]


def at_least(amounts: Int64[np.ndarray, "*shape"], share: float) -> Int64[np.ndarray, "*shape"]:
    """Return share × amount rounded up, the smallest whole amount that reaches a share; otherwise as ``at_most``."""
    whole, rest = proportion(amounts, *_printed(share))
    return whole + (rest > 0)


def _printed(share: float) -> tuple[Int64[np.ndarray, ""], Int64[np.ndarray, ""]]:
    """Return numerator and denominator of a decimal as printed, exact up to its 15th digit."""
    exact = Fraction(str(share)).limit_denominator(10**15)
    return np.asarray(exact.numerator), np.asarray(exact.denominator)


def proportion(
    amount: Int64[np.ndarray, "*#shape"],
    numerator: Int64[np.ndarray, "*#shape"],
    denominator: Int64[np.ndarray, "*#shape"],
) -> tuple[Int64[np.ndarray, "*shape"], Int64[np.ndarray, "*shape"]]:
    """Return amount × numerator ÷ denominator rounded down, and the remainder of the division, both exact.

    Parameters
    ----------
    amount : ndarray of int64
        At least 0.
    numerator, denominator : ndarray of int64
        0 ≤ numerator ≤ denominator and denominator > 0.

    Returns
    -------
    tuple of ndarray of int64
        Quotient and remainder.

    Raises
    ------
    RangeError
        If an amount or denominator is not below ``AMOUNT_LIMIT``.
    """
    require_exact(amount, denominator)
    near = np.floor(amount.astype(np.float64) * numerator / denominator).astype(np.int64)
    # the float64 quotient is off by at most two, so the remainder is below 2^55 in size: the products may run over
    # 64 bits, their difference, taken modulo 2^64, does not
    over, rest = np.divmod(amount * numerator - near * denominator, denominator)
    return near + over, rest


def require_exact(*amounts: Int64[np.ndarray, "*_"] | Float64[np.ndarray, "*_"]) -> None:
    """Refuse amounts of which shares would not be exact, and what is no number.

    Raises
    ------
    RangeError
        If an amount is not below ``AMOUNT_LIMIT`` in size.
    """
    if not all(np.all(np.abs(amount) < AMOUNT_LIMIT) for amount in amounts):  # also false for NaN
        raise RangeError(f"an amount is beyond ±{AMOUNT_LIMIT:.3g} units, where shares of it are exact")


def pro_rata(
    total: Int64[np.ndarray, " accounts"], weights: Int64[np.ndarray, "accounts houses"]
) -> Int64[np.ndarray, "accounts houses"]:
    """Split totals by weight into whole parts that add up: 100 by 1 : 1 : 1 becomes 34, 33, 33.

    Each part is its exact quota rounded down or up; the largest remainders go up, of equal ones that of the
    larger weight, of equal weights that of the earlier house. So permuting the houses permutes the parts,
    but among houses of one weight the odd unit stays with the first.

    Parameters
    ----------
    total : ndarray of int64, shape (accounts,)
        At least 0.
    weights : ndarray of int64, shape (accounts, houses)
        At least 0; where all of an account are 0, its parts are equal.

    Raises
    ------
    RangeError
        If a total or a sum of weights is not below ``AMOUNT_LIMIT``.
    """
    sums = weights.sum(axis=1, keepdims=True)
    weights = np.where(sums > 0, weights, 1)
    whole, rest = proportion(total[:, None], weights, weights.sum(axis=1, keepdims=True))
    return whole + leftover_units(total - whole.sum(axis=1), rest, weights)


def leftover_units(
    units: Int64[np.ndarray, " accounts"],
    remainders: Int64[np.ndarray, "accounts houses"] | Float64[np.ndarray, "accounts houses"],
    weights: Int64[np.ndarray, "accounts houses"] | Float64[np.ndarray, "accounts houses"],
) -> Int64[np.ndarray, "accounts houses"]:
    """Hand out units that rounding down left over: to the largest remainders, then weights, then in order.

    More units than houses, or fewer than none, which only float64 quotas leave, first go to all alike.
    """
    order = np.lexsort((-weights, -remainders), axis=-1)
    each, odd = np.divmod(units, weights.shape[1])
    return each[:, None] + (np.argsort(order, axis=-1) < odd[:, None])
