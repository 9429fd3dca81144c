"""Settings of scenarios and revaluation from a TOML file, over the defaults of a method."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.settings_tables import settings_of_table
from crossmargin.formats.toml_files import read_toml, shown
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.scenarios.build import ScenarioSettings
from crossmargin.models.scenarios.filtered import FilteredHistorical
from crossmargin.models.scenarios.history_rules import HistoryRules, require_within
from crossmargin.models.scenarios.part_rules import AntiProcyclical, PartRules
from crossmargin.models.scenarios.selection import LookBack, StressPeriods, WorstDays

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from crossmargin.models.scenarios.selection import Selection

__all__ = ["METHODS", "EngineSettings", "engine_settings", "read_engine_settings"]

METHODS: Final = ("fhs", "historical", "stress", "blend")
"""Filtered historical, plain historical, stressed days, or filtered historical and stressed days blended."""

SECTIONS: Final = ("history", "filtering", "look_back", "stress", "parts", "anti_procyclical", "revaluation")
CONFIDENCE: Final = re.compile(r"0?\.(?=\d*[1-9])\d{1,10}")
CONFIDENCE_RULE: Final = 'a decimal text above 0 and below 1, of at most 10 digits: "0.994"'
TOP: Final = ("horizon_days", "horizon_method", "short_histories")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartChoices:
    """Confidence and weights of the parts.

    Parameters
    ----------
    confidence, stress_confidence : str
        Confidence levels as decimals, counted exactly.
    weight : float
        Share of the first part in a blend; stressed days have the rest.
    filter_stressed : bool
        Whether stressed returns are scaled to today's volatility too.
    """

    confidence: str = "0.994"
    stress_confidence: str = "0.98"
    weight: float = 0.75
    filter_stressed: bool = False

    def __post_init__(self) -> None:
        require_within(self, {"weight": (0.0, 1.0)})
        levels = {name: getattr(self, name) for name in ("confidence", "stress_confidence")}
        if bad := [
            BadRecord(file="parts", line=0, field=name, value=level, rule=CONFIDENCE_RULE)
            for name, level in levels.items()
            if not CONFIDENCE.fullmatch(level)
        ]:
            raise InputError(bad)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Settings of scenarios and of the revaluation."""

    scenarios: ScenarioSettings
    revaluation: RevaluationSettings


def read_engine_settings(path: str | Path, method: str, factor: str) -> EngineSettings:
    """Read a settings file (TOML); its tables and keys are those of ``engine_settings``' argument ``given``."""
    given, _ = read_toml(Path(path))
    return engine_settings(method, factor, given, str(path))


def engine_settings(
    method: str, factor: str, given: Mapping[str, Any] | None = None, file: str = "settings"
) -> EngineSettings:
    """Return the settings of a method, with what is given in place of its defaults.

    Parameters
    ----------
    method : {"fhs", "historical", "stress", "blend"}
        See ``METHODS``.
    factor : str
        Code of the risk factor whose worst days are stressed days, unless periods or a factor are given.
    given : mapping of str to table or value, optional
        Tables ``history``, ``filtering``, ``look_back``, ``stress``, ``parts``, ``anti_procyclical``,
        ``revaluation``, and the keys ``horizon_days``, ``horizon_method``, ``short_histories``.
    file : str
        What errors call it.

    Raises
    ------
    InputError
        Listing everything that is wrong in any table.
    """
    tables = dict(given or {})
    bad = list(_unknown(tables, file))
    if method not in METHODS:
        rule = f"one of {', '.join(METHODS)}"
        bad.append(BadRecord(file=file, line=0, field="method", value=method, rule=rule))
    reader = _Reader(tables, file, bad)
    history = reader.settings(HistoryRules, "history")
    filtering = reader.settings(FilteredHistorical, "filtering")
    look_back = reader.settings(LookBack, "look_back")
    choices = reader.settings(PartChoices, "parts")
    stressed = reader.stressed(factor)
    anti = reader.settings(AntiProcyclical, "anti_procyclical", without=("stressed",))
    revaluation = reader.settings(RevaluationSettings, "revaluation")
    top = reader.top()
    if bad:
        raise InputError(bad)
    assert stressed is not None
    parts = _parts(method, choices, look_back, stressed, filtering)
    scenarios = replace(top, parts=parts, rules=history, anti_procyclical=anti)
    return EngineSettings(scenarios=scenarios, revaluation=revaluation)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Tables of one file and what is wrong with them so far."""

    tables: Mapping[str, Any]
    file: str
    bad: list[BadRecord]

    def table(self, name: str) -> dict[str, Any]:
        found = self.tables.get(name, {})
        return dict(found) if isinstance(found, dict) else {}

    def collect(self, make: Callable[[], Any]) -> Any:
        """Return what is made, or None with the errors added to the list."""
        try:
            return make()
        except InputError as error:
            self.bad.extend(error.records)
            return None

    def settings(self, kind: type, name: str, *, without: tuple[str, ...] = ()) -> Any:
        return self.collect(
            lambda: settings_of_table(kind, self.table(name), self.file, name, without=without)
        )

    def top(self) -> Any:
        """Return the settings beside the tables; their parts are not made yet."""
        given = {key: self.tables[key] for key in TOP if key in self.tables}
        made = ("rules", "anti_procyclical")
        return self.collect(
            lambda: settings_of_table(ScenarioSettings, given, self.file, without=made, parts=())
        )

    def stressed(self, factor: str) -> Selection | None:
        """Return periods where they are given, else the worst days of a factor."""
        table = self.table("stress")
        if "periods" not in table:
            worst = {"factor": factor} | table
            found: Selection | None = self.collect(
                lambda: settings_of_table(WorstDays, worst, self.file, "stress")
            )
            return found
        for key in table.keys() - {"periods"}:
            self._refuse(f"stress.{key}", table[key], "periods, or the worst days of a factor; not both")
        if not _are_periods(table["periods"]):
            self._refuse("stress.periods", table["periods"], "an array of [name, first day, last day]")
            return None
        try:
            return StressPeriods(periods=tuple((name, first, last) for name, first, last in table["periods"]))
        except InputError as error:
            for record in error.records:
                self._refuse("stress.periods", record.value, record.rule)
            return None

    def _refuse(self, field: str, value: object, rule: str) -> None:
        self.bad.append(BadRecord(file=self.file, line=0, field=field, value=shown(value), rule=rule))


def _are_periods(value: object) -> bool:
    return (
        isinstance(value, list)
        and all(
            isinstance(row, list)
            and len(row) == 3  # noqa: PLR2004
            and isinstance(row[0], str)
            and all(isinstance(day, date) and not isinstance(day, datetime) for day in row[1:])
            for row in value
        )
    )


def _unknown(tables: Mapping[str, Any], file: str) -> Iterator[BadRecord]:
    for key, value in tables.items():
        if key not in {*SECTIONS, *TOP}:
            rule = f"one of {', '.join([*TOP, *SECTIONS])}"
            yield BadRecord(file=file, line=0, field=key, value=shown(value)[:60], rule=rule)
        elif key in SECTIONS and not isinstance(value, dict):
            yield BadRecord(file=file, line=0, field=key, value=shown(value), rule="a table")


def _parts(
    method: str,
    choices: PartChoices,
    look_back: LookBack,
    stressed: Selection,
    filtering: FilteredHistorical,
) -> tuple[PartRules, ...]:
    recent = PartRules(
        name="historical" if method == "historical" else "filtered historical",
        selection=look_back,
        confidence=choices.confidence,
        weight=choices.weight if method == "blend" else 1.0,
        filtering=None if method == "historical" else filtering,
    )
    stress = PartRules(
        name="stress",
        selection=stressed,
        confidence=choices.stress_confidence,
        weight=1.0 - choices.weight if method == "blend" else 1.0,
        filtering=filtering if choices.filter_stressed else None,
    )
    return {"stress": (stress,), "blend": (recent, stress)}.get(method, (recent,))
