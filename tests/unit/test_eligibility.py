"""Who joins whom: every switch, every reason, and no saving where a switch keeps an account out."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from programme_market import (
    FAR_FUTURE,
    FUND,
    FUTURE,
    LONE_STOCK,
    OTHER_FUND,
    STOCK,
    cash,
    futures,
    houses_of,
    option,
    options,
    programme,
    sample,
    sample_houses,
)

from crossmargin.models.market import HOUSES
from crossmargin.programmes.eligibility import HOUSE_COUNT, joint_accounts
from crossmargin.programmes.evaluate import evaluate
from crossmargin.programmes.programme import MODES, Eligibility, Saving

JOINING = [mode for mode in MODES if mode not in {"silo", "merged_ccp"}]
OPEN = Saving(minimum=0.0, cap=1.0, allow_increase=True)


@pytest.fixture(scope="module")
def houses():
    return sample_houses()


def hedge(owner="a", **terms):
    return cash(owner, {FUND: 4_000_000}, **terms), futures(owner, {FUTURE: -80}, **terms)


def joined(houses, chosen):
    return joint_accounts(chosen, houses.accounts, houses.snapshot, houses.can_margin(chosen))


def reasons(result):
    return dict(result.accounts.select("account", "why_not").rows())


def linked(result):
    return dict(result.accounts.select("account", "joint_account").rows())


def held_of(houses, books):
    """Positions of books by name: book, instrument, quantity."""
    names = houses.snapshot.instruments["instrument"].gather(books.rows)
    return list(zip(books.book.tolist(), names, books.quantities.tolist(), strict=True))


# One switch at a time.


@pytest.mark.parametrize("mode", JOINING)
def test_no_saving_across_owners(mode):
    apart = houses_of(hedge("a")[0], hedge("b")[1])
    result = evaluate(programme(mode), apart)
    assert result.saving == 0
    assert set(reasons(result).values()) == {"nothing to join it with at another house"}
    together = evaluate(programme(mode, eligibility=Eligibility(same_owner=False)), apart)
    assert together.saving > 0
    assert together.joint_accounts["joint_account"].to_list() == ["G1"]
    assert together.joint_accounts["owner"].to_list() == ["a + b"]


@pytest.mark.parametrize("mode", [*JOINING, "merged_ccp"])
def test_no_saving_for_one_owner_at_two_groups(mode):
    """A client of two brokers has two brokers: nobody calls both."""
    fund, future = hedge("a")
    apart = houses_of(fund, replace(future, participant="P3"))
    result = evaluate(programme(mode, saving=Saving(minimum=0.0, cap=1.0)), apart)
    assert (result.joint_accounts["houses"].str.contains("+", literal=True)).sum() == 0
    if mode != "merged_ccp":
        assert result.saving == 0
    assert evaluate(programme(mode), houses_of(*hedge("a"))).saving > 0


def test_owners_of_one_name_at_two_groups_are_told_apart():
    here = [replace(one, name=f"1{one.house}") for one in hedge("a")]
    there = [replace(one, name=f"3{one.house}", participant="P3") for one in hedge("a")]
    result = evaluate(programme("two_pot_lesser"), houses_of(*here, *there))
    assert result.joint_accounts["joint_account"].to_list() == ["G1.a", "G3.a"]
    assert result.joint_accounts["participant"].to_list() == ["P1", "P3"]


def test_participants_of_one_group_join():
    fund, future = hedge("a")
    result = evaluate(programme("two_pot_lesser"), houses_of(fund, replace(future, participant="P2")))
    assert result.saving > 0
    assert result.joint_accounts["participant"].to_list() == ["P1 + P2"]


@pytest.mark.parametrize("mode", JOINING)
@pytest.mark.parametrize("at", [0, 1])
def test_no_saving_without_consent(mode, at):
    accounts = list(hedge("a"))
    accounts[at] = replace(accounts[at], consent=0)
    mine = houses_of(*accounts)
    result = evaluate(programme(mode), mine)
    assert result.saving == 0
    assert reasons(result)[accounts[at].account] == "the owner has not agreed"
    assert reasons(result)[accounts[1 - at].account] == "nothing to join it with at another house"
    assert evaluate(programme(mode, eligibility=Eligibility(consent=False)), mine).saving > 0


@pytest.mark.parametrize("mode", JOINING)
@pytest.mark.parametrize("kind", ["house", "omnibus", "individual", "market-maker", "offset-claim"])
def test_account_types(mode, kind):
    """Which types join is a switch; the switch lets types join each other, not only themselves."""
    fund, future = hedge("a")
    mine = houses_of(fund, replace(future, type=kind))
    allowed = kind in Eligibility().account_types
    result = evaluate(programme(mode), mine)
    assert (result.saving > 0) == allowed
    why = reasons(result)["a.HKCC"]
    assert why == ("" if allowed else "an account type that may not join")
    only = Eligibility(account_types=("house", kind) if kind != "house" else ("house",))
    assert evaluate(programme(mode, eligibility=only), mine).saving > 0
    if kind != "house":
        barred = evaluate(programme(mode, eligibility=Eligibility(account_types=("house",))), mine)
        assert barred.saving == 0
        assert reasons(barred)["a.HKCC"] == "an account type that may not join"


@pytest.mark.parametrize("mode", [*JOINING, "merged_ccp"])
def test_no_saving_between_clients_of_a_gross_account(mode):
    """Whatever a switch says, and with all types and no consent asked for."""
    everyone = Eligibility(account_types=("house", "omnibus"), consent=False)
    fund, future = hedge("a")
    mine = houses_of(fund, replace(future, type="omnibus", basis="gross"))
    result = evaluate(programme(mode, eligibility=everyone, saving=OPEN), mine)
    line = result.joint_accounts.filter(pl.col("houses").str.contains("+", literal=True))
    assert len(line) == 0
    if mode == "merged_ccp":
        assert linked(result) == {"a.HKCC": "a.HKCC", "a.HKSCC": None}
        assert reasons(result)["a.HKSCC"] == "shares alone stay in the participant's net"
    else:
        assert result.saving == 0
        assert reasons(result)["a.HKCC"] == "gross basis: clients' positions do not offset"


def test_a_gross_account_of_a_merged_house_has_each_position_by_itself():
    """Long one future and short the next: margined as two, with and without the merger."""
    book = {FUTURE: 30, FAR_FUTURE: -30}
    terms = {"type": "omnibus", "basis": "gross", "consent": 0}
    both, long, short = (
        houses_of(futures("c", held, **terms)) for held in (book, {FUTURE: 30}, {FAR_FUTURE: -30})
    )
    asked = [
        evaluate(programme("merged_ccp", saving=OPEN), one).joint_accounts["joint"][0]
        for one in (both, long, short)
    ]
    assert asked[0] == asked[1] + asked[2]
    netted = houses_of(futures("c", book))
    assert evaluate(programme("merged_ccp", saving=OPEN), netted).joint_accounts["joint"][0] < asked[0] / 10


def test_names_of_owners_groups_and_gross_accounts_do_not_meet():
    """An omnibus account may be called what an owner is: they are not one owner for that."""
    client = futures("x", {FUTURE: 50}, name="a", type="omnibus", basis="gross", consent=0)
    mine = houses_of(*hedge("a"), client)
    result = evaluate(programme("merged_ccp", saving=OPEN), mine)
    alone = evaluate(programme("merged_ccp", saving=OPEN), houses_of(*hedge("a")))
    assert len(result.joint_accounts) == 2
    assert result.joint_accounts["joint_account"].n_unique() == 2
    hedged = result.joint_accounts.filter(houses="HKSCC + HKCC")
    columns = ["stand_alone", "joint", "left", "saving"]
    assert hedged.select(columns).equals(alone.joint_accounts.select(columns))


def test_an_owner_may_be_named_as_another_with_its_group():
    here = [replace(one, name=f"1{one.house}") for one in hedge("a")]
    there = [replace(one, name=f"3{one.house}", participant="P3") for one in hedge("a")]
    third = [replace(one, name=f"5{one.house}", owner="G1.a") for one in hedge("a")]
    result = evaluate(programme("two_pot_lesser"), houses_of(*here, *there, *third))
    assert len(result.joint_accounts) == 3
    assert result.joint_accounts["joint_account"].n_unique() == 3


@pytest.mark.parametrize("mode", JOINING)
@pytest.mark.parametrize(
    ("rules", "saves"),
    [
        (Eligibility(without_instruments=(FUTURE,)), False),
        (Eligibility(without_instruments=(FAR_FUTURE,)), True),
        (Eligibility(without_instruments=(FUND,)), False),
        (Eligibility(kinds=("equity", "future")), False),
        (Eligibility(kinds=("etf", "future")), True),
        (Eligibility(underlyings=("HSI",)), False),
        (Eligibility(underlyings=("HSI", FUND)), True),
        (Eligibility(underlyings=("HHI",)), False),
    ],
)
def test_the_product_list(mode, rules, saves):
    mine = houses_of(*hedge())
    result = evaluate(programme(mode, eligibility=rules), mine)
    assert (result.saving > 0) == saves
    if not saves:
        assert len(result.joint_accounts) == 0
        assert "no eligible position" in reasons(result).values()


def test_what_is_not_on_the_list_stays_outside_with_its_own_margin():
    """A share beside the hedge is margined as it would be alone; the hedge saves what it saves alone."""
    whole = houses_of(
        cash("a", {FUND: 4_000_000, LONE_STOCK: 600_000}), futures("a", {FUTURE: -80, FAR_FUTURE: 30})
    )
    rules = Eligibility(without_instruments=(LONE_STOCK, FAR_FUTURE))
    chosen = programme("two_pot_lesser", eligibility=rules, saving=OPEN)
    joint = joined(whole, chosen)
    legs = held_of(whole, joint.legs)
    assert legs == [(0, FUND, 4_000_000), (1, FUTURE, -80)]
    assert held_of(whole, joint.rest) == [(0, FAR_FUTURE, 30), (1, LONE_STOCK, 600_000)]
    columns = ["stand_alone", "joint", "left", "saving"]
    alone = evaluate(programme("two_pot_lesser", saving=OPEN), houses_of(*hedge())).joint_accounts
    found = evaluate(chosen, whole)
    assert found.joint_accounts.select(columns).equals(alone.select(columns))
    outside = evaluate(programme("silo"), houses_of(futures("a", {FAR_FUTURE: 30}))).requirement
    line = found.joint_accounts.row(0, named=True)
    assert found.houses["requirement"][1] == outside + line["left:HKCC"]


@pytest.mark.parametrize("mode", JOINING)
def test_no_saving_across_houses_without_an_opinion(mode):
    mine = houses_of(*hedge())
    barred = Eligibility(without_opinion=("HKSCC-HKCC",))
    result = evaluate(programme(mode, eligibility=barred), mine)
    assert result.saving == 0
    assert "no netting opinion between the houses" in reasons(result).values()
    other = Eligibility(without_opinion=("HKSCC-SEOCH", "HKCC-SEOCH"))
    assert evaluate(programme(mode, eligibility=other), mine).saving > 0


def test_without_an_opinion_the_houses_with_the_largest_margins_join(houses):
    """Of three legs, the pair with an opinion and most margin."""
    for pairs, kept in (
        (("HKSCC-HKCC",), {"HKSCC + SEOCH", "HKCC + SEOCH"}),
        (("HKSCC-HKCC", "HKSCC-SEOCH"), {"HKCC + SEOCH"}),
        (("HKSCC-HKCC", "HKCC-SEOCH"), {"HKSCC + SEOCH"}),
    ):
        chosen = programme("two_pot_lesser", eligibility=Eligibility(without_opinion=pairs), saving=OPEN)
        result = evaluate(chosen, houses)
        line = result.joint_accounts.filter(joint_account="three").row(0, named=True)
        assert line["houses"] in kept
        free = evaluate(programme("two_pot_lesser", saving=OPEN), houses)
        legs = free.joint_accounts.filter(joint_account="three").row(0, named=True)
        sizes = {names: sum(legs[f"stand_alone:{house}"] for house in names.split(" + ")) for names in kept}
        assert line["houses"] == max(sizes, key=sizes.__getitem__)
        for pair in pairs:
            one, other = pair.split("-")
            assert not any(one in text and other in text for text in result.joint_accounts["houses"])


def test_no_opinion_between_any_houses_is_silo(houses):
    pairs = ("HKSCC-HKCC", "HKSCC-SEOCH", "HKCC-SEOCH")
    result = evaluate(programme("two_pot_lesser", eligibility=Eligibility(without_opinion=pairs)), houses)
    assert len(result.joint_accounts) == 0
    assert result.saving == 0


def test_a_house_that_takes_no_part(houses):
    result = evaluate(programme("two_pot_lesser", houses=("HKSCC", "SEOCH")), houses)
    why = reasons(result)
    assert {why[name] for name in why if name.endswith("HKCC")} == {"its house takes no part"}
    assert result.houses.filter(house="HKCC")["saving"].to_list() == [Decimal(0)]
    assert result.saving > 0


def test_every_reason_appears():
    """In one programme or another; where there is none, the account is in a joint account, and else in none."""
    given = (
        programme("silo"),
        programme("two_pot_lesser"),
        programme("two_pot_lesser", houses=("HKCC", "SEOCH")),
        programme("two_pot_lesser", eligibility=Eligibility(account_types=("house", "omnibus"))),
        programme("two_pot_lesser", eligibility=Eligibility(underlyings=("HSI", FUND))),
        programme("two_pot_lesser", eligibility=Eligibility(without_opinion=("HKSCC-HKCC",))),
        programme("two_pot_lesser", saving=Saving(cap=0.0)),
        programme("merged_ccp"),
    )
    # two accounts at HKSCC that net each other today: taken apart, they cost more than a cap of 0 saves
    netted = houses_of(*sample(), cash("arbitrage", {FUND: -9_000_000}, name="z", participant="P2"))
    found = set()
    for chosen in given:
        result = evaluate(chosen, netted)
        why = result.accounts["why_not"]
        assert ((why == "") == result.accounts["joint_account"].is_not_null()).all()
        found |= set(why)
    assert found == {
        "",
        "each house alone",
        "its house takes no part",
        "the owner has not agreed",
        "an account type that may not join",
        "gross basis: clients' positions do not offset",
        "no eligible position",
        "nothing to join it with at another house",
        "no netting opinion between the houses",
        "shares alone stay in the participant's net",
        "joining costs more than it saves",
    }


# What joint accounts are made of.


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rules", [Eligibility(), Eligibility(same_owner=False, consent=False)])
def test_positions_are_either_in_a_leg_or_outside(houses, mode, rules):
    chosen = programme(mode, eligibility=rules)
    joint = joined(houses, chosen)
    apart = held_of(houses, joint.legs) + held_of(houses, joint.rest)
    totals = [
        pl.DataFrame(held, schema=["book", "name", "quantity"], orient="row")
        .group_by("name")
        .agg(pl.col("quantity").sum())
        .filter(pl.col("quantity") != 0)
        .sort("name")
        for held in (apart, held_of(houses, houses.accounts.books))
    ]
    assert totals[0].equals(totals[1])
    assert len(totals[0]) > 5
    house = houses.snapshot.instruments["house"].to_list()
    for row, book in zip(joint.legs.rows.tolist(), joint.legs.book.tolist(), strict=True):
        assert HOUSES[book % HOUSE_COUNT] == house[row]
    assert joint.legs.count == joint.count * HOUSE_COUNT
    assert joint.union.count == joint.count
    assert [why == "" for why in joint.why_not] == (joint.of_account >= 0).tolist()


def test_two_accounts_of_one_owner_at_one_house_are_margined_apart_today():
    """What they net in the joint account is a saving like any other: within the cap, and told."""
    fund, future = hedge()
    mine = houses_of(
        fund,
        replace(future, held={FUTURE: -100}),
        replace(future, held={FUTURE: 20}, name="second", type="market-maker"),
    )
    line = evaluate(programme("two_pot_lesser", saving=OPEN), mine).joint_accounts.row(0, named=True)
    alone = [
        evaluate(programme("silo"), houses_of(futures("a", {FUTURE: quantity}))).today
        for quantity in (100, 20)
    ]
    assert line["stand_alone:HKCC"] == sum(alone)
    one = evaluate(programme("two_pot_lesser", saving=OPEN), houses_of(fund, future)).joint_accounts
    assert line["stand_alone"] > one["stand_alone"][0]
    capped = evaluate(programme("two_pot_lesser", saving=Saving(cap=0.0)), mine)
    assert capped.saving == 0


def test_accounts_that_net_at_one_house_save_nothing_without_margin_at_another():
    mine = houses_of(
        futures("a", {FUTURE: -200}),
        futures("a", {FUTURE: 200}, name="second", type="market-maker"),
        options("a", {option("P"): 1}),
    )
    result = evaluate(programme("two_pot_lesser", saving=Saving(cap=0.1)), mine)
    assert result.saving <= result.today / 10


def test_refused_accounts_stay_out_with_the_reason_given():
    mine = houses_of(*hedge(), options("a", {option("P"): -100}), cash("b", {OTHER_FUND: 5, STOCK: 1}))
    chosen = programme("two_pot_lesser")
    refused = ["kept out", "", "", ""]
    joint = joint_accounts(chosen, mine.accounts, mine.snapshot, mine.can_margin(chosen), refused)
    names = mine.accounts.table["account"].to_list()
    assert dict(zip(names, joint.why_not, strict=True)) == {
        "a.HKCC": "kept out",
        "a.HKSCC": "",
        "a.SEOCH": "",
        "b.HKSCC": "nothing to join it with at another house",
    }
    assert joint.has_leg.tolist() == [[True, False, True]]


def test_an_instrument_that_no_model_can_margin_stays_outside():
    mine = houses_of(*hedge())
    able = np.ones(len(mine.snapshot.instruments), bool)
    able[mine.snapshot.instruments["instrument"].to_list().index(FUTURE)] = False
    joint = joint_accounts(programme("one_pot_joint"), mine.accounts, mine.snapshot, able)
    assert joint.count == 0
    assert joint.why_not == ("no eligible position", "nothing to join it with at another house")
    assert held_of(mine, joint.rest) == [(0, FUTURE, -80), (1, FUND, 4_000_000)]
