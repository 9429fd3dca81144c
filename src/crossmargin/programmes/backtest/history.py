"""Margins on past days and what the books then made: a row a day and series."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from crossmargin.core.columns import require_choice, require_size
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.scenarios.histories import make_histories
from crossmargin.models.scenarios.rolling import RollingScenarios
from crossmargin.programmes.backtest.processes import in_processes
from crossmargin.programmes.backtest.realised import marked, realised
from crossmargin.programmes.backtest.rows import day_rows
from crossmargin.programmes.opening import default_scenarios, open_houses, reopen
from crossmargin.validation.rolling_cubes import MarkedMarket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date
    from typing import TypeAlias

    from jaxtyping import Int64

    from crossmargin.models.market import Market
    from crossmargin.models.scenarios.histories import Histories
    from crossmargin.programmes.backtest.realised import Realised
    from crossmargin.programmes.houses import Houses, HouseSettings
    from crossmargin.programmes.programme import Programme

    Gains: TypeAlias = dict[int, Realised]
    """Of one day, by horizon."""

__all__ = [
    "PORTFOLIOS",
    "BacktestInputs",
    "MarginHistory",
    "backtest_places",
    "first_day",
    "margin_history",
]

PORTFOLIOS: Final = ("static", "as they were")


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
        rows.append(day_rows(day, inputs.programme, tested, gains))
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
