"""Laws of default funds and waterfalls, on any amounts."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from crossmargin.clearing.default_fund import contributions, cover, fund_size
from crossmargin.clearing.default_fund_rules import FundRules
from crossmargin.clearing.reverse_stress import reverse_stress
from crossmargin.clearing.waterfall import LAYERS, waterfall
from crossmargin.programmes.loss_sharing import shared_losses
from crossmargin.programmes.programme import GUARANTEES, SPLITS, Default

GROUPS, HOUSES, CASES = 4, 3, 2
LARGE = 10**13
AMOUNTS = st.one_of(st.integers(0, 9), st.integers(0, 10**6), st.integers(0, LARGE))
SIGNED = st.one_of(st.integers(-9, 9), st.integers(-(10**6), 10**6), st.integers(-LARGE, LARGE))
RULES = st.builds(
    FundRules,
    parameter_set=st.just("any"),
    house=st.just("A"),
    fund=st.just("fund"),
    standard=st.sampled_from([1, 2]),
    limit=st.none() | AMOUNTS,
    limit_share=st.just(Fraction(1, 2)),
    call=st.just("call"),
    house_share=st.sampled_from([Fraction(0), Fraction(1, 10), Fraction(1, 3), Fraction(99, 100)]),
    key=st.just("key"),
    key_days=st.just(60),
    review_share=st.just(Fraction(9, 10)),
    basic_total=st.sampled_from([0, 7, 10**6]),
    basic_direct=st.sampled_from([0, 3, 10**5]),
    credit=st.sampled_from([0, 5, 10**6]),
    limit_first=st.booleans(),
)


def amounts(*shape):
    return arrays.arrays(np.int64, shape, elements=AMOUNTS)


def signed(*shape):
    return arrays.arrays(np.int64, shape, elements=SIGNED)


@st.composite
def defaults(draw):
    """Losses, margins, what is in the funds, and which groups default; flows under some guarantee."""
    loss, margin = draw(signed(CASES, GROUPS, HOUSES)), draw(amounts(CASES, GROUPS, HOUSES))
    fund, own = draw(amounts(GROUPS, HOUSES)), draw(amounts(HOUSES))
    who = draw(arrays.arrays(bool, (CASES, GROUPS)))
    return loss, margin, fund, own, who


def flows(books, guarantee, split="equal"):
    """What houses pay and receive for each group."""
    loss, margin = (amount.reshape(-1, HOUSES) for amount in books[:2])
    shares = shared_losses(margin, margin, loss, Default(guarantee=guarantee, split=split))
    return {"paid": shares.paid.reshape(books[0].shape), "received": shares.received.reshape(books[0].shape)}


RULES_OF_SHARING = st.builds(dict, guarantee=st.sampled_from(GUARANTEES), split=st.sampled_from(SPLITS))


# waterfall


@given(defaults(), RULES_OF_SHARING, st.integers(0, 3))
def test_layers_add_up_and_none_gives_more_than_it_has(books, rule, multiple):
    flow = flows(books, **rule)
    found = waterfall(*books, **flow, assessment_multiple=multiple)
    loss, margin, fund, _, who = books
    assert (found.used.sum(axis=2) == found.owed).all()
    assert (found.used >= 0).all()
    assert (found.used[..., :-1] <= found.available[..., :-1]).all()
    lost = np.where(who[..., None], np.maximum(loss, 0) + flow["paid"], 0)
    assert (found.owed == lost.sum(axis=1)).all()
    # money in the estates: margin, gains and receipts either pay or go back
    mine = np.where(who[..., None], margin + np.maximum(-loss, 0) + flow["received"], 0).sum(axis=1)
    assert (found.used[..., :2].sum(axis=2) + found.returned.sum(axis=1) == mine).all()
    assert (
        found.contributions_lost.sum(axis=2) == found.used[..., LAYERS.index("survivors' contributions")]
    ).all()
    assert (found.assessments_paid.sum(axis=2) == found.used[..., LAYERS.index("assessments")]).all()
    survivors = np.where(who[:, None, :], 0, fund.T[None])
    assert (found.contributions_lost <= survivors).all()
    assert (found.assessments_paid <= multiple * survivors).all()


@given(defaults(), RULES_OF_SHARING)
def test_a_layer_is_used_only_where_those_before_it_are(books, rule):
    """From the defaulters' contributions on: margin is each group's own and may be left over."""
    found = waterfall(*books, **flows(books, **rule))
    left = (found.available - found.used)[..., 2:-1]
    later = found.unpaid[..., 2:-1] > 0
    assert not (left[later]).any()


@given(defaults(), RULES_OF_SHARING)
def test_what_falls_on_the_funds_is_what_loss_sharing_says(books, rule):
    loss, margin, _, _, who = books
    flat = (margin.reshape(-1, HOUSES), margin.reshape(-1, HOUSES), loss.reshape(-1, HOUSES))
    shares = shared_losses(*flat, Default(**rule))
    own_fund_loss = np.where(who[..., None], shares.own_fund_loss.reshape(loss.shape), 0).sum(axis=1)
    found = waterfall(*books, **flows(books, **rule))
    assert (found.used[..., 2:].sum(axis=2) == own_fund_loss).all()
    returned = np.where(who[..., None], shares.returned.reshape(loss.shape), 0)
    assert (found.returned == returned).all()


@given(defaults(), defaults(), st.booleans())
def test_more_resources_never_leave_more_uncovered(books, more, in_margin):
    loss, margin, fund, own, who = books
    _, extra_margin, extra_fund, extra_own, _ = more
    richer = (loss, margin + in_margin * extra_margin, fund + extra_fund, own + extra_own, who)
    before, after = waterfall(*books), waterfall(*richer)
    assert (after.not_covered <= before.not_covered).all()


@given(defaults())
def test_a_guarantee_of_surplus_leaves_no_house_more_uncovered(books):
    """It pays out of surpluses only, which would otherwise go back to the estate: house by house, not only in sum."""
    without = waterfall(*books)
    linked = waterfall(*books, **flows(books, "surplus_transfer"))
    assert (linked.used[..., 2:].sum(axis=2) <= without.used[..., 2:].sum(axis=2)).all()
    assert (linked.not_covered <= without.not_covered).all()


def test_a_pool_may_leave_more_uncovered_where_its_split_finds_a_small_fund():
    """House 0 is 10 short and has a fund of 20; of a shortfall shared equally 5 fall on house 1, whose fund is 1."""
    loss, margin = np.array([[[30, 0], [0, 0]]]), np.array([[[20, 0], [0, 0]]])
    fund, own, who = np.array([[0, 0], [20, 1]]), np.array([0, 0]), np.array([[True, False]])
    shares = shared_losses(
        np.array([[20, 8]]), margin[0, :1], loss[0, :1], Default(guarantee="pool", split="equal")
    )
    nobody = np.zeros((1, 1, 2), np.int64)
    flow = {
        name: np.concatenate([getattr(shares, name)[:, None], nobody], axis=1)
        for name in ("paid", "received")
    }
    without = waterfall(loss, margin, fund, own, who, assessment_multiple=0)
    pooled = waterfall(loss, margin, fund, own, who, assessment_multiple=0, **flow)
    assert without.not_covered.tolist() == [[0, 0]]
    assert pooled.not_covered.tolist() == [[0, 4]]


@given(defaults(), st.permutations(range(GROUPS)), st.permutations(range(HOUSES)))
def test_the_order_of_groups_and_houses_changes_nothing(books, groups, houses):
    loss, margin, fund, own, who = books
    turned = (
        loss[:, groups][:, :, houses],
        margin[:, groups][:, :, houses],
        fund[groups][:, houses],
        own[houses],
        who[:, groups],
    )
    before, after = waterfall(*books), waterfall(*turned)
    assert (after.used == before.used[:, houses]).all()
    assert (after.available == before.available[:, houses]).all()
    # odd units of equal contributions stay with the first of them
    assert (np.abs(after.contributions_lost - before.contributions_lost[:, houses][:, :, groups]) <= 1).all()


# sizes and contributions


@given(signed(3, GROUPS))
def test_cover_2_is_at_least_cover_1_and_at_most_twice(losses):
    one, two = cover(losses, 1).amount, cover(losses, 2).amount
    assert one <= two <= 2 * one


@given(signed(3, GROUPS), st.sampled_from([1, 2]))
def test_cover_by_its_definition(losses, standard):
    sets = combinations(range(GROUPS), standard)
    best = max(int(np.maximum(row[list(pair)], 0).sum()) for pair in sets for row in losses)
    found = cover(losses, standard)
    assert found.amount == best
    if best:
        assert losses[found.scenario, found.groups].sum() == best


@given(RULES, signed(3, GROUPS), st.integers(1, 50))
def test_sizes_scale(rules, losses, factor):
    scaled = replace(rules, limit=None if rules.limit is None else rules.limit * 2 * factor)
    rules = replace(
        rules, limit=None if rules.limit is None else rules.limit * 2
    )  # so that half of it is whole
    one, many = fund_size(rules, losses), fund_size(scaled, losses * factor)
    assert many.size == one.size * factor
    assert (many.called == one.called * factor).all()
    assert many.after.amount == one.after.amount * factor


@given(RULES, signed(3, GROUPS))
def test_after_the_calls_the_fund_is_enough(rules, losses):
    size = fund_size(rules, losses)
    assert size.after.amount <= size.size <= size.before.amount


@given(RULES, signed(3, GROUPS), amounts(5, 6))
def test_contributions_add_up(rules, losses, key):
    size = fund_size(rules, losses)
    group = np.array([0, 1, 2, 3, 3, 0])
    found = contributions(rules, size, key, group)
    assert found.total >= size.size
    assert found.total == int((found.basic + found.dynamic).sum()) + found.house_share
    assert np.bincount(group, found.additional_margin, GROUPS).tolist() == size.called.tolist()
    assert (found.contribution >= found.basic).all()
    assert (found.basic >= rules.basic_direct).all()
    assert Fraction(found.house_share) >= rules.house_share * found.total
    if found.dynamic.any():
        assert found.total == size.size


@given(RULES, signed(3, GROUPS), amounts(5, 6), st.permutations(range(6)))
def test_the_order_of_participants_changes_nothing(rules, losses, key, order):
    """But for the odd unit among equal keys, which goes to the first of them."""
    size = fund_size(rules, losses)
    group = np.array([0, 1, 2, 3, 3, 0])
    found = contributions(rules, size, key, group)
    turned = contributions(rules, size, key[:, order], group[order])
    assert (turned.total, turned.house_share) == (found.total, found.house_share)
    for name in ("basic", "dynamic", "additional_margin"):
        expected, got = getattr(found, name)[order], getattr(turned, name)
        assert (np.abs(expected - got) <= 1).all()
        if len(set(found.key.tolist())) == found.key.size and name != "additional_margin":
            assert (expected == got).all()


@given(RULES, signed(3, GROUPS), amounts(1, GROUPS))
def test_a_fund_of_its_size_covers_any_so_many_groups_in_each_scenario(rules, losses, key):
    """With what was called of them, and without assessments."""
    size = fund_size(rules, losses)
    found = contributions(rules, size, key, np.arange(GROUPS))
    margin = found.additional_margin[None, :, None]
    for pair in combinations(range(GROUPS), size.standard):
        who = np.isin(np.arange(GROUPS), pair)[None]
        layers = waterfall(
            np.maximum(losses, 0)[:, :, None],
            margin,
            found.contribution[:, None],
            np.array([found.own_resources]),
            who,
            assessment_multiple=0,
        )
        assert not layers.not_covered.any()


# reverse stress


@given(st.floats(0.05, 4), st.floats(0.5, 3), st.sampled_from([0.1, 0.01, 1e-4]))
def test_the_multiple_exhausts_and_one_tolerance_less_does_not(bound, power, tolerance):
    def unpaid(multiples):
        return np.rint((multiples**power - bound) * 10**9).astype(np.int64)

    found = reverse_stress(unpaid, np.linspace(0, 3, 13), tolerance)
    if found.exhausted:
        assert unpaid(found.multiple) > 0
        assert unpaid(np.maximum(found.multiple - tolerance, 0)) <= 0
    else:
        assert (unpaid(np.linspace(0, 3, 13)) <= 0).all()
