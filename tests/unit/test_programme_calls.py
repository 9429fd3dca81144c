"""What houses call under a programme, account by account, against what they call today."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache

import numpy as np
import polars as pl
import pytest
from programme_market import (
    FUND,
    FUTURE,
    OTHER_FUTURE,
    STOCK,
    cash,
    cents,
    futures,
    houses_of,
    market_of,
    option,
    options,
    programme,
    sample,
    sample_houses,
)

from crossmargin.cli import main
from crossmargin.core.rounding import to_minor
from crossmargin.errors import InputError
from crossmargin.formats.market.folder_writer import write_market
from crossmargin.formats.programme_files import designs
from crossmargin.models.market import HOUSES
from crossmargin.programmes.calls import calls_of_programme
from crossmargin.programmes.compare import compare
from crossmargin.programmes.eligibility import joint_accounts
from crossmargin.programmes.evaluate import evaluate
from crossmargin.programmes.joint_margin import joint_margin
from crossmargin.programmes.programme import (
    GUARANTEES,
    MODES,
    Attribution,
    Default,
    Eligibility,
    Joint,
    Saving,
)

OPEN = Saving(minimum=0.0, cap=1.0)
NO_SAVING = Saving(minimum=0.0, cap=0.0)
JOINING = [mode for mode in MODES if mode != "silo"]
SPLIT = [mode for mode in JOINING if mode != "merged_ccp"]
ROUNDING = 10_000  # of what HKSCC calls of a participant, upwards
SHORTFALLS = ("expected_shortfall",) * 3


def without_credit(houses):
    """The houses where HKSCC gives no margin credit, which may hide what it calls."""
    settings = replace(houses.hkscc.settings, margin_credit=0.0)
    return replace(houses, hkscc=replace(houses.hkscc, settings=settings), kept={})


def charged(*accounts, **terms):
    return without_credit(houses_of(*accounts, **terms))


@cache
def charged_sample():
    return without_credit(sample_houses())


def called(result, column="requirement"):
    """What each account is called, in hundredths."""
    return dict(zip(result.accounts["account"], cents(result.accounts[column]), strict=True))


def only(result, name):
    """The row of one joint account."""
    return result.joint_accounts.row(by_predicate=pl.col("joint_account") == name, named=True)


def require_none_above_today(result):
    rows = result.participants.group_by("participant").agg(pl.col("today", "requirement").sum())
    assert rows.filter(pl.col("requirement") > pl.col("today")).is_empty()


def opposite_accounts():
    """Two accounts of an owner at HKCC that would net to nothing, and legs at the other houses."""
    return (
        futures("a", {FUTURE: -200}, name="a1"),
        futures("a", {FUTURE: 200}, name="a2", type="market-maker"),
        options("a", {option("C", place=3): -900}),
        cash("a", {FUND: 2_000_000, STOCK: 200_000}),
    )


def opposite_participants():
    """One owner's opposite positions at two participants of a group at HKSCC, and a future against them."""
    return (
        cash("a", {FUND: 4_000_000}, participant="P1", name="x1"),
        cash("a", {FUND: -3_900_000}, participant="P2", name="x2"),
        futures("a", {FUTURE: -3}),
    )


def opposite_owners():
    """Clients of one group with opposite futures, joined where owners need not be the same."""
    return (
        futures("x", {FUTURE: -100}, type="individual"),
        futures("y", {FUTURE: 100}, type="individual"),
        cash("z", {FUND: 400_000}),
    )


OPPOSITE = {
    "accounts": (opposite_accounts, Eligibility()),
    "participants": (opposite_participants, Eligibility()),
    "owners": (opposite_owners, Eligibility(same_owner=False)),
}


def today_apart(houses):
    """Market risk of each house's pieces by its own model: accounts at HKCC and SEOCH, participants at HKSCC."""
    accounts = houses.accounts
    cash_nets = accounts.books.regrouped(
        np.where(accounts.at("HKSCC"), accounts.participant, -1), len(accounts.participants)
    )
    total = {"HKSCC": int(houses.hkscc.market_risk(cash_nets).sum())}
    for house in ("HKCC", "SEOCH"):
        books = accounts.books.select(np.flatnonzero(accounts.at(house)))
        total[house] = int(houses.prime.accounts(books).risk.sum())
    return total


@pytest.mark.parametrize("mode", SPLIT)
@pytest.mark.parametrize("case", OPPOSITE)
def test_stand_alone_is_what_the_houses_margin_today_and_the_cap_bounds_the_saving(case, mode):
    accounts, rules = OPPOSITE[case]
    houses = charged(*accounts())
    result = evaluate(programme(mode, eligibility=rules, saving=replace(OPEN, cap=0.3)), houses)
    apart = today_apart(houses)
    assert len(result.joint_accounts) == 1
    for row in result.joint_accounts.iter_rows(named=True):
        for house in HOUSES:
            assert cents([row[f"stand_alone:{house}"]]) == [apart[house]]
        assert 0 <= row["saving"] <= Decimal("0.3") * row["stand_alone"]
    require_none_above_today(result)
    # HKSCC's order of operations rounds what it calls of each participant
    most = 0.3 * sum(apart.values()) / 100 + ROUNDING * result.participants["participant"].n_unique()
    assert float(result.saving) <= most


@pytest.mark.parametrize("mode", [mode for mode in SPLIT if mode != "transfer_optimise"])
@pytest.mark.parametrize("case", OPPOSITE)
def test_some_offset_is_found_between_opposite_positions(case, mode):
    accounts, rules = OPPOSITE[case]
    if mode == "spread_credit" and case != "accounts":
        accounts, rules = OPPOSITE["accounts"]
    result = evaluate(programme(mode, eligibility=rules, saving=OPEN), charged(*accounts()))
    assert result.joint_accounts["saving"].sum() > 0


@pytest.mark.parametrize("mode", JOINING)
@pytest.mark.parametrize("case", OPPOSITE)
def test_a_cap_of_nothing_leaves_every_call(case, mode):
    accounts, rules = OPPOSITE[case]
    houses = charged(*accounts())
    result = evaluate(programme(mode, eligibility=rules, saving=NO_SAVING), houses)
    assert called(result) == called(result, "today")


def with_option_value():
    """A long call whose value exceeds its risk beside a short put of the same owner at SEOCH."""
    call, put = option("C", place=0), option("P", place=3)
    return houses_of(
        options("a", {call: 400}, name="a1"),
        options("a", {put: -300}, name="a2", type="market-maker"),
        cash("a", {STOCK: 100_000}),
    )


@pytest.mark.parametrize("mode", JOINING)
def test_option_value_stays_in_its_account(mode):
    houses = with_option_value()
    margins = houses.prime_today
    assert margins.option_value[0] > margins.risk[0] > 0, "value in excess that another account could use"
    result = evaluate(programme(mode, saving=NO_SAVING), houses)
    assert called(result) == called(result, "today")
    assert called(result)["a1"] == 0 < called(result)["a2"]


def hedged_beside_others():
    """A fund hedged by futures; at HKSCC it nets with two owners who have not agreed."""
    return charged(
        cash("a", {FUND: 4_000_000}),
        futures("a", {FUTURE: -80}),
        cash("b", {FUND: 4_000_000}, consent=0),
        cash("c", {FUND: -1_000_000}, consent=0),
    )


@pytest.mark.parametrize("mode", SPLIT)
@pytest.mark.parametrize("origin", ["split", "participant"])
def test_a_joined_account_at_hkscc_is_called_its_leg_and_others_no_more(mode, origin):
    houses = hedged_beside_others()
    result = evaluate(programme(mode, eligibility=Eligibility(hkscc_origin=origin)), houses)
    today, now, row = called(result, "today"), called(result), only(result, "a")
    assert row["houses"] == "HKSCC + HKCC"
    joint = joint_accounts(
        result.programme, houses.accounts, houses.snapshot, houses.can_margin(result.programme)
    )
    margin = joint_margin(result.programme, houses, joint)
    calls = calls_of_programme(result.programme, houses, joint, margin)
    place = HOUSES.index("HKSCC")
    leg, risk = int(margin.outcome.reduced[0, place]), int(calls.market_risk[0, place])
    assert leg == cents([row["left:HKSCC"]])[0]
    assert abs(now["a.HKSCC"] - Fraction(int(calls.participants[0, place])) * leg / risk) < 1
    assert risk == leg + int(margin.outside[0])
    others = ("b.HKSCC", "c.HKSCC")
    if origin == "participant":
        assert all(now[name] <= today[name] + 100 * ROUNDING for name in others)
        assert (
            risk
            == int(houses.hkscc_risk_today[0])
            - cents([row["saving"]])[0]
            + cents([row["stand_alone:HKCC"] - row["left:HKCC"]])[0]
        )


def rising_and_falling():
    """One group: a participant at HKSCC whose net is dear to split, another with the futures that hedge it."""
    return charged(
        cash("a", {FUND: 4_000_000}, participant="P1"),
        futures("a", {FUTURE: -80}, participant="P2"),
        cash("c", {FUND: -2_200_000}, consent=0, participant="P1"),
    )


@pytest.mark.parametrize("mode", JOINING)
def test_no_participant_pays_for_what_another_of_its_group_saves(mode):
    houses = rising_and_falling()
    result = evaluate(programme(mode, saving=OPEN), houses)
    require_none_above_today(result)
    admitted = evaluate(programme(mode, saving=replace(OPEN, allow_increase=True)), houses)
    by = admitted.participants.group_by("participant").agg(pl.col("today", "requirement").sum())
    dearer = set(by.filter(pl.col("requirement") > pl.col("today"))["participant"])
    told = {name.removeprefix("participant ") for name in result.risen["subject"] if "participant " in name}
    assert dearer == told
    if mode in {"two_pot_lesser", "one_pot_joint", "merged_ccp"}:
        assert dearer == {"P1"}
    assert not result.risen.filter(pl.col("subject").str.starts_with("participant "))["called"].any()


@pytest.mark.parametrize("mode", JOINING)
def test_nobody_of_the_sample_is_called_more(mode):
    for rules in (Eligibility(), Eligibility(same_owner=False), Eligibility(hkscc_origin="participant")):
        require_none_above_today(evaluate(programme(mode, eligibility=rules, saving=OPEN), charged_sample()))


@pytest.mark.parametrize("mode", JOINING)
@pytest.mark.parametrize("missing", HOUSES)
def test_a_house_holds_no_less_of_what_it_knows_while_a_file_is_missing(mode, missing):
    design = programme(mode, saving=Saving(minimum=0.0, cap=0.6))
    good = evaluate(design, sample_houses())
    now = evaluate(design, sample_houses(), missing=[missing], last_good=good)
    before = {row["joint_account"]: row for row in good.joint_accounts.iter_rows(named=True)}
    waiting = now.joint_accounts.filter(binding="another house's file is missing")
    assert len(waiting) > 1
    for row in waiting.iter_rows(named=True):
        for house in set(HOUSES) - {missing}:
            alone, left = row[f"stand_alone:{house}"], row[f"left:{house}"]
            assert left >= alone * Decimal("0.4") - Decimal("0.01")
            if last := before.get(row["joint_account"]):
                assert left >= min(last[f"left:{house}"], last[f"stand_alone:{house}"])
                assert left <= alone
            else:
                assert left == alone


def test_the_saving_kept_is_each_houses_own():
    design = programme("one_pot_joint", saving=OPEN, attribution=Attribution(rule="shapley"))
    good = evaluate(design, sample_houses())
    now = evaluate(design, sample_houses(), missing=["HKSCC"], last_good=good)
    last, row = only(good, "three"), only(now, "three")
    shares = {1 - last[f"left:{house}"] / last[f"stand_alone:{house}"] for house in HOUSES[1:]}
    assert len(shares) > 1, "or one share of all would do"
    for house in HOUSES[1:]:
        assert abs(row[f"left:{house}"] - last[f"left:{house}"]) <= Decimal("0.01")


@pytest.mark.parametrize("mode", JOINING)
@pytest.mark.parametrize("missing", HOUSES)
def test_nothing_is_saved_across_a_missing_file_unless_it_was_before(mode, missing):
    for rule in ("zero", "silo", "last_good"):
        design = programme(mode, saving=OPEN, counterpart_missing=rule)
        result = evaluate(design, sample_houses(), missing=[missing])
        owners = result.accounts.filter(pl.col("owner") == "three")
        assert owners["requirement"].to_list() == owners["today"].to_list(), rule


def test_another_programmes_or_a_later_result_is_none_of_the_last_good_day():
    houses, design = sample_houses(), programme()
    good = evaluate(design, houses)
    for other, field in (
        (evaluate(programme("two_pot_lesser"), houses), "last_good"),
        (evaluate(replace(design, saving=OPEN), houses), "last_good"),
        (replace(good, as_of=houses.as_of + timedelta(days=1)), "last_good"),
    ):
        with pytest.raises(InputError) as refused:
            evaluate(design, houses, missing=["HKSCC"], last_good=other)
        assert [record.file for record in refused.value.records] == [field]
    zero = replace(design, counterpart_missing="zero")
    assert evaluate(zero, houses, missing=["HKSCC"], last_good=good).joint_accounts["saving"].sum() >= 0


@pytest.mark.parametrize("mode", JOINING)
@pytest.mark.parametrize("concentration", ["per_house", "joint"])
def test_other_models_of_the_houses_leave_what_is_margined_today(mode, concentration):
    plain = programme(mode, saving=NO_SAVING, joint=Joint(concentration=concentration))
    other = replace(plain, models=SHORTFALLS)
    usual, changed = (evaluate(one, charged_sample()) for one in (plain, other))
    for house in HOUSES:
        column = f"stand_alone:{house}"
        assert changed.joint_accounts[column].to_list() == usual.joint_accounts[column].to_list()
    assert called(changed) == called(changed, "today")


@pytest.mark.parametrize("mode", ["two_pot_lesser", "one_pot_joint", "merged_ccp"])
@pytest.mark.parametrize("shares", [0, 200_000, 10_000_000])
def test_joint_concentration_is_the_add_on_of_all_legs_less_that_of_hksccs(mode, shares):
    call = {option("C", place=0): max(shares // 500, 1)}
    houses = houses_of(cash("a", {STOCK: shares + 1_000}), options("a", call))
    design = programme(mode, saving=replace(OPEN, allow_increase=True), joint=Joint(concentration="joint"))
    joint = joint_accounts(design, houses.accounts, houses.snapshot, houses.can_margin(design))
    steps = dict(joint_margin(design, houses, joint).steps)
    add_ons = houses.hkscc.liquidation(joint.legs)
    due = max(int(houses.hkscc.liquidation(joint.union)[0]) - int(add_ons[HOUSES.index("HKSCC")]), 0)
    assert steps["one name at several houses"].tolist() == [due]
    assert due > 0 or shares < 10_000_000


def test_a_merged_house_charges_concentration_of_derivatives_alone():
    houses = houses_of(options("a", {option("C", place=0): 40_000}))
    design = programme("merged_ccp", saving=OPEN, joint=Joint(concentration="joint"))
    joint = joint_accounts(design, houses.accounts, houses.snapshot, houses.can_margin(design))
    steps = dict(joint_margin(design, houses, joint).steps)
    due = int(houses.hkscc.liquidation(joint.union)[0])
    assert steps["one name at several houses"].tolist() == [due]
    assert due > 0


def of_houses(houses, *, accounts=True):
    """The sample's market with instruments, and accounts with their positions, of some houses only."""
    market = market_of(*sample())
    tables = dict(market.tables)
    kept = tables["accounts"].filter(pl.col("house").is_in(houses) & accounts)
    tables["accounts"] = kept
    tables["instruments"] = tables["instruments"].filter(pl.col("house").is_in(houses))
    tables["positions"] = tables["positions"].filter(pl.col("account").is_in(kept["account"].implode()))
    return replace(market, tables=tables)


def last_day(market):
    return market["prices"]["date"].max()


@pytest.mark.parametrize("present", [("HKSCC",), ("HKCC",), ("HKCC", "SEOCH"), ("HKSCC", "SEOCH")])
def test_the_designs_run_on_a_market_without_some_houses(present):
    market = of_houses(present)
    compared = compare(market, designs(), last_day(market))
    assert len(compared.results) == len(designs())
    for result in compared.results:
        assert result.today > 0
        by = dict(zip(result.houses["house"], result.houses["today"], strict=True))
        assert all(by[house] == 0 for house in set(HOUSES) - {*present})
        for name in result.joint_accounts["joint_account"]:
            assert result.of(name).steps["amount"][-1] >= 0
        if len(present) == 1 and result.programme.mode != "merged_ccp":
            assert result.requirement == result.today
            assert not len(result.joint_accounts)


def test_nothing_to_margin_is_told_once():
    market = market_of(*sample())
    no_positions = replace(market, tables=market.tables | {"positions": market["positions"].clear()})
    names = ("accounts", "participants", "positions")
    no_accounts = replace(market, tables=market.tables | {name: market[name].clear() for name in names})
    for bare in (no_positions, no_accounts):
        with pytest.raises(InputError) as refused:
            compare(bare, designs(), last_day(market))
        assert [record.field for record in refused.value.records] == ["positions"]


def test_a_day_before_the_positions_has_none():
    market = market_of(*sample())
    days = market["prices"]["date"].unique().sort()
    dated = market["positions"].with_columns(date=pl.lit(days[-1]))
    later = replace(market, tables=market.tables | {"positions": dated})
    with pytest.raises(InputError) as refused:
        compare(later, designs(), days[-2])
    assert len(refused.value.records) == 1


@pytest.mark.parametrize("mode", JOINING)
def test_a_saving_may_be_taken_off_the_requirement(mode):
    for houses in (sample_houses(), charged_sample()):
        at_end = programme(mode, saving=replace(OPEN, enters="requirement", allow_increase=True))
        at_start = programme(mode, saving=replace(OPEN, allow_increase=True))
        late, early = (evaluate(design, houses) for design in (at_end, at_start))
        for name in ("stand_alone", "left", "saving"):
            assert late.joint_accounts[name].to_list() == early.joint_accounts[name].to_list()
        unsaved = programme(mode, saving=replace(at_start.saving, cap=0.0))
        joint = joint_accounts(at_end, houses.accounts, houses.snapshot, houses.can_margin(at_end))
        margin = joint_margin(at_end, houses, joint)
        own = replace(margin, outcome=replace(margin.outcome, reduced=margin.outcome.own))
        before = calls_of_programme(unsaved, houses, joint, own).accounts
        now = calls_of_programme(at_end, houses, joint, margin).accounts
        legs = joint.of_account * len(HOUSES) + joint.houses
        for leg in np.unique(legs[joint.of_account >= 0]).tolist():
            mine = np.flatnonzero(legs == leg)
            saved = int((margin.outcome.own - margin.outcome.reduced).ravel()[leg])
            if mine.size == 1:
                partly = max(int(before[mine[0]]) - saved, 0)
                assert int(now[mine[0]]) == partly
        assert np.array_equal(now[joint.of_account < 0], before[joint.of_account < 0])
        assert (now >= 0).all()


def test_a_credit_that_hides_a_saving_in_market_risk_does_not_hide_it_in_the_requirement():
    accounts = (cash("a", {FUND: 1_000_000}), futures("a", {FUTURE: -20}))
    houses = houses_of(*accounts)
    row = evaluate(programme(), houses).participants.filter(pl.col("house") == "HKSCC")
    assert row["today"].to_list() == [0], "less than the credit"
    for enters in ("market_risk", "requirement"):
        result = evaluate(programme(saving=replace(OPEN, enters=enters)), houses)
        assert result.participants.filter(pl.col("house") == "HKSCC")["requirement"].to_list() == [0]
    larger = houses_of(*(replace(one, held={k: 6 * v for k, v in one.held.items()}) for one in accounts))
    called_of = {
        enters: evaluate(programme(saving=replace(OPEN, enters=enters)), larger)
        for enters in ("market_risk", "requirement")
    }
    saved = {name: cents(one.houses["saving"])[0] for name, one in called_of.items()}
    leg = only(called_of["requirement"], "a")
    asked = cents([leg["stand_alone:HKSCC"] - leg["left:HKSCC"]])[0]
    today = cents(called_of["requirement"].houses["today"])[0]
    assert today > 0
    assert saved["requirement"] == min(asked, today)


@pytest.mark.parametrize("mode", ["two_pot_lesser", "spread_credit"])
def test_an_increase_that_is_called_binds(mode):
    houses = houses_of(cash("a", {STOCK: 10_000_000}), options("a", {option("C", place=0): 20_000}))
    design = programme(mode, saving=Saving(allow_increase=True), joint=Joint(concentration="joint"))
    result = evaluate(design, houses)
    row = only(result, "a")
    assert row["left"] > row["stand_alone"]
    assert row["binding"] == "joint margin is higher"
    assert result.risen.filter(subject="a")["called"].to_list() == [True]
    usual = only(evaluate(replace(design, saving=Saving()), houses), "a")
    assert usual["left"] == usual["stand_alone"]
    assert usual["binding"] == "no worse off"


def test_silos_of_a_user_are_in_force():
    silo, linked = programme("silo"), programme("two_pot_lesser")
    assert silo.status.startswith("in force")
    assert silo.status == designs()[0].status
    assert linked.status.startswith("hypothetical")
    assert evaluate(silo, sample_houses()).provenance.legal_status == silo.status
    assert replace(silo, legal_status="planned").status == "planned"


def shortfall(houses, positions):
    """Expected shortfall of positions in NumPy, by instrument name, in hundredths and at least 0."""
    model = houses.joint_model("max")
    names = houses.snapshot.instruments["instrument"].to_list()
    at = np.array([model.rows[names.index(name)] for name in positions])
    held = np.array(list(positions.values()), np.float64)
    pnl = held @ model.cube.rows(at).astype(np.float64)
    total = 0.0
    for part, (start, stop) in zip(model.cube.parts, model.cube.layout.bounds, strict=True):
        total += part.weight * -np.sort(pnl[start:stop])[: part.tail_count].mean()
    return max(total * (1.0 + model.settings.buffer), 0.0) * 100


HEDGED = (
    cash("a", {FUND: 3_000_000, STOCK: 150_000}),
    futures("a", {FUTURE: -60, OTHER_FUTURE: 5}),
    options("a", {option("C", place=3): -300}),
)


@pytest.mark.parametrize("mode", JOINING)
def test_what_margins_leave_uncovered(mode):
    houses = houses_of(*HEDGED)
    row = only(evaluate(programme(mode, saving=replace(OPEN, allow_increase=True)), houses), "a")
    legs = {one.house: one.held for one in HEDGED}
    alone = {house: shortfall(houses, held) for house, held in legs.items()}
    together = shortfall(houses, {name: held for leg in legs.values() for name, held in leg.items()})
    expected = {
        f"uncovered_{name}": sum(
            max(alone[house] - cents([row[f"{column}:{house}"]])[0], 0) for house in HOUSES
        )
        for name, column in (("before", "stand_alone"), ("apart", "left"))
    }
    expected["uncovered_together"] = max(together - cents([row["left"]])[0], 0)
    for name, amount in expected.items():
        assert cents([row[name]])[0] == pytest.approx(amount, abs=1e-5 * sum(alone.values())), name
    if mode in {"one_pot_joint", "merged_ccp"}:
        assert row["uncovered_apart"] > row["uncovered_before"]


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_who_bears_the_worst_scenario_of_a_joint_account(guarantee):
    houses = houses_of(*HEDGED)
    design = programme(saving=OPEN, default=Default(guarantee=guarantee, split="reduced"))
    result = evaluate(design, houses)
    one, row = result.of("a"), only(result, "a")
    worst = one.tail.sort("joint").row(0, named=True)
    table = one.default
    assert table["house"].to_list() == list(HOUSES)
    margin = np.array(cents([row[f"left:{house}"] for house in HOUSES]))
    loss = to_minor(np.array([-float(worst[house]) for house in HOUSES]), 2)
    assert cents(table["margin"]) == margin.tolist()
    assert cents(table["loss"]) == loss.tolist()
    net = margin - loss
    assert cents(table["net"]) == net.tolist()
    assert (net < 0).any()
    assert (net > 0).any(), "else there is nothing to share"
    fund, paid, received, returned = (
        np.array(cents(table[name])) for name in ("own_fund_loss", "paid", "received", "returned")
    )
    deficit, surplus = np.maximum(-net, 0), np.maximum(net, 0)
    if guarantee == "none":
        assert paid.sum() == received.sum() == 0
        assert fund.tolist() == deficit.tolist()
        assert returned.tolist() == surplus.tolist()
    else:
        assert paid.sum() == received.sum() > 0
        assert fund.sum() == max(-net.sum(), 0)
        assert returned.sum() == max(net.sum(), 0)
        bearing = deficit if guarantee == "surplus_transfer" else margin
        assert fund == pytest.approx(fund.sum() * bearing / bearing.sum(), abs=1)
    assert (net + received + fund).tolist() == (paid + returned).tolist()


def test_a_house_without_a_leg_bears_nothing():
    accounts = (futures("a", {FUTURE: -60}), options("a", {option("C", place=3): -300}))
    rule = Default(guarantee="pool", split="reduction")
    result = evaluate(programme(saving=NO_SAVING, default=rule), houses_of(*accounts))
    table = result.of("a").default
    assert table["house"].to_list() == ["HKCC", "SEOCH"]
    assert table["own_fund_loss"].sum() == max(-table["net"].sum(), 0)
    assert table["paid"].sum() == table["received"].sum()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The sample's market as a folder."""
    place = tmp_path_factory.mktemp("market") / "market"
    write_market(market_of(*sample()), place)
    return place


def design_file(place, name, mode="silo"):
    place.write_text(f'name = "{name}"\nmode = "{mode}"\n', encoding="utf-8")
    return str(place)


def refused_by(capsys, monkeypatch, *arguments):
    """What the command says as it refuses, without having opened a market."""

    def opened(*_):
        raise AssertionError("the market was read")

    monkeypatch.setattr("crossmargin.cli.compare.load_market", opened)
    monkeypatch.setattr("crossmargin.models.synthetic_market.market.synthetic_market", opened)
    assert main(list(map(str, arguments))) == 1
    said = capsys.readouterr()
    assert not said.out
    assert "refused: 1 bad record" in said.err
    return said.err


def test_an_unknown_joint_account_is_refused_in_json_too(folder, tmp_path, capsys):
    linked = design_file(tmp_path / "linked.toml", "linked", "two_pot_lesser")
    given = ["compare", "--market", str(folder), "--programme", linked, "--format", "json"]
    assert main([*given, "--joint-account", "nobody"]) == 1
    said = capsys.readouterr()
    assert not said.out
    assert "nobody" in said.err
    assert main([*given, "--joint-account", "three"]) == 0
    assert '"linked"' in capsys.readouterr().out


def test_names_are_refused_before_anything_is_read(folder, tmp_path, capsys, monkeypatch):
    one, two = design_file(tmp_path / "1.toml", "one"), design_file(tmp_path / "2.toml", "one", "merged_ccp")
    told = refused_by(capsys, monkeypatch, "compare", "--market", folder, "--programme", one, two)
    assert "'one'" in told
    told = refused_by(capsys, monkeypatch, "compare", "--market", folder, "--programme")
    assert "at least one programme" in told
    for name in ("", " ", "=SUM(A1)", "@cell", "-1+1", "+x", "../up", "\\t=1"):
        bad = design_file(tmp_path / "bad.toml", name)
        told = refused_by(capsys, monkeypatch, "compare", "--market", folder, "--programme", bad)
        assert "begins with a letter or a digit" in told


def test_a_place_that_is_a_file_is_refused_before_anything_is_made(folder, tmp_path, capsys, monkeypatch):
    taken = tmp_path / "taken"
    taken.write_text("here", encoding="utf-8")
    for out in (taken, taken / "x", taken / "x" / "y"):
        assert "--out" in refused_by(capsys, monkeypatch, "demo", "--out", out)
        assert "--out" in refused_by(capsys, monkeypatch, "compare", "--market", folder, "--out", out)
    assert taken.read_text(encoding="utf-8") == "here"
