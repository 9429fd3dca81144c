"""One cube for houses with different horizons."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import polars as pl
from jaxtyping import Shaped

from crossmargin.core.columns import require_choice
from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.row_sums import aligned_zeros
from crossmargin.models.revaluation.cube import ScenarioCube, make_cube
from crossmargin.models.scenarios.build import scenarios_from_histories
from crossmargin.models.scenarios.selection import StressPeriods, WorstDays

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from crossmargin.models.revaluation.settings import RevaluationSettings
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.scenarios.build import ScenarioSettings
    from crossmargin.models.scenarios.histories import Histories
    from crossmargin.models.scenarios.part_rules import PartRules

__all__ = ["HORIZONS", "joint_cube"]

HORIZONS: Final = ("max", "square root", "per_house")
HORIZON_DAYS_MAX: Final = 250


def joint_cube(
    snapshot: Snapshot,
    histories: Histories,
    settings: ScenarioSettings,
    *,
    horizon: str,
    days: Mapping[str, int],
    revaluation: RevaluationSettings | None = None,
) -> ScenarioCube:
    """Value the instruments of all houses on common scenarios.

    Parameters
    ----------
    snapshot : Snapshot
        Marks and instruments.
    histories : Histories
        Up to the same day.
    settings : ScenarioSettings
        Parts and rules; its own horizon does not count.
    horizon : {"max", "square root", "per_house"}
        The longest of the houses' horizons, as moves over overlapping windows or as one-day moves × √days;
        or each house's instruments over that house's own, in windows that end on the same days. The last
        mixes a share's move over two days with its future's over one: what the future does not hedge of the
        first day stays as risk.
    days : mapping of str to int
        Horizon of each house in trading days, of every house that the snapshot has instruments of.
    revaluation : RevaluationSettings, optional
        As in ``make_cube``.

    Returns
    -------
    ScenarioCube
        With the horizons among its ``scenario_settings``. Of mixed rows the key is made of the keys of the
        cubes that they come from, labels are the last days of the windows, and the other settings are those of
        the longest horizon.

    Raises
    ------
    InputError
        If a house's horizon is missing or out of range; and as ``scenarios_from_histories`` and ``make_cube``
        say.
    """
    require_choice(horizon, "horizon", HORIZONS)
    _require_days(snapshot, days)
    method = "square root" if horizon == "square root" else "overlapping"
    longest = replace(settings, horizon_days=max(days.values()), horizon_method=method)
    common = make_cube(snapshot, scenarios_from_histories(histories, longest), revaluation)
    if horizon != "per_house":
        return _told(common, horizon, {"horizon_days": longest.horizon_days})
    cubes = {longest.horizon_days: common}
    for own in sorted(set(days.values()) - {longest.horizon_days}):
        shorter = replace(_on_same_days(longest, histories), horizon_days=own)
        scenarios = scenarios_from_histories(histories, shorter)
        assert scenarios.labels == common.labels, "windows of every length end on the same days"
        assert scenarios.parts == common.parts, "windows of every length make the same parts"
        cubes[own] = make_cube(snapshot, scenarios, revaluation)
    mixed = common if len(cubes) == 1 else _mixed(cubes, days)
    return _told(mixed, horizon, {f"horizon_days.{house}": days[house] for house in sorted(days)})


def _require_days(snapshot: Snapshot, days: Mapping[str, int]) -> None:
    """Refuse houses without a horizon, and horizons that are none."""
    rule = f"a whole number of trading days from 1 to {HORIZON_DAYS_MAX}"
    houses = sorted({*snapshot.instruments["house"], *days})
    if bad := [
        BadRecord(file="horizons", line=0, field=house, value=str(days.get(house, "none")), rule=rule)
        for house in houses
        if not _is_horizon(days.get(house))
    ]:
        raise InputError(bad)


def _is_horizon(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= HORIZON_DAYS_MAX


def _on_same_days(longest: ScenarioSettings, histories: Histories) -> ScenarioSettings:
    """Return settings that choose, over any horizon, the days that they choose over the longest."""

    def fixed(part: PartRules) -> PartRules:
        # The days of the largest moves depend on the horizon; those of the other selections do not.
        if not isinstance(part.selection, WorstDays):
            return part
        chosen = histories.days[part.selection.last_days(histories, longest.window_days)].tolist()
        periods = tuple((day.isoformat(), day, day) for day in chosen)
        return replace(part, selection=StressPeriods(periods=periods))

    stressed = longest.anti_procyclical.stressed
    return replace(
        longest,
        parts=tuple(fixed(part) for part in longest.parts),
        anti_procyclical=replace(longest.anti_procyclical, stressed=stressed and fixed(stressed)),
    )


def _mixed(cubes: Mapping[int, ScenarioCube], days: Mapping[str, int]) -> ScenarioCube:
    """Return each house's rows out of the cube over its horizon; the first cube lends the rest."""
    first = next(iter(cubes.values()))
    own = pl.col("house").replace_strict(dict(days), return_dtype=pl.Int64)
    held = pl.concat(
        cube.instruments.with_columns(pl.lit(length).alias("days"))
        .with_row_index("row")
        .filter(own == length)
        for length, cube in cubes.items()
    ).sort("instrument")
    keys = tuple((length, cubes[length].key) for length in sorted(cubes))
    said = repr(("houses over their own horizons", sorted(days.items()), keys))
    hashes = [("market", dict(first.input_hashes)["market"])]
    hashes += [
        (f"scenarios over {length} days", dict(cubes[length].input_hashes)["scenarios"])
        for length in sorted(cubes)
    ]
    scales = {length: cube.scales for length, cube in cubes.items() if cube.scales is not None}
    return replace(
        first,
        instruments=held.drop("days", "row"),
        pnl=_rows(held, {length: cube.pnl for length, cube in cubes.items()}),
        scales=_rows(held, scales) if scales else None,
        key=hashlib.sha256(said.encode()).hexdigest(),
        input_hashes=tuple(hashes),
        findings=_findings(cubes, held),
    )


def _rows(
    held: pl.DataFrame, sources: Mapping[int, Shaped[np.ndarray, "rows columns"]]
) -> Shaped[np.ndarray, "held columns"]:
    """Return the rows that ``held`` names, by days and row."""
    like = next(iter(sources.values()))
    rows = aligned_zeros((len(held), like.shape[1]), like.dtype.type)
    days, row = held["days"].to_numpy(), held["row"].to_numpy()
    for length, source in sources.items():
        mine = days == length
        rows[mine] = source[row[mine]]
    return rows


def _findings(cubes: Mapping[int, ScenarioCube], held: pl.DataFrame) -> pl.DataFrame:
    """Return what was found, but not that an instrument was left out of a cube that its row is not from."""
    there = pl.col("subject").is_in(held["instrument"].implode()) & (pl.col("action") == "left out")
    found = pl.concat(cube.findings for cube in cubes.values()).unique(maintain_order=True)
    return found.filter(~there)


def _told(cube: ScenarioCube, horizon: str, days: Mapping[str, int]) -> ScenarioCube:
    """Add the choice of the horizon to what the cube says of its scenarios."""
    chosen = [("joint.horizon", horizon), *((f"joint.{name}", str(value)) for name, value in days.items())]
    return replace(cube, scenario_settings=(*cube.scenario_settings, *chosen))
