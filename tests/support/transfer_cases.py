"""Accounts with futures in a short pot and shares in a long one, for tests of transfers."""

from __future__ import annotations

import itertools

import numpy as np

from crossmargin.programmes.transfer.problem import TIE, LongMeasure, TransferProblem

SCAN = np.linspace(-1.0, 1.0, 16)
"""Moves of the scan, as a share of the largest."""


def measure_of(*parts: tuple[int, int, float]) -> LongMeasure:
    """Parts as (scenarios, tail count, weight), each from a multiple of 64 on."""
    starts = np.cumsum([0, *(-(-size // 64) * 64 for size, _, _ in parts[:-1])])
    return LongMeasure(
        bounds=np.array(
            [(start, start + part[0]) for start, part in zip(starts, parts, strict=True)], np.int64
        ),
        tail_counts=np.array([part[1] for part in parts], np.int64),
        weights=np.array([part[2] for part in parts], float),
    )


TWO_PARTS = measure_of((60, 3, 0.75), (40, 2, 0.25))


def account(seed, *, futures=2, most=4, measure=TWO_PARTS, commodities=2) -> TransferProblem:
    """An index fund or basket, and futures on the index of two sizes, long and short, beside options."""
    rng = np.random.default_rng(seed)
    columns = int(measure.bounds.max())
    index = rng.standard_t(4, columns) * 0.02
    size = rng.choice([1e6, 2e5], futures)
    gains = (index + rng.standard_t(4, (futures, columns)) * 0.004) * size[:, None]
    signs = rng.choice([-1, 1], futures)
    exposure = rng.uniform(-1, 1) * 1e6 * most * futures / 2
    return TransferProblem(
        quantities=rng.integers(1, most + 1, futures) * signs,
        losses=-SCAN * 0.06 * size[:, None] * rng.uniform(0.9, 1.1, (futures, 1)),
        commodity=rng.integers(0, commodities, futures),
        staying=-SCAN * rng.uniform(-1, 1, (commodities, 1)) * 1.5e4 * most,
        gains=gains,
        base=(index + rng.standard_t(4, columns) * 0.003) * exposure,
        measure=measure,
    )


def best_by_trying(problem: TransferProblem) -> tuple[list[int], float]:
    """The best of all whole numbers of contracts by the documented rule for ties, and the least value."""
    grid = [np.array(taken) for taken in itertools.product(*(range(n + 1) for n in problem.contracts))]
    values = np.array([problem.requirement(taken) for taken in grid])
    equal = np.flatnonzero(values <= values.min() + TIE * values[0])
    chosen = min((grid[i] for i in equal), key=lambda taken: (taken.sum(), taken @ np.arange(taken.size)))
    return (problem.sides * chosen).tolist(), float(values.min())
