"""Expected shortfall and value-at-risk of many accounts, day after day.

``book_tails`` takes one day's rows of profit and loss, as ``account_tails`` does, and tells the last of the tail
too. ``member_tails`` takes results that never change, of which each day counts some: those of an account are put
in order once, and a day's tail is the first so many of them that count on that day. It costs a sort an account,
and for each account and day some steps through the worst results: tail × results ÷ those that count, if these
are spread evenly.

A thread owns an account; the tail is added in ascending order in float64, so that neither the number of threads
nor the way in which the tail was found changes a bit.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int16, Int32, Int64
from numba import get_num_threads, njit, prange

from crossmargin.kernels.account_tails import (
    BLOCK_ACCOUNTS,
    NO_SCALES,
    aligned_line,
    check_inputs,
    check_scales,
    sum_account,
    tile_columns,
    widened,
)
from crossmargin.kernels.row_sums import SCALE_COLUMNS, TILE_BYTES, take_ticket
from crossmargin.kernels.tail_means import mean_loss, tail_mean_numpy, tail_scratch, worst_scenarios

__all__ = ["book_tails", "book_tails_numpy", "member_tails", "member_tails_numpy"]

BLOCK_BOOKS: Final = 64
"""Accounts whose ordered results, and a day's members, stay in the second cache."""


@njit(cache=True, parallel=True, error_model="numpy")
def _fill(
    starts: Int64[np.ndarray, " accounts+1"],
    rows: Int32[np.ndarray, " positions"],
    quantities: Float[np.ndarray, " positions"],
    cubes: Float[np.ndarray, "days instruments columns"] | Int16[np.ndarray, "days instruments columns"],
    scales: Float32[np.ndarray, "instruments spans"],
    tiles: Int64[np.ndarray, " tiles"],
    parts: Int64[np.ndarray, "parts 2"],
    tail_counts: Int64[np.ndarray, " parts"],
    shortfalls: Float64[np.ndarray, "parts days accounts"],
    at_risk: Float64[np.ndarray, "parts days accounts"],
    ticket: Int64[np.ndarray, " 1"],
    threads: int,
) -> None:
    accounts = starts.size - 1
    blocks = (accounts + BLOCK_ACCOUNTS - 1) // BLOCK_ACCOUNTS
    for _ in prange(threads):
        sums = aligned_line(cubes.shape[2], quantities)
        scratch = tail_scratch(quantities)
        worst = np.empty(tail_counts.max(), quantities.dtype)
        ids = np.empty(worst.size, np.int32)
        number = take_ticket(ticket)
        while number < blocks * cubes.shape[0]:
            day, first = number // blocks, number % blocks * BLOCK_ACCOUNTS
            cube = cubes[day]
            for account in range(first, min(first + BLOCK_ACCOUNTS, accounts)):
                sum_account(sums, cube, scales, rows, quantities, tiles, starts[account], starts[account + 1])
                for part in range(tail_counts.size):
                    tail = worst[: tail_counts[part]]
                    fine = worst_scenarios(sums, parts[part, 0], parts[part, 1], tail, ids, scratch)
                    shortfalls[part, day, account] = mean_loss(tail) if fine else np.nan
                    at_risk[part, day, account] = 0.0 - np.float64(tail[-1])
            number = take_ticket(ticket)


def book_tails(
    starts: Int64[np.ndarray, " accounts+1"],
    rows: Int32[np.ndarray, " positions"],
    quantities: Float[np.ndarray, " positions"],
    cubes: Float[np.ndarray, "days instruments columns"] | Int16[np.ndarray, "days instruments columns"],
    parts: Int64[np.ndarray, "parts 2"],
    tail_counts: Int64[np.ndarray, " parts"],
    *,
    scales: Float32[np.ndarray, "instruments spans"] | None = None,
) -> tuple[Float64[np.ndarray, "parts days accounts"], Float64[np.ndarray, "parts days accounts"]]:
    """Return expected shortfall and value-at-risk of each account in each part of each day's scenarios.

    Arguments as ``account_tails``, but for a cube a day, of several days only without ``scales``. The expected
    shortfalls are those of ``account_tails`` to the last bit.

    Returns
    -------
    shortfalls : ndarray of float64, shape (parts, days, accounts)
        Mean of the worst scenarios as a loss: positive = loss.
    at_risk : ndarray of float64, shape (parts, days, accounts)
        The best of these scenarios as a loss.

    Raises
    ------
    ValueError
        If a scenario result of an account is NaN or infinite.
    """
    kind = np.float64 if cubes.dtype == np.float64 else np.float32
    parts, tail_counts = np.asarray(parts, np.int64), np.asarray(tail_counts, np.int64)
    check_inputs(starts, rows, quantities, cubes.shape[1:], parts, tail_counts)
    check_scales(cubes[0], scales)
    width = TILE_BYTES // np.dtype(kind).itemsize
    columns = max(cubes.shape[2], width)
    shortfalls, at_risk = np.zeros((2, tail_counts.size, cubes.shape[0], starts.size - 1))
    if rows.size:
        _fill(
            starts,
            np.ascontiguousarray(rows),
            np.ascontiguousarray(quantities, kind),
            _wide(cubes, columns),
            NO_SCALES if scales is None else widened(scales, columns // SCALE_COLUMNS),
            tile_columns(parts, columns, width),
            parts,
            tail_counts,
            shortfalls,
            at_risk,
            np.zeros(1, np.int64),
            get_num_threads(),
        )
    if not np.isfinite(shortfalls).all():
        raise ValueError("a scenario result of an account is NaN or infinite")
    return shortfalls, at_risk


def _wide(cubes: np.ndarray, columns: int) -> np.ndarray:
    """Return cubes whose rows are at least a tile long; only small ones are copied."""
    days, instruments, stride = cubes.shape
    flat = widened(cubes.reshape(days * instruments, stride), columns)
    return flat.reshape(days, instruments, flat.shape[1])


def book_tails_numpy(
    starts: Int64[np.ndarray, " accounts+1"],
    rows: Int32[np.ndarray, " positions"],
    quantities: Float[np.ndarray, " positions"],
    cubes: Float[np.ndarray, "days instruments columns"],
    parts: Int64[np.ndarray, "parts 2"],
    tail_counts: Int64[np.ndarray, " parts"],
) -> tuple[Float64[np.ndarray, "parts days accounts"], Float64[np.ndarray, "parts days accounts"]]:
    """Do what ``book_tails`` does, readably: the reference in tests."""
    shortfalls, at_risk = np.zeros((2, tail_counts.size, cubes.shape[0], starts.size - 1))
    kind = cubes.dtype.type
    for day, account in np.ndindex(shortfalls.shape[1:]):
        sums = np.zeros(cubes.shape[2], kind)
        for position in range(starts[account], starts[account + 1]):
            sums = sums + kind(quantities[position]) * cubes[day, rows[position]]
        for part, (start, stop) in enumerate(parts):
            worst = np.sort(sums[start:stop])[: tail_counts[part]]
            shortfalls[part, day, account] = tail_mean_numpy(sums[start:stop], tail_counts[part])
            at_risk[part, day, account] = 0.0 - float(worst[-1])
    return shortfalls, at_risk


@njit(cache=True, parallel=True, error_model="numpy")
def member_tails(
    results: Float[np.ndarray, "accounts results"],
    members: Bool[np.ndarray, "days results"],
    tail_counts: Int64[np.ndarray, " days"],
    shortfalls: Float64[np.ndarray, "days accounts"],
    at_risk: Float64[np.ndarray, "days accounts"],
) -> None:
    """Fill expected shortfall and value-at-risk of each account over the results that count on each day.

    Parameters
    ----------
    results : ndarray of float32 or float64, shape (accounts, results)
        Gain-positive, finite.
    members : ndarray of bool, shape (days, results)
        Which results count on each day, at least ``tail_counts``.
    tail_counts : ndarray of int64, shape (days,)
        Results in the tail, at least 1.
    shortfalls, at_risk : ndarray of float64, shape (days, accounts)
        Filled as ``book_tails`` would for rows of the results that count: mean and best of the worst, as losses.
    """
    accounts = results.shape[0]
    for block in prange((accounts + BLOCK_BOOKS - 1) // BLOCK_BOOKS):
        first = block * BLOCK_BOOKS
        count = min(BLOCK_BOOKS, accounts - first)
        order = np.empty((count, results.shape[1]), np.int32)
        for account in range(count):
            order[account] = np.argsort(results[first + account])
        for day in range(members.shape[0]):
            for account in range(count):
                total, found, step, last = 0.0, 0, 0, 0.0
                while found < tail_counts[day]:
                    number = order[account, step]
                    step += 1
                    if members[day, number]:
                        last = np.float64(results[first + account, number])
                        total += last
                        found += 1
                shortfalls[day, first + account] = 0.0 - total / tail_counts[day]
                at_risk[day, first + account] = 0.0 - last


def member_tails_numpy(
    results: Float[np.ndarray, "accounts results"],
    members: Bool[np.ndarray, "days results"],
    tail_counts: Int64[np.ndarray, " days"],
    shortfalls: Float64[np.ndarray, "days accounts"],
    at_risk: Float64[np.ndarray, "days accounts"],
) -> None:
    """Do what ``member_tails`` does, readably: the reference in tests."""
    for day, counted in enumerate(members):
        for account, own in enumerate(results):
            worst = np.sort(own[counted])[: tail_counts[day]].astype(np.float64)
            shortfalls[day, account] = 0.0 - float(np.cumsum(worst)[-1]) / tail_counts[day]
            at_risk[day, account] = 0.0 - worst[-1]
