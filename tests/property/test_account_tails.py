"""Tails of accounts against exact rational arithmetic, and laws that hold of any book."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from crossmargin.core.tails import tail_count
from crossmargin.kernels.account_tails import account_tails, tail_contributions
from crossmargin.kernels.incremental_tails import IncrementalTails
from crossmargin.kernels.tail_means import tail_mean, tail_scenarios, value_at_risk

LEVELS = pytest.mark.parametrize("confidence", ["0.95", "0.975", "0.98", "0.99", "0.994", "0.995"])
COUNTS = pytest.mark.parametrize("scenarios", [250, 500, 1000, 1018])


def exact_mean(results, count):
    """The mean loss of the worst results, as a fraction."""
    return -sum(sorted(Fraction(float(result)) for result in results)[:count]) / count


@LEVELS
@COUNTS
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@given(data=st.data())
@settings(max_examples=8)
def test_whole_results_are_exact(confidence, scenarios, kind, data):
    """Whole numbers add without rounding: only the division rounds, to the float64 nearest the fraction."""
    seed, spread = data.draw(st.integers(0, 2**32)), data.draw(st.sampled_from([1, 5, 1000, 2**20]))
    results = np.random.default_rng(seed).integers(-spread, spread + 1, scenarios).astype(kind)
    count = tail_count(confidence, scenarios)
    assert tail_mean(results, count) == float(exact_mean(results, count))


@LEVELS
@COUNTS
@given(seed=st.integers(0, 2**32))
@settings(max_examples=8)
def test_any_results_within_the_bound_of_their_sum(confidence, scenarios, seed):
    """k − 1 additions and a division, each within 2^-53 of its result: k × 2^-53 × the mean size, and a little."""
    results = np.random.default_rng(seed).standard_t(3, scenarios) * 1e6
    count = tail_count(confidence, scenarios)
    exact = exact_mean(results, count)
    worst = np.sort(results)[:count]
    bound = Fraction(count + 1, 2**53) * sum(abs(Fraction(float(value))) for value in worst) / count
    assert abs(Fraction(tail_mean(results, count)) - exact) <= bound


RESULTS = arrays.arrays(
    np.float32,
    st.integers(1, 300),
    elements=st.one_of(st.sampled_from([-1.0, 0.0, -0.0, 2.5]), st.floats(-1e6, 1e6, width=32)),
)


@given(RESULTS, st.data())
def test_the_tail_is_the_start_of_a_stable_order(results, data):
    count = data.draw(st.integers(1, results.size))
    order = np.argsort(results, kind="stable")[:count]
    assert np.array_equal(tail_scenarios(results, count), order)
    least = value_at_risk(results, count)
    assert least == -results[order[-1]]
    assert tail_mean(results, count) >= least - 1e-15 * abs(least) - 1e-30  # rounding of the mean


@st.composite
def books(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    instruments, columns = draw(st.integers(1, 9)), draw(st.sampled_from([5, 130, 300]))
    counts = draw(st.lists(st.integers(0, 12), min_size=1, max_size=6))
    starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    rows = rng.integers(0, instruments, starts[-1]).astype(np.int32)
    quantities = rng.integers(-1000, 1001, starts[-1]).astype(np.float64)
    cube = rng.integers(-500, 501, (instruments, columns)).astype(np.float64)
    part = sorted(rng.choice(columns + 1, 2, replace=False).tolist())
    count = draw(st.integers(1, part[1] - part[0]))
    return starts, rows, quantities, cube, np.array([part]), np.array([count])


@given(books())
@settings(max_examples=40)
def test_whole_books_are_exact(book):
    """Quantities and results are whole: sums are exact in float64, and in float32 below 2^24."""
    starts, rows, quantities, cube, parts, counts = book
    found = account_tails(*book)
    for account in range(starts.size - 1):
        held = slice(starts[account], starts[account + 1])
        results = (quantities[held, None] * cube[rows[held]]).sum(axis=0)[parts[0, 0] : parts[0, 1]]
        assert found[account, 0] == float(exact_mean(results, counts[0]))
    assert np.array_equal(
        account_tails(starts, rows, quantities, cube.astype(np.float32), parts, counts), found
    )


@given(books())
@settings(max_examples=30)
def test_contributions_add_up_and_a_trade_can_be_taken_back(book):
    starts, rows, quantities, cube, parts, counts = book
    pnl = np.zeros((starts.size - 1, cube.shape[1]))
    found = account_tails(*book, pnl=pnl)
    start, stop = parts[0]
    for account in range(starts.size - 1):
        held = slice(starts[account], starts[account + 1])
        worst = tail_scenarios(pnl[account, start:stop], counts[0])
        added = tail_contributions(rows[held], quantities[held], cube, start, worst)
        assert abs(added.sum() - found[account, 0]) <= 1e-12 * np.abs(added).sum()
        if rows[held].size:
            trade = (int(rows[held][-1]), float(quantities[held][-1]))
            before = IncrementalTails(pnl[account], cube, parts, counts).add(trade[0], -trade[1])
            without = np.array([0, rows[held].size - 1]), rows[held][:-1], quantities[held][:-1]
            assert before == tuple(account_tails(*without, cube, parts, counts)[0])
