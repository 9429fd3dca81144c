"""The schedule that keeps the worst loss during a close-out lowest.

Avellaneda and Cont, "Close-out risk evaluation (CORE): a new risk management approach for central counterparties",
SSRN 2247493, 2013: one schedule for all scenarios, chosen so that the largest loss over scenarios and days is
least. With u the units of position i closed on day t, what scenario s has lost up to day t is linear in u, so that
it is a linear program:

    minimise z  subject to  loss(s, t) ≤ z for all s and t,  0 ≤ u ≤ cap,  Σ_t u = what can be closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from crossmargin.clearing.close_out.linear_program import ACCURACY, CloseOutProgram
from crossmargin.clearing.close_out.liquidation import plain_schedule
from crossmargin.clearing.close_out.problem import CloseOut, closed, held_after

if TYPE_CHECKING:
    from crossmargin.clearing.close_out.problem import CloseOutProblem, Schedule

__all__ = ["OptimalCloseOut", "optimal_close_out"]

GAP: Final = 10 * ACCURACY


@dataclass(frozen=True, kw_only=True, eq=False)
class OptimalCloseOut(CloseOut):
    """A schedule with the least transient loss and, among those, the least terminal loss.

    Parameters
    ----------
    lower_bound : float
        No schedule has a transient loss below it: proven by multipliers, not the solver's word.
    rows : int
        How many of the scenarios × days rows the linear program needed.
    """

    lower_bound: float
    rows: int


def optimal_close_out(problem: CloseOutProblem) -> OptimalCloseOut:
    """Find the schedule with the least largest loss over all scenarios and days.

    What the caps do not let the house close stays open and is valued at the last day's price, less the cost of
    trading it. But for the solver's tolerance the schedule is no worse than plain liquidation.

    Parameters
    ----------
    problem : CloseOutProblem
        The positions.

    Returns
    -------
    OptimalCloseOut
        ``status`` is "optimal", or "optimal, left open" where the caps leave something. Where the solver gave up
        before the schedule met its bound within 2e-8 of the largest loss of plain liquidation it is "stopped".
    """
    start = plain_schedule(problem)
    plain = _followed(problem, start)
    scale = float(np.abs(plain.losses).max())
    if scale == 0.0 or not problem.closable.any():
        return _told(problem, plain, plain.transient, 0, scale)
    program = CloseOutProgram(problem, scale)
    schedule, lower_bound = program.least_transient(start)
    found = _followed(problem, schedule)
    if found.transient > plain.transient:
        schedule, found = start, plain
    final = _followed(problem, program.least_terminal(schedule, found.transient))
    if final.transient <= found.transient + GAP * scale and final.terminal < found.terminal:
        found = final
    return _told(problem, found, lower_bound, program.row_count, scale)


def _followed(problem: CloseOutProblem, schedule: Schedule) -> CloseOut:
    held = held_after(problem, schedule)
    return CloseOut(held=held, losses=problem.losses(held), status=closed(held))


def _told(
    problem: CloseOutProblem, found: CloseOut, lower_bound: float, rows: int, scale: float
) -> OptimalCloseOut:
    bound = min(lower_bound, found.transient)
    word = "optimal" if found.transient - bound <= 2 * GAP * scale else "stopped"
    left = ", left open" if problem.left.any() else ""
    return OptimalCloseOut(
        held=found.held, losses=found.losses, status=word + left, lower_bound=bound, rows=rows
    )
