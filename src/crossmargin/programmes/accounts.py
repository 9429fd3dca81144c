"""The accounts of a market on one day, numbered, with what each holds as a book."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from jaxtyping import Bool, Int64

from crossmargin.errors import BadRecord, InputError
from crossmargin.models.market import HOUSES
from crossmargin.programmes.books import Books, make_books
from crossmargin.programmes.holders import Holders, holders_of

if TYPE_CHECKING:
    from crossmargin.models.market import Market
    from crossmargin.models.revaluation.snapshot import Snapshot

__all__ = ["ClearingAccounts", "clearing_accounts"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ClearingAccounts:
    """Accounts in the order of their names, and their books.

    Parameters
    ----------
    table : DataFrame
        ``account``, ``participant``, ``group``, ``house``, ``type``, ``basis``, ``owner``, ``consent``.
    books : Books
        What each account holds.
    """

    table: pl.DataFrame
    books: Books

    @cached_property
    def house(self) -> Int64[np.ndarray, " accounts"]:
        """Place of each account's house in ``HOUSES``."""
        return numbered(self.table["house"], HOUSES)

    @cached_property
    def participants(self) -> tuple[str, ...]:
        """Participants with an account, in order."""
        return tuple(self.table["participant"].unique().sort())

    @cached_property
    def participant(self) -> Int64[np.ndarray, " accounts"]:
        """Place of each account's participant in ``participants``."""
        return numbered(self.table["participant"], self.participants)

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Groups of participants with an account, in order."""
        return tuple(self.table["group"].unique().sort())

    @cached_property
    def group(self) -> Int64[np.ndarray, " accounts"]:
        """Place of each account's group in ``groups``."""
        return numbered(self.table["group"], self.groups)

    @cached_property
    def owners(self) -> Holders:
        """Who holds the accounts: owners, those of one name in two groups apart."""
        return holders_of(self.table, by_owner=True)

    @cached_property
    def holding_groups(self) -> Holders:
        """Who holds the accounts, all of a group as one."""
        return holders_of(self.table, by_owner=False)

    @cached_property
    def group_of_participant(self) -> Int64[np.ndarray, " participants"]:
        """Place of each participant's group in ``groups``."""
        found = np.zeros(len(self.participants), np.int64)
        found[self.participant] = self.group
        return found

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of accounts and what they hold."""
        digest = hashlib.sha256(self.table.write_csv().encode())
        for column in (self.books.starts, self.books.rows, self.books.quantities, self.books.gross):
            digest.update(np.ascontiguousarray(column).data)
        return digest.hexdigest()

    def at(self, house: str) -> Bool[np.ndarray, " accounts"]:
        """Return which accounts are at a house."""
        return self.house == HOUSES.index(house)

    def __len__(self) -> int:
        return len(self.table)


def clearing_accounts(
    market: Market,
    snapshot: Snapshot,
    positions: pl.DataFrame | None = None,
    *,
    only: pl.Series | None = None,
) -> ClearingAccounts:
    """Return the accounts of a market, numbered, with their books.

    Parameters
    ----------
    market : Market
        Participants and accounts.
    snapshot : Snapshot
        Instruments with marks, of the day.
    positions : DataFrame, optional
        ``account``, ``instrument``, ``quantity``, one row a pair; those of the market on the day unless given.
    only : Series of str, optional
        Accounts that are wanted; all unless given.

    Raises
    ------
    InputError
        Listing every position in an instrument without a mark, with the reason.
    """
    groups = market["participants"].select("participant", "group")
    table = market["accounts"].join(groups, on="participant", how="left", maintain_order="left")
    table = table if only is None else table.filter(pl.col("account").is_in(only.implode()))
    table = table.with_columns(pl.col("group").fill_null(pl.col("participant"))).sort("account")
    held = market.positions_on(snapshot.as_of) if positions is None else positions
    rows = snapshot.instruments.select("instrument").with_row_index("row")
    placed = held.join(rows, on="instrument", how="left", maintain_order="left")
    if bad := [_unmarked(placed, at, snapshot) for at in placed["row"].is_null().arg_true().to_list()]:
        raise InputError(bad)
    names = table.select("account").with_row_index("number")
    numbers = placed.join(names, on="account", how="left", maintain_order="left")["number"]
    return ClearingAccounts(
        table=table.select("account", "participant", "group", "house", "type", "basis", "owner", "consent"),
        books=make_books(
            numbers.to_numpy().astype(np.int64),
            placed["row"].to_numpy().astype(np.int32),
            placed["quantity"].to_numpy(),
            count=len(table),
            gross=(table["basis"] == "gross").to_numpy(),
        ),
    )


def numbered(names: pl.Series, known: tuple[str, ...]) -> Int64[np.ndarray, " names"]:
    """Return the place of each name among those known."""
    if not len(names):
        return np.zeros(0, np.int64)
    places = names.replace_strict(list(known), list(range(len(known))), return_dtype=pl.Int64)
    return places.to_numpy()


def _unmarked(placed: pl.DataFrame, at: int, snapshot: Snapshot) -> BadRecord:
    account, instrument = placed.select("account", "instrument").row(at)
    why = snapshot.findings.filter(subject=instrument, action="left out")["kind"]
    rule = "an instrument with a mark" + (f"; it was left out: {why[0]}" if len(why) else "")
    value = f"{account}: {instrument}"
    return BadRecord(file="positions", line=0, field="instrument", value=value, rule=rule)
