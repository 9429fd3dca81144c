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


@njit(cache=True, parallel=True)
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
    account_runs, runs = _by_account(owner, account_count)
    rows = np.zeros(account_count, np.int64)
    for run in range(owner.size):
        rows[owner[run]] += run_starts[run + 1] - run_starts[run]
    row_starts = _starts(rows)
    place, long, short = np.empty(series.size, np.int32), np.empty_like(quantity), np.empty_like(quantity)
    merged, portfolios = np.zeros(account_count, np.int64), np.zeros(account_count, np.int64)
    for account in prange(account_count):
        begin, end = row_starts[account], row_starts[account + 1]
        at = begin
        for run in runs[account_runs[account] : account_runs[account + 1]]:
            for row in range(run_starts[run], run_starts[run + 1]):
                place[at], long[at] = places.place[series[row]], quantity[row]
                at += 1
        _sort(place[begin:end], long[begin:end])
        merged[account] = _merge(place[begin:end], long[begin:end], short[begin:end])
        portfolios[account] = _distinct(places.commodity, place[begin : begin + merged[account]])
    return _gathered(row_starts, _starts(merged), _starts(portfolios), place, long, short, places)


@njit(cache=True, parallel=True)
def _gathered(
    row_starts: Int64[np.ndarray, " accounts+1"],
    position_starts: Int64[np.ndarray, " accounts+1"],
    account_starts: Int64[np.ndarray, " accounts+1"],
    place: Int32[np.ndarray, " rows"],
    long: Int64[np.ndarray, " rows"],
    short: Int64[np.ndarray, " rows"],
    places: Places,
) -> Ordered:
    """Copy what each account has left of its rows side by side, and mark where portfolios begin."""
    count, total = position_starts[-1], account_starts[-1]
    series, longs, shorts = np.empty(count, np.int32), np.empty(count), np.empty(count)
    starts = np.empty(total + 1, np.int64)
    owner, commodity = np.empty(total, np.int64), np.empty(total, np.int64)
    starts[total] = count
    for account in prange(account_starts.size - 1):
        portfolio, shift = account_starts[account] - 1, row_starts[account] - position_starts[account]
        for position in range(position_starts[account], position_starts[account + 1]):
            here = place[position + shift]
            series[position] = places.series[here]
            longs[position], shorts[position] = long[position + shift], short[position + shift]
            first = position == position_starts[account]
            if first or places.commodity[here] != commodity[portfolio]:
                portfolio += 1
                starts[portfolio], owner[portfolio] = position, account
                commodity[portfolio] = places.commodity[here]
    return Ordered(starts, series, longs, shorts, owner, commodity, account_starts)


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
