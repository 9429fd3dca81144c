"""Each house closing out for itself, and what that comes to for all of them.

A house's own schedule serves its own worst loss; put together, the houses' schedules are one that a joint close-out
may choose too, since caps are by position. And the worst of the sum of the houses' losses is no larger than the sum
of their worst losses. So that, whatever the book,

    joint optimum ≤ worst loss of the separate schedules together ≤ sum of the separate optima.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from crossmargin.clearing.close_out.optimal import optimal_close_out
from crossmargin.clearing.close_out.problem import CloseOut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossmargin.clearing.close_out.problem import CloseOutProblem

__all__ = ["Uncoordinated", "put_together", "uncoordinated_close_out"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Uncoordinated:
    """Each house closes its own positions out in its own way.

    Parameters
    ----------
    houses : tuple of CloseOut
        Of each house alone.
    together : CloseOut
        All of them on the whole book: a gain of one house stands against another's loss of the same scenario and
        day.
    """

    houses: tuple[CloseOut, ...]
    together: CloseOut

    @property
    def apart_transient(self) -> float:
        """Sum of the houses' own transient losses, at least 0 each: no house has another's gain."""
        return float(sum(house.margin for house in self.houses))

    @property
    def apart_terminal(self) -> float:
        """Sum of the houses' own terminal losses, at least 0 each."""
        return float(sum(max(house.terminal, 0.0) for house in self.houses))


def uncoordinated_close_out(
    problem: CloseOutProblem, houses: Sequence[Bool[np.ndarray, " positions"]]
) -> Uncoordinated:
    """Let each house keep its own worst loss lowest.

    Parameters
    ----------
    problem : CloseOutProblem
        The whole book. Its collateral counts for the whole only.
    houses : sequence of ndarray of bool, shape (positions,)
        Positions of each house; every position is one house's.
    """
    assert np.all(np.sum(np.stack([*houses]), axis=0) == 1), "every position is one house's"
    return put_together(problem, [optimal_close_out(problem.only(mine)) for mine in houses])


def put_together(problem: CloseOutProblem, ways: Sequence[CloseOut]) -> Uncoordinated:
    """Put the houses' own ways of closing out together.

    Parameters
    ----------
    problem : CloseOutProblem
        The whole book.
    ways : sequence of CloseOut
        Of each house, with 0 of what it does not hold; see ``CloseOutProblem.only``. Two houses may trade the
        same hedging instrument.
    """
    held = np.zeros((problem.quantities.size, problem.days + 1))
    for way in ways:
        held += way.held
    status = "; ".join(sorted({way.status for way in ways}))
    together = CloseOut(held=held, losses=problem.losses(held), status=status)
    return Uncoordinated(houses=tuple(ways), together=together)
