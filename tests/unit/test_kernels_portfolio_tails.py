"""Scenario results and tails: the compiled kernels and their NumPy twins agree bit for bit."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from crossmargin.kernels.portfolio_tails import (
    portfolio_tails,
    portfolio_tails_numpy,
    scenario_pnl,
    scenario_pnl_numpy,
)

TAILS = (3, 5)
SPLIT = 40
KERNELS = pytest.mark.parametrize("pnl_of", [scenario_pnl, scenario_pnl_numpy], ids=["numba", "numpy"])


def make(seed: int, positions: int, instruments: int = 23, scenarios: int = 100, size: float = 1e6):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, instruments, positions).astype(np.int32)
    values = np.round(size * rng.standard_normal(positions), 2)
    returns = np.round(rng.standard_normal((instruments, scenarios)) * 0.03, 6)
    return rows, values, returns


def tails(kernel, starts, rows, values, returns, split=SPLIT, counts=TAILS, rounded=True):
    portfolios = len(starts) - 1
    worst = tuple(np.full((portfolios, count), np.nan) for count in counts)
    ids = tuple(np.full((portfolios, count), -1, np.int32) for count in counts)
    kernel(np.array(starts, np.int64), rows, values, returns, split, worst, ids, rounded)
    return [array.tobytes() for array in (*worst, *ids)], worst, ids


def both_agree(starts, rows, values, returns, **more):
    for rounded in (True, False):
        compiled, *_ = tails(portfolio_tails, starts, rows, values, returns, rounded=rounded, **more)
        reference, *_ = tails(portfolio_tails_numpy, starts, rows, values, returns, rounded=rounded, **more)
        assert compiled == reference


@pytest.mark.parametrize("rounded", [True, False])
@pytest.mark.parametrize("positions", [0, 1, 2, 3, 4, 5, 7, 8, 9, 1000])
def test_scenario_pnl_is_its_twin(positions, rounded):
    data = make(positions, positions)
    assert scenario_pnl(*data, rounded).tobytes() == scenario_pnl_numpy(*data, rounded).tobytes()


@pytest.mark.parametrize("rounded", [True, False])
def test_scenario_pnl_of_the_largest_numbers(rounded):
    rows, values, returns = make(1, 500)
    values = np.copysign(1e12, values)
    returns = np.copysign(100.0, returns)
    compiled = scenario_pnl(rows, values, returns, rounded)
    assert np.isfinite(compiled).all()
    assert compiled.tobytes() == scenario_pnl_numpy(rows, values, returns, rounded).tobytes()


@pytest.mark.parametrize("shape", [(1, 0), (1, 1), (0, 5)])
@pytest.mark.parametrize("rounded", [True, False])
def test_scenario_pnl_of_hardly_anything(shape, rounded):
    rows = np.zeros(min(shape[0], 1), np.int32)
    values = np.full(rows.size, -3.5)
    returns = np.full(shape, 0.5)
    pnl = scenario_pnl(rows, values, returns, rounded)
    assert pnl.shape == shape[1:]
    assert pnl.tobytes() == scenario_pnl_numpy(rows, values, returns, rounded).tobytes()


@KERNELS
def test_each_term_is_rounded_a_half_away_from_zero(pnl_of):
    """By hand: 1,000 × (0.0005, 0.0015, −0.0005, −0.0025, 0.000285) and −750 × 0.05 = −37.5."""
    returns = np.array([[0.0005, 0.0015, -0.0005, -0.0025, 0.000285], [0.05, 0, 0, 0, 0]])
    rows, values = np.array([0, 1], np.int32), np.array([1000.0, -750.0])
    assert pnl_of(rows, values, returns, True).tolist() == [1 - 38, 2, -1, -3, 0]
    assert (
        pnl_of(rows[:1], np.array([100_000.0]), returns, True)[4] == 29
    )  # 28.5, which float64 makes 28.499…


@KERNELS
def test_unrounded_sums_by_hand(pnl_of):
    returns = np.array([[0.5, -0.25], [2.0, 4.0]])
    pnl = pnl_of(np.array([0, 1, 0], np.int32), np.array([8.0, -1.0, 4.0]), returns, False)
    assert pnl.tolist() == [4, -7]


def test_tails_of_ordinary_books():
    rows, values, returns = make(7, 60)
    both_agree([0, 0, 1, 4, 9, 30, 60, 60], rows, values, returns)  # empty ones among them


def test_tails_of_no_portfolio_and_of_one():
    rows, values, returns = make(8, 5)
    both_agree([0], rows[:0], values[:0], returns)
    both_agree([0, 1], rows, values, returns)


def test_tails_of_huge_books():
    rows, values, returns = make(9, 4000, instruments=300, scenarios=700, size=1e11)
    both_agree([0, 1500, 4000], rows, values, returns, split=300, counts=(6, 21))


@pytest.mark.parametrize("counts", [(1, 1), (40, 60)])
def test_tails_of_one_scenario_and_of_all(counts):
    rows, values, returns = make(10, 12)
    both_agree([0, 5, 12], rows, values, returns, counts=counts)


def test_tied_results_stand_in_the_order_of_the_scenarios():
    """By hand: results −2, −1, −2, 0, −2 | −3, −3, −3."""
    returns = np.array([[-2.0, -1.0, -2.0, 0.0, -2.0, -3.0, -3.0, -3.0]])
    arguments = ([0, 1], np.zeros(1, np.int32), np.ones(1), returns)
    for kernel in (portfolio_tails, portfolio_tails_numpy):
        _, worst, ids = tails(kernel, *arguments, split=5, counts=(4, 2))
        assert worst[0].tolist() == [[-2, -2, -2, -1]]
        assert ids[0].tolist() == [[0, 2, 4, 1]]
        assert (worst[1].tolist(), ids[1].tolist()) == ([[-3, -3]], [[0, 1]])


def test_tails_with_many_ties():
    rng = np.random.default_rng(3)
    returns = rng.integers(-2, 3, (4, 100)).astype(np.float64)
    rows, values = rng.integers(0, 4, 9).astype(np.int32), rng.integers(-1, 2, 9).astype(np.float64)
    both_agree([0, 0, 4, 9], rows, values, returns, counts=(17, 29))


def test_non_contiguous_input():
    rows, values, returns = make(11, 80, scenarios=200)
    strided = (rows[::2], values[::-2], np.repeat(returns, 2, axis=0)[::2, ::2])
    both_agree([0, 3, 40], *strided)
    solid = [np.ascontiguousarray(array) for array in strided]
    assert tails(portfolio_tails, [0, 3, 40], *strided)[0] == tails(portfolio_tails, [0, 3, 40], *solid)[0]


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="numba has one thread on this machine")
def test_the_number_of_threads_changes_no_bit():
    rows, values, returns = make(12, 3000, instruments=100, scenarios=300, size=1e8)
    starts = np.linspace(0, 3000, 41).astype(int).tolist()
    found = []
    before = numba.get_num_threads()
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            found.append(tails(portfolio_tails, starts, rows, values, returns, rounded=False)[0])
    finally:
        numba.set_num_threads(before)
    assert found[0] == found[1]
