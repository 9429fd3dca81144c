"""From a market to a set of scenarios."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64, Int64

from crossmargin.core.columns import require_choice, require_within
from crossmargin.core.tails import tail_count
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.scenarios.filtered import filtered_returns, floor_days_available
from crossmargin.models.scenarios.histories import make_histories
from crossmargin.models.scenarios.history_rules import HistoryRules, settings_of
from crossmargin.models.scenarios.part_rules import AntiProcyclical, PartRules
from crossmargin.models.scenarios.scenario_set import ScenarioPart, ScenarioSet, bad_part_names
from crossmargin.models.scenarios.selection import compounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from crossmargin.models.market import Market
    from crossmargin.models.scenarios.histories import Histories

__all__ = [
    "ScenarioSettings",
    "build_scenarios",
    "method_of",
    "notes_of",
    "require_kept",
    "scenario_parts",
    "scenarios_from_histories",
    "window_rows",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioSettings:
    """How a scenario set is made.

    Parameters
    ----------
    parts : tuple of PartRules
        See ``parts_of_method`` and ``hkscc_parts``.
    rules : HistoryRules
        How histories are judged and mended.
    horizon_days : int
        Trading days that one move covers.
    horizon_method : {"overlapping", "square root"}
        Moves over ``horizon_days`` days, one window ending each day, filtered day by day; or one-day
        moves (log moves, where returns are log) × √horizon_days.
    short_histories : {"leave out", "refuse"}
        What to do with a factor that lacks a return on a day that is needed.
    anti_procyclical : AntiProcyclical
        Buffer, stressed part, floor of volatility.

    Raises
    ------
    InputError
        If a choice is none, the horizon is out of range, or two parts have one name.
    """

    parts: tuple[PartRules, ...]
    rules: HistoryRules = field(default_factory=HistoryRules)
    horizon_days: int = 1
    horizon_method: str = "overlapping"
    short_histories: str = "leave out"
    anti_procyclical: AntiProcyclical = field(default_factory=AntiProcyclical)

    def __post_init__(self) -> None:
        require_choice(self.horizon_method, "horizon_method", ("overlapping", "square root"))
        require_choice(self.short_histories, "short_histories", ("leave out", "refuse"))
        require_within(self, {"horizon_days": (1, 250)})
        names = [part.name for part in self.anti_procyclical.applied(self.parts)]
        _refuse_parts(bad_part_names(names))

    @property
    def window_days(self) -> int:
        """Days of history behind one move."""
        return self.horizon_days if self.horizon_method == "overlapping" else 1

    def described(self) -> tuple[tuple[str, str], ...]:
        """Return every setting as two texts."""
        own = [(name, str(getattr(self, name))) for name in ("horizon_method", "short_histories")]
        parts = [pair for part in self.anti_procyclical.applied(self.parts) for pair in _described(part)]
        return (*own, *self.anti_procyclical.settings(), *parts, *settings_of(self.rules, "history"))


def _refuse_parts(bad: Iterable[tuple[str, str]]) -> None:
    if records := [
        BadRecord(file="scenarios", line=0, field="parts", value=value, rule=rule) for value, rule in bad
    ]:
        raise InputError(records)


def _described(part: PartRules) -> Iterator[tuple[str, str]]:
    yield f"{part.name}.confidence", part.confidence
    yield f"{part.name}.selection", type(part.selection).__name__
    yield from settings_of(part.selection, f"{part.name}.selection")
    if part.filtering:
        yield from settings_of(part.filtering, f"{part.name}.filtering")


def build_scenarios(market: Market, as_of: date, settings: ScenarioSettings) -> ScenarioSet:
    """Make the scenarios of a market on a day.

    Parameters
    ----------
    market : Market
        Its tables of prices, corporate actions, volatilities, rates and exchange rates are read.
    as_of : date
        The day from which the scenarios start; nothing after it is looked at.
    settings : ScenarioSettings
        See there. What was found in the histories is counted in the set's own settings; for the findings
        themselves call ``make_histories`` and ``scenarios_from_histories``.

    Raises
    ------
    InputError
        If there is no part; if the histories are refused (``make_histories``), are too short for a part, or
        leave no factor; if a scaled move loses more than everything (simple returns only).
    """
    return scenarios_from_histories(make_histories(market, as_of, settings.rules), settings)


def scenarios_from_histories(histories: Histories, settings: ScenarioSettings) -> ScenarioSet:
    """Make scenarios of checked histories; see ``build_scenarios``."""
    _refuse_parts([] if settings.parts else [("none", "at least one part")])
    parts = settings.anti_procyclical.applied(settings.parts)
    ends = [part.selection.last_days(histories, settings.window_days) for part in parts]
    used = [window_rows(rows, settings.window_days) for rows in ends]
    kept = np.logical_and.reduce(
        [_long_enough(histories, part, rows) for part, rows in zip(parts, used, strict=True)]
    )
    require_kept(histories, kept, settings)
    moves = np.vstack(
        [_moves(histories, part, rows, kept, settings) for part, rows in zip(parts, ends, strict=True)]
    )
    proxied = histories.proxied[np.unique(np.concatenate(used))].any(axis=0)
    return ScenarioSet(
        as_of=histories.as_of,
        horizon_days=settings.horizon_days,
        factors=tuple(
            replace(factor, proxied=bool(proxied[column]))
            for column, factor in enumerate(histories.factors)
            if kept[column]
        ),
        moves=moves,
        labels=tuple(str(day) for day in histories.days[np.concatenate(ends)]),
        parts=scenario_parts(parts, [rows.size for rows in ends]),
        method=method_of(parts),
        settings=(*settings.described(), *notes_of(histories, kept, parts)),
        input_hash=histories.content_hash,
    )


def window_rows(ends: Int64[np.ndarray, " scenarios"], window_days: int) -> Int64[np.ndarray, " rows"]:
    """Return every row of the histories that a window touches, ascending."""
    return np.unique(ends[:, None] - np.arange(window_days))


def _long_enough(
    histories: Histories, part: PartRules, rows: Int64[np.ndarray, " rows"]
) -> Bool[np.ndarray, " factors"]:
    """Return which factors have every return that a part needs, and enough that count to start its volatility."""
    complete = histories.valid[rows].all(axis=0)
    if part.filtering:
        before = histories.counted[: rows[0]].sum(axis=0)
        complete &= before >= part.filtering.warm_up_days
    return complete


def require_kept(
    histories: Histories, kept: Bool[np.ndarray, " factors"], settings: ScenarioSettings
) -> None:
    """Refuse that no factor is kept, and one that is not where the settings say so."""
    short = [factor.code for factor, whole in zip(histories.factors, kept, strict=True) if not whole]
    if short and (settings.short_histories == "refuse" or not kept.any()):
        rule = "a return on every day of the scenarios and of the warm-up before, its own or its proxy's"
        raise InputError(
            [BadRecord(file="histories", line=0, field="factor", value=code, rule=rule) for code in short]
        )


def _moves(
    histories: Histories,
    part: PartRules,
    ends: Int64[np.ndarray, " scenarios"],
    kept: Bool[np.ndarray, " factors"],
    settings: ScenarioSettings,
) -> Float64[np.ndarray, "scenarios kept"]:
    returns = filtered_returns(histories, part.filtering) if part.filtering else histories.returns
    over_window = compounded(returns[:, kept], settings.window_days, histories.multiplies[kept])[ends]
    if settings.horizon_method == "square root":
        over_window *= np.sqrt(settings.horizon_days)
    if histories.rules.returns == "log":
        prices = np.array([factor.kind != "rate" for factor in histories.factors])[kept]
        over_window[:, prices] = np.expm1(over_window[:, prices])
    return over_window


def scenario_parts(rules: Sequence[PartRules], sizes: Sequence[int]) -> tuple[ScenarioPart, ...]:
    """Return the parts, one after the other, from their rules and how many scenarios each has."""
    stops = np.cumsum(sizes).tolist()
    return tuple(
        ScenarioPart(
            name=part.name,
            start=stop - size,
            stop=stop,
            tail_count=tail_count(part.confidence, size),
            weight=part.weight,
        )
        for part, size, stop in zip(rules, sizes, stops, strict=True)
    )


def method_of(parts: Sequence[PartRules]) -> str:
    """Return how each part is made, in words."""
    kinds = (
        "filtered historical simulation" if part.filtering else "historical simulation" for part in parts
    )
    return "; ".join(f"{part.name}: {kind}" for part, kind in zip(parts, kinds, strict=True))


def notes_of(
    histories: Histories, kept: Bool[np.ndarray, " factors"], parts: Sequence[PartRules]
) -> Iterator[tuple[str, str]]:
    """Yield what happened: factors left out, days behind a floor of volatility, findings by kind."""
    yield (
        "left out",
        ", ".join(factor.code for factor, whole in zip(histories.factors, kept, strict=True) if not whole),
    )
    for part in parts:
        if part.filtering and part.filtering.floor_days:
            least = int(floor_days_available(histories, part.filtering.floor_days)[kept].min())
            yield f"{part.name}.floor days of the shortest factor", str(least)
    counted = histories.findings.group_by("kind").len().sort("kind")
    yield from ((f"findings.{kind}", str(count)) for kind, count in counted.iter_rows())
