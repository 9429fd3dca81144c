"""What margins would have been, and covered, with other choices in the joint model: one choice moved at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import polars as pl

from crossmargin.errors import InputError
from crossmargin.models.scenarios.selection import LookBack
from crossmargin.programmes.backtest.rows import all_within
from crossmargin.programmes.books import joined_books
from crossmargin.validation.backtest import backtest
from crossmargin.validation.rolling_margins import rolling_margins

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from jaxtyping import Int64

    from crossmargin.models.scenarios.build import ScenarioSettings
    from crossmargin.models.scenarios.histories import Histories
    from crossmargin.models.scenarios.part_rules import PartRules
    from crossmargin.programmes.books import Books
    from crossmargin.programmes.evaluate import Evaluation

__all__ = ["SENSITIVITY_SCHEMA", "Variant", "sensitivity_frame", "variants"]

Value = TypeVar("Value", int, float, str)

LOOK_BACKS: Final = (500, 750, 1_000, 1_500)
DECAYS: Final = (0.94, 0.97, 0.99)
CONFIDENCES: Final = ("0.99", "0.994", "0.997")
HORIZONS: Final = (1, 2, 5)
WEIGHTS: Final = (1.0, 0.75, 0.5)
BUFFERS: Final = (0.0, 0.25)
FLOORS: Final = (0, 2_500)

SENSITIVITY_SCHEMA: Final = {
    "setting": pl.String,
    "value": pl.String,
    "base": pl.Boolean,
    "books": pl.String,
    "mean_margin": pl.Float64,
    "observations": pl.Int64,
    "exceedances": pl.Int64,
    "coverage": pl.Float64,
    "peak_uncovered": pl.Float64,
}


@dataclass(frozen=True, slots=True)
class Variant:
    """Scenario settings with one choice moved; ``base`` where it is the given one."""

    setting: str
    value: str
    base: bool
    scenarios: ScenarioSettings


def variants(scenarios: ScenarioSettings) -> Iterator[Variant]:
    """Yield the settings with one choice moved at a time: of each choice the usual values and the given one.

    Parameters
    ----------
    scenarios : ScenarioSettings
        The given choices, with their horizon; the first part is the one that is not stressed.
    """
    first, *others = scenarios.parts
    procyclical = scenarios.anti_procyclical

    def with_first(part: PartRules) -> ScenarioSettings:
        return replace(scenarios, parts=(part, *others))

    if isinstance(first.selection, LookBack):
        for count in _values(LOOK_BACKS, first.selection.scenarios):
            changed = replace(first, selection=LookBack(scenarios=count))
            yield Variant(
                "look-back", f"{count} days", count == first.selection.scenarios, with_first(changed)
            )
    if first.filtering:
        for decay in _values(DECAYS, first.filtering.decay):
            changed = replace(first, filtering=replace(first.filtering, decay=decay))
            yield Variant("decay", f"{decay:g}", decay == first.filtering.decay, with_first(changed))
    for level in _values(CONFIDENCES, first.confidence):
        changed = replace(first, confidence=level)
        yield Variant("confidence", level, level == first.confidence, with_first(changed))
    for horizon in _values(HORIZONS, scenarios.horizon_days):
        base = horizon == scenarios.horizon_days
        yield Variant("horizon", f"{horizon} days", base, replace(scenarios, horizon_days=horizon))
    yield from _weights(scenarios)
    for rate in _values(BUFFERS, procyclical.buffer_rate):
        changed_tools = replace(procyclical, buffer_rate=rate)
        base = rate == procyclical.buffer_rate
        yield Variant("buffer", f"{rate:.0%}", base, replace(scenarios, anti_procyclical=changed_tools))
    for days in _values(FLOORS, procyclical.floor_days):
        changed_tools = replace(procyclical, floor_days=days)
        base = days == procyclical.floor_days
        named = f"{days} days" if days else "none"
        yield Variant("floor of volatility", named, base, replace(scenarios, anti_procyclical=changed_tools))


def _values(usual: tuple[Value, ...], given: Value) -> list[Value]:
    """Return the usual values and the given one, ascending."""
    return sorted(set(usual) | {given})


def _weights(scenarios: ScenarioSettings) -> Iterator[Variant]:
    """Yield other weights of the first of two parts; the second has the rest."""
    if len(scenarios.parts) != 2:  # noqa: PLR2004
        return
    first, second = scenarios.parts
    for weight in _values(WEIGHTS, first.weight):
        parts = (replace(first, weight=weight), replace(second, weight=1.0 - weight))
        base = weight == first.weight
        yield Variant("stress weight", f"{1.0 - weight:.0%}", base, replace(scenarios, parts=parts))


def sensitivity_frame(
    done: Evaluation, histories: Histories, days: Sequence[date], *, confidence: float, every: int
) -> tuple[pl.DataFrame, list[tuple[str, str, str]]]:
    """Return margins and coverage of today's joint accounts under each variant, and what could not be made.

    Legs by themselves ("silo") and together ("joint"), all by the joint model, so that only the choice differs.

    Parameters
    ----------
    done : Evaluation
        Of today; its joint accounts are tested.
    histories : Histories
        Up to the last day, with what followed the tested days.
    days : sequence of date
        Tested days; of a variant those on which it has enough history and a horizon after.
    confidence, every
        As of ``backtest``.
    """
    legs, union = done.joint.legs, done.joint.union
    longest = max(done.houses.settings.days.values())
    base = replace(done.houses.scenarios, horizon_days=longest)
    rows, found = [], []
    # every choice comes by with its own value too: that is margined once
    known: dict[ScenarioSettings, list[tuple[str, float, int, int, float, float]]] = {}
    places = np.searchsorted(histories.days, np.array(days, "datetime64[D]"))
    for variant in variants(base):
        usable = places[places < histories.days.size - variant.scenarios.horizon_days]
        try:
            if variant.scenarios not in known:
                margined = _judged(done, histories, variant, (legs, union), usable, confidence, every)
                known[variant.scenarios] = [*margined]
        except InputError as error:
            why = error.records[0].rule
            found.append((f"{variant.setting} {variant.value}", "sensitivity", f"left out: {why}"))
            continue
        said = (variant.setting, variant.value, variant.base)
        rows += [(*said, *row) for row in known[variant.scenarios]]
    return pl.DataFrame(rows, schema=SENSITIVITY_SCHEMA, orient="row"), found


def _judged(
    done: Evaluation,
    histories: Histories,
    variant: Variant,
    groups: tuple[Books, Books],
    places: Int64[np.ndarray, " days"],
    confidence: float,
    every: int,
) -> Iterator[tuple[str, float, int, int, float, float]]:
    """Yield the figures of legs and of joint accounts under a variant."""
    able = done.houses.joint_model("max").can_margin
    held = [
        group.select(np.flatnonzero(all_within(group, able) & (np.diff(group.starts) > 0)))
        for group in groups
    ]
    books = joined_books(held)
    margins = rolling_margins(
        done.houses.snapshot,
        histories,
        variant.scenarios,
        books.starts,
        books.rows,
        books.quantities,
        days=places,
        horizon_days=variant.scenarios.horizon_days,
        revaluation=done.houses.settings.revaluation,
    )
    edges = [0, held[0].count, books.count]
    for name, start, stop in zip(("silo", "joint"), edges, edges[1:], strict=False):
        margin, gain = margins.margin[:, start:stop] / 100, margins.gain[:, start:stop]
        held_then = (margins.margined & margins.realised)[:, start:stop]
        horizon = variant.scenarios.horizon_days
        one = backtest(
            margin, gain, confidence=confidence, horizon_days=horizon, step_days=every, held=held_then
        )
        observations, hits = int(one.observations.sum()), int(one.exceedances.sum())
        mean = float(margins.margin[:, start:stop].sum() / 100 / max(len(places), 1))
        peak = float(one.peak_uncovered.max(initial=0.0))
        yield name, mean, observations, hits, 1.0 - hits / max(observations, 1), peak
