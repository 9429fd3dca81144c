"""Expected shortfall of every account, straight from the rows of its instruments, in one pass.

Cost: positions × scenarios × 4 bytes (float32) are read, from memory where a row was not used lately; a
product and an addition for each. The sums of a tile of columns stay in registers (``row_sums``), those of
an account in the first cache, where its tails are taken at once; no matrix of accounts × scenarios is made
unless it is asked for. Threads take blocks of accounts as they get free. One thread owns an account and
adds its positions in the order given, product and sum rounded one after the other, so that neither the
number of threads nor the processor changes a bit.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Float, Float32, Float64, Int16, Int32, Int64
from numba import get_num_threads, njit, prange

from crossmargin.kernels.row_sums import (
    LINE_BYTES,
    SCALE_COLUMNS,
    TILE_BYTES,
    aligned_zeros,
    sum_tile,
    take_ticket,
)
from crossmargin.kernels.tail_means import (
    check_parts,
    mean_loss,
    tail_mean_numpy,
    tail_scratch,
    worst_scenarios,
)

__all__ = [
    "NO_SCALES",
    "account_tails",
    "account_tails_numpy",
    "aligned_line",
    "check_inputs",
    "check_scales",
    "sum_account",
    "tail_contributions",
    "tile_columns",
    "widened",
]

BLOCK_ACCOUNTS: Final = 32
NO_SCALES: Final = np.zeros((0, 0), np.float32)


@njit(cache=True, error_model="numpy")
def aligned_line(count: int, like: Float[np.ndarray, " any"]) -> Float[np.ndarray, " count"]:
    """Return zeros of the type of another array that begin on a cache line."""
    memory = np.zeros(count + LINE_BYTES // like.itemsize, like.dtype)
    first = (-memory.ctypes.data % LINE_BYTES) // like.itemsize
    return memory[first : first + count]


@njit(cache=True, error_model="numpy")
def sum_account(
    pnl: Float[np.ndarray, " columns"],
    cube: Float[np.ndarray, "instruments columns"] | Int16[np.ndarray, "instruments columns"],
    scales: Float32[np.ndarray, "instruments spans"],
    rows: Int32[np.ndarray, " positions"],
    quantities: Float[np.ndarray, " positions"],
    tiles: Int64[np.ndarray, " tiles"],
    begin: int,
    end: int,
) -> None:
    """Add the positions of an account, in order, over a tile of columns."""
    last = tiles.size - 1
    for tile in range(last):
        sum_tile(pnl, cube, scales, rows, quantities, tiles[tile], begin, end, end - begin, tiles[tile + 1])
    sum_tile(pnl, cube, scales, rows, quantities, tiles[last], begin, end, 0, tiles[0])


@njit(cache=True, parallel=True, error_model="numpy")
def _fill(
    starts: Int64[np.ndarray, " accounts+1"],
    rows: Int32[np.ndarray, " positions"],
    quantities: Float[np.ndarray, " positions"],
    cube: Float[np.ndarray, "instruments columns"] | Int16[np.ndarray, "instruments columns"],
    scales: Float32[np.ndarray, "instruments spans"],
    tiles: Int64[np.ndarray, " tiles"],
    parts: Int64[np.ndarray, "parts 2"],
    tail_counts: Int64[np.ndarray, " parts"],
    pnl: Float[np.ndarray, "accounts columns"],
    shortfalls: Float64[np.ndarray, "accounts parts"],
    ticket: Int64[np.ndarray, " 1"],
    threads: int,
) -> None:
    accounts = starts.size - 1
    for _ in prange(threads):
        own = aligned_line(cube.shape[1], quantities)
        scratch = tail_scratch(quantities)
        worst = np.empty(tail_counts.max(), quantities.dtype)
        ids = np.empty(worst.size, np.int32)
        first = take_ticket(ticket) * BLOCK_ACCOUNTS
        while first < accounts:
            for account in range(first, min(first + BLOCK_ACCOUNTS, accounts)):
                sums = pnl[account] if pnl.size else own
                sum_account(sums, cube, scales, rows, quantities, tiles, starts[account], starts[account + 1])
                for part in range(tail_counts.size):
                    tail = worst[: tail_counts[part]]
                    fine = worst_scenarios(sums, parts[part, 0], parts[part, 1], tail, ids, scratch)
                    shortfalls[account, part] = mean_loss(tail) if fine else np.nan
            first = take_ticket(ticket) * BLOCK_ACCOUNTS


def tile_columns(
    parts: Int64[np.ndarray, "parts 2"], columns: int, width: int
) -> Int64[np.ndarray, " tiles"]:
    """Return the first columns of tiles of ``width`` columns that cover the parts; the last may go back."""
    tiles = []
    covered = 0
    for start, stop in sorted(parts.tolist()):
        column = max(start // SCALE_COLUMNS * SCALE_COLUMNS, covered)
        while column < stop:
            tiles.append(min(column, columns - width))
            column = tiles[-1] + width
        covered = column
    return np.array(tiles, np.int64)


def widened(array: np.ndarray, columns: int) -> np.ndarray:
    """Return rows that are at least a tile long; only small cubes are copied."""
    missing = columns - array.shape[1]
    return np.pad(array, ((0, 0), (0, missing))) if missing > 0 else np.ascontiguousarray(array)


def check_inputs(
    starts: Int64[np.ndarray, " accounts+1"],
    rows: Int32[np.ndarray, " positions"],
    quantities: Float[np.ndarray, " positions"],
    shape: tuple[int, ...],
    parts: Int64[np.ndarray, "parts 2"],
    tail_counts: Int64[np.ndarray, " parts"],
) -> None:
    """Assert what would make the kernel read beyond its arrays."""
    assert starts[0] == 0, "the first account begins with the first position"
    assert starts[-1] == rows.size == quantities.size, "the last account ends with the last position"
    assert np.all(np.diff(starts) >= 0), "starts ascend"
    if rows.size:
        assert 0 <= rows.min() <= rows.max() < shape[0], "a position's row is one of the cube"
    check_parts(parts, tail_counts, shape[1])


def check_scales(
    cube: Float[np.ndarray, "instruments columns"] | Int16[np.ndarray, "instruments columns"],
    scales: Float32[np.ndarray, "instruments spans"] | None,
) -> None:
    """Assert that rows in sixteen bits come with a scale for each span, and others without."""
    assert (cube.dtype == np.int16) == (scales is not None), "int16 rows have scales, others have none"
    if scales is not None:
        assert scales.dtype == np.float32, "scales are float32"
        assert scales.shape == (cube.shape[0], cube.shape[1] // SCALE_COLUMNS), "a scale per 64 columns"
        assert cube.shape[1] % SCALE_COLUMNS == 0, "rows of int16 are whole spans of a scale"


def account_tails(
    starts: Int64[np.ndarray, " accounts+1"],
    rows: Int32[np.ndarray, " positions"],
    quantities: Float[np.ndarray, " positions"],
    cube: Float[np.ndarray, "instruments columns"] | Int16[np.ndarray, "instruments columns"],
    parts: Int64[np.ndarray, "parts 2"],
    tail_counts: Int64[np.ndarray, " parts"],
    *,
    scales: Float32[np.ndarray, "instruments spans"] | None = None,
    pnl: Float[np.ndarray, "accounts columns"] | None = None,
) -> Float64[np.ndarray, "accounts parts"]:
    """Return the expected shortfall of each account in each part of the scenarios.

    Parameters
    ----------
    starts : ndarray of int64, shape (accounts + 1,)
        Positions ``starts[a]`` up to ``starts[a + 1]`` belong to account a.
    rows : ndarray of int32, shape (positions,)
        Row of ``cube`` of each position.
    quantities : ndarray of float64 or float32, shape (positions,)
        Units held, + long, − short; rounded to the type of the sums.
    cube : ndarray of float32, float64 or int16, shape (instruments, columns)
        Gain (+) or loss (−) of one unit in each scenario. Sums have its type, float32 for int16. Fastest
        from ``row_sums.aligned_zeros`` with rows of whole lines.
    parts : ndarray of int64, shape (parts, 2)
        First column of each part and the column after its last; columns outside all parts do not count.
    tail_counts : ndarray of int64, shape (parts,)
        Scenarios in the tail of each part; see ``core.tails.tail_count``.
    scales : ndarray of float32, shape (instruments, columns / 64), optional
        Of an int16 cube: see ``quantised_rows.quantise_rows``.
    pnl : ndarray of the type of the sums, shape (accounts, columns), optional
        Filled with each account's gain (+) or loss (−) in the columns of all parts, for what-ifs.

    Returns
    -------
    ndarray of float64, shape (accounts, parts)
        The mean of the worst scenarios as a loss: positive = loss. Zero for an account without positions.

    Raises
    ------
    ValueError
        If a scenario result of an account is NaN or infinite; the message names the first accounts.
    """
    kind = np.float64 if cube.dtype == np.float64 else np.float32
    parts, tail_counts = np.asarray(parts, np.int64), np.asarray(tail_counts, np.int64)
    check_inputs(starts, rows, quantities, cube.shape, parts, tail_counts)
    check_scales(cube, scales)
    width = TILE_BYTES // np.dtype(kind).itemsize
    columns = max(cube.shape[1], width)
    wide_scales = NO_SCALES if scales is None else widened(scales, columns // SCALE_COLUMNS)
    direct = pnl is not None and pnl.shape[1] == columns and pnl.flags.c_contiguous
    sums = (
        pnl
        if pnl is not None and direct
        else aligned_zeros((0 if pnl is None else starts.size - 1, columns), kind)
    )
    assert sums.dtype == kind, "stored results have the type of the sums"
    shortfalls = np.zeros((starts.size - 1, tail_counts.size))
    if rows.size:
        _fill(
            starts,
            np.ascontiguousarray(rows),
            np.ascontiguousarray(quantities, kind),
            widened(cube, columns),
            wide_scales,
            tile_columns(parts, columns, width),
            parts,
            tail_counts,
            sums,
            shortfalls,
            np.zeros(1, np.int64),
            get_num_threads(),
        )
    if pnl is not None and not direct:
        pnl[...] = sums[:, : cube.shape[1]]
    _refuse_spoilt(shortfalls)
    return shortfalls


def _refuse_spoilt(shortfalls: Float64[np.ndarray, "accounts parts"]) -> None:
    spoilt = np.flatnonzero(~np.isfinite(shortfalls).all(axis=1))
    if spoilt.size:
        shown = ", ".join(map(str, spoilt[:10]))
        raise ValueError(f"a scenario result is NaN or infinite in {spoilt.size:,} accounts, first: {shown}")


def account_tails_numpy(
    starts: Int64[np.ndarray, " accounts+1"],
    rows: Int32[np.ndarray, " positions"],
    quantities: Float[np.ndarray, " positions"],
    cube: Float[np.ndarray, "instruments columns"] | Int16[np.ndarray, "instruments columns"],
    parts: Int64[np.ndarray, "parts 2"],
    tail_counts: Int64[np.ndarray, " parts"],
    *,
    scales: Float32[np.ndarray, "instruments spans"] | None = None,
    pnl: Float[np.ndarray, "accounts columns"] | None = None,
) -> Float64[np.ndarray, "accounts parts"]:
    """Do what ``account_tails`` does, readably: the reference in tests."""
    kind = np.float64 if cube.dtype == np.float64 else np.float32
    shortfalls = np.zeros((starts.size - 1, tail_counts.size))
    for account, (begin, end) in enumerate(pairwise(starts)):
        sums = np.zeros(cube.shape[1], kind)
        for position in range(begin, end):
            row, quantity = cube[rows[position]].astype(kind), kind(quantities[position])
            weight = (
                quantity if scales is None else quantity * np.repeat(scales[rows[position]], SCALE_COLUMNS)
            )
            sums = sums + weight * row
        if pnl is not None:
            pnl[account] = sums
        for part, (start, stop) in enumerate(parts):
            shortfalls[account, part] = tail_mean_numpy(sums[start:stop], tail_counts[part])
    return shortfalls


def tail_contributions(
    rows: Int32[np.ndarray, " positions"],
    quantities: Float[np.ndarray, " positions"],
    cube: Float[np.ndarray, "instruments columns"],
    start: int,
    scenarios: Int32[np.ndarray, " tail"],
) -> Float64[np.ndarray, " positions"]:
    """Return what each position adds to the expected shortfall of its account (Euler's allocation).

    The mean loss of the position over the scenarios of the account's tail, in float64; these add up to the
    expected shortfall of sums in float64, but for rounding.

    Parameters
    ----------
    rows, quantities, cube
        As in ``account_tails``, of one account.
    start : int
        First column of the part.
    scenarios : ndarray of int32, shape (tail,)
        The worst scenarios of the account, from ``tail_means.tail_scenarios``.

    Returns
    -------
    ndarray of float64, shape (positions,)
        Positive = adds to the loss.
    """
    losses = cube[rows[:, None], start + scenarios].astype(np.float64)
    return 0.0 - np.asarray(quantities, np.float64) * losses.sum(axis=1) / scenarios.size
