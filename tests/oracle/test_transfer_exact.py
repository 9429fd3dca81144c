"""Transfers against the whole mixed-integer program, and against trying every whole number of contracts.

The whole program has a variable for every scenario: the mean of the k worst losses is the least, over a
threshold, of the threshold plus the mean excess above it (Rockafellar and Uryasev, "Optimization of
conditional value-at-risk", Journal of Risk 2 (2000), for whole scenarios). It is built here independently of
the cutting planes; only the solver is the same.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import lil_array
from transfer_cases import account, best_by_trying, measure_of

from crossmargin.programmes.programme import Transfer
from crossmargin.programmes.transfer.cuts import ACCURACY, CuttingPlanes
from crossmargin.programmes.transfer.problem import TIE
from crossmargin.programmes.transfer.solve import best_transfer

UNITS = 1e4
"""The whole program is small enough for finer units than those of the cutting planes."""
EXACT = Transfer(gap=0.0)


def least_by_the_whole_program(problem) -> float:
    """Variables: contracts, commodities, for each part a threshold and an excess a scenario, the long pot."""
    measure, futures = problem.measure, problem.quantities.size
    unit = problem.requirement(np.zeros(futures)) / UNITS
    scanned, commodities = problem.scanned(np.zeros(futures)), problem.staying.shape[0]
    sizes = np.diff(measure.bounds, axis=1).ravel()
    thresholds = futures + commodities + np.concatenate([[0], np.cumsum(sizes + 1)[:-1]])
    variables = int(futures + commodities + (sizes + 1).sum() + 1)
    rows = lil_array((16 * commodities + int(sizes.sum()) + 1, variables))
    at_least = np.zeros(rows.shape[0])
    row = 0
    for commodity, scenario in np.ndindex(scanned.shape):  # pot + contracts × loss ≥ losses of all
        mine = problem.commodity == commodity
        rows[row, :futures] = np.where(mine, problem.lost[:, scenario], 0) / unit
        rows[row, futures + commodity] = 1
        at_least[row] = scanned[commodity, scenario] / unit
        row += 1
    for part, (start, stop) in enumerate(measure.bounds):  # excess + threshold + contracts × gain ≥ −base
        rows[-1, thresholds[part]] = -measure.weights[part]
        for place, column in enumerate(range(start, stop)):
            rows[row, :futures] = problem.gained[:, column] / unit
            rows[row, thresholds[part]] = rows[row, thresholds[part] + 1 + place] = 1
            rows[-1, thresholds[part] + 1 + place] = -measure.weights[part] / measure.tail_counts[part]
            at_least[row] = -problem.base[column] / unit
            row += 1
    rows[-1, -1] = 1
    cost = np.zeros(variables)
    cost[futures : futures + commodities] = cost[-1] = 1
    lowest, highest = np.zeros(variables), np.full(variables, np.inf)
    lowest[thresholds] = -np.inf
    highest[:futures] = problem.contracts
    found = milp(
        cost,
        integrality=np.arange(variables) < futures,
        bounds=Bounds(lowest, highest),
        constraints=LinearConstraint(rows.tocsr(), lb=at_least),
        options={"mip_rel_gap": 0.0},
    )
    assert found.success, found.message
    return float(found.fun * unit)


TWO_PARTS = measure_of((60, 3, 0.75), (40, 2, 0.25))
A_YEAR = measure_of((250, 6, 0.75), (120, 3, 0.25))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("futures", [1, 2, 3, 5, 8])
def test_cutting_planes_find_what_the_whole_program_finds(futures, seed):
    problem = account(1000 * futures + seed, futures=futures, most=12, measure=A_YEAR, commodities=3)
    found = best_transfer(problem, EXACT)
    before = sum(found.before)
    whole = least_by_the_whole_program(problem)
    assert found.exact
    assert sum(found.after) == pytest.approx(whole, abs=ACCURACY * before)
    assert found.lower_bound <= whole + ACCURACY * before
    assert found.gap * sum(found.after) <= ACCURACY * before


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("futures", [2, 3])
def test_the_best_of_all_whole_numbers_is_found(futures, seed):
    problem = account(seed, futures=futures, most=4, measure=TWO_PARTS)
    moved, least = best_by_trying(problem)
    found = best_transfer(problem, EXACT)
    assert found.moved.tolist() == moved
    assert sum(found.after) == pytest.approx(least, abs=TIE * sum(found.before))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("futures", [4, 8, 12])
def test_the_gap_of_a_search_holds(futures, seed):
    problem = account(seed, futures=futures, most=12, measure=A_YEAR, commodities=3)
    search = best_transfer(problem, Transfer(exact_futures=2))
    whole = least_by_the_whole_program(problem)
    slack = ACCURACY * sum(search.before)
    assert search.lower_bound - slack <= whole <= sum(search.after) + slack
    assert not search.exact


@pytest.mark.parametrize("seed", range(10))
def test_the_bound_of_fractions_holds_whatever_the_multipliers(seed):
    """Any multipliers prove something true, those of the solver nearly all that fractions can save."""
    problem = account(seed, futures=3, most=9, commodities=3)
    before = problem.requirement(np.zeros(3))
    cuts = CuttingPlanes(problem, before)
    cuts.learn(np.zeros(3))
    while True:
        fractions, bound = cuts.relaxed()
        if not cuts.learn(fractions):
            break
    value = problem.requirement(fractions)
    assert bound == pytest.approx(value, abs=1e-9 * before)
    rng = np.random.default_rng(seed)
    rows, limits = np.array(cuts._rows), np.array(cuts._limits)
    for scale in (1e-3, 1.0, 10.0):
        multipliers = rng.exponential(scale, limits.size) * rng.integers(0, 2, limits.size)
        assert cuts._proven(rows, limits, multipliers) <= value + 1e-12 * before
