"""Which past days become scenarios: the last ones, those of named periods, or the worst of a factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Int64

from crossmargin.core.columns import require_within
from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from datetime import date

    from crossmargin.models.scenarios.findings import Days
    from crossmargin.models.scenarios.histories import Histories

__all__ = ["LookBack", "Selection", "StressPeriods", "WorstDays", "compounded", "whole_windows"]

SCENARIO_RANGE: Final = {"scenarios": (1, 100_000)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LookBack:
    """The last days up to the as-of day.

    Parameters
    ----------
    scenarios : int
        How many; each is the last day of a window as long as the horizon.
    """

    scenarios: int = 1000

    def __post_init__(self) -> None:
        require_within(self, SCENARIO_RANGE)

    def last_days(self, histories: Histories, horizon_days: int) -> Int64[np.ndarray, " scenarios"]:
        """Return the rows of the histories on which the windows end, ascending.

        Raises
        ------
        InputError
            If there are too few days.
        """
        count = histories.days.size
        _require_days(count - horizon_days, self.scenarios, "LookBack")
        return np.arange(count - self.scenarios, count)


@dataclass(frozen=True, slots=True, kw_only=True)
class StressPeriods:
    """Every trading day of named periods; a day in two of them counts once.

    Parameters
    ----------
    periods : tuple of (str, date, date)
        Name, first day and last day.
    """

    periods: tuple[tuple[str, date, date], ...]

    def __post_init__(self) -> None:
        if bad := [
            _bad("StressPeriods", name, f"{first} to {last}", "a first day up to the last day")
            for name, first, last in self.periods
            if first > last
        ] or ([] if self.periods else [_bad("StressPeriods", "periods", "none", "at least one period")]):
            raise InputError(bad)

    def last_days(self, histories: Histories, horizon_days: int) -> Int64[np.ndarray, " scenarios"]:
        """Return the rows of the histories on which the windows end, ascending.

        Raises
        ------
        InputError
            Listing every period without a trading day, or with one that is too early for a window.
        """
        chosen = np.zeros(histories.days.size, np.bool_)
        bad = []
        for name, first, last in self.periods:
            inside = _between(histories.days, first, last)
            if not inside.any() or inside[:horizon_days].any():
                value, begins = f"{first} to {last}", histories.days[0]
                rule = f"trading days with a window of {horizon_days} before; histories begin {begins}"
                bad.append(_bad("StressPeriods", name, value, rule))
            chosen |= inside
        if bad:
            raise InputError(bad)
        return np.flatnonzero(chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstDays:
    """The days on which a factor moved most, up or down: a book may be long or short.

    Parameters
    ----------
    factor : str
        Code of the factor, for example ``spot:HSI``.
    scenarios : int
        How many; of equal moves the earlier ones.
    skip_days : int
        Days at the start of the histories that are not looked at, so that a volatility is known before.
    """

    factor: str
    scenarios: int = 1018
    skip_days: int = 250

    def __post_init__(self) -> None:
        require_within(self, {**SCENARIO_RANGE, "skip_days": (0, 100_000)})

    def last_days(self, histories: Histories, horizon_days: int) -> Int64[np.ndarray, " scenarios"]:
        """Return the rows of the histories on which the windows end, ascending.

        Raises
        ------
        InputError
            If the factor is not among the histories, or has too few days.
        """
        column = histories.columns.get(self.factor)
        if column is None:
            raise InputError([_bad("WorstDays", "factor", self.factor, "a risk factor of the histories")])
        one = slice(column, column + 1)
        moves = np.abs(compounded(histories.returns[:, one], horizon_days, histories.multiplies[one]))[:, 0]
        usable = whole_windows(histories, column, horizon_days)
        usable[: self.skip_days] = False
        _require_days(int(usable.sum()), self.scenarios, "WorstDays")
        moves[~usable] = -1.0
        order = np.argsort(-moves, kind="stable")
        return np.sort(order[: self.scenarios])


Selection: TypeAlias = LookBack | StressPeriods | WorstDays
"""A way to choose days."""


def compounded(
    returns: Float64[np.ndarray, "days factors"],
    horizon_days: int,
    multiplies: Float64[np.ndarray, " factors"],
) -> Float64[np.ndarray, "days factors"]:
    """Return the move over the window that ends each day; of the first days, over what there is.

    Moves a and b make a + b + m × a × b: with m = 0 log returns and differences add up, with m = 1 simple
    returns multiply. Every window is added in the same order.
    """
    total = returns.copy()
    for lag in range(1, horizon_days):
        later, earlier = total[lag:], returns[:-lag]
        total[lag:] = later + earlier + multiplies * later * earlier
    return total


def whole_windows(histories: Histories, column: int, horizon_days: int) -> Bool[np.ndarray, " days"]:
    """Return which days end a window of valid returns of one factor."""
    valid = histories.valid[:, column]
    counted = np.concatenate([[0], np.cumsum(valid)])
    whole = np.zeros(valid.size, np.bool_)
    whole[horizon_days - 1 :] = counted[horizon_days:] - counted[:-horizon_days] == horizon_days
    return whole


def _between(days: Days, first: date, last: date) -> Bool[np.ndarray, " days"]:
    return (days >= np.datetime64(first, "D")) & (days <= np.datetime64(last, "D"))


def _require_days(count: int, needed: int, name: str) -> None:
    if count < needed:
        rule = f"at most the {max(count, 0):,} windows that the histories have"
        raise InputError([_bad(name, "scenarios", f"{needed:,}", rule)])


def _bad(name: str, field: str, value: str, rule: str) -> BadRecord:
    return BadRecord(file=name, line=0, field=field, value=value, rule=rule)
