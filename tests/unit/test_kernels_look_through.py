"""Matching kernels against their NumPy twins on random books, and how long many books take."""

from __future__ import annotations

import numpy as np
import pytest

from crossmargin.kernels.look_through import (
    Baskets,
    Entries,
    look_through,
    look_through_numpy,
    match_baskets,
    match_baskets_numpy,
)

INDICES, SHARES = 3, 12
ROOTS = INDICES + SHARES


def random_baskets(rng):
    shares, weights = [], []
    for _ in range(INDICES):
        count = rng.integers(2, SHARES)
        shares.append(INDICES + rng.choice(SHARES, count, replace=False))
        parts = rng.random(count) + 0.1
        weights.append(parts / parts.sum())
    shares += [np.array([root]) for root in range(INDICES, ROOTS)]
    weights += [np.ones(1)] * SHARES
    return Baskets(
        np.cumsum([0, *map(len, shares)]),
        np.concatenate(shares),
        np.concatenate(weights),
        np.arange(ROOTS) >= INDICES,
    )


def random_entries(rng, baskets, books):
    """Hedged baskets with a little too much or too little of a share, and some with one missing."""
    roots, kinds = [], []
    for _ in range(books):
        index = rng.integers(INDICES)
        total = np.zeros((ROOTS, 3))
        size = rng.choice([-1, 1]) * rng.integers(1, 100) * 1000.0
        total[:INDICES, 0] = rng.integers(-50, 50, INDICES) * 1000.0
        total[index, 0] = -size * rng.choice([0.3, 1.0])
        total[:INDICES, 1] = rng.integers(-50, 50, INDICES) * 1000.0 * (rng.random(INDICES) < 0.5)
        span = slice(baskets.starts[index], baskets.starts[index + 1])
        near = rng.choice([0.0, 0.5, 0.95, 1.0, 1.1], span.stop - span.start, p=[0.05, 0.1, 0.15, 0.5, 0.2])
        whole = rng.random() < 0.4
        total[baskets.share[span], 2] = size * baskets.weight[span] * (1.0 if whole else near)
        total[INDICES:, 0] = rng.integers(-5, 5, SHARES) * 1000.0 * (rng.random(SHARES) < 0.3)
        held = np.flatnonzero(total.any(axis=1))
        roots.append(held)
        kinds.append(total[held])
    starts = np.cumsum([0, *map(len, roots)])
    amounts = np.concatenate(kinds)
    book = np.repeat(np.arange(books), np.diff(starts))
    size = np.abs(amounts[:, :2]).sum(axis=1)
    sized = np.flatnonzero(size)
    sequence = sized[np.lexsort((-size[sized], book[sized]))]
    turns = np.searchsorted(book[sized], np.arange(books + 1))
    derivative, fund, stock = (np.ascontiguousarray(column) for column in amounts.T)
    return Entries(starts, turns, sequence, np.concatenate(roots), derivative, fund, stock)


@pytest.mark.parametrize("minimum", [1.0, 0.9, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_matching_is_its_twin(seed, minimum):
    rng = np.random.default_rng(seed)
    baskets = random_baskets(rng)
    entries = random_entries(rng, baskets, 150)
    apart = rng.random(150) < 0.1
    before = [column.copy() for column in entries]
    found = match_baskets(entries, baskets, apart, minimum)
    twin = match_baskets_numpy(entries, baskets, apart, minimum)
    for name in found._fields:
        one, other = getattr(found, name), getattr(twin, name)
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-9, err_msg=name)
    assert np.count_nonzero(found.amounts.any(axis=0)) == 3
    for column, old in zip(entries, before, strict=True):
        np.testing.assert_array_equal(column, old)


@pytest.mark.parametrize("seed", range(3))
def test_looking_through_is_its_twin(seed):
    rng = np.random.default_rng(seed)
    baskets = random_baskets(rng)
    entries = random_entries(rng, baskets, 100)
    total = entries.derivative + entries.fund + entries.held
    found = look_through(entries.starts, entries.root, total, baskets)
    twin = look_through_numpy(entries.starts, entries.root, total, baskets)
    np.testing.assert_array_equal(found[0], twin[0])
    np.testing.assert_array_equal(found[1], twin[1])
    np.testing.assert_allclose(found[2], twin[2], rtol=1e-12, atol=1e-9)


def test_the_same_bytes_again_and_nothing_from_nothing():
    rng = np.random.default_rng(9)
    baskets = random_baskets(rng)
    entries = random_entries(rng, baskets, 50)
    apart = np.zeros(50, np.bool_)
    one, other = (match_baskets(entries, baskets, apart, 0.9) for _ in range(2))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))
    assert not match_baskets(entries, baskets, ~apart, 0.9).amounts.any()
    start, nobody, none = np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0)
    empty = Entries(start, start, nobody, nobody, none, none, none)
    assert match_baskets(empty, baskets, apart[:0], 1.0).amounts.shape == (0, 3)
