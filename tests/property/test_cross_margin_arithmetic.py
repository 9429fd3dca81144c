"""Laws of the arithmetic of cross-margining, on any accounts, against exact integers and fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from crossmargin.core.proportions import AMOUNT_LIMIT, at_least, at_most, pro_rata, proportion
from crossmargin.errors import RangeError
from crossmargin.programmes.attribution import attributed, capped, marginal, shapley
from crossmargin.programmes.limits import limited
from crossmargin.programmes.loss_sharing import shared_losses
from crossmargin.programmes.one_pot import one_pot
from crossmargin.programmes.outcome import BINDINGS
from crossmargin.programmes.programme import GUARANTEES, SPLITS, Default, Saving
from crossmargin.programmes.two_pot import two_pot_lesser

HOUSES = 3
LARGE = AMOUNT_LIMIT // 16
AMOUNTS = st.one_of(st.integers(0, 12), st.integers(0, 10**9), st.integers(0, LARGE))
SHARES = st.sampled_from([0.0, 0.01, 0.25, 0.35, 0.8, 0.99, 1.0])
SAVINGS = st.builds(
    Saving,
    minimum=st.sampled_from([0.0, 0.01, 0.5]),
    cap=SHARES,
    emir_share=SHARES,
    allow_increase=st.booleans(),
)
ORDERS = st.permutations(range(HOUSES))


def amounts(*shape):
    return arrays.arrays(np.int64, shape, elements=AMOUNTS)


def signed(*shape):
    return arrays.arrays(np.int64, shape, elements=st.integers(-LARGE, LARGE) | st.integers(-12, 12))


@st.composite
def two_pots(draw):
    """Own margins, margins by model, joint margins by model, and which models are consulted."""
    accounts, models = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    by_model = draw(amounts(accounts, models, HOUSES))
    near = draw(
        arrays.arrays(np.float64, (accounts, models), elements=st.sampled_from([0.0, 0.2, 0.9, 1.0, 1.1]))
    )
    joint = (by_model.sum(axis=2) * near).astype(np.int64) + draw(amounts(accounts, models)) % 3
    heard = draw(arrays.arrays(bool, (accounts, models)))
    return draw(amounts(accounts, HOUSES)), by_model, joint, heard


def two_pot(books, saving, houses=slice(None), accounts=slice(None), models=slice(None)):
    own, by_model, joint, heard = books
    return two_pot_lesser(
        own[accounts][:, houses],
        by_model[accounts][:, models][:, :, houses],
        joint[accounts][:, models],
        saving,
        tuple("ABC"[: by_model.shape[1]]),
        consulted=heard[accounts][:, models],
    )


# whole parts


@given(amounts(5), amounts(5), amounts(5))
def test_a_proportion_is_the_exact_quotient(amount, numerator, denominator):
    low, high = np.minimum(numerator, denominator), np.maximum(np.maximum(numerator, denominator), 1)
    whole, rest = proportion(amount, low, high)
    for found, left, parts in zip(whole, rest, zip(amount, low, high, strict=True), strict=True):
        a, n, d = map(int, parts)
        assert (int(found), int(left)) == divmod(a * n, d)


def test_a_proportion_of_the_largest_amounts_is_exact():
    rng = np.random.default_rng(3)
    amount = AMOUNT_LIMIT - 1 - rng.integers(0, 5, 2000)
    denominator = AMOUNT_LIMIT - 1 - rng.integers(0, 5, 2000)
    numerator = np.maximum(denominator - rng.integers(0, 2**40, 2000), 0)
    whole, rest = proportion(amount, numerator, denominator)
    exact = [divmod(int(a) * int(n), int(d)) for a, n, d in zip(amount, numerator, denominator, strict=True)]
    assert [*zip(whole.tolist(), rest.tolist(), strict=True)] == exact


@given(amounts(4), st.decimals(0, 1, places=6).map(float))
def test_shares_of_amounts_are_exact(amount, share):
    exact = [Fraction(str(share)) * part for part in amount.tolist()]
    assert at_most(amount, share).tolist() == [floor(part) for part in exact]
    assert at_least(amount, share).tolist() == [ceil(part) for part in exact]
    computed = at_most(amount, np.array([share]))
    # a product within 2^-50 of itself, or a quarter, below a whole amount counts as it
    for found, part in zip(computed.tolist(), exact, strict=True):
        assert part - 1 < found <= part + Fraction(3, 8)  # the slack, and a product's own rounding below 2^50


@given(amounts(3), amounts(3, HOUSES))
def test_parts_pro_rata_add_up_and_keep_within_a_unit_of_their_quota(total, weights):
    parts = pro_rata(total, weights)
    assert parts.sum(axis=1).tolist() == total.tolist()
    for amount, row, found in zip(total.tolist(), weights.tolist(), parts.tolist(), strict=True):
        each = row if any(row) else [1] * HOUSES
        quotas = [Fraction(amount * weight, sum(each)) for weight in each]
        assert all(floor(quota) <= part <= ceil(quota) for quota, part in zip(quotas, found, strict=True))
        ups = [(quota - floor(quota), part > quota) for quota, part in zip(quotas, found, strict=True)]
        assert max([r for r, up in ups if r and not up], default=0) <= min(
            [r for r, up in ups if up], default=1
        )


@given(amounts(3), amounts(3, HOUSES), ORDERS)
def test_permuting_houses_permutes_parts_but_for_odd_units_of_equal_weights(total, weights, order):
    parts, permuted = pro_rata(total, weights), pro_rata(total, weights[:, order])
    for row, found, expected in zip(weights[:, order], permuted, parts[:, order], strict=True):
        for weight in set(row.tolist()):
            assert sorted(found[row == weight]) == sorted(expected[row == weight])


def test_of_equal_remainders_the_larger_weight_goes_up():
    """Quotas of 0.5 and 1.5: wherever the larger stands, the odd unit is its."""
    assert pro_rata(np.array([2, 2]), np.array([[1, 3], [3, 1]])).tolist() == [[0, 2], [2, 0]]
    assert pro_rata(np.array([100, 1]), np.array([[1, 1, 1], [0, 0, 0]])).tolist() == [
        [34, 33, 33],
        [1, 0, 0],
    ]


def test_amounts_too_large_for_exact_shares_are_refused():
    with pytest.raises(RangeError):
        pro_rata(np.array([AMOUNT_LIMIT]), np.array([[1, 2]]))
    with pytest.raises(RangeError):
        pro_rata(np.array([1]), np.array([[AMOUNT_LIMIT - 1, 1]]))


# attribution


@given(signed(3), arrays.arrays(np.float64, (3, HOUSES), elements=st.floats(-1e12, 1e12)), ORDERS)
def test_attributed_parts_add_up_and_do_not_depend_on_the_order_of_houses(total, parts, order):
    found = attributed(total, parts)
    assert found.sum(axis=1).tolist() == total.tolist()
    if all(len(set(row)) == HOUSES for row in parts.tolist()):
        assert attributed(total, parts[:, order]).tolist() == found[:, order].tolist()


def test_the_order_of_houses_does_not_show_in_the_last_bit_of_a_sum():
    """The three add up to −340 or to a bit less, as they are taken; three fractions tie but for that bit."""
    parts, total = np.array([[-121.4, -283.4, 64.8]]), np.array([-340])
    for order in permutations(range(HOUSES)):
        found = attributed(total, parts[:, list(order)])
        assert found.tolist() == attributed(total, parts)[:, list(order)].tolist()


@given(signed(3, HOUSES))
def test_parts_that_are_whole_already_stay(parts):
    assert attributed(parts.sum(axis=1), parts.astype(np.float64)).tolist() == parts.tolist()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_parts_that_are_no_numbers_are_refused(value):
    with pytest.raises(RangeError):
        attributed(np.array([5]), np.array([[value, 1.0]]))


@given(amounts(2, 2**HOUSES), ORDERS)
def test_shapley_adds_up_and_permutes(values, order):
    parts = shapley(values)
    assert parts.sum(axis=1).tolist() == (values[:, -1] - values[:, 0]).tolist()
    masks = [
        sum(1 << order[place] for place in range(HOUSES) if mask >> place & 1) for mask in range(2**HOUSES)
    ]
    permuted = shapley(values[:, masks])
    assert np.abs(permuted - parts[:, order]).max() <= 1  # odd units of equal parts
    assert marginal(values[:, masks]).tolist() == marginal(values)[:, order].tolist()


@given(amounts(2, 4, 2))
def test_shapley_of_an_additive_margin_is_stand_alone(margins):
    alone = margins[:, :HOUSES, 0]
    masks = (np.arange(2**HOUSES)[:, None] >> np.arange(HOUSES)) & 1
    assert shapley(alone @ masks.T).tolist() == alone.tolist()


@given(signed(3, HOUSES), amounts(3, HOUSES), SHARES)
def test_capped_parts_respect_floors_and_add_up(parts, own, share):
    found = capped(parts, own, share)
    printed = Fraction(str(share))
    floors = [[ceil(printed * amount) for amount in row] for row in own.tolist()]
    assert (found >= np.array(floors)).all()
    assert found.sum(axis=1).tolist() == np.maximum(parts.sum(axis=1), np.sum(floors, axis=1)).tolist()
    above = parts >= floors
    assert (found[above] <= parts[above]).all()
    assert (found[~above] == np.array(floors)[~above]).all()


# limits


@given(amounts(4, HOUSES), amounts(4), SAVINGS)
def test_a_requirement_keeps_between_its_floors_and_the_sum(own, joint, saving):
    requirement, binding = limited(own, joint, saving)
    assert binding.dtype == np.int8
    cap, share, least = (Fraction(str(x)) for x in (saving.cap, saving.emir_share, saving.minimum))
    for legs, asked, found, code in zip(
        own.tolist(), joint.tolist(), requirement.tolist(), binding, strict=True
    ):
        alone = sum(legs)
        if asked > alone:
            expected = asked if saving.allow_increase else alone
        elif sum(leg > 0 for leg in legs) < 2 or alone - asked < least * alone or asked == alone:
            expected = alone
        else:
            expected = ceil(max(asked, (1 - cap) * alone, alone - share * (alone - asked)))
        assert found == expected, BINDINGS[code]
        assert (BINDINGS[code] == "joint margin") <= (found == asked)


# modes


@given(two_pots(), SAVINGS)
def test_two_pots_save_no_more_than_any_consulted_model(books, saving):
    own, by_model, joint, heard = books
    outcome = two_pot(books, saving)
    assert (outcome.reduced <= own).all()
    for account, legs in enumerate(own.tolist()):
        alone, asked = by_model[account].sum(axis=1).tolist(), joint[account].tolist()
        shares = [
            max(Fraction(s - j, s), Fraction(0)) if s else Fraction(0)
            for s, j, consulted in zip(alone, asked, heard[account], strict=True)
            if consulted
        ]
        share = min(shares, default=Fraction(0))
        if share < Fraction(str(saving.minimum)) or sum(leg > 0 for leg in legs) < 2:
            share = Fraction(0)
        kept = [amount - floor(amount * min(share, Fraction(str(saving.cap)))) for amount in legs]
        found = outcome.reduced[account].tolist()
        if saving.emir_share == 1:
            assert found == kept
        emir = share * Fraction(str(saving.emir_share))
        bounds = [(1 - min(emir, share, Fraction(str(saving.cap)))) * amount for amount in legs]
        # rounded up; once for the share, once more for its part
        assert all(bound <= amount <= bound + 2 for bound, amount in zip(bounds, found, strict=True))


@given(two_pots(), SAVINGS)
def test_two_pots_hide_no_rise(books, saving):
    own, by_model, joint, heard = books
    outcome = two_pot(books, saving)
    rise = np.where(heard, joint - by_model.sum(axis=2), 0).max(axis=1, initial=0)
    alone = own.sum(axis=1)
    assert outcome.joint[rise > 0].tolist() == (alone + rise)[rise > 0].tolist()
    assert (outcome.joint <= alone)[rise == 0].all()
    assert (outcome.model_savings[joint > by_model.sum(axis=2)] <= 0).all()
    assert not (outcome.saving[rise > 0]).any()


def two_pot_reason(legs, alone, asked, saving):
    """Say what decides an account, from its own margins and the consulted models' figures alone."""
    found = [s - j for s, j in zip(alone, asked, strict=True)]
    if max(found, default=0) <= 0:
        return "no worse off" if min(found, default=0) < 0 else "nothing to save"
    if sum(leg > 0 for leg in legs) < 2:
        return "nothing to save"
    if min(found) <= 0:
        return "lesser of the houses' savings"
    if any(f < Fraction(str(saving.minimum)) * s for f, s in zip(found, alone, strict=True)):
        return "minimum saving"
    return None


@given(two_pots(), SAVINGS)
def test_two_pots_say_what_decided(books, saving):
    own, by_model, joint, heard = books
    outcome = two_pot(books, saving)
    assert outcome.binding.dtype == np.int8
    for account, legs in enumerate(own.tolist()):
        consulted = heard[account]
        alone = by_model[account].sum(axis=1)[consulted].tolist()
        expected = two_pot_reason(legs, alone, joint[account][consulted].tolist(), saving)
        found, saved = BINDINGS[outcome.binding[account]], outcome.saving[account]
        if expected:
            assert (found, saved) == (expected, 0)
        else:
            least = min(
                Fraction(s - j, s) for s, j in zip(alone, joint[account][consulted].tolist(), strict=True)
            )
            cap, emir = Fraction(str(saving.cap)), Fraction(str(saving.emir_share)) * least
            allowed = {"lesser of the houses' savings": least, "supervisory cap on the sum": cap}
            share = (allowed | {"supervisory cap on the difference": emir})[found]
            # by sums of parts rounded down, each twice at most: within as many units of the least
            assert share * sum(legs) <= min(least, cap, emir) * sum(legs) + 2 * HOUSES


@given(two_pots(), SAVINGS, ORDERS, st.randoms())
def test_permuting_houses_accounts_or_models_permutes_two_pots(books, saving, order, random):
    outcome = two_pot(books, saving)
    accounts, models = [*range(len(books[0]))], [*range(books[1].shape[1])]
    random.shuffle(accounts)
    random.shuffle(models)
    permuted = two_pot(books, saving, order, accounts, models)
    assert permuted.reduced.tolist() == outcome.reduced[accounts][:, order].tolist()
    assert permuted.binding.tolist() == outcome.binding[accounts].tolist()
    assert permuted.joint.tolist() == outcome.joint[accounts].tolist()
    assert permuted.model_savings.tolist() == outcome.model_savings[accounts][:, models].tolist()


@given(amounts(3, HOUSES), amounts(3), signed(3, HOUSES), SAVINGS, SHARES)
def test_one_pot_calls_what_the_limits_leave(own, joint, parts, saving, share):
    requirement, binding = limited(own, joint, saving)
    outcome = one_pot(own, joint, parts, saving, floor=share)
    floors = np.array([[ceil(Fraction(str(share)) * amount) for amount in row] for row in own.tolist()])
    assert outcome.reduced.sum(axis=1).tolist() == np.maximum(requirement, floors.sum(axis=1)).tolist()
    assert (outcome.reduced >= floors).all()
    unraised = requirement >= floors.sum(axis=1)
    assert outcome.binding[unraised].tolist() == binding[unraised].tolist()


@given(amounts(3, HOUSES), amounts(3), signed(3, HOUSES), SAVINGS)
def test_an_account_that_saves_nothing_stays_as_it_is(own, joint, parts, saving):
    outcome = one_pot(own, joint, parts, saving)
    same = outcome.saving == 0
    increased = [BINDINGS[code] == "joint margin is higher" for code in outcome.binding]
    same &= ~np.array(increased)
    assert outcome.reduced[same].tolist() == own[same].tolist()


@given(amounts(3, HOUSES), amounts(3), SAVINGS, ORDERS)
def test_permuting_houses_permutes_one_pot(own, joint, saving, order):
    """To the unit: parts made pro rata and rescaled are rounded twice."""
    assume(all(len(set(row)) == HOUSES for row in own.tolist()))
    parts = pro_rata(joint, own)
    outcome = one_pot(own, joint, parts, saving)
    permuted = one_pot(own[:, order], joint, parts[:, order], saving)
    assert np.abs(permuted.reduced - outcome.reduced[:, order]).max() <= 1
    assert permuted.binding.tolist() == outcome.binding.tolist()


# defaults

RULES = st.builds(Default, guarantee=st.sampled_from(GUARANTEES), split=st.sampled_from(SPLITS))


@given(amounts(3, HOUSES), amounts(3, HOUSES), signed(3, HOUSES), RULES)
def test_sharing_losses_conserves_money(own, margin, loss, rule):
    shares = shared_losses(own, margin, loss, rule)
    cells = (shares.paid, shares.received, shares.own_fund_loss, shares.returned)
    assert all((cell >= 0).all() for cell in cells)
    assert (margin + shares.received + shares.own_fund_loss == loss + shares.paid + shares.returned).all()
    assert shares.paid.sum(axis=1).tolist() == shares.received.sum(axis=1).tolist()
    assert not (shares.paid * (shares.received > 0)).any()
    if rule.guarantee == "none":
        assert not shares.paid.any()
    else:
        total = shares.net.sum(axis=1)
        assert shares.own_fund_loss.sum(axis=1).tolist() == np.maximum(-total, 0).tolist()
        assert shares.returned.sum(axis=1).tolist() == np.maximum(total, 0).tolist()


@given(amounts(3, HOUSES), amounts(3, HOUSES), signed(3, HOUSES))
def test_surpluses_pay_no_more_than_they_are_and_leave_nobody_worse_off(own, margin, loss):
    shares = shared_losses(own, margin, loss, Default(guarantee="surplus_transfer"))
    alone = shared_losses(own, margin, loss, Default())
    assert (shares.paid <= np.maximum(shares.net, 0)).all()
    assert (shares.own_fund_loss <= alone.own_fund_loss).all()
    assert (shares.returned <= alone.returned).all()
