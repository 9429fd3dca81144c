"""Reverse stress: the smallest multiple of a scenario's moves that exhausts a layer of default resources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Int64

if TYPE_CHECKING:
    from collections.abc import Callable

    ByMultiple: TypeAlias = Callable[[Float64[np.ndarray, " tried"]], Int64[np.ndarray, " tried *cells"]]

__all__ = ["ReverseStress", "interpolated", "reverse_stress"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ReverseStress:
    """Smallest multiples that exhaust what a function of the multiple says is unpaid.

    Parameters
    ----------
    multiple : ndarray of float64, shape (*cells)
        The smallest multiple found that leaves something unpaid; 0 where none does. Never NaN: see ``exhausted``.
    exhausted : ndarray of bool, shape (*cells)
        False where no multiple tried leaves anything unpaid.
    largest : float
        The largest multiple tried.
    tolerance : float
        The multiple is above the crossing that it stands for by at most this.
    """

    multiple: Float64[np.ndarray, "*cells"]
    exhausted: Bool[np.ndarray, "*cells"]
    largest: float
    tolerance: float


def reverse_stress(
    unpaid: ByMultiple, multiples: Float64[np.ndarray, " grid"], tolerance: float = 0.001
) -> ReverseStress:
    """Find the smallest multiple of a scenario's moves that exhausts each layer.

    Losses are no straight line in the multiple, with options they need not even rise. So the function is called once
    for the whole grid; the first multiple of the grid that leaves something unpaid ends the bracket, the one before
    begins it, and all brackets are halved together until they are no wider than the tolerance, with one call for
    each halving. A loss that comes and goes between two neighbours of the grid is not seen: a finer grid sees it.

    Parameters
    ----------
    unpaid : callable
        From multiples, shape (tried,), to what is left unpaid, shape (tried, *cells): ``Waterfall.unpaid``, or the
        loss beyond margin less the layers up to one. Above 0 where the layer is exhausted.
    multiples : ndarray of float64, shape (grid,)
        Rising. Where the first exhausts a layer, it is the answer; so begin at 0.
    tolerance : float
        Above 0.
    """
    assert tolerance > 0, "a tolerance is above 0"
    assert (np.diff(multiples) > 0).all(), "multiples rise"
    over = unpaid(multiples) > 0
    cells = over.shape[1:]
    over = over.reshape(multiples.size, -1)
    exhausted, first = np.asarray(over.any(axis=0)), over.argmax(axis=0)
    low, high = multiples[np.maximum(first - 1, 0)], multiples[first]
    while (wide := exhausted & _wide(low, high, tolerance)).any():
        middle = (low + high) / 2
        tried, at = np.unique(middle[wide], return_inverse=True)
        beyond = np.zeros_like(wide)
        beyond[wide] = unpaid(tried).reshape(tried.size, -1)[at, np.flatnonzero(wide)] > 0
        high, low = np.where(wide & beyond, middle, high), np.where(wide & ~beyond, middle, low)
    return ReverseStress(
        multiple=np.where(exhausted, high, 0.0).reshape(cells),
        exhausted=np.asarray(exhausted.reshape(cells)),
        largest=float(multiples[-1]),
        tolerance=tolerance,
    )


def _wide(
    low: Float64[np.ndarray, " cells"], high: Float64[np.ndarray, " cells"], tolerance: float
) -> Bool[np.ndarray, " cells"]:
    """Return which brackets to halve: above the tolerance, and with a float between their ends."""
    middle = (low + high) / 2
    return np.asarray((high - low > tolerance) & (low < middle) & (middle < high))


def interpolated(
    multiples: Float64[np.ndarray, " grid"], amounts: Int64[np.ndarray, " grid *cells"]
) -> ByMultiple:
    """Return a function of the multiple that joins amounts known on a grid by straight lines.

    For losses that are dear to make: they are made once for the grid, and the search costs nothing. Between
    two multiples of the grid a convex loss is below the line, so that a layer is found exhausted too early, a concave one
    is above it. Beyond the ends of the grid the amounts are those at the ends.

    Parameters
    ----------
    multiples : ndarray of float64, shape (grid,)
        Rising.
    amounts : ndarray of int64, shape (grid, *cells)
        Below 2^53 in size, so that they pass through float64 unchanged.
    """

    def at(tried: Float64[np.ndarray, " tried"]) -> Int64[np.ndarray, " tried *cells"]:
        place = np.clip(np.searchsorted(multiples, tried, side="right") - 1, 0, max(multiples.size - 2, 0))
        following = np.minimum(place + 1, multiples.size - 1)
        width = multiples[following] - multiples[place]
        share = np.clip((tried - multiples[place]) / np.where(width > 0, width, 1.0), 0, 1)
        share = share.reshape(-1, *(1 for _ in amounts.shape[1:]))
        return np.rint(amounts[place] * (1 - share) + amounts[following] * share).astype(np.int64)

    return at
