"""Trades under a programme: what the groups that trade are called before and after."""

from __future__ import annotations

import polars as pl
import pytest
from programme_market import (
    FAR_FUTURE,
    FRAMES,
    FUND,
    FUTURE,
    STOCK,
    base_houses,
    cash,
    cents,
    futures,
    houses_of,
    option,
    options,
    programme,
    sample,
    sample_houses,
)

from crossmargin.errors import InputError
from crossmargin.programmes.accounts import clearing_accounts
from crossmargin.programmes.evaluate import evaluate
from crossmargin.programmes.programme import MODES, Saving
from crossmargin.programmes.what_if import programme_what_if


@pytest.fixture(scope="module")
def houses():
    return sample_houses()


def trade(*rows):
    return pl.DataFrame(rows, schema=["account", "instrument", "quantity"], orient="row")


def unhedged():
    """A fund without its hedge, and what no trade of its owner bears on."""
    return (
        cash("a", {FUND: 8_000_000}),
        futures("a", {}),
        options("a", {option("P"): -50}),
        cash("b", {STOCK: 900_000}, participant="P3"),
        futures("b", {FUTURE: -30}, participant="P3"),
    )


def same(one, other, names=FRAMES):
    return all(getattr(one, name).equals(getattr(other, name)) for name in names)


@pytest.mark.parametrize("mode", MODES)
def test_before_is_the_group_alone(houses, mode):
    change = programme_what_if(programme(mode), houses, trade(("arbitrage.HKCC", FUTURE, -1)))
    group = [one for one in sample() if one.participant in {"P1", "P2"}]
    assert same(change.before, evaluate(programme(mode), houses_of(*group)))
    assert set(change.after.accounts["group"]) == {"G1"}


@pytest.mark.parametrize("mode", MODES)
def test_after_is_the_evaluation_with_the_trades_in_the_books(mode):
    change = programme_what_if(
        programme(mode),
        houses_of(*unhedged()),
        trade(("a.HKCC", FUTURE, -80), ("a.HKCC", FUTURE, -80), ("a.SEOCH", option("P"), 50)),
    )
    traded = (cash("a", {FUND: 8_000_000}), futures("a", {FUTURE: -160}), options("a", {}))
    assert same(change.after, evaluate(programme(mode), houses_of(*traded)))


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "silo"])
def test_a_hedge_saves(mode):
    change = programme_what_if(programme(mode), houses_of(*unhedged()), trade(("a.HKCC", FUTURE, -160)))
    assert change.after.saving > change.before.saving
    assert change.after.joint_accounts["houses"][0].startswith("HKSCC + HKCC")
    frame = change.to_frame()
    assert frame["house"].to_list() == ["HKCC", "HKSCC", "SEOCH"]
    for name in ("today", "requirement", "saving"):
        assert sum(frame[f"{name}_before"]) == getattr(change.before, name)
        assert sum(frame[f"{name}_after"]) == getattr(change.after, name)


@pytest.mark.parametrize("mode", MODES)
def test_the_opposite_trade_returns_to_the_start(houses, mode):
    rows = [
        ("three.HKSCC", FUND, 1_000_000),
        ("three.HKCC", FAR_FUTURE, -40),
        ("maker.SEOCH", option("P"), 5),
    ]
    back = [(account, name, -quantity) for account, name, quantity in rows]
    change = programme_what_if(programme(mode), houses, trade(*rows, *back))
    assert same(change.before, change.after)
    there = programme_what_if(programme(mode), houses, trade(*rows))
    assert not same(there.before, there.after, ("accounts",))


def test_the_books_of_the_houses_are_where_trades_start():
    """Not those of the market file: houses may hold others, as after an earlier what-if."""
    base = houses_of(*unhedged())
    held = trade(("a.HKSCC", FUND, 8_000_000), ("a.HKCC", FUTURE, -160))
    mine = base.holding(clearing_accounts(base.market, base.snapshot, held))
    change = programme_what_if(programme("two_pot_lesser"), mine, trade(("a.HKCC", FUTURE, 160)))
    theirs = evaluate(programme("two_pot_lesser"), mine).participants.filter(group="G1")
    assert change.before.participants.equals(theirs)
    assert change.after.saving == 0


def test_groups_that_do_not_trade_are_left_out(houses):
    change = programme_what_if(programme("two_pot_lesser"), houses, trade(("lone.HKCC", FUTURE, 1)))
    assert set(change.before.accounts["group"]) == {"G3"}
    both = trade(("lone.HKCC", FUTURE, 1), ("cover.HKSCC", STOCK, 1))
    change = programme_what_if(programme("two_pot_lesser"), houses, both)
    assert set(change.before.accounts["group"]) == {"G1", "G3"}
    assert change.before.accounts.equals(evaluate(programme("two_pot_lesser"), houses).accounts)


def test_a_group_has_the_same_figures_with_and_without_the_others(houses):
    whole = evaluate(programme("one_pot_joint", saving=Saving(minimum=0.0)), houses)
    alone = programme_what_if(
        programme("one_pot_joint", saving=Saving(minimum=0.0)), houses, trade(("lone.HKCC", FUTURE, 1))
    ).before
    assert alone.accounts.equals(whole.accounts.filter(group="G3"))


def test_trades_of_nothing_change_nothing(houses):
    change = programme_what_if(programme("two_pot_lesser"), houses, trade(("lone.HKCC", FUTURE, 0)))
    assert same(change.before, change.after)


def records(houses, trades):
    with pytest.raises(InputError) as error:
        programme_what_if(programme("two_pot_lesser"), houses, trades)
    return [(one.file, one.line, one.field, one.value) for one in error.value.records]


def test_every_bad_trade_is_listed(houses):
    trades = trade(
        ("nobody", FUTURE, 1),
        ("lone.HKCC", "nothing", 1),
        ("lone.HKCC", FUND, 1),
        ("maker.SEOCH", FUTURE, 1),
        ("lone.HKCC", FUTURE, 1),
        ("no one", "none", 1),
    )
    assert sorted(records(houses, trades)) == [
        ("trades", 1, "account", "nobody"),
        ("trades", 2, "instrument", "nothing"),
        ("trades", 3, "instrument", FUND),
        ("trades", 4, "instrument", FUTURE),
        ("trades", 6, "account", "no one"),
        ("trades", 6, "instrument", "none"),
    ]


def test_bad_tables_of_trades(houses):
    assert records(
        houses, trade().cast({"account": pl.String, "instrument": pl.String, "quantity": pl.Int64})
    )
    assert records(houses, {"account": ["lone.HKCC"], "instrument": [FUTURE]})
    assert records(houses, {"account": ["lone.HKCC"], "instrument": [FUTURE], "quantity": [1.5]})
    assert records(houses, {"account": ["lone.HKCC"], "instrument": [FUTURE], "quantity": [None]})
    assert records(houses, {"account": [None], "instrument": [FUTURE], "quantity": [1]})


def test_an_instrument_without_a_mark_is_not_traded(houses):
    """What the snapshot left out cannot be margined, though the market lists it."""
    base = base_houses()
    index = base.market["underlyings"].filter(kind="index")["underlying"][0]
    assert records(houses, trade(("lone.HKCC", index, 1)))[0][2] == "instrument"


def test_requirements_are_whole_cents(houses):
    change = programme_what_if(programme("one_pot_joint"), houses, trade(("lone.HKCC", FUTURE, -3)))
    frame = change.to_frame()
    assert frame["requirement_after"].dtype == pl.Decimal(38, 2)
    assert sum(cents(frame["requirement_after"])) > sum(cents(frame["requirement_before"]))
