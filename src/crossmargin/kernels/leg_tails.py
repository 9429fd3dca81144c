"""Tails of units that several houses margin together: of every subset of a unit's legs, in one pass.

A leg is what one house holds of a unit. The profit and loss of a unit's legs stay in the cache of the
thread that owns the unit; the vectors of all legs never exist at once. A leg's vector is that of
``account_tails``, to the last bit; a subset's is the sum of its legs', in their order and in the type of
the rows. Cost: that of ``account_tails`` for the positions, then for each subset of the legs that a unit
has an addition of two vectors in the cache and its tails. Threads take blocks of units as they get free;
one thread owns a unit, so that their number changes no bit.
"""

from __future__ import annotations

from itertools import combinations
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Float64, Int16, Int32, Int64
from numba import get_num_threads, njit, prange

from crossmargin.kernels.account_tails import (
    NO_SCALES,
    account_tails_numpy,
    aligned_line,
    check_inputs,
    check_scales,
    sum_account,
    tile_columns,
    widened,
)
from crossmargin.kernels.correlations import LANES, MOMENTS, correlation, correlation_numpy
from crossmargin.kernels.row_sums import SCALE_COLUMNS, TILE_BYTES, take_ticket
from crossmargin.kernels.tail_means import (
    Scratch,
    mean_loss,
    tail_mean_numpy,
    tail_scenarios_numpy,
    tail_scratch,
    worst_scenarios,
)

__all__ = ["HOUSES_MAX", "LegTails", "leg_tails", "leg_tails_numpy"]

HOUSES_MAX: Final = 6
"""Subsets double with each house; their vectors are to stay in the second cache."""
BLOCK_UNITS: Final = 16


class LegTails(NamedTuple):
    """What ``leg_tails`` finds.

    Parameters
    ----------
    shortfalls : ndarray of float64, shape (units, subsets, parts)
        Expected shortfall of each subset of the houses, loss-positive; house h belongs to the subsets
        whose number has bit h, subset 0 has none and no loss.
    leg_losses : ndarray of float64, shape (units, houses, parts)
        Mean loss of each leg in the worst scenarios of all legs together: what Euler's allocation gives it.
    correlations : ndarray of float64, shape (units, pairs, parts)
        Of each pair of legs' profit and loss, pairs as (0, 1), (0, 2), … (1, 2); NaN where a leg has no
        position or always the same result.
    """

    shortfalls: Float64[np.ndarray, "units subsets parts"]
    leg_losses: Float64[np.ndarray, "units houses parts"]
    correlations: Float64[np.ndarray, "units pairs parts"]


@njit(cache=True, error_model="numpy")
def _sum_legs(
    sums: Float[np.ndarray, "subsets columns"],
    cube: Float[np.ndarray, "instruments columns"] | Int16[np.ndarray, "instruments columns"],
    scales: Float32[np.ndarray, "instruments spans"],
    rows: Int32[np.ndarray, " positions"],
    quantities: Float[np.ndarray, " positions"],
    tiles: Int64[np.ndarray, " tiles"],
    starts: Int64[np.ndarray, " houses+1"],
) -> int:
    """Fill the vectors of the subsets of one leg; return the subset of all legs that have positions."""
    present = 0
    for house in range(starts.size - 1):
        begin, end = starts[house], starts[house + 1]
        if begin < end:
            leg = 1 << house
            sum_account(sums[leg], cube, scales, rows, quantities, tiles, begin, end)
            present |= leg
    return present


@njit(cache=True, error_model="numpy")
def _add_last(sums: Float[np.ndarray, "subsets columns"], subset: int) -> None:
    """Fill the vector of a subset of several legs: that without its last leg, and that leg's."""
    last = 1
    while 2 * last <= subset:
        last *= 2
    if last == subset:
        return
    others, leg, total = sums[subset - last], sums[last], sums[subset]
    for column in range(total.size):
        total[column] = others[column] + leg[column]


@njit(cache=True, error_model="numpy")
def _leg_losses(
    sums: Float[np.ndarray, "subsets columns"],
    start: int,
    ids: Int32[np.ndarray, " tail"],
    losses: Float64[np.ndarray, " houses"],
    present: int,
) -> None:
    """Fill the mean loss of each leg in some scenarios, added in float64 in the order given."""
    for house in range(losses.size):
        if present >> house & 1:
            leg = sums[1 << house]
            total = 0.0
            for scenario in ids:
                total += np.float64(leg[start + scenario])
            losses[house] = 0.0 - total / ids.size


@njit(cache=True, error_model="numpy")
def _subset_tails(
    sums: Float[np.ndarray, "subsets columns"],
    present: int,
    parts: Int64[np.ndarray, "parts 2"],
    tail_counts: Int64[np.ndarray, " parts"],
    memory: tuple[Float[np.ndarray, " tail"], Int32[np.ndarray, " tail"], Scratch],
    shortfalls: Float64[np.ndarray, "subsets parts"],
    leg_losses: Float64[np.ndarray, "houses parts"],
) -> None:
    """Fill the tails of one unit; a subset with legs that have no position is the one without them."""
    worst, ids, scratch = memory
    for subset in range(1, shortfalls.shape[0]):
        held = subset & present
        if held != subset:
            shortfalls[subset] = shortfalls[held]
            continue
        _add_last(sums, subset)
        for part in range(tail_counts.size):
            count, start = tail_counts[part], parts[part, 0]
            fine = worst_scenarios(sums[subset], start, parts[part, 1], worst[:count], ids[:count], scratch)
            shortfalls[subset, part] = mean_loss(worst[:count]) if fine else np.nan
            if fine and subset == present:
                _leg_losses(sums, start, ids[:count], leg_losses[:, part], present)


@njit(cache=True, error_model="numpy")
def _correlate(
    sums: Float[np.ndarray, "subsets columns"],
    present: int,
    houses: int,
    parts: Int64[np.ndarray, "parts 2"],
    correlations: Float64[np.ndarray, "pairs parts"],
    lanes: Float64[np.ndarray, "5 16"],
) -> None:
    """Fill the correlation of each pair of legs in each part."""
    pair = 0
    for house in range(houses):
        for other in range(house + 1, houses):
            if present >> house & 1 and present >> other & 1:
                a, b = sums[1 << house], sums[1 << other]
                for part in range(parts.shape[0]):
                    correlations[pair, part] = correlation(a, b, parts[part, 0], parts[part, 1], lanes)
            pair += 1


@njit(cache=True, parallel=True, error_model="numpy")
def _fill(
    starts: Int64[np.ndarray, " legs+1"],
    rows: Int32[np.ndarray, " positions"],
    quantities: Float[np.ndarray, " positions"],
    cube: Float[np.ndarray, "instruments columns"] | Int16[np.ndarray, "instruments columns"],
    scales: Float32[np.ndarray, "instruments spans"],
    tiles: Int64[np.ndarray, " tiles"],
    parts: Int64[np.ndarray, "parts 2"],
    tail_counts: Int64[np.ndarray, " parts"],
    shortfalls: Float64[np.ndarray, "units subsets parts"],
    leg_losses: Float64[np.ndarray, "units houses parts"],
    correlations: Float64[np.ndarray, "units pairs parts"],
    ticket: Int64[np.ndarray, " 1"],
    threads: int,
) -> None:
    units, houses = leg_losses.shape[0], leg_losses.shape[1]
    for _ in prange(threads):
        sums = aligned_line(shortfalls.shape[1] * cube.shape[1], quantities).reshape(-1, cube.shape[1])
        worst = np.empty(tail_counts.max(), quantities.dtype)
        memory = (worst, np.empty(worst.size, np.int32), tail_scratch(quantities))
        lanes = np.empty((MOMENTS, LANES))
        first = take_ticket(ticket) * BLOCK_UNITS
        while first < units:
            for unit in range(first, min(first + BLOCK_UNITS, units)):
                legs = starts[unit * houses : (unit + 1) * houses + 1]
                present = _sum_legs(sums, cube, scales, rows, quantities, tiles, legs)
                _subset_tails(sums, present, parts, tail_counts, memory, shortfalls[unit], leg_losses[unit])
                _correlate(sums, present, houses, parts, correlations[unit], lanes)
            first = take_ticket(ticket) * BLOCK_UNITS


def leg_tails(
    starts: Int64[np.ndarray, " legs+1"],
    rows: Int32[np.ndarray, " positions"],
    quantities: Float[np.ndarray, " positions"],
    cube: Float[np.ndarray, "instruments columns"] | Int16[np.ndarray, "instruments columns"],
    parts: Int64[np.ndarray, "parts 2"],
    tail_counts: Int64[np.ndarray, " parts"],
    *,
    houses: int,
    scales: Float32[np.ndarray, "instruments spans"] | None = None,
) -> LegTails:
    """Return the tails of every subset of the legs of each unit, and what the legs have in common.

    Parameters
    ----------
    starts : ndarray of int64, shape (legs + 1,)
        Positions ``starts[i]`` up to ``starts[i + 1]`` belong to leg i: house i mod ``houses`` of unit
        i // ``houses``. A leg may have none.
    rows, quantities, cube, parts, tail_counts, scales
        As in ``account_tails``.
    houses : int
        Legs of each unit, 1 to ``HOUSES_MAX``.

    Raises
    ------
    ValueError
        If a scenario result of a unit is NaN or infinite; the message names the first units.
    """
    kind = np.float64 if cube.dtype == np.float64 else np.float32
    parts, tail_counts = np.asarray(parts, np.int64), np.asarray(tail_counts, np.int64)
    assert 1 <= houses <= HOUSES_MAX, "one to six houses"
    assert (starts.size - 1) % houses == 0, "each unit has a leg, maybe empty, of each house"
    check_inputs(starts, rows, quantities, cube.shape, parts, tail_counts)
    check_scales(cube, scales)
    width = TILE_BYTES // kind().itemsize
    columns = max(cube.shape[1], width)
    units, pairs = (starts.size - 1) // houses, houses * (houses - 1) // 2
    shortfalls = np.zeros((units, 1 << houses, tail_counts.size))
    leg_losses = np.zeros((units, houses, tail_counts.size))
    correlations = np.full((units, pairs, tail_counts.size), np.nan)
    if rows.size:
        _fill(
            starts,
            np.ascontiguousarray(rows),
            np.ascontiguousarray(quantities, kind),
            widened(cube, columns),
            NO_SCALES if scales is None else widened(scales, columns // SCALE_COLUMNS),
            tile_columns(parts, columns, width),
            parts,
            tail_counts,
            shortfalls,
            leg_losses,
            correlations,
            np.zeros(1, np.int64),
            get_num_threads(),
        )
    _refuse_spoilt(shortfalls)
    return LegTails(shortfalls, leg_losses, correlations)


def _refuse_spoilt(shortfalls: Float64[np.ndarray, "units subsets parts"]) -> None:
    spoilt = np.flatnonzero(~np.isfinite(shortfalls).all(axis=(1, 2)))
    if spoilt.size:
        shown = ", ".join(map(str, spoilt[:10]))
        raise ValueError(f"a scenario result is NaN or infinite in {spoilt.size:,} units, first: {shown}")


def leg_tails_numpy(
    starts: Int64[np.ndarray, " legs+1"],
    rows: Int32[np.ndarray, " positions"],
    quantities: Float[np.ndarray, " positions"],
    cube: Float[np.ndarray, "instruments columns"] | Int16[np.ndarray, "instruments columns"],
    parts: Int64[np.ndarray, "parts 2"],
    tail_counts: Int64[np.ndarray, " parts"],
    *,
    houses: int,
    scales: Float32[np.ndarray, "instruments spans"] | None = None,
) -> LegTails:
    """Do what ``leg_tails`` does, readably: the reference in tests."""
    kind = np.float64 if cube.dtype == np.float64 else np.float32
    legs = np.zeros((starts.size - 1, cube.shape[1]), kind)
    account_tails_numpy(starts, rows, quantities, cube, parts, tail_counts, scales=scales, pnl=legs)
    pnl = legs.reshape(-1, houses, cube.shape[1])
    found = LegTails(
        np.zeros((len(pnl), 1 << houses, len(parts))),
        np.zeros((len(pnl), houses, len(parts))),
        np.full((len(pnl), houses * (houses - 1) // 2, len(parts)), np.nan),
    )
    for unit, unit_legs in enumerate(pnl):
        for part, ((start, stop), count) in enumerate(zip(parts, tail_counts, strict=True)):
            inside = unit_legs[:, start:stop]
            for subset in range(1 << houses):
                total = np.zeros(stop - start, kind)
                for house in range(houses):
                    total = total + inside[house] if subset >> house & 1 else total
                found.shortfalls[unit, subset, part] = tail_mean_numpy(total, count)
            worst = inside[:, tail_scenarios_numpy(total, count)].astype(np.float64)
            found.leg_losses[unit, :, part] = 0.0 - np.cumsum(worst, axis=1)[:, -1] / count
            found.correlations[unit, :, part] = [
                correlation_numpy(inside[a], inside[b]) for a, b in combinations(range(houses), 2)
            ]
    return found
