"""Programmes on random books: what must hold whatever is held, whoever owns it and however it is designed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import combinations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from programme_market import (
    FAR_FUTURE,
    FRAMES,
    FUND,
    FUTURE,
    LONE_STOCK,
    OTHER_FUND,
    OTHER_FUTURE,
    SMALL_FUTURE,
    STOCK,
    Account,
    houses_of,
    option,
    programme,
)

from crossmargin.models.market import HOUSES
from crossmargin.programmes.evaluate import evaluate
from crossmargin.programmes.programme import (
    ATTRIBUTIONS,
    MODELS,
    MODES,
    Attribution,
    Eligibility,
    Joint,
    Matching,
    Saving,
)
from crossmargin.programmes.what_if import programme_what_if

EXAMPLES = settings(max_examples=25)


def listed():
    """What is traded at each house, and how much of it is about a million."""
    index, stock = (
        [option(right, "HSI", place=4) for right in "CP"],
        [option(right, place=4) for right in "CP"],
    )
    return {
        "HKSCC": {FUND: 50_000, OTHER_FUND: 13_000, STOCK: 8_000, LONE_STOCK: 15_000},
        "HKCC": {FUTURE: 1, FAR_FUTURE: 1, SMALL_FUTURE: 5, OTHER_FUTURE: 3, **dict.fromkeys(index, 2)},
        "SEOCH": dict.fromkeys(stock, 20),
    }


@st.composite
def accounts(draw, *, least=2, most=7):
    """Accounts of a few owners, some gross, some unwilling, some empty."""
    made = []
    for number in range(draw(st.integers(least, most))):
        house = draw(st.sampled_from(HOUSES))
        size = draw(st.sampled_from([1, 20, 300]))
        held = {
            name: draw(st.integers(-9, 9)) * unit * size
            for name, unit in draw(
                st.dictionaries(st.sampled_from(sorted(listed()[house])), st.just(1), max_size=3).map(
                    lambda chosen, house=house: {name: listed()[house][name] for name in chosen}
                )
            ).items()
        }
        gross = draw(st.integers(0, 9)) == 0
        made.append(
            Account(
                owner=draw(st.sampled_from(["a", "b"])),
                house=house,
                held={name: quantity for name, quantity in held.items() if quantity},
                participant=draw(st.sampled_from(["P1", "P1", "P2", "P3"])),
                type="omnibus" if gross else draw(st.sampled_from(["house", "house", "individual"])),
                basis="gross" if gross else "net",
                consent=draw(st.sampled_from([1, 1, 1, 0])),
                name=f"{number:02}",
            )
        )
    return tuple(made)


fractions = st.sampled_from([0.0, 0.01, 0.2, 0.5, 0.8, 1.0])


@st.composite
def programmes(draw, modes=MODES):
    houses = draw(st.sampled_from([HOUSES, HOUSES, HOUSES, *combinations(HOUSES, 2)]))
    own = {"HKSCC": "hkscc_var", "HKCC": "prime", "SEOCH": "prime"}
    chosen = [draw(st.sampled_from([own[house]] * 6 + [*MODELS])) for house in houses]
    pairs = ["-".join(pair) for pair in combinations(HOUSES, 2)]
    return programme(
        draw(st.sampled_from(modes)),
        houses=houses,
        models=draw(st.sampled_from([(), tuple(chosen)])),
        eligibility=Eligibility(
            without_instruments=draw(st.sampled_from([(), (), (STOCK,), (FAR_FUTURE, FUND)])),
            same_owner=draw(st.booleans()),
            consent=draw(st.booleans()),
            without_opinion=draw(st.sampled_from([(), (), *((pair,) for pair in pairs), tuple(pairs[:2])])),
            hkscc_origin=draw(st.sampled_from(["split", "participant"])),
        ),
        saving=Saving(
            minimum=draw(fractions) / 10,
            cap=draw(fractions),
            emir_share=draw(fractions),
            allow_increase=draw(st.booleans()),
        ),
        joint=Joint(
            combine=draw(st.sampled_from(["joint", "joint", "min", "max"])),
            horizon=draw(st.sampled_from(["max", "max", "square root", "per_house"])),
            concentration=draw(st.sampled_from(["per_house", "joint"])),
            basis_charge=draw(st.sampled_from([0.0, 0.002, 0.1])),
        ),
        attribution=Attribution(rule=draw(st.sampled_from(ATTRIBUTIONS)), floor=draw(fractions) / 2),
        matching=Matching(index_charge=draw(fractions), minimum_coverage=draw(st.sampled_from([0.5, 1.0]))),
    )


def check_sums(result):
    for column in ("today", "requirement", "saving"):
        whole = sum(result.houses[column], Decimal(0))
        for frame in (result.accounts, result.participants):
            assert sum(frame[column], Decimal(0)) == whole
    for frame in (result.accounts, result.participants, result.houses):
        assert (frame["today"] - frame["requirement"]).equals(frame["saving"])
        assert (frame["requirement"] >= 0).all()
    assert sum(result.steps["amount"][:-1], Decimal(0)) == result.steps["amount"][-1] == result.requirement


def called_of(result, line):
    mine = result.accounts.filter(joint_account=line["joint_account"])
    return sum(mine["requirement"], Decimal(0))


def check_joint_accounts(result):
    saving = result.programme.saving
    for line in result.joint_accounts.iter_rows(named=True):
        for column in ("stand_alone", "left"):
            assert sum(line[f"{column}:{house}"] for house in HOUSES) == line[column]
        for house in HOUSES:
            assert line[f"left:{house}"] >= 0
            if house not in line["houses"].split(" + "):
                assert line[f"stand_alone:{house}"] == line[f"left:{house}"] == 0
        assert line["saving"] >= 0 or saving.allow_increase
        assert line["share"] <= saving.cap + 1e-12
        explained = result.of(line["joint_account"])
        assert sum(explained.steps["amount"][:-1], Decimal(0)) == explained.steps["amount"][-1]
        assert explained.steps["amount"][-1] == called_of(result, line)
        assert sum(part.amount for part in explained.breakdown.parts) == explained.breakdown.amount


def check_groups(result):
    groups = result.participants.group_by("participant").agg(pl.col("today", "requirement").sum())
    if not result.programme.saving.allow_increase:
        assert (groups["requirement"] <= groups["today"]).all()
        assert not result.risen["called"].any()
    inside = result.accounts["joint_account"].is_not_null()
    assert ((result.accounts["why_not"] == "") == inside).all()


@EXAMPLES
@given(accounts(), programmes())
def test_what_always_holds(held, chosen):
    houses = houses_of(*held)
    result = evaluate(chosen, houses)
    check_sums(result)
    check_joint_accounts(result)
    check_groups(result)
    silo = evaluate(programme("silo"), houses)
    assert silo.saving == 0
    assert silo.requirement == result.today
    outside = result.accounts.filter(pl.col("joint_account").is_null() & (pl.col("house") != "HKSCC"))
    assert (outside["saving"] == 0).all()


@EXAMPLES
@given(accounts(), programmes(), st.randoms(use_true_random=False))
def test_what_never_matters(held, chosen, random):
    """The order of accounts and houses, lines split in two, and lines of nothing."""
    houses = houses_of(*held)
    expected = evaluate(chosen, houses)
    shuffled = random.sample(held, len(held))
    lines = [
        line
        for one in held
        for name in one.held
        for line in ((one.account, name, 7), (one.account, name, 0), (one.account, name, -7))
    ]
    found = evaluate(chosen, houses_of(*shuffled, lines=lines))
    for name in FRAMES:
        assert getattr(found, name).equals(getattr(expected, name)), name
    order = random.sample(range(len(chosen.houses)), len(chosen.houses))
    permuted = replace(
        chosen,
        houses=tuple(chosen.houses[place] for place in order),
        models=tuple(chosen.models[place] for place in order) if chosen.models else (),
    )
    found = evaluate(permuted, houses)
    for name in FRAMES:
        frame = getattr(expected, name)
        assert getattr(found, name).select(frame.columns).equals(frame), name


@EXAMPLES
@given(
    accounts(),
    programmes([mode for mode in MODES if mode not in {"silo", "merged_ccp"}]),
    st.sampled_from(["cap", "emir_share"]),
)
def test_tighter_limits_never_lower_a_joint_requirement(held, chosen, limit):
    houses = houses_of(*held)
    loose = replace(chosen, saving=replace(chosen.saving, allow_increase=True))
    tight = replace(loose, saving=replace(loose.saving, **{limit: getattr(loose.saving, limit) * 0.7}))
    amounts = [evaluate(one, houses).joint_accounts["left"] for one in (loose, tight)]
    assert (amounts[1] >= amounts[0]).all()


@EXAMPLES
@given(accounts(most=4), programmes(), st.integers(-40, 40))
def test_a_trade_and_its_opposite_are_none(held, chosen, quantity):
    houses = houses_of(*held)
    account = held[0]
    name = min(listed()[account.house])
    one = {"account": [account.account], "instrument": [name], "quantity": [quantity]}
    both = {column: values * 2 for column, values in one.items()} | {"quantity": [quantity, -quantity]}
    change = programme_what_if(chosen, houses, both)
    for frame in FRAMES:
        assert getattr(change.before, frame).equals(getattr(change.after, frame))
    bought = programme_what_if(chosen, houses, one)
    held_now = dict(account.held)
    held_now[name] = held_now.get(name, 0) + quantity
    traded = houses_of(replace(account, held=held_now), *held[1:])
    groups = bought.after.accounts["group"].unique()
    whole = evaluate(chosen, traded).accounts.filter(pl.col("group").is_in(groups.implode()))
    columns = ["account", "today", "requirement", "saving", "why_not"]
    assert bought.after.accounts.select(columns).equals(whole.select(columns))
