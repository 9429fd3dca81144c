"""What today's positions would have been margined on past days, and what they then gained or lost.

The portfolio is static: quantities, instruments and marks are those of the snapshot on every day. The margin of a
day rests on the scenarios known on that day alone; the gain is that of the moves over the trading days after it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from crossmargin.errors import BadRecord, InputError
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.scenarios.rolling import RollingScenarios
from crossmargin.validation.rolling_cubes import MarkedMarket, fill_cube_tails, realised_gains
from crossmargin.validation.rolling_linear import LinearBook, fill_linear_tails
from crossmargin.validation.rolling_positions import Positions, RollingTails

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.scenarios.build import ScenarioSettings
    from crossmargin.models.scenarios.findings import Days
    from crossmargin.models.scenarios.histories import Histories

__all__ = ["RollingMargins", "rolling_margins"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RollingMargins:
    """Margins and gains of accounts on past days; money in the snapshot's currency.

    Parameters
    ----------
    days : ndarray of datetime64[D], shape (days,)
        Days on which margins were computed.
    horizon_days : int
        Trading days over which gains are.
    margin : ndarray of int64, shape (days, accounts)
        In hundredths, at least 0; 0 where the account is not margined.
    gain : ndarray of float64, shape (days, accounts)
        Gain (+) or loss (−) over the horizon after the day; 0 where it is not realised.
    expected_shortfall, value_at_risk : ndarray of float64, shape (days, accounts)
        Of the first part of the scenarios, without weight and buffer, positive = loss: mean and best of its worst
        scenarios.
    margined : ndarray of bool, shape (days, accounts)
        Whether the day had scenarios of every instrument that the account holds.
    realised : ndarray of bool, shape (days, accounts)
        Whether every instrument that it holds had a move over the horizon.
    """

    days: Days
    horizon_days: int
    margin: Int64[np.ndarray, "days accounts"]
    gain: Float64[np.ndarray, "days accounts"]
    expected_shortfall: Float64[np.ndarray, "days accounts"]
    value_at_risk: Float64[np.ndarray, "days accounts"]
    margined: Bool[np.ndarray, "days accounts"]
    realised: Bool[np.ndarray, "days accounts"]


def rolling_margins(
    snapshot: Snapshot,
    histories: Histories,
    settings: ScenarioSettings,
    starts: Int64[np.ndarray, " accounts+1"],
    rows: Int32[np.ndarray, " positions"],
    quantities: Float64[np.ndarray, " positions"] | Int64[np.ndarray, " positions"],
    *,
    days: Int64[np.ndarray, " days"],
    horizon_days: int,
    revaluation: RevaluationSettings | None = None,
) -> RollingMargins:
    """Margin today's positions on past days by the joint expected-shortfall model, and say what followed.

    Parameters
    ----------
    snapshot : Snapshot
        Marks, instruments and currency of every day.
    histories : Histories
        Of all days, before and after those asked for.
    settings : ScenarioSettings
        How each day's scenarios are made, and the buffer.
    starts, rows, quantities : ndarray
        Positions ``starts[a]`` up to ``starts[a + 1]`` are of account a: row of ``snapshot.instruments``, and units
        held (+ long, − short), as in ``programmes.books.Books``.
    days : ndarray of int64, shape (days,)
        Rows of ``histories.days``, ascending; see ``RollingScenarios.first_place``.
    horizon_days : int
        Trading days after a day over which its gain is, at least 1.
    revaluation : RevaluationSettings, optional
        As in ``make_cube``.

    Raises
    ------
    InputError
        If days or horizon are out of range, or a day has no scenarios; see ``RollingScenarios.known``.
    """
    _require(histories, days, horizon_days)
    rolling = RollingScenarios(histories=histories, settings=settings)
    positions = Positions(starts=starts, rows=rows, quantities=quantities.astype(np.float64))
    used = revaluation or RevaluationSettings()
    realised = rolling.realised(days, horizon_days)
    tails = RollingTails.empty(days.size, positions.count)
    gain, known = np.zeros(tails.margin.shape), np.zeros(tails.margin.shape, np.bool_)
    for accounts, held, is_linear in _routes(snapshot, positions, used):
        if is_linear:
            book = LinearBook.of(held, snapshot, rolling, used)
            fill_linear_tails(tails, accounts, book, rolling, days)
            market = MarkedMarket.of(replace(snapshot, instruments=book.instruments), used)
            found = realised_gains(book.positions, market, rolling, realised)
        else:
            market = MarkedMarket.of(snapshot, used)
            fill_cube_tails(tails, accounts, held, market, rolling, days)
            found = realised_gains(held, market, rolling, realised)
        gain[:, accounts], known[:, accounts] = found
    empty = np.diff(starts) == 0
    tails.margined[:, empty] = True
    known[:, empty] = realised.valid.any(axis=1, keepdims=True)
    return RollingMargins(
        days=histories.days[days],
        horizon_days=horizon_days,
        margin=tails.margin,
        gain=gain,
        expected_shortfall=tails.expected_shortfall,
        value_at_risk=tails.value_at_risk,
        margined=tails.margined,
        realised=known,
    )


def _routes(
    snapshot: Snapshot, positions: Positions, revaluation: RevaluationSettings
) -> Iterator[tuple[Int64[np.ndarray, " chosen"], Positions, bool]]:
    """Yield the accounts that can do without a cube a day, and those that cannot; not those without positions.

    The first hold no option, and their rows are not rounded to 16 bits.
    """
    linear = positions.whole((snapshot.instruments["kind"] != "option").to_numpy())
    linear &= revaluation.precision != "int16"
    held = np.diff(positions.starts) > 0
    for is_linear in (True, False):
        accounts = np.flatnonzero(held & (linear == is_linear))
        if accounts.size:
            yield accounts, positions.select(accounts), is_linear


def _require(histories: Histories, days: Int64[np.ndarray, " days"], horizon_days: int) -> None:
    def bad() -> Iterator[BadRecord]:
        if horizon_days < 1:
            rule = "at least one trading day"
            yield BadRecord(file="margins", line=0, field="horizon_days", value=str(horizon_days), rule=rule)
        for place in days[(days < 0) | (days >= histories.days.size)].tolist():
            rule = f"a row of the {histories.days.size:,} days of the histories"
            yield BadRecord(file="margins", line=0, field="days", value=str(place), rule=rule)
        if np.any(np.diff(days) <= 0):
            yield BadRecord(file="margins", line=0, field="days", value="", rule="ascending, each once")

    if records := [*bad()]:
        raise InputError(records)
