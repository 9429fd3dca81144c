"""The arithmetic of cross-margining against worked and published numbers, to their last printed digit.

T1, T2, T3, T7 and T8 are the test vectors of the cross-margining reference, and the benchmarks are its section 4; both
were calculated there from the formulas. Amounts are in units of 10^-6, two digits finer than printed.
"""

from __future__ import annotations

from itertools import permutations
from math import pi, sqrt

import numpy as np
import pytest

from crossmargin import InputError
from crossmargin.core.breakdown import Component
from crossmargin.core.proportions import pro_rata
from crossmargin.core.rounding import to_minor
from crossmargin.programmes.attribution import attributed, euler_sigma, fitted, marginal, shapley
from crossmargin.programmes.limits import limited
from crossmargin.programmes.loss_sharing import shared_losses
from crossmargin.programmes.netting_benchmarks import (
    bilateral_exposure,
    cleared_exposure,
    duffie_zhu_threshold,
    merge_ratio,
    merge_ratio_unequal,
)
from crossmargin.programmes.one_pot import combined, one_pot
from crossmargin.programmes.outcome import BINDINGS
from crossmargin.programmes.programme import Default, Saving
from crossmargin.programmes.two_pot import two_pot_lesser

DECIMALS = 6
UNLIMITED = Saving(minimum=0.0, cap=1.0)
MODELS = ("A", "B")


def units(amounts):
    return to_minor(np.array(amounts, np.float64), DECIMALS)


def printed(amounts):
    """Amounts with the four decimals of the reference."""
    return np.round(np.asarray(amounts) / 10**DECIMALS, 4).tolist()


def reasons(outcome):
    return [BINDINGS[code] for code in outcome.binding]


# T1: two pots, the lesser percentage


def two_models(joint_a, joint_b, saving=None):
    """The margins of T1: A 120 for its own leg and 90 for the other's, B 110 and 100."""
    by_model = units([[[120, 90], [110, 100]]])
    joint = units([[joint_a, joint_b]])
    return two_pot_lesser(units([[120, 100]]), by_model, joint, saving or Saving(), MODELS)


def test_t1_lesser_of_two_percentages():
    outcome = two_models(60, 95)
    np.testing.assert_allclose(outcome.model_savings, [[0.71429, 0.54762]], rtol=0, atol=0.5e-5)
    assert printed(outcome.reduced) == [[54.2857, 45.2381]]
    assert reasons(outcome) == ["lesser of the houses' savings"]


def test_t1_a_saving_below_one_percent_is_none():
    outcome = two_models(60, 208.5)
    assert outcome.model_savings[0, 1] == pytest.approx(0.00714, abs=0.5e-5)
    assert printed(outcome.reduced) == [[120, 100]]
    assert reasons(outcome) == ["minimum saving"]
    assert reasons(two_models(60, 207.9)) == ["lesser of the houses' savings"]  # 1% itself is given


def test_t1_cap_of_80_percent():
    outcome = two_models(21, 21)
    assert printed(outcome.reduced) == [[24, 20]]
    assert outcome.share.tolist() == [0.8]
    assert reasons(outcome) == ["supervisory cap on the sum"]


def test_published_case_at_the_cap():
    """CME and FICC: US$343.24m alone, about US$68.65m together, which is 20%."""
    own = np.array([[200_000_000_00, 143_240_000_00]])
    by_model = np.repeat(own[:, None, :], 2, axis=1)
    joint = own.sum(axis=1)[:, None] // np.array([10, 7])
    outcome = two_pot_lesser(own, by_model, joint, Saving(), MODELS)
    assert outcome.reduced.sum() == 68_648_000_00
    assert round(float(outcome.reduced.sum()) / 1e8, 2) == 68.65


def test_a_model_that_finds_a_rise_saves_nothing_and_hides_nothing():
    outcome = two_models(60, 230)
    assert printed(outcome.reduced) == [[120, 100]]
    assert outcome.model_savings[0, 1] == pytest.approx(-20 / 210)
    assert printed(outcome.joint) == [240]  # 220 and B's rise of 20
    assert reasons(outcome) == ["lesser of the houses' savings"]
    both = two_models(215, 230)
    assert reasons(both) == ["no worse off"]
    assert printed(both.joint) == [240]


def test_a_model_without_any_margin_alone_saves_nothing():
    own, zero = units([[120, 100]]), np.zeros(2, np.int64)
    outcome = two_pot_lesser(own, np.stack([own[0], zero])[None], units([[60, 5]]), Saving(), MODELS)
    assert outcome.model_savings.tolist() == [[pytest.approx(160 / 220), 0.0]]
    assert outcome.reduced.tolist() == own.tolist()
    assert printed(outcome.joint) == [225]


def test_a_model_that_is_not_consulted_does_not_decide():
    own = units([[120, 100, 0]])
    by_model = np.repeat(own[:, None, :], 3, axis=1)
    joint = units([[110, 165, 219]])
    heard = np.array([[True, True, False]])
    outcome = two_pot_lesser(own, by_model, joint, Saving(), ("A", "B", "C"), consulted=heard)
    assert printed(outcome.reduced) == [[90, 75, 0]]
    everyone = two_pot_lesser(own, by_model, joint, Saving(), ("A", "B", "C"))
    assert printed(everyone.reduced) == [[120, 100, 0]]


# T2: attribution, and the two caps of 80%

MARGINS = np.array([[100.0, 80.0, 40.0]])
CORRELATIONS = np.array([[1.0, -0.6, -0.3], [-0.6, 1.0, 0.2], [-0.3, 0.2, 1.0]])


def sigma_values(margins, correlations):
    """Joint margins of every set of houses, in proportion to standard deviation; sets are bit masks."""
    count = margins.shape[1]
    chosen = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    held = margins[:, None, :] * chosen
    return units(np.sqrt(np.maximum(np.einsum("asi,ij,asj->as", held, correlations, held), 0)))


def test_t2_joint_margins():
    values = sigma_values(MARGINS, CORRELATIONS)
    assert printed(values[0, [0b111, 0b011, 0b101, 0b110]]) == [85.3229, 82.4621, 95.9166, 96.3328]
    assert 1 - values[0, -1] / 220e6 == pytest.approx(0.61217, abs=0.5e-5)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("pro rata", [38.7831, 31.0265, 15.5133]),
        ("Euler", [46.8807, 26.2532, 12.1890]),
        ("Shapley", [39.3932, 29.6012, 16.3285]),
        ("marginal", [-11.0098, -10.5937, 2.8608]),
    ],
)
def test_t2_attribution(rule, expected):
    values = sigma_values(MARGINS, CORRELATIONS)
    total = values[:, -1]
    parts = {
        "pro rata": pro_rata(total, units(MARGINS)),
        "Euler": attributed(total, euler_sigma(MARGINS, CORRELATIONS) * 10**DECIMALS),
        "Shapley": shapley(values),
        "marginal": marginal(values),
    }[rule]
    assert printed(parts) == [expected]
    if rule == "marginal":
        assert printed(parts.sum(axis=1)) == [-18.7428]
    else:
        assert parts.sum(axis=1).tolist() == total.tolist()


def test_shapley_is_the_mean_over_all_orders():
    """By its definition: house by house, in each of the orders, on margins with a floor and an add-on."""
    values = np.maximum(sigma_values(MARGINS, CORRELATIONS), units(30.0))
    values[:, 0] = 0
    values[:, 0b101] += units(7.5)
    mean = np.zeros(3)
    for order in permutations(range(3)):
        joined = 0
        for house in order:
            mean[house] += (values[0, joined | 1 << house] - values[0, joined]) / 6
            joined |= 1 << house
    np.testing.assert_allclose(shapley(values)[0], mean, rtol=0, atol=1)  # rounded to a unit


def test_euler_is_the_slope_of_the_joint_margin():
    """By its definition: J(m + h e) − J(m − h e) over 2h, times m; the error of it is of order h²."""
    step = 1e-4

    def joint(margins):
        return sqrt(float(margins @ CORRELATIONS @ margins))

    slopes = [(joint(MARGINS[0] + e) - joint(MARGINS[0] - e)) / (2 * step) for e in np.eye(3) * step]
    parts = euler_sigma(MARGINS, CORRELATIONS)[0]
    np.testing.assert_allclose(parts, MARGINS[0] * slopes, rtol=0, atol=1e-6)


def test_t2_floors_of_both_caps():
    own, joint = units(MARGINS), sigma_values(MARGINS, CORRELATIONS)[:, -1]
    difference, code = limited(own, joint, Saving(cap=1.0, emir_share=0.8))
    assert (printed(difference), BINDINGS[code[0]]) == ([112.2583], "supervisory cap on the difference")
    # 80% of the sum leaves 44: far below the joint margin, which decides; at 40 jointly the cap does
    joint_margin, code = limited(own, joint, Saving())
    assert (printed(joint_margin), BINDINGS[code[0]]) == ([85.3229], "joint margin")
    cap, code = limited(own, units([40.0]), Saving())
    assert (printed(cap), BINDINGS[code[0]]) == ([44], "supervisory cap on the sum")


def test_summary_figures_of_both_caps():
    """Sum 220, joint 85.32: the floors are 44.0 and 112.26."""
    own, joint = np.array([[100_00, 80_00, 40_00]]), np.array([85_32])
    assert limited(own, joint, Saving(cap=1.0, emir_share=0.8))[0].tolist() == [112_26]  # 112.256, rounded up
    assert limited(own, np.array([0]), Saving())[0].tolist() == [44_00]


@pytest.mark.parametrize(
    ("own", "joint", "saving", "requirement", "binding"),
    [
        ([100, 80], 220, Saving(), 180, "no worse off"),
        ([100, 80], 220, Saving(allow_increase=True), 220, "joint margin is higher"),
        ([100, 0], 120, Saving(allow_increase=True), 120, "joint margin is higher"),
        ([100, 80], 180, Saving(), 180, "nothing to save"),
        ([100, 0], 60, Saving(), 100, "nothing to save"),
        ([0, 0], 0, Saving(), 0, "nothing to save"),
        ([100, 80], 179, Saving(), 180, "minimum saving"),
        ([100, 80], 178, Saving(), 178, "joint margin"),
        ([100, 80], 179, Saving(minimum=0.0), 179, "joint margin"),
        ([100, 80], 0, Saving(emir_share=0.8), 36, "supervisory cap on the sum"),
        ([100, 80], 1, Saving(emir_share=0.8), 37, "supervisory cap on the difference"),
        ([100, 80], 36, Saving(), 36, "joint margin"),
        ([100, 80], 35, Saving(), 36, "supervisory cap on the sum"),
    ],
)
def test_limits_in_their_order(own, joint, saving, requirement, binding):
    found, code = limited(np.array([own]), np.array([joint]), saving)
    assert (found.tolist(), BINDINGS[code[0]]) == ([requirement], binding)


def test_one_pot_is_the_attribution_where_nothing_binds():
    values = sigma_values(MARGINS, CORRELATIONS)
    outcome = one_pot(units(MARGINS), values[:, -1], shapley(values), UNLIMITED)
    assert printed(outcome.reduced) == [[39.3932, 29.6012, 16.3285]]
    assert outcome.share[0] == pytest.approx(0.61217, abs=0.5e-5)
    assert outcome.model_savings[0, 0] == pytest.approx(0.61217, abs=0.5e-5)


def test_one_pot_gives_back_what_a_limit_takes_as_it_was_saved():
    """EMIR at 80%: each house keeps a fifth of what it would have saved. 100 − 0.8 × (100 − 46.8807)."""
    values = sigma_values(MARGINS, CORRELATIONS)
    parts = euler_sigma(MARGINS, CORRELATIONS) * 10**DECIMALS
    outcome = one_pot(units(MARGINS), values[:, -1], parts, Saving(cap=1.0, emir_share=0.8))
    expected = [0.2 * own + 0.8 * part for own, part in zip(MARGINS[0], parts[0] / 1e6, strict=True)]
    np.testing.assert_allclose(outcome.reduced[0] / 1e6, expected, rtol=0, atol=1e-6)  # a unit
    assert printed(outcome.reduced.sum(axis=1)) == [112.2583]


def test_one_pot_fits_the_parts_of_another_models_margin():
    """Parts of 60 and 40 of a joint margin of 50 are 30 and 20; of 90 and −20, which miss 33 of 103, 117 and −14."""
    parts = units([[60.0, 40.0], [90.0, -20.0]])
    np.testing.assert_allclose(fitted(units([50.0, 103.0]), parts) / 1e6, [[30, 20], [117, -14]], rtol=1e-15)
    outcome = one_pot(units([[100.0, 80.0]] * 2), units([50.0, 103.0]), parts, UNLIMITED)
    assert printed(outcome.reduced) == [[30, 20], [103, 0]]  # no house holds less than nothing


def test_one_pot_floors_come_before_the_requirement():
    own = units(MARGINS)
    outcome = one_pot(own, units([10.0]), pro_rata(units([10.0]), own), Saving(), floor=0.3)
    assert printed(outcome.reduced) == [[30, 24, 12]]
    assert reasons(outcome) == ["floors of the houses"]


def test_a_merged_house_may_reduce_a_lone_leg():
    own, joint = np.array([[100, 0], [100, 0], [0, 0]]), np.array([60, 120, 0])
    apart = one_pot(own, joint, own, Saving())
    merged = one_pot(own, joint, own, Saving(), lone=True)
    assert apart.reduced.tolist() == own.tolist()
    assert merged.reduced.tolist() == [[60, 0], [100, 0], [0, 0]]
    assert reasons(merged) == ["joint margin", "no worse off", "nothing to save"]


def test_combined_takes_the_lower_or_higher_of_the_models_asked():
    joint = np.array([[70, 50, 20], [70, 50, 90]])
    heard = np.array([[True, True, False], [True, True, False]])
    assert combined(joint, "min", heard).tolist() == [50, 50]
    assert combined(joint, "max", heard).tolist() == [70, 70]
    assert combined(joint, "min", np.ones((2, 3), bool)).tolist() == [20, 50]


# T3: loss sharing


def t3(guarantee, split="equal"):
    values = sigma_values(MARGINS, CORRELATIONS)
    margin = pro_rata(values[:, -1], units(MARGINS))
    losses = units([[60.0, -20.0, 10.0]])
    return shared_losses(units(MARGINS), margin, losses, Default(guarantee=guarantee, split=split))


def test_t3_none():
    shares = t3("none")
    assert printed(shares.net) == [[-21.2169, 51.0265, 5.5133]]
    assert printed(shares.own_fund_loss) == [[21.2169, 0, 0]]
    assert printed(shares.returned) == [[0, 51.0265, 5.5133]]
    assert not shares.paid.any()
    assert not shares.received.any()


def test_t3_surplus_transfer():
    shares = t3("surplus_transfer")
    assert printed(shares.paid) == [[0, 19.1480, 2.0689]]
    assert printed(shares.received) == [[21.2169, 0, 0]]
    assert not shares.own_fund_loss.any()


def test_t3_pool():
    shares = t3("pool")
    assert printed(shares.net.sum(axis=1)) == [35.3229]
    assert not shares.own_fund_loss.any()
    assert printed(shares.returned.sum(axis=1)) == [35.3229]


@pytest.mark.parametrize(
    ("split", "fund"),
    [
        ("equal", [12, 12, 12]),
        ("stand_alone", [18, 12, 6]),
        ("reduced", [16, 16, 4]),
        ("reduction", [20, 8, 8]),
        ("loss", [24, 0, 12]),
    ],
)
def test_shortfall_of_a_pool_by_each_split(split, fund):
    """Stand-alone 90, 60, 30; held 40, 40, 10: reductions 50, 20, 20; losses 96, −18, 48: 36 short in all."""
    own, margin = np.array([[90, 60, 30]]), np.array([[40, 40, 10]])
    shares = shared_losses(own, margin, np.array([[96, -18, 48]]), Default(guarantee="pool", split=split))
    assert shares.net.tolist() == [[-56, 58, -38]]
    assert shares.own_fund_loss.tolist() == [fund]
    assert not shares.returned.any()
    # house by house: surplus and fund leave it, or come to it, until its loss is paid
    flow = np.array([-56, 58, -38]) + fund
    assert shares.paid.tolist() == [np.maximum(flow, 0).tolist()]
    assert shares.received.tolist() == [np.maximum(-flow, 0).tolist()]


def test_shortfall_after_a_surplus_transfer_stays_where_it_arose():
    """Deficits of 60 and 30 share a surplus of 45 as 2 : 1; 30 and 15 fall on their own funds."""
    losses = np.array([[100, -5, 40]])
    rule = Default(guarantee="surplus_transfer")
    shares = shared_losses(np.array([[90, 60, 30]]), np.array([[40, 40, 10]]), losses, rule)
    assert shares.received.tolist() == [[30, 0, 15]]
    assert shares.paid.tolist() == [[0, 45, 0]]
    assert shares.own_fund_loss.tolist() == [[30, 0, 15]]


# T7: published sums


def test_t7_published_sums_are_trees():
    """The API sample of a clearing house's portfolio margin: parts as printed make its totals."""

    def leaf(name, amount):
        return Component(name=name, amount=int(units(amount)), decimals=DECIMALS)

    measures = [4481.692879, 500, 10]
    names = ["risk measure", "correlation break", "compression"]
    parts = tuple(leaf(name, part) for name, part in zip(names, measures, strict=True))
    risk = Component(name="market risk", amount=int(units(4991.692879)), decimals=DECIMALS, parts=parts)
    assert str(risk.value) == "4991.692879"
    parts = (leaf("market risk", 3155.266149), leaf("liquidity", 6.442439))
    margin = Component(name="initial margin", amount=int(units(3161.708588)), decimals=DECIMALS, parts=parts)
    assert str(margin.value) == "3161.708588"
    with pytest.raises(AssertionError, match="parts make"):
        Component(name="initial margin", amount=int(units(3161.708589)), decimals=DECIMALS, parts=parts)


# T8: invariants, on a market of three factors with a margin in proportion to standard deviation

COVARIANCE = np.array([[4.0, 2.4, 1.0], [2.4, 9.0, -0.9], [1.0, -0.9, 1.0]])


def sigma_margin(exposures):
    return 2.33 * np.sqrt(np.maximum(np.einsum("...i,ij,...j->...", exposures, COVARIANCE, exposures), 0))


def both_modes(legs, saving=None):
    """Two pots, whose second model asks a tenth more and 3 a leg, and one pot with Shapley parts; legs are houses × factors."""
    saving = saving or Saving()
    legs = np.asarray(legs, np.float64)
    chosen = (np.arange(2 ** len(legs))[:, None] >> np.arange(len(legs))) & 1
    values = units(sigma_margin(chosen @ legs))[None]
    own = values[:, 1 << np.arange(len(legs))]
    held = legs.any(axis=1)
    other = np.where(held, own + own // 10 + units(3.0), 0)
    other_joint = values[:, -1] + values[:, -1] // 10 + units(3.0) * held.any()
    by_model, joint = np.stack([own, other], axis=1), np.stack([values[:, -1], other_joint], axis=1)
    return (
        two_pot_lesser(own, by_model, joint, saving, MODELS),
        one_pot(own, values[:, -1], shapley(values), saving),
    )


LEGS = [[100.0, -20.0, 5.0], [-60.0, 10.0, 0.0], [-30.0, 0.0, 40.0]]


def test_t8_identical_books_save_nothing_by_correlation():
    own = np.array([[70.0, 70.0]])
    joint = sigma_values(own, np.ones((2, 2)))[:, -1]
    assert printed(joint) == [140]
    assert one_pot(units(own), joint, units(own), Saving()).reduced.tolist() == units(own).tolist()
    _, one = both_modes([LEGS[0], LEGS[0]])
    assert abs(int(one.saving[0])) <= 1  # each margin is rounded to a unit by itself


def test_t8_offsetting_books_have_no_joint_margin_and_save_the_cap():
    long, short = np.array(LEGS[0]), -np.array(LEGS[0])
    assert units(sigma_margin(long + short)) == 0
    own = units(sigma_margin(np.stack([long, short])))[None]
    alone = two_pot_lesser(own, own[:, None, :], np.zeros((1, 1), np.int64), Saving(), ("A",))
    for outcome in (alone, *both_modes([long, short])):
        assert reasons(outcome) == ["supervisory cap on the sum"]
        # a house's part is rounded up to a unit of 10^-6, of some hundreds
        assert 0.8 - 1e-7 <= outcome.share[0] <= 0.8


def test_t8_a_zero_position_changes_nothing():
    for before, after in zip(both_modes(LEGS), both_modes([*LEGS, [0.0, 0.0, 0.0]]), strict=True):
        assert after.reduced.tolist() == [[*before.reduced[0], 0]]
        assert after.binding.tolist() == before.binding.tolist()


def test_t8_splitting_a_line_changes_nothing():
    split = [[[60.0, -20.0, 0.0], [40.0, 0.0, 5.0]], [LEGS[1]], [LEGS[2]]]
    legs = [np.sum(lines, axis=0) for lines in split]
    for before, after in zip(both_modes(LEGS), both_modes(legs), strict=True):
        assert after.reduced.tolist() == before.reduced.tolist()


def test_t8_permuting_houses_permutes_the_result():
    base = both_modes(LEGS)
    for order in permutations(range(3)):
        for before, after in zip(base, both_modes([LEGS[house] for house in order]), strict=True):
            # the joint deviation is a float64 sum in another order: a unit of 10^-6
            np.testing.assert_allclose(after.reduced, before.reduced[:, list(order)], rtol=0, atol=1)


def test_t8_a_saving_is_no_larger_than_any_models_own():
    rng = np.random.default_rng(11)
    for _ in range(200):
        two, one = both_modes(rng.normal(0, 50, (3, 3)), UNLIMITED)
        assert two.share[0] <= two.model_savings.min() + 1e-15  # a float64 quotient
        assert one.share[0] <= one.model_savings.min() + 1e-15


# Section 4: benchmarks for a simulator


@pytest.mark.parametrize(
    ("books", "expected"),
    [
        (2, [0.548, 0.632, 0.707, 0.775, 0.837, 0.894, 0.949]),
        (3, [0.258, 0.447, 0.577, 0.683, 0.775, 0.856, 0.931]),
    ],
)
def test_merging_equal_books(books, expected):
    found = [merge_ratio(books, rho / 10) for rho in (-4, -2, 0, 2, 4, 6, 8)]
    assert [round(ratio, 3) for ratio in found] == expected


def test_merging_unequal_books():
    assert round(merge_ratio_unequal(np.array([100.0, 80.0, 40.0]), np.eye(3)), 3) == 0.610
    equal = np.full((4, 4), 0.3) + 0.7 * np.eye(4)
    assert merge_ratio_unequal(np.full(4, 25.0), equal) == pytest.approx(merge_ratio(4, 0.3), rel=1e-15)
    assert merge_ratio(4, -1 / 3) == pytest.approx(0, abs=1e-8)


def test_a_simulated_market_has_these_ratios():
    """Second route: deviations of 200,000 simulated days, whose relative error is 1 ÷ √(2 × days), at 5 σ."""
    days, rng = 200_000, np.random.default_rng(20260131)
    for rho in (-0.4, 0.2, 0.8):
        correlations = np.full((3, 3), rho) + (1 - rho) * np.eye(3)
        pnl = rng.multivariate_normal(np.zeros(3), correlations, days)
        ratio = pnl.sum(axis=1).std() / pnl.std(axis=0).sum()
        assert ratio == pytest.approx(merge_ratio(3, rho), rel=5 / sqrt(2 * days))


@pytest.mark.parametrize(
    ("classes", "fewest"), [(2, 7), (3, 11), (4, 15), (5, 19), (6, 23), (8, 31), (10, 39)]
)
def test_duffie_and_zhu(classes, fewest):
    assert duffie_zhu_threshold(classes) == fewest


def test_duffie_and_zhu_by_the_inequality_itself():
    """Second route: exposures with one class cleared against none, and K < N² ÷ (4(N − 1)) in whole numbers."""
    for classes in range(1, 60):
        fewest = duffie_zhu_threshold(classes)
        for participants in range(2, fewest + 40):
            cleared = bilateral_exposure(participants, classes - 1, 1.0) + cleared_exposure(participants, 1.0)
            helps = cleared < bilateral_exposure(participants, classes, 1.0) * (1 - 1e-12)  # not by rounding
            assert helps == (4 * classes * (participants - 1) < participants**2) == (participants >= fewest)


def test_simulated_exposures():
    """Second route: mean of max(X, 0) over 40,000 draws; its standard error is below 0.6 σ ÷ √draws, at 5 σ."""
    draws, rng = 40_000, np.random.default_rng(2011)
    participants, classes, sigma = 8, 3, 2.0
    pairs = rng.normal(0, sigma, (draws, participants - 1, classes))
    bilateral = np.maximum(pairs.sum(axis=2), 0).sum(axis=1)
    cleared = np.maximum(pairs[:, :, 0].sum(axis=1), 0)
    for found, expected in (
        (bilateral, bilateral_exposure(participants, classes, sigma)),
        (cleared, cleared_exposure(participants, sigma)),
    ):
        assert found.mean() == pytest.approx(expected, abs=5 * found.std() / sqrt(draws))
    # the closed form in the paper's letters
    assert cleared_exposure(participants, sigma) == sigma * sqrt((participants - 1) / (2 * pi))


@pytest.mark.parametrize(
    "call",
    [
        lambda: merge_ratio(0, 0.5),
        lambda: merge_ratio(3, -0.51),
        lambda: merge_ratio(3, 1.01),
        lambda: merge_ratio(3, float("nan")),
        lambda: duffie_zhu_threshold(0),
        lambda: bilateral_exposure(1, 2, 1.0),
        lambda: bilateral_exposure(5, -1, 1.0),
        lambda: cleared_exposure(5, float("nan")),
    ],
)
def test_markets_that_cannot_be_are_refused(call):
    with pytest.raises(InputError):
        call()
