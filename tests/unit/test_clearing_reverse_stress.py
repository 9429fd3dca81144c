"""Multiples of a scenario's moves that exhaust layers, on functions whose crossings are known."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from crossmargin.clearing.reverse_stress import interpolated, reverse_stress
from crossmargin.clearing.waterfall import waterfall

GRID = np.arange(0, 3.25, 0.25)
UNITS = 10**6


def whole(amount):
    return np.rint(amount * UNITS).astype(np.int64)


def test_a_crossing_is_found_to_the_tolerance():
    """Beyond 2 at multiple 2 ÷ 1.5, and beyond 3 at √3 with a square."""
    found = reverse_stress(lambda m: np.stack([whole(1.5 * m - 2), whole(m**2 - 3)], axis=1), GRID, 1e-5)
    assert found.exhausted.all()
    exact = np.array([2 / 1.5, sqrt(3)])
    assert (found.multiple >= exact - 1e-9).all()
    assert (found.multiple <= exact + 1e-5).all()
    assert (found.largest, found.tolerance) == (3.0, 1e-5)


def test_what_is_never_exhausted_is_told_without_nan():
    found = reverse_stress(lambda m: np.stack([whole(m - 1), whole(m - 9)], axis=1), GRID)
    assert found.exhausted.tolist() == [True, False]
    assert found.multiple[1] == 0
    assert np.isfinite(found.multiple).all()


def test_nothing_unpaid_is_not_exhausted():
    """A layer that pays to the last unit is not exhausted: at multiple 1 nothing is left."""
    found = reverse_stress(lambda m: whole(m - 1), np.array([0.0, 1.0]))
    assert not found.exhausted


def test_the_first_of_several_crossings():
    """Unpaid between 0.6 and 1.1 and again from 2 on, as a book of options may be."""

    def unpaid(m):
        return whole(np.where(m < 1.5, (m - 0.6) * (1.1 - m), m - 2))

    found = reverse_stress(unpaid, GRID)
    assert found.multiple == pytest.approx(0.6, abs=0.001)
    blind = reverse_stress(unpaid, np.array([0.0, 0.5, 1.2, 3.0]))
    assert blind.multiple == pytest.approx(2.0, abs=0.001)  # what comes and goes between two is not seen


def test_exhausted_at_the_first_multiple():
    assert reverse_stress(lambda m: whole(m + 1), GRID).multiple == 0.0
    late = reverse_stress(lambda m: whole(m + 1), np.array([1.0, 2.0]))
    assert (late.exhausted.item(), late.multiple.item()) == (True, 1.0)


def test_cells_of_any_shape_and_few_calls():
    """Houses × layers share a call of each halving."""
    calls = []
    bounds = np.array([[0.1, 0.9, 1.7], [2.2, 5.0, 1.7]])

    def unpaid(m):
        calls.append(m.size)
        return whole(m[:, None, None] - bounds)

    found = reverse_stress(unpaid, GRID)
    assert found.multiple.shape == (2, 3)
    np.testing.assert_allclose(found.multiple, np.where(bounds < 3, bounds, 0), rtol=0, atol=0.001)
    assert found.exhausted.tolist() == [[True, True, True], [True, False, True]]
    assert calls == [13] + [4] * 8  # 0.25 ÷ 2⁸ is below 0.001; equal brackets are asked for once


def test_a_tolerance_finer_than_floats_ends():
    found = reverse_stress(lambda m: whole(m - 1.3), GRID, 1e-300)
    assert found.multiple == pytest.approx(1.3, abs=1e-6)


@pytest.mark.parametrize(
    ("grid", "tolerance"), [([0.0, 1.0, 1.0], 0.1), ([1.0, 0.0], 0.1), ([0.0, 1.0], 0.0)]
)
def test_a_grid_that_does_not_rise_and_no_tolerance_are_mistakes(grid, tolerance):
    with pytest.raises(AssertionError):
        reverse_stress(whole, np.array(grid), tolerance)


def test_straight_lines_between_known_amounts():
    amounts = np.array([[0, 10], [100, 0], [400, -7]])
    at = interpolated(np.array([0.0, 1.0, 3.0]), amounts)
    assert at(np.array([0.0, 0.5, 1.0, 2.0, 3.0])).tolist() == [
        [0, 10],
        [50, 5],
        [100, 0],
        [250, -4],
        [400, -7],
    ]
    assert at(np.array([-1.0, 9.0])).tolist() == [[0, 10], [400, -7]]
    assert interpolated(np.array([1.0]), amounts[:1])(np.array([0.0, 2.0])).tolist() == [[0, 10], [0, 10]]


def test_layers_of_a_waterfall_are_exhausted_in_order():
    """Loss 100 × multiple against margin 40, contribution 20, house 15, survivors 40, assessments 40."""
    contributions, own = np.array([[20], [30], [10]]) * UNITS, np.array([15]) * UNITS
    margin, who = np.array([[[40], [0], [0]]]) * UNITS, np.array([[True, False, False]])
    losses = interpolated(np.array([0.0, 2.0]), np.array([[[0], [0], [0]], [[200], [0], [0]]]) * UNITS)

    def unpaid(m):
        return waterfall(losses(m), margin, contributions, own, who).unpaid

    found = reverse_stress(unpaid, GRID[GRID <= 2])
    np.testing.assert_allclose(found.multiple[0], [0.4, 0.4, 0.6, 0.75, 1.15, 1.55, 0], rtol=0, atol=0.001)
    assert found.exhausted[0].tolist() == [True] * 6 + [False]
