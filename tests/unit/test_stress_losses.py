"""Losses over margin, unit by unit: whose gains pay for what, and how groups and houses add up."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from programme_market import (
    FAR_FUTURE,
    FUND,
    FUTURE,
    base_houses,
    cash,
    futures,
    houses_of,
    option,
    options,
    programme,
    sample_houses,
)

from crossmargin.core.rounding import to_minor
from crossmargin.formats.programme_files import designs
from crossmargin.models.market import HOUSES
from crossmargin.programmes.evaluate import evaluation
from crossmargin.programmes.programme import Default
from crossmargin.programmes.stress.arrangements import arrangements
from crossmargin.programmes.stress.library import MoveRow, StressScenario
from crossmargin.programmes.stress.losses import stress_losses
from crossmargin.programmes.stress.margin_multiples import MarginMultiples
from crossmargin.programmes.stress.revaluation import stress_pnl
from crossmargin.programmes.stress.scenarios import stress_moves
from crossmargin.programmes.stress.units import covers_of_accounts, loss_units
from crossmargin.programmes.stress.universe import stress_universe

HKSCC, HKCC, SEOCH = range(3)
MOVES = (-0.2, 0.2, -0.05)


@cache
def pnl(moves=MOVES):
    """All prices move alike; volatilities stand, so that options are simple too."""
    houses = base_houses()
    universe = stress_universe(houses.market, houses.snapshot, houses.histories, 1)
    rows = [
        (
            MoveRow(targets=("spot:*",), how="move", size=size),
            MoveRow(targets=("volatility:*",), how="move", size=0.0),
        )
        for size in moves
    ]
    library = [
        StressScenario(name=str(at), family="hypothetical", source="s", rationale="r", moves=row)
        for at, row in enumerate(rows)
    ]
    return stress_pnl(
        houses.snapshot, stress_moves(library, universe), universe, houses.settings.revaluation
    ).pnl


def price(name):
    row = base_houses().snapshot.instruments.filter(instrument=name).row(0, named=True)
    return row["mark"] * row["multiplier"] * row["exchange_rate"]


def lost(**held):
    """Loss in hundredths at −20% of futures and shares held."""
    return sum(0.2 * quantity * price(name) for name, quantity in held.items()) * 100


def losses_of(houses, **terms):
    units = loss_units(houses, houses.today, **terms)
    return units, stress_losses(units, pnl(), len(houses.accounts.groups), len(houses.accounts.participants))


def test_gains_of_one_client_do_not_pay_for_another():
    houses = houses_of(futures("a", {FUTURE: 40}), futures("b", {FUTURE: -40}))
    _, found = losses_of(houses)
    margin = houses.today.accounts
    loss = round(lost(**{FUTURE: 40}))
    assert not found.loss.any(), "the two net to nothing"
    assert found.over[0, 0, HKCC] == loss - margin[0]
    assert found.over[1, 0, HKCC] == loss - margin[1]
    _, pooled = losses_of(houses, client_gains=True)
    assert not pooled.over.any()
    assert pooled.margin.sum() == found.margin.sum() == margin.sum()


def test_accounts_of_one_owner_at_one_house_are_one():
    apart = houses_of(futures("a", {FUTURE: 40}), futures("a", {FUTURE: -40}, name="second"))
    units, found = losses_of(apart)
    assert units.margin.shape == (1, 3)
    assert not found.over.any()


def test_owners_of_one_name_in_two_groups_are_two():
    houses = houses_of(
        futures("a", {FUTURE: 40}), futures("a", {FUTURE: -40}, participant="P3", name="other")
    )
    _, found = losses_of(houses)
    assert (found.over[0, :, HKCC] > 0).tolist() == [True, False]
    assert (found.over[1, :, HKCC] > 0).tolist() == [False, True]


def test_each_position_of_a_gross_account_is_a_clients_own():
    terms = {"participant": "P3", "type": "omnibus", "basis": "gross"}
    houses = houses_of(futures("clients", {FUTURE: -70, FAR_FUTURE: 50}, **terms))
    units, found = losses_of(houses)
    assert units.margin.shape == (2, 3)
    assert units.margin.sum() == houses.today.participants.sum()
    near, far = units.margin[:, HKCC]
    assert near / far == pytest.approx(70 * price(FUTURE) / (50 * price(FAR_FUTURE)), rel=0.02)
    fallen, risen = (round(lost(**held)) for held in ({FAR_FUTURE: 50}, {FUTURE: 70}))
    assert found.over[0, 0, HKCC] == fallen - far
    assert found.over[1, 0, HKCC] == risen - near


def test_hkscc_nets_what_a_participant_holds():
    houses = houses_of(
        cash("a", {FUND: 500_000}), cash("b", {FUND: -200_000}), cash("c", {FUND: 90_000}, participant="P2")
    )
    units, found = losses_of(houses)
    assert units.margin[:, HKSCC].tolist() == houses.today.participants[:, HKSCC].tolist()
    expected = [round(lost(**{FUND: quantity})) for quantity in (300_000, 90_000)]
    assert found.over_participants[0, :, HKSCC].tolist() == [
        max(loss - margin, 0) for loss, margin in zip(expected, units.margin[:, HKSCC].tolist(), strict=True)
    ]
    assert found.over.sum() == found.over_participants.sum()


def test_the_value_of_options_held_covers_their_loss():
    call = option("C", place=3)
    houses = houses_of(options("long", {call: 100}), options("short", {call: -100}, participant="P3"))
    value = houses.prime_today.option_value
    covers = covers_of_accounts(houses, houses.today)
    assert value[0] == -value[1] > 0
    assert houses.today.accounts[0] == 0
    assert covers[0] == value[0]
    assert covers[1] == houses.today.accounts[1] - -value[1] == houses.prime_today.risk[1]
    _, found = losses_of(houses)
    assert found.over[0].sum() == 0, "a fall takes no more from a call than it is worth"
    assert found.over[1, 1, SEOCH] > 0


def test_joint_accounts_are_one_unit_with_a_leg_at_each_house():
    houses = houses_of(cash("hedged", {FUND: 4_000_000}), futures("hedged", {FUTURE: -90}))
    done = evaluation(programme(), houses)
    units = loss_units(houses, done.calls, done.joint)
    assert units.joint.tolist() == [True]
    assert units.margin.tolist() == done.calls.participants.tolist()
    assert units.stand_alone.tolist() == houses.today.participants.tolist()
    shapes = len(houses.accounts.groups), len(houses.accounts.participants)
    alone, shared, merged = (
        stress_losses(units, pnl(), *shapes, **terms)
        for terms in ({}, {"guarantee": Default(guarantee="surplus_transfer")}, {"merged": True})
    )
    cash_loss, futures_gain = round(lost(**{FUND: 4_000_000})), round(lost(**{FUTURE: 90}))
    assert alone.over[0, 0].tolist() == [cash_loss - units.margin[0, HKSCC], 0, 0]
    net = cash_loss - futures_gain - int(units.margin.sum())
    assert shared.over[0].sum() == merged.over[0].sum() == max(net, 0)
    assert shared.received[0, 0, HKSCC] == shared.paid[0, 0, HKCC] > 0


@pytest.mark.parametrize("design", designs(), ids=lambda one: one.mode)
@pytest.mark.parametrize("client_gains", [False, True])
def test_amounts_of_every_design_add_up(design, client_gains):
    houses = sample_houses()
    done = evaluation(design, houses)
    found = {(one.name, one.guarantee): one for one in arrangements(done, pnl(), client_gains=client_gains)}
    covers = {
        "today": covers_of_accounts(houses, houses.today),
        "linked": covers_of_accounts(houses, done.calls),
    }
    for (name, _), one in found.items():
        losses = one.losses
        assert (losses.owed - losses.usable - losses.received == losses.over).all()
        assert (losses.paid.sum(axis=2) == losses.received.sum(axis=2)).all()
        assert min(int(part.min()) for part in (losses.over, losses.usable, losses.margin)) >= 0
        assert losses.margin.sum() == covers.get(name, covers["linked"]).sum()
        assert (
            losses.over >= np.maximum(losses.loss - losses.margin[None], 0)
        ).all() or one.guarantee != "none"
    alone, merged = found["linked", "none"].losses, found["merged", "none"].losses
    assert (merged.over.sum(axis=2) <= alone.over.sum(axis=2)).all(), (
        "one house lets every gain of a unit pay"
    )
    assert (merged.loss[..., 0] == alone.loss.sum(axis=2)).all()
    for (name, guarantee), one in found.items():
        if name == "linked" and guarantee != "none":
            assert (one.losses.over.sum(axis=2) <= alone.over.sum(axis=2)).all()


def test_silos_are_as_today():
    houses = sample_houses()
    today, linked, _ = arrangements(evaluation(designs()[0], houses), pnl(), client_gains=False)
    assert (today.losses.over == linked.losses.over).all()
    assert (today.called == linked.called).all()


def test_losses_are_those_of_the_positions():
    houses = sample_houses()
    _, found = losses_of(houses)
    books, accounts = houses.accounts.books, houses.accounts
    owner = accounts.group[books.book] * len(HOUSES) + accounts.house[books.book]
    for scenario, row in enumerate(pnl()):
        expected = np.zeros(found.margin.size, np.int64)
        np.add.at(expected, owner, to_minor(-books.quantities * row[books.rows], 2))
        assert (found.loss[scenario].ravel() == expected).all()


def test_the_first_margin_that_is_exceeded():
    houses = houses_of(futures("a", {FUTURE: 40}), futures("b", {FUTURE: -10}), cash("c", {FUND: 20_000}))
    units = loss_units(houses, houses.today)
    multiples = np.array([0.0, 0.5, 1.0])
    tried = pnl((0.0, -0.1, -0.2))
    watch = MarginMultiples(units, multiples, 1, merged=False)
    stress_losses(units, tried, 1, 1, watch=watch)
    (found,) = watch.found
    margin = houses.today.accounts[houses.accounts.table["account"].to_list().index("a.HKCC")]
    assert found[HKCC] == pytest.approx(margin / lost(**{FUTURE: 40}), rel=1e-6)
    assert np.isinf(found[SEOCH])
    assert houses.today.participants[0, HKSCC] == 0, "within the margin credit"
    assert np.isinf(found[HKSCC])
