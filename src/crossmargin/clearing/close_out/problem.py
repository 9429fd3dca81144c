"""A defaulter's positions that are to be closed out over some days, and what a way of doing it may lose.

On each day a house trades at that day's price as much as the market takes. What is closed has its gain or loss
for good; what is left is marked to market. Every scenario is a path of prices over the days; the house chooses
what to close on which day without knowing which scenario it is in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Float64

from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CloseOut", "CloseOutProblem", "close_out_problem", "closed", "held_after"]

ROUNDING: Final = 1e-12
"""Less of a position than that is left by the addition of parts only."""

TIE: Final = 1e-8
"""Of the largest amount: losses that near to each other are equal. Several bind at an optimum, and which of them the
solver's rounding leaves highest means nothing."""

Schedule = Float64[np.ndarray, "positions days"]
Held = Float64[np.ndarray, "positions days+1"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CloseOutProblem:
    """Positions, their possible prices, and how fast they can be closed; made by ``close_out_problem``.

    Parameters
    ----------
    quantities : ndarray of float64, shape (positions,)
        + long, − short.
    gains : ndarray of float64, shape (scenarios, positions, days)
        Gain of one long unit from the day of default to the close of each day, in one currency.
    caps : ndarray of float64, shape (positions, days)
        Units that can be traded on each day, at least 0, infinity for no limit; 0 before the first day on
        which a position can be closed.
    costs : ndarray of float64, shape (positions,)
        Paid for each unit traded, at least 0: half the spread between bid and ask.
    collateral : ndarray of float64, shape (scenarios, days)
        Value of what the defaulter left, to be set against losses.

    Raises
    ------
    InputError
        Naming every array with a number that is not finite (an infinite cap may stand), or a negative one among
        caps or costs.
    """

    quantities: Float64[np.ndarray, " positions"]
    gains: Float64[np.ndarray, "scenarios positions days"]
    caps: Schedule
    costs: Float64[np.ndarray, " positions"]
    collateral: Float64[np.ndarray, "scenarios days"]

    def __post_init__(self) -> None:
        scenarios, positions, days = self.gains.shape
        assert scenarios >= 1, self.gains.shape
        assert days >= 1, self.gains.shape
        assert self.quantities.shape == self.costs.shape == (positions,), self.quantities.shape
        assert self.caps.shape == (positions, days), self.caps.shape
        assert self.collateral.shape == (scenarios, days), self.collateral.shape
        if bad := [*self._broken()]:
            raise InputError(bad)

    def _broken(self) -> Iterator[BadRecord]:
        for name in ("quantities", "gains", "costs", "collateral", "caps"):
            values = getattr(self, name)
            good = ~np.isnan(values) if name == "caps" else np.isfinite(values)
            rule = "a number" if name == "caps" else "a finite number"
            if name in {"caps", "costs"}:
                good, rule = good & (values >= 0), f"{rule} of at least 0"
            for at in np.argwhere(~good)[:1]:
                place = f"{name}[{', '.join(map(str, at.tolist()))}]"
                value = str(values[tuple(at)])
                yield BadRecord(file="close-out", line=0, field=place, value=value, rule=rule)

    @property
    def days(self) -> int:
        """Days over which positions are closed."""
        return self.gains.shape[2]

    @cached_property
    def closable(self) -> Float64[np.ndarray, " positions"]:
        """Units of each position that the caps let the house close over all days."""
        return np.minimum(np.abs(self.quantities), self.caps.sum(axis=1))

    @cached_property
    def left(self) -> Float64[np.ndarray, " positions"]:
        """Units of each position that the caps do not let the house close."""
        return np.abs(self.quantities) - self.closable

    def only(self, positions: Bool[np.ndarray, " positions"]) -> CloseOutProblem:
        """Return the problem with nothing held of other positions than these, and without collateral."""
        held = np.where(positions, self.quantities, 0.0)
        return replace(self, quantities=held, collateral=np.zeros(self.collateral.shape))

    def losses(self, held: Held) -> Float64[np.ndarray, "scenarios days"]:
        """Return the loss up to the close of each day: what was realised, and what is left at that day's price.

        Prices are counted from those of the day of default: what is bought later costs the gain since, what is
        sold brings it. Each unit traded costs ``costs``, and what is left after the last day is charged that too,
        so that ways that leave different amounts can be compared. Gains are negative; caps are not looked at.

        Parameters
        ----------
        held : ndarray of float64, shape (positions, days + 1)
            Units held before the first day and after each, + long, − short.
        """
        bought = np.diff(held, axis=1)
        spent = np.cumsum(np.einsum("sit,it->st", self.gains, bought), axis=1)
        worth = np.einsum("sit,it->st", self.gains, held[:, 1:])
        traded = np.abs(bought)
        traded[:, -1] += np.abs(held[:, -1])
        paid = np.cumsum(np.einsum("it,i->t", traded, self.costs))
        return np.asarray(paid + spent - worth - self.collateral + 0.0)  # no negative zero


def close_out_problem(
    quantities: Float64[np.ndarray, " positions"],
    gains: Float64[np.ndarray, "scenarios positions days"],
    caps: Schedule,
    *,
    costs: Float64[np.ndarray, " positions"] | None = None,
    collateral: Float64[np.ndarray, "scenarios days"] | None = None,
) -> CloseOutProblem:
    """Make a problem; arguments as in ``CloseOutProblem``, no costs and no collateral unless given."""
    scenarios, positions, days = gains.shape
    return CloseOutProblem(
        quantities=quantities,
        gains=gains,
        caps=caps,
        costs=np.zeros(positions) if costs is None else costs,
        collateral=np.zeros((scenarios, days)) if collateral is None else collateral,
    )


def held_after(problem: CloseOutProblem, schedule: Schedule) -> Held:
    """Return what is held before the first day and after each, of units closed each day."""
    size = np.abs(problem.quantities)[:, None]
    left = np.hstack([size, size - np.cumsum(schedule, axis=1)])
    left[left < ROUNDING * size] = 0.0
    return np.sign(problem.quantities)[:, None] * left


@dataclass(frozen=True, kw_only=True, eq=False)
class CloseOut:
    """A way to close positions out, and what it may lose; losses are positive, gains negative.

    Parameters
    ----------
    held : ndarray of float64, shape (positions, days + 1)
        Units held before the first day and after each, + long, − short.
    losses : ndarray of float64, shape (scenarios, days)
        Loss up to each day after collateral, realised and marked to market.
    status : str
        "closed", or "left open" where the caps leave something; of a schedule that was optimised see ``optimal_close_out``.
    """

    held: Held
    losses: Float64[np.ndarray, "scenarios days"]
    status: str

    @property
    def transient(self) -> float:
        """Largest loss on any day: what the house must be able to pay before all is closed."""
        return float(self.losses.max())

    @property
    def terminal(self) -> float:
        """Largest loss after the last day: the credit loss."""
        return float(self.losses[:, -1].max())

    @property
    def margin(self) -> float:
        """What would have covered it: the transient loss, at least 0."""
        return max(self.transient, 0.0)

    @property
    def scenario(self) -> int:
        """Scenario of the transient loss, from 0; of equal ones the first, see ``TIE``."""
        return _first_worst(self.losses) // self.losses.shape[1]

    @property
    def day(self) -> int:
        """Day of the transient loss, from 1."""
        return _first_worst(self.losses) % self.losses.shape[1] + 1

    @property
    def terminal_scenario(self) -> int:
        """Scenario of the terminal loss, from 0; of equal ones the first."""
        return _first_worst(self.losses[:, -1:])

    @property
    def left(self) -> Float64[np.ndarray, " positions"]:
        """Units that are not closed after the last day, valued at its price."""
        return np.abs(self.held[:, -1])


def _first_worst(losses: Float64[np.ndarray, "scenarios days"]) -> int:
    """Return the place of the largest loss in row order."""
    return int(np.argmax(losses.ravel() >= losses.max() - TIE * np.abs(losses).max()))


def closed(held: Held) -> str:
    """Say whether everything is closed after the last day."""
    return "left open" if held[:, -1].any() else "closed"
