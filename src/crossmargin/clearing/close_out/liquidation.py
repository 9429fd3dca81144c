"""Rules of thumb for closing out: as fast as the market takes it, with or without a hedge first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64

from crossmargin.clearing.close_out.problem import CloseOut, closed, held_after
from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from crossmargin.clearing.close_out.problem import CloseOutProblem, Held, Schedule

__all__ = ["hedged_liquidation", "plain_liquidation", "plain_schedule"]


def plain_schedule(problem: CloseOutProblem, first_day: int = 1) -> Schedule:
    """Return the units closed each day if each position is closed as fast as its caps allow.

    Parameters
    ----------
    problem : CloseOutProblem
        The positions.
    first_day : int
        Nothing is closed before this day, from 1.
    """
    caps = problem.caps.copy()
    caps[:, : first_day - 1] = 0.0
    size = np.abs(problem.quantities)[:, None]
    so_far = np.minimum(np.cumsum(caps, axis=1), size)
    return np.diff(so_far, axis=1, prepend=0.0)


def plain_liquidation(problem: CloseOutProblem) -> CloseOut:
    """Close every position as fast as its caps allow, whatever the others do."""
    return _evaluated(problem, held_after(problem, plain_schedule(problem)))


def hedged_liquidation(problem: CloseOutProblem, hedges: Bool[np.ndarray, " positions"]) -> CloseOut:
    """Hedge on the first day, then close as fast as the caps allow and take the hedge back with it.

    On the first day nothing but the hedging instruments is traded, up to their caps, to the quantities that
    leave the least variance of the book's gain over the first day's scenarios. From the second day on the other
    positions are closed, and after each day the hedge is set anew to what is left of them.

    Parameters
    ----------
    problem : CloseOutProblem
        The positions, and among them the hedging instruments, also those of which nothing is held.
    hedges : ndarray of bool, shape (positions,)
        Which are hedging instruments.

    Raises
    ------
    InputError
        If there is none.
    """
    if not hedges.any():
        rule = "at least one position"
        raise InputError([BadRecord(file="close-out", line=0, field="hedges", value="none", rule=rule)])
    held = held_after(problem, plain_schedule(problem, first_day=2))
    wanted = _hedge(problem, np.where(hedges[:, None], 0.0, held), hedges)
    held[hedges, 0] = problem.quantities[hedges]
    for day in range(problem.days):
        before, cap = held[hedges, day], problem.caps[hedges, day]
        held[hedges, day + 1] = np.clip(wanted[:, day + 1], before - cap, before + cap)
    return _evaluated(problem, held)


def _hedge(
    problem: CloseOutProblem, others: Held, hedges: Bool[np.ndarray, " positions"]
) -> Float64[np.ndarray, "hedges days+1"]:
    """Return the quantities that leave least variance of what is held of others; 0 of what does not move."""
    first = problem.gains[:, :, 0]
    moves = first - first.mean(axis=0)
    tools = moves[:, hedges]
    together = np.einsum("sh,sk->hk", tools, tools)
    against = np.einsum("sh,st->ht", tools, np.einsum("si,it->st", moves, others))
    return np.asarray(0.0 - np.linalg.lstsq(together, against, rcond=None)[0])


def _evaluated(problem: CloseOutProblem, held: Held) -> CloseOut:
    return CloseOut(held=held, losses=problem.losses(held), status=closed(held))
