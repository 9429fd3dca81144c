"""Joint accounts all at once: the margin of every subset of their legs, parts by house, correlations."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

from crossmargin.kernels.leg_tails import leg_tails
from crossmargin.models.expected_shortfall.margin import blend, requirement

if TYPE_CHECKING:
    from crossmargin.programmes.books import Books
    from crossmargin.programmes.joint.model import JointModel

__all__ = ["JointTails", "joint_tails"]


@dataclass(frozen=True, kw_only=True, eq=False)
class JointTails:
    """Units of several houses' legs, see ``joint_tails``.

    Parameters
    ----------
    houses : tuple of str
        In the order of the legs.
    subsets : ndarray of int64, shape (units, 2^houses)
        Margin of each subset of the legs in hundredths, at least 0; the house at place h belongs to the
        subsets whose number has bit h: subset 0 is empty, the last one all.
    euler : ndarray of float64, shape (units, houses)
        Mean loss of each leg in the worst scenarios of all legs together, blended and buffered as the margin
        is, in units of the currency: loss-positive, negative where the leg hedges. They add up to the margin
        of all legs before it is floored at 0 and rounded, but for what float32 rounds in the sum of the legs.
    correlations : ndarray of float64, shape (units, pairs, parts)
        Of two legs' profit and loss in each part of the scenarios; NaN where a leg has no position or always
        the same result.
    """

    houses: tuple[str, ...]
    subsets: Int64[np.ndarray, "units subsets"]
    euler: Float64[np.ndarray, "units houses"]
    correlations: Float64[np.ndarray, "units pairs parts"]

    @property
    def joint(self) -> Int64[np.ndarray, " units"]:
        """Margin of all legs together."""
        return self.subsets[:, -1]

    @property
    def alone(self) -> Int64[np.ndarray, "units houses"]:
        """Margin of each leg by itself."""
        return self.subsets[:, 1 << np.arange(len(self.houses))]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Houses of each pair of ``correlations``."""
        return tuple(combinations(self.houses, 2))


def joint_tails(model: JointModel, legs: Books, houses: tuple[str, ...]) -> JointTails:
    """Return the margins of every unit's subsets of legs, Euler's parts by house and correlations, in one pass.

    Parameters
    ----------
    model : JointModel
        The common scenarios.
    legs : Books
        Book u × houses + h is what house h holds of unit u, maybe nothing; none is gross, since positions of
        many clients do not offset.
    houses : tuple of str
        Houses in order.

    Notes
    -----
    A leg by itself has the margin that ``JointModel.market_risk`` gives it, to the hundredth. A union is
    the sum of its legs' profit and loss, leg by leg; ``market_risk`` of the netted positions adds position
    by position, and with float32 rows may differ in the seventh digit of the legs' gross results.

    Raises
    ------
    InputError
        Listing every position without scenarios.
    ValueError
        If a scenario result is NaN or infinite.
    """
    assert not legs.gross.any(), "a gross book is never margined with another"
    found = leg_tails(
        legs.starts,
        model.cube_rows(legs),
        legs.quantities.astype(np.float64),
        model.cube.pnl,
        model.cube.layout.bounds,
        model.tail_counts,
        houses=len(houses),
        scales=model.cube.scales,
    )
    units, subsets, parts = found.shortfalls.shape
    amounts = requirement(found.shortfalls.reshape(-1, parts), model.cube, model.settings)
    losses = blend(found.leg_losses.reshape(-1, parts), model.cube) * (1.0 + model.settings.buffer)
    return JointTails(
        houses=houses,
        subsets=amounts.reshape(units, subsets),
        euler=losses.reshape(units, len(houses)),
        correlations=found.correlations,
    )
