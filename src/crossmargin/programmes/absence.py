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
    last_shares : dict of str to tuple of float
        Saving of each house on each joint account on the last good day, as a share of its stand-alone margin.
    """

    accounts: Bool[np.ndarray, " accounts"]
    last_shares: dict[str, tuple[float, ...]]

    @classmethod
    def of(
        cls,
        houses: Houses,
        missing: Sequence[str],
        programme: Programme | None = None,
        last_good: ProgrammeResult | None = None,
    ) -> Absence:
        """Return what is not known where the files of some houses are missing.

        Raises
        ------
        InputError
            If a name is none of the houses', or the last good result is another programme's or of a later day.
        """
        rule = f"one of {', '.join(HOUSES)}"
        bad = [_bad("missing", name, rule) for name in missing if name not in HOUSES]
        if last_good is not None and not _same(last_good.programme, programme):
            bad.append(_bad("last_good", last_good.programme.name, "a result of the same programme"))
        if last_good is not None and last_good.as_of > houses.as_of:
            bad.append(_bad("last_good", str(last_good.as_of), f"a day up to {houses.as_of}"))
        if bad:
            raise InputError(bad)
        return cls(
            accounts=houses.accounts.table["house"].is_in(list(missing)).to_numpy(),
            last_shares={} if last_good is None else _shares(last_good),
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
        nothing = (0.0,) * len(HOUSES)
        shares = np.array([last.get(name, nothing) for name in joint.names], np.float64)
        most = min(programme.saving.cap, 1.0)
        return Kept(waiting=self.waiting(joint), share=np.clip(shares.reshape(-1, len(HOUSES)), 0.0, most))


def _same(last: Programme, programme: Programme | None) -> bool:
    """Say whether two programmes save alike: whatever they do while a file is missing."""
    return programme is not None and last == replace(programme, counterpart_missing=last.counterpart_missing)


def _shares(last_good: ProgrammeResult) -> dict[str, tuple[float, ...]]:
    """Return what each house gave on each joint account, as a share of its own stand-alone margin."""
    columns = [f"{part}:{house}" for house in HOUSES for part in ("stand_alone", "left")]
    rows = last_good.joint_accounts.select("joint_account", *columns).iter_rows()
    return {
        name: tuple(
            float(1 - left / alone) if alone else 0.0
            for alone, left in zip(amounts[::2], amounts[1::2], strict=True)
        )
        for name, *amounts in rows
    }


def _bad(file: str, value: str, rule: str) -> BadRecord:
    return BadRecord(file=file, line=0, field="", value=value, rule=rule)
