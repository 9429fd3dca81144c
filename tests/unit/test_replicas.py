"""Replicas of indices in PRiME: what is replaced by what, what is charged, and what no longer is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from matching_market import WEIGHTS, replica
from programme_market import (
    FUTURE,
    base_houses,
    cash,
    futures,
    houses_of,
    programme,
)
from replica_market import PARTS, PrimeBench, moves, scenarios

from crossmargin.core.rounding import to_minor
from crossmargin.core.tails import tail_count
from crossmargin.errors import InputError
from crossmargin.programmes.evaluate import evaluate
from crossmargin.programmes.programme import Joint

BENCH = PrimeBench()
FULL = replica(500_000)
SHORT = {"HSI.near": -1}
HSI = BENCH.look.names.index("HSI")


def rate_of(shares):
    """Basis rate of shares against HSI, scenario by scenario."""
    found = moves()
    total = sum(WEIGHTS["HSI"][share] for share in shares)
    basket = sum(WEIGHTS["HSI"][share] / total * found[share] for share in shares)
    return shortfall(basket - found["HSI"])


def shortfall(apart):
    confidence, worst = BENCH.stand_ins.confidence, []
    for part in PARTS:
        count = tail_count(confidence, part.size)
        ordered = np.sort(apart[part.start : part.stop])
        worst += [-ordered[:count].mean(), ordered[-count:].mean()]
    return max(worst)


def test_a_complete_replica_is_margined_like_the_fund_with_its_own_basis_charge():
    found = BENCH.through(FULL | SHORT)
    assert BENCH.held(found.books) == {"F1": 25_000, "HSI.near": -1}
    charge = to_minor(500_000 * rate_of("ABCD"), 2)
    assert found.charge.tolist() == [charge]
    as_fund = BENCH.prime.market_risk(BENCH.books({"F1": 25_000} | SHORT))[0]
    fund_charge = to_minor(25_000 * BENCH.fund_charge("F1"), 2)
    plain, lower = BENCH.risk(FULL | SHORT)
    assert lower[0] == as_fund - fund_charge + charge
    assert charge > fund_charge > 0
    assert lower[0] < 0.25 * plain[0]


def test_an_owner_saves_as_much_of_prime_as_fund_against_futures_less_the_charge():
    future = BENCH.prime.market_risk(BENCH.books(SHORT))[0]
    fund, basket = BENCH.prime.market_risk(BENCH.books({"F1": 25_000}, FULL))
    with_fund = BENCH.prime.market_risk(BENCH.books({"F1": 25_000} | SHORT))[0]
    plain, lower = BENCH.risk(FULL | SHORT)
    before, after = ((basket + future - joint[0]) / (basket + future) for joint in (plain, lower))
    assert before < 0.5 < after
    assert after == pytest.approx((fund + future - with_fund) / (fund + future), abs=0.1)


@pytest.mark.parametrize(
    "held",
    [
        FULL | {"HSI.near": 1},
        {share: -quantity for share, quantity in FULL.items()} | SHORT,
        {share: quantity for share, quantity in FULL.items() if share != "D"} | SHORT,
        FULL | {"D": -5_000} | SHORT,
        FULL,
        SHORT | {"E": 10_000},
        {"F1": 25_000} | SHORT,
    ],
)
def test_without_an_offsetting_complete_basket_nothing_changes(held):
    found = BENCH.through(held)
    assert found.number.size == found.books.count == found.charge.size == 0
    plain, lower = BENCH.risk(held)
    assert lower.tobytes() == plain.tobytes()
    assert BENCH.stand_ins.frame(found).is_empty()


def test_half_a_basket_is_replaced_and_the_rest_of_the_future_stays():
    half = replica(250_000)
    found = BENCH.through(half | SHORT)
    assert BENCH.held(found.books) == {"F1": 12_500, "HSI.near": -1}
    assert found.charge.tolist() == [to_minor(250_000 * rate_of("ABCD"), 2)]
    double = BENCH.through(replica(1_000_000) | SHORT)
    assert BENCH.held(double.books) == FULL | {"F1": 25_000} | SHORT


def test_an_incomplete_basket_counts_where_the_programme_admits_it():
    held = {share: quantity for share, quantity in FULL.items() if share != "D"} | SHORT
    found = BENCH.through(held | {"D": -70}, coverage=0.9)
    assert BENCH.held(found.books) == {"D": -70, "F1": 22_500, "HSI.near": -1}
    assert found.replicas.matched.tolist() == [pytest.approx(450_000)]
    assert found.replicas.rate.tolist() == [pytest.approx(rate_of("ABC"))]
    assert rate_of("ABC") > rate_of("ABCD")


def test_a_short_basket_stands_short():
    held = {share: -quantity for share, quantity in FULL.items()} | {"HSI.far": 1}
    assert BENCH.held(BENCH.through(held).books) == {"F1": -25_000, "HSI.far": 1}


def test_whole_units_are_taken_and_the_rest_stays():
    held = {"A": 1003, "B": 757, "C": 511, "D": 253} | SHORT
    found = BENCH.through(held)
    left = BENCH.held(found.books)
    taken = {share: held[share] - left.get(share, 0) for share in "ABCD"}
    size = 10 * min(held[share] / weight for share, weight in WEIGHTS["HSI"].items())
    assert taken == {share: int(size * weight / 10 + 1e-9) for share, weight in WEIGHTS["HSI"].items()}
    assert left["F1"] == 10 * sum(taken.values()) // 20
    assert found.replicas.matched[0] == pytest.approx(size)


def test_a_match_below_one_unit_of_the_fund_is_left():
    assert BENCH.through({"A": 1} | SHORT, coverage=0.4).number.size == 0
    assert BENCH.held(BENCH.through({"A": 2} | SHORT, coverage=0.4).books) == {"F1": 1} | SHORT


@pytest.mark.parametrize(("fund", "change"), [(-5_000, 15_000), (-25_000, -25_000), (3_000, 25_000)])
def test_a_holding_of_the_fund_pays_its_own_basis_charge_as_before(fund, change):
    held = FULL | SHORT | {"F1": fund}
    each = BENCH.fund_charge("F1")
    found = BENCH.through(held)
    assert BENCH.held(found.books).get("F1", 0) == fund + 25_000
    assert found.waived[0] == pytest.approx(100 * change * each, abs=1)
    bare = replace(BENCH.prime, span=replace(BENCH.span, conversion=BENCH.span.conversion.clear()))
    expected = bare.market_risk(found.books)[0] + to_minor(abs(fund) * each, 2) + found.charge[0]
    assert found.risk(BENCH.prime.market_risk(found.books)).tolist() == [expected]


def test_two_indices_take_their_shares_one_after_the_other():
    held = {"A": 45_000, "B": 15_000, "C": 10_000, "D": 5_000, "E": 25_000, "HSI.near": -1, "HHI.near": -1}
    found = BENCH.through(held)
    assert BENCH.held(found.books) == {"F1": 25_000, "F2": 25_000, "HSI.near": -1, "HHI.near": -1}
    table = BENCH.stand_ins.frame(found)
    assert table["stands_as"].to_list() == ["F2", "F1"]
    assert table["index"].to_list() == ["HHI", "HSI"]
    assert found.charge[0] == found.replicas.charge.sum()
    short = BENCH.through(held | {"A": 44_000})
    assert sorted(short.replicas.matched.round().tolist()) == [475_000, 500_000]
    assert "A" not in BENCH.held(short.books)


@pytest.mark.parametrize("counters", [(12_000, 8_000), (25_000, -5_000), (0, 20_000), (-1_000, 21_000)])
def test_a_share_with_two_counters_is_one_share(counters):
    held = FULL | dict(zip(("A", "A2"), counters, strict=True)) | SHORT
    left = BENCH.held(BENCH.through(held).books)
    assert left["F1"] == 25_000
    assert left.get("A", 0) + left.get("A2", 0) == 0
    for name, before in zip(("A", "A2"), counters, strict=True):
        assert 0 <= left.get(name, 0) * np.sign(before) <= abs(before)


def test_an_index_without_a_fund_is_left_and_so_are_gross_books():
    alone = PrimeBench(without=["F1"])
    assert alone.through(FULL | SHORT).number.size == 0
    found = BENCH.through(FULL | SHORT, FULL | SHORT, gross=[True, False])
    assert found.number.tolist() == [1]


def test_only_books_that_change_are_given_back_and_others_keep_their_margin():
    plain, lower = BENCH.risk({"A": 100}, FULL | SHORT, {"HSI.near": 2}, FULL | SHORT)
    assert lower[[0, 2]].tolist() == plain[[0, 2]].tolist()
    assert lower[1] == lower[3] < plain[1]


def test_a_replica_that_would_cost_more_is_not_looked_through():
    found = BENCH.through(FULL | SHORT)
    plain = BENCH.prime.market_risk(BENCH.books(FULL | SHORT))
    dear = replace(found, charge=plain + 1)
    assert dear.lower(plain, BENCH.prime.market_risk(found.books)).tolist() == plain.tolist()


def test_basis_of_a_share_in_another_currency_has_its_exchange_rate():
    exchange = 0.02 * np.random.default_rng(3).standard_normal(800)
    foreign = replace(BENCH.stand_ins, currency={"B": "CNY"}, scenarios=scenarios(exchange_rate_CNY=exchange))
    shares = np.array([BENCH.look.names.index(share) for share in "AB"])
    found = moves()
    b = (1 + found["B"]) * (1 + exchange) - 1
    expected = shortfall((4 * found["A"] + 3 * b) / 7 - found["HSI"])
    assert foreign.basis_rate(HSI, shares, np.array([0.4, 0.3])) == pytest.approx(expected, rel=1e-12)


def test_coverage_out_of_range_is_refused():
    with pytest.raises(InputError, match="minimum_coverage"):
        BENCH.through(FULL | SHORT, coverage=0.0)


def arbitrage(worth=40_000_000):
    """Every share of HSI in proportion, against futures."""
    houses = base_houses()
    weights = houses.market.weights_on(houses.as_of).filter(underlying="HSI")
    spots = dict(houses.snapshot.instruments.select("instrument", "spot").iter_rows())
    basket = {
        code: round(worth * weight / spots[code])
        for code, weight in weights.select("constituent", "weight").iter_rows()
    }
    return cash("basket", basket), futures("basket", {FUTURE: -round(worth / (50 * spots[FUTURE]))})


@pytest.fixture(scope="module")
def owners():
    return houses_of(*arbitrage())


def facts_of(houses, design):
    result = evaluate(design, houses)
    facts = result.of(result.joint_accounts["joint_account"][0]).breakdown.facts
    return result, {fact.label: fact.value for fact in facts}


def test_two_pots_recognise_index_arbitrage_and_say_why(owners):
    result, facts = facts_of(owners, programme("two_pot_lesser"))
    (((index, fund, matched, charge),),) = (
        value for label, value in facts.items() if label.startswith("replicas of indices in PRiME")
    )
    assert (index, fund) == ("HSI", "2800")
    assert 0.9 * 40e6 < matched <= 41e6
    assert 0 < charge < 0.05 * matched
    ((reason, amount),) = facts["offsets, HKD"]
    assert reason == "futures and options on HSI against a complete replica of HSI"
    assert amount == matched
    as_shares, through = (
        facts[f"PRiME with {kind}, HKD"] for kind in ("shares as such", "replicas looked through")
    )
    assert through < 0.5 * as_shares
    legs = owners.prime_model.market_risk(owners.accounts.books).sum() / 100
    assert result.joint_accounts["found:prime"][0] == pytest.approx(1 - through / legs)


def test_a_coverage_that_the_basket_lacks_leaves_prime_as_it_was():
    accounts = arbitrage()
    dropped = dict(list(accounts[0].held.items())[1:])
    houses = houses_of(replace(accounts[0], held=dropped), accounts[1])
    result, facts = facts_of(houses, programme("two_pot_lesser"))
    assert not any(label.startswith(("replicas", "offsets")) for label in facts)
    assert result.joint_accounts["found:prime"][0] < 0.5
    union = houses.accounts.books.regrouped(np.zeros(2, np.int64), 1)
    plain = houses.market_risk("prime", union)
    assert houses.union_risk(programme("two_pot_lesser"), "prime", union).tobytes() == plain.tobytes()


@pytest.mark.parametrize("mode", ["one_pot_joint", "merged_ccp"])
def test_one_pot_and_a_merged_house_say_what_offsets_what(owners, mode):
    _, facts = facts_of(owners, programme(mode))
    assert [row[0] for row in facts["offsets, HKD"]] == [
        "futures and options on HSI against a complete replica of HSI"
    ]
    assert not any(label.startswith("replicas") for label in facts)
    _, facts = facts_of(owners, programme(mode, joint=Joint(combine="max")))
    assert any(label.startswith("replicas") for label in facts)


def test_other_models_margin_unions_as_they_are(owners):
    union = owners.accounts.books.regrouped(np.zeros(2, np.int64), 1)
    design = programme("two_pot_lesser")
    for model in ("hkscc_var", "expected_shortfall"):
        found = owners.union_risk(design, model, union)
        assert found.tobytes() == owners.market_risk(model, union).tobytes()


def test_stand_ins_are_made_once_for_all_books(owners):
    assert owners.holding(owners.accounts).stand_ins is owners.stand_ins


def test_the_fund_nearest_to_the_index_stands_in(owners):
    stand_ins = owners.stand_ins
    funds = owners.prime_model.span.conversion.filter(pl.col("commodity") == "HSI")
    funds = funds.join(owners.snapshot.instruments.filter(kind="etf"), on="instrument", how="semi")
    assert len(funds) > 1
    row = stand_ins.row[stand_ins.look.names.index("HSI")]
    assert stand_ins.instruments[row] == funds.sort("basis_charge")["instrument"][0]
