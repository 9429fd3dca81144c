"""Margins on past days and what the books then made: a row a day and series."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from crossmargin.core.columns import require_choice, require_size
from crossmargin.core.rounding import to_minor
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.market import HOUSES
from crossmargin.models.scenarios.build import scenarios_from_histories
from crossmargin.models.scenarios.histories import make_histories
from crossmargin.programmes.backtest.processes import in_processes
from crossmargin.programmes.backtest.realised import all_known, book_results, marked, realised
from crossmargin.programmes.backtest.units import JOINT, KINDS, NONE, joint_distribution, units_of
from crossmargin.programmes.evaluate import evaluation
from crossmargin.programmes.frames import money
from crossmargin.programmes.opening import default_scenarios, open_houses, reopen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date
    from typing import TypeAlias

    from jaxtyping import Bool, Float64, Int64

    from crossmargin.models.market import Market
    from crossmargin.models.scenarios.histories import Histories
    from crossmargin.programmes.backtest.realised import Realised
    from crossmargin.programmes.backtest.units import Units
    from crossmargin.programmes.houses import Houses, HouseSettings
    from crossmargin.programmes.programme import Programme

    Gains: TypeAlias = dict[int, Realised]
    """Of one day, by horizon."""

__all__ = ["PORTFOLIOS", "BacktestInputs", "backtest_places", "first_day", "margin_history"]

PORTFOLIOS: Final = ("static", "as they were")
HOUSE_NAMES: Final = (*HOUSES, None)
"""Of each place; joint accounts have none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BacktestInputs:
    """What a backtest looks at.

    Parameters
    ----------
    market : Market
        Positions, marks and histories.
    as_of : date
        Day of today's positions and the last one of the histories; nothing after it is looked at.
    programme : Programme
        What is tested.
    settings : HouseSettings
        How the houses' models are made; its ``scenarios`` are set.
    portfolios : {"static", "as they were"}
        Today's positions at today's marks, margined with what was known on each past day and revalued by the moves
        that followed; or each day's own positions and marks, whose futures and options made what later marks say.

    Raises
    ------
    InputError
        If ``portfolios`` is no choice.
    """

    market: Market
    as_of: date
    programme: Programme
    settings: HouseSettings
    portfolios: str = "static"

    def __post_init__(self) -> None:
        require_choice(self.portfolios, "portfolios", PORTFOLIOS)

    def with_scenarios(self) -> BacktestInputs:
        """Return the inputs with scenario settings of the last day, where none are given."""
        scenarios = self.settings.scenarios or default_scenarios(self.market, self.as_of)
        return replace(self, settings=replace(self.settings, scenarios=scenarios))

    def histories(self) -> Histories:
        """Return the histories up to the last day."""
        assert self.settings.scenarios is not None, "set by with_scenarios"
        return make_histories(self.market, self.as_of, self.settings.scenarios.rules)

    @property
    def longest(self) -> int:
        """Longest horizon of a house: that of joint accounts."""
        return max(self.settings.days.values())


def first_day(histories: Histories, inputs: BacktestInputs) -> date:
    """Return the first day on which the scenarios can be made of every factor that those of the last day have.

    Raises
    ------
    InputError
        If not even those of the last day can be made.
    """
    assert inputs.settings.scenarios is not None, "set by with_scenarios"
    settings = replace(inputs.settings.scenarios, horizon_days=inputs.longest)
    wanted = len(scenarios_from_histories(histories, settings).factors)

    def enough(place: int) -> bool:
        known = histories.until(histories.days[place].item())
        try:
            return len(scenarios_from_histories(known, settings).factors) >= wanted
        except InputError:
            return False

    low, high = 0, histories.days.size - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    day: date = histories.days[low].item()
    return day


def backtest_places(
    histories: Histories, first: date, last: date, every: int, horizon_days: int
) -> Int64[np.ndarray, " days"]:
    """Return the rows of the histories on which margins are tested: from a day to a day, every so many trading days.

    Raises
    ------
    InputError
        If ``every`` is out of range, or no day is left that has the horizon after it.
    """
    require_size(every, "every", 1, 250)
    low = int(np.searchsorted(histories.days, np.datetime64(first, "D")))
    high = int(np.searchsorted(histories.days, np.datetime64(last, "D"), side="right"))
    high = min(high, histories.days.size - horizon_days)
    if low >= high:
        rule = f"a trading day up to {histories.days[-1 - horizon_days]}, with {horizon_days} known after it"
        value = f"{first} to {last}"
        raise InputError([BadRecord(file="backtest", line=0, field="from, to", value=value, rule=rule)])
    return np.arange(low, high, every)


def margin_history(
    inputs: BacktestInputs,
    places: Int64[np.ndarray, " days"],
    *,
    jobs: int = 1,
    note: Callable[[str], None] = lambda _: None,
) -> pl.DataFrame:
    """Return margins before and after the programme, and gains, of every series; see ``BacktestResult.history``.

    Parameters
    ----------
    inputs : BacktestInputs
        With scenario settings.
    places : ndarray of int64, shape (days,)
        Rows of ``inputs.histories()``, ascending.
    jobs : int
        Processes that share the days; the result is the same for any number.
    note : callable
        Told the day as it begins; of several processes only that they run.

    Raises
    ------
    InputError
        As ``open_houses`` and ``evaluate``, of the first day on which something is missing.
    """
    chunks = np.array_split(np.arange(places.size), max(1, min(jobs, places.size // 2)))
    if len(chunks) == 1:
        return _history((inputs, places, chunks[0]), note)
    note(f"{places.size} days in {jobs} processes")
    return pl.concat(in_processes(_history, [(inputs, places, chunk) for chunk in chunks], jobs))


def _history(
    task: tuple[BacktestInputs, Int64[np.ndarray, " days"], Int64[np.ndarray, " chosen"]],
    note: Callable[[str], None] = lambda _: None,
) -> pl.DataFrame:
    """Return the rows of some of the days; options are fitted to the moves of all of them, so every process gets all."""
    inputs, places, chosen = task
    histories = inputs.histories()
    days_of = _static if inputs.portfolios == "static" else _as_they_were
    frames = []
    for place, houses, gains in days_of(inputs, histories, places, chosen):
        day = histories.days[place].item()
        note(day.isoformat())
        frames.append(_rows(day, inputs, houses, gains))
    return pl.concat(frames)


def _static(
    inputs: BacktestInputs,
    histories: Histories,
    places: Int64[np.ndarray, " days"],
    chosen: Int64[np.ndarray, " chosen"],
) -> Iterator[tuple[int, Houses, Gains]]:
    """Yield each day's houses with today's positions, and gains by horizon."""
    today = open_houses(inputs.market, inputs.as_of, inputs.settings)
    found = {
        horizon: realised(today.snapshot, histories, places, horizon, inputs.settings.revaluation)
        for horizon in sorted({*inputs.settings.days.values()})
    }
    for at in chosen.tolist():
        place = int(places[at])
        known = replace(histories.until(histories.days[place].item()), as_of=inputs.as_of)
        gains = {horizon: replace(one, gains=one.gains[:, at : at + 1]) for horizon, one in found.items()}
        yield place, reopen(today, known), gains


def _as_they_were(
    inputs: BacktestInputs,
    histories: Histories,
    places: Int64[np.ndarray, " days"],
    chosen: Int64[np.ndarray, " chosen"],
) -> Iterator[tuple[int, Houses, Gains]]:
    """Yield each day's houses with that day's positions, and gains by horizon."""
    for place in places[chosen].tolist():
        day = histories.days[place].item()
        houses = open_houses(inputs.market, day, inputs.settings)
        gains = {}
        for horizon in sorted({*inputs.settings.days.values()}):
            at = np.array([place])
            moved = realised(houses.snapshot, histories, at, horizon, inputs.settings.revaluation)
            end = histories.days[place + horizon].item()
            gains[horizon] = marked(moved, inputs.market, houses.snapshot, end)
        yield place, houses, gains


def _rows(day: date, inputs: BacktestInputs, houses: Houses, gains: Gains) -> pl.DataFrame:
    """Return one day's rows; of books that hold something whose result is not known there is none."""
    units = units_of(evaluation(inputs.programme, houses))
    horizons = np.array([*inputs.settings.days.values(), inputs.longest])[units.house]
    made, known = np.zeros(horizons.size), np.ones(horizons.size, bool)
    for horizon, one in gains.items():
        mine = horizons == horizon
        made[mine] = book_results(units.books, one.gains)[mine, 0]
        known[mine] = all_known(units.books, one.known)[mine]
    risk, shortfall = _distribution(inputs, houses, units, horizons)
    return pl.DataFrame(
        {
            "date": pl.Series([day] * known.size, dtype=pl.Date),
            "kind": pl.Series([KINDS[kind] for kind in units.kind.tolist()], dtype=pl.String),
            "name": pl.Series(units.names, dtype=pl.String),
            "house": pl.Series([HOUSE_NAMES[place] for place in units.house.tolist()], dtype=pl.String),
            "horizon_days": pl.Series(horizons, dtype=pl.Int64),
            "before": _margin(units.before),
            "after": _margin(units.after),
            "gain": money(to_minor(made, 2)),
            "value_at_risk": risk,
            "expected_shortfall": shortfall,
        }
    ).filter(pl.Series(known, dtype=pl.Boolean))


def _margin(amounts: Int64[np.ndarray, " units"]) -> pl.Series:
    """Return hundredths as exact decimals, null where there is no such margin."""
    there = pl.Series(amounts != NONE, dtype=pl.Boolean)
    shown = money(np.where(amounts == NONE, 0, amounts))
    return pl.select(pl.when(there).then(shown)).to_series()


def _distribution(
    inputs: BacktestInputs, houses: Houses, units: Units, horizons: Int64[np.ndarray, " units"]
) -> tuple[pl.Series, pl.Series]:
    """Return value at risk and expected shortfall of the joint model's first part, where its horizon is the unit's."""
    model = houses.joint_model("max")
    part = model.cube.parts[0]
    inside = all_known(units.books, model.can_margin) & (horizons == inputs.longest)
    inside &= (units.house == JOINT) | (units.kind == KINDS.index("leg"))
    chosen = units.books.select(np.flatnonzero(inside))
    rows = np.zeros((model.rows.size, part.size))
    held = np.unique(chosen.rows)
    start = model.cube.layout.columns[part.start : part.stop]
    rows[held] = model.cube.rows(model.rows[held])[:, start]
    found = joint_distribution(book_results(chosen, rows), part.tail_count)
    at = np.flatnonzero(inside)
    return _spread(found[0], at, inside), _spread(found[1], at, inside)


def _spread(
    values: Float64[np.ndarray, " chosen"],
    at: Int64[np.ndarray, " chosen"],
    inside: Bool[np.ndarray, " units"],
) -> pl.Series:
    """Return values at their places, null elsewhere."""
    spread = np.zeros(inside.size)
    spread[at] = values
    return pl.select(pl.when(pl.Series(inside)).then(pl.Series(spread, dtype=pl.Float64))).to_series()
