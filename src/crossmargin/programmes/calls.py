"""What each house calls: today, and under a programme, from market risk on through its order of operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64

from crossmargin.core.apportionment import apportioned
from crossmargin.models.market import HOUSES
from crossmargin.programmes.eligibility import HOUSE_COUNT

if TYPE_CHECKING:
    from crossmargin.programmes.accounts import ClearingAccounts
    from crossmargin.programmes.eligibility import JointAccounts
    from crossmargin.programmes.houses import Houses
    from crossmargin.programmes.joint_margin import JointMargin
    from crossmargin.programmes.programme import Programme

__all__ = ["Calls", "calls_of_programme", "calls_of_today"]

HKSCC = HOUSES.index("HKSCC")


@dataclass(frozen=True, kw_only=True, eq=False)
class Calls:
    """Requirements in hundredths of the market's currency.

    Parameters
    ----------
    participants : ndarray of int64, shape (participants, houses)
        What each house calls of each participant.
    accounts : ndarray of int64, shape (accounts,)
        Each account's part: those of a participant at a house add up to its requirement.
    market_risk : ndarray of int64, shape (participants, houses)
        What of it is market risk before the house's order of operations: rounding, marks, option values,
        credits and add-ons come after it.
    """

    participants: Int64[np.ndarray, "participants houses"]
    accounts: Int64[np.ndarray, " accounts"]
    market_risk: Int64[np.ndarray, "participants houses"]

    @property
    def houses(self) -> Int64[np.ndarray, " houses"]:
        """What each house calls in all."""
        return self.participants.sum(axis=0)


def calls_of_today(houses: Houses) -> Calls:
    """Return what each house calls today, by its own rules, to the cent."""
    accounts = houses.accounts
    called = np.zeros(len(accounts), np.int64)
    risk = np.zeros(len(accounts), np.int64)
    options = np.flatnonzero(~accounts.at("HKSCC"))
    if options.size:
        called[options], risk[options] = houses.prime_today.requirement, houses.prime_today.risk
    cash = np.flatnonzero(accounts.at("HKSCC"))
    weights, market_risk = houses.account_risk[cash], houses.hkscc_risk_today
    total = houses.hkscc_requirement(market_risk)
    called[cash] = apportioned(total, weights, accounts.participant[cash])
    risk[cash] = apportioned(market_risk, weights, accounts.participant[cash])
    return Calls(
        participants=_by_participant(called, accounts),
        accounts=called,
        market_risk=_by_participant(risk, accounts),
    )


def calls_of_programme(
    programme: Programme, houses: Houses, joint: JointAccounts, margin: JointMargin
) -> Calls:
    """Return what each house calls where joint accounts are left with what an outcome says.

    Where a saving enters market risk, HKSCC's order of operations starts from what a participant keeps outside
    joint accounts plus what its joint accounts are left with, and PRiME's takes the option value off; where it
    enters the requirement, both start from market risk before the saving, which is taken off at the end.
    """
    accounts = houses.accounts
    late = programme.saving.enters == "requirement"
    called, risk = np.zeros((2, len(accounts)), np.int64)
    left = _by_account(houses, margin, margin.outcome.reduced)
    own = _by_account(houses, margin, margin.outcome.own) if late else left
    _call_rest(houses, joint, called, risk)
    _call_options(houses, joint, margin, own, called)
    cash = np.flatnonzero(accounts.at("HKSCC"))
    participant = accounts.participant[cash]
    outside = apportioned(margin.outside, _rest_alone(houses, joint)[cash], participant)
    before = np.zeros(len(accounts.participants), np.int64)
    np.add.at(before, participant, own[cash] + outside)
    called[cash] = apportioned(houses.hkscc_requirement(before), own[cash] + outside, participant)
    risk[cash] = outside
    risk += left
    called = np.maximum(called - (own - left), 0)
    return Calls(
        participants=_by_participant(called, accounts),
        accounts=called,
        market_risk=_by_participant(risk, accounts),
    )


def _rest_alone(houses: Houses, joint: JointAccounts) -> Int64[np.ndarray, " accounts"]:
    """Return the market risk by itself of what each account of HKSCC keeps outside; of the others 0."""
    accounts = houses.accounts
    risk = np.where(accounts.at("HKSCC") & (joint.of_account < 0), houses.account_risk, 0)
    partly = accounts.at("HKSCC") & (joint.of_account >= 0) & (np.diff(joint.rest.starts) > 0)
    if partly.any():
        at = np.flatnonzero(partly)
        names = [accounts.participants[place] for place in accounts.participant[at].tolist()]
        risk[partly] = houses.hkscc_risk(joint.rest.select(at), names)
    return risk


def _call_options(
    houses: Houses,
    joint: JointAccounts,
    margin: JointMargin,
    risk: Int64[np.ndarray, " accounts"],
    called: Int64[np.ndarray, " accounts"],
) -> None:
    """Add what HKCC and SEOCH call of what joins, account by account: its part of the risk less its option value."""
    members = margin.pieces.members[~houses.accounts.at("HKSCC")[margin.pieces.members]]
    if members.size:
        prime = houses.prime_model
        value = prime.accounts(joint.parts.select(members)).option_value
        called[members] += prime.requirement(risk[members], value)


def _call_rest(
    houses: Houses,
    joint: JointAccounts,
    called: Int64[np.ndarray, " accounts"],
    risk: Int64[np.ndarray, " accounts"],
) -> None:
    """Add what HKCC and SEOCH call of what stays outside: of an account that does not join, what they call today."""
    options = np.flatnonzero(~houses.accounts.at("HKSCC"))
    if not options.size:
        return
    alone = joint.of_account[options] < 0
    today = houses.prime_today
    called[options[alone]] += today.requirement[alone]
    risk[options[alone]] += today.risk[alone]
    partly = options[~alone & (np.diff(joint.rest.starts)[options] > 0)]
    rest = houses.prime_model.accounts(joint.rest.select(partly))
    called[partly] += rest.requirement
    risk[partly] += rest.risk


def _by_account(
    houses: Houses, margin: JointMargin, amounts: Int64[np.ndarray, "joint_accounts houses"]
) -> Int64[np.ndarray, " accounts"]:
    """Return each joined account's part of an amount by leg: by what each piece, and in it each account, is margined alone."""
    pieces = margin.pieces
    parts = np.zeros(len(houses.accounts), np.int64)
    if pieces.members.size:
        of_piece = apportioned(amounts.ravel(), pieces.risk, pieces.leg)
        weights = houses.account_risk[pieces.members]
        parts[pieces.members] = apportioned(of_piece, weights, pieces.of_member)
    return parts


def _by_participant(
    amounts: Int64[np.ndarray, " accounts"], accounts: ClearingAccounts
) -> Int64[np.ndarray, "participants houses"]:
    table = np.zeros((len(accounts.participants), HOUSE_COUNT), np.int64)
    np.add.at(table, (accounts.participant, accounts.house), amounts)
    return table
