"""Scenarios as they were known on each of many past days, made from one walk over the histories.

A day's set is that of ``scenarios_from_histories(histories.until(day, refit=False), settings)``, number for number. What does
not change from day to day is made once: volatilities (the one known before a day rests on the days before it
alone), unscaled moves of every past window, the ranking of the worst days (those known on a day keep their order
among all). A day then costs a scaling of its own scenarios, and no pass over the histories.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.ewma import ewma_variances
from crossmargin.kernels.rolling_moves import scaled_moves
from crossmargin.models.scenarios.build import (
    method_of,
    notes_of,
    require_kept,
    scenario_parts,
    window_rows,
)
from crossmargin.models.scenarios.filtered import long_run_variances
from crossmargin.models.scenarios.scenario_set import ScenarioSet
from crossmargin.models.scenarios.selection import LookBack, WorstDays, compounded, whole_windows

if TYPE_CHECKING:
    from datetime import date

    from crossmargin.models.scenarios.build import ScenarioSettings
    from crossmargin.models.scenarios.filtered import FilteredHistorical
    from crossmargin.models.scenarios.histories import Histories
    from crossmargin.models.scenarios.part_rules import PartRules
    from crossmargin.models.scenarios.scenario_set import ScenarioPart

__all__ = ["KnownScenarios", "RealisedMoves", "RollingScenarios"]

Ends = Int64[np.ndarray, " scenarios"]


class RealisedMoves(NamedTuple):
    """What happened after each of some days.

    Parameters
    ----------
    moves : ndarray of float64, shape (days, factors)
        Move of each factor of the histories, in the units of ``RiskFactor``; 0 where it is not valid.
    valid : ndarray of bool, shape (days, factors)
        Where every return of the window may be used and lies within the histories.
    """

    moves: Float64[np.ndarray, "days factors"]
    valid: Bool[np.ndarray, "days factors"]


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownScenarios:
    """Which past windows are the scenarios of a day, and of which factors.

    Parameters
    ----------
    place : int
        Row of the day in the histories.
    ends : tuple of ndarray of int64
        Of each part: rows on which its windows end, ascending, none after ``place``.
    kept : ndarray of bool, shape (factors,)
        Factors of the histories that have every move.
    parts : tuple of ScenarioPart
        Sizes, tails and weights on that day.
    """

    place: int
    ends: tuple[Ends, ...]
    kept: Bool[np.ndarray, " factors"]
    parts: tuple[ScenarioPart, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class RollingScenarios:
    """Scenario sets of past days; nothing after a day can reach its set.

    Parameters
    ----------
    histories : Histories
        Of all days. Judgements in them that look back are named in ``Histories.until``.
    settings : ScenarioSettings
        How each day's set is made.

    Raises
    ------
    InputError
        If there is no part.
    """

    histories: Histories
    settings: ScenarioSettings

    def __post_init__(self) -> None:
        if not self.settings.parts:
            raise _refused("scenarios", "parts", "none", "at least one part")

    @cached_property
    def rules(self) -> tuple[PartRules, ...]:
        """The parts, with floor and stressed part."""
        return self.settings.anti_procyclical.applied(self.settings.parts)

    def place_of(self, day: date) -> int:
        """Return the row of the last trading day up to a day; ``InputError`` before the first one."""
        return int(self.histories.until(day, refit=False).days.size) - 1

    @cached_property
    def first_place(self) -> int:
        """Row of the first day with scenarios; a day that has enough history is followed by days that have.

        Raises
        ------
        InputError
            If not even the last day has scenarios.
        """
        last = self.histories.days.size - 1
        self.known(last)
        return bisect_left(range(last), True, key=self._has_scenarios)

    def _has_scenarios(self, place: int) -> bool:
        try:
            self.known(place)
        except InputError:
            return False
        return True

    def known(self, place: int) -> KnownScenarios:
        """Return the windows that are the scenarios of the day at a row of the histories.

        Raises
        ------
        InputError
            If the day has too few days before it for a part, or no factor with every move, or a factor without
            one where settings refuse that.
        """
        ends = tuple(self._ends(rules, place) for rules in self.rules)
        kept = np.logical_and.reduce(
            [self._long_enough(rules, rows) for rules, rows in zip(self.rules, ends, strict=True)]
        )
        require_kept(self.histories, kept, self.settings)
        parts = scenario_parts(self.rules, [rows.size for rows in ends])
        return KnownScenarios(place=place, ends=ends, kept=kept, parts=parts)

    def on(self, place: int) -> ScenarioSet:
        """Return the scenario set of the day at a row of the histories.

        That of ``scenarios_from_histories(histories.until(day, refit=False), settings)``, moves to the last bit, but for
        ``input_hash``: it names the same days, returns and where they hold, by a chain of sums that goes on from
        day to day.

        Raises
        ------
        InputError
            As ``known``; and if a scaled move loses more than everything.
        """
        known, histories = self.known(place), self.histories
        moves = np.empty((len(histories.factors), known.parts[-1].stop))
        for number, part in enumerate(known.parts):
            self.put_moves(known, number, moves[:, part.start : part.stop])
        view = histories.until(histories.days[place].item(), refit=False)
        ends = np.concatenate(known.ends)
        used = window_rows(ends, self.settings.window_days)
        proxied = histories.proxied[used].any(axis=0)
        return ScenarioSet(
            as_of=view.as_of,
            horizon_days=self.settings.horizon_days,
            factors=tuple(
                replace(factor, proxied=bool(proxied[column]))
                for column, factor in enumerate(histories.factors)
                if known.kept[column]
            ),
            moves=np.ascontiguousarray(moves[known.kept].T),
            labels=tuple(self._labels[ends].tolist()),
            parts=known.parts,
            method=method_of(self.rules),
            settings=(*self.settings.described(), *notes_of(view, known.kept, self.rules)),
            input_hash=self._input_hash(place),
        )

    def put_moves(
        self, known: KnownScenarios, number: int, moves: Float64[np.ndarray, "factors scenarios"]
    ) -> None:
        """Fill the moves of one part of a day; those of factors that are not kept mean nothing."""
        filtering, ends = self.rules[number].filtering, known.ends[number]
        if filtering is None:
            moves[...] = self.plain_moves[:, ends]
            return
        scaled_moves(
            self._returns,
            self._variances(filtering),
            self._last_variance(filtering, known.place),
            self.histories.multiplies,
            ends,
            self.settings.window_days,
            filtering.ratio_min,
            filtering.ratio_max,
            moves,
        )
        self._finished(moves)

    @cached_property
    def plain_moves(self) -> Float64[np.ndarray, "factors days"]:
        """The move over the window that ends each day, not scaled: the same whenever it is looked back at."""
        histories = self.histories
        total = compounded(histories.returns, self.settings.window_days, histories.multiplies)
        return self._finished(np.ascontiguousarray(total.T))

    def realised(self, places: Int64[np.ndarray, " days"], horizon_days: int) -> RealisedMoves:
        """Return the moves that happened over the trading days after each of some days.

        Parameters
        ----------
        places : ndarray of int64, shape (days,)
            Rows of the histories.
        horizon_days : int
            The move is that of so many days after the day, compounded.
        """
        histories = self.histories
        total = compounded(histories.returns, horizon_days, histories.multiplies)
        ends = places + horizon_days
        within = ends < histories.days.size
        ends = np.where(within, ends, 0)
        valid = within[:, None] & (
            self._valid_before[ends + 1] - self._valid_before[places + 1] == horizon_days
        )
        moves = np.where(valid, self._simple(total[ends].T).T, 0.0)
        return RealisedMoves(moves=moves, valid=valid)

    def _finished(self, moves: Float64[np.ndarray, "factors n"]) -> Float64[np.ndarray, "factors n"]:
        """Turn compounded returns into moves over the horizon, in place."""
        if self.settings.horizon_method == "square root":
            moves *= np.sqrt(self.settings.horizon_days)
        return self._simple(moves)

    def _simple(self, moves: Float64[np.ndarray, "factors n"]) -> Float64[np.ndarray, "factors n"]:
        """Turn log moves of prices into simple ones, in place."""
        if self.histories.rules.returns == "log":
            for column in self._price_columns:
                np.expm1(moves[column], out=moves[column])
        return moves

    @cached_property
    def _price_columns(self) -> list[int]:
        return [column for column, factor in enumerate(self.histories.factors) if factor.kind != "rate"]

    def _ends(self, rules: PartRules, place: int) -> Ends:
        """Return what ``last_days`` of the selection returns for the histories up to a day."""
        selection, window = rules.selection, self.settings.window_days
        if isinstance(selection, LookBack) and place + 1 - window >= selection.scenarios:
            return np.arange(place + 1 - selection.scenarios, place + 1)
        if isinstance(selection, WorstDays) and selection.factor in self.histories.columns:
            ranked = self._ranked(selection)
            worst = ranked[ranked <= place][: selection.scenarios]
            if worst.size == selection.scenarios:
                return np.sort(worst)
        return selection.last_days(
            self.histories.until(self.histories.days[place].item(), refit=False), window
        )

    def _ranked(self, selection: WorstDays) -> Ends:
        """Return the days that a selection may choose from, the largest move first, of equal ones the earlier."""
        if selection not in self._rankings:
            histories, window = self.histories, self.settings.window_days
            column = histories.columns[selection.factor]
            one = slice(column, column + 1)
            moves = np.abs(compounded(histories.returns[:, one], window, histories.multiplies[one]))[:, 0]
            usable = whole_windows(histories, column, window)
            usable[: selection.skip_days] = False
            order = np.argsort(-moves, kind="stable")
            self._rankings[selection] = order[usable[order]]
        return self._rankings[selection]

    def _long_enough(self, rules: PartRules, ends: Ends) -> Bool[np.ndarray, " factors"]:
        """Return which factors have every return that a part needs, and enough that count before."""
        window = self.settings.window_days
        first, after = int(ends[0]) - window + 1, int(ends[-1]) + 1
        if after - first == ends.size + window - 1:  # no gap between the windows
            complete = self._valid_before[after] - self._valid_before[first] == after - first
        else:
            valid = self.histories.valid
            complete = np.logical_and.reduce([valid[ends - lag].all(axis=0) for lag in range(window)])
        if rules.filtering:
            complete &= self._counted_before[first] >= rules.filtering.warm_up_days
        return complete

    def _variances(self, filtering: FilteredHistorical) -> Float64[np.ndarray, "factors days+1"]:
        """Return the volatilities known before each day.

        The start of a factor's is the mean square of its first returns; a factor that has fewer of them on a day
        is not kept on that day.
        """
        key = (filtering.decay, filtering.warm_up_days)
        if key not in self._known_variances:
            variances = ewma_variances(self.histories.returns, self.histories.counted, *key)
            self._known_variances[key] = np.ascontiguousarray(variances.T)
        return self._known_variances[key]

    def _last_variance(self, filtering: FilteredHistorical, place: int) -> Float64[np.ndarray, " factors"]:
        last = np.ascontiguousarray(self._variances(filtering)[:, place + 1])
        if not filtering.floor_days:
            return last
        view = self.histories.until(self.histories.days[place].item(), refit=False)
        return np.maximum(last, long_run_variances(view, filtering.floor_days))

    @cached_property
    def _returns(self) -> Float64[np.ndarray, "factors days"]:
        return np.ascontiguousarray(self.histories.returns.T)

    @cached_property
    def _valid_before(self) -> Int64[np.ndarray, "days+1 factors"]:
        return _counts(self.histories.valid)

    @cached_property
    def _counted_before(self) -> Int64[np.ndarray, "days+1 factors"]:
        return _counts(self.histories.counted)

    @cached_property
    def _rankings(self) -> dict[WorstDays, Ends]:
        return {}

    @cached_property
    def _known_variances(self) -> dict[tuple[float, int], Float64[np.ndarray, "factors days+1"]]:
        return {}

    @cached_property
    def _labels(self) -> np.ndarray:
        return np.datetime_as_string(self.histories.days).astype(object)

    @cached_property
    def _day_hashes(self) -> list[bytes]:
        """SHA-256 of each day's date, returns, where they hold and where they are stale, and the hash before."""
        histories = self.histories
        columns = (histories.days, histories.returns, histories.valid, histories.stale)
        chain, last = [], hashlib.sha256(repr((histories.factors, histories.rules)).encode()).digest()
        for row in zip(*columns, strict=True):
            last = hashlib.sha256(b"".join((last, *(value.tobytes() for value in row)))).digest()
            chain.append(last)
        return chain

    def _input_hash(self, place: int) -> str:
        return self._day_hashes[place].hex()


def _counts(flags: Bool[np.ndarray, "days factors"]) -> Int64[np.ndarray, "days+1 factors"]:
    """Return how many flags stand before each day."""
    counts = np.zeros((flags.shape[0] + 1, flags.shape[1]), np.int64)
    np.cumsum(flags, axis=0, out=counts[1:])
    return counts


def _refused(file: str, field: str, value: str, rule: str) -> InputError:
    return InputError([BadRecord(file=file, line=0, field=field, value=value, rule=rule)])
