"""Tails of units of several legs: compiled kernels against their NumPy twins, and results by hand."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from crossmargin.kernels.account_tails import account_tails
from crossmargin.kernels.correlations import LANES, MOMENTS, correlation, correlation_numpy
from crossmargin.kernels.leg_tails import leg_tails, leg_tails_numpy
from crossmargin.kernels.quantised_rows import quantise_rows
from crossmargin.kernels.row_sums import aligned_zeros

PARTS, TAILS = np.array([[0, 1000], [1024, 2042]]), np.array([6, 21])
KINDS = pytest.mark.parametrize("kind", [np.float32, np.float64])


def make(seed, counts, kind=np.float64, instruments=60, columns=2048):
    rng = np.random.default_rng(seed)
    cube = aligned_zeros((instruments, columns), kind)
    cube[:] = rng.standard_t(4, (instruments, columns)) * 0.03
    starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    rows = rng.integers(0, instruments, starts[-1]).astype(np.int32)
    quantities = np.rint(1000 * rng.standard_normal(starts[-1]))
    return starts, rows, quantities, cube


def small(legs, *, tail=2, houses=2):
    """Units of legs that are rows of a cube of one part, each held once."""
    cube = np.array(legs, np.float64)
    starts = np.arange(len(cube) + 1)
    parts, tails = np.array([[0, cube.shape[1]]]), np.array([tail])
    arguments = (starts, np.arange(len(cube), dtype=np.int32), np.ones(len(cube)), cube, parts, tails)
    return leg_tails(*arguments, houses=houses)


# By hand


def test_two_legs_by_hand():
    """Worst two: of the first −4, −3; of the second −6, −1; of the sum −5 (scenario 2) and −4 (scenario 0)."""
    found = small([[-4.0, 5.0, 1.0, -3.0], [0.0, -1.0, -6.0, 9.0]])
    assert found.shortfalls[0, :, 0].tolist() == [0.0, 3.5, 3.5, 4.5]
    assert found.leg_losses[0, :, 0].tolist() == [(4 - 1) / 2, 6 / 2]
    first, second = np.array([-4, 5, 1, -3]), np.array([0, -1, -6, 9])
    assert found.correlations[0, 0, 0] == pytest.approx(np.corrcoef(first, second)[0, 1], rel=1e-14)


def test_opposite_legs_leave_nothing():
    results = np.array([-4.0, 5.0, 1.5, -3.25])
    found = small([results, -results])
    assert found.shortfalls[0, :, 0].tolist() == [0.0, 3.625, 3.25, 0.0]
    assert found.leg_losses[0].sum() == 0
    assert found.correlations[0, 0, 0] == -1


def test_equal_legs_add_up():
    results = np.array([-4.0, 5.0, 1.5, -3.25])
    found = small([results, results, results], houses=3)
    assert found.shortfalls[0, :, 0].tolist() == [0, 3.625, 3.625, 7.25, 3.625, 7.25, 7.25, 10.875]
    assert found.leg_losses[0, :, 0].tolist() == [3.625] * 3
    assert found.correlations[0, :, 0].tolist() == [1.0] * 3


# Twins


@KINDS
@pytest.mark.parametrize("houses", [1, 2, 3, 4])
def test_units_are_their_twin(houses, kind):
    counts = np.random.default_rng(houses).integers(0, 6, 12 * houses)
    counts[:houses] = 0  # a unit with nothing
    counts[houses : 2 * houses - 1] = 0  # and one with its last leg only
    starts, rows, quantities, cube = make(3, counts, kind)
    arguments = (starts, rows, quantities, cube, PARTS, TAILS)
    found, twin = leg_tails(*arguments, houses=houses), leg_tails_numpy(*arguments, houses=houses)
    assert np.array_equal(found.shortfalls, twin.shortfalls)
    assert np.array_equal(found.leg_losses, twin.leg_losses)
    np.testing.assert_allclose(found.correlations, twin.correlations, rtol=0, atol=1e-13)
    assert np.isfinite(twin.correlations).any() or houses == 1


def test_sixteen_bits_are_their_twin():
    starts, rows, quantities, cube = make(5, [3, 2, 4, 0, 1, 5], np.float32)
    stored, scales = quantise_rows(cube)
    arguments = (starts, rows, quantities, stored, PARTS, TAILS)
    found = leg_tails(*arguments, houses=3, scales=scales)
    twin = leg_tails_numpy(*arguments, houses=3, scales=scales)
    assert np.array_equal(found.shortfalls, twin.shortfalls)
    assert np.array_equal(found.leg_losses, twin.leg_losses)


@KINDS
def test_a_leg_by_itself_is_an_account(kind):
    starts, rows, quantities, cube = make(7, [4, 0, 9, 1, 2, 3], kind)
    found = leg_tails(starts, rows, quantities, cube, PARTS, TAILS, houses=3)
    alone = account_tails(starts, rows, quantities, cube, PARTS, TAILS)
    assert np.array_equal(found.shortfalls[:, [1, 2, 4]].reshape(-1, 2), alone)
    assert found.shortfalls[0, 2].tolist() == [0, 0]
    assert np.array_equal(found.shortfalls[0, 3], found.shortfalls[0, 1])
    assert np.isnan(found.correlations[0, [0, 2]]).all()


@KINDS
def test_the_number_of_threads_changes_no_bit(kind):
    book = make(11, np.random.default_rng(1).integers(0, 9, 3 * 400), kind)
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        alone = leg_tails(*book, PARTS, TAILS, houses=3)
        numba.set_num_threads(min(2, threads))
        several = leg_tails(*book, PARTS, TAILS, houses=3)
    finally:
        numba.set_num_threads(threads)
    assert [array.tobytes() for array in alone] == [array.tobytes() for array in several]


def test_narrow_rows_and_many_parts():
    starts, rows, quantities, cube = make(13, [2, 3, 1, 1], columns=70)
    parts, tails = np.array([[30, 70], [0, 7], [5, 40]]), np.array([33, 1, 4])
    found = leg_tails(starts, rows, quantities, cube, parts, tails, houses=2)
    twin = leg_tails_numpy(starts, rows, quantities, cube, parts, tails, houses=2)
    assert np.array_equal(found.shortfalls, twin.shortfalls)
    assert np.array_equal(found.leg_losses, twin.leg_losses)
    np.testing.assert_allclose(found.correlations, twin.correlations, rtol=0, atol=1e-13)


def test_rows_that_may_only_be_read():
    """As they come from a file that is mapped into memory."""
    starts, rows, quantities, cube = make(23, [2, 3, 1, 1], np.float32)
    free = leg_tails(starts, rows, quantities, cube, PARTS, TAILS, houses=2)
    cube.flags.writeable = False
    mapped = leg_tails(starts, rows, quantities, cube, PARTS, TAILS, houses=2)
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(free, mapped, strict=True))


# What is refused


def test_no_unit_and_no_position():
    nothing, cube = np.zeros(0, np.int32), np.zeros((1, 2048), np.float32)
    none = leg_tails(np.zeros(1, np.int64), nothing, np.zeros(0), cube, PARTS, TAILS, houses=2)
    assert none.shortfalls.shape == (0, 4, 2)
    empty = leg_tails(np.zeros(5, np.int64), nothing, np.zeros(0), cube, PARTS, TAILS, houses=2)
    assert not empty.shortfalls.any()
    assert not empty.leg_losses.any()
    assert np.isnan(empty.correlations).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_units_with_a_bad_number_are_refused_by_number(bad):
    starts, _, quantities, cube = make(17, [1, 1, 1, 1])
    cube[2, 1500] = bad
    with pytest.raises(ValueError, match="in 1 units, first: 1"):
        leg_tails(starts, np.arange(4, dtype=np.int32), quantities, cube, PARTS, TAILS, houses=2)


@pytest.mark.parametrize(
    ("houses", "words"), [(0, "one to six"), (7, "one to six"), (2, "each unit has a leg")]
)
def test_impossible_houses_are_refused(houses, words):
    with pytest.raises(AssertionError, match=words):
        leg_tails(*make(19, [1, 1, 1]), PARTS, TAILS, houses=houses)


# Correlation


def correlated(a, b, start=0, stop=None):
    return correlation(a, b, start, a.size if stop is None else stop, np.empty((MOMENTS, LANES)))


@KINDS
@pytest.mark.parametrize("size", [2, 3, 15, 16, 17, 31, 33, 250, 1018])
def test_correlations_are_their_twin(size, kind):
    rng = np.random.default_rng(size)
    a = (1e6 * rng.standard_t(4, size + 5) + 3e5).astype(kind)
    b = (0.5 * a + 4e5 * rng.standard_normal(size + 5)).astype(kind)
    twin = correlation_numpy(a[2 : size + 2], b[2 : size + 2])
    assert correlated(a, b, 2, size + 2) == pytest.approx(twin, abs=1e-13)
    assert twin == pytest.approx(np.corrcoef(a[2 : size + 2].astype(float), b[2 : size + 2])[0, 1], abs=1e-6)


@KINDS
def test_vectors_that_never_change_have_no_correlation(kind):
    rng = np.random.default_rng(1)
    flat, moving = np.full(100, 0.1, kind), rng.standard_normal(100).astype(kind)
    for a, b in ((flat, moving), (moving, flat), (flat, flat), (moving[:1], moving[:1])):
        assert np.isnan(correlated(a, b))
        assert np.isnan(correlation_numpy(a, b))
    spike = flat.copy()
    spike[0] = 7
    assert correlated(spike, spike) == 1
    assert correlated(spike, -spike) == -1


def test_a_large_mean_costs_no_digits():
    """About the first value, not about 0: 10^9 with moves of 1 would leave two digits of raw squares."""
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal(1000), rng.standard_normal(1000)
    assert correlated(a + 1e9, b - 1e9) == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-6)
