"""What holds of every transfer, whatever the account."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from transfer_cases import account, best_by_trying

from crossmargin.programmes.programme import Transfer
from crossmargin.programmes.transfer.cuts import ACCURACY
from crossmargin.programmes.transfer.problem import TIE, LongMeasure, TransferProblem
from crossmargin.programmes.transfer.solve import best_transfer

SEEDS = st.integers(0, 2**32 - 1)
EXACT, SEARCH = Transfer(gap=0.0), Transfer(exact_futures=0)

accounts = st.builds(account, SEEDS, futures=st.integers(1, 5), most=st.integers(1, 40))


def vars_of(problem):
    names = ("quantities", "losses", "commodity", "staying", "gains", "base", "measure")
    return {name: getattr(problem, name) for name in names}


@settings(max_examples=40, deadline=None)
@given(accounts, st.sampled_from([EXACT, SEARCH]))
def test_a_transfer_is_of_the_futures_held_and_never_asks_for_more(problem, choice):
    found = best_transfer(problem, choice)
    assert np.all(found.moved * problem.quantities >= 0)
    assert np.all(np.abs(found.moved) <= np.abs(problem.quantities))
    assert sum(found.after) <= sum(found.before)
    assert not found.moved.any() or sum(found.after) < sum(found.before)
    assert found.after == problem.pots(np.abs(found.moved))
    assert found.before == problem.pots(np.zeros(problem.quantities.size))
    assert 0 <= found.lower_bound <= sum(found.after)


@settings(max_examples=30, deadline=None)
@given(st.builds(account, SEEDS, futures=st.integers(1, 3), most=st.integers(1, 4)))
def test_the_best_of_all_is_found_and_the_bound_of_a_search_holds(problem):
    moved, least = best_by_trying(problem)
    before = problem.requirement(np.zeros(problem.quantities.size))
    exact, search = best_transfer(problem, EXACT), best_transfer(problem, SEARCH)
    assert problem.requirement(np.abs(moved)) <= least + 2 * TIE * before
    assert sum(exact.after) <= least + ACCURACY * before
    for found in (exact, search):
        assert found.lower_bound - ACCURACY * before <= least <= sum(found.after) + TIE * before


@settings(max_examples=25, deadline=None)
@given(accounts)
def test_a_search_is_no_better_than_exact_and_its_bound_no_higher(problem):
    exact, search = best_transfer(problem, EXACT), best_transfer(problem, SEARCH)
    slack = ACCURACY * sum(exact.before)
    assert search.lower_bound <= sum(exact.after) + slack
    assert sum(exact.after) <= sum(search.after) + slack


@settings(max_examples=25, deadline=None)
@given(accounts, st.integers(2, 4))
def test_several_times_the_account_asks_for_no_more_than_so_many_times(problem, size):
    """Twice the whole contracts are open to twice the account, and halves besides."""
    once = best_transfer(problem, EXACT)
    larger = TransferProblem(
        **vars_of(problem)
        | {
            "quantities": size * problem.quantities,
            "staying": size * problem.staying,
            "base": size * problem.base,
        }
    )
    several = best_transfer(larger, EXACT)
    slack = 2 * size * ACCURACY * sum(once.before)
    assert np.isclose(sum(several.before), size * sum(once.before), rtol=1e-12)
    assert sum(several.after) <= size * sum(once.after) + slack


@settings(max_examples=25, deadline=None)
@given(accounts, st.floats(1e-3, 1e3))
def test_another_currency_moves_the_same(problem, rate):
    amounts = {name: rate * getattr(problem, name) for name in ("losses", "staying", "gains", "base")}
    found, told = (
        best_transfer(problem, EXACT),
        best_transfer(TransferProblem(**vars_of(problem) | amounts), EXACT),
    )
    assert np.isclose(sum(told.after), rate * sum(found.after), rtol=1e-6, atol=1e-6 * rate)


@settings(max_examples=25, deadline=None)
@given(accounts)
def test_the_order_of_futures_changes_no_requirement(problem):
    turned = {name: getattr(problem, name)[::-1] for name in ("quantities", "losses", "commodity", "gains")}
    found, other = (
        best_transfer(problem, EXACT),
        best_transfer(TransferProblem(**vars_of(problem) | turned), EXACT),
    )
    assert np.isclose(sum(other.after), sum(found.after), rtol=0, atol=2 * ACCURACY * sum(found.before))


@settings(max_examples=25, deadline=None)
@given(accounts, st.floats(1.0, 3.0))
def test_a_dearer_long_pot_saves_less(problem, horizon):
    """Its margin times something: every transfer asks for no less, so the best one asks for no less."""
    measure = problem.measure
    dearer = LongMeasure(
        bounds=measure.bounds, tail_counts=measure.tail_counts, weights=horizon * measure.weights
    )
    found, other = (
        best_transfer(problem, EXACT),
        best_transfer(TransferProblem(**vars_of(problem) | {"measure": dearer}), EXACT),
    )
    assert sum(other.after) >= sum(found.after) - 2 * ACCURACY * sum(other.before)
