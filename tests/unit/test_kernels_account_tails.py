"""Tails of accounts: compiled kernels against their NumPy twins bit for bit, and results by hand."""

from __future__ import annotations

import re
import time

import numba
import numpy as np
import pytest
from numba import njit

from crossmargin.kernels import account_tails as account_module
from crossmargin.kernels.account_tails import account_tails, account_tails_numpy, tail_contributions
from crossmargin.kernels.incremental_tails import IncrementalTails, incremental_tails_numpy, removal_effects
from crossmargin.kernels.lanes import at_most_bits, lane_minima
from crossmargin.kernels.quantised_rows import dequantise_rows, quantise_rows, quantise_rows_numpy
from crossmargin.kernels.row_sums import LINE_BYTES, aligned_zeros
from crossmargin.kernels.tail_means import (
    mean_loss,
    tail_mean,
    tail_mean_numpy,
    tail_scenarios,
    tail_scenarios_numpy,
    tail_scratch,
    value_at_risk,
    worst_scenarios,
)

PARTS, TAILS = np.array([[0, 1000], [1024, 2042]]), np.array([6, 21])
KINDS = pytest.mark.parametrize("kind", [np.float32, np.float64])


def make(seed, counts, kind=np.float64, instruments=60, columns=2048):
    rng = np.random.default_rng(seed)
    cube = (rng.standard_t(4, (instruments, columns)) * 0.03).astype(kind)
    cube[:, 1000:1024] = cube[:, 2042:] = 0
    starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    rows = rng.integers(0, instruments, starts[-1]).astype(np.int32)
    quantities = np.rint(1000 * rng.standard_normal(starts[-1]))
    return starts, rows, quantities, cube


# One portfolio


@KINDS
def test_a_tail_by_hand(kind):
    """Results 3, −5, 0, −5, −1: the worst two are −5 and −5, the third is −1."""
    results = np.array([3, -5, 0, -5, -1], kind)
    assert [tail_mean(results, k) for k in (1, 2, 3, 4, 5)] == [5, 5, 11 / 3, 11 / 4, 8 / 5]
    assert tail_scenarios(results, 4).tolist() == [1, 3, 4, 2]
    assert [value_at_risk(results, k) for k in (1, 3, 5)] == [5, 1, -3]


@KINDS
def test_ties_stand_in_the_order_of_the_scenarios(kind):
    """A long vector, so that the bound of the lane minima is used; −7 stands in three places of one lane."""
    results = np.zeros(1000, kind)
    results[[70, 134, 198]] = -7
    results[999] = -8
    assert tail_scenarios(results, 4).tolist() == [999, 70, 134, 198]
    assert tail_scenarios(results, 6).tolist() == [999, 70, 134, 198, 0, 1]  # more ties than fit: insertion
    assert tail_mean(results, 5) == 29 / 5


@KINDS
@pytest.mark.parametrize("step", [None, 1.0, 0.25], ids=["distinct", "ties", "some ties"])
@pytest.mark.parametrize("size", [1, 2, 63, 64, 127, 128, 129, 191, 192, 250, 1000, 1018])
def test_tails_are_their_twins(size, step, kind):
    results = np.random.default_rng(size).standard_t(4, size).astype(kind)
    results = results if step is None else np.rint(results / step).astype(kind) * kind(step)
    for count in {1, 2, 6, 21, 32, 33, 51, size - 1, size} & set(range(1, size + 1)):
        assert tail_mean(results, count) == tail_mean_numpy(results, count)
        assert np.array_equal(tail_scenarios(results, count), tail_scenarios_numpy(results, count))


@pytest.mark.parametrize("order", [1, -1])
def test_sorted_results_fill_few_lanes(order):
    """All small results are neighbours, or all in one lane: the bound lets many through."""
    results = np.arange(1000.0)[::order].copy()
    assert np.array_equal(tail_scenarios(results, 21), tail_scenarios_numpy(results, 21))
    one_lane = np.where(np.arange(1024) % 64 == 5, -np.arange(1024.0), np.arange(1024.0))
    assert np.array_equal(tail_scenarios(one_lane, 21), tail_scenarios_numpy(one_lane, 21))


def test_signed_zeros_are_equal():
    results = np.zeros(200)
    results[::2] = -0.0
    assert tail_scenarios(results, 3).tolist() == [0, 1, 2]
    assert str(tail_mean(results, 3)) == "0.0"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("size", "count"), [(1000, 6), (1000, 40), (20, 2)])
@pytest.mark.parametrize("place", [0, 13, -1])
def test_results_that_are_no_numbers_are_refused(bad, size, count, place):
    results = np.arange(float(size))
    results[place] = bad
    for function in (tail_mean, tail_scenarios, value_at_risk):
        with pytest.raises(ValueError, match="NaN or infinite"):
            function(results, count)


@pytest.mark.parametrize("count", [-1, 0, 11])
def test_impossible_tails_are_refused(count):
    with pytest.raises(ValueError, match="a tail of"):
        tail_mean(np.zeros(10), count)


# Many accounts


@KINDS
@pytest.mark.parametrize("columns", [64, 256, 300, 2048])
def test_accounts_are_their_twin(kind, columns):
    parts = PARTS if columns == 2048 else np.array([[0, columns // 2], [columns // 2 + 3, columns - 1]])
    data = make(1, [3, 0, 1, 8, 21, 500, 0], kind, columns=columns)
    accounts = data[0].size - 1
    stored, reference = np.zeros((accounts, columns), kind), np.zeros((accounts, columns), kind)
    found = account_tails(*data, parts, TAILS, pnl=stored)
    expected = account_tails_numpy(*data, parts, TAILS, pnl=reference)
    assert found.tobytes() == expected.tobytes() == account_tails(*data, parts, TAILS).tobytes()
    for start, stop in parts:
        assert np.array_equal(stored[:, start:stop], reference[:, start:stop])


def test_an_account_by_hand():
    """Two units of (1, −4, 2) and minus one of (3, 1, 1): −1, −9, 3."""
    cube = np.array([[1.0, -4, 2], [3, 1, 1]])
    starts, rows = np.array([0, 2, 2]), np.array([0, 1], np.int32)
    found = account_tails(
        starts, rows, np.array([2.0, -1]), cube, np.array([[0, 3], [0, 2]]), np.array([2, 2])
    )
    assert found.tolist() == [[5, 5], [0, 0]]


def test_columns_outside_the_parts_do_not_count():
    starts, rows, quantities, cube = make(2, [5, 9])
    before = account_tails(starts, rows, quantities, cube, PARTS, TAILS)
    cube[:, 1000:1024] = -1e9
    assert account_tails(starts, rows, quantities, cube, PARTS, TAILS).tobytes() == before.tobytes()


def test_parts_in_any_order_and_over_each_other():
    data = make(3, [5, 9, 30])
    parts, tails = np.array([[900, 2000], [7, 1000], [0, 2048]]), np.array([3, 50, 2048])
    assert account_tails(*data, parts, tails).tobytes() == account_tails_numpy(*data, parts, tails).tobytes()


def test_no_account_and_no_position():
    cube = np.ones((1, 300))
    none = np.zeros(0, np.int32)
    for starts in ([0], [0, 0, 0]):
        found = account_tails(np.array(starts), none, np.zeros(0), cube, np.array([[0, 300]]), np.array([3]))
        assert found.tolist() == [[0.0]] * (len(starts) - 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_accounts_with_a_bad_number_are_refused_by_number(bad):
    starts, rows, quantities, cube = make(4, [5, 6, 7])
    cube[rows[12], 1500] = bad
    held_by = [a for a in range(3) if rows[12] in rows[starts[a] : starts[a + 1]]]
    with pytest.raises(
        ValueError, match=f"in {len(held_by)} accounts, first: {', '.join(map(str, held_by))}$"
    ):
        account_tails(starts, rows, quantities, cube, PARTS, TAILS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": np.array([0, 60], np.int32)}, "row is one of the cube"),
        ({"rows": np.array([0, -1], np.int32)}, "row is one of the cube"),
        ({"starts": np.array([0, 3])}, "ends with the last position"),
        ({"starts": np.array([1, 2])}, "begins with the first position"),
        ({"parts": np.array([[0, 2049]])}, "end within"),
        ({"parts": np.array([[-1, 20]])}, "begin within"),
        ({"tail_counts": np.array([0])}, "holds a scenario"),
        ({"tail_counts": np.array([101])}, "no more scenarios"),
    ],
)
def test_what_would_read_elsewhere_is_refused(change, message):
    good = {
        "starts": np.array([0, 2]),
        "rows": np.array([0, 1], np.int32),
        "quantities": np.ones(2),
        "cube": np.zeros((60, 2048)),
        "parts": np.array([[0, 100]]),
        "tail_counts": np.array([5]),
    }
    with pytest.raises(AssertionError, match=message):
        account_tails(**(good | change))


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="numba has one thread on this machine")
@KINDS
def test_the_number_of_threads_changes_no_bit(kind):
    data = make(5, np.random.default_rng(5).integers(0, 60, 500), kind)
    found = []
    before = numba.get_num_threads()
    try:
        for threads in (1, 2, 2):
            numba.set_num_threads(threads)
            found.append(account_tails(*data, PARTS, TAILS).tobytes())
    finally:
        numba.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_aligned_memory_begins_at_a_line():
    for kind in (np.float32, np.float64, np.int16):
        array = aligned_zeros((3, 5), kind)
        assert array.ctypes.data % LINE_BYTES == 0
        assert (array.shape, array.dtype, array.any()) == ((3, 5), kind, False)


# Contributions


def test_contributions_by_hand_and_their_sum():
    """Tail scenarios 1 and 0: position losses (−2 + 8) / 2 and (3 + 1) / 2."""
    cube = np.array([[1.0, -4, 2], [3, 1, 1]])
    rows, quantities = np.array([0, 1], np.int32), np.array([2.0, -1])
    found = tail_contributions(rows, quantities, cube, 0, np.array([1, 0], np.int32))
    assert found.tolist() == [3, 2]
    starts, rows, quantities, cube = make(6, [300])
    pnl = np.zeros((1, 2048))
    shortfalls = account_tails(starts, rows, quantities, cube, PARTS, TAILS, pnl=pnl)
    for part, (start, stop) in enumerate(PARTS):
        worst = tail_scenarios(pnl[0, start:stop], TAILS[part])
        parts = tail_contributions(rows, quantities, cube, start, worst)
        size = np.abs(quantities[:, None] * cube[rows[:, None], start + worst]).sum() / worst.size
        assert abs(parts.sum() - shortfalls[0, part]) <= 2**-52 * (300 + worst.size) * size


# Sixteen bits


@KINDS
def test_quantised_rows_are_their_twin_and_near(kind):
    cube = make(7, [1], kind)[3]
    cube[3, 64:128], cube[4, :64] = 0, 1e-45
    integers, scales = quantise_rows(cube)
    reference = quantise_rows_numpy(cube)
    assert integers.tobytes() == reference[0].tobytes()
    assert scales.tobytes() == reference[1].tobytes()
    largest = np.repeat(np.abs(cube.reshape(60, 32, 64)).max(axis=2), 64, axis=1)
    back = dequantise_rows(integers, scales)
    # Half a scale; the scale, the product and the largest integer are rounded to float32 each.
    assert np.all(np.abs(back - cube) <= largest * (0.5 / 32767 + 2**-22) + 1e-44)
    assert not integers[:, 1000:1024].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_rows_that_do_not_fit_are_refused(bad):
    cube = make(7, [1])[3]
    cube[5, 77] = bad
    with pytest.raises(ValueError, match="row 5 is NaN or infinite"):
        quantise_rows(cube)


@pytest.mark.parametrize("columns", [64, 256, 2048])
def test_quantised_accounts_are_their_twin(columns):
    parts = PARTS if columns == 2048 else np.array([[0, columns // 2], [columns // 2, columns]])
    starts, rows, quantities, cube = make(8, [3, 0, 1, 8, 21, 90], np.float32, columns=columns)
    integers, scales = quantise_rows(cube)
    arguments = (starts, rows, quantities, integers, parts, TAILS)
    found = account_tails(*arguments, scales=scales)
    assert found.tobytes() == account_tails_numpy(*arguments, scales=scales).tobytes()
    exact = account_tails(starts, rows, quantities, cube, parts, TAILS)
    largest = np.abs(cube).max(axis=1).astype(np.float64)
    for account in range(starts.size - 1):
        held = slice(starts[account], starts[account + 1])
        gross = (np.abs(quantities[held]) * largest[rows[held]]).sum()
        assert np.all(np.abs(found[account] - exact[account]) <= gross * (0.5 / 32767 + 100 * 2**-23))


# One more trade


@KINDS
def test_one_more_trade_is_the_book_with_it_at_its_end(kind):
    starts, rows, quantities, cube = make(9, [40], kind)
    pnl = np.zeros((1, 2048), kind)
    account_tails(starts, rows, quantities, cube, PARTS, TAILS, pnl=pnl)
    account = IncrementalTails(pnl[0], cube, PARTS, TAILS)
    for row, quantity in [(0, 0.0), (3, 250.0), (59, -1e5), (7, 3)]:
        after = (np.array([0, 41]), np.append(rows, np.int32(row)), np.append(quantities, quantity))
        whole = account_tails(*after, cube, PARTS, TAILS)[0]
        assert account.add(row, quantity) == tuple(whole)
        assert account.add(row, quantity) == incremental_tails_numpy(
            pnl[0], cube[row], quantity, PARTS, TAILS
        )


def test_many_parts_and_long_tails():
    cube = make(10, [1])[3]
    parts, tails = np.array([[0, 1000], [1000, 1100], [5, 2048]]), np.array([1000, 1, 40])
    vector = cube[5] * 3
    assert IncrementalTails(vector, cube, parts, tails).add(4, 2) == incremental_tails_numpy(
        vector, cube[4], 2, parts, tails
    )


def test_float32_trades_within_the_stated_bound():
    starts, rows, quantities, cube = make(11, [100], np.float32)
    pnl = np.zeros((1, 2048), np.float32)
    account_tails(starts, rows, quantities, cube, PARTS, TAILS, pnl=pnl)
    found = IncrementalTails(pnl[0], cube, PARTS, TAILS).add(8, 12_345.678)
    rows, quantities = np.append(rows, np.int32(8)), np.append(quantities, 12_345.678)
    exact = account_tails(np.array([0, 101]), rows, quantities, cube.astype(np.float64), PARTS, TAILS)[0]
    gross = (np.abs(quantities)[:, None] * np.abs(cube[rows])).sum(axis=0).max()
    assert np.all(np.abs(np.array(found) - exact) <= (101 + 2) * 2.0**-24 * gross)


def test_removing_each_position():
    starts, rows, quantities, cube = make(12, [6])
    pnl = np.zeros((1, 2048))
    whole = account_tails(starts, rows, quantities, cube, PARTS, TAILS, pnl=pnl)[0]
    found = removal_effects(pnl[0], rows, quantities, cube, PARTS, TAILS)
    for position in range(6):
        left = np.delete(np.arange(6), position)
        without = account_tails(np.array([0, 5]), rows[left], quantities[left], cube, PARTS, TAILS)[0]
        assert np.allclose(found[position], whole - without, rtol=0, atol=1e-10)


def test_what_cannot_be_added_is_refused():
    cube = np.zeros((3, 200))
    cube[2, 7] = np.nan
    account = IncrementalTails(np.zeros(200), cube, np.array([[0, 200]]), np.array([3]))
    for row in (-1, 3):
        with pytest.raises(IndexError):
            account.add(row, 1.0)
    for row, quantity in [(2, 1.0), (0, np.nan), (1, np.inf)]:
        with pytest.raises(ValueError, match="NaN or infinite"):
            account.add(row, quantity)
    assert account.add(0, 1.0) == (0.0,)


def test_an_account_is_bound_as_it_was():
    vector, cube = np.zeros(200), np.ones((1, 200))
    account = IncrementalTails(vector, cube, np.array([[0, 200]]), np.array([3]))
    vector[:] = -5
    assert account.add(0, 2.0) == (-2.0,)
    with pytest.raises(AssertionError, match="type of the rows"):
        IncrementalTails(vector.astype(np.float32), cube, np.array([[0, 200]]), np.array([3]))


# The compiled form


@njit(error_model="numpy")
def shortfalls_of(results, count):
    worst, ids, scratch = np.empty(count, results.dtype), np.empty(count, np.int32), tail_scratch(results[0])
    total = 0.0
    for row in range(results.shape[0]):
        worst_scenarios(results[row], 0, results.shape[1], worst, ids, scratch)
        total += mean_loss(worst)
    return total


def least_seconds(function, runs=30):
    times = []
    for _ in range(runs):
        start = time.thread_time()
        function()
        times.append(time.thread_time() - start)
    return min(times)


def test_a_tail_is_found_with_vectors():
    """Eight times faster than ``np.partition``, which goes one by one, where vectors are of 64 bytes."""
    results = np.random.default_rng(13).standard_normal((400, 1000)).astype(np.float32)
    expected = sum(tail_mean_numpy(row, 21) for row in results)
    assert shortfalls_of(results, 21) == pytest.approx(expected, rel=1e-12)
    ours = least_seconds(lambda: shortfalls_of(results, 21))
    theirs = least_seconds(lambda: np.partition(results, 20, axis=1))
    assert theirs > 2.5 * ours


@pytest.mark.parametrize("kind", ["float32", "float64", "int16"])
def test_tiles_are_made_of_packed_instructions(kind):
    """On x86 only: products and sums of whole vectors, none of single numbers, and memory asked for ahead."""
    cube = np.zeros((2, 2048), kind)
    sums = np.zeros(2048, np.float64 if kind == "float64" else np.float32)

    @njit(error_model="numpy")
    def tile(pnl, cube, scales, rows, quantities):
        account_module.sum_tile(pnl, cube, scales, rows, quantities, 0, 0, rows.size, 0, 0)

    tile(sums, cube, np.zeros((2, 32), np.float32), np.zeros(1, np.int32), np.zeros(1, sums.dtype))
    code = next(iter(tile.inspect_asm().values()))
    if "vmul" not in code and "mulp" not in code:
        pytest.skip("not an x86 processor")
    letter = "d" if kind == "float64" else "s"
    vectors = len(re.findall(rf"v?mulp{letter}\s", code))
    assert vectors >= 16
    assert len(re.findall(rf"v?addp{letter}\s", code)) >= 16
    assert not re.search(rf"v?adds{letter}\s|vfn?m(add|sub)", code)
    assert code.count("prefetch") >= 8


@KINDS
def test_lanes_are_compared_as_vectors(kind):
    """On x86 only: minima and comparisons of whole vectors, as one instruction or as comparison and choice."""

    @njit(error_model="numpy")
    def lanes(values, minima):
        return lane_minima(values, 0, values.size, minima), at_most_bits(values, 0, minima[0])

    assert lanes(np.zeros(200, kind), np.zeros(64, kind)) == (0, 2**64 - 1)
    code = next(iter(lanes.inspect_asm().values()))
    if "mov" not in code:
        pytest.skip("not an x86 processor")
    letter = "d" if kind is np.float64 else "s"
    assert len(re.findall(rf"v?(min|cmp\w*)p{letter}\s", code)) >= 8
    assert not re.search(rf"v?mins{letter}\s", code)
