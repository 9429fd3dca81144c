"""Where the cube of a command comes from: a folder in which it was stored, or a market anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crossmargin.cli.pipeline import (
    Method,
    Run,
    built,
    chosen_settings,
    cube_size,
    last_day,
    load_market,
    set_size,
)
from crossmargin.cli.places import CUBE, SCENARIOS
from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from crossmargin.models.market import Market
    from crossmargin.models.revaluation.cube import ScenarioCube
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.scenarios.scenario_set import ScenarioSet

__all__ = ["CubeSource", "open_stored"]


@dataclass(frozen=True, slots=True)
class CubeSource:
    """Where a cube comes from: a market and, if it was stored, a folder; else what makes it anew."""

    market: Path
    as_of: date | None
    cube: Path | None
    method: Method | None
    settings: Path | None
    stress_factor: str | None

    def open(self) -> tuple[Market, Snapshot, ScenarioSet, ScenarioCube]:
        """Return market, marks, scenarios and cube: from a stored cube, every row of it verified, or made anew.

        Raises
        ------
        InputError
            If the stored cube is not what was written, was made from other marks or by another version, is of another day than asked
            for, or comes with settings to make one anew.
        """
        from crossmargin.models.revaluation.snapshot import make_snapshot  # noqa: PLC0415

        if self.cube is not None:
            self._require_no_settings()
        market = load_market(self.market)
        if self.cube is None:
            day = self.as_of or last_day(market)
            chosen = chosen_settings(market, day, self.method or "blend", self.settings, self.stress_factor)
            made = built(Run(), market, day, chosen, None)
            return market, made.snapshot, made.scenarios, made.cube
        scenarios, cube = open_stored(Run(), self.cube, verify=True)
        if self.as_of not in {None, cube.as_of}:
            rule = f"{cube.as_of}, the day of the cube"
            raise InputError([BadRecord(file="--as-of", line=0, field="", value=str(self.as_of), rule=rule)])
        snapshot = make_snapshot(market, cube.as_of, stale_days=cube.settings.stale_days)
        self._require_same(snapshot, scenarios, cube, market.name)
        return market, snapshot, scenarios, cube

    def _require_same(
        self, snapshot: Snapshot, scenarios: ScenarioSet, cube: ScenarioCube, name: str
    ) -> None:
        from crossmargin.models.revaluation.cube import cube_key  # noqa: PLC0415

        value = ""
        if dict(cube.input_hashes).get("market") != snapshot.content_hash:
            value, rule = "other marks", f"a cube made from the marks of {name} on {cube.as_of}"
        elif cube.key != cube_key(snapshot, scenarios, cube.settings):
            value, rule = "another key", "a cube made by this version with the settings that it names"
        if value:
            rule += "; build it again"
            raise InputError([BadRecord(file=str(self.cube), line=0, field="", value=value, rule=rule)])

    def _require_no_settings(self) -> None:
        given = {
            "--method": self.method,
            "--settings": self.settings,
            "--stress-factor": self.stress_factor,
        }
        rule = "nothing beside --cube, which has its own"
        if bad := [
            BadRecord(file=flag, line=0, field="", value=str(value), rule=rule)
            for flag, value in given.items()
            if value is not None
        ]:
            raise InputError(bad)


def open_stored(run: Run, folder: Path, *, verify: bool = False) -> tuple[ScenarioSet, ScenarioCube]:
    """Open the scenarios and the cube of a folder; refuse those that do not belong together."""
    from crossmargin.formats.scenario_files import read_scenarios  # noqa: PLC0415
    from crossmargin.store.cubes import open_cube  # noqa: PLC0415

    scenarios = run.stage("read scenarios", lambda: read_scenarios(folder / SCENARIOS), set_size)
    name = "open and verify cube" if verify else "open cube"
    cube = run.stage(name, lambda: open_cube(folder / CUBE, verify=verify), cube_size)
    ours = (scenarios.content_hash, scenarios.parts, scenarios.labels, scenarios.settings)
    if (dict(cube.input_hashes).get("scenarios"), cube.parts, cube.labels, cube.scenario_settings) != ours:
        rule = "the scenarios that the cube beside it was made from"
        raise InputError(
            [BadRecord(file=str(folder / SCENARIOS), line=0, field="", value="another set", rule=rule)]
        )
    return scenarios, cube
