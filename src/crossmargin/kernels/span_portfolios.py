"""Positions of many accounts put in order: by account, combined commodity and series, each series once.

Rows of one account that stand together are one run, so that only runs are sorted by account: a table that
stands by account costs one pass. Within an account rows are sorted by ``place``, a number that ascends with
combined commodity and then series; few rows by insertion, many by merging. One thread owns an account, and
contracts are added as whole numbers, so that neither threads nor the order of rows change a bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int32, Int64
from numba import njit, prange

__all__ = ["Ordered", "Places", "order_positions", "order_positions_numpy"]

FEW = 64
"""So many rows of an account are sorted by insertion, at most FEW² / 2 steps."""


class Places(NamedTuple):
    """Where each series stands among all, and what stands at each place.

    Parameters
    ----------
    place : ndarray of int32, shape (series,)
        Place of each series: ascending by combined commodity, then by row.
    series : ndarray of int32, shape (series,)
        Series at each place.
    commodity : ndarray of int64, shape (series,)
        Its combined commodity.
    """

    place: Int32[np.ndarray, " series"]
    series: Int32[np.ndarray, " series"]
    commodity: Int64[np.ndarray, " series"]


class Ordered(NamedTuple):
    """Positions in order; a portfolio is one combined commodity of one account.

    Parameters
    ----------
    starts : ndarray of int64, shape (portfolios + 1,)
        Positions of each portfolio.
    series : ndarray of int32, shape (positions,)
        Row of the series.
    long, short : ndarray of float64, shape (positions,)
        Contracts bought and sold, both ≥ 0.
    account, commodity : ndarray of int64, shape (portfolios,)
        Whose portfolio, and of which combined commodity.
    account_starts : ndarray of int64, shape (accounts + 1,)
        Portfolios of each account.
    """

    starts: Int64[np.ndarray, " portfolios+1"]
    series: Int32[np.ndarray, " positions"]
    long: Float64[np.ndarray, " positions"]
    short: Float64[np.ndarray, " positions"]
    account: Int64[np.ndarray, " portfolios"]
    commodity: Int64[np.ndarray, " portfolios"]
    account_starts: Int64[np.ndarray, " accounts+1"]


class Rows(NamedTuple):
    """Room for the rows of all accounts: place, and contracts bought and sold."""

    place: Int32[np.ndarray, " rows"]
    long: Int64[np.ndarray, " rows"]
    short: Int64[np.ndarray, " rows"]


@njit(cache=True)
def _starts(sizes: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n+1"]:
    starts = np.zeros(sizes.size + 1, np.int64)
    for i in range(sizes.size):
        starts[i + 1] = starts[i] + sizes[i]
    return starts


@njit(cache=True)
def _by_account(
    owner: Int32[np.ndarray, " runs"], count: int
) -> tuple[Int64[np.ndarray, " accounts+1"], Int64[np.ndarray, " runs"]]:
    """Return where the runs of each account begin in the list of all, and that list: a counting sort."""
    sizes = np.zeros(count, np.int64)
    for run in range(owner.size):
        sizes[owner[run]] += 1
    starts = _starts(sizes)
    following, runs = starts[:-1].copy(), np.empty(owner.size, np.int64)
    for run in range(owner.size):
        runs[following[owner[run]]] = run
        following[owner[run]] += 1
    return starts, runs


@njit(cache=True)
def _sort(place: Int32[np.ndarray, " rows"], quantity: Int64[np.ndarray, " rows"]) -> None:
    """Sort the rows of one account by place."""
    if place.size > FEW:
        order = np.argsort(place, kind="mergesort")
        place[:], quantity[:] = place[order], quantity[order]
        return
    for i in range(1, place.size):
        own_place, own_quantity, j = place[i], quantity[i], i
        while j > 0 and place[j - 1] > own_place:
            place[j], quantity[j] = place[j - 1], quantity[j - 1]
            j -= 1
        place[j], quantity[j] = own_place, own_quantity


@njit(cache=True)
def _merge(
    place: Int32[np.ndarray, " rows"],
    long: Int64[np.ndarray, " rows"],
    short: Int64[np.ndarray, " rows"],
) -> int:
    """Add up the rows of each series, given with their quantities in ``long``; return how many series."""
    last = -1
    for row in range(place.size):
        quantity = long[row]
        if last < 0 or place[row] != place[last]:
            last += 1
            place[last], long[last], short[last] = place[row], 0, 0
        if quantity > 0:
            long[last] += quantity
        else:
            short[last] -= quantity
    return last + 1


@njit(cache=True)
def _distinct(commodity: Int64[np.ndarray, " series"], place: Int32[np.ndarray, " rows"]) -> int:
    """Count the combined commodities of sorted places."""
    count = min(place.size, 1)
    for row in range(1, place.size):
        count += commodity[place[row]] != commodity[place[row - 1]]
    return count


@njit(cache=True)
def _row_starts(
    run_starts: Int64[np.ndarray, " runs+1"], owner: Int32[np.ndarray, " runs"], count: int
) -> Int64[np.ndarray, " accounts+1"]:
    """Return where the rows of each account begin, once they stand by account."""
    rows = np.zeros(count, np.int64)
    for run in range(owner.size):
        rows[owner[run]] += run_starts[run + 1] - run_starts[run]
    return _starts(rows)


@njit(cache=True, parallel=True)
def _sort_rows(
    run_starts: Int64[np.ndarray, " runs+1"],
    row_starts: Int64[np.ndarray, " accounts+1"],
    by_account: tuple[Int64[np.ndarray, " accounts+1"], Int64[np.ndarray, " runs"]],
    series: Int32[np.ndarray, " rows"],
    quantity: Int64[np.ndarray, " rows"],
    places: Places,
    room: Rows,
) -> tuple[Int64[np.ndarray, " accounts+1"], Int64[np.ndarray, " accounts+1"]]:
    """Fill the sorted rows of each account, each series once; return where its positions and portfolios begin.

    The rows that were more than one of a series are left over behind the others of the account.
    """
    account_runs, runs = by_account
    count = row_starts.size - 1
    merged, portfolios = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for account in prange(count):
        begin, end = row_starts[account], row_starts[account + 1]
        place, long, short = room.place[begin:end], room.long[begin:end], room.short[begin:end]
        at = 0
        for i in range(account_runs[account], account_runs[account + 1]):
            for row in range(run_starts[runs[i]], run_starts[runs[i] + 1]):
                place[at], long[at] = places.place[series[row]], quantity[row]
                at += 1
        _sort(place, long)
        merged[account] = _merge(place, long, short)
        portfolios[account] = _distinct(places.commodity, place[: merged[account]])
    return _starts(merged), _starts(portfolios)


@njit(cache=True, parallel=True)
def _gather(
    row_starts: Int64[np.ndarray, " accounts+1"],
    position_starts: Int64[np.ndarray, " accounts+1"],
    rows: Rows,
    places: Places,
    ordered: Ordered,
) -> None:
    """Copy what each account has left of its rows side by side, and mark where portfolios begin."""
    starts, series, longs, shorts, owner, commodity, account_starts = ordered
    starts[owner.size] = series.size
    for account in prange(account_starts.size - 1):
        portfolio, shift = account_starts[account] - 1, row_starts[account] - position_starts[account]
        last = -1
        for position in range(position_starts[account], position_starts[account + 1]):
            here = rows.place[position + shift]
            series[position] = places.series[here]
            longs[position], shorts[position] = rows.long[position + shift], rows.short[position + shift]
            if places.commodity[here] != last:
                last = places.commodity[here]
                portfolio += 1
                starts[portfolio], owner[portfolio], commodity[portfolio] = position, account, last


def order_positions(
    run_starts: Int64[np.ndarray, " runs+1"],
    owner: Int32[np.ndarray, " runs"],
    account_count: int,
    series: Int32[np.ndarray, " rows"],
    quantity: Int64[np.ndarray, " rows"],
    places: Places,
) -> Ordered:
    """Put positions in order and add up longs and shorts of each series in each account.

    Parameters
    ----------
    run_starts : ndarray of int64, shape (runs + 1,)
        Rows of each run: neighbours of one account.
    owner : ndarray of int32, shape (runs,)
        Account of each run.
    account_count : int
        How many accounts there are.
    series, quantity : ndarray of int32 and int64, shape (rows,)
        Series and contracts of each row, + long, − short.
    places : Places
        Order of the series.
    """
    size = series.size
    # NumPy asks for large pages, numba does not: to touch small ones first costs more than to fill them
    rows = Rows(np.empty(size, np.int32), np.empty(size, np.int64), np.empty(size, np.int64))
    row_starts, by_account = _row_starts(run_starts, owner, account_count), _by_account(owner, account_count)
    given = (series, quantity, places)
    position_starts, account_starts = _sort_rows(run_starts, row_starts, by_account, *given, rows)
    count, portfolios = int(position_starts[-1]), int(account_starts[-1])
    ordered = Ordered(
        np.empty(portfolios + 1, np.int64),
        np.empty(count, np.int32),
        np.empty(count),
        np.empty(count),
        np.empty(portfolios, np.int64),
        np.empty(portfolios, np.int64),
        account_starts,
    )
    _gather(row_starts, position_starts, rows, places, ordered)
    return ordered


def order_positions_numpy(
    run_starts: Int64[np.ndarray, " runs+1"],
    owner: Int32[np.ndarray, " runs"],
    account_count: int,
    series: Int32[np.ndarray, " rows"],
    quantity: Int64[np.ndarray, " rows"],
    places: Places,
) -> Ordered:
    """Do what ``order_positions`` does, readably: the reference in tests."""
    account = np.repeat(owner.astype(np.int64), np.diff(run_starts))
    key = account * (places.place.size + 1) + places.place[series]
    distinct, group = np.unique(key, return_inverse=True)
    long, short = np.zeros(distinct.size, np.int64), np.zeros(distinct.size, np.int64)
    np.add.at(long, group, np.maximum(quantity, 0))
    np.add.at(short, group, np.maximum(-quantity, 0))
    account, place = np.divmod(distinct, places.place.size + 1)
    commodity = places.commodity[place]
    changed = (np.diff(account, prepend=-1) != 0) | (np.diff(commodity, prepend=-1) != 0)
    heads = np.flatnonzero(changed)
    return Ordered(
        np.append(heads, distinct.size),
        places.series[place],
        long.astype(np.float64),
        short.astype(np.float64),
        account[heads],
        commodity[heads],
        np.searchsorted(account[heads], np.arange(account_count + 1)),
    )
