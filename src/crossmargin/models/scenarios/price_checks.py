"""Checks of one price series: bad prints, unknown splits, jumps, stale prices.

A move is judged against the others of its day, so that a crash is no error: the *excess* is log return
less the median of all underlyings, and a move that ``CROWD`` or more make alike is never put down to an
error of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from crossmargin.errors import BadRecord, InputError
from crossmargin.models.scenarios.trading_days import FEW

if TYPE_CHECKING:
    from crossmargin.models.scenarios.findings import Days, FindingLog
    from crossmargin.models.scenarios.history_rules import HistoryRules

CROWD: Final = 3

__all__ = ["MarketMoves", "PriceMoves", "checked_moves", "market_moves", "runs"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PriceMoves:
    """Log returns of one series from each observed price to the next.

    Parameters
    ----------
    places : ndarray of int64, shape (prices,)
        Row of each price among the trading days, ascending.
    returns : ndarray of float64, shape (prices,)
        Log return from the price before, corporate actions included; 0 for the first.
    """

    places: Int64[np.ndarray, " prices"]
    returns: Float64[np.ndarray, " prices"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarketMoves:
    """What the market did on each trading day, to judge one series by.

    Parameters
    ----------
    medians : ndarray of float64, shape (days,)
        Median log return; 0 where fewer than ``FEW`` series have one.
    many_up, many_down : ndarray of bool, shape (days,)
        Where ``CROWD`` or more series moved beyond the threshold of a bad print in that direction.
    """

    medians: Float64[np.ndarray, " days"]
    many_up: Bool[np.ndarray, " days"]
    many_down: Bool[np.ndarray, " days"]

    def excess(self, moves: PriceMoves) -> Float64[np.ndarray, " prices"]:
        """Return the log returns less the market's."""
        return moves.returns - self.medians[moves.places]

    def alone(self, moves: PriceMoves) -> Bool[np.ndarray, " prices"]:
        """Return which moves few others made: where many fall or rise alike, it is no error of one."""
        up, down = self.many_up[moves.places], self.many_down[moves.places]
        return ~np.where(self.excess(moves) > 0, up, down)


def market_moves(moves: list[PriceMoves], day_count: int, large_move: float) -> MarketMoves:
    """Return what all series together did on each of ``day_count`` days.

    Parameters
    ----------
    moves : list of PriceMoves
        Every price series.
    day_count : int
        Trading days.
    large_move : float
        Simple return beyond which an excess counts for ``many_up`` and ``many_down``.
    """
    table = np.full((day_count, len(moves)), np.inf)
    for column, series in enumerate(moves):
        table[series.places[1:], column] = series.returns[1:]
    table.sort(axis=1)
    known = np.isfinite(table)
    count = known.sum(axis=1)
    rows = np.flatnonzero(count >= FEW)
    medians = np.zeros(day_count)
    medians[rows] = (table[rows, (count[rows] - 1) // 2] + table[rows, count[rows] // 2]) / 2
    excess = np.where(known, table - medians[:, None], 0.0)
    edge = np.log1p(large_move)
    up, down = (excess > edge).sum(axis=1), (excess < -edge).sum(axis=1)
    return MarketMoves(medians=medians, many_up=up >= CROWD, many_down=down >= CROWD)


def checked_moves(
    factor: str,
    moves: PriceMoves,
    days: Days,
    market: MarketMoves,
    rules: HistoryRules,
    log: FindingLog,
) -> PriceMoves:
    """Return the moves of one series with bad prints and unknown splits treated as the rules say.

    Raises
    ------
    InputError
        Listing every bad print, or every possible split, where the rules refuse them.
    """
    moves = _without_bad_prints(factor, moves, days, market, rules, log)
    moves = _without_splits(factor, moves, days, market, rules, log)
    moves = _since_last_break(factor, moves, days, rules.break_ratio, log)
    moves = _without_flat_start(factor, moves, days, rules.stale_days, log)
    jumps = np.abs(np.expm1(moves.returns)) > rules.jump_move
    log.add(factor, "jump", days[moves.places[jumps]], np.expm1(moves.returns[jumps]), "kept")
    _report_stale(factor, moves, days, rules.stale_days, log)
    return moves


def _without_bad_prints(
    factor: str,
    moves: PriceMoves,
    days: Days,
    market: MarketMoves,
    rules: HistoryRules,
    log: FindingLog,
) -> PriceMoves:
    """Drop prints whose excess move the next excess move takes back; their move joins the next."""
    excess = market.excess(moves)
    following = np.append(excess[1:], np.inf)
    bad = market.alone(moves) & (np.abs(excess) > np.log1p(rules.bad_print_move))
    bad &= np.abs(excess + following) <= rules.bad_print_rest * np.abs(excess)
    bad[:1] = False
    starts, lengths = runs(bad)
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        bad[start + 1 : start + length : 2] = False  # the way back of one is not another
    action = _action(rules.bad_prints, factor, "bad print", days[moves.places[bad]], "dropped")
    log.add(factor, "bad print", days[moves.places[bad]], np.expm1(moves.returns[bad]), action)
    if rules.bad_prints == "keep":
        return moves
    returns = moves.returns.copy()
    returns[1:] += np.where(bad[:-1], moves.returns[:-1], 0.0)
    return PriceMoves(places=moves.places[~bad], returns=returns[~bad])


def _without_splits(
    factor: str,
    moves: PriceMoves,
    days: Days,
    market: MarketMoves,
    rules: HistoryRules,
    log: FindingLog,
) -> PriceMoves:
    """Take the whole ratio out of moves that look like a split or consolidation of n to 1 or 1 to n."""
    excess = market.excess(moves)
    size = np.exp(np.minimum(np.abs(excess), np.log(2.0 * rules.split_ratio_max)))
    whole = np.rint(size)
    alike = (whole >= 2) & (whole <= rules.split_ratio_max)  # noqa: PLR2004  # a split makes two of one, at least
    alike &= market.alone(moves) & (np.abs(size - whole) <= rules.split_tolerance * whole)
    found = days[moves.places[alike]]
    action = _action(rules.possible_splits, factor, "possible split", found, "taken out")
    log.add(factor, "possible split", found, np.exp(moves.returns[alike]), action)
    if rules.possible_splits == "keep":
        return moves
    explained = np.where(alike, np.sign(excess) * np.log(np.maximum(whole, 1.0)), 0.0)
    return PriceMoves(places=moves.places, returns=moves.returns - explained)


def _since_last_break(
    factor: str, moves: PriceMoves, days: Days, break_ratio: float, log: FindingLog
) -> PriceMoves:
    """Drop what lies before a move too large for one: prices of something else, or in another unit."""
    breaks = np.flatnonzero(np.abs(moves.returns) > np.log(break_ratio))
    if not breaks.size:
        return moves
    action = "history before dropped"
    log.add(factor, "break", days[moves.places[breaks]], np.exp(moves.returns[breaks]), action)
    returns = moves.returns[breaks[-1] :].copy()
    returns[0] = 0.0
    return PriceMoves(places=moves.places[breaks[-1] :], returns=returns)


def _without_flat_start(
    factor: str, moves: PriceMoves, days: Days, stale_days: int, log: FindingLog
) -> PriceMoves:
    """Drop a first price that stands for many days, and the move away from it: nothing traded yet."""
    moved = np.flatnonzero(moves.returns)
    start = int(moved[0]) if moved.size else 0
    if start <= stale_days:
        return moves
    log.add(factor, "flat start", days[moves.places[start : start + 1]], np.array([start]), "dropped")
    returns = moves.returns[start:].copy()
    returns[0] = 0.0
    return PriceMoves(places=moves.places[start:], returns=returns)


def _action(choice: str, factor: str, kind: str, found: Days, done: str) -> str:
    """Return what a rule does in words; refuse where it says so."""
    if choice == "refuse" and found.size:
        rule = f"no {kind}, or a rule that treats it"
        records = [BadRecord(file="prices", line=0, field=factor, value=str(day), rule=rule) for day in found]
        raise InputError(records)
    return "kept" if choice == "keep" else done


def _report_stale(factor: str, moves: PriceMoves, days: Days, least: int, log: FindingLog) -> None:
    still = moves.returns == 0.0
    still[:1] = False
    starts, lengths = runs(still)
    long = lengths >= least
    log.add(factor, "stale", days[moves.places[starts[long]]], lengths[long], "kept")
    if still.any():
        last = np.flatnonzero(still)[-1:]
        log.add(factor, "zero returns", days[moves.places[last]], np.array([still.sum()]), "kept")


def runs(flags: Bool[np.ndarray, " n"]) -> tuple[Int64[np.ndarray, " runs"], Int64[np.ndarray, " runs"]]:
    """Return start and length of each run of true values."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return edges[::2], edges[1::2] - edges[::2]
