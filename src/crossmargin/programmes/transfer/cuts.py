"""The requirement of both pots as a linear program that grows by what is found out about the long pot.

An expected shortfall is the largest of the mean losses over all sets of so many scenarios, each linear in
the contracts moved. Only the sets that turn out worst somewhere are put in, one row each; the program stays
below the requirement, and meets it where its solution's own worst sets are among the rows (Kelley's cutting
planes). Variables: contracts of each future, scan loss of each combined commodity, expected shortfall of each
part, requirement of the long pot.

The solver works to absolute tolerances of 1e-6, so that amounts are in units of a hundredth of what is asked
for without a transfer; in smaller ones its own checks fail now and then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jaxtyping import Float64, Int64

if TYPE_CHECKING:
    from crossmargin.programmes.transfer.problem import TransferProblem

__all__ = ["ACCURACY", "CuttingPlanes"]

UNITS: Final = 1e2
ACCURACY: Final = 3e-8
"""Of what is asked for without a transfer: how near to the least the solver comes at a gap of 0."""
NODES: Final = 10_000
"""After so many the solver stops with what it has: a count, since a time would not be the same on every run."""
FAILED: Final = 4
"""Status of a program on which the solver broke down, which it may not do after presolve, and the other way."""


class CuttingPlanes:
    """What is known so far, and what follows from it.

    Parameters
    ----------
    problem : TransferProblem
        With at least one future.
    asked : float
        What both pots ask for without a transfer, above 0.
    """

    def __init__(self, problem: TransferProblem, asked: float) -> None:
        self.problem = problem
        self.unit = asked / UNITS
        self.futures = problem.quantities.size
        moving = np.unique(problem.commodity)
        self.commodities, self.parts = moving.size, problem.measure.weights.size
        self.size = self.futures + self.commodities + self.parts + 1
        whole = problem.scanned(np.zeros(self.futures))
        fixed = np.delete(whole, moving, axis=0).max(axis=1, initial=0.0)
        self.fixed = float(fixed.sum()) / self.unit
        self._rows: list[Float64[np.ndarray, " variables"]] = []
        self._limits: list[float] = []
        self._owners: list[int] = []
        self._known: set[tuple[int, bytes]] = set()
        for place, commodity in enumerate(moving.tolist()):
            self._add_scan(place, commodity, whole[commodity])
        weighted = np.concatenate([np.zeros(self.size - self.parts - 1), problem.measure.weights, [0.0]])
        self._add(weighted, 0.0, self.size - 1)

    def _add(self, row: Float64[np.ndarray, " variables"], limit: float, owner: int) -> None:
        """Add that row × variables is at most the limit, which bounds the variable ``owner`` from below."""
        row[owner] = -1.0
        self._rows.append(row)
        self._limits.append(limit)
        self._owners.append(owner)

    def _add_scan(self, place: int, commodity: int, losses: Float64[np.ndarray, " 16"]) -> None:
        """Add that a combined commodity asks for no less than each of its losses."""
        mine = self.problem.commodity == commodity
        for scenario, loss in enumerate(losses.tolist()):
            row = np.zeros(self.size)
            row[: self.futures] = np.where(mine, -self.problem.lost[:, scenario], 0.0) / self.unit
            self._add(row, -loss / self.unit, self.futures + place)

    def learn(self, taken: Float64[np.ndarray, " futures"]) -> bool:
        """Add the scenarios that are worst with so many contracts moved; tell whether any set is new."""
        problem, new = self.problem, False
        for part, tail in enumerate(problem.measure.tails(problem.results(taken))):
            key = (part, tail.tobytes())
            if key in self._known:
                continue
            self._known.add(key)
            row = np.zeros(self.size)
            row[: self.futures] = -problem.gained[:, tail].mean(axis=1) / self.unit
            owner = self.futures + self.commodities + part
            self._add(row, float(problem.base[tail].mean()) / self.unit, owner)
            new = True
        return new

    @property
    def _cost(self) -> Float64[np.ndarray, " variables"]:
        cost = np.zeros(self.size)
        cost[self.futures : self.futures + self.commodities] = cost[-1] = 1.0
        return cost

    def _bounds(self) -> tuple[Float64[np.ndarray, " variables"], Float64[np.ndarray, " variables"]]:
        lowest, highest = np.zeros(self.size), np.full(self.size, np.inf)
        lowest[self.futures + self.commodities : -1] = -np.inf
        highest[: self.futures] = self.problem.contracts
        return lowest, highest

    def relaxed(self) -> tuple[Float64[np.ndarray, " futures"], float]:
        """Return the best fractions of contracts as far as is known, and a bound below all transfers.

        The bound is not the solver's objective but what follows from its multipliers, so that it holds
        whatever the solver's tolerance.
        """
        # SciPy loads slowly, and few accounts need it.
        from scipy.optimize import linprog  # type: ignore[import-untyped]  # noqa: PLC0415

        rows, limits = np.array(self._rows), np.array(self._limits)
        bounds = np.stack(self._bounds(), axis=1)
        found = linprog(self._cost, A_ub=rows, b_ub=limits, bounds=bounds, method="highs")
        assert found.status == 0, found.message
        return found.x[: self.futures], self._proven(rows, limits, -found.ineqlin.marginals)

    def _proven(
        self,
        rows: Float64[np.ndarray, "rows variables"],
        limits: Float64[np.ndarray, " rows"],
        multipliers: Float64[np.ndarray, " rows"],
    ) -> float:
        """Return the least, over all contracts that may move, of the rows weighted by multipliers.

        Multipliers of the scan of a commodity may add up to 1 at most, and those of a part have to add up to
        its weight times that of the long pot, itself at most 1: what rounding broke of that is set right
        first. The row of the long pot is then in those of its parts.
        """
        multipliers = np.maximum(multipliers, 0.0)
        owners = np.array(self._owners)
        sums = np.bincount(owners, multipliers, minlength=self.size)
        tails = sums[self.futures + self.commodities : -1]
        long = min(float(sums[-1]), 1.0) if np.all(tails > 0) else 0.0
        allowed = np.minimum(sums, 1.0)
        allowed[self.futures + self.commodities :] = [*(long * self.problem.measure.weights), 0.0]
        factors = np.divide(allowed, sums, out=np.zeros(self.size), where=sums > 0)
        scaled = multipliers * factors[owners]
        slopes = scaled @ rows[:, : self.futures]
        least = np.minimum(slopes, 0.0) @ self.problem.contracts
        return float(least - scaled @ limits + self.fixed) * self.unit

    def whole(self, gap: float) -> tuple[Int64[np.ndarray, " futures"], float] | None:
        """Return the best whole contracts as far as is known, and the solver's bound below all transfers.

        None where the solver gave up.
        """
        found = self._solve(self._cost, self._rows, self._limits, gap)
        if found.x is None:
            return None
        bound = (found.mip_dual_bound + self.fixed) * self.unit
        return np.rint(found.x[: self.futures]).astype(np.int64), bound

    def fewest(self, ceiling: float) -> Int64[np.ndarray, " futures"] | None:
        """Return the fewest contracts that, as far as is known, ask for no more than the ceiling.

        Of equally many those whose futures' places add up to the least. None where the solver finds none.
        """
        contracts = self.problem.contracts
        cost = np.zeros(self.size)
        cost[: self.futures] = 1.0 + np.arange(self.futures) / (self.futures * (contracts.sum() + 1.0))
        rows = [*self._rows, self._cost]
        limits = [*self._limits, ceiling / self.unit - self.fixed]
        found = self._solve(cost, rows, limits, 0.0)
        return None if found.x is None else np.rint(found.x[: self.futures]).astype(np.int64)

    def _solve(
        self,
        cost: Float64[np.ndarray, " variables"],
        rows: list[Float64[np.ndarray, " variables"]],
        limits: list[float],
        gap: float,
    ) -> Any:
        from scipy.optimize import Bounds, LinearConstraint, milp  # noqa: PLC0415 - see relaxed

        whole = np.zeros(self.size)
        whole[: self.futures] = 1
        constraint = LinearConstraint(np.array(rows), ub=np.array(limits))
        bounds = Bounds(*self._bounds())
        options = {"mip_rel_gap": gap, "node_limit": NODES, "presolve": False}  # with it more of them fail
        found = milp(cost, integrality=whole, bounds=bounds, constraints=constraint, options=options)
        if found.status == FAILED:
            options["presolve"] = True
            found = milp(cost, integrality=whole, bounds=bounds, constraints=constraint, options=options)
        return found
