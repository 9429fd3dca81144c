"""Close-outs solved by hand, and the direction of Avellaneda and Cont (2013): coordination is never worse.

Two positions of two houses, two days. Of A two units are held and one can be sold each day; of B two units are
short and both can be bought on any day. a and b: what is left of each after the first day, 1 ≤ a ≤ 2, 0 ≤ b ≤ 2.
"""

from __future__ import annotations

import numpy as np
import pytest

from crossmargin.clearing.close_out.coordination import uncoordinated_close_out
from crossmargin.clearing.close_out.liquidation import plain_liquidation
from crossmargin.clearing.close_out.optimal import optimal_close_out
from crossmargin.clearing.close_out.problem import close_out_problem, held_after

HELD = np.array([2.0, -2.0])
CAPS = np.array([[1.0, 1.0], [2.0, 2.0]])
HOUSES = [np.array([True, False]), np.array([False, True])]


def problem(*steps):
    """One scenario for each ((A's move, B's move) of day 1, the same of day 2)."""
    moves = np.array(steps, np.float64).transpose(0, 2, 1)
    return close_out_problem(HELD, np.cumsum(moves, axis=2), CAPS)


CONFLICT = problem(((0, 0), (-10, -8)), ((0, 0), (-4, 6)))
"""Losses of day 2: 10a − 8b and 4a + 6b. Both grow with a, so that a = 1; they are equal at b = 3/7."""

HEDGED = problem(((10, 8), (10, 8)), ((-10, -8), (-10, -8)))
"""A market that goes one way. Falling: 4 on day 1, then 4 + 10a − 8b; rising: −4, then −4 − 10a + 8b."""


def test_the_optimum_by_hand():
    found = optimal_close_out(CONFLICT)
    assert found.transient == pytest.approx(46 / 7, rel=1e-9)
    assert found.held[:, 1] == pytest.approx([1.0, -3 / 7], rel=1e-8)
    assert found.status == "optimal"


def test_each_house_for_itself_by_hand():
    """A's house sells what it can; B's closes at once, against the second scenario. Together: 10a with a = 1."""
    found = uncoordinated_close_out(CONFLICT, HOUSES)
    assert found.together.held[:, 1] == pytest.approx([1.0, 0.0], abs=1e-9)
    assert found.together.transient == pytest.approx(10.0)
    assert found.apart_transient == pytest.approx(10.0)


def test_jointly_better_by_a_third():
    """1 − (46/7) ÷ 10 = 34.29%."""
    joint = optimal_close_out(CONFLICT).transient
    separate = uncoordinated_close_out(CONFLICT, HOUSES).together.transient
    assert 1 - joint / separate == pytest.approx(0.342857, abs=1e-6)


def test_a_hedge_across_houses_by_hand():
    """Jointly no more than day 1 loses, 4; closing b = 7/4 late ends without loss. Apart: 30 + 16; together 14."""
    joint, separate = optimal_close_out(HEDGED), uncoordinated_close_out(HEDGED, HOUSES)
    assert joint.transient == pytest.approx(4.0)
    assert joint.terminal == pytest.approx(0.0, abs=1e-6)
    assert separate.together.transient == pytest.approx(14.0)
    assert separate.apart_transient == pytest.approx(46.0)
    assert 1 - joint.transient / separate.together.transient == pytest.approx(10 / 14)
    assert plain_liquidation(HEDGED).transient == pytest.approx(14.0)


def worst(case, a, b):
    schedule = np.array([[2 - a, a], [2 - b, b]])
    return case.losses(held_after(case, schedule)).max()


def test_no_schedule_of_a_grid_is_better():
    """140 steps to a unit; (1, 3/7) is one of them."""
    grid = [
        worst(CONFLICT, 1 + left / 140, bought / 140)
        for left in range(0, 141, 10)
        for bought in range(0, 281, 4)
    ]
    assert min(grid) == pytest.approx(optimal_close_out(CONFLICT).transient, rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_random_cases_against_a_grid(seed):
    """The best of the grid is above the optimum, and by no more than half a step of both positions can move it."""
    rng = np.random.default_rng(seed)
    case = problem(*rng.normal(size=(6, 2, 2)))
    step = 0.02
    grid = min(
        worst(case, a, b) for a in np.arange(1, 2 + step / 2, step) for b in np.arange(0, 2 + step / 2, step)
    )
    slope = np.abs(np.diff(case.gains, axis=2)).sum(axis=1).max()
    found = optimal_close_out(case).transient
    assert found - 1e-9 <= grid <= found + slope * step / 2
