"""From a market folder to scenarios, a cube and margins, in timed stages."""

from __future__ import annotations

import time
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl

    from crossmargin.formats.scenario_settings import EngineSettings
    from crossmargin.models.expected_shortfall.margin import EsMargins
    from crossmargin.models.market import Market
    from crossmargin.models.revaluation.cube import ScenarioCube
    from crossmargin.models.revaluation.pricing import SeriesPricer
    from crossmargin.models.scenarios.scenario_set import ScenarioSet
    from crossmargin.reports.engine import Stage

__all__ = [
    "CUBE",
    "SCENARIOS",
    "Grouping",
    "Method",
    "Run",
    "built",
    "chosen_settings",
    "cube_of",
    "cube_size",
    "keep",
    "last_day",
    "load_market",
    "margins_by",
    "no_findings",
    "rows_read",
    "set_size",
]

Method = Literal["fhs", "historical", "stress", "blend"]
Grouping = Literal["account", "owner", "participant"]
SCENARIOS, CUBE = "scenarios.set", "cube"


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
    return f"{rows:,} instruments × {columns:,} columns, {cube.pnl.dtype}", cube.pnl.nbytes


def no_findings() -> pl.DataFrame:
    """Return an empty table of findings."""
    import polars as pl  # noqa: PLC0415

    from crossmargin.models.scenarios.findings import FINDING_SCHEMA  # noqa: PLC0415

    return pl.DataFrame(schema=FINDING_SCHEMA)


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
    market: Market, method: Method, path: Path | None, stress_factor: str | None
) -> EngineSettings:
    """Return the settings of a file, or those of the method."""
    from crossmargin.formats.scenario_settings import engine_settings, read_engine_settings  # noqa: PLC0415

    factor = stress_factor or _index_factor(market)
    return read_engine_settings(path, method, factor) if path else engine_settings(method, factor)


def _index_factor(market: Market) -> str:
    """Return the spot of the index with most prices; without an index, of the underlying with most."""
    import polars as pl  # noqa: PLC0415

    counts = market["prices"].group_by("underlying").len("prices")
    priced = market["underlyings"].join(counts, on="underlying")
    order = [pl.col("kind") == "index", pl.col("prices"), pl.col("underlying")]
    ranked = priced.sort(order, descending=[True, True, False])["underlying"]
    return f"spot:{ranked[0]}" if len(ranked) else "spot:none"


def built(
    run: Run, market: Market, day: date, settings: EngineSettings, out: Path | None
) -> tuple[pl.DataFrame, ScenarioSet, ScenarioCube]:
    """Return findings, scenario set and cube, timed; a stored cube of the same key is opened instead of made."""
    from crossmargin.models.revaluation.cube import cube_key, make_cube  # noqa: PLC0415
    from crossmargin.models.revaluation.snapshot import make_snapshot  # noqa: PLC0415
    from crossmargin.models.scenarios.build import scenarios_from_histories  # noqa: PLC0415
    from crossmargin.models.scenarios.histories import make_histories  # noqa: PLC0415
    from crossmargin.store.cubes import open_cube, stored_key  # noqa: PLC0415

    rules, revaluation = settings.scenarios, settings.revaluation
    histories = run.stage(
        "check histories",
        lambda: make_histories(market, day, rules.rules),
        lambda made: (f"{made.days.size:,} days × {len(made.factors):,} factors", made.returns.nbytes),
    )
    scenarios = run.stage("make scenarios", lambda: scenarios_from_histories(histories, rules), set_size)
    snapshot = run.stage(
        "take marks",
        lambda: make_snapshot(market, day, stale_days=revaluation.stale_days),
        lambda made: (f"{len(made.instruments):,} instruments", int(made.instruments.estimated_size())),
    )
    known = out is not None and stored_key(out / CUBE) == cube_key(snapshot, scenarios, revaluation)
    if known:
        assert out is not None
        cube = run.stage("open cube, unchanged", lambda: open_cube(out / CUBE), cube_size)
    else:
        cube = run.stage("revalue", lambda: make_cube(snapshot, scenarios, revaluation), cube_size)
    return histories.findings, scenarios, cube


def keep(run: Run, scenarios: ScenarioSet, cube: ScenarioCube, out: Path) -> None:
    """Write scenario set and cube into a folder; a cube that is there already is left as it is."""
    from crossmargin.formats.scenario_files import write_scenarios  # noqa: PLC0415
    from crossmargin.store.cubes import stored_key, write_cube  # noqa: PLC0415

    out.mkdir(parents=True, exist_ok=True)
    run.stage(
        "write scenarios",
        lambda: write_scenarios(scenarios, out / SCENARIOS),
        lambda _: (SCENARIOS, (out / SCENARIOS).stat().st_size),
    )
    if stored_key(out / CUBE) != cube.key:
        run.stage(
            "write cube",
            lambda: write_cube(cube, out / CUBE),
            lambda _: (CUBE, sum(file.stat().st_size for file in (out / CUBE).iterdir())),
        )


def cube_of(
    path: Path,
    as_of: date | None,
    stored: Path | None,
    method: Method,
    settings: Path | None,
    stress_factor: str | None,
) -> tuple[Market, ScenarioCube, SeriesPricer]:
    """Return market, cube and what prices new series: from a stored cube, or made anew.

    Raises
    ------
    InputError
        If the stored cube was made from other marks, or is of another day than asked for.
    """
    from crossmargin.models.revaluation.pricing import SeriesPricer  # noqa: PLC0415
    from crossmargin.models.revaluation.snapshot import make_snapshot  # noqa: PLC0415

    market = load_market(path)
    if stored is None:
        chosen = chosen_settings(market, method, settings, stress_factor)
        _, scenarios, cube = built(Run(), market, as_of or last_day(market), chosen, None)
    else:
        scenarios, cube = _stored(stored, as_of)
    snapshot = make_snapshot(market, cube.as_of, stale_days=cube.settings.stale_days)
    if dict(cube.input_hashes)["market"] != snapshot.content_hash:
        rule = f"a cube made from the marks of {market.name} on {cube.as_of}; build it again"
        raise InputError(
            [BadRecord(file=str(stored), line=0, field="market", value="other marks", rule=rule)]
        )
    return market, cube, SeriesPricer(snapshot, scenarios, cube.settings)


def _stored(folder: Path, as_of: date | None) -> tuple[ScenarioSet, ScenarioCube]:
    from crossmargin.formats.scenario_files import read_scenarios  # noqa: PLC0415
    from crossmargin.store.cubes import open_cube  # noqa: PLC0415

    scenarios, cube = read_scenarios(folder / SCENARIOS), open_cube(folder / CUBE)
    if dict(cube.input_hashes)["scenarios"] != scenarios.content_hash:
        rule = "the scenarios that the cube beside it was made from"
        raise InputError(
            [BadRecord(file=str(folder / SCENARIOS), line=0, field="", value="another set", rule=rule)]
        )
    if as_of not in {None, cube.as_of}:
        rule = f"{cube.as_of}, the day of the cube"
        raise InputError([BadRecord(file="--as-of", line=0, field="", value=str(as_of), rule=rule)])
    return scenarios, cube


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
