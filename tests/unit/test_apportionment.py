"""Whole amounts divided so that the parts add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.core.apportionment import apportioned


def divide(totals, weights, group):
    found = apportioned(np.array(totals, np.int64), np.array(weights), np.array(group, np.int64))
    assert found.dtype == np.int64
    return found.tolist()


def test_parts_by_weight_with_the_largest_remainders_up():
    assert divide([100], [1, 1, 1], [0, 0, 0]) == [34, 33, 33]
    assert divide([10], [6, 3, 1], [0, 0, 0]) == [6, 3, 1]
    assert divide([7], [1, 2, 4], [0, 0, 0]) == [1, 2, 4]
    assert divide([5], [1, 1, 4], [0, 0, 0]) == [1, 1, 3]
    assert divide([2], [1.0, 2.0, 4.0], [0, 0, 0]) == [0, 1, 1]


def test_groups_are_divided_apart_in_any_order_of_members():
    assert divide([100, 9], [1, 2, 1, 1, 1], [0, 1, 0, 1, 0]) == [34, 6, 33, 3, 33]
    assert divide([9, 100], [1, 2, 1, 1, 1], [1, 0, 1, 0, 1]) == [34, 6, 33, 3, 33]


def test_weights_of_nothing_have_equal_parts():
    assert divide([7, 4], [0, 0, 0, 3], [0, 0, 0, 1]) == [3, 2, 2, 4]
    assert divide([7], [0, 5, 0], [0, 0, 0]) == [0, 7, 0]


def test_nothing_to_divide_and_nobody_to_divide_it_among():
    assert divide([0, 0], [3, 4], [0, 0]) == [0, 0]
    assert divide([0, 0, 0], [], []) == []
    assert divide([], [], []) == []
    with pytest.raises(AssertionError, match="without a member"):
        divide([1, 2], [3.0], [0])


@given(st.data())
def test_parts_add_up_and_are_next_to_their_quotas(data):
    count = data.draw(st.integers(1, 4))
    members = data.draw(st.integers(1, 12))
    group = data.draw(st.lists(st.integers(0, count - 1), min_size=members, max_size=members))
    weights = data.draw(
        st.lists(st.one_of(st.just(0), st.integers(0, 10**13)), min_size=members, max_size=members)
    )
    totals = [data.draw(st.integers(0, 10**13)) if place in group else 0 for place in range(count)]
    parts = divide(totals, weights, group)
    for place, total in enumerate(totals):
        mine = [at for at in range(members) if group[at] == place]
        assert sum(parts[at] for at in mine) == total
        whole = sum(weights[at] for at in mine)
        for at in mine:
            assert parts[at] >= 0
            weight, of = (weights[at], whole) if whole else (1, len(mine))
            assert abs(parts[at] * of - total * weight) <= of * 1.01
            if whole and not weights[at]:
                assert parts[at] == 0


@given(st.permutations(range(6)), st.integers(0, 10**9))
def test_permuting_members_permutes_parts(order, total):
    weights = np.array([5, 17, 230, 4_111, 90_001, 1_234_567])
    parts = np.array(divide([total], weights, [0] * 6))
    assert divide([total], weights[list(order)], [0] * 6) == parts[list(order)].tolist()
