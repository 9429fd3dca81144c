"""The mode of a programme on its joint accounts: what each house is left with, and by which steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from crossmargin.core.apportionment import apportioned
from crossmargin.core.proportions import pro_rata
from crossmargin.core.rounding import toward_zero
from crossmargin.models.market import HOUSES
from crossmargin.programmes.attribution import shapley
from crossmargin.programmes.books import joined_books
from crossmargin.programmes.eligibility import HOUSE_COUNT
from crossmargin.programmes.houses import models_of
from crossmargin.programmes.joint.tails import joint_tails
from crossmargin.programmes.limits import BINDING
from crossmargin.programmes.one_pot import combined, one_pot
from crossmargin.programmes.outcome import Outcome
from crossmargin.programmes.spread_credit import spread_credit
from crossmargin.programmes.transferred import transferred
from crossmargin.programmes.two_pot import two_pot_lesser

if TYPE_CHECKING:
    from crossmargin.programmes.books import Books
    from crossmargin.programmes.eligibility import JointAccounts
    from crossmargin.programmes.houses import Houses
    from crossmargin.programmes.programme import Programme

__all__ = ["JointMargin", "Kept", "LegTails", "Pieces", "joint_margin", "leg_tails_of", "pieces_of"]

HKSCC, SEOCH = HOUSES.index("HKSCC"), HOUSES.index("SEOCH")
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
    pieces : Pieces
        What the houses margin today of what joins.
    """

    outcome: Outcome
    steps: Steps
    outside: Int64[np.ndarray, " participants"]
    pieces: Pieces


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
    pieces = pieces_of(houses, joint)
    own = pieces.by_leg(pieces.risk, joint)
    outside = houses.rest_risk(joint.rest)
    if _in_net(programme):
        own, outside = _within_net(houses, joint, own)
    found = _Found(programme=programme, houses=houses, joint=joint, pieces=pieces, own=own)
    outcome, steps = MODES[programme.mode if joint.count else "silo"](found)
    if kept is not None:
        outcome, steps = _with_missing(outcome, steps, kept)
    return JointMargin(outcome=outcome, steps=steps, outside=outside, pieces=pieces)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Found:
    """What a mode works on: stand-alone margins ``own`` of the joint accounts of a programme."""

    programme: Programme
    houses: Houses
    joint: JointAccounts
    pieces: Pieces
    own: Int64[np.ndarray, "accounts houses"]

    @property
    def alone(self) -> Amounts:
        """Sum of the stand-alone margins of each joint account."""
        return self.own.sum(axis=1)

    @property
    def horizon(self) -> str:
        """Horizon of the joint model."""
        return self.programme.joint.horizon

    def by_model(self, model: str) -> Int64[np.ndarray, "accounts houses"]:
        """Return a model's margin of every leg: of its pieces, as the houses margin them."""
        risk = self.houses.market_risk(model, self.pieces.books, self.horizon)
        return self.pieces.by_leg(risk, self.joint)


@dataclass(frozen=True, kw_only=True, eq=False)
class Kept:
    """What joint accounts save while the file of one of their houses is missing.

    Parameters
    ----------
    waiting : ndarray of bool, shape (joint accounts,)
        Whether a house's file is missing.
    share : ndarray of float64, shape (joint accounts, houses)
        Saving that each house gives meanwhile, as a share of what it is known to margin alone.
    """

    waiting: Bool[np.ndarray, " joint_accounts"]
    share: Float64[np.ndarray, "joint_accounts houses"]


def _with_missing(outcome: Outcome, steps: Steps, kept: Kept) -> tuple[Outcome, Steps]:
    """Return an outcome in which accounts that wait for a file have the saving kept for them, rounded down."""
    saved = toward_zero(outcome.own * kept.share).astype(np.int64)
    reduced = np.where(kept.waiting[:, None], outcome.own - saved, outcome.reduced)
    binding = np.where(kept.waiting, BINDING["another house's file is missing"], outcome.binding)
    change = reduced.sum(axis=1) - outcome.reduced.sum(axis=1)
    joint = np.where(kept.waiting, reduced.sum(axis=1), outcome.joint)
    changed = replace(outcome, reduced=reduced, binding=binding, joint=joint)
    return changed, (*steps, ("a house's file is missing", change))


@dataclass(frozen=True, kw_only=True, eq=False)
class Pieces:
    """What houses margin today of what joins: each account at HKCC and SEOCH, each participant's net at HKSCC.

    Parameters
    ----------
    books : Books
        Positions of each piece.
    leg : ndarray of int64, shape (pieces,)
        Leg of each piece: joint account × 3 + house.
    members : ndarray of int64, shape (members,)
        Accounts that join.
    of_member : ndarray of int64, shape (members,)
        Piece of each.
    risk : ndarray of int64, shape (pieces,)
        Market risk of each by its house's own model of today.
    """

    books: Books
    leg: Int64[np.ndarray, " pieces"]
    members: Int64[np.ndarray, " members"]
    of_member: Int64[np.ndarray, " members"]
    risk: Int64[np.ndarray, " pieces"]

    def by_leg(
        self, amounts: Int64[np.ndarray, " pieces"], joint: JointAccounts
    ) -> Int64[np.ndarray, "joint_accounts houses"]:
        """Add amounts of pieces up by leg."""
        total = np.zeros(joint.count * HOUSE_COUNT, np.int64)
        np.add.at(total, self.leg, amounts)
        return total.reshape(-1, HOUSE_COUNT)


def pieces_of(houses: Houses, joint: JointAccounts) -> Pieces:
    """Return what the houses margin today of what joins, with the market risk of each piece."""
    accounts = houses.accounts
    members = np.flatnonzero(joint.of_account >= 0)
    leg = joint.of_account[members] * HOUSE_COUNT + accounts.house[members]
    cash = accounts.house[members] == HKSCC
    apart = np.where(cash, accounts.participant[members], len(accounts.participants) + members)
    key = leg * (len(accounts.participants) + len(accounts)) + apart
    _, first, of_member = np.unique(key, return_index=True, return_inverse=True)
    books = joint.parts.select(members).regrouped(of_member, first.size)
    risk = np.zeros(first.size, np.int64)
    if cash.any():
        at = np.flatnonzero(cash[first])
        names = [accounts.participants[place] for place in accounts.participant[members[first[at]]].tolist()]
        risk[at] = houses.hkscc_risk(books.select(at), names)
    if not cash.all():
        at = np.flatnonzero(~cash[first])
        risk[at] = houses.market_risk("prime", books.select(at))
    return Pieces(books=books, leg=leg[first], members=members, of_member=of_member, risk=risk)


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


def _silo(found: _Found) -> tuple[Outcome, Steps]:
    """Return nothing saved: there is no joint account."""
    assert not found.joint.count, "silos have no joint accounts"
    nothing = np.zeros(0, np.int64)
    outcome = Outcome(
        own=found.own,
        reduced=found.own,
        joint=nothing,
        binding=nothing.astype(np.int8),
        model_savings=np.zeros((0, 0)),
        models=(),
    )
    return outcome, ()


def _two_pot(found: _Found) -> tuple[Outcome, Steps]:
    models = models_of(found.programme, found.houses.present)
    by_model, together = _by_models(found, models)
    outcome = two_pot_lesser(
        found.own,
        by_model,
        together,
        found.programme.saving,
        models,
        consulted=_consulted(found, models),
    )
    return _with_one_name(found, outcome, OFFSET)


def _by_models(
    found: _Found, models: tuple[str, ...]
) -> tuple[Int64[np.ndarray, "accounts models houses"], Int64[np.ndarray, "accounts models"]]:
    """Return each model's margin of every leg, and of all legs as one."""
    union = found.joint.union
    legs = [found.by_model(name) for name in models]
    together = [found.houses.union_risk(found.programme, name, union) for name in models]
    return np.stack(legs, axis=1), np.stack(together, axis=1)


def _consulted(found: _Found, models: tuple[str, ...]) -> Bool[np.ndarray, "accounts models"]:
    """Say which models are of a house that has a leg in the account; all where positions net to nothing."""
    held = found.joint.has_leg
    of_house = np.array([[found.programme.model_of(house) == name for name in models] for house in HOUSES])
    empty = ~held.any(axis=1, keepdims=True)
    return (held[:, :, None] & of_house[None]).any(axis=1) | empty


def _spread_credit(found: _Found) -> tuple[Outcome, Steps]:
    programme = found.programme
    credit = spread_credit(
        found.own, found.joint.legs, found.houses.look_through, programme.matching, programme.saving
    )
    return _with_one_name(found, credit.outcome, "credit of matched positions")


def _with_one_name(found: _Found, outcome: Outcome, name: str) -> tuple[Outcome, Steps]:
    """Return an outcome with what one name at several houses costs on top, and the steps to it."""
    extra = _concentration(found)
    steps = ((name, outcome.joint - found.alone), (ONE_NAME, extra))
    concentrated = _with_concentration(outcome, extra, found)
    return concentrated, _finished(steps, concentrated)


def _transfer(found: _Found) -> tuple[Outcome, Steps]:
    """Move futures between the pots of HKCC and HKSCC; SEOCH's leg stands aside, and bounds nothing."""
    own = found.own
    aside = np.where(np.arange(HOUSE_COUNT) == SEOCH, own, 0)
    moved = transferred(found.programme, found.houses, found.joint)
    parts = np.where(moved.any_moved[:, None], moved.parts, own - aside)
    parts[:, SEOCH] = 0
    asked = parts.sum(axis=1)
    replaced = np.where(moved.any_moved, moved.long_before - own[:, HKSCC], 0)
    pots = one_pot(own - aside, asked, parts, found.programme.saving, model="expected_shortfall")
    outcome = replace(pots, own=own, reduced=pots.reduced + aside, joint=pots.joint + aside.sum(axis=1))
    steps = (
        ("change to the joint model", replaced),
        ("futures moved to the longer pot", outcome.joint - found.alone - replaced),
    )
    return outcome, _finished(steps, outcome)


def _one_pot(found: _Found) -> tuple[Outcome, Steps]:
    programme, own = found.programme, found.own
    pooled = _joint_risk(found)
    basis = found.houses.look_through.basis_charge(found.joint.union, programme.joint.basis_charge)
    extra = _concentration(found)
    parts = pooled.parts + _on_legs(basis, own, found.joint) + _of_one_name(extra, own, found.joint)
    outcome = one_pot(
        own,
        pooled.risk + basis + extra,
        parts,
        programme.saving,
        floor=programme.attribution.floor,
        model=pooled.model,
        lone=programme.mode == "merged_ccp",
    )
    return outcome, _finished((*pooled.steps, ("basis charge", basis), (ONE_NAME, extra)), outcome)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pooled:
    """Margin of all legs as one, by which model, each house's part of it, and the steps to it."""

    risk: Amounts
    model: str
    parts: Float64[np.ndarray, "accounts houses"]
    steps: Steps


def _joint_risk(found: _Found) -> _Pooled:
    programme, joint, alone = found.programme, found.joint, found.alone
    tails = _tails(found)
    if programme.joint.combine == "joint":
        risk, model = tails.subsets[:, -1], "expected_shortfall"
        pieces, legs = found.by_model(model).sum(axis=1), tails.alone.sum(axis=1)
        steps: Steps = (
            ("change to the joint model", pieces - alone),
            ("accounts of one owner at one house", legs - pieces),
            (OFFSET, risk - legs),
        )
    else:
        model = programme.joint.combine
        present = found.houses.present
        own = [programme.model_of(house) for house in programme.houses if house in present]
        models = tuple(dict.fromkeys(own))
        _, together = _by_models(found, models)
        risk = combined(together, model, _consulted(found, models))
        steps = ((OFFSET, risk - alone),)
    rule = programme.attribution.rule
    if rule == "euler":
        parts = tails.euler * CENTS
    else:
        split = shapley(tails.subsets) if rule == "shapley" else _on_legs(risk, found.own, joint)
        parts = split.astype(np.float64)
    return _Pooled(risk=risk, model=model, parts=parts, steps=steps)


@dataclass(frozen=True, kw_only=True, eq=False)
class LegTails:
    """The joint model's margin of every subset of legs in hundredths, and Euler's parts in units of currency."""

    subsets: Int64[np.ndarray, "accounts subsets"]
    euler: Float64[np.ndarray, "accounts houses"]

    @property
    def alone(self) -> Int64[np.ndarray, "accounts houses"]:
        """Margin of each leg by itself."""
        return self.subsets[:, 1 << np.arange(HOUSE_COUNT)]


def _tails(found: _Found) -> LegTails:
    return leg_tails_of(found.houses, found.joint, found.joint.legs, found.horizon)


def leg_tails_of(houses: Houses, joint: JointAccounts, legs: Books, horizon: str) -> LegTails:
    """Return what the joint model says of legs, each joint account × 3 + house.

    A gross account has one leg, whose positions are margined one by one.
    """
    model = houses.joint_model(horizon)
    subsets = np.zeros((joint.count, 1 << HOUSE_COUNT), np.int64)
    euler = np.zeros((joint.count, HOUSE_COUNT))
    gross = legs.gross.reshape(-1, HOUSE_COUNT).any(axis=1)
    places = np.arange(legs.count).reshape(-1, HOUSE_COUNT)
    tails = joint_tails(model, legs.select(places[~gross].ravel()), HOUSES)
    subsets[~gross], euler[~gross] = tails.subsets, tails.euler
    if gross.any():
        risk = model.market_risk(legs.select(places[gross].ravel())).reshape(-1, HOUSE_COUNT)
        inside = np.arange(1 << HOUSE_COUNT)[:, None] >> np.arange(HOUSE_COUNT) & 1
        subsets[gross], euler[gross] = risk @ inside.T, risk / CENTS
    return LegTails(subsets=subsets, euler=euler)


def _concentration(found: _Found) -> Amounts:
    """Return by how much the liquidation add-on of all legs as one is above that of HKSCC's leg, at least 0.

    By HKSCC's add-on, which grows faster than a position: shares, futures and options on one name are one
    liquidation, of which HKSCC alone charges for its part today. A merged house charges it of futures and options
    alone, too. What the house's model cannot convert is left out.
    """
    programme, houses, joint = found.programme, found.houses, found.joint
    extra = np.zeros(joint.count, np.int64)
    if (
        programme.joint.concentration == "per_house"
        or houses.hkscc is None
        or "HKSCC" not in programme.houses
    ):
        return extra
    least = 0 if programme.mode == "merged_ccp" else 1
    several = np.flatnonzero(joint.has_leg.sum(axis=1) > least)
    union = joint.union.select(several).only(houses.hkscc.can_margin)
    shares = joint.legs.select(several * HOUSE_COUNT + HKSCC).only(houses.hkscc.can_margin)
    extra[several] = np.maximum(houses.hkscc.liquidation(union) - houses.hkscc.liquidation(shares), 0)
    return extra


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


def _with_concentration(outcome: Outcome, extra: Amounts, found: _Found) -> Outcome:
    """Return an outcome in which houses ask for what one name at several houses costs on top.

    No more than was saved, unless the programme calls increases.
    """
    if not extra.any():
        return outcome
    called = found.programme.saving.allow_increase
    added = extra if called else np.minimum(extra, np.maximum(outcome.saving, 0))
    reduced = outcome.reduced + _of_one_name(added, outcome.own, found.joint)
    undone = (extra > 0) & (reduced.sum(axis=1) >= outcome.own.sum(axis=1))
    name = "joint margin is higher" if called else "no worse off"
    return replace(
        outcome,
        reduced=reduced,
        joint=outcome.joint + extra,
        binding=np.where(undone, BINDING[name], outcome.binding),
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
