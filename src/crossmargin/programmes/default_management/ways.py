"""A defaulter's book, closed out in three ways, jointly and by each house for itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Bool

from crossmargin.clearing.close_out.coordination import put_together, uncoordinated_close_out
from crossmargin.clearing.close_out.liquidation import hedged_liquidation, plain_liquidation
from crossmargin.clearing.close_out.optimal import optimal_close_out

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crossmargin.clearing.close_out.coordination import Uncoordinated
    from crossmargin.clearing.close_out.problem import CloseOut, CloseOutProblem

__all__ = [
    "COORDINATIONS",
    "HEDGED",
    "OPTIMAL",
    "PLAIN",
    "DefaultCloseOut",
    "joint_ways",
    "ways_of_each_house",
]

PLAIN: Final = "plain liquidation"
HEDGED: Final = "hedge then liquidate"
OPTIMAL: Final = "optimal schedule"
COORDINATIONS: Final = ("joint", "each house", "each house, gains apart")
"""One way for the whole book; each house its own way, their losses and gains added together; each house its own
way, and no house has another's gain."""

Mask = Bool[np.ndarray, " positions"]


@dataclass(frozen=True, kw_only=True, eq=False)
class DefaultCloseOut:
    """A defaulter's book and what closing it out may lose.

    Parameters
    ----------
    name : str
        Of the defaulter.
    positions : DataFrame
        ``instrument``, ``house``, ``quantity`` (+ long, − short; 0 of hedging instruments that are not held); row
        i is position i of ``problem``.
    problem : CloseOutProblem
        In the market's currency, without collateral.
    labels : tuple of str
        Of each scenario: the last day of its historical window.
    without_scenarios : tuple of str
        Instruments that are held and left out, since they have no scenarios.
    joint : dict of str to CloseOut
        Each strategy on the whole book; without hedging instruments there is no strategy with a hedge.
    each_house : dict of str to Uncoordinated
        Each strategy by each house for itself.
    """

    name: str
    positions: pl.DataFrame
    problem: CloseOutProblem
    labels: tuple[str, ...]
    without_scenarios: tuple[str, ...]
    joint: dict[str, CloseOut]
    each_house: dict[str, Uncoordinated]

    def schedule(self, way: CloseOut) -> pl.DataFrame:
        """Return what a way trades: ``instrument``, ``house``, ``day`` (from 1), ``traded`` (+ bought, − sold)."""
        traded = np.diff(way.held, axis=1)
        position, day = np.nonzero(traded)
        return self.positions.select("instrument", "house")[position].with_columns(
            pl.Series("day", day + 1), pl.Series("traded", traded[position, day])
        )

    def rows(self) -> Iterator[tuple[str, str, str, int, float, float, str]]:
        """Yield defaulter, strategy, coordination, days, transient and terminal loss, status."""
        for strategy, way in self.joint.items():
            yield self._row(strategy, 0, way.transient, way.terminal, way.status)
            own = self.each_house[strategy]
            both, status = own.together, own.together.status
            yield self._row(strategy, 1, both.transient, both.terminal, status)
            yield self._row(strategy, 2, own.apart_transient, own.apart_terminal, status)

    def _row(
        self, strategy: str, coordination: int, transient: float, terminal: float, status: str
    ) -> tuple[str, str, str, int, float, float, str]:
        missing = len(self.without_scenarios)
        status += f"; {missing} positions without scenarios left out" if missing else ""
        named = self.name, strategy, COORDINATIONS[coordination]
        return *named, self.problem.days, transient, terminal, status


def joint_ways(problem: CloseOutProblem, hedges: Mask) -> dict[str, CloseOut]:
    """Return each strategy on the whole book; without a hedging instrument there is none with a hedge.

    Parameters
    ----------
    problem : CloseOutProblem
        The whole book.
    hedges : ndarray of bool, shape (positions,)
        Which positions are hedging instruments.
    """
    hedged = {HEDGED: hedged_liquidation(problem, hedges)} if hedges.any() else {}
    return {PLAIN: plain_liquidation(problem), **hedged, OPTIMAL: optimal_close_out(problem)}


def ways_of_each_house(
    problem: CloseOutProblem, hedges: Mask, houses: Sequence[Mask]
) -> dict[str, Uncoordinated]:
    """Return each strategy by each house for its own positions.

    Every house may trade the hedging instruments, each an equal part of what can be traded of them.

    Parameters
    ----------
    problem : CloseOutProblem
        The whole book.
    hedges : ndarray of bool, shape (positions,)
        Which positions are hedging instruments.
    houses : sequence of ndarray of bool, shape (positions,)
        Positions of each house; every position is one house's.
    """
    own = [problem.only(mine) for mine in houses]
    found = {PLAIN: put_together(problem, [plain_liquidation(each) for each in own])}
    if hedges.any():
        holding = [each for each in own if each.quantities.any()]
        shared = np.where(hedges[:, None], problem.caps / max(len(holding), 1), problem.caps)
        found[HEDGED] = put_together(
            problem, [hedged_liquidation(replace(each, caps=shared), hedges) for each in holding]
        )
    return {**found, OPTIMAL: uncoordinated_close_out(problem, houses)}
