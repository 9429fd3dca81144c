"""Paths of gains: each historical window, revalued after its first day, its first two days, and so on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from jaxtyping import Float, Float64, Int64

from crossmargin.models.revaluation.cube import make_cube
from crossmargin.models.scenarios.build import scenarios_from_histories
from crossmargin.models.scenarios.selection import StressPeriods

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.scenarios.build import ScenarioSettings
    from crossmargin.models.scenarios.histories import Histories
    from crossmargin.models.scenarios.part_rules import PartRules
    from crossmargin.models.scenarios.scenario_set import ScenarioSet
    from crossmargin.programmes.houses import Houses

__all__ = ["GainPaths", "gain_paths", "window_scenarios"]


@dataclass(frozen=True, kw_only=True, eq=False)
class GainPaths:
    """Gains of one long unit over the days after a default.

    Parameters
    ----------
    rows : ndarray of int64, shape (instruments,)
        Row of each instrument in ``Snapshot.instruments``, ascending; those without scenarios are left out.
    gains : ndarray of float32 or float64, shape (scenarios, instruments, days)
        From the marks of the day to the close of each day, in the market's currency.
    labels : tuple of str
        Of each scenario: the last day of its historical window.
    """

    rows: Int64[np.ndarray, " instruments"]
    gains: Float[np.ndarray, "scenarios instruments days"]
    labels: tuple[str, ...]

    def at(self, rows: Int64[np.ndarray, " wanted"]) -> Float64[np.ndarray, "scenarios wanted days"]:
        """Return the paths of some rows, all of which there are."""
        return np.ascontiguousarray(self.gains[:, np.searchsorted(self.rows, rows)], np.float64)


def window_scenarios(histories: Histories, settings: ScenarioSettings, days: int) -> Iterator[ScenarioSet]:
    """Yield the moves of the same historical windows over their first day, their first two days, up to all.

    Scenario s of every set starts on the same day; filtered returns are scaled day by day, so that a path's
    moves over t and t + 1 days differ by one day's.

    Raises
    ------
    InputError
        As ``scenarios_from_histories`` says.
    """
    parts = settings.anti_procyclical.applied(settings.parts)
    ends = [part.selection.last_days(histories, days) for part in parts]
    for length in range(1, days + 1):
        fixed = tuple(
            _ending_on(part, histories, last - days + length) for part, last in zip(parts, ends, strict=True)
        )
        plain = replace(settings.anti_procyclical, stressed=None)
        yield scenarios_from_histories(
            histories,
            replace(
                settings,
                parts=fixed,
                anti_procyclical=plain,
                horizon_days=length,
                horizon_method="overlapping",
            ),
        )


def _ending_on(part: PartRules, histories: Histories, rows: Int64[np.ndarray, " scenarios"]) -> PartRules:
    """Return a part of the windows that end on some days."""
    periods = tuple((day.isoformat(), day, day) for day in histories.days[rows].tolist())
    return replace(part, selection=StressPeriods(periods=periods))


def gain_paths(
    houses: Houses, settings: ScenarioSettings, days: int, wanted: Int64[np.ndarray, " wanted"]
) -> GainPaths:
    """Revalue instruments along historical windows.

    Parameters
    ----------
    houses : Houses
        Marks, histories and how instruments are revalued.
    settings : ScenarioSettings
        Which windows.
    days : int
        Their length.
    wanted : ndarray of int64, shape (wanted,)
        Rows of the snapshot's instruments.

    Raises
    ------
    InputError
        If the histories are too short, or no instrument of an underlying that is wanted has scenarios.
    """
    few = _of_same_underlyings(houses.snapshot, wanted)
    rows = np.unique(wanted).astype(np.int64)
    names = houses.snapshot.instruments["instrument"].gather(rows)
    gains: list[Float[np.ndarray, "instruments scenarios"]] = []
    labels: tuple[str, ...] = ()
    known = np.ones(rows.size, bool)
    for scenarios in window_scenarios(houses.histories, settings, days):
        # One cube at a time: it is larger than what is kept of it.
        cube = make_cube(few, scenarios, houses.settings.revaluation)
        at = np.array([cube.row_of.get(name, -1) for name in names], np.int64)
        gains.append(cube.rows(at)[:, cube.layout.columns])
        known, labels = known & (at >= 0), scenarios.labels
    together = np.stack(gains, axis=2)[known].transpose(1, 0, 2)
    return GainPaths(rows=rows[known], gains=together, labels=labels)


def _of_same_underlyings(snapshot: Snapshot, rows: Int64[np.ndarray, " rows"]) -> Snapshot:
    """Return the snapshot of the underlyings of some rows: the volatility of one option rests on others."""
    underlyings = snapshot.instruments["underlying"].gather(rows).unique()
    kept = snapshot.instruments.filter(pl.col("underlying").is_in(underlyings.implode()))
    return replace(snapshot, instruments=kept)
