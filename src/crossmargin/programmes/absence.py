"""Houses whose files are missing today, and what joint accounts with a leg there save meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from crossmargin.errors import BadRecord, InputError
from crossmargin.models.market import HOUSES
from crossmargin.programmes.books import make_books
from crossmargin.programmes.joint_margin import Kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossmargin.programmes.eligibility import JointAccounts
    from crossmargin.programmes.houses import Houses
    from crossmargin.programmes.programme import Programme
    from crossmargin.programmes.result import ProgrammeResult

__all__ = ["Absence"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Absence:
    """What is not known today.

    Parameters
    ----------
    accounts : ndarray of bool, shape (accounts,)
        Accounts at a house whose file is missing.
    last_shares : dict of str to float
        Saving of each joint account on the last good day, as a share of its stand-alone sum.
    """

    accounts: Bool[np.ndarray, " accounts"]
    last_shares: dict[str, float]

    @classmethod
    def of(cls, houses: Houses, missing: Sequence[str], last_good: ProgrammeResult | None) -> Absence:
        """Return what is not known where the files of some houses are missing.

        Raises
        ------
        InputError
            If a name is none of the houses'.
        """
        rule = f"one of {', '.join(HOUSES)}"
        if bad := [
            BadRecord(file="missing", line=0, field="", value=name, rule=rule)
            for name in missing
            if name not in HOUSES
        ]:
            raise InputError(bad)
        shares = (
            {}
            if last_good is None
            else dict(last_good.joint_accounts.select("joint_account", "share").iter_rows())
        )
        return cls(
            accounts=houses.accounts.table["house"].is_in(list(missing)).to_numpy(), last_shares=shares
        )

    def known(self, houses: Houses) -> Houses:
        """Return the houses with only the books that are known."""
        if not self.accounts.any():
            return houses
        books = houses.accounts.books
        book = books.book
        held = ~self.accounts[book]
        known = make_books(
            book[held], books.rows[held], books.quantities[held], count=books.count, gross=books.gross
        )
        return houses.holding(replace(houses.accounts, books=known))

    def waiting(self, joint: JointAccounts) -> Bool[np.ndarray, " joint_accounts"]:
        """Return which joint accounts have a leg that is not known."""
        found = np.zeros(joint.count, bool)
        found[joint.of_account[self.accounts & (joint.of_account >= 0)]] = True
        return found

    def kept(self, programme: Programme, joint: JointAccounts) -> Kept | None:
        """Return what joint accounts save meanwhile; None where every file is there."""
        if not self.accounts.any():
            return None
        last = self.last_shares if programme.counterpart_missing == "last_good" else {}
        shares = [min(max(last.get(name, 0.0), 0.0), 1.0) for name in joint.names]
        return Kept(waiting=self.waiting(joint), share=np.array(shares, np.float64))
