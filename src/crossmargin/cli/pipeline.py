"""From a market folder to scenarios, a cube and margins, in timed stages."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from crossmargin.cli.places import CUBE, SCENARIOS
from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl

    from crossmargin.formats.scenario_settings import EngineSettings
    from crossmargin.models.expected_shortfall.margin import EsMargins
    from crossmargin.models.market import Market
    from crossmargin.models.revaluation.cube import ScenarioCube
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.scenarios.build import ScenarioSettings
    from crossmargin.models.scenarios.scenario_set import ScenarioSet
    from crossmargin.reports.engine import Stage

__all__ = [
    "Built",
    "Grouping",
    "Method",
    "Run",
    "built",
    "chosen_settings",
    "cube_size",
    "keep",
    "last_day",
    "load_market",
    "margins_by",
    "rows_read",
    "scenarios_of",
    "set_size",
]

Method = Literal["fhs", "historical", "stress", "blend"]
Grouping = Literal["account", "owner", "participant"]


@dataclass(frozen=True, slots=True)
class Built:
    """What was made from a market; ``findings`` are those of the histories, ``stored`` says of the cube."""

    findings: pl.DataFrame
    snapshot: Snapshot
    scenarios: ScenarioSet
    cube: ScenarioCube
    stored: bool


class Run:
    """Stages of a run, timed as they go."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []

    def stage(self, name: str, make: Callable[[], Any], describe: Callable[[Any], tuple[str, int]]) -> Any:
        """Make something and note how long it took, what it is and how many bytes it has."""
        from crossmargin.reports.engine import Stage  # noqa: PLC0415

        began = time.perf_counter()
        made = make()
        spent = time.perf_counter() - began
        words, byte_count = describe(made)
        self.stages.append(Stage(name, words, spent, byte_count))
        return made


def load_market(path: Path) -> Market:
    """Read a market folder."""
    from crossmargin.formats.market.folder_reader import read_market  # noqa: PLC0415

    return read_market(path)


def rows_read(market: Market) -> tuple[str, int]:
    """Say how much was read."""
    rows = sum(len(table) for table in market.tables.values())
    return f"{rows:,} rows in {len(market.tables)} tables", sum(
        int(table.estimated_size()) for table in market.tables.values()
    )


def set_size(scenarios: ScenarioSet) -> tuple[str, int]:
    """Say how large a scenario set is."""
    proxied = sum(factor.proxied for factor in scenarios.factors)
    made = f"{scenarios.size:,} scenarios × {len(scenarios.factors):,} factors, {proxied:,} of them proxied"
    return made, scenarios.moves.nbytes


def cube_size(cube: ScenarioCube) -> tuple[str, int]:
    """Say how large a cube is."""
    rows, columns = cube.pnl.shape
    scales = 0 if cube.scales is None else cube.scales.nbytes
    return f"{rows:,} instruments × {columns:,} columns, {cube.pnl.dtype}", cube.pnl.nbytes + scales


def last_day(market: Market) -> date:
    """Return the last day with a price."""
    days = market["prices"]["date"]
    if not len(days):
        rule = "at least one price"
        raise InputError([BadRecord(file="market", line=0, field="prices", value="none", rule=rule)])
    last = days.max()
    assert isinstance(last, date)
    return last


def chosen_settings(
    market: Market, day: date, method: Method, path: Path | None, stress_factor: str | None
) -> EngineSettings:
    """Return the settings of a file, or those of the method, for scenarios from a day.

    Raises
    ------
    InputError
        If the file is bad, or a stress factor is given that the settings have no use for.
    """
    from crossmargin.formats.scenario_settings import engine_settings, read_engine_settings  # noqa: PLC0415
    from crossmargin.models.scenarios.index_factor import index_factor  # noqa: PLC0415

    factor = stress_factor or index_factor(market, day)
    chosen = read_engine_settings(path, method, factor) if path else engine_settings(method, factor)
    used = {getattr(part.selection, "factor", None) for part in chosen.scenarios.parts}
    if stress_factor is not None and stress_factor not in used:
        rule = "a method with stressed days, and settings that name neither periods nor another factor"
        raise InputError(
            [BadRecord(file="--stress-factor", line=0, field="", value=stress_factor, rule=rule)]
        )
    return chosen


def scenarios_of(
    run: Run, market: Market, day: date, rules: ScenarioSettings
) -> tuple[pl.DataFrame, ScenarioSet]:
    """Return the findings of the histories and the scenarios, timed."""
    from crossmargin.models.scenarios.build import scenarios_from_histories  # noqa: PLC0415
    from crossmargin.models.scenarios.histories import make_histories  # noqa: PLC0415

    histories = run.stage(
        "check histories",
        lambda: make_histories(market, day, rules.rules),
        lambda made: (f"{made.days.size:,} days × {len(made.factors):,} factors", made.returns.nbytes),
    )
    scenarios = run.stage("make scenarios", lambda: scenarios_from_histories(histories, rules), set_size)
    return histories.findings, scenarios


def built(run: Run, market: Market, day: date, settings: EngineSettings, out: Path | None) -> Built:
    """Make findings, marks, scenarios and cube, timed; a whole cube of the same key in ``out`` is opened."""
    from crossmargin.models.revaluation.cube import cube_key, make_cube  # noqa: PLC0415
    from crossmargin.models.revaluation.snapshot import make_snapshot  # noqa: PLC0415

    revaluation = settings.revaluation
    findings, scenarios = scenarios_of(run, market, day, settings.scenarios)
    snapshot = run.stage(
        "take marks",
        lambda: make_snapshot(market, day, stale_days=revaluation.stale_days),
        lambda made: (f"{len(made.instruments):,} instruments", int(made.instruments.estimated_size())),
    )
    key = cube_key(snapshot, scenarios, revaluation)
    stored = None if out is None else _stored_cube(run, out / CUBE, key)
    cube = stored or run.stage("revalue", lambda: make_cube(snapshot, scenarios, revaluation), cube_size)
    return Built(findings, snapshot, scenarios, cube, stored=stored is not None)


def _stored_cube(run: Run, folder: Path, key: str) -> ScenarioCube | None:
    """Return the stored cube of a key, None where there is none or it is not what was written."""
    from crossmargin.store.cubes import open_cube, stored_key  # noqa: PLC0415

    def opened() -> ScenarioCube | None:
        try:
            return open_cube(folder, verify=True)
        except (InputError, OSError):
            return None

    if stored_key(folder) != key:
        return None
    cube: ScenarioCube | None = run.stage(
        "verify stored cube",
        opened,
        lambda found: ("damaged: is made anew", 0) if found is None else cube_size(found),
    )
    return cube


def keep(run: Run, made: Built, out: Path) -> None:
    """Write scenario set and cube into a folder; a cube that was opened there is left as it is."""
    from crossmargin.formats.scenario_files import write_scenarios  # noqa: PLC0415
    from crossmargin.store.cubes import write_cube  # noqa: PLC0415

    out.mkdir(parents=True, exist_ok=True)
    run.stage(
        "write scenarios",
        lambda: write_scenarios(made.scenarios, out / SCENARIOS),
        lambda _: (SCENARIOS, (out / SCENARIOS).stat().st_size),
    )
    if not made.stored:
        run.stage(
            "write cube",
            lambda: write_cube(made.cube, out / CUBE),
            lambda _: (CUBE, sum(file.stat().st_size for file in (out / CUBE).iterdir())),
        )


def margins_by(market: Market, cube: ScenarioCube, by: Grouping) -> EsMargins:
    """Margin the positions of each account, owner or participant together."""
    import polars as pl  # noqa: PLC0415

    from crossmargin.models.expected_shortfall.margin import es_margins  # noqa: PLC0415

    positions = market.positions_on(cube.as_of)
    if by != "account":
        groups = market["accounts"].select("account", pl.col(by).alias("group"))
        positions = positions.join(groups, on="account", how="left", maintain_order="left")
        positions = positions.drop("account").rename({"group": "account"})
    if not len(positions):
        rule = f"at least one position on {cube.as_of}"
        raise InputError([BadRecord(file="market", line=0, field="positions", value="none", rule=rule)])
    return es_margins(positions, cube)
