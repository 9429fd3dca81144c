"""The smallest multiple of a scenario's moves at which somebody's margin no longer covers his loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

if TYPE_CHECKING:
    from crossmargin.programmes.stress.units import LossUnits

__all__ = ["margin_multiples"]


def margin_multiples(
    units: LossUnits,
    pnl: Float64[np.ndarray, "rows instruments"],
    multiples: Float64[np.ndarray, " multiples"],
    *,
    merged: bool = False,
) -> Float64[np.ndarray, "scenarios houses"]:
    """Return at what multiple the first leg with margin loses more than that; infinite where none does.

    Legs without margin, such as a participant within HKSCC's margin credit, lose more than nothing at once, and are not
    asked. Losses are known at the multiples tried, and joined by straight lines between them.

    Parameters
    ----------
    units : LossUnits
        Of the arrangement.
    pnl : ndarray of float64, shape (rows, instruments)
        Profit and loss of one long unit of each instrument: of each scenario at each multiple, scenario by scenario.
    multiples : ndarray of float64, shape (multiples,)
        Rising.
    merged : bool
        One house: a unit's legs are one.
    """
    count = multiples.size
    scenarios = pnl.shape[0] // count
    margin = units.margin.sum(axis=1, keepdims=True) if merged else units.margin
    found = np.full((scenarios, margin.shape[1]), np.inf)
    for scenario in range(scenarios):
        before = -margin
        for at, of_one in enumerate(pnl[scenario * count : (scenario + 1) * count]):
            loss = units.losses(of_one)
            gap = (loss.sum(axis=1, keepdims=True) if merged else loss) - margin
            crossed = (gap > 0) & (before <= 0) & (margin > 0)
            if crossed.any():
                start = multiples[max(at - 1, 0)]
                share = np.where(crossed, -before / np.where(crossed, gap - before, 1), np.inf)
                reached = start + (multiples[at] - start) * share.min(axis=0)
                found[scenario] = np.minimum(found[scenario], reached)
            before = gap
    return found
