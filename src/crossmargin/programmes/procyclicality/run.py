"""Margins of houses, of a programme and of what it saves over time, with each anti-procyclical tool."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from crossmargin.core.columns import require_within
from crossmargin.core.rounding import to_minor
from crossmargin.models.market import HOUSES
from crossmargin.programmes.backtest.history import backtest_places, first_day
from crossmargin.programmes.backtest.processes import in_processes
from crossmargin.programmes.evaluate import evaluation, provenance_of
from crossmargin.programmes.frames import money
from crossmargin.programmes.opening import open_houses, reopen
from crossmargin.programmes.procyclicality.measured import impulse_frame, measures_frame
from crossmargin.programmes.procyclicality.result import ProcyclicalityResult
from crossmargin.programmes.procyclicality.tools import (
    BUFFER,
    FLOOR,
    FLOOR_DAYS,
    NONE,
    STRESS,
    TOOLS,
    Jump,
    jumped,
    with_tool,
)
from crossmargin.validation.anti_procyclicality import BufferRule, buffered, buffered_against

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from jaxtyping import Float64, Int64

    from crossmargin.models.scenarios.histories import Histories
    from crossmargin.programmes.backtest.history import BacktestInputs

__all__ = ["SERIES", "ProcyclicalitySettings", "run_procyclicality"]

METHOD: Final = "procyclicality of margins before and after a programme of cross-margining"
SERIES: Final = (*HOUSES, "silo", "joint", "saving")
YEAR_DAYS: Final = 250
CENTS: Final = 100
JOINT: Final = len(HOUSES)
"""Column of the programme's margin behind those of the houses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcyclicalitySettings:
    """Which days are looked at.

    Parameters
    ----------
    first, last : date, optional
        From the first day on which the scenarios can be made, to the last.
    every : int
        Trading days from one day to the next.
    jump : Jump
        Of volatility after the last day.
    """

    first: date | None = None
    last: date | None = None
    every: int = 5
    jump: Jump = Jump()  # noqa: RUF009  (frozen)

    def __post_init__(self) -> None:
        require_within(self, {"every": (1, 250)})


def run_procyclicality(
    inputs: BacktestInputs,
    settings: ProcyclicalitySettings | None = None,
    *,
    jobs: int = 1,
    note: Callable[[str], None] = lambda _: None,
) -> ProcyclicalityResult:
    """Margin today's positions on past days with each tool, and measure how margins move.

    Margins are market risk: of the houses alone, of the programme, and their difference. Positions and marks stay, so
    that only the scenarios move.

    Parameters
    ----------
    inputs : BacktestInputs
        Market, day, programme and houses' settings.
    settings : ProcyclicalitySettings, optional
        The defaults unless given.
    jobs : int
        Processes that share the work; the result is the same for any number.
    note : callable
        Told the name of each stage as it begins.

    Raises
    ------
    InputError
        If no day is left, or as ``open_houses`` and ``evaluate`` say.
    """
    settings, inputs = settings or ProcyclicalitySettings(), inputs.with_scenarios()
    note("histories")
    histories = inputs.histories()
    places = _places(histories, inputs, settings)
    days = tuple(histories.days[places].tolist())
    tools = [tool for tool in TOOLS if tool != BUFFER]
    note(f"margins of {len(days)} days with {len(TOOLS)} tools")
    chunks = np.array_split(places, max(1, min(jobs, places.size)))
    tasks = [(_with(inputs, tool), settings, chunk) for tool in tools for chunk in chunks]
    found = in_processes(_margins, tasks, jobs)
    margins = {
        tool: np.concatenate(found[at * len(chunks) : (at + 1) * len(chunks)])
        for at, tool in enumerate(tools)
    }
    note("jump of volatility")
    after = dict(
        zip(
            tools, in_processes(_after_jump, [(_with(inputs, t), settings) for t in tools], jobs), strict=True
        )
    )
    return _measured(inputs, settings, days, margins, after)


def _places(
    histories: Histories, inputs: BacktestInputs, settings: ProcyclicalitySettings
) -> Int64[np.ndarray, " days"]:
    first = settings.first or first_day(histories, inputs)
    return backtest_places(histories, first, settings.last or inputs.as_of, settings.every, 0)


def _with(inputs: BacktestInputs, tool: str) -> BacktestInputs:
    assert inputs.settings.scenarios is not None, "set by with_scenarios"
    scenarios = with_tool(inputs.settings.scenarios, tool)
    return replace(inputs, settings=replace(inputs.settings, scenarios=scenarios))


def _margins(
    task: tuple[BacktestInputs, ProcyclicalitySettings, Int64[np.ndarray, " days"]],
) -> Int64[np.ndarray, "days houses+1"]:
    """Return market risk on some days: of each house alone and of the programme, hundredths."""
    inputs, _, places = task
    histories = inputs.histories()
    known = (histories.until(histories.days[place].item()) for place in places.tolist())
    return _over(inputs, [replace(one, as_of=inputs.as_of) for one in known])


def _after_jump(task: tuple[BacktestInputs, ProcyclicalitySettings]) -> Int64[np.ndarray, "days+1 houses+1"]:
    """Return the same on the last day, and on days after volatility jumped."""
    inputs, settings = task
    histories = inputs.histories()
    return _over(
        inputs, [histories, *(jumped(histories, settings.jump, day + 1) for day in settings.jump.days)]
    )


def _over(inputs: BacktestInputs, known: list[Histories]) -> Int64[np.ndarray, "days houses+1"]:
    today = open_houses(inputs.market, inputs.as_of, inputs.settings)
    rows = np.zeros((len(known), JOINT + 1), np.int64)
    for row, histories in enumerate(known):
        done = evaluation(inputs.programme, reopen(today, histories))
        rows[row, :JOINT] = done.houses.today.market_risk.sum(axis=0)
        rows[row, JOINT] = done.calls.market_risk.sum()
    return rows


def _measured(
    inputs: BacktestInputs,
    settings: ProcyclicalitySettings,
    days: tuple[date, ...],
    margins: dict[str, Int64[np.ndarray, "days houses+1"]],
    after: dict[str, Int64[np.ndarray, "days+1 houses+1"]],
) -> ProcyclicalityResult:
    rule = BufferRule(reference_dates=max(1, YEAR_DAYS // settings.every))
    by_tool = {tool: rows / CENTS for tool, rows in margins.items()}
    paths = {tool: rows / CENTS for tool, rows in after.items()}
    by_tool[BUFFER] = buffered(by_tool[NONE], rule)
    # the jump comes after a calm year: its reference is the margin on the day before, whatever days were looked at
    paths[BUFFER] = buffered_against(paths[NONE], paths[NONE][:1], rule.buffer)
    series = {tool: _series(by_tool[tool]) for tool in TOOLS}
    houses = open_houses(inputs.market, inputs.as_of, inputs.settings)
    told = provenance_of(inputs.programme, houses, METHOD)
    chosen = (("procyclicality.every", str(settings.every)), ("procyclicality.jump", repr(settings.jump)))
    return ProcyclicalityResult(
        programme=inputs.programme.name,
        market=inputs.market.name,
        days=days,
        every=settings.every,
        currency=inputs.market.currency,
        history=_history(days, series),
        measures=measures_frame(series, days, SERIES, settings.every),
        impulse=impulse_frame({tool: _series(paths[tool]) for tool in TOOLS}, SERIES, settings.jump.days),
        findings=pl.concat([_findings(inputs, days), houses.findings]),
        provenance=replace(told, settings=(*told.settings, *chosen)),
    )


def _findings(inputs: BacktestInputs, days: tuple[date, ...]) -> pl.DataFrame:
    """Say where a tool does not do what its name says."""
    histories = inputs.histories()
    floor = int(np.searchsorted(histories.days, np.datetime64(days[0], "D"), side="right"))
    said = [
        (
            STRESS,
            "HKCC, SEOCH",
            "PRiME takes its ranges from the first part: the weight changes nothing there",
        )
    ]
    if floor < FLOOR_DAYS:
        said.append(
            (FLOOR, "histories", f"on {days[0]} over {floor} of {FLOOR_DAYS} days, the longest there were")
        )
    schema = {"subject": pl.String, "kind": pl.String, "action": pl.String}
    return pl.DataFrame(said, schema=schema, orient="row")


def _series(margins: Float64[np.ndarray, "days houses+1"]) -> Float64[np.ndarray, "days series"]:
    """Return the columns of ``SERIES``: houses, their sum, the programme's margin, and what it saves."""
    silo = margins[:, :JOINT].sum(axis=1)
    joint = margins[:, JOINT]
    return np.column_stack([margins[:, :JOINT], silo, joint, silo - joint])


def _history(days: tuple[date, ...], by_tool: dict[str, Float64[np.ndarray, "days series"]]) -> pl.DataFrame:
    """Return a row a tool, series and day."""
    return pl.concat(
        pl.DataFrame(
            {
                "date": pl.Series(days, dtype=pl.Date),
                "tool": pl.Series([tool] * len(days), dtype=pl.String),
                "series": pl.Series([name] * len(days), dtype=pl.String),
                "margin": money(to_minor(np.ascontiguousarray(margins[:, column]), 2)),
            }
        )
        for tool, margins in by_tool.items()
        for column, name in enumerate(SERIES)
    )
