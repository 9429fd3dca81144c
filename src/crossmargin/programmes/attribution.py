"""How a joint requirement falls on the houses: rules, and parts in whole units that add up to it."""

from __future__ import annotations

from math import factorial

import numpy as np
from jaxtyping import Float64, Int64

from crossmargin.core.proportions import at_least, leftover_units, pro_rata, require_exact

__all__ = ["attributed", "capped", "euler_sigma", "fitted", "marginal", "shapley"]


def fitted(
    total: Int64[np.ndarray, " accounts"],
    parts: Float64[np.ndarray, "accounts houses"] | Int64[np.ndarray, "accounts houses"],
) -> Float64[np.ndarray, "accounts houses"]:
    """Return parts that add up to a total: what they miss of it is shared by their size, gain or loss.

    Of parts without a negative one this keeps the proportions. Where all are 0, the total is shared equally.

    Parameters
    ----------
    total : ndarray of int64, shape (accounts,)
        Any sign.
    parts : ndarray of float64 or int64, shape (accounts, houses)
        In the same units, any sign; a pure hedge has a negative part.

    Raises
    ------
    RangeError
        If a part is not a number below ``AMOUNT_LIMIT``.
    """
    require_exact(parts)
    size = np.abs(parts)
    size = np.where(size.any(axis=1, keepdims=True), size, 1.0)
    return parts + (total[:, None] - _in_order(parts)) * size / _in_order(size)


def attributed(
    total: Int64[np.ndarray, " accounts"],
    parts: Float64[np.ndarray, "accounts houses"] | Int64[np.ndarray, "accounts houses"],
) -> Int64[np.ndarray, "accounts houses"]:
    """Round parts of a total, fitted to it, to whole units that add up to it.

    Each is rounded down, and the units left over go to the largest fractions, of equal ones to the larger part, of
    equal parts to the earlier house. So permuting houses permutes the result, but among houses of one part
    the odd unit stays with the first. Arguments and errors as of ``fitted``.
    """
    quotas = fitted(total, parts)
    whole = np.floor(quotas)
    units = whole.astype(np.int64)
    return units + leftover_units(total - units.sum(axis=1), quotas - whole, quotas)


def _in_order(parts: Float64[np.ndarray, "accounts houses"]) -> Float64[np.ndarray, "accounts 1"]:
    """Return sums in order of size: the same to the last bit however the houses are permuted."""
    return np.asarray(np.sort(parts, axis=1).sum(axis=1, keepdims=True))


def euler_sigma(
    margins: Float64[np.ndarray, "accounts houses"], correlations: Float64[np.ndarray, "houses houses"]
) -> Float64[np.ndarray, "accounts houses"]:
    """Return Euler parts of a joint margin in proportion to standard deviation, m_h Σ_k ρ_hk m_k ÷ joint.

    They add up to the joint margin √(m'ρm), Cov(X_h, ΣX) ÷ σ in words; where it is 0, so are they. Tasche, "Capital
    allocation to business units and sub-portfolios: the Euler principle" (2008).

    Parameters
    ----------
    margins : ndarray of float64, shape (accounts, houses)
        Stand-alone margins, at least 0.
    correlations : ndarray of float64, shape (houses, houses)
        Of the legs' profit and loss; symmetric, positive semidefinite, 1 on the diagonal.
    """
    covariances = margins * np.einsum("ah,hk->ak", margins, correlations)
    joint = np.sqrt(np.maximum(covariances.sum(axis=1, keepdims=True), 0.0))
    return np.divide(covariances, joint, out=np.zeros(margins.shape), where=joint > 0)


def marginal(values: Int64[np.ndarray, "accounts subsets"]) -> Int64[np.ndarray, "accounts houses"]:
    """Return what each house adds to all others; the parts do not add up, and a hedge's is negative.

    Parameters
    ----------
    values : ndarray of int64, shape (accounts, 2 ** houses)
        Joint margin of every set of houses: house 0 is bit 1 of the column's number, house 1 bit 2, house 2
        bit 4; column 0 is of none.
    """
    everyone = values.shape[1] - 1
    without = [everyone ^ (1 << house) for house in range(_house_count(values))]
    return values[:, everyone, None] - values[:, without]


def shapley(values: Int64[np.ndarray, "accounts subsets"]) -> Int64[np.ndarray, "accounts houses"]:
    """Return each house's mean addition over all orders in which houses may join, in whole units that add up.

    Sums are exact integers over houses!; then rounded down, and the units left over go to the largest
    remainders, see ``attributed``. Works for margins with floors and add-ons. Shapley, "A value for n-person
    games" (1953).

    Parameters
    ----------
    values : ndarray of int64, shape (accounts, 2 ** houses)
        As of ``marginal``. The parts add up to the margin of all less that of none.
    """
    sums = values @ _orders(_house_count(values))
    whole, rest = np.divmod(sums, factorial(_house_count(values)))
    total = values[:, -1] - values[:, 0]
    return whole + leftover_units(total - whole.sum(axis=1), rest, sums)


def _house_count(values: Int64[np.ndarray, "accounts subsets"]) -> int:
    count = values.shape[1].bit_length() - 1
    assert values.shape[1] == 1 << count, "one value for each set of houses"
    return count


def _orders(houses: int) -> Int64[np.ndarray, "subsets houses"]:
    """Return in how many of the orders a set stands right after a house joined (+) or right before (−)."""
    weights = np.zeros((1 << houses, houses), np.int64)
    for subset in range(1 << houses):
        size = subset.bit_count()
        for house in range(houses):
            if subset >> house & 1:
                weights[subset, house] = factorial(size - 1) * factorial(houses - size)
            else:
                weights[subset, house] = -factorial(size) * factorial(houses - size - 1)
    return weights


def capped(
    parts: Int64[np.ndarray, "accounts houses"], own: Int64[np.ndarray, "accounts houses"], floor: float
) -> Int64[np.ndarray, "accounts houses"]:
    """Raise each house to its floor, and take the excess from the others' room above theirs, pro rata.

    The parts add up to what they did before, or to the sum of the floors where that is more: then every house
    stands at its floor. By this no house holds less than nothing. Of 90, 10, −10 with floors of 10 each, the
    first house keeps 70.

    Parameters
    ----------
    parts : ndarray of int64, shape (accounts, houses)
        Any sign.
    own : ndarray of int64, shape (accounts, houses)
        Stand-alone margins, at least 0.
    floor : float
        Share of ``own`` that a house holds at least; rounded up to the unit.
    """
    floors = at_least(own, floor)
    room = np.maximum(parts - floors, 0)
    excess = np.minimum((floors + room - parts).sum(axis=1), room.sum(axis=1))
    return floors + room - pro_rata(excess, room)
