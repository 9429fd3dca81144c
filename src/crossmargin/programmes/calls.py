"""What each house calls: today, and under a programme, from market risk on through its order of operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64

from crossmargin.models.market import HOUSES
from crossmargin.programmes.apportionment import apportioned
from crossmargin.programmes.eligibility import HOUSE_COUNT

if TYPE_CHECKING:
    from crossmargin.programmes.accounts import ClearingAccounts
    from crossmargin.programmes.eligibility import JointAccounts
    from crossmargin.programmes.houses import Houses
    from crossmargin.programmes.joint_margin import JointMargin
    from crossmargin.programmes.outcome import Outcome

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


def calls_of_programme(houses: Houses, joint: JointAccounts, margin: JointMargin) -> Calls:
    """Return what each house calls where joint accounts are left with what an outcome says.

    HKSCC's order of operations starts from the market risk of what a participant keeps outside joint
    accounts plus what its joint accounts are left with; PRiME's takes the option value off.
    """
    accounts = houses.accounts
    called, risk = np.zeros((2, len(accounts)), np.int64)
    _call_options(houses, joint, margin.outcome, called, risk)
    in_legs = _parts_of_legs(houses, joint, margin.outcome.reduced)
    cash = np.flatnonzero(accounts.at("HKSCC"))
    participant = accounts.participant[cash]
    market_risk = margin.outside.copy()
    np.add.at(market_risk, participant, in_legs[cash])
    weights = in_legs[cash] + _rest_alone(houses, joint)[cash]
    called[cash] = apportioned(houses.hkscc_requirement(market_risk), weights, participant)
    risk[cash] = apportioned(market_risk, weights, participant)
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
    outcome: Outcome,
    called: Int64[np.ndarray, " accounts"],
    risk: Int64[np.ndarray, " accounts"],
) -> None:
    """Add what HKCC and SEOCH call of each account: of its part in a leg, and of what stays outside."""
    accounts = houses.accounts
    options = np.flatnonzero(~accounts.at("HKSCC"))
    if not options.size:
        return
    _call_rest(houses, joint, options, called, risk)
    prime = houses.prime_model
    legs = np.flatnonzero((np.arange(joint.legs.count) % HOUSE_COUNT != HKSCC) & joint.has_leg.ravel())
    left = outcome.reduced.ravel()[legs]
    value = prime.accounts(joint.legs.select(legs)).option_value
    for into, totals in ((called, prime.requirement(left, value)), (risk, left)):
        whole = np.zeros(joint.legs.count, np.int64)
        whole[legs] = totals
        members, leg = _members(joint, accounts, options)
        into[members] += apportioned(whole, houses.account_risk[members], leg)


def _call_rest(
    houses: Houses,
    joint: JointAccounts,
    options: Int64[np.ndarray, " n"],
    called: Int64[np.ndarray, " accounts"],
    risk: Int64[np.ndarray, " accounts"],
) -> None:
    """Add what HKCC and SEOCH call of what stays outside: of an account that does not join, what they call today."""
    alone = joint.of_account[options] < 0
    today = houses.prime_today
    called[options[alone]] += today.requirement[alone]
    risk[options[alone]] += today.risk[alone]
    partly = options[~alone & (np.diff(joint.rest.starts)[options] > 0)]
    rest = houses.prime_model.accounts(joint.rest.select(partly))
    called[partly] += rest.requirement
    risk[partly] += rest.risk


def _parts_of_legs(
    houses: Houses, joint: JointAccounts, amounts: Int64[np.ndarray, "joint_accounts houses"]
) -> Int64[np.ndarray, " accounts"]:
    """Return each joined account's part of an amount by leg, by stand-alone market risk."""
    parts = np.zeros(len(houses.accounts), np.int64)
    members, leg = _members(joint, houses.accounts, np.arange(len(houses.accounts)))
    parts[members] = apportioned(amounts.ravel(), houses.account_risk[members], leg)
    return parts


def _members(
    joint: JointAccounts, accounts: ClearingAccounts, among: Int64[np.ndarray, " n"]
) -> tuple[Int64[np.ndarray, " members"], Int64[np.ndarray, " members"]]:
    """Return the joined accounts among some, and the leg of each."""
    members = among[joint.of_account[among] >= 0]
    return members, joint.of_account[members] * HOUSE_COUNT + accounts.house[members]


def _by_participant(
    amounts: Int64[np.ndarray, " accounts"], accounts: ClearingAccounts
) -> Int64[np.ndarray, "participants houses"]:
    table = np.zeros((len(accounts.participants), HOUSE_COUNT), np.int64)
    np.add.at(table, (accounts.participant, accounts.house), amounts)
    return table
