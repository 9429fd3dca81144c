"""Match index products, funds and baskets of shares, book by book.

An entry is what one book has in one underlying: by derivatives, by funds on it, and held as such. A replica of
an index is a basket of shares held in the proportions of its weights. What a match takes is gone for the ones
behind it, so the order counts: indices before single shares; of pairs, derivatives against baskets, funds
against baskets, derivatives against funds; of indices, in the order in which the entries are given.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numba import njit

__all__ = [
    "Baskets",
    "Entries",
    "Replicas",
    "look_through",
    "look_through_numpy",
    "match_baskets",
    "match_baskets_numpy",
]

PAIRS: Final = 3
SLACK: Final = 1e-9
"""So little, relatively, may be missing of a weight or of a share: quotients of decimals are not exact."""

SMALLEST: Final = 1e-300


class Entries(NamedTuple):
    """Exposures by book and underlying; currency units for a relative move of 1, signed.

    Parameters
    ----------
    starts : ndarray of int64, shape (books + 1,)
        Entries of each book.
    turns : ndarray of int64, shape (books + 1,)
        Places of each book in ``sequence``.
    sequence : ndarray of int64, shape (turns,)
        Entries with derivatives or funds, book after book, in the order in which they are matched.
    root : ndarray of int64, shape (entries,)
        Underlying, once in a book.
    derivative, fund, held : ndarray of float64, shape (entries,)
        Exposure by derivatives, by funds on the underlying, and in the underlying itself.
    """

    starts: Int64[np.ndarray, " books+1"]
    turns: Int64[np.ndarray, " books+1"]
    sequence: Int64[np.ndarray, " turns"]
    root: Int64[np.ndarray, " entries"]
    derivative: Float64[np.ndarray, " entries"]
    fund: Float64[np.ndarray, " entries"]
    held: Float64[np.ndarray, " entries"]


class Baskets(NamedTuple):
    """Of each underlying, the shares that make it up.

    Parameters
    ----------
    starts : ndarray of int64, shape (roots + 1,)
        Shares of each underlying.
    share : ndarray of int64, shape (shares,)
        Root of the share; a share, or what has no weights, has itself.
    weight : ndarray of float64, shape (shares,)
        Above 0; of one underlying they add up to at most 1.
    single : ndarray of bool, shape (roots,)
        Whether it is a share and no index: matched last.
    """

    starts: Int64[np.ndarray, " roots+1"]
    share: Int64[np.ndarray, " shares"]
    weight: Float64[np.ndarray, " shares"]
    single: Bool[np.ndarray, " roots"]


class Replicas(NamedTuple):
    """What was matched.

    Parameters
    ----------
    amounts : ndarray of float64, shape (entries, 3)
        Derivatives against basket, funds against basket, derivatives against funds; at least 0.
    largest : ndarray of float64, shape (entries,)
        Largest replica of the sign opposite to the derivatives (without any: the funds) when it was first
        looked for; signed as the shares.
    coverage : ndarray of float64, shape (entries,)
        Share of the weight that the basket first used has; 0 where none was.
    left : ndarray of float64, shape (entries,)
        What no match took of ``Entries.held``.
    """

    amounts: Float64[np.ndarray, "entries 3"]
    largest: Float64[np.ndarray, " entries"]
    coverage: Float64[np.ndarray, " entries"]
    left: Float64[np.ndarray, " entries"]


@njit(cache=True, error_model="numpy")
def look_through(
    starts: Int64[np.ndarray, " books+1"],
    root: Int64[np.ndarray, " entries"],
    exposure: Float64[np.ndarray, " entries"],
    baskets: Baskets,
) -> tuple[Int64[np.ndarray, " books+1"], Int64[np.ndarray, " found"], Float64[np.ndarray, " found"]]:
    """Decompose what each book has into shares, and add up.

    Parameters
    ----------
    starts : ndarray of int64, shape (books + 1,)
        Entries of each book.
    root : ndarray of int64, shape (entries,)
        Underlying of each entry.
    exposure : ndarray of float64, shape (entries,)
        Signed, of any kind.
    baskets : Baskets
        Constituents of each underlying.

    Returns
    -------
    starts : ndarray of int64, shape (books + 1,)
    share : ndarray of int64, shape (found,)
        Root of each share, ascending within a book.
    exposure : ndarray of float64, shape (found,)
    """
    size = 0
    for entry in range(root.size):
        size += baskets.starts[root[entry] + 1] - baskets.starts[root[entry]]
    shares, amounts, bounds = np.empty(size, np.int64), np.empty(size), np.zeros_like(starts)
    total, there = np.zeros(baskets.single.size), np.zeros(baskets.single.size, np.bool_)
    end = 0
    for book in range(starts.size - 1):
        first = end
        for entry in range(starts[book], starts[book + 1]):
            for at in range(baskets.starts[root[entry]], baskets.starts[root[entry] + 1]):
                share = baskets.share[at]
                total[share] += exposure[entry] * baskets.weight[at]
                if not there[share]:
                    there[share] = True
                    shares[end] = share
                    end += 1
        shares[first:end].sort()
        for at in range(first, end):
            amounts[at] = total[shares[at]]
            total[shares[at]], there[shares[at]] = 0.0, False
        bounds[book + 1] = end
    return bounds, shares[:end], amounts[:end]


def look_through_numpy(
    starts: Int64[np.ndarray, " books+1"],
    root: Int64[np.ndarray, " entries"],
    exposure: Float64[np.ndarray, " entries"],
    baskets: Baskets,
) -> tuple[Int64[np.ndarray, " books+1"], Int64[np.ndarray, " found"], Float64[np.ndarray, " found"]]:
    """Do what ``look_through`` does by a matrix of books × shares, readably: the reference in tests."""
    roots, books = baskets.single.size, starts.size - 1
    weights = np.zeros((roots, roots))
    weights[np.repeat(np.arange(roots), np.diff(baskets.starts)), baskets.share] = baskets.weight
    owner = np.repeat(np.arange(books), np.diff(starts))
    total, there = np.zeros((books, roots)), np.zeros((books, roots))
    np.add.at(total, owner, exposure[:, None] * weights[root])
    np.add.at(there, owner, weights[root])
    book, share = np.nonzero(there)
    return np.searchsorted(book, np.arange(books + 1)), share, total[book, share]


@njit(cache=True, error_model="numpy")
def _fill_ratios(
    ratios: Float64[np.ndarray, " room"],
    left: Float64[np.ndarray, " entries"],
    place: Int64[np.ndarray, " roots"],
    baskets: Baskets,
    root: int,
    sign: float,
) -> None:
    """How large a replica each share by itself would allow."""
    first = baskets.starts[root]
    for at in range(first, baskets.starts[root + 1]):
        entry = place[baskets.share[at]]
        there = sign * left[entry] if entry >= 0 else 0.0
        ratios[at - first] = max(there, 0.0) / baskets.weight[at]


@njit(cache=True, error_model="numpy")
def _covered(
    ratios: Float64[np.ndarray, " shares"], weight: Float64[np.ndarray, " shares"], size: float
) -> float:
    """Weight of the shares that suffice for a replica."""
    total = 0.0
    for at in range(ratios.size):
        if ratios[at] >= size * (1.0 - SLACK):
            total += weight[at]
    return 1.0 if total >= 1.0 - SLACK else total


@njit(cache=True, error_model="numpy")
def _largest(
    ratios: Float64[np.ndarray, " shares"], weight: Float64[np.ndarray, " shares"], coverage: float
) -> float:
    """Largest replica for which shares of so much weight suffice."""
    if _covered(ratios, weight, SMALLEST) < coverage - SLACK:
        return 0.0
    total = 0.0
    for at in np.argsort(-ratios, kind="mergesort"):
        total += weight[at]
        if total >= coverage - SLACK:
            return ratios[at]
    return 0.0


@njit(cache=True, error_model="numpy")
def _take(
    left: Float64[np.ndarray, " entries"],
    place: Int64[np.ndarray, " roots"],
    baskets: Baskets,
    ratios: Float64[np.ndarray, " room"],
    root: int,
    size: float,
    sign: float,
) -> None:
    """Take a replica out of what is left of its shares; no share changes its sign."""
    first = baskets.starts[root]
    for at in range(first, baskets.starts[root + 1]):
        if ratios[at - first] >= size * (1.0 - SLACK):
            entry = place[baskets.share[at]]
            left[entry] = sign * max(sign * left[entry] - size * baskets.weight[at], 0.0)


@njit(cache=True, error_model="numpy")
def _match_basket(
    entry: int,
    pair: int,
    exposure: Float64[np.ndarray, " entries"],
    root: int,
    place: Int64[np.ndarray, " roots"],
    baskets: Baskets,
    room: Float64[np.ndarray, " room"],
    minimum: float,
    found: Replicas,
) -> None:
    wanted = abs(exposure[entry])
    if wanted == 0.0:
        return
    sign = -np.sign(exposure[entry])
    first, last = baskets.starts[root], baskets.starts[root + 1]
    _fill_ratios(room, found.left, place, baskets, root, sign)
    ratios, weight = room[: last - first], baskets.weight[first:last]
    largest = _largest(ratios, weight, minimum)
    if found.largest[entry] == 0.0:
        found.largest[entry] = sign * largest
    size = min(largest, wanted)
    if size == 0.0:
        return
    covered = _covered(ratios, weight, size)
    _take(found.left, place, baskets, ratios, root, size, sign)
    if found.coverage[entry] == 0.0:
        found.coverage[entry] = covered
    found.amounts[entry, pair] = size * covered
    exposure[entry] += sign * size * covered


@njit(cache=True, error_model="numpy")
def _match_funds(
    entry: int,
    derivative: Float64[np.ndarray, " entries"],
    fund: Float64[np.ndarray, " entries"],
    found: Replicas,
) -> None:
    if derivative[entry] * fund[entry] < 0.0:
        size = min(abs(derivative[entry]), abs(fund[entry]))
        derivative[entry] -= np.sign(derivative[entry]) * size
        fund[entry] -= np.sign(fund[entry]) * size
        found.amounts[entry, 2] = size


@njit(cache=True, error_model="numpy")
def match_baskets(
    entries: Entries, baskets: Baskets, apart: Bool[np.ndarray, " books"], minimum: float
) -> Replicas:
    """Match what offsets within each book.

    Parameters
    ----------
    entries : Entries
        Exposures; left as they are.
    baskets : Baskets
        Constituents of each underlying.
    apart : ndarray of bool, shape (books,)
        Books in which nothing may be matched.
    minimum : float
        Share of its weight that a basket must have to be a replica, above 0, at most 1.

    Returns
    -------
    Replicas
        Arrays of their own.
    """
    count = entries.root.size
    found = Replicas(np.zeros((count, PAIRS)), np.zeros(count), np.zeros(count), entries.held.copy())
    derivative, fund = entries.derivative.copy(), entries.fund.copy()
    place = np.full(baskets.single.size, -1, np.int64)
    room = np.empty(max(1, np.max(np.diff(baskets.starts))))
    for book in range(apart.size):
        start, stop = entries.starts[book], entries.starts[book + 1]
        if apart[book]:
            continue
        for entry in range(start, stop):
            place[entries.root[entry]] = entry
        for single in (False, True):
            for pair in range(PAIRS):
                for entry in entries.sequence[entries.turns[book] : entries.turns[book + 1]]:
                    root = entries.root[entry]
                    if baskets.single[root] != single:
                        continue
                    if pair < PAIRS - 1:
                        exposure = derivative if pair == 0 else fund
                        _match_basket(entry, pair, exposure, root, place, baskets, room, minimum, found)
                    else:
                        _match_funds(entry, derivative, fund, found)
        for entry in range(start, stop):
            place[entries.root[entry]] = -1
    return found


def match_baskets_numpy(
    entries: Entries, baskets: Baskets, apart: Bool[np.ndarray, " books"], minimum: float
) -> Replicas:
    """Do what ``match_baskets`` does, one replica after the other in plain NumPy."""
    count = entries.root.size
    found = Replicas(np.zeros((count, PAIRS)), np.zeros(count), np.zeros(count), entries.held.copy())
    legs = np.stack([entries.derivative, entries.fund])
    for book in np.flatnonzero(~apart):
        place = {int(entries.root[entry]): entry for entry in range(*entries.starts[book : book + 2])}
        mine = entries.sequence[entries.turns[book] : entries.turns[book + 1]]
        ranked = [mine[baskets.single[entries.root[mine]] == single] for single in (False, True)]
        for entry, pair in ((entry, pair) for part in ranked for pair in range(PAIRS) for entry in part):
            if pair < PAIRS - 1:
                _basket_numpy(entry, pair, legs[pair], entries.root[entry], place, baskets, minimum, found)
            elif legs[0, entry] * legs[1, entry] < 0:
                found.amounts[entry, pair] = np.abs(legs[:, entry]).min()
                legs[:, entry] -= np.sign(legs[:, entry]) * found.amounts[entry, pair]
    return found


def _basket_numpy(
    entry: int,
    pair: int,
    exposure: Float64[np.ndarray, " entries"],
    root: int,
    place: dict[int, int],
    baskets: Baskets,
    minimum: float,
    found: Replicas,
) -> None:
    sign, wanted = -np.sign(exposure[entry]), abs(exposure[entry])
    span = slice(baskets.starts[root], baskets.starts[root + 1])
    at = np.array([place.get(int(share), -1) for share in baskets.share[span]], np.int64)
    weight = baskets.weight[span]
    ratios = np.where(at >= 0, np.maximum(sign * found.left[at], 0.0), 0.0) / weight
    order = np.argsort(-ratios, kind="stable")
    enough = np.flatnonzero(np.cumsum(weight[order]) >= minimum - SLACK)
    largest = ratios[order[enough[0]]] if enough.size else 0.0
    if wanted > 0 and found.largest[entry] == 0:
        found.largest[entry] = sign * largest
    size = min(largest, wanted)
    if size > 0:
        used = ratios >= size * (1 - SLACK)
        covered = weight[used].sum()
        covered = 1.0 if covered >= 1 - SLACK else covered
        found.left[at[used]] = sign * np.maximum(sign * found.left[at[used]] - size * weight[used], 0.0)
        found.coverage[entry] = found.coverage[entry] or covered
        found.amounts[entry, pair] = size * covered
        exposure[entry] += sign * size * covered
