"""Sizes of default funds and who pays them, by each house's rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction

import numpy as np
import pytest

from crossmargin.clearing.default_fund import Contributions, contributions, cover, fund_size, review_due
from crossmargin.clearing.default_fund_rules import FUNDS, FundRules, fund_rules
from crossmargin.errors import InputError, RangeError

DAY = date(2024, 6, 28)
MILLION = 1_000_000_00
PLAIN = FundRules(
    parameter_set="plain",
    house="A",
    fund="fund",
    standard=2,
    limit=None,
    limit_share=Fraction(1, 2),
    call="call",
    house_share=Fraction(1, 10),
    key="key",
    key_days=60,
    review_share=Fraction(9, 10),
)
LOSSES = np.array([[900, 400, -50], [200, 1_000, 650]]) * MILLION


def parts(rules, size, key, group=None, general=None):
    key = np.asarray(key, np.int64)
    group = np.arange(key.shape[1]) if group is None else np.array(group)
    return contributions(rules, size, key, group, None if general is None else np.array(general))


# rules


def rules_of(house):
    return fund_rules(house, DAY)


@pytest.mark.parametrize("house", FUNDS)
def test_each_value_has_source_and_confidence(house):
    rules = rules_of(house)
    given = {name for name in rules.source if getattr(rules, name) != getattr(PLAIN, name)}
    told = {"standard", "limit", "limit_share", "house_share", "key", "key_days", "review_share", "call"}
    assert told <= set(rules.source)
    assert set(rules.source) == set(rules.confidence)
    amounts = ("basic_total", "basic_direct", "basic_general", "credit")
    assert {name for name in amounts if getattr(rules, name)} <= given
    assert set(rules.confidence.values()) <= {"published", "secondary", "choice"}
    assert all(rules.source.values())


def test_published_values():
    """Billions and millions of HKD: limits 7.3, 7.3, 2.7; basic contributions 100 in all; credits 1; 10% of the house."""
    houses = [rules_of(house) for house in FUNDS[:3]]
    assert [rules.limit for rules in houses] == [7_300 * MILLION, 7_300 * MILLION, 2_700 * MILLION]
    assert [rules.credit for rules in houses] == [MILLION, MILLION, 0]
    assert [rules.basic_total for rules in houses] == [100 * MILLION, 0, 0]
    assert (houses[0].basic_direct, houses[0].basic_general) == (50_000_00, 150_000_00)
    assert {rules.house_share for rules in houses} == {Fraction(1, 10)}
    assert {rules.limit_share for rules in houses} == {Fraction(1, 2)}
    assert {rules.key_days for rules in houses} == {60}
    assert {rules.review_share for rules in houses} == {Fraction(9, 10)}
    assert rules_of("merged").limit == sum(rules.limit for rules in houses)


def test_half_of_hksccs_limit_is_the_predefined_limit_of_its_guide():
    allowed = rules_of("HKSCC").limit * rules_of("HKSCC").limit_share
    assert allowed == 3_650 * MILLION


@pytest.mark.parametrize("house", FUNDS)
def test_the_set_in_force_and_none_before_the_first(house):
    rules = fund_rules(house, date(2022, 10, 3))
    assert rules.parameter_set[-10:] <= "2022-10-03"
    with pytest.raises(InputError, match=f"default fund of {house} are known"):
        fund_rules(house, date(2018, 5, 31))


def test_an_unknown_house_is_refused():
    with pytest.raises(InputError, match="one of HKSCC, HKCC, SEOCH, merged"):
        fund_rules("OTC", DAY)


def test_every_bad_value_is_told():
    with pytest.raises(InputError) as caught:
        replace(
            PLAIN,
            standard=3,
            limit=-1,
            credit=-1,
            house_share=Fraction(1),
            limit_share=Fraction(3, 2),
            key_days=0,
        )
    told = [record.field for record in caught.value.records]
    assert told == ["credit", "house_share", "key_days", "limit", "limit_share", "standard"]


# sizes


def test_cover_1_and_cover_2_are_of_one_scenario():
    """The largest of all is 1,000 in the second; together 1,650 there, not 1,900 of two scenarios."""
    one, two = cover(LOSSES, 1), cover(LOSSES, 2)
    assert (one.amount, one.scenario, one.groups.tolist()) == (1_000 * MILLION, 1, [1])
    assert (two.amount, two.scenario, two.groups.tolist()) == (1_650 * MILLION, 1, [1, 2])


def test_a_surplus_of_one_group_covers_no_other():
    two = cover(np.array([[10, -4, -9]]), 2)
    assert (two.amount, two.groups.tolist()) == (10, [0])


def test_of_equal_losses_the_first_scenario_and_group_decide():
    two = cover(np.array([[0, 1, 1, 1], [2, 0, 2, 2], [2, 2, 0, 0]]), 2)
    assert (two.amount, two.scenario, two.groups.tolist()) == (4, 1, [0, 2])


@pytest.mark.parametrize(
    "losses", [np.zeros((3, 2), np.int64), np.full((3, 2), -5), np.zeros((0, 2), np.int64)]
)
def test_nothing_to_cover(losses):
    found = cover(losses, 2)
    assert (found.amount, found.scenario, found.groups.size) == (0, -1, 0)


def test_one_group_or_fewer_than_the_standard():
    assert cover(np.array([[3], [7]]), 2).amount == 7


def test_losses_beyond_exact_shares_are_refused():
    with pytest.raises(RangeError):
        cover(np.array([[2**53]]), 1)


def test_the_standard_may_be_chosen():
    assert fund_size(PLAIN, LOSSES).size == 1_650 * MILLION
    assert fund_size(PLAIN, LOSSES, 1).size == 1_000 * MILLION
    assert fund_size(PLAIN, LOSSES, 1).standard == 1


def test_below_the_limit_nothing_is_called():
    size = fund_size(rules_of("HKCC"), LOSSES)
    assert size.size == size.before.amount == size.after.amount == 1_650 * MILLION
    assert not size.called.any()


def test_at_the_limit_a_group_is_called_for_what_exceeds_half_of_it():
    """5,000 and 3,000 together are above 7,300. 1,350 and, of 4,000 in the second scenario, 350 are called.

    What stays in the first is 3,650 and 2,650, in the second 0 and 3,650.
    """
    losses = np.array([[5_000, 3_000, 0], [100, 4_000, 0]]) * MILLION
    size = fund_size(rules_of("HKCC"), losses)
    assert size.before.amount == 8_000 * MILLION
    assert size.size == 7_300 * MILLION
    assert size.called.tolist() == [1_350 * MILLION, 350 * MILLION, 0]
    assert (size.after.amount, size.after.scenario) == (6_300 * MILLION, 0)


def test_a_group_is_called_below_the_limit_only_if_the_rules_say_so():
    """5,000 alone: the fund is below its limit of 7,300, the group above half of it."""
    losses = np.array([[5_000, 1_000]]) * MILLION
    rules = rules_of("HKSCC")
    assert not fund_size(rules, losses).called.any()
    always = fund_size(replace(rules, limit_first=False), losses)
    assert always.called.tolist() == [1_350 * MILLION, 0]
    assert (always.size, always.after.amount) == (6_000 * MILLION, 4_650 * MILLION)


# contributions


def test_worked_example():
    """The example of the documentation: a fund of 1,650 million, four participants, keys of 50, 30, 15 and 5%."""
    rules = rules_of("HKSCC")
    found = parts(rules, fund_size(rules, LOSSES), [[500, 300, 150, 50]], [0, 1, 2, 2])
    assert found.house_share == 165 * MILLION
    assert (found.basic / MILLION).tolist() == [49.95, 29.99, 15.02, 5.04]
    assert (found.dynamic / MILLION).tolist() == [692.5, 415.5, 207.75, 69.25]
    assert (found.credit / MILLION).tolist() == [1, 1, 1, 1]
    assert (found.contribution / MILLION).tolist() == [741.45, 444.49, 221.77, 73.29]
    assert found.own_resources == 169 * MILLION
    assert found.total == 1_650 * MILLION


def test_parts_add_up_to_the_last_cent():
    """Of 1,001 the house brings 101, rounded up; 900 by 1 : 1 : 5 is 128.57, 128.57, 642.86."""
    size = fund_size(PLAIN, np.array([[1_001]]))
    found = parts(PLAIN, size, [[1, 1, 5]], [0, 0, 0])
    assert found.house_share == 101
    assert found.contribution.tolist() == [129, 128, 643]
    assert found.total == 1_001


def test_a_key_is_averaged_over_its_days_in_whole_units():
    size = fund_size(PLAIN, np.array([[1_000]]))
    found = parts(PLAIN, size, [[1, 0], [2, 10], [1, 1]], [0, 0])
    assert found.key.tolist() == [1, 4]  # 4/3 and 11/3
    half = parts(PLAIN, size, [[1, 0], [2, 1]], [0, 0])
    assert half.key.tolist() == [2, 1]  # halves go up


def test_days_before_the_last_sixty_do_not_count():
    key = np.vstack([np.full((5, 2), 999), np.tile([[30, 10]], (60, 1))])
    found = parts(PLAIN, fund_size(PLAIN, np.array([[1_000]])), key, [0, 0])
    assert found.key.tolist() == [30, 10]


def test_without_any_key_parts_are_equal():
    found = parts(PLAIN, fund_size(PLAIN, np.array([[1_000]])), np.zeros((2, 3), np.int64), [0, 0, 0])
    assert found.contribution.tolist() == [300, 300, 300]


def test_a_negative_key_is_a_mistake():
    with pytest.raises(AssertionError, match="at least 0"):
        parts(PLAIN, fund_size(PLAIN, LOSSES), [[1, -1, 2]])


def test_the_least_basic_contributions_make_a_small_fund_larger():
    """Nothing to cover: 100 million are asked for all the same, and the house brings a tenth of the whole."""
    rules = rules_of("HKSCC")
    found = parts(rules, fund_size(rules, np.zeros((1, 2), np.int64)), [[300, 100]], [0, 1], [True, False])
    # 150,000 and 50,000, and of the remaining 99.8 million three quarters and one
    assert (found.basic / MILLION).tolist() == [75, 25]
    assert not found.dynamic.any()
    assert found.house_share == -(-100 * MILLION // 9)
    assert found.total == found.house_share + 100 * MILLION


def test_minimums_above_the_least_total_stand():
    rules = replace(PLAIN, basic_total=10, basic_direct=7, basic_general=20)
    found = parts(rules, fund_size(PLAIN, np.array([[50]])), [[9, 1]], [0, 0], [False, True])
    assert found.basic.tolist() == [7, 20]
    assert found.contribution.tolist() == [7 + 16, 20 + 2]  # 18 of 45 remain, by 9 : 1
    assert found.total == 50


def test_a_credit_is_at_most_the_dynamic_contribution():
    rules = replace(PLAIN, credit=100)
    found = parts(rules, fund_size(PLAIN, np.array([[1_000]])), [[1, 9]], [0, 0])
    assert found.dynamic.tolist() == [90, 810]
    assert found.credit.tolist() == [90, 100]
    assert found.contribution.tolist() == [0, 710]
    assert (found.own_resources, found.total) == (290, 1_000)


def test_what_is_called_of_a_group_falls_on_its_participants_by_key():
    losses = np.array([[5_000, 4_000]]) * MILLION
    size = fund_size(rules_of("SEOCH"), losses)
    found = parts(rules_of("SEOCH"), size, [[10, 30, 60]], [0, 0, 1])
    assert (found.additional_margin / MILLION).tolist() == [912.5, 2_737.5, 2_650]
    assert found.total == 2_700 * MILLION  # what is called is no part of the fund


def test_review_above_nine_tenths_of_fund_and_credits():
    whole = np.array([1_000])
    fund = Contributions(
        basic=whole * 0,
        dynamic=whole,
        credit=whole // 2,
        additional_margin=whole * 0,
        house_share=100,
        key=whole,
    )
    assert fund.total == 1_100
    assert review_due(PLAIN, fund, np.array([989, 990, 991])).tolist() == [False, False, True]
