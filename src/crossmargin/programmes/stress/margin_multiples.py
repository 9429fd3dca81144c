"""The smallest multiple of a scenario's moves at which somebody's margin no longer covers his loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

if TYPE_CHECKING:
    from crossmargin.programmes.stress.units import LossUnits

__all__ = ["MarginMultiples"]


class MarginMultiples:
    """Watches losses at rising multiples, scenario by scenario; see ``found``.

    Parameters
    ----------
    units : LossUnits
        Of the arrangement.
    multiples : ndarray of float64, shape (multiples,)
        Rising, from 0.
    scenarios : int
        How many there are.
    merged : bool
        One house: a unit's legs are one.

    Attributes
    ----------
    found : ndarray of float64, shape (scenarios, houses)
        Multiple at which the first leg with margin loses more than that; infinite where none does. Legs without margin,
        such as a participant's within HKSCC's margin credit, lose more than nothing at once, and are not asked.
        Losses are joined by straight lines between the multiples.
    """

    def __init__(
        self, units: LossUnits, multiples: Float64[np.ndarray, " multiples"], scenarios: int, *, merged: bool
    ) -> None:
        margin = units.margin.sum(axis=1, keepdims=True) if merged else units.margin
        self.multiples = multiples
        self.held = margin > 0
        self.before = -margin
        self.found = np.full((scenarios, margin.shape[1]), np.inf)

    def __call__(self, row: int, gap: Int64[np.ndarray, "units houses"]) -> None:
        """Look at the next row: by how much the loss of each leg exceeds its margin."""
        scenario, at = divmod(row, self.multiples.size)
        crossed = self.held & (gap > 0) & (self.before <= 0)
        if at and crossed.any():
            share = np.where(crossed, -self.before / np.where(crossed, gap - self.before, 1), np.inf)
            reached = self.multiples[at - 1] + (self.multiples[at] - self.multiples[at - 1]) * share.min(
                axis=0
            )
            self.found[scenario] = np.minimum(self.found[scenario], reached)
        self.before = gap
