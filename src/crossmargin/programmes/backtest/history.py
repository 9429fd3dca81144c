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
from crossmargin.models.scenarios.histories import make_histories
from crossmargin.models.scenarios.rolling import RollingScenarios
from crossmargin.programmes.backtest.processes import in_processes
from crossmargin.programmes.backtest.realised import book_results, marked, realised
from crossmargin.programmes.backtest.units import KINDS, NONE, joint_distribution, units_of
from crossmargin.programmes.evaluate import evaluation
from crossmargin.programmes.frames import money
from crossmargin.programmes.joint.horizons import joint_cube
from crossmargin.programmes.joint.model import JointModel, joint_model
from crossmargin.programmes.opening import default_scenarios, open_houses, reopen
from crossmargin.validation.rolling_cubes import MarkedMarket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date
    from typing import TypeAlias

    from jaxtyping import Bool, Float64, Int64

    from crossmargin.models.market import Market
    from crossmargin.models.scenarios.histories import Histories
    from crossmargin.programmes.backtest.realised import Realised
    from crossmargin.programmes.backtest.units import Units
    from crossmargin.programmes.books import Books
    from crossmargin.programmes.houses import Houses, HouseSettings
    from crossmargin.programmes.programme import Programme

    Gains: TypeAlias = dict[int, Realised]
    """Of one day, by horizon."""

__all__ = [
    "PORTFOLIOS",
    "TOTAL",
    "BacktestInputs",
    "MarginHistory",
    "all_within",
    "backtest_places",
    "first_day",
    "margin_history",
]

PORTFOLIOS: Final = ("static", "as they were")
TOTAL: Final = "all of a house"
"""Kind of the series of all that a house margins: a day's losses of some units are paid by gains of others there."""
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
    """Return the first day on which the scenarios can be made; of portfolios as they were, with marks too.

    Raises
    ------
    InputError
        If not even those of the last day can be made.
    """
    assert inputs.settings.scenarios is not None, "set by with_scenarios"
    settings = replace(inputs.settings.scenarios, horizon_days=inputs.longest)
    rolling = RollingScenarios(histories=histories, settings=settings)
    day: date = histories.days[rolling.first_place].item()
    marks = inputs.market["marks"]["date"]
    return day if inputs.portfolios == "static" or not len(marks) else max(day, marks.sort()[0])


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
        usable = histories.days[: max(histories.days.size - horizon_days, 0)]
        last_usable = f" up to {usable[-1]}" if usable.size else ""
        rule = f"a trading day{last_usable}, with {horizon_days} known after it"
        value = f"{first} to {last}"
        raise InputError([BadRecord(file="backtest", line=0, field="from, to", value=value, rule=rule)])
    return np.arange(low, high, every)


@dataclass(frozen=True, kw_only=True, eq=False)
class MarginHistory:
    """Margins and gains of past days.

    Parameters
    ----------
    rows : DataFrame
        See ``BacktestResult.history``.
    left_out : DataFrame
        ``date``, ``instrument``: held, but left out of margin and gain of the day, as what it made is not known or
        its house could not margin it then.
    """

    rows: pl.DataFrame
    left_out: pl.DataFrame


def margin_history(
    inputs: BacktestInputs,
    places: Int64[np.ndarray, " days"],
    *,
    jobs: int = 1,
    note: Callable[[str], None] = lambda _: None,
) -> MarginHistory:
    """Return margins before and after the programme, and gains, of every series.

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
        As ``open_houses`` and ``evaluate``, of the first day on which something is missing; or if nothing is held of
        which it is known what it made.
    """
    require_size(jobs, "jobs", 1, 256)
    chunks = np.array_split(np.arange(places.size), max(1, min(jobs, places.size // 2)))
    if len(chunks) == 1:
        found = [_history((inputs, places, chunks[0]), note)]
    else:
        note(f"{places.size} days in {jobs} processes")
        found = in_processes(_history, [(inputs, places, chunk) for chunk in chunks], jobs)
    history = MarginHistory(
        rows=pl.concat(one.rows for one in found), left_out=pl.concat(one.left_out for one in found)
    )
    if not len(history.rows):
        rule = "at least one position of which it is known what it made"
        raise InputError([BadRecord(file="backtest", line=0, field="positions", value="none", rule=rule)])
    return history


def _history(
    task: tuple[BacktestInputs, Int64[np.ndarray, " days"], Int64[np.ndarray, " chosen"]],
    note: Callable[[str], None] = lambda _: None,
) -> MarginHistory:
    """Return the rows of some of the days; options are fitted to the moves of all of them, so every process gets all."""
    inputs, places, chosen = task
    histories = inputs.histories()
    days_of = _static if inputs.portfolios == "static" else _as_they_were
    rows, left_out = [], []
    for place, houses, gains in days_of(inputs, histories, places, chosen):
        day = histories.days[place].item()
        note(day.isoformat())
        tested, missing = _tested(houses, gains)
        rows.append(_rows(day, inputs, tested, gains))
        left_out.append(
            pl.DataFrame(
                {"date": [day] * len(missing), "instrument": missing},
                schema={"date": pl.Date, "instrument": pl.String},
            )
        )
    return MarginHistory(rows=pl.concat(rows), left_out=pl.concat(left_out))


def _tested(houses: Houses, gains: Gains) -> tuple[Houses, list[str]]:
    """Return houses without positions that cannot be tested, and the instruments of those."""
    known = np.logical_and.reduce([one.known[:, 0] for one in gains.values()])
    if houses.prime is not None:
        at_hkscc = (houses.snapshot.instruments["house"] == "HKSCC").to_numpy()
        known = known & (at_hkscc | houses.prime.can_margin)
    books = houses.accounts.books
    held = np.unique(books.rows[~known[books.rows]])
    if not held.size:
        return houses, []
    accounts = replace(houses.accounts, books=books.only(known))
    return houses.holding(accounts), houses.snapshot.instruments["instrument"].gather(held).to_list()


def _static(
    inputs: BacktestInputs,
    histories: Histories,
    places: Int64[np.ndarray, " days"],
    chosen: Int64[np.ndarray, " chosen"],
) -> Iterator[tuple[int, Houses, Gains]]:
    """Yield each day's houses with today's positions, and gains by horizon."""
    today = open_houses(inputs.market, inputs.as_of, inputs.settings)
    market = MarkedMarket.of(today.snapshot, inputs.settings.revaluation)
    found = {
        horizon: realised(market, histories, today.scenarios, places, horizon)
        for horizon in sorted({*inputs.settings.days.values()})
    }
    for at in chosen.tolist():
        place = int(places[at])
        known = replace(histories.until(histories.days[place].item()), as_of=inputs.as_of)
        gains = {horizon: one.of_day(at) for horizon, one in found.items()}
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
        market = MarkedMarket.of(houses.snapshot, inputs.settings.revaluation)
        gains = {}
        for horizon in sorted({*inputs.settings.days.values()}):
            moved = realised(market, histories, houses.scenarios, np.array([place]), horizon)
            end = histories.days[place + horizon].item()
            gains[horizon] = marked(moved, inputs.market, houses.snapshot, end)
        yield place, houses, gains


def _rows(day: date, inputs: BacktestInputs, houses: Houses, gains: Gains) -> pl.DataFrame:
    """Return one day's rows: of every unit, and of all that each house margins."""
    units = units_of(evaluation(inputs.programme, houses))
    horizons = np.array([*inputs.settings.days.values(), inputs.longest])[units.house]
    made = np.zeros(horizons.size)
    for horizon, one in gains.items():
        mine = horizons == horizon
        made[mine] = book_results(units.books, one.gains)[mine, 0]
    gained = to_minor(made, 2)
    risk, shortfall = _distribution(inputs, houses, units, horizons)
    rows = pl.DataFrame(
        {
            "date": pl.Series([day] * horizons.size, dtype=pl.Date),
            "kind": pl.Series([KINDS[kind] for kind in units.kind.tolist()], dtype=pl.String),
            "name": pl.Series(units.names, dtype=pl.String),
            "house": pl.Series([HOUSE_NAMES[place] for place in units.house.tolist()], dtype=pl.String),
            "horizon_days": pl.Series(horizons, dtype=pl.Int64),
            "before": _margin(units.before),
            "after": _margin(units.after),
            "gain": money(gained),
            "value_at_risk": risk,
            "expected_shortfall": shortfall,
        }
    )
    return pl.concat([rows, _totals(rows)])


def _totals(rows: pl.DataFrame) -> pl.DataFrame:
    """Return all that each house margins as one series: sums of margins and gains, exact."""
    kind = pl.col("kind")
    before = (kind == "account") & pl.col("before").is_not_null()
    after = (kind != "joint account") & pl.col("after").is_not_null()
    return (
        rows.filter(kind != "joint account")
        .group_by("date", "house", "horizon_days")
        .agg(
            pl.col("before").filter(before).sum(),
            pl.col("after").filter(after).sum(),
            pl.col("gain").filter(before).sum(),
        )
        .sort("date", "house")
        .select(
            "date",
            pl.lit(TOTAL).alias("kind"),
            pl.col("house").alias("name"),
            "house",
            "horizon_days",
            "before",
            "after",
            "gain",
            pl.lit(None, pl.Float64).alias("value_at_risk"),
            pl.lit(None, pl.Float64).alias("expected_shortfall"),
        )
    )


def _margin(amounts: Int64[np.ndarray, " units"]) -> pl.Series:
    """Return hundredths as exact decimals, null where there is no such margin."""
    there = pl.Series(amounts != NONE, dtype=pl.Boolean)
    shown = money(np.where(amounts == NONE, 0, amounts))
    return pl.select(pl.when(there).then(shown)).to_series()


def _distribution(
    inputs: BacktestInputs, houses: Houses, units: Units, horizons: Int64[np.ndarray, " units"]
) -> tuple[pl.Series, pl.Series]:
    """Return value at risk and expected shortfall of the joint model's first part, over each unit's horizon."""
    found = np.full((2, horizons.size), np.nan)
    for horizon in sorted({*horizons.tolist()}):
        model = _model_over(houses, horizon, inputs.longest)
        at = np.flatnonzero((horizons == horizon) & all_within(units.books, model.can_margin))
        found[:, at] = _first_part(model, units.books.select(at))
    return pl.Series(found[0], nan_to_null=True), pl.Series(found[1], nan_to_null=True)


def _model_over(houses: Houses, horizon: int, longest: int) -> JointModel:
    """Return the joint model over a horizon of all houses alike."""
    if horizon == longest:
        return houses.joint_model("max")
    cube = joint_cube(
        houses.snapshot,
        houses.histories,
        houses.scenarios,
        horizon="max",
        days=dict.fromkeys(houses.settings.days, horizon),
        revaluation=houses.settings.revaluation,
    )
    return joint_model(houses.snapshot, cube)


def _first_part(model: JointModel, books: Books) -> Float64[np.ndarray, "2 books"]:
    """Return value at risk and expected shortfall of books in the first part of a model's scenarios."""
    part = model.cube.parts[0]
    columns = model.cube.layout.columns[part.start : part.stop]
    rows = np.zeros((model.rows.size, part.size))
    held = np.unique(books.rows)
    rows[held] = model.cube.rows(model.rows[held])[:, columns]
    return np.stack(joint_distribution(book_results(books, rows), part.tail_count))


def all_within(books: Books, instruments: Bool[np.ndarray, " instruments"]) -> Bool[np.ndarray, " books"]:
    """Return which books hold nothing but some instruments."""
    return np.bincount(books.book, ~instruments[books.rows], books.count) == 0
