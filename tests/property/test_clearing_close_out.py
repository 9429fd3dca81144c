"""What holds of every close-out: coordination never hurts, and nothing that is worse gives a better result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crossmargin.clearing.close_out.coordination import uncoordinated_close_out
from crossmargin.clearing.close_out.liquidation import plain_liquidation
from crossmargin.clearing.close_out.optimal import optimal_close_out
from crossmargin.clearing.close_out.problem import close_out_problem

NEAR = 1e-7  # of the gross value at risk; the program's own accuracy is 1e-8 of plain liquidation's loss


@st.composite
def problems(draw):
    """Books of whole quantities over few days, with moves in steps, so that ties and zeros occur."""
    positions, days = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scenarios = draw(st.integers(1, 40))
    quantities = rng.integers(-9, 10, size=positions).astype(np.float64)
    steps = rng.integers(-3, 4, size=(scenarios, positions, days)).astype(np.float64)
    caps = rng.choice([0.0, 1.0, 2.0, 5.0, np.inf], size=(positions, days))
    costs = rng.choice([0.0, 0.25], size=positions)
    return close_out_problem(quantities, np.cumsum(steps, axis=2), caps, costs=costs)


def size_of(problem):
    gross = np.abs(problem.gains).max(axis=(0, 2)) + problem.costs
    return float(np.abs(problem.quantities) @ gross) + 1.0


@given(problems(), st.lists(st.integers(0, 2), min_size=5, max_size=5))
@settings(max_examples=60)
def test_joint_is_never_worse_than_separate_nor_separate_than_apart(problem, owners):
    owner = np.array(owners[: problem.quantities.size])
    houses = [owner == house for house in range(3)]
    joint = optimal_close_out(problem)
    separate = uncoordinated_close_out(problem, houses)
    near = NEAR * size_of(problem)
    assert joint.transient <= separate.together.transient + near
    assert separate.together.margin <= separate.apart_transient + near
    assert joint.margin <= separate.apart_transient + near


@given(problems())
@settings(max_examples=60)
def test_the_optimum_lies_between_its_bound_and_plain_liquidation(problem):
    found, near = optimal_close_out(problem), NEAR * size_of(problem)
    assert found.lower_bound <= found.transient <= plain_liquidation(problem).transient + near
    assert found.transient - found.lower_bound <= near
    assert found.terminal <= found.transient
    assert found.status.startswith("optimal")
    assert problem.losses(found.held).tobytes() == found.losses.tobytes()


@given(problems(), st.floats(1.0, 3.0))
@settings(max_examples=40)
def test_more_liquidity_never_costs(problem, factor):
    more = replace(problem, caps=problem.caps * factor, costs=np.zeros(problem.costs.size))
    less = replace(problem, costs=more.costs)
    assert optimal_close_out(more).transient <= optimal_close_out(less).transient + NEAR * size_of(problem)


@given(problems())
@settings(max_examples=40)
def test_one_more_scenario_never_helps(problem):
    assume(len(problem.gains) > 1)
    fewer = replace(problem, gains=problem.gains[:-1], collateral=problem.collateral[:-1])
    near = NEAR * size_of(problem)
    assert optimal_close_out(fewer).transient <= optimal_close_out(problem).transient + near


@given(problems(), st.floats(0.01, 1e6))
@settings(max_examples=40)
def test_everything_in_proportion(problem, factor):
    larger = replace(problem, quantities=factor * problem.quantities, caps=factor * problem.caps)
    near = NEAR * size_of(problem) * factor
    assert abs(optimal_close_out(larger).transient - factor * optimal_close_out(problem).transient) <= near
