"""The mode of a programme on its joint accounts: what each house is left with, and by which steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from crossmargin.core.rounding import toward_zero
from crossmargin.models.market import HOUSES
from crossmargin.programmes.apportionment import apportioned
from crossmargin.programmes.attribution import shapley
from crossmargin.programmes.books import joined_books
from crossmargin.programmes.eligibility import HOUSE_COUNT
from crossmargin.programmes.houses import models_of
from crossmargin.programmes.joint.tails import joint_tails
from crossmargin.programmes.limits import BINDING
from crossmargin.programmes.one_pot import combined, one_pot
from crossmargin.programmes.outcome import Outcome
from crossmargin.programmes.proportions import pro_rata
from crossmargin.programmes.spread_credit import spread_credit
from crossmargin.programmes.transferred import transferred
from crossmargin.programmes.two_pot import two_pot_lesser

if TYPE_CHECKING:
    from crossmargin.programmes.eligibility import JointAccounts
    from crossmargin.programmes.houses import Houses
    from crossmargin.programmes.programme import Programme

__all__ = ["JointMargin", "Kept", "joint_margin", "own_margins"]

HKSCC, HKCC = HOUSES.index("HKSCC"), HOUSES.index("HKCC")
OFFSET, ONE_NAME, LIMITS = (
    "offset between houses",
    "one name at several houses",
    "limits of the programme",
)
CENTS: Final = 100

Amounts = Int64[np.ndarray, " joint_accounts"]
Steps = tuple[tuple[str, Amounts], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class JointMargin:
    """Joint accounts under a programme.

    Parameters
    ----------
    outcome : Outcome
        What each house is left with, and what decided.
    steps : tuple of (str, ndarray of int64)
        Name and amount by joint account of each step from the stand-alone margins to what is left: with the sum
        of ``outcome.own`` they add up to the sum of ``outcome.reduced``.
    outside : ndarray of int64, shape (participants,)
        HKSCC's market risk of what its participants hold outside joint accounts.
    """

    outcome: Outcome
    steps: Steps
    outside: Int64[np.ndarray, " participants"]


def joint_margin(
    programme: Programme, houses: Houses, joint: JointAccounts, kept: Kept | None = None
) -> JointMargin:
    """Margin joint accounts by the mode of a programme.

    Parameters
    ----------
    programme, houses, joint
        What, on which houses, for whom.
    kept : Kept, optional
        Joint accounts of which a house's positions are not known today.
    """
    own = own_margins(programme, houses, joint)
    outside = houses.rest_risk(joint.rest)
    if _in_net(programme):
        own, outside = _within_net(houses, joint, own)
    outcome, steps = MODES[programme.mode](programme, houses, joint, own)
    if kept is not None:
        outcome, steps = _with_missing(outcome, steps, kept)
    return JointMargin(outcome=outcome, steps=steps, outside=outside)


@dataclass(frozen=True, kw_only=True, eq=False)
class Kept:
    """What joint accounts save while the file of one of their houses is missing.

    Parameters
    ----------
    waiting : ndarray of bool, shape (joint accounts,)
        Whether a house's file is missing.
    share : ndarray of float64, shape (joint accounts,)
        Saving that is given meanwhile, as a share of what is known to be margined alone.
    """

    waiting: Bool[np.ndarray, " joint_accounts"]
    share: Float64[np.ndarray, " joint_accounts"]


def _with_missing(outcome: Outcome, steps: Steps, kept: Kept) -> tuple[Outcome, Steps]:
    """Return an outcome in which accounts that wait for a file have the saving kept for them, rounded down."""
    saved = toward_zero(outcome.own * kept.share[:, None]).astype(np.int64)
    reduced = np.where(kept.waiting[:, None], outcome.own - saved, outcome.reduced)
    binding = np.where(kept.waiting, BINDING["another house's file is missing"], outcome.binding)
    change = reduced.sum(axis=1) - outcome.reduced.sum(axis=1)
    joint = np.where(kept.waiting, reduced.sum(axis=1), outcome.joint)
    changed = replace(outcome, reduced=reduced, binding=binding, joint=joint)
    return changed, (*steps, ("a house's file is missing", change))


def own_margins(
    programme: Programme, houses: Houses, joint: JointAccounts
) -> Int64[np.ndarray, "joint_accounts houses"]:
    """Return the stand-alone margin of each leg by its own house's model."""
    own = np.zeros((joint.count, HOUSE_COUNT), np.int64)
    for house, name in enumerate(HOUSES):
        legs = joint.legs.select(np.arange(joint.count) * HOUSE_COUNT + house)
        if legs.rows.size:
            model = programme.model_of(name)
            own[:, house] = (
                houses.hkscc_risk(legs, _participants_of(houses, joint, house))
                if model == "hkscc_var"
                else houses.market_risk(model, legs, programme.joint.horizon)
            )
    return own


def _participants_of(houses: Houses, joint: JointAccounts, house: int) -> list[str]:
    """Return the participant of each joint account at a house, the first where an owner has several; "" for none.

    Nothing where participants have no settings of their own.
    """
    accounts = houses.accounts
    if not houses.own_settings:
        return []
    names = [""] * joint.count
    for at in np.flatnonzero((accounts.house == house) & (joint.of_account >= 0))[::-1].tolist():
        names[joint.of_account[at]] = accounts.participants[accounts.participant[at]]
    return names


def _in_net(programme: Programme) -> bool:
    """Say whether HKSCC keeps what joins in its net; a merged house has no such net."""
    return programme.eligibility.hkscc_origin == "participant" and programme.mode not in {
        "merged_ccp",
        "silo",
    }


def _within_net(
    houses: Houses, joint: JointAccounts, own: Int64[np.ndarray, "joint_accounts houses"]
) -> tuple[Int64[np.ndarray, "joint_accounts houses"], Int64[np.ndarray, " participants"]]:
    """Return stand-alone margins in which HKSCC's legs have their parts of the participants' net margin of today.

    The net margin of a participant is divided among its accounts by what each would be margined alone; the part
    of an account that joins is its leg's.
    """
    accounts = houses.accounts
    cash = np.flatnonzero(accounts.at("HKSCC"))
    parts = np.zeros(len(accounts), np.int64)
    participant = accounts.participant[cash]
    parts[cash] = apportioned(houses.hkscc_risk_today, houses.account_risk[cash], participant)
    joined = cash[joint.of_account[cash] >= 0]
    parts[joined] = _joining(houses, joint, joined, parts[joined])
    within = own.copy()
    within[:, HKSCC] = 0
    np.add.at(within[:, HKSCC], joint.of_account[joined], parts[joined])
    outside = houses.hkscc_risk_today.copy()
    np.subtract.at(outside, accounts.participant[joined], parts[joined])
    return within, outside


def _joining(
    houses: Houses,
    joint: JointAccounts,
    joined: Int64[np.ndarray, " members"],
    parts: Int64[np.ndarray, " members"],
) -> Int64[np.ndarray, " members"]:
    """Return of each account's part what falls on the positions that join: by what each side is margined alone."""
    whole, kept = houses.accounts.books.select(joined), joint.rest.select(joined)
    left = replace(kept, quantities=-kept.quantities)
    inside = joined_books([whole, left]).regrouped(np.tile(np.arange(joined.size), 2), joined.size)
    weights = np.stack([houses.market_risk("hkscc_var", books) for books in (inside, kept)], axis=1)
    account = np.repeat(np.arange(joined.size), 2)
    return apportioned(parts, weights.ravel(), account)[::2]


def _silo(
    _: Programme, __: Houses, joint: JointAccounts, own: Int64[np.ndarray, "accounts houses"]
) -> tuple[Outcome, Steps]:
    assert not joint.count, "silos have no joint accounts"
    nothing = np.zeros(0, np.int64)
    outcome = Outcome(
        own=own,
        reduced=own,
        joint=nothing,
        binding=nothing.astype(np.int8),
        model_savings=np.zeros((0, 0)),
        models=(),
    )
    return outcome, ()


def _two_pot(
    programme: Programme, houses: Houses, joint: JointAccounts, own: Int64[np.ndarray, "accounts houses"]
) -> tuple[Outcome, Steps]:
    models = models_of(programme)
    by_model, together = _by_models(programme, houses, joint, models)
    outcome = two_pot_lesser(
        own,
        by_model,
        together,
        programme.saving,
        models,
        consulted=_consulted(programme, joint, models),
    )
    extra = _concentration(programme, houses, joint)
    concentrated = _with_concentration(outcome, extra, programme, joint)
    steps = ((OFFSET, outcome.joint - own.sum(axis=1)), (ONE_NAME, extra))
    return concentrated, _finished(steps, concentrated)


def _by_models(
    programme: Programme, houses: Houses, joint: JointAccounts, models: tuple[str, ...]
) -> tuple[Int64[np.ndarray, "accounts models houses"], Int64[np.ndarray, "accounts models"]]:
    """Return each model's margin of every leg, and of all legs as one."""
    horizon = programme.joint.horizon
    legs = [houses.market_risk(name, joint.legs, horizon).reshape(-1, HOUSE_COUNT) for name in models]
    together = [houses.union_risk(programme, name, joint.union) for name in models]
    return np.stack(legs, axis=1), np.stack(together, axis=1)


def _consulted(
    programme: Programme, joint: JointAccounts, models: tuple[str, ...]
) -> Bool[np.ndarray, "accounts models"]:
    """Say which models are of a house that has a leg in the account; all where positions net to nothing."""
    of_house = np.array([[programme.model_of(house) == name for name in models] for house in HOUSES])
    empty = ~joint.has_leg.any(axis=1, keepdims=True)
    return (joint.has_leg[:, :, None] & of_house[None]).any(axis=1) | empty


def _spread_credit(
    programme: Programme, houses: Houses, joint: JointAccounts, own: Int64[np.ndarray, "accounts houses"]
) -> tuple[Outcome, Steps]:
    outcome = spread_credit(
        own, joint.legs, houses.look_through, programme.matching, programme.saving
    ).outcome
    extra = _concentration(programme, houses, joint)
    concentrated = _with_concentration(outcome, extra, programme, joint)
    steps = (("credit of matched positions", outcome.joint - own.sum(axis=1)), (ONE_NAME, extra))
    return concentrated, _finished(steps, concentrated)


def _transfer(
    programme: Programme, houses: Houses, joint: JointAccounts, own: Int64[np.ndarray, "accounts houses"]
) -> tuple[Outcome, Steps]:
    alone = own.sum(axis=1)
    moved = transferred(programme, houses, joint)
    parts = own.copy()
    parts[:, HKSCC], parts[:, HKCC] = moved.long_after, moved.short_after
    replaced = np.where(moved.any_moved, moved.long_before - own[:, HKSCC], 0)
    parts = np.where(moved.any_moved[:, None], parts, own)
    asked = parts.sum(axis=1)
    steps = (
        ("change to the joint model", replaced),
        ("futures moved to the longer pot", asked - alone - replaced),
    )
    outcome = one_pot(own, asked, parts, programme.saving, model="expected_shortfall")
    return outcome, _finished(steps, outcome)


def _one_pot(
    programme: Programme, houses: Houses, joint: JointAccounts, own: Int64[np.ndarray, "accounts houses"]
) -> tuple[Outcome, Steps]:
    found = _joint_risk(programme, houses, joint, own)
    basis = houses.look_through.basis_charge(joint.union, programme.joint.basis_charge)
    extra = _concentration(programme, houses, joint)
    parts = found.parts + _on_legs(basis, own, joint) + _of_one_name(extra, own, joint)
    asked = found.risk + basis + extra
    outcome = one_pot(
        own,
        asked,
        parts,
        programme.saving,
        floor=programme.attribution.floor,
        model=found.model,
        lone=programme.mode == "merged_ccp",
    )
    steps = (
        *found.steps,
        ("basis charge", basis),
        (ONE_NAME, extra),
    )
    return outcome, _finished(steps, outcome)


@dataclass(frozen=True, kw_only=True, eq=False)
class _JointRisk:
    """Margin of all legs as one, by which model, each house's part of it, and the steps to it."""

    risk: Amounts
    model: str
    parts: Float64[np.ndarray, "accounts houses"]
    steps: Steps


def _joint_risk(
    programme: Programme, houses: Houses, joint: JointAccounts, own: Int64[np.ndarray, "accounts houses"]
) -> _JointRisk:
    alone = own.sum(axis=1)
    subsets, euler = _tails(programme, houses, joint)
    if programme.joint.combine == "joint":
        risk, model = subsets[:, -1], "expected_shortfall"
        replaced = subsets[:, 1 << np.arange(HOUSE_COUNT)].sum(axis=1) - alone
        steps: Steps = (
            ("change to the joint model", replaced),
            (OFFSET, risk - alone - replaced),
        )
    else:
        model = programme.joint.combine
        models = tuple(dict.fromkeys(programme.model_of(house) for house in programme.houses))
        _, together = _by_models(programme, houses, joint, models)
        risk = combined(together, model, _consulted(programme, joint, models))
        steps = ((OFFSET, risk - alone),)
    rule = programme.attribution.rule
    if rule == "euler":
        parts = euler * CENTS
    else:
        parts = (shapley(subsets) if rule == "shapley" else _on_legs(risk, own, joint)).astype(np.float64)
    return _JointRisk(risk=risk, model=model, parts=parts, steps=steps)


def _tails(
    programme: Programme, houses: Houses, joint: JointAccounts
) -> tuple[Int64[np.ndarray, "accounts subsets"], Float64[np.ndarray, "accounts houses"]]:
    """Return the joint model's margin of every subset of legs, and Euler's parts, in units of currency.

    A gross account has one leg, whose positions are margined one by one.
    """
    model = houses.joint_model(programme.joint.horizon)
    subsets = np.zeros((joint.count, 1 << HOUSE_COUNT), np.int64)
    euler = np.zeros((joint.count, HOUSE_COUNT))
    gross = joint.legs.gross.reshape(-1, HOUSE_COUNT).any(axis=1)
    legs = np.arange(joint.legs.count).reshape(-1, HOUSE_COUNT)
    tails = joint_tails(model, joint.legs.select(legs[~gross].ravel()), HOUSES)
    subsets[~gross], euler[~gross] = tails.subsets, tails.euler
    if gross.any():
        risk = model.market_risk(joint.legs.select(legs[gross].ravel())).reshape(-1, HOUSE_COUNT)
        inside = np.arange(1 << HOUSE_COUNT)[:, None] >> np.arange(HOUSE_COUNT) & 1
        subsets[gross], euler[gross] = risk @ inside.T, risk / CENTS
    return subsets, euler


def _concentration(programme: Programme, houses: Houses, joint: JointAccounts) -> Amounts:
    """Return by how much the liquidation add-on of all legs as one is above those of the legs, at least 0.

    By HKSCC's add-on, which grows faster than a position: shares, futures and options on one name are one
    liquidation, of which each house sees its own part. What the house's model cannot convert is left out.
    """
    none = np.zeros(joint.count, np.int64)
    if (
        programme.joint.concentration == "per_house"
        or houses.hkscc is None
        or "HKSCC" not in programme.houses
    ):
        return none
    several = np.flatnonzero(joint.has_leg.sum(axis=1) > 1)
    if not several.size:
        return none
    places = several[:, None] * HOUSE_COUNT + np.arange(HOUSE_COUNT)
    legs = joint.legs.select(places.ravel()).only(houses.hkscc.can_margin)
    union = legs.regrouped(np.repeat(np.arange(several.size), HOUSE_COUNT), several.size)
    apart = houses.hkscc.liquidation(legs).reshape(-1, HOUSE_COUNT).sum(axis=1)
    none[several] = np.maximum(houses.hkscc.liquidation(union) - apart, 0)
    return none


def _on_legs(
    amounts: Amounts, own: Int64[np.ndarray, "accounts houses"], joint: JointAccounts
) -> Int64[np.ndarray, "accounts houses"]:
    """Split amounts by stand-alone margin; where there is none, equally between the houses with a position."""
    margined = own.any(axis=1, keepdims=True)
    return pro_rata(amounts, np.where(margined, own, joint.has_leg.astype(np.int64)))


def _of_one_name(
    extra: Amounts, own: Int64[np.ndarray, "accounts houses"], joint: JointAccounts
) -> Int64[np.ndarray, "accounts houses"]:
    """Let HKSCC, whose add-on it is, ask for what one name costs; the others where it has no position."""
    parts = _on_legs(extra, own, joint)
    held = joint.has_leg[:, HKSCC]
    parts[held] = 0
    parts[held, HKSCC] = extra[held]
    return parts


def _with_concentration(
    outcome: Outcome, extra: Amounts, programme: Programme, joint: JointAccounts
) -> Outcome:
    """Return an outcome in which houses ask for what one name at several houses costs on top.

    No more than was saved, unless the programme calls increases.
    """
    if not extra.any():
        return outcome
    added = extra if programme.saving.allow_increase else np.minimum(extra, np.maximum(outcome.saving, 0))
    reduced = outcome.reduced + _of_one_name(added, outcome.own, joint)
    undone = (extra > 0) & (reduced.sum(axis=1) >= outcome.own.sum(axis=1))
    return replace(
        outcome,
        reduced=reduced,
        joint=outcome.joint + extra,
        binding=np.where(undone, BINDING["no worse off"], outcome.binding),
    )


def _finished(steps: Steps, outcome: Outcome) -> Steps:
    """Return the steps with a last one, what limits give or take."""
    rest = outcome.reduced.sum(axis=1) - outcome.own.sum(axis=1)
    for _, amounts in steps:
        rest = rest - amounts
    return (*steps, (LIMITS, rest))


MODES: Final = {
    "silo": _silo,
    "spread_credit": _spread_credit,
    "two_pot_lesser": _two_pot,
    "one_pot_joint": _one_pot,
    "transfer_optimise": _transfer,
    "merged_ccp": _one_pot,
}
