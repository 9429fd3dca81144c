"""Whose loss a margin pays for: the units in which a default is settled, and what each holds and has posted.

A unit's gains pay its own losses and nobody else's. At HKCC and SEOCH it is an owner's accounts at a house within a
group of participants; of an account on a gross basis, whose clients are not told apart, each position. HKSCC
margins what a participant holds in all, and that is the unit there. What a programme margins together is one unit
with a leg at each house.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64, Int64

from crossmargin.core.apportionment import apportioned
from crossmargin.core.rounding import exact_sums, to_minor
from crossmargin.models.market import HOUSES
from crossmargin.programmes.books import Books
from crossmargin.programmes.frames import DECIMALS

if TYPE_CHECKING:
    from crossmargin.programmes.calls import Calls
    from crossmargin.programmes.eligibility import JointAccounts
    from crossmargin.programmes.houses import Houses

__all__ = ["LossUnits", "covers_of_accounts", "loss_units"]

HOUSE_COUNT = len(HOUSES)


@dataclass(frozen=True, kw_only=True, eq=False)
class LossUnits:
    """Units; amounts in hundredths of the market's currency.

    Parameters
    ----------
    leg : ndarray of int64, shape (positions,)
        Of each position of the accounts, its unit × 3 + its house.
    rows : ndarray of int64, shape (positions,)
        Row of its instrument in the snapshot's.
    quantities : ndarray of int64, shape (positions,)
        + long, − short.
    margin, stand_alone : ndarray of int64, shape (units, houses)
        What covers the losses of each leg under the arrangement, and today; see ``covers_of_accounts``.
    group, participant : ndarray of int64, shape (units,)
        Place of the unit's group, and of its (first) participant, among the accounts'.
    joint : ndarray of bool, shape (units,)
        Whether its legs are margined together.
    """

    leg: Int64[np.ndarray, " positions"]
    rows: Int64[np.ndarray, " positions"]
    quantities: Int64[np.ndarray, " positions"]
    margin: Int64[np.ndarray, "units houses"]
    stand_alone: Int64[np.ndarray, "units houses"]
    group: Int64[np.ndarray, " units"]
    participant: Int64[np.ndarray, " units"]
    joint: Bool[np.ndarray, " units"]

    def losses(self, pnl: Float64[np.ndarray, " instruments"]) -> Int64[np.ndarray, "units houses"]:
        """Return the loss of each leg, gains negative, from the profit and loss of one long unit of each instrument.

        Each position is rounded to the hundredth by itself, so that losses are the same however positions are
        put together.

        Raises
        ------
        RangeError
            If an amount does not fit into 64 bits.
        """
        lost = to_minor(-self.quantities * pnl[self.rows], DECIMALS)
        return exact_sums(lost, self.leg, self.margin.size).reshape(self.margin.shape)


def covers_of_accounts(houses: Houses, calls: Calls) -> Int64[np.ndarray, " accounts"]:
    """Return what covers each account's losses: what its house calls, and the value of the options it holds.

    A house takes the value of long options off what it calls, and their loss is a loss of that value; of short options
    it calls the value on top. At least 0.
    """
    cover = calls.accounts.copy()
    options = np.flatnonzero(~houses.accounts.at("HKSCC"))
    if options.size:
        cover[options] += houses.prime_today.option_value
    return cover


def loss_units(
    houses: Houses, calls: Calls, joint: JointAccounts | None = None, *, client_gains: bool = False
) -> LossUnits:
    """Return the units of an arrangement.

    Parameters
    ----------
    houses : Houses
        The houses on the day.
    calls : Calls
        What they call under the arrangement.
    joint : JointAccounts, optional
        What is margined together: all positions of an account that joins, those that stay outside too.
    client_gains : bool
        Whether all of a group is one unit, as if gains of one client could pay another's losses.
    """
    accounts, books = houses.accounts, houses.accounts.books
    key, apart, together = _keys(houses, joint, client_gains=client_gains)
    known, at = np.unique(key[~apart], return_inverse=True)
    unit = np.full(len(accounts), -1, np.int64)
    unit[~apart] = at
    book = books.book
    single = np.flatnonzero(apart[book])
    of_position = unit[book]
    of_position[single] = known.size + np.arange(single.size)
    count = known.size + single.size
    owner = np.concatenate([np.flatnonzero(~apart), book[single]])
    units = np.concatenate([at, of_position[single]])
    covers = [covers_of_accounts(houses, one) for one in (calls, houses.today)]
    of_units = [np.concatenate([cover[~apart], _split(houses, cover, single)]) for cover in covers]
    margin, stand_alone = (_by_leg(amount, units, accounts.house[owner], count) for amount in of_units)
    first = np.full(count, len(accounts.participants), np.int64)
    np.minimum.at(first, units, accounts.participant[owner])
    return LossUnits(
        leg=of_position * HOUSE_COUNT + accounts.house[book],
        rows=books.rows.astype(np.int64),
        quantities=books.quantities,
        margin=margin,
        stand_alone=stand_alone,
        group=accounts.group_of_participant[first],
        participant=first,
        joint=np.bincount(units, together[owner], count) > 0,
    )


def _by_leg(
    amounts: Int64[np.ndarray, " n"],
    units: Int64[np.ndarray, " n"],
    houses: Int64[np.ndarray, " n"],
    count: int,
) -> Int64[np.ndarray, "units houses"]:
    total = np.zeros((count, HOUSE_COUNT), np.int64)
    np.add.at(total, (units, houses), amounts)
    return total


def _split(
    houses: Houses, amounts: Int64[np.ndarray, " accounts"], single: Int64[np.ndarray, " single"]
) -> Int64[np.ndarray, " single"]:
    """Divide the amounts of accounts among some of their positions, by what each is margined by itself today."""
    accounts, books = houses.accounts, houses.accounts.books
    account = books.book[single]
    alone = Books(
        starts=np.arange(single.size + 1),
        rows=books.rows[single],
        quantities=books.quantities[single],
        gross=np.zeros(single.size, bool),
    )
    weights = np.zeros(single.size, np.int64)
    cash = accounts.at("HKSCC")[account]
    for mine, model in ((cash, "hkscc_var"), (~cash, "prime")):
        if mine.any():
            weights[mine] = houses.market_risk(model, alone.select(np.flatnonzero(mine)))
    held = np.bincount(account, minlength=len(accounts)) > 0
    return apportioned(np.where(held, amounts, 0), weights, account)


def _keys(
    houses: Houses, joint: JointAccounts | None, *, client_gains: bool
) -> tuple[Int64[np.ndarray, " accounts"], Bool[np.ndarray, " accounts"], Bool[np.ndarray, " accounts"]]:
    """Return what tells the units of accounts apart, which accounts are one a position, and which are margined jointly."""
    accounts = houses.accounts
    cash, people = accounts.at("HKSCC"), len(accounts.participants)
    owners = accounts.owners
    key = np.where(cash, accounts.participant, people + owners.number)
    apart = accounts.books.gross & ~cash
    together = np.zeros(len(accounts), bool)
    if joint is not None:
        together = joint.of_account >= 0
        key = np.where(together, people + len(owners.names) + joint.of_account, key)
        apart = accounts.books.gross & (~cash | together)
    if client_gains:
        return accounts.group, np.zeros(len(accounts), bool), together
    return key, apart, together
