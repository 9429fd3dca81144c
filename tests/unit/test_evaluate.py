"""Programmes evaluated: what each mode must keep of the houses' own rules, of owners, of limits and of sums."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import cache
from itertools import permutations

import numba
import numpy as np
import polars as pl
import pytest
from programme_market import (
    FAR_FUTURE,
    FRAMES,
    FUND,
    FUTURE,
    LARGE,
    LONE_STOCK,
    OTHER_FUTURE,
    SMALL_FUTURE,
    STOCK,
    base_houses,
    base_market,
    cash,
    cents,
    frames_of,
    futures,
    houses_of,
    option,
    options,
    programme,
    sample,
    sample_houses,
    times,
)

from crossmargin.errors import InputError
from crossmargin.formats.hkscc.participant import hkscc_participant
from crossmargin.formats.programme_files import designs
from crossmargin.models.hkscc.margin import hkscc_margins
from crossmargin.models.market import HOUSES
from crossmargin.models.span.margin import span_margins
from crossmargin.models.span.settings import SpanSettings
from crossmargin.programmes.accounts import clearing_accounts
from crossmargin.programmes.compare import compare, compare_on
from crossmargin.programmes.evaluate import evaluate
from crossmargin.programmes.examples import book_market, etf_futures
from crossmargin.programmes.houses import HouseSettings
from crossmargin.programmes.programme import (
    MODES,
    Attribution,
    Eligibility,
    Joint,
    Matching,
    Saving,
)

OPEN = Saving(minimum=0.0, cap=1.0)
ANYONE = Eligibility(consent=False)


@pytest.fixture(scope="module")
def houses():
    return sample_houses()


def variants():
    """Every mode with every choice that bears on it."""
    return (
        *(programme(mode) for mode in MODES),
        *(
            programme(
                "one_pot_joint",
                joint=Joint(combine=combine, horizon=horizon, basis_charge=0.002),
                attribution=Attribution(rule=rule, floor=floor),
                saving=OPEN,
            )
            for combine, horizon, rule, floor in (
                ("joint", "max", "euler", 0.0),
                ("joint", "square root", "shapley", 0.1),
                ("joint", "per_house", "pro_rata", 0.0),
                ("min", "max", "euler", 0.1),
                ("max", "max", "shapley", 0.0),
                ("max", "max", "pro_rata", 0.3),
            )
        ),
        programme("one_pot_joint", saving=Saving(allow_increase=True), joint=Joint(concentration="joint")),
        programme("merged_ccp", saving=Saving(minimum=0.0, cap=1.0, allow_increase=True)),
        programme("merged_ccp", attribution=Attribution(rule="euler"), joint=Joint(concentration="joint")),
        programme("two_pot_lesser", eligibility=Eligibility(hkscc_origin="participant")),
        programme("one_pot_joint", eligibility=Eligibility(hkscc_origin="participant"), saving=OPEN),
        programme("transfer_optimise", eligibility=Eligibility(hkscc_origin="participant")),
        programme("spread_credit", eligibility=Eligibility(hkscc_origin="participant")),
        programme("two_pot_lesser", joint=Joint(concentration="joint"), saving=Saving(emir_share=0.8)),
        programme("one_pot_joint", eligibility=Eligibility(same_owner=False, consent=False)),
        programme("two_pot_lesser", houses=("HKCC", "SEOCH")),
        programme("two_pot_lesser", models=("expected_shortfall", "prime", "prime")),
        programme("spread_credit", joint=Joint(concentration="joint")),
    )


def named():
    """The same, each with a name of its own."""
    return tuple(replace(one, name=f"{one.mode} {place}") for place, one in enumerate(variants()))


def label(variant):
    """A short name of a variant in pytest's list."""
    joint, saving = variant.joint, variant.saving
    choices = (joint.combine, joint.horizon, joint.concentration, variant.attribution.rule)
    origin = variant.eligibility.hkscc_origin
    return "-".join((variant.mode, *choices, origin, f"{saving.cap:g}")).replace(" ", "_")


@cache
def evaluated(variant):
    """A variant on the sample book: several tests look at the same result."""
    return evaluate(variant, sample_houses())


def total(frame, column):
    return sum(frame[column], Decimal(0))


def row(frame, **values):
    found = frame.filter(**values)
    assert len(found) == 1, found
    return found.row(0, named=True)


# Silo is today.


def hkscc_by_name(houses):
    """HKSCC's requirement of each participant from positions by name, netted by nobody."""
    value = pl.col("mark") * pl.col("multiplier") * pl.col("exchange_rate")
    marks = houses.snapshot.instruments.select("instrument", value=value)
    accounts = houses.market["accounts"].filter(house="HKSCC")
    held = houses.market["positions"].join(accounts, on="account").join(marks, on="instrument")
    worth = pl.col("quantity") * pl.col("value")
    positions = held.select(
        "participant",
        "instrument",
        pl.col("quantity").cast(pl.Float64),
        contract_value=worth,
        market_value=worth,
    )
    names = accounts["participant"].unique().sort()
    settings = {name: houses.hkscc.own_settings.get(name, houses.hkscc.settings) for name in names}
    margins = hkscc_margins(positions, houses.hkscc.parameters, settings)
    return dict(zip(names, margins.requirement.total.tolist(), strict=True))


def span_by_name(houses, basis):
    """Requirements of accounts at HKCC and SEOCH of one basis from positions by the names of series."""
    accounts = houses.market["accounts"].filter((pl.col("house") != "HKSCC") & (pl.col("basis") == basis))
    held = houses.market["positions"].join(accounts, on="account")
    places = houses.snapshot.instruments.select("instrument").with_row_index("row")
    held = held.join(places, on="instrument", maintain_order="left")
    span = houses.prime.span
    series = span.own.series[span.series[held["row"].to_numpy()]]
    positions = series.select(
        "exchange",
        "product",
        "product_type",
        "expiry",
        pl.col("right").replace("", None),
        "strike",
        held["account"],
        held["quantity"],
    )
    margins = span_margins(positions, span.own, SpanSettings(basis=basis))
    called = dict.fromkeys(accounts["account"], Decimal(0))
    for account, currency, amount in margins.totals().iter_rows():
        assert currency == "HKD"
        called[account] += amount
    return called


def test_silo_is_the_houses_own_margins_to_the_cent(houses):
    result = evaluate(programme("silo"), houses)
    hkscc = result.participants.filter(house="HKSCC")
    expected = hkscc_by_name(houses)
    assert dict(zip(hkscc["participant"], cents(hkscc["requirement"]), strict=True)) == expected
    assert sum(amount > 0 for amount in expected.values()) > 1
    options_houses = result.accounts.filter(pl.col("house") != "HKSCC")
    by_name = span_by_name(houses, "net") | span_by_name(houses, "gross")
    assert dict(options_houses.select("account", "requirement").rows()) == by_name
    assert result.saving == 0
    assert set(result.accounts["why_not"]) == {"each house alone"}


def test_silo_holds_with_settings_of_single_participants():
    """A participant's own floor, IPO stocks and flat-rate multiplier hold today and under every programme."""
    base = base_houses()
    own = {
        "P1": hkscc_participant(
            base.as_of, ipo_stocks=(STOCK,), credit_risk_addon=12.34, hedging_instrument=FUND
        ),
        "P2": hkscc_participant(base.as_of, portfolio_margin_floor_rate=0.9, hedging_instrument=FUND),
    }
    mine = replace(houses_of(*sample()), hkscc=replace(base.hkscc, own_settings=own), kept={})
    mine = replace(mine, settings=HouseSettings(participants=own))
    result = evaluate(programme("silo"), mine)
    hkscc = result.participants.filter(house="HKSCC")
    found = dict(zip(hkscc["participant"], cents(hkscc["requirement"]), strict=True))
    general = evaluate(programme("silo"), sample_houses()).participants.filter(house="HKSCC")
    assert found == hkscc_by_name(mine)
    assert found != dict(zip(general["participant"], cents(general["requirement"]), strict=True))
    assert result.saving == 0


def test_a_programme_without_its_house_leaves_that_house_to_the_cent(houses):
    today = evaluate(programme("silo"), houses)
    linked = evaluate(programme("two_pot_lesser", houses=("HKCC", "SEOCH")), houses)
    kept = [frame.filter(house="HKSCC").drop("why_not") for frame in (today.accounts, linked.accounts)]
    assert kept[0].equals(kept[1])
    assert row(linked.houses, house="HKSCC")["saving"] == 0


# Sums.


@pytest.mark.parametrize("variant", variants(), ids=label)
def test_everything_adds_up(variant):
    result = evaluated(variant)
    columns = ("today", "requirement", "saving")
    for column in columns:
        in_all = total(result.houses, column)
        assert total(result.accounts, column) == total(result.participants, column) == in_all
        for keys in (["house"], ["participant", "house"]):
            parts = result.accounts.group_by(keys).agg(pl.col(column).sum()).sort(keys)
            whole = result.participants.group_by(keys).agg(pl.col(column).sum()).sort(keys)
            assert parts.equals(whole)
    assert result.today - result.requirement == result.saving == total(result.houses, "saving")
    for frame in (result.accounts, result.participants, result.houses):
        assert (frame["today"] - frame["requirement"]).to_list() == frame["saving"].to_list()
        assert (frame["requirement"] >= 0).all()
    steps = result.steps
    assert steps["step"][-1] == "requirement"
    assert sum(steps["amount"][:-1], Decimal(0)) == steps["amount"][-1] == result.requirement


@pytest.mark.parametrize("variant", variants(), ids=label)
def test_each_joint_account_adds_up(variant):
    result = evaluated(variant)
    for line in result.joint_accounts.iter_rows(named=True):
        for column in ("stand_alone", "left"):
            assert sum(line[f"{column}:{house}"] for house in HOUSES) == line[column]
            assert all(line[f"{column}:{house}"] >= 0 for house in HOUSES)
        assert line["stand_alone"] - line["left"] == line["saving"]
        for house in set(HOUSES) - set(line["houses"].split(" + ")):
            assert line[f"stand_alone:{house}"] == line[f"left:{house}"] == 0
        one = result.of(line["joint_account"])
        amounts = one.steps["amount"]
        assert sum(amounts[:-1], Decimal(0)) == amounts[-1] == called_of(result, line)
        assert one.breakdown.amount == int(called_of(result, line).scaleb(2))
        assert sum(part.amount for part in one.breakdown.parts) == one.breakdown.amount
        assert one.breakdown.binding == line["binding"]
    if variant.mode != "silo":
        assert len(result.joint_accounts) > 0
        with pytest.raises(InputError, match="joint account"):
            result.of("nobody")


@pytest.mark.parametrize("variant", variants(), ids=label)
def test_nobody_is_called_more_unless_the_programme_says_so(variant):
    result = evaluated(variant)
    groups = result.participants.group_by("group").agg(pl.col("today", "requirement").sum())
    if not variant.saving.allow_increase:
        assert (groups["requirement"] <= groups["today"]).all()
        assert (result.joint_accounts["saving"] >= 0).all()
        assert not result.risen["called"].any()
    alone = dict(result.joint_accounts.select("joint_account", "stand_alone").rows())
    asked = dict(result.joint_accounts.select("joint_account", "joint").rows())
    told = set(result.risen.filter(~pl.col("subject").str.starts_with("participant "))["subject"])
    assert told == {name for name, amount in asked.items() if amount > alone[name]}


@pytest.mark.parametrize("variant", variants(), ids=label)
def test_limits_hold(variant):
    saving = variant.saving
    for line in evaluated(variant).joint_accounts.iter_rows(named=True):
        assert line["share"] <= saving.cap + 1e-12
        if line["saving"] > 0:
            assert line["share"] >= saving.minimum - 1e-12
            assert (
                float(line["saving"]) <= saving.emir_share * float(line["stand_alone"] - line["joint"]) + 0.05
            )


# The same, however it is put.


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "silo"])
def test_permuting_houses_changes_nothing(houses, mode):
    expected = evaluate(programme(mode), houses)
    for order in permutations(HOUSES):
        found = evaluate(programme(mode, houses=order), houses)
        assert set(found.joint_accounts.columns) == set(expected.joint_accounts.columns)
        for name in FRAMES:
            frame = getattr(expected, name)
            assert getattr(found, name).select(frame.columns).equals(frame), (order, name)


@pytest.mark.parametrize("mode", MODES)
def test_permuting_accounts_changes_nothing(houses, mode):
    given = sample()
    order = np.random.default_rng(3).permutation(len(given)).tolist()
    found = evaluate(programme(mode), houses_of(*(given[place] for place in order)))
    expected = evaluate(programme(mode), houses)
    assert all(getattr(found, name).equals(getattr(expected, name)) for name in FRAMES)


@pytest.mark.parametrize("mode", MODES)
def test_renaming_accounts_permutes_the_result(houses, mode):
    """Names decide the order of accounts, and to whom of equals an odd cent goes; nothing else."""
    renamed = [
        replace(one, name=f"{place:02}", owner=f"{99 - place:02} {one.owner}")
        for place, one in enumerate(reversed(sample()))
    ]
    owners = {one.owner.split(" ")[1]: one.owner for one in renamed}
    mine = houses_of(*(replace(one, owner=owners[one.owner.split(" ")[1]]) for one in renamed))
    amounts = ["houses", "stand_alone", "joint", "left", "saving", "binding"]
    frames = []
    for found in (evaluate(programme(mode), mine), evaluate(programme(mode), houses)):
        joint = found.joint_accounts.filter(~pl.col("owner").str.contains("clients"))
        joint = joint.with_columns(pl.col("owner").str.split(" ").list.last())
        frames.append((joint.select("owner", *amounts).sort("owner"), found.houses))
    assert frames[0][0].equals(frames[1][0])
    assert frames[0][1].equals(frames[1][1])


@pytest.mark.parametrize("mode", MODES)
def test_splitting_a_line_and_adding_a_line_of_nothing_change_nothing(houses, mode):
    extra = [
        ("arbitrage.HKCC", FUTURE, -35),
        ("arbitrage.HKCC", FUTURE, 35),
        ("arbitrage.HKSCC", LONE_STOCK, 0),
        ("outright.HKCC", SMALL_FUTURE, 0),
        ("clients.HKCC", FUTURE, 3),
        ("clients.HKCC", FUTURE, -3),
    ]
    found = evaluate(programme(mode), houses_of(*sample(), lines=extra))
    expected = evaluate(programme(mode), houses)
    assert all(getattr(found, name).equals(getattr(expected, name)) for name in FRAMES)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "silo"])
def test_identical_owners_have_identical_joint_accounts(mode):
    one = [cash("a", {FUND: 4_000_000}), futures("a", {FUTURE: -70})]
    two = [replace(account, owner="b") for account in one]
    result = evaluate(programme(mode), houses_of(*one, *two))
    lines = result.joint_accounts.drop("joint_account", "owner")
    assert len(lines) == 2
    assert lines[0].equals(lines[1])
    alone = evaluate(programme(mode), houses_of(*one)).joint_accounts.drop("joint_account", "owner")
    assert lines[0].equals(alone)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "silo"])
def test_a_book_twice_as_large_has_twice_the_margin(mode):
    """But for HKSCC's rounding of each position and of the participant's margin to whole HKD, and cents."""
    one = [cash("a", {FUND: 4_000_000, STOCK: 80_000}), futures("a", {FUTURE: -60, OTHER_FUTURE: 20})]
    lines = [
        evaluate(programme(mode), houses_of(*book)).joint_accounts.row(0, named=True)
        for book in (one, times(one, 2))
    ]
    for column in ("stand_alone", "left"):
        assert abs(lines[1][column] - 2 * lines[0][column]) < 10
    assert lines[0]["left"] > 1_000_000


@pytest.mark.parametrize("mode", ["two_pot_lesser", "one_pot_joint"])
def test_offsetting_books_save_the_cap_and_no_more(mode):
    """A fund against as much of its index: both models see next to nothing, and a fifth is left."""
    mine = houses_of(cash("a", {FUND: 10_000_000}), futures("a", {FUTURE: -200}))
    line = evaluate(programme(mode), mine).joint_accounts.row(0, named=True)
    assert line["joint"] < line["stand_alone"] / 10
    assert line["binding"] == "supervisory cap on the sum"
    assert abs(line["left"] * 5 - line["stand_alone"]) < Decimal("0.20")
    assert line["share"] <= 0.8
    freed = evaluate(programme(mode, saving=OPEN), mine).joint_accounts.row(0, named=True)
    assert freed["share"] > 0.9
    assert freed["binding"] != "supervisory cap on the sum"


def test_the_same_bytes_twice_and_on_one_thread():
    def everything():
        mine = replace(houses_of(*sample()), kept={}, joint_models={})
        results = [evaluate(variant, mine) for variant in variants()]
        explained = [one.of(one.joint_accounts["joint_account"][0]) for one in results[1:]]
        frames = [frame for one in results for frame in frames_of(one).values()]
        return frames + [
            frame for one in explained for frame in (one.steps, one.tail, one.correlations, one.positions)
        ]

    threads = numba.get_num_threads()
    first, again = everything(), everything()
    try:
        numba.set_num_threads(1)
        alone = everything()
    finally:
        numba.set_num_threads(threads)
    for other in (again, alone):
        assert len(first) == len(other)
        for one, two in zip(first, other, strict=True):
            assert one.write_ipc(None).getvalue() == two.write_ipc(None).getvalue()


def test_the_order_of_programmes_changes_nothing(houses):
    """Market risks are kept between programmes: what was asked for before does not decide what comes after."""
    kept = compare_on(replace(houses, kept={}), named()).results
    other = compare_on(replace(houses, kept={}), named()[::-1]).results[::-1]
    for one, two in zip(kept, other, strict=True):
        assert all(getattr(one, name).equals(getattr(two, name)) for name in FRAMES)


# What must be less, and what more.


def called_of(result, line):
    """What the houses call of the accounts of a joint account, what they keep outside it included."""
    return total(result.accounts.filter(joint_account=line["joint_account"]), "requirement")


def requirement(houses, mode, **choices):
    return evaluate(programme(mode, **choices), houses).joint_accounts["left"].to_numpy()


@pytest.mark.parametrize("mode", ["spread_credit", "two_pot_lesser", "one_pot_joint", "transfer_optimise"])
def test_tighter_limits_never_lower_a_requirement(houses, mode):
    free = requirement(houses, mode, saving=replace(OPEN, allow_increase=True))
    for tighter in (
        Saving(minimum=0.0, cap=0.3, allow_increase=True),
        Saving(minimum=0.0, cap=1.0, emir_share=0.8, allow_increase=True),
        Saving(minimum=0.8, cap=1.0, allow_increase=True),
        Saving(minimum=0.0, cap=0.0, allow_increase=True),
    ):
        tight = requirement(houses, mode, saving=tighter)
        assert (tight >= free).all()
        assert (tight > free).any()


def test_a_basis_charge_never_lowers_a_requirement(houses):
    amounts = [
        requirement(houses, "one_pot_joint", saving=OPEN, joint=Joint(basis_charge=charge))
        for charge in (0.0, 0.002, 0.02)
    ]
    assert (amounts[0] <= amounts[1]).all()
    assert (amounts[1] <= amounts[2]).all()
    assert amounts[0].sum() < amounts[1].sum() < amounts[2].sum()


@pytest.mark.parametrize("mode", ["spread_credit", "two_pot_lesser", "one_pot_joint", "merged_ccp"])
def test_joint_concentration_never_lowers_a_requirement(mode):
    large = houses_of(*times(sample(), 20))
    apart, together = (
        requirement(large, mode, saving=OPEN, joint=Joint(concentration=choice))
        for choice in ("per_house", "joint")
    )
    assert (together >= apart).all()


def test_the_lower_of_the_models_asks_no_more_than_the_higher(houses):
    low, high = (
        requirement(houses, "one_pot_joint", saving=OPEN, joint=Joint(combine=choice))
        for choice in ("min", "max")
    )
    assert (low <= high).all()
    assert (low < high).any()


def test_two_pots_save_no_more_than_either_model_finds(houses):
    frame = evaluate(programme("two_pot_lesser"), houses).joint_accounts
    found = frame.select(pl.max_horizontal(pl.min_horizontal("found:hkscc_var", "found:prime"), 0.0))
    assert (frame["share"] <= found.to_series() + 1e-9).all()
    assert frame["share"].max() > 0.5
    today = evaluate(programme("silo"), houses)
    assert evaluate(programme("two_pot_lesser"), houses).requirement < today.requirement


def test_a_higher_spread_charge_asks_more(houses):
    low, high = (
        requirement(houses, "spread_credit", matching=Matching(index_charge=a, far_charge=a, stock_charge=a))
        for a in (0.3, 0.6)
    )
    assert (low <= high).all()
    assert (low < high).sum() >= 4


def test_a_floor_of_attribution_is_kept(houses):
    for rule in ("pro_rata", "euler", "shapley"):
        chosen = programme("one_pot_joint", saving=OPEN, attribution=Attribution(rule=rule, floor=0.15))
        frame = evaluate(chosen, houses).joint_accounts
        for house in HOUSES:
            assert (frame[f"left:{house}"] * 100 >= frame[f"stand_alone:{house}"] * 15).all()


def test_rules_of_attribution_only_move_margin_between_houses(houses):
    found = [
        evaluate(programme("one_pot_joint", attribution=Attribution(rule=rule)), houses).joint_accounts
        for rule in ("pro_rata", "euler", "shapley")
    ]
    for other in found[1:]:
        assert other["left"].equals(found[0]["left"])
        assert not other["left:HKSCC"].equals(found[0]["left:HKSCC"])


def test_pro_rata_leaves_each_house_the_same_share(houses):
    frame = evaluate(programme("two_pot_lesser"), houses).joint_accounts
    for line in frame.filter(pl.col("saving") > 0).iter_rows(named=True):
        for house in line["houses"].split(" + "):
            left = 1 - line["share"]
            assert abs(float(line[f"left:{house}"]) - left * float(line[f"stand_alone:{house}"])) < 0.02


# HKSCC's net.


def net_pair():
    """One participant, long in one account and short in another: HKSCC asks next to nothing today."""
    return (
        cash("a", {FUND: 10_000_000}),
        futures("a", {FUTURE: -200}),
        cash("b", {FUND: -10_000_000}),
        futures("b", {FUTURE: 10}),
    )


def test_a_split_of_the_net_that_costs_more_is_not_called_and_is_told():
    mine = houses_of(*net_pair())
    called = evaluate(programme("two_pot_lesser", saving=Saving(cap=0.1, allow_increase=True)), mine)
    assert called.requirement > called.today
    assert row(called.risen, subject="participant P1")["called"]
    assert row(called.risen, subject="participant P1")["joint"] == called.requirement
    kept = evaluate(programme("two_pot_lesser", saving=Saving(cap=0.1)), mine)
    assert kept.requirement <= kept.today
    told = row(kept.risen, subject="participant P1")
    assert told["joint"] == called.requirement
    assert told["stand_alone"] == called.today
    assert not told["called"]
    assert "joining costs more than it saves" in set(kept.accounts["why_not"])


def test_a_group_that_would_pay_more_keeps_no_other_group_out():
    others = [replace(one, participant="P3", owner="c") for one in net_pair()[:2]]
    tight = programme("two_pot_lesser", saving=Saving(cap=0.1))
    alone = evaluate(tight, houses_of(*others))
    both = evaluate(tight, houses_of(*net_pair(), *others))
    assert alone.saving > 0
    assert row(both.joint_accounts, joint_account="c") == row(alone.joint_accounts, joint_account="c")
    assert total(both.participants.filter(group="G3"), "requirement") == alone.requirement
    assert both.risen["subject"].to_list() == ["participant P1"]


def test_positions_kept_in_the_net_have_its_parts():
    mine = houses_of(*net_pair())
    rules = Eligibility(hkscc_origin="participant")
    frame = evaluate(programme("two_pot_lesser", eligibility=rules), mine).joint_accounts
    net = int(mine.hkscc_risk_today.sum())
    assert sum(cents(frame["stand_alone:HKSCC"])) == net
    apart = evaluate(programme("two_pot_lesser", saving=Saving(allow_increase=True)), mine).joint_accounts
    assert sum(cents(apart["stand_alone:HKSCC"])) > net


def test_what_is_kept_out_of_a_joint_account_in_the_net_has_no_saving():
    """The part of an account that is not on the product list is not part of what is scaled."""
    mine = houses_of(cash("a", {FUND: 10_000_000, LONE_STOCK: 2_000_000}), futures("a", {FUTURE: -200}))
    rules = Eligibility(hkscc_origin="participant", without_instruments=(LONE_STOCK,))
    chosen = programme("two_pot_lesser", eligibility=rules)
    line = evaluate(chosen, mine).joint_accounts.row(0, named=True)
    net = mine.hkscc_risk_today.sum() / 100
    fund, stock = (
        houses_of(cash("a", held)).account_risk.sum() / 100
        for held in ({FUND: 10_000_000}, {LONE_STOCK: 2_000_000})
    )
    assert float(line["stand_alone:HKSCC"]) == pytest.approx(net * fund / (fund + stock), abs=0.02)


# Corners.


@pytest.mark.parametrize("variant", variants(), ids=label)
def test_accounts_that_net_to_nothing(variant):
    """An owner whose accounts at each house offset each other: each is margined today, and the caps hold for both."""
    mine = houses_of(
        cash("a", {FUND: 1000}, name="a1"),
        cash("a", {FUND: -1000}, name="a2"),
        futures("a", {FUTURE: 3}, name="a3"),
        futures("a", {FUTURE: -3}, name="a4"),
    )
    result = evaluate(variant, mine)
    if not variant.saving.allow_increase:
        assert result.requirement <= result.today
    for line in result.joint_accounts.iter_rows(named=True):
        assert result.of(line["joint_account"]).steps["amount"][-1] == called_of(result, line)
        assert line["stand_alone"] > 0
        assert line["left"] >= line["stand_alone"] * Decimal(str(1 - variant.saving.cap)) - Decimal("0.01")


@pytest.mark.parametrize("variant", variants(), ids=label)
def test_a_market_in_which_nobody_can_join(variant):
    mine = houses_of(futures("a", {FUTURE: 3}))
    result = evaluate(variant, mine)
    merged = variant.mode == "merged_ccp"  # which margins one house's positions by its own model too
    assert (result.saving != 0) == merged
    assert len(result.joint_accounts) == merged


@pytest.mark.parametrize("variant", variants(), ids=label)
def test_accounts_without_positions(variant):
    result = evaluate(variant, houses_of(cash("a", {}), futures("a", {}), options("a", {})))
    assert result.today == result.requirement == 0
    assert len(result.joint_accounts) == 0


@pytest.mark.parametrize("mode", ["one_pot_joint", "two_pot_lesser", "merged_ccp"])
@pytest.mark.parametrize("allow_increase", [False, True])
def test_one_liquidation_at_hkcc_and_seoch_has_nothing_at_hkscc(mode, allow_increase):
    """What one name at several houses costs falls on houses that are there."""
    mine = houses_of(
        futures("a", {FUTURE: 30_000}),
        options("a", {option("C", place=3): 400_000, option("P", place=3): -400_000}),
    )
    saving = Saving(minimum=0.0, cap=1.0, allow_increase=allow_increase)
    result = evaluate(programme(mode, saving=saving, joint=Joint(concentration="joint")), mine)
    line = result.joint_accounts.row(0, named=True)
    assert line["left:HKSCC"] == 0
    assert total(result.houses, "requirement") == total(result.accounts, "requirement")


def test_an_increase_that_is_not_called_is_not_said_to_be():
    """Two pots never raise a requirement, whatever the programme admits."""
    mine = houses_of(
        cash("a", {STOCK: 400_000, FUND: 10_000_000}),
        futures("a", {FUTURE: 100, OTHER_FUTURE: -300, FAR_FUTURE: -40}),
        options("a", {option("C", place=3): 900, option("P", place=5): -900}),
    )
    result = evaluate(programme("two_pot_lesser", saving=Saving(allow_increase=True)), mine)
    joint = result.joint_accounts
    raised = set(joint.filter(pl.col("saving") < 0)["joint_account"])
    said = result.risen.filter("called" if len(result.risen) else pl.lit(value=False))["subject"]
    assert set(said.filter(~said.str.starts_with("participant "))) == raised


def test_deep_options_that_no_house_margins_have_nothing_to_save():
    call = option("C", place=0)
    mine = houses_of(cash("a", {LONE_STOCK: 1}), options("a", {call: 1}))
    result = evaluate(programme("one_pot_joint", saving=Saving(allow_increase=True)), mine)
    assert total(result.houses, "requirement") == total(result.accounts, "requirement")


def test_a_joint_margin_above_the_sum_is_called_where_admitted(houses):
    chosen = [
        programme("merged_ccp", saving=Saving(minimum=0.0, cap=1.0, allow_increase=allowed))
        for allowed in (False, True)
    ]
    kept, called = (evaluate(one, houses) for one in chosen)
    higher = called.joint_accounts.filter(binding="joint margin is higher")
    assert len(higher) > 0
    assert (higher["left"] == higher["joint"]).all()
    assert (higher["saving"] < 0).all()
    assert set(higher["joint_account"]) <= set(called.risen.filter("called")["subject"])
    same = kept.joint_accounts.filter(pl.col("joint_account").is_in(higher["joint_account"].implode()))
    assert set(same["binding"]) == {"no worse off"}
    assert (same["left"] == same["stand_alone"]).all()
    assert set(same["joint_account"]) <= set(kept.risen.filter(~pl.col("called"))["subject"])


def test_the_designs_that_ship_run_and_each_step_saves_more(houses):
    results = compare_on(houses, designs()).results
    assert results[0].requirement == results[0].today
    amounts = [one.requirement for one in results[:4]]
    assert amounts == sorted(amounts, reverse=True)
    assert len(set(amounts)) == 4
    for one in results:
        assert one.provenance.legal_status == one.programme.status
        assert dict(one.provenance.settings)["mode"] == one.programme.mode


def test_positions_in_what_has_no_mark_are_refused_with_the_reason():
    houses = base_houses()
    held = pl.DataFrame({"account": ["a"], "instrument": ["nothing"], "quantity": [1]})
    with pytest.raises(InputError, match="an instrument with a mark"):
        clearing_accounts(houses.market, houses.snapshot, held)


def test_large_books_are_what_they_were_times(houses):
    """The sample book's factor is one of scale only: HKSCC's credit hides a small book's requirement."""
    small = houses_of(*[replace(a, held={k: q // LARGE for k, q in a.held.items()}) for a in sample()])
    assert row(evaluate(programme("silo"), small).houses, house="HKSCC")["today"] == 0
    assert row(evaluate(programme("silo"), houses).houses, house="HKSCC")["today"] > 0


# Examples.


def day_of(market):
    return market["prices"]["date"].max()


def test_the_example_of_a_fund_against_futures():
    market = base_market()
    made = etf_futures(market, day_of(market), amount=400e6)
    held = dict(made["positions"].select("instrument", "quantity").rows())
    marks = dict(base_houses().snapshot.instruments.select("instrument", "mark").rows())
    assert held[FUND] * marks[FUND] == pytest.approx(400e6, rel=1e-6)
    assert -held[FUTURE] * 50 * marks[FUTURE] == pytest.approx(400e6, rel=2e-3)
    result = compare(made, [programme("two_pot_lesser")], day_of(market)).results[0]
    assert result.joint_accounts["binding"].to_list() == ["supervisory cap on the sum"]
    assert result.joint_accounts["owner"].to_list() == ["the desk"]
    assert 0.7 < result.share < 1
    other = etf_futures(market, day_of(market), index="HHI")["positions"]["instrument"]
    assert set(other) == {"2828", OTHER_FUTURE}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        *(({"amount": amount}, "amount") for amount in (float("nan"), float("inf"), -1e7, 0.0, 1.0, 1e300)),
        ({"index": "none"}, "market"),
        ({"fund": "none"}, "market"),
        ({"index": "HHI", "fund": FUND}, "market"),
    ],
)
def test_examples_that_cannot_be_made(changes, field):
    market = base_market()
    with pytest.raises(InputError) as error:
        etf_futures(market, day_of(market), **changes)
    assert [one.field for one in error.value.records] == [field]


def test_a_book_of_what_the_market_lacks():
    with pytest.raises(InputError) as error:
        book_market(base_market(), {"none": 1, FUND: 2, "neither": 3}, name="x")
    assert [one.value for one in error.value.records] == ["neither", "none"]


# A house's file is missing.


@pytest.mark.parametrize("absent", HOUSES)
@pytest.mark.parametrize("variant", variants()[1::3], ids=label)
def test_everything_adds_up_without_a_house(variant, absent):
    for policy in ("last_good", "zero", "silo"):
        chosen = replace(variant, counterpart_missing=policy)
        result = evaluate(chosen, sample_houses(), missing=(absent,), last_good=evaluated(variant))
        for column in ("today", "requirement"):
            whole = total(result.houses, column)
            assert total(result.accounts, column) == total(result.participants, column) == whole
        assert row(result.houses, house=absent)["today"] == 0
        assert row(result.houses, house=absent)["requirement"] == 0
        assert sum(result.steps["amount"][:-1], Decimal(0)) == result.requirement
        for line in result.joint_accounts.filter(joint_account="three").iter_rows(named=True):
            amounts = result.of(line["joint_account"]).steps["amount"]
            assert sum(amounts[:-1], Decimal(0)) == amounts[-1] == called_of(result, line)
        if not variant.saving.allow_increase:
            groups = result.participants.group_by("group").agg(pl.col("today", "requirement").sum())
            assert (groups["requirement"] <= groups["today"]).all()


def test_what_a_missing_file_leaves_of_the_saving(houses):
    full = evaluate(programme("two_pot_lesser"), houses)
    kept, zero, silo = (
        evaluate(
            programme("two_pot_lesser", counterpart_missing=policy),
            houses,
            missing=("SEOCH",),
            last_good=full,
        )
        for policy in ("last_good", "zero", "silo")
    )
    shares = dict(full.joint_accounts.select("joint_account", "share").rows())
    found = {name: row(kept.joint_accounts, joint_account=name) for name in ("cover", "three")}
    for name, line in found.items():
        assert line["share"] == pytest.approx(shares[name], abs=1e-9)
        assert line["binding"] == "another house's file is missing"
        assert row(zero.joint_accounts, joint_account=name)["saving"] == 0
        assert name not in silo.joint_accounts["joint_account"]
    for result in (kept, zero, silo):
        columns = ["stand_alone", "joint", "left", "saving", "binding"]
        same = [
            one.joint_accounts.filter(joint_account="arbitrage").select(columns) for one in (full, result)
        ]
        assert same[0].equals(same[1])
    assert kept.requirement < zero.requirement <= silo.requirement
    assert "another house's file is missing: as today" in set(silo.accounts["why_not"])


def test_a_missing_house_that_is_none(houses):
    with pytest.raises(InputError, match="NYSE"):
        evaluate(programme("silo"), houses, missing=("NYSE",))


@pytest.mark.parametrize("shares", [200_000, 600_000, 1_000_000, 1_400_000, 1_800_000, 2_400_000, 4_000_000])
def test_a_group_keeps_its_shares_in_the_net_where_that_is_called_least(shares):
    """Long in one account, short in another: taken out of the net they cost more, the more there are."""
    call = option("C", place=3)
    mine = houses_of(
        cash("a", {STOCK: shares}),
        cash("b", {STOCK: -shares}),
        options("a", {call: -shares // 500}),
        futures("d", {FUTURE: 300}),
        options("d", {call: -4000}),
    )
    three = evaluate(programme("two_pot_lesser"), mine)
    without = evaluate(programme("two_pot_lesser", houses=("HKCC", "SEOCH")), mine)
    assert three.requirement <= min(without.requirement, three.today)
