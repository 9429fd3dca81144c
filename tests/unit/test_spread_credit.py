"""Spread credit by hand: what matched legs still pay, and what they do not get."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from matching_market import Bench, replica

from crossmargin.errors import InputError
from crossmargin.models.market import HOUSES
from crossmargin.programmes.limits import BINDING
from crossmargin.programmes.programme import Matching, Saving
from crossmargin.programmes.spread_credit import spread_credit

M = 1_000_000
FREE = Saving(minimum=0.0, cap=1.0)


@pytest.fixture(scope="module")
def bench():
    return Bench()


def credited(bench, own, *held, matching=None, saving=FREE, gross=None):
    legs = bench.legs(*held, gross=gross)
    own = np.array(own, np.int64).reshape(-1, len(HOUSES))
    return spread_credit(own, legs, bench.look, matching or Matching(), saving)


def reduced(bench, own, held, **arguments):
    return credited(bench, own, held, **arguments).outcome.reduced[0].tolist()


def test_a_fund_against_futures_pays_a_quarter_of_both(bench):
    result = credited(bench, [80_000_000, 60_000_000, 0], {"F1": 500_000, "HSI.near": -20})
    outcome = result.outcome
    assert outcome.reduced.tolist() == [[20_000_000, 15_000_000, 0]]
    assert outcome.joint.tolist() == [35_000_000]
    assert outcome.binding.tolist() == [BINDING["matched positions"]]
    assert outcome.model_savings.shape == (1, 0)
    assert result.matches.rows() == [
        (
            0,
            "HSI",
            "futures and options on HSI against funds on HSI",
            "nearest",
            1,
            Decimal("10000000.00"),
            0.25,
            Decimal("1050000.00"),
        )
    ]
    assert result.matches.columns == [
        "account", "underlying", "pair", "expiry", "house", "matched", "charge", "saving",
    ]  # fmt: skip


def test_what_is_not_matched_pays_in_full(bench):
    """4 of 10 million: futures pay 60% and a quarter of 40%."""
    assert reduced(bench, [100, 1000, 0], {"F1": 200_000, "HSI.near": -20}) == [25, 700, 0]


def test_the_later_expiry_pays_more_and_the_nearest_is_matched_first(bench):
    assert reduced(bench, [1000, 1000, 0], {"F1": 500_000, "HSI.far": -20}) == [350, 350, 0]
    held = {"F1": 250_000, "HSI.near": -4, "HSI.far": -16}
    result = credited(bench, [100_000, 100_000, 0], held)
    assert result.matches["expiry"].to_list() == ["nearest", "later"]
    assert result.matches["matched"].to_list() == [2 * M, 3 * M]
    assert result.matches["charge"].to_list() == [0.25, 0.35]
    # futures: 2 of 10 at 75% off, 3 of 10 at 65% off; fund: 2 of 5 and 3 of 5
    assert result.outcome.reduced.tolist() == [[31_000, 65_500, 0]]


def test_a_calendar_spread_brings_its_net_alone(bench):
    """Long 4 near, short 10 far: 3 million short, all of the later expiry; 3 of 7 million gross."""
    held = {"F1": 500_000, "HSI.near": 4, "HSI.far": -10}
    result = credited(bench, [100_000, 70_000, 0], held)
    assert result.matches["matched"].to_list() == [3 * M]
    assert result.matches["charge"].to_list() == [0.35]
    assert result.outcome.reduced.tolist() == [[100_000 - 19_500, 70_000 - 19_500, 0]]


def test_the_wrong_way_saves_nothing(bench):
    result = credited(bench, [1000, 1000, 0], {"F1": 500_000, "HSI.near": 20})
    assert result.outcome.reduced.tolist() == [[1000, 1000, 0]]
    assert result.outcome.binding.tolist() == [BINDING["nothing to save"]]
    assert result.matches.is_empty()


def test_a_complete_basket_and_an_incomplete_one(bench):
    whole = {"HSI.near": -20} | replica(10 * M)
    assert reduced(bench, [1000, 1000, 0], whole) == [250, 250, 0]
    part = {name: quantity for name, quantity in whole.items() if name != "D"}
    assert reduced(bench, [1000, 1000, 0], part) == [1000, 1000, 0]
    lenient = Matching(minimum_coverage=0.9)
    assert reduced(bench, [1000, 1000, 0], part, matching=lenient) == [250, 325, 0]


def test_funds_against_baskets_stay_within_their_house(bench):
    """The basket takes the funds; the house has seen that, and nothing is left for the futures."""
    short = {name: -quantity for name, quantity in replica(10 * M).items()}
    result = credited(bench, [1000, 1000, 0], {"F1": 500_000, "HSI.near": -20} | short)
    assert result.outcome.reduced.tolist() == [[1000, 1000, 0]]
    assert result.matches.select("pair", "expiry", "house", "charge", "saving").rows() == [
        ("funds on HSI against a complete replica of HSI", "", 0, 1.0, Decimal(0))
    ]


def test_stock_options_against_their_share(bench):
    """Delta near a half: the option leg counts with the whole share, so half of it is matched."""
    delta = bench.deltas[bench.row["A.call"]]
    held = {"A.call": -100, "A": 100_000}
    cash, _, options = reduced(bench, [100_000, 0, 100_000], held, matching=Matching(stock_charge=0.2))
    share = 100 * delta / M
    assert 0.45 < share < 0.55
    expected = [100_000 * (1 - 0.8 * share)] * 2
    assert [cash, options] == pytest.approx(expected, abs=1)


def test_derivatives_of_two_houses_share_what_is_matched(bench):
    held = {"A.future": -30, "A.call": -200, "A": 65_000}
    delta = -200 * bench.deltas[bench.row["A.call"]]
    result = credited(bench, [10**9, 10**9, 10**9], held)
    matched = result.matches.sort("house")["matched"].cast(float).to_list()
    assert delta < -1_000_000 * 0.5
    assert sum(matched) == pytest.approx(650_000, abs=0.01)
    assert matched[0] / matched[1] == pytest.approx(300_000 / -delta, rel=1e-6)
    assert result.matches["charge"].to_list() == [0.25, 0.25]


def test_options_without_delta_do_not_lend_their_margin(bench):
    """Ten calls are hedged; a thousand far from the money carry the margin, and lend none of it."""
    small = bench.deltas[bench.row["A.high"]]
    assert 0 < small < 10
    held = {"A.call": -10, "A.high": -1000, "A": 10_000}
    result = credited(bench, [100_000, 0, 100_000_000], held)
    matched = result.matches["matched"].cast(float).sum()
    assert matched == pytest.approx(
        -sum(held[name] * bench.deltas[bench.row[name]] for name in list(held)[:2])
    )
    saved = 100_000_000 - result.outcome.reduced[0, 2]
    assert saved == pytest.approx(0.75 * 100_000_000 * matched / (1010 * 10_000), abs=1)
    assert saved < 500_000


def test_long_options_and_funds_do_not_offset(bench):
    held = {"F1": 25_000, "HSI.near": -1}
    result = credited(bench, [1000, 1_000_000, 1_000_000], held)
    assert result.outcome.reduced.tolist() == [[250, 250_000, 1_000_000]]
    assert 100 * bench.deltas[bench.row["F1.call"]] > 500_000  # more than the future is short
    assert credited(bench, [1000, 1_000_000, 1_000_000], held | {"F1.call": 100}).matches.is_empty()


def test_a_leg_without_margin_brings_none_to_the_other(bench):
    held = {"F1": 500_000, "HSI.near": -20}
    assert reduced(bench, [0, 1000, 500], held) == [0, 1000, 500]
    assert reduced(bench, [1000, 0, 500], held) == [1000, 0, 500]


def test_limits_fall_on_the_legs_by_what_they_save(bench):
    held = {"F1": 500_000, "HSI.near": -20}
    result = credited(bench, [1000, 3000, 0], held, saving=Saving(minimum=0.0, cap=0.5))
    assert result.outcome.reduced.tolist() == [[500, 1500, 0]]
    assert result.outcome.binding.tolist() == [BINDING["supervisory cap on the sum"]]
    small = {"F1": 500, "HSI.near": -20}
    result = credited(bench, [10, 100_000, 0], small, saving=Saving(minimum=0.01))
    assert result.outcome.reduced.tolist() == [[10, 100_000, 0]]
    assert result.outcome.binding.tolist() == [BINDING["minimum saving"]]


def test_accounts_are_apart_and_gross_ones_match_nothing(bench):
    long, short = {"F1": 500_000}, {"HSI.near": -20}
    result = credited(bench, [[1000, 0, 0], [0, 1000, 0]], long, short)
    assert result.outcome.saving.tolist() == [0, 0]
    both = long | short
    gross = [False, True, False, False, False, False]
    result = credited(bench, [[1000, 1000, 0]] * 2, both, both, gross=gross)
    assert result.outcome.saving.tolist() == [0, 1500]


def test_no_accounts_and_no_holdings(bench):
    assert credited(bench, np.zeros((0, 3))).outcome.reduced.shape == (0, 3)
    assert reduced(bench, [0, 7, 0], {"HSI.near": -1}) == [0, 7, 0]


def test_shares_at_two_houses_are_refused(bench):
    own = np.full((1, 3), 100)
    legs = bench.books({"F1": 1}, {"A": 1}, {})
    with pytest.raises(InputError, match="shares and funds at one house"):
        spread_credit(own, legs, bench.look, Matching(), FREE)
