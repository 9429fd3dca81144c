"""A tree of amounts that add up exactly."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from decimal import Decimal

import pytest

from crossmargin import Component, Fact


def leaf(name: str, amount: int) -> Component:
    return Component(name=name, amount=amount, decimals=2)


TREE = Component(
    name="total",
    amount=600,
    decimals=2,
    rule="§1",
    binding="floor",
    facts=(Fact("rate", 0.5), Fact("tail", ((1, -2.5), (7, -1.0)), ("scenario", "pnl"))),
    parts=(
        Component(name="margin", amount=650, decimals=2, parts=(leaf("long", 700), leaf("short", -50))),
        leaf("credit", -50),
    ),
)


def test_parts_must_add_up():
    with pytest.raises(AssertionError, match="total: parts make 3, not 4"):
        Component(name="total", amount=4, decimals=0, parts=(leaf("a", 1), leaf("b", 2)))


def test_a_leaf_needs_no_parts():
    assert leaf("a", 5).parts == ()


@pytest.mark.parametrize(
    ("amount", "decimals", "value"),
    [
        (600, 2, "6.00"),
        (-1, 6, "-0.000001"),
        (7, 0, "7"),
        (9_199_999_999_999_999_999, 2, "91999999999999999.99"),
    ],
)
def test_the_value_is_exact(amount, decimals, value):
    assert str(Component(name="x", amount=amount, decimals=decimals).value) == value


def test_walk_is_parents_first_with_depth():
    walked = [(depth, node.name) for depth, node in TREE.walk()]
    assert walked == [(0, "total"), (1, "margin"), (2, "long"), (2, "short"), (1, "credit")]


def test_find():
    assert TREE.find("short").amount == -50
    assert TREE.find("total") is TREE
    with pytest.raises(
        KeyError, match="no component 'shorts'; there are: total, margin, long, short, credit"
    ):
        TREE.find("shorts")


def test_json_holds_exact_amounts_and_every_branch():
    plain = json.loads(json.dumps(TREE.to_dict()))
    assert plain["amount"] == "6.00"
    assert (plain["rule"], plain["binding"]) == ("§1", "floor")
    assert plain["facts"] == [
        {"label": "rate", "value": 0.5},
        {"label": "tail", "value": [{"scenario": 1, "pnl": -2.5}, {"scenario": 7, "pnl": -1.0}]},
    ]
    assert [part["amount"] for part in plain["parts"]] == ["6.50", "-0.50"]
    assert sum(Decimal(part["amount"]) for part in plain["parts"][0]["parts"]) == Decimal("6.50")


def test_a_table_of_other_width_than_its_columns_is_no_fact():
    with pytest.raises(ValueError, match="argument 2"):
        Fact("tail", ((1, 2.0),), ("scenario",)).to_dict()


def test_results_do_not_change():
    with pytest.raises(FrozenInstanceError):
        TREE.amount = 1
