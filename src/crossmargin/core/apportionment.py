"""Whole amounts divided among several so that the parts add up exactly."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

__all__ = ["apportioned"]


def apportioned(
    totals: Int64[np.ndarray, " groups"],
    weights: Float64[np.ndarray, " members"] | Int64[np.ndarray, " members"],
    group: Int64[np.ndarray, " members"],
) -> Int64[np.ndarray, " members"]:
    """Divide each group's total among its members by weight, with the largest remainders rounded up.

    Parameters
    ----------
    totals : ndarray of int64, shape (groups,)
        What is divided, at least 0. A group without members must have 0.
    weights : ndarray, shape (members,)
        At least 0; where a group's weights are all 0, its members have equal parts.
    group : ndarray of int64, shape (members,)
        Group of each member.

    Returns
    -------
    ndarray of int64, shape (members,)
        Parts: those of a group add up to its total. Of equal remainders the earlier member's goes up.
    """
    count = totals.size
    given = np.bincount(group, weights, count)
    each = np.where(given[group] > 0, weights, 1.0)
    shares = each / np.bincount(group, each, count)[group]
    exact = totals[group] * shares
    parts = np.floor(exact).astype(np.int64)
    left = totals.copy()
    np.subtract.at(left, group, parts)
    order = np.lexsort((parts - exact, group))
    starts = np.searchsorted(group[order], np.arange(count))
    rank = np.empty(group.size, np.int64)
    rank[order] = np.arange(group.size) - starts[group[order]]
    members = np.bincount(group, minlength=count)
    whole, over = np.divmod(left, np.maximum(members, 1))  # more than one each only where floats run out
    parts += whole[group] + (rank < over[group])
    assert not (left[members == 0]).any(), "a total without a member"
    return parts
