"""Tails and gains of any positions, options among them: a cube of today's snapshot on each day's scenarios."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from crossmargin.kernels.account_tails import account_tails
from crossmargin.kernels.rolling_tails import book_tails
from crossmargin.kernels.row_sums import aligned_zeros
from crossmargin.models.revaluation.cube import make_cube, marked_options
from crossmargin.models.scenarios.scenario_set import ScenarioPart, ScenarioSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crossmargin.models.revaluation.cube import MarkedOptions, ScenarioCube
    from crossmargin.models.revaluation.settings import RevaluationSettings
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.scenarios.rolling import RealisedMoves, RollingScenarios
    from crossmargin.validation.rolling_positions import Positions, RollingTails

__all__ = ["MarkedMarket", "fill_cube_tails", "realised_gains", "realised_rows"]

CHUNK: Final = 1024
"""Accounts whose gains of all days are in memory twice."""

CURVES: Final = ("volatility", "rate")
"""Kinds of factors without which an instrument can still be valued, by a rule."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MarkedMarket:
    """A snapshot with the settings of its valuation, and what every cube of it has in common.

    Parameters
    ----------
    snapshot : Snapshot
        Instruments and marks.
    revaluation : RevaluationSettings
        How they are valued.
    options : MarkedOptions
        Of the snapshot.
    """

    snapshot: Snapshot
    revaluation: RevaluationSettings
    options: MarkedOptions

    @classmethod
    def of(cls, snapshot: Snapshot, revaluation: RevaluationSettings) -> MarkedMarket:
        """Price the options of a snapshot."""
        return cls(snapshot=snapshot, revaluation=revaluation, options=marked_options(snapshot, revaluation))

    def cube(self, scenarios: ScenarioSet, **changes: str) -> ScenarioCube:
        """Value the snapshot in the scenarios of any day, with some settings changed."""
        settings = replace(self.revaluation, **changes)  # type: ignore[arg-type]
        moved = replace(scenarios, as_of=self.snapshot.as_of)
        return make_cube(self.snapshot, moved, settings, options=self.options)

    def rows_in(self, cube: ScenarioCube) -> Int64[np.ndarray, " instruments"]:
        """Return the row of a cube of each instrument of the snapshot, −1 where it was left out."""
        kept = (
            self.snapshot.instruments["instrument"].is_in(cube.instruments["instrument"].implode()).to_numpy()
        )
        return np.where(kept, np.cumsum(kept) - 1, -1)


def fill_cube_tails(
    tails: RollingTails,
    accounts: Int64[np.ndarray, " chosen"],
    positions: Positions,
    market: MarkedMarket,
    rolling: RollingScenarios,
    places: Int64[np.ndarray, " days"],
) -> None:
    """Fill the tails of some accounts, whose positions these are, on all days.

    Cost: a cube a day, see ``make_cube``.
    """
    buffer = rolling.settings.anti_procyclical.buffer
    for day, place in enumerate(places.tolist()):
        cube = market.cube(rolling.on(place))
        rows = market.rows_in(cube)
        held = positions.in_rows(rows)
        counts = np.array([part.tail_count for part in cube.parts], np.int64)
        shortfalls, at_risk = book_tails(
            held.starts,
            held.rows,
            held.quantities,
            cube.pnl[None],
            cube.layout.bounds,
            counts,
            scales=cube.scales,
        )
        whole = positions.whole(rows >= 0)[None]
        found = [*zip(shortfalls, at_risk, strict=True)]
        tails.put(slice(day, day + 1), accounts, cube.parts, found, whole, buffer)


def realised_gains(
    positions: Positions, market: MarkedMarket, rolling: RollingScenarios, realised: RealisedMoves
) -> tuple[Float64[np.ndarray, "days accounts"], Bool[np.ndarray, "days accounts"]]:
    """Value positions in what happened after each day.

    A volatility or interest rate without a move moves by rule or not at all, as in scenarios.

    Returns
    -------
    gains : ndarray of float64, shape (days, accounts)
        Gain (+) or loss (−), in float64; 0 where it is not known.
    known : ndarray of bool, shape (days, accounts)
        Whether every instrument of the account has a move of its underlying and its currency.
    """
    gains = np.zeros((realised.moves.shape[0], positions.count))
    known = np.zeros(gains.shape, np.bool_)
    for days, cube, rows, moving in _valued(market, rolling, realised):
        _add_gains(gains, days, positions.in_rows(rows), cube)
        patterns, of_day = np.unique(moving, axis=0, return_inverse=True)
        whole = np.array([positions.whole(pattern) for pattern in patterns])
        known[days] = whole[of_day.ravel()]
    gains[~known] = 0.0
    return gains, known


def realised_rows(
    market: MarkedMarket, rolling: RollingScenarios, realised: RealisedMoves
) -> tuple[Float64[np.ndarray, "instruments days"], Bool[np.ndarray, "instruments days"]]:
    """Value one long unit of each instrument in what happened after each day.

    Returns
    -------
    gains : ndarray of float64, shape (instruments, days)
        Gain (+) or loss (−); 0 where it is not known.
    known : ndarray of bool, shape (instruments, days)
        Whether its underlying and its currency have a move.
    """
    shape = (len(market.snapshot.instruments), realised.moves.shape[0])
    gains, known = np.zeros(shape), np.zeros(shape, np.bool_)
    for days, cube, rows, moving in _valued(market, rolling, realised):
        held = np.flatnonzero(rows >= 0)
        gains[np.ix_(held, days)] = cube.pnl[rows[held]][:, cube.layout.columns]
        known[:, days] = moving.T
    gains[~known] = 0.0
    return gains, known


def _valued(
    market: MarkedMarket, rolling: RollingScenarios, realised: RealisedMoves
) -> Iterator[
    tuple[
        Int64[np.ndarray, " some"],
        ScenarioCube,
        Int64[np.ndarray, " instruments"],
        Bool[np.ndarray, "some instruments"],
    ]
]:
    """Yield days with what happened as a cube, the row in it of each instrument, and which of them moved when."""
    for days, columns in _alike(rolling, realised):
        cube = market.cube(_happened(rolling, realised, days, columns), precision="float64")
        rows = market.rows_in(cube)
        yield days, cube, rows, _moving(market.snapshot, rolling, realised.valid[days]) & (rows >= 0)


def _alike(
    rolling: RollingScenarios, realised: RealisedMoves
) -> Iterator[tuple[Int64[np.ndarray, " some"], Int64[np.ndarray, " columns"]]]:
    """Yield days that have moves of the same volatilities and rates, and the factors that move on one of them."""
    valid = realised.valid
    optional = np.array([factor.kind in CURVES for factor in rolling.histories.factors])
    happened = np.flatnonzero(valid[:, ~optional].any(axis=1))
    if not happened.size:
        return
    _, group = np.unique(valid[happened][:, optional], axis=0, return_inverse=True)
    group = group.ravel()
    for number in range(int(group.max()) + 1):
        days = happened[group == number]
        yield days, np.flatnonzero(valid[days].any(axis=0))


def _happened(
    rolling: RollingScenarios,
    realised: RealisedMoves,
    days: Int64[np.ndarray, " some"],
    columns: Int64[np.ndarray, " columns"],
) -> ScenarioSet:
    """Return what happened after some days as scenarios."""
    histories = rolling.histories
    return ScenarioSet(
        as_of=histories.as_of,
        horizon_days=rolling.settings.horizon_days,
        factors=tuple(histories.factors[column] for column in columns),
        moves=realised.moves[np.ix_(days, columns)],
        labels=tuple(map(str, days.tolist())),
        parts=(ScenarioPart(name="realised", start=0, stop=days.size, tail_count=1, weight=1.0),),
        method="moves that happened",
        settings=(),
        input_hash=histories.content_hash,
    )


def _moving(
    snapshot: Snapshot, rolling: RollingScenarios, valid: Bool[np.ndarray, "days factors"]
) -> Bool[np.ndarray, "days instruments"]:
    """Say on which days the underlying and the currency of each instrument have a move."""
    columns = rolling.histories.columns
    padded = np.concatenate(
        [valid, np.zeros((valid.shape[0], 1), np.bool_), np.ones((valid.shape[0], 1), np.bool_)], axis=1
    )
    never, always = valid.shape[1], valid.shape[1] + 1
    instruments = snapshot.instruments
    spots = np.array([columns.get(f"spot:{name}", never) for name in instruments["underlying"]])
    currencies = instruments["currency"].to_list()
    rates = np.array(
        [
            always if name == snapshot.currency else columns.get(f"exchange_rate:{name}", never)
            for name in currencies
        ]
    )
    return padded[:, spots] & padded[:, rates]


def _add_gains(
    gains: Float64[np.ndarray, "days accounts"],
    days: Int64[np.ndarray, " some"],
    held: Positions,
    cube: ScenarioCube,
) -> None:
    """Fill the gains of some days from a cube of what happened."""
    bounds, counts = cube.layout.bounds, np.ones(1, np.int64)
    for first in range(0, held.count, CHUNK):
        chunk = held.select(np.arange(first, min(first + CHUNK, held.count)))
        sums = aligned_zeros((chunk.count, cube.pnl.shape[1]), np.float64)
        account_tails(chunk.starts, chunk.rows, chunk.quantities, cube.pnl, bounds, counts, pnl=sums)
        gains[days, first : first + chunk.count] = sums[:, : days.size].T
