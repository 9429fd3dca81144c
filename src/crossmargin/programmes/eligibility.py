"""Who may be margined together: which accounts and positions join which joint account, and why others do not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Int64

from crossmargin.models.market import HOUSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.programmes.accounts import ClearingAccounts
    from crossmargin.programmes.books import Books
    from crossmargin.programmes.programme import Eligibility, Programme

__all__ = ["HOUSE_COUNT", "JointAccounts", "joint_accounts", "without_opinion"]

HOUSE_COUNT: Final = len(HOUSES)
CASH: Final = HOUSES.index("HKSCC")
SHARES_ALONE: Final = "shares alone stay in the participant's net"
LONE: Final = "nothing to join it with at another house"


@dataclass(frozen=True, kw_only=True, eq=False)
class JointAccounts:
    """Joint accounts: legs at several houses that are margined together.

    Parameters
    ----------
    names : tuple of str
        The owner's, with the group's before it where two groups have one of that name; or the group's; or
        that of an account on a gross basis.
    of_account : ndarray of int64, shape (accounts,)
        Joint account of each clearing account; −1 where it is in none.
    houses : ndarray of int64, shape (accounts,)
        House of each clearing account, a place in ``HOUSES``.
    why_not : tuple of str
        Why each account is in none; empty where it is in one.
    parts : Books
        What each clearing account brings into its joint account; nothing where it is in none.
    legs : Books
        The same by ``joint account × 3 + house``, houses as in ``HOUSES``; an owner's accounts at a house as one.
    rest : Books
        What each clearing account keeps outside.
    """

    names: tuple[str, ...]
    of_account: Int64[np.ndarray, " accounts"]
    houses: Int64[np.ndarray, " accounts"]
    why_not: tuple[str, ...]
    parts: Books
    legs: Books
    rest: Books

    @property
    def count(self) -> int:
        """How many joint accounts there are."""
        return len(self.names)

    @cached_property
    def union(self) -> Books:
        """All positions of each joint account as one book."""
        return self.legs.regrouped(np.arange(self.legs.count) // HOUSE_COUNT, self.count)

    @cached_property
    def has_leg(self) -> Bool[np.ndarray, "joint_accounts houses"]:
        """Whether an account at each house brings a position, though an owner's accounts may net to nothing."""
        found = np.zeros((self.count, HOUSE_COUNT), bool)
        held = np.flatnonzero((self.of_account >= 0) & (np.diff(self.parts.starts) > 0))
        found[self.of_account[held], self.houses[held]] = True
        return found


def joint_accounts(
    programme: Programme,
    accounts: ClearingAccounts,
    snapshot: Snapshot,
    can_margin: Bool[np.ndarray, " instruments"],
    refused: Sequence[str] | None = None,
    unknown: Bool[np.ndarray, " accounts"] | None = None,
) -> JointAccounts:
    """Join accounts as a programme admits.

    A merged house margins the accounts of an owner with futures or options together, whatever their type and
    consent, and has joint accounts of one account too; an account on a gross basis is margined there by itself,
    position by position. Shares of owners who hold nothing else stay in the participant's net, as they are
    settled in it.

    Parameters
    ----------
    programme : Programme
        Its mode, houses and eligibility.
    accounts : ClearingAccounts
        All accounts.
    snapshot : Snapshot
        Instruments.
    can_margin : ndarray of bool, shape (instruments,)
        Whether every model that the programme uses can margin an instrument; others stay outside.
    refused : sequence of str, optional
        For each account why it is kept out for a reason found elsewhere; empty where it is not.
    unknown : ndarray of bool, shape (accounts,), optional
        Accounts whose positions are not known today: they are taken to hold something that may join.
    """
    merged = programme.mode == "merged_ccp"
    why = _refusals(programme, accounts, merged=merged)
    if refused is not None:
        why = np.where(why == "", np.array(refused, dtype=object), why)
    admitted = _admitted(programme.eligibility, snapshot) & can_margin
    books = accounts.books
    book = books.book
    positions = admitted[books.rows] & (why == "")[book]
    held = np.bincount(book[positions], minlength=len(accounts)) > 0
    held |= False if unknown is None else unknown
    why[(why == "") & ~held] = "no eligible position"
    names, number = _across_houses(*_linked(programme, accounts, why == ""), accounts.house, merged=merged)
    why[(why == "") & (number < 0)] = SHARES_ALONE if merged else LONE
    joined = positions & (number >= 0)[book]
    parts = books.where(joined)
    legs = np.where(number >= 0, number * HOUSE_COUNT + accounts.house, -1)
    return JointAccounts(
        names=names,
        of_account=number,
        houses=accounts.house,
        why_not=tuple(np.where(number >= 0, "", why).tolist()),
        parts=parts,
        legs=parts.regrouped(legs, len(names) * HOUSE_COUNT),
        rest=books.where(~joined),
    )


def _refusals(programme: Programme, accounts: ClearingAccounts, *, merged: bool) -> np.ndarray:
    """Return of each account the first switch that keeps it out, empty where none does."""
    rules, table = programme.eligibility, accounts.table
    why = np.full(len(accounts), "", dtype=object)
    if not merged:
        gross = accounts.books.gross
        other_type = ~table["type"].is_in(rules.account_types).to_numpy()
        why[(table["consent"] == 0).to_numpy() & rules.consent] = "the owner has not agreed"
        why[other_type] = "an account type that may not join"
        why[gross] = "gross basis: clients' positions do not offset"
    why[~table["house"].is_in(programme.houses).to_numpy()] = "its house takes no part"
    if programme.mode == "silo":
        why[:] = "each house alone"
    return why


def _admitted(rules: Eligibility, snapshot: Snapshot) -> Bool[np.ndarray, " instruments"]:
    """Return which instruments the product list admits."""
    table = snapshot.instruments
    admitted = table["kind"].is_in(rules.kinds) & ~table["instrument"].is_in(rules.without_instruments)
    if rules.underlyings:
        admitted &= table["underlying"].is_in(rules.underlyings)
    return admitted.to_numpy()


def _linked(
    programme: Programme, accounts: ClearingAccounts, eligible: Bool[np.ndarray, " accounts"]
) -> tuple[tuple[str, ...], Int64[np.ndarray, " accounts"]]:
    """Return names of the groups of eligible accounts that belong together, and each account's place there."""
    by_owner = programme.eligibility.same_owner or programme.mode == "merged_ccp"
    known = accounts.owners if by_owner else accounts.holding_groups
    used, kept = np.unique(known.number[eligible], return_inverse=True)
    places = np.full(len(accounts), -1)
    places[eligible] = kept
    return tuple(known.names.gather(used)), places


def _across_houses(
    names: tuple[str, ...],
    number: Int64[np.ndarray, " accounts"],
    house: Int64[np.ndarray, " accounts"],
    *,
    merged: bool,
) -> tuple[tuple[str, ...], Int64[np.ndarray, " accounts"]]:
    """Keep the joint accounts that have legs at two houses or more; in a merged house, those not of shares alone."""
    present = np.zeros((len(names), HOUSE_COUNT), bool)
    inside = number >= 0
    present[number[inside], house[inside]] = True
    kept = present[:, np.arange(HOUSE_COUNT) != CASH].any(axis=1) if merged else present.sum(axis=1) > 1
    place = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)
    return tuple(np.array(names, dtype=object)[kept]), place[number]  # −1 takes the last


def without_opinion(
    joint: JointAccounts,
    own: Int64[np.ndarray, "joint_accounts houses"],
    pairs: Sequence[str],
    accounts: ClearingAccounts,
) -> list[str]:
    """Say which accounts are kept out as netting between their houses is not held enforceable.

    Of the sets of houses that may net with each other, a joint account keeps the one with the largest
    stand-alone margin at two houses or more; of equal ones that with the earlier houses.

    Parameters
    ----------
    joint : JointAccounts
        Joint as if netting were enforceable everywhere.
    own : ndarray of int64, shape (joint accounts, houses)
        Stand-alone margin of each leg.
    pairs : sequence of str
        Pairs without an opinion, as in "HKSCC-SEOCH".
    accounts : ClearingAccounts
        All accounts.
    """
    barred = {frozenset(pair.split("-")) for pair in pairs}
    sets = [
        np.isin(range(HOUSE_COUNT), chosen)
        for size in range(HOUSE_COUNT, 0, -1)
        for chosen in combinations(range(HOUSE_COUNT), size)
        if not any(frozenset((HOUSES[a], HOUSES[b])) in barred for a, b in combinations(chosen, 2))
    ]
    margins, legs = own @ np.array(sets).T, joint.has_leg.astype(np.int64) @ np.array(sets).T
    kept = np.array(sets)[np.argmax(np.where(legs > 1, margins, -1), axis=1)]
    number = joint.of_account
    out = (number >= 0) & ~kept[number, accounts.house]
    reasons = np.where(out, "no netting opinion between the houses", "")
    return reasons.tolist()
