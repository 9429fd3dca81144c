"""Stress scenarios from TOML files, and the library that ships with the package.

====================  ====================================================================================
``[sectors.NAME]``    code = "company", the companies of a sector; for the targets of this file's rows
``[[scenario]]``      ``name``, ``family``, ``source``, ``rationale``, ``confidence``, and either ``moves``,
                      or ``day``, or ``extremes``
``moves``             an array of rows ``{ targets = ["spot:index:*"], move = -0.20 }``, with one of ``move``,
                      ``beta``, ``basket`` and ``worst``; see ``MoveRow``
``day``               the day of a historical scenario; ``index_move``, what the main index did on it, guards it
``extremes``          ``{ direction = "fall", count = 5 }``: that many worst days of the main index
====================  ====================================================================================
"""

from __future__ import annotations

from datetime import date  # noqa: TC003  (pydantic reads the annotation)
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.toml_files import read_toml, shown
from crossmargin.programmes.stress.library import (
    HOW,
    IndexExtremes,
    MoveRow,
    StressScenario,
    require_scenarios,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["LIBRARY_FILES", "read_stress_scenarios", "stress_library", "stress_scenarios_of_table"]

LIBRARY_FILES: Final = ("historical", "hypothetical", "themes")
"""Files of the library, in the order of its scenarios."""

SHOWN: Final = 60
HEADER: Final = "[[scenario]]"
SIZES_RULE: Final = f"one of {', '.join(HOW)}"


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class _Row(_Strict):
    targets: list[str]
    move: float | None = None
    beta: float | None = None
    basket: float | None = None
    worst: float | None = None


class _Extremes(_Strict):
    direction: str
    count: int


class _Scenario(_Strict):
    name: str
    family: str
    source: str
    rationale: str
    confidence: str
    moves: list[_Row] = Field(default_factory=list)
    day: date | None = None
    index_move: float | None = None
    extremes: _Extremes | None = None


class _File(_Strict):
    sectors: dict[str, dict[str, str]] = Field(default_factory=dict)
    scenario: list[_Scenario]


def stress_library() -> tuple[StressScenario, ...]:
    """Return the scenarios that ship with the package, in the order of ``LIBRARY_FILES``."""
    folder = resources.files("crossmargin.parameters").joinpath("stress")
    with resources.as_file(folder) as path:
        return read_stress_scenarios([path / f"{name}.toml" for name in LIBRARY_FILES])


def read_stress_scenarios(paths: Sequence[str | Path]) -> tuple[StressScenario, ...]:
    """Read the scenarios of one file or several, in order.

    Raises
    ------
    InputError
        Listing everything that is wrong in any file, with the line where its scenario begins, and every name that
        stands twice.
    """
    found: list[StressScenario] = []
    bad: list[BadRecord] = []
    for path in paths:
        try:
            given, lines = read_toml(Path(path))
            found += stress_scenarios_of_table(given, str(path), lines)
        except InputError as error:
            bad += error.records
    if bad:
        raise InputError(bad)
    return require_scenarios(found)


def stress_scenarios_of_table(
    given: Mapping[str, Any], file: str = "scenarios", lines: Sequence[str] = ()
) -> tuple[StressScenario, ...]:
    """Return the scenarios of a file's content; see ``read_stress_scenarios``."""
    begins = [number for number, line in enumerate(lines, 1) if line.strip().startswith(HEADER)]
    try:
        checked = _File.model_validate(dict(given))
    except ValidationError as error:
        raise InputError(_refusals(error, file, begins)) from error
    except RecursionError as error:
        record = BadRecord(
            file=file, line=0, field="", value=shown(given)[:SHOWN], rule="fewer tables in tables"
        )
        raise InputError([record]) from error
    sectors = {name: tuple(companies) for name, companies in checked.sectors.items()}
    made: list[StressScenario] = []
    bad: list[BadRecord] = []
    for place, one in enumerate(checked.scenario):
        try:
            made.append(_scenario(one, sectors))
        except InputError as error:
            bad += [_placed(record, file, place, begins) for record in error.records]
    if bad:
        raise InputError(bad)
    return tuple(made)


def _scenario(one: _Scenario, sectors: Mapping[str, tuple[str, ...]]) -> StressScenario:
    """Return a scenario, or refuse all that is wrong with it at once."""
    bad = list(_bad_shape(one))
    made: StressScenario | None = None
    try:
        extremes = None if one.extremes is None else IndexExtremes(**one.extremes.model_dump())
        made = StressScenario(
            name=one.name,
            family=one.family,
            source=one.source,
            rationale=one.rationale,
            confidence=one.confidence,
            moves=tuple(_row(row) for row in one.moves),
            past=extremes if one.day is None else one.day,
            index_move=one.index_move,
            sectors=sectors,
        )
    except InputError as error:
        bad += error.records
    if bad or made is None:
        raise InputError(bad)
    return made


def _bad_shape(one: _Scenario) -> Iterator[BadRecord]:
    """Report rows without exactly one size, and both ways to name days at once."""
    for place, row in enumerate(one.moves):
        given = [how for how in HOW if getattr(row, how) is not None]
        if len(given) != 1:
            value = ", ".join(given) or "none"
            yield BadRecord(file="", line=0, field=f"moves.{place}", value=value, rule=SIZES_RULE)
    if one.day is not None and one.extremes is not None:
        yield BadRecord(file="", line=0, field="day", value=str(one.day), rule="a day or extremes, not both")


def _row(row: _Row) -> MoveRow:
    how, size = next(
        ((how, value) for how in HOW if (value := getattr(row, how)) is not None),
        ("move", 0.0),  # a row without a size is refused already
    )
    return MoveRow(targets=tuple(row.targets), how=how, size=float(size))


def _placed(record: BadRecord, file: str, place: int, begins: Sequence[int]) -> BadRecord:
    line = begins[place] if place < len(begins) else 0
    where = f"scenario.{place}.{record.field}"
    return BadRecord(file=file, line=line, field=where, value=record.value, rule=record.rule)


def _refusals(error: ValidationError, file: str, begins: Sequence[int]) -> Iterator[BadRecord]:
    for problem in error.errors(include_url=False):
        where = problem["loc"]
        place = where[1] if len(where) > 1 and where[0] == "scenario" else None
        line = begins[place] if isinstance(place, int) and place < len(begins) else 0
        yield BadRecord(
            file=file,
            line=line,
            field=".".join(map(shown, where)),
            value=shown(problem.get("input", ""))[:SHOWN],
            rule=problem["msg"],
        )
