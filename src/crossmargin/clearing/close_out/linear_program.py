"""The close-out problem as a linear program that grows by the rows that its own solution breaks.

Variables: the part of each position that is closed on each day, the largest loss over days (transient) and after
the last day (terminal). Each scenario and day bounds the first from below by a row, each scenario the second. The
rows are many and few of them bind: the program starts with a few, and takes in those that are broken until none
is. A solution that breaks no row is one of the whole program.

The solver works to absolute tolerances, so that amounts are in units of a hundredth of what plain liquidation may
lose, and positions in parts of the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jaxtyping import Float64, Int64

from crossmargin.clearing.close_out.problem import held_after

if TYPE_CHECKING:
    from crossmargin.clearing.close_out.problem import CloseOutProblem, Schedule

__all__ = ["ACCURACY", "CloseOutProgram"]

UNITS: Final = 1e2
ACCURACY: Final = 1e-9
"""Of the largest loss of plain liquidation: a row that is broken by less is not taken in."""
TOLERANCE: Final = ACCURACY * UNITS
SOLVER_TOLERANCE: Final = 1e-9
"""Absolute, in units of the program: legs of a hedged book are many times its loss, and so are their errors."""
ROWS_A_DAY: Final = 20
"""Broken rows of one day that are taken in at a time, the most broken first."""
ROUNDS: Final = 500
NEGLIGIBLE: Final = 1e-9
"""A smaller part of a position is none: that is the solver's rounding."""

TRANSIENT: Final = 0
TERMINAL: Final = 1
"""The two losses that rows bound from below, in the order of their variables."""
SOLVED: Final = 0

Losses = Float64[np.ndarray, "scenarios days"]


class CloseOutProgram:
    """What is known so far.

    Parameters
    ----------
    problem : CloseOutProblem
        Some of it can be closed.
    scale : float
        Largest loss of plain liquidation in size, above 0.
    """

    def __init__(self, problem: CloseOutProblem, scale: float) -> None:
        self.problem, self.unit = problem, scale / UNITS
        self.at = np.flatnonzero(problem.closable)
        sizes = np.abs(problem.quantities[self.at])
        self.sizes, self.signs = sizes, np.sign(problem.quantities[self.at])
        self.totals = problem.closable[self.at] / sizes
        self.limits = np.minimum(problem.caps[self.at] / sizes[:, None], 1.0)
        self.fixed = self._fixed()
        self._known = np.zeros((2, *self.fixed.shape), bool)
        self._rows: list[Any] = []
        self._limits: list[Float64[np.ndarray, " rows"]] = []

    def _fixed(self) -> Losses:
        """Return the loss of each row if nothing is closed, with the cost of what cannot be."""
        problem = self.problem
        gained = np.einsum("sit,i->st", problem.gains, problem.quantities)
        paid = np.zeros(problem.days)
        paid[-1] = np.einsum("i,i->", problem.costs, problem.left)
        return np.asarray((paid - gained - problem.collateral) / self.unit)

    @property
    def row_count(self) -> int:
        """How many rows are known."""
        return int(self._known.sum())

    def least_transient(self, start: Schedule) -> tuple[Schedule, float]:
        """Return a schedule with the least largest loss over scenarios and days, and what none is below.

        Parameters
        ----------
        start : ndarray of float64, shape (positions, days)
            Units closed each day by a schedule that the caps allow; its worst losses are the first rows. It is
            what is returned if the solver fails.
        """
        schedule, lower_bound = start, -np.inf
        self._learn(TRANSIENT, self._losses(start), -np.inf)
        for _ in range(ROUNDS):
            found = self._solved(TRANSIENT, np.inf)
            if found.status != SOLVED:
                break
            schedule = self._schedule(found.x)
            lower_bound = max(lower_bound, self._proven(-found.ineqlin.marginals))
            if not self._learn(TRANSIENT, self._losses(schedule), found.x[-2]):
                break
        return schedule, lower_bound * self.unit

    def least_terminal(self, start: Schedule, ceiling: float) -> Schedule:
        """Return a schedule with the least largest loss after the last day, of those that never lose more than a ceiling.

        Parameters
        ----------
        start : ndarray of float64, shape (positions, days)
            One that keeps to the ceiling; returned if the solver fails.
        ceiling : float
            Largest loss over scenarios and days, kept within the solver's tolerance.
        """
        schedule, highest = start, ceiling / self.unit + TOLERANCE
        self._learn(TERMINAL, self._losses(start), -np.inf)
        for _ in range(ROUNDS):
            found = self._solved(TERMINAL, highest)
            if found.status != SOLVED:
                return start
            schedule = self._schedule(found.x)
            losses = self._losses(schedule)
            broken = self._learn(TRANSIENT, losses, highest)
            if not (self._learn(TERMINAL, losses, found.x[-1]) or broken):
                break
        return schedule

    def _losses(self, schedule: Schedule) -> Losses:
        """Return what a schedule loses, in units of the program."""
        return self.problem.losses(held_after(self.problem, schedule)) / self.unit

    def _learn(self, owner: int, losses: Losses, level: float) -> bool:
        """Take in the rows that lose most above a level; tell whether there was any that was not known."""
        broken = (losses > level + TOLERANCE) & ~self._known[owner]
        if owner == TERMINAL:
            broken[:, :-1] = False
        ranked = np.argsort(np.where(broken, -losses, np.inf), axis=0, kind="stable")[:ROWS_A_DAY]
        chosen = np.zeros(broken.shape, bool)
        np.put_along_axis(chosen, ranked, values=True, axis=0)
        chosen &= broken
        self._known[owner] |= chosen
        scenarios, days = np.nonzero(chosen)
        if scenarios.size:
            self._add(owner, scenarios, days)
        return bool(scenarios.size)

    def _add(
        self, owner: int, scenarios: Int64[np.ndarray, " rows"], days: Int64[np.ndarray, " rows"]
    ) -> None:
        """Add that what a scenario loses up to a day is at most the owner's variable."""
        from scipy.sparse import csr_array  # type: ignore[import-untyped]  # noqa: PLC0415 - see _solved

        gains = self.problem.gains[scenarios][:, self.at]
        there = np.take_along_axis(gains, days[:, None, None], axis=2)
        day = np.arange(self.problem.days)
        given_up = np.where(day < days[:, None, None], there - gains, 0.0) * self.signs[:, None]
        paid = (day <= days[:, None, None]) * self.problem.costs[self.at][:, None]
        rows = (given_up + paid) * (self.sizes[:, None] / self.unit)
        owned = np.zeros((scenarios.size, 2))
        owned[:, owner] = -1.0
        self._rows.append(csr_array(np.hstack([rows.reshape(scenarios.size, -1), owned])))
        self._limits.append(-self.fixed[scenarios, days])

    def _matrix(self) -> Any:
        """Return the rows known so far, one after the other."""
        from scipy.sparse import vstack  # noqa: PLC0415 - see _solved

        return vstack(self._rows, format="csr")

    def _solved(self, owner: int, highest: float) -> Any:
        """Minimise one of the losses as far as is known, the transient one being at most ``highest``."""
        # SciPy loads slowly, and few commands need it.
        from scipy.optimize import linprog  # type: ignore[import-untyped]  # noqa: PLC0415
        from scipy.sparse import csr_array, hstack, kron  # noqa: PLC0415

        parts, days = self.limits.size, self.problem.days
        cost = np.zeros(parts + 2)
        cost[parts + owner] = 1.0
        unknown = (-np.inf, np.inf) if owner == TERMINAL else (0.0, 0.0)
        closing = np.stack([np.zeros(parts), self.limits.ravel()], axis=1)
        whole = kron(csr_array(np.eye(self.at.size)), np.ones((1, days)))
        return linprog(
            cost,
            A_ub=self._matrix(),
            b_ub=np.concatenate(self._limits),
            A_eq=hstack([whole, csr_array((self.at.size, 2))]),
            b_eq=self.totals,
            bounds=np.vstack([closing, [(-np.inf, highest), unknown]]),
            method="highs-ds",
            options=dict.fromkeys(
                ("primal_feasibility_tolerance", "dual_feasibility_tolerance"), SOLVER_TOLERANCE
            ),
        )

    def _schedule(self, found: Float64[np.ndarray, " variables"]) -> Schedule:
        """Return units closed each day: the solver's parts, within the caps and adding up to what can be closed."""
        parts = np.clip(found[:-2].reshape(self.limits.shape), 0.0, self.limits)
        parts[parts < NEGLIGIBLE] = 0.0
        parts *= (self.totals / parts.sum(axis=1))[:, None]
        schedule = np.zeros((self.problem.quantities.size, self.problem.days))
        schedule[self.at] = np.minimum(parts, self.limits) * self.sizes[:, None]
        return schedule

    def _proven(self, multipliers: Float64[np.ndarray, " rows"]) -> float:
        """Return the least, over all schedules, of the rows weighted by multipliers: no worst loss is below it.

        Multipliers that add up to 1 make a mean of rows, and the largest row is no less than a mean. The least of
        a mean closes each position on the days that cost it least, as far as the caps allow.
        """
        rows, limits = self._matrix(), np.concatenate(self._limits)
        weights = np.maximum(multipliers, 0.0)
        if not weights.any():
            return -np.inf
        weights = weights / weights.sum()
        slopes = (rows.T @ weights)[:-2].reshape(self.limits.shape)
        order = np.argsort(slopes, axis=1, kind="stable")
        caps = np.take_along_axis(self.limits, order, axis=1)
        filled = np.minimum(np.cumsum(caps, axis=1), self.totals[:, None])
        taken = np.diff(filled, axis=1, prepend=0.0)
        least = (np.take_along_axis(slopes, order, axis=1) * taken).sum()
        return float(least - (weights * limits).sum())
