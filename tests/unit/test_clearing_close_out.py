"""Close-out on arrays: what a way of trading loses, liquidation with and without a hedge, the linear program."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from crossmargin.clearing.close_out.coordination import uncoordinated_close_out
from crossmargin.clearing.close_out.linear_program import CloseOutProgram
from crossmargin.clearing.close_out.liquidation import hedged_liquidation, plain_liquidation, plain_schedule
from crossmargin.clearing.close_out.optimal import optimal_close_out
from crossmargin.clearing.close_out.problem import CloseOut, close_out_problem, held_after
from crossmargin.errors import InputError


def random_problem(seed, *, scenarios=300, positions=12, days=4, costs=0.0):
    rng = np.random.default_rng(seed)
    market = rng.normal(size=(scenarios, 1, days))
    own = rng.normal(size=(scenarios, positions, days))
    quantities = rng.normal(size=positions) * 1000
    shares = rng.uniform(0.25, 0.7, size=(positions, 1))
    return close_out_problem(
        quantities,
        np.cumsum(market + 0.3 * own, axis=2),
        np.abs(quantities)[:, None] * np.repeat(shares, days, axis=1),
        costs=np.full(positions, costs),
    )


def test_what_is_closed_keeps_its_gain_and_the_rest_is_marked():
    """Long 10 in a price that goes +1, +3: four sold on the first day gain 4, the rest is worth 18 in the end."""
    problem = close_out_problem(np.array([10.0]), np.array([[[1.0, 3.0]]]), np.array([[4.0, 9.0]]))
    held = held_after(problem, np.array([[4.0, 6.0]]))
    assert held.tolist() == [[10.0, 6.0, 0.0]]
    assert problem.losses(held).tolist() == [[-10.0, -22.0]]


def test_losses_are_the_realised_part_plus_the_mark_of_the_rest():
    problem = random_problem(1, costs=0.2)
    schedule = plain_schedule(problem)
    losses = problem.losses(held_after(problem, schedule))
    side, size = np.sign(problem.quantities), np.abs(problem.quantities)
    for day in range(problem.days):
        done = schedule[:, : day + 1]
        realised = np.einsum("it,sit->s", side[:, None] * done, problem.gains[:, :, : day + 1])
        marked = problem.gains[:, :, day] @ (side * (size - done.sum(axis=1)))
        assert losses[:, day] == pytest.approx(0.2 * done.sum() - realised - marked, abs=1e-9)


def test_what_is_left_after_the_last_day_is_charged_the_cost_of_trading_it():
    gains, caps = np.zeros((1, 1, 2)), np.array([[2.0, 3.0]])
    problem = close_out_problem(np.array([-9.0]), gains, caps, costs=np.array([0.5]))
    found = plain_liquidation(problem)
    assert found.losses.tolist() == [[1.0, 4.5]]
    assert (found.left.tolist(), found.status, found.day) == ([4.0], "left open", 2)


def test_collateral_is_set_against_losses():
    problem = close_out_problem(
        np.array([1.0]), np.array([[[-5.0]], [[2.0]]]), np.array([[1.0]]), collateral=np.array([[3.0], [3.0]])
    )
    found = plain_liquidation(problem)
    assert found.losses.tolist() == [[2.0], [-5.0]]
    assert (found.transient, found.margin, found.scenario) == (2.0, 2.0, 0)


def test_a_gain_in_every_scenario_needs_no_margin():
    problem = close_out_problem(np.array([1.0]), np.array([[[5.0]], [[2.0]]]), np.array([[1.0]]))
    found = optimal_close_out(problem)
    assert (found.transient, found.margin, found.status) == (-2.0, 0.0, "optimal")


def test_every_array_with_a_bad_number_is_named():
    gains, caps = np.zeros((1, 2, 1)), np.zeros((2, 1))
    gains[0, 1, 0], caps[0, 0] = np.nan, -1.0
    with pytest.raises(InputError) as caught:
        close_out_problem(np.array([np.inf, 1.0]), gains, caps, costs=np.array([0.0, -0.1]))
    fields = {record.field for record in caught.value.records}
    assert fields == {"quantities[0]", "gains[0, 1, 0]", "costs[1]", "caps[0, 0]"}


def test_nan_is_no_cap():
    with pytest.raises(InputError, match=r"caps\[0, 0\]"):
        close_out_problem(np.ones(1), np.zeros((1, 1, 1)), np.full((1, 1), np.nan))


def test_plain_liquidation_takes_each_day_what_the_cap_allows():
    caps = np.array([[4.0, 4.0, 4.0], [0.0, np.inf, 1.0]])
    problem = close_out_problem(np.array([10.0, -7.0]), np.zeros((1, 2, 3)), caps)
    assert plain_schedule(problem).tolist() == [[4.0, 4.0, 2.0], [0.0, 7.0, 0.0]]
    assert plain_schedule(problem, first_day=2).tolist() == [[0.0, 4.0, 4.0], [0.0, 7.0, 0.0]]
    assert plain_liquidation(problem).status == "closed"


def test_without_caps_one_day_is_the_worst_scenario():
    rng = np.random.default_rng(2)
    quantities, gains = rng.normal(size=8), rng.normal(size=(500, 8, 1))
    problem = close_out_problem(quantities, gains, np.full((8, 1), np.inf))
    worst = (-gains[:, :, 0] @ quantities).max()
    found = optimal_close_out(problem)
    assert found.transient == pytest.approx(worst, rel=1e-12)
    assert found.terminal == found.transient
    assert found.scenario == (-gains[:, :, 0] @ quantities).argmax()


def test_the_schedule_keeps_to_the_caps_and_closes_everything():
    problem = random_problem(3)
    found = optimal_close_out(problem)
    traded = -np.sign(problem.quantities)[:, None] * np.diff(found.held, axis=1)
    assert (traded >= -1e-9).all()
    assert (traded <= problem.caps * (1 + 1e-9)).all()
    assert (found.left == 0).all()
    assert found.held[:, 0].tolist() == problem.quantities.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_multipliers_prove_the_optimum(seed):
    """The bound rests on weak duality alone, so that it checks the solver and the rows that were left out."""
    problem = random_problem(seed, costs=0.05)
    found = optimal_close_out(problem)
    scale = np.abs(plain_liquidation(problem).losses).max()
    assert found.status == "optimal"
    assert 0 <= found.transient - found.lower_bound <= 1e-8 * scale
    assert found.rows < 2 * found.losses.size
    assert found.transient < plain_liquidation(problem).transient


def test_few_rows_give_what_all_rows_give():
    """The whole program, all rows at once, written down independently."""
    from scipy.optimize import linprog  # noqa: PLC0415

    problem = random_problem(4, scenarios=60, positions=5, days=3)
    scenarios, positions, days = problem.gains.shape
    side = np.sign(problem.quantities)
    rows, limits = [], []
    for s in range(scenarios):
        for t in range(days):
            row = np.zeros((positions, days))
            for earlier in range(t):
                row[:, earlier] = side * (problem.gains[s, :, t] - problem.gains[s, :, earlier])
            rows.append([*row.ravel(), -1.0])
            limits.append(problem.gains[s, :, t] @ problem.quantities)
    whole = np.hstack([np.kron(np.eye(positions), np.ones(days)), np.zeros((positions, 1))])
    bounds = [*((0, cap) for cap in problem.caps.ravel()), (None, None)]
    cost = np.zeros(positions * days + 1)
    cost[-1] = 1
    found = linprog(cost, A_ub=rows, b_ub=limits, A_eq=whole, b_eq=problem.closable, bounds=bounds)
    assert optimal_close_out(problem).transient == pytest.approx(found.fun, rel=1e-7)


def test_of_schedules_with_equal_worst_loss_the_least_terminal_loss_is_taken():
    """A fall on the first day that nothing can prevent, then a rise or a fall: closing first ends better."""
    gains = np.array([[[-10.0, -4.0]], [[-1.0, -9.0]]])
    problem = close_out_problem(np.array([2.0]), gains, np.array([[2.0, 2.0]]))
    found = optimal_close_out(problem)
    assert found.transient == pytest.approx(20.0)
    # sold after the first day: x. Ends: 10x + 4(2 − x) and x + 9(2 − x), equal at x = 5/7
    assert found.terminal == pytest.approx(8 + 6 * 5 / 7)
    assert found.held[0, 1] == pytest.approx(2 - 5 / 7)


def test_what_cannot_be_closed_is_told():
    problem = close_out_problem(
        np.array([5.0, -5.0]), np.full((1, 2, 2), -1.0), np.array([[1.0, 1.0], [9.0, 9.0]])
    )
    found = optimal_close_out(problem)
    assert found.status == "optimal, left open"
    assert found.left == pytest.approx([3.0, 0.0])


def test_nothing_held_loses_nothing():
    problem = close_out_problem(np.zeros(2), np.ones((3, 2, 2)), np.ones((2, 2)))
    found = optimal_close_out(problem)
    assert (found.transient, found.terminal, found.status, found.rows) == (0.0, 0.0, "optimal", 0)


def test_no_positions_at_all():
    problem = close_out_problem(np.zeros(0), np.ones((3, 0, 2)), np.ones((0, 2)))
    assert optimal_close_out(problem).transient == 0.0


def test_where_the_solver_gives_up_plain_liquidation_is_followed(monkeypatch):
    problem = random_problem(5)
    failed = SimpleNamespace(status=4)
    monkeypatch.setattr(CloseOutProgram, "_solved", lambda *_: failed)
    found = optimal_close_out(problem)
    assert found.status == "stopped"
    assert found.transient == plain_liquidation(problem).transient
    assert found.lower_bound == -np.inf


def test_a_perfect_hedge_stops_losses_after_the_first_day():
    """A share of which a tenth can be sold each day, and a future of half its moves without limit."""
    rng = np.random.default_rng(6)
    share = np.cumsum(rng.normal(size=(50, 1, 3)), axis=2)
    gains = np.concatenate([share, 0.5 * share], axis=1)
    problem = close_out_problem(np.array([100.0, 0.0]), gains, np.array([[10.0] * 3, [np.inf] * 3]))
    found = hedged_liquidation(problem, np.array([False, True]))
    assert found.held[0].tolist() == [100.0, 100.0, 90.0, 80.0]
    assert found.held[1] == pytest.approx([0.0, -200.0, -180.0, -160.0])
    assert found.losses[:, 1:] == pytest.approx(found.losses[:, [0, 0]])
    assert found.status == "left open"


def test_a_hedge_is_limited_and_goes_with_the_positions():
    gains = np.array([[[1.0, 2.0], [1.0, 2.0]], [[-1.0, -2.0], [-1.0, -2.0]]])
    caps = np.array([[np.inf, np.inf], [30.0, 40.0]])
    found = hedged_liquidation(
        close_out_problem(np.array([100.0, 0.0]), gains, caps), np.array([False, True])
    )
    assert found.held.tolist() == [[100.0, 100.0, 0.0], [0.0, -30.0, 0.0]]
    assert found.transient == 170.0  # 100 on the first day, 70 unhedged on the second


def test_a_hedging_instrument_that_does_not_move_is_not_bought():
    gains = np.array([[[1.0], [0.0]], [[-1.0], [0.0]]])
    problem = close_out_problem(np.array([3.0, 0.0]), gains, np.full((2, 1), np.inf))
    assert hedged_liquidation(problem, np.array([False, True])).held[1].tolist() == [0.0, 0.0]


def test_a_hedge_needs_an_instrument():
    with pytest.raises(InputError, match="hedges"):
        hedged_liquidation(random_problem(7), np.zeros(12, bool))


def test_houses_apart_add_up_to_the_whole_book():
    problem = random_problem(8)
    mine = np.arange(12) < 5
    found = uncoordinated_close_out(problem, [mine, ~mine])
    first, second = found.houses
    assert found.together.losses == pytest.approx(first.losses + second.losses, abs=1e-9)
    assert found.apart_transient == first.margin + second.margin
    assert found.apart_terminal == max(first.terminal, 0) + max(second.terminal, 0)
    assert optimal_close_out(problem).transient <= found.together.transient <= found.apart_transient


def test_binding_scenario_and_day():
    losses = np.array([[1.0, 7.0], [7.0 + 1e-9, 2.0], [0.0, 3.0]])
    way = CloseOut(held=np.zeros((0, 3)), losses=losses, status="closed")
    assert (way.scenario, way.day, way.terminal_scenario) == (0, 2, 0)
    assert (way.transient, way.terminal) == (7.0 + 1e-9, 7.0)


def test_twice_the_same_bytes():
    first, second = (optimal_close_out(random_problem(9)) for _ in range(2))
    assert first.held.tobytes() == second.held.tobytes()
    assert first.losses.tobytes() == second.losses.tobytes()
