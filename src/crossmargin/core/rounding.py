"""Rounding as rulebooks mean it: decimal rules, carried out on binary floats.

A rulebook rounds decimal numbers. A product of two decimals, made in float64, may miss the decimal
tie by a few units in the last place. So each rule here counts a number that is within ``TIE_SLACK``
of itself (eight units in the last place) from a tie as the tie. A number that is honestly that near
to a tie is taken for one: float64 cannot tell the two apart.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from crossmargin.errors import RangeError

__all__ = [
    "TIE_SLACK",
    "TIE_SLACK_MAX",
    "exact_sums",
    "exact_total",
    "half_away",
    "roundup",
    "to_minor",
    "toward_zero",
]

TIE_SLACK: Final = 2.0**-50
"""Share of a number by which a decimal tie may be missed: eight float64 units in the last place."""

TIE_SLACK_MAX: Final = 0.25
"""The slack never grows beyond this, so that whole numbers above 2^48 stay what they are."""

INT64_LIMIT: Final = 9.2e18


def _slack(amount: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    return np.asarray(np.minimum(np.abs(amount) * TIE_SLACK, TIE_SLACK_MAX))


def _truncate(amount: Float64[np.ndarray, "*shape"], step_from: float) -> Float64[np.ndarray, "*shape"]:
    """Cut the fraction off, but go one further from zero where the fraction reaches ``step_from``."""
    whole = np.trunc(amount)
    steps = np.abs(amount - whole) >= step_from - _slack(amount)
    return np.asarray(whole + np.copysign(steps.astype(np.float64), amount) + 0.0)  # + 0.0: no negative zero


def half_away(amount: Float64[np.ndarray, "*shape"] | float) -> Float64[np.ndarray, "*shape"]:
    """Round to the nearest integer, a half away from zero: −37.5 becomes −38."""
    return _truncate(np.asarray(amount, dtype=np.float64), 0.5)


def toward_zero(amount: Float64[np.ndarray, "*shape"] | float) -> Float64[np.ndarray, "*shape"]:
    """Cut the fraction off: down for longs, up for shorts. 2.9999999999999996 counts as 3."""
    return _truncate(np.asarray(amount, dtype=np.float64), 1.0)


def roundup(amount: Float64[np.ndarray, "*shape"] | float, multiple: float) -> Float64[np.ndarray, "*shape"]:
    """Round up to a multiple of ``multiple`` (> 0); a multiple stays what it is."""
    quotient = np.asarray(amount, dtype=np.float64) / multiple
    whole = np.floor(quotient)
    steps = quotient - whole > _slack(quotient)
    return np.asarray((whole + steps) * multiple + 0.0)


def to_minor(amount: Float64[np.ndarray, "*shape"] | float, decimals: int) -> Int64[np.ndarray, "*shape"]:
    """Cross from float64 to integer units of 10^-decimals, a half away from zero.

    Raises
    ------
    RangeError
        If an amount is not finite or does not fit into 64 bits.
    """
    scaled = np.asarray(amount, dtype=np.float64) * 10.0**decimals
    if not np.all(np.abs(scaled) < INT64_LIMIT):  # also false for NaN
        raise RangeError(f"an amount is beyond ±{INT64_LIMIT / 10.0**decimals:.3g}, the published range")
    return half_away(scaled).astype(np.int64)


def exact_total(*amounts: Int64[np.ndarray, "*shape"]) -> Int64[np.ndarray, "*shape"]:
    """Add integer amounts.

    Raises
    ------
    RangeError
        If a sum does not fit into 64 bits.
    """
    _require_range(np.asarray(sum(np.asarray(amount, np.float64) for amount in amounts)))
    return np.asarray(sum(amounts))


def exact_sums(
    amounts: Int64[np.ndarray, " n"], owner: Int64[np.ndarray, " n"], count: int
) -> Int64[np.ndarray, " count"]:
    """Add integer amounts by owner, a number from 0 to ``count`` − 1.

    Raises
    ------
    RangeError
        If a sum does not fit into 64 bits.
    """
    _require_range(np.bincount(owner, np.abs(amounts.astype(np.float64)), count))
    totals = np.zeros(count, np.int64)
    np.add.at(totals, owner, amounts)
    return totals


def _require_range(total: Float64[np.ndarray, "*shape"]) -> None:
    if not np.all(np.abs(total) < INT64_LIMIT):
        raise RangeError("a sum of amounts is beyond the range of published integers, 64 bits")
