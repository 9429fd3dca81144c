"""Layers of a default waterfall, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from crossmargin.clearing.waterfall import LAYERS, waterfall
from crossmargin.errors import RangeError

CONTRIBUTIONS = np.array([[20, 5], [30, 10], [10, 0]])
OWN = np.array([15, 3])


def default(loss, margin, who, **given):
    """One case of three groups at two houses."""
    who = np.isin(np.arange(3), who)
    return waterfall(np.array([loss]), np.array([margin]), CONTRIBUTIONS, OWN, who[None], **given)


def used(found, house=0):
    return dict(zip(LAYERS, found.used[0, house].tolist(), strict=True))


def available(found, house=0):
    return dict(zip(LAYERS, found.available[0, house].tolist(), strict=True))


HELD = [[40, 8], [50, 50], [60, 60]]


def losing(amount):
    return [[amount, 0], [999, 999], [999, 999]]


@pytest.mark.parametrize(
    ("loss", "layers"),
    [
        (-7, [0, 0, 0, 0, 0, 0, 0]),
        (0, [0, 0, 0, 0, 0, 0, 0]),
        (40, [40, 0, 0, 0, 0, 0, 0]),
        (41, [40, 0, 1, 0, 0, 0, 0]),
        (60, [40, 0, 20, 0, 0, 0, 0]),
        (75, [40, 0, 20, 15, 0, 0, 0]),
        (115, [40, 0, 20, 15, 40, 0, 0]),
        (155, [40, 0, 20, 15, 40, 40, 0]),
        (160, [40, 0, 20, 15, 40, 40, 5]),
    ],
)
def test_layers_in_their_order(loss, layers):
    """Margin 40, own contribution 20, the house 15, survivors 30 and 10, as much again, and then nobody."""
    found = default(losing(loss), HELD, [0])
    assert found.used[0, 0].tolist() == layers
    assert found.owed[0].tolist() == [max(loss, 0), 0]
    assert not found.used[0, 1].any()


def test_worked_example():
    """The example of the documentation: B loses 1,600 million against margin of 600 and defaults alone."""
    million = 1_000_000_00
    funds = np.array([[741_45], [444_49], [221_77 + 73_29]]) * million // 100
    found = waterfall(
        np.array([[[0], [1_600], [0]]]) * million,
        np.array([[[800], [600], [700]]]) * million,
        funds,
        np.array([169 * million]),
        np.array([[False, True, False]]),
    )
    assert (found.used[0, 0] / million).tolist() == [600, 0, 444.49, 169, 386.51, 0, 0]
    assert (found.contributions_lost[0, 0] / million).round(2).tolist() == [276.48, 0, 110.03]


def test_what_each_layer_has():
    found = default(losing(10), HELD, [0])
    assert list(available(found).values()) == [40, 0, 20, 15, 40, 40, 0]
    assert list(available(found, house=1).values()) == [8, 0, 5, 3, 10, 10, 0]


def test_survivors_lose_in_proportion_to_their_contributions():
    found = default(losing(40 + 20 + 15 + 8), HELD, [0])
    assert found.contributions_lost[0, 0].tolist() == [0, 6, 2]
    assert not found.assessments_paid.any()
    more = default(losing(115 + 10), HELD, [0])
    assert more.contributions_lost[0, 0].tolist() == [0, 30, 10]
    assert more.assessments_paid[0, 0].tolist() == [0, 8, 2]  # 7.5 and 2.5: the odd unit to the larger
    assert more.assessments_paid.sum() == more.used[0, 0, LAYERS.index("assessments")] == 10


def test_assessments_are_a_parameter():
    assert used(default(losing(160), HELD, [0], assessment_multiple=0))["not covered"] == 45
    assert used(default(losing(160), HELD, [0], assessment_multiple=2))["assessments"] == 45


def test_margin_of_one_group_never_pays_for_another():
    """Both default: 0 is 10 short, 1 keeps 50; its surplus goes back, its contribution pays."""
    found = default([[50, 0], [0, 0], [0, 0]], HELD, [0, 1])
    assert used(found)["margin"] == 40
    assert available(found)["margin"] == 90
    assert used(found)["defaulters' contributions"] == 10
    assert available(found)["defaulters' contributions"] == 50
    assert found.returned[0, :, 0].tolist() == [0, 50, 0]


def test_contributions_of_all_groups_in_default_come_before_the_house_and_survivors():
    found = default([[40 + 45, 0], [0, 0], [0, 0]], HELD, [0, 1])
    assert used(found)["defaulters' contributions"] == 45  # 20 of its own, 25 of the other's 30
    assert used(found)["own resources"] == 0


def test_where_all_default_nobody_is_left_to_pay():
    found = default([[100, 0], [100, 0], [100, 0]], HELD, [0, 1, 2])
    assert used(found) == {
        "margin": 150,
        "received from other houses": 0,
        "defaulters' contributions": 60,
        "own resources": 15,
        "survivors' contributions": 0,
        "assessments": 0,
        "not covered": 75,
    }
    assert not found.contributions_lost.any()


def test_what_is_received_comes_after_margin_and_before_the_fund():
    received = np.array([[[12, 0], [0, 0], [0, 0]]])
    paid = np.array([[[0, 12], [0, 0], [0, 0]]])
    found = default([[70, -10], [5, 5], [5, 5]], HELD, [0], paid=paid, received=received)
    assert used(found)["received from other houses"] == 12
    assert used(found)["defaulters' contributions"] == 18
    # the other house pays 12 out of margin of 8 and a gain of 10
    assert (found.owed[0, 1], used(found, house=1)["margin"]) == (12, 12)
    assert found.returned[0, 0].tolist() == [0, 6]


def test_a_house_that_must_pay_more_than_the_surplus_uses_its_fund():
    """As the split of a pool may ask: 5 beyond margin fall on the paying house's fund."""
    paid = np.array([[[0, 13], [0, 0], [0, 0]]])
    found = default([[60, 0], [0, 0], [0, 0]], HELD, [0], paid=paid)
    assert list(used(found, house=1).values()) == [8, 0, 5, 0, 0, 0, 0]


def test_more_received_than_owed_goes_back():
    received = np.array([[[12, 0], [0, 0], [0, 0]]])
    found = default(losing(50), HELD, [0], received=received)
    assert used(found)["received from other houses"] == 10
    assert found.returned[0, 0].tolist() == [2, 8]


def test_amounts_of_groups_not_in_default_count_for_nothing():
    flows = np.full((1, 3, 2), 7)
    found = default(losing(50), HELD, [], paid=flows, received=flows)
    assert not found.owed.any()
    assert not found.used.any()
    assert not found.returned.any()
    assert available(found)["survivors' contributions"] == 60


def test_cases_do_not_touch_one_another():
    losses = np.array([losing(amount) for amount in (10, 90, 200)])
    who = np.array([[True, False, False], [True, True, False], [False, False, True]])
    together = waterfall(losses, np.array([HELD]), CONTRIBUTIONS, OWN, who)
    for case in range(3):
        alone = waterfall(losses[case : case + 1], np.array([HELD]), CONTRIBUTIONS, OWN, who[case : case + 1])
        for name in ("owed", "available", "used", "contributions_lost", "assessments_paid", "returned"):
            assert getattr(together, name)[case].tolist() == getattr(alone, name)[0].tolist()


def test_unpaid_after_each_layer():
    found = default(losing(100), HELD, [0])
    assert found.unpaid[0, 0].tolist() == [60, 60, 40, 25, 0, 0, 0]
    assert not found.not_covered.any()


def test_amounts_beyond_exact_shares_are_refused():
    with pytest.raises(RangeError):
        default(losing(2**53), HELD, [0])
