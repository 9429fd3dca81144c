"""The best transfers of all joint accounts, from books, scan losses and the scenario cube.

Cost: the results of the long pot in every scenario are made once an account, in blocks of accounts that are
then searched; an account with one future takes some dozen passes over them. Accounts with more futures than
the kernels search are solved one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from crossmargin.programmes.books import Books, make_books
from crossmargin.programmes.transfer.block import Block
from crossmargin.programmes.transfer.problem import TransferResult

if TYPE_CHECKING:
    from crossmargin.programmes.programme import Transfer
    from crossmargin.programmes.transfer.block import TransferInputs

__all__ = ["Transfers", "transfers"]

BLOCK: Final = 1024
"""Accounts whose results by scenario are held at once: 8 MB for two thousand scenarios in float32."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Transfers:
    """What moves in each account, and what that comes to; amounts in units of the cube's currency.

    Parameters
    ----------
    short : Books
        The short pots as they were given.
    moved : ndarray of int64, shape (positions of ``short``,)
        Contracts of each position that move, of its sign; 0 where none do.
    before, after : ndarray of float64, shape (accounts, 2)
        What the short and the long pot ask for, by the scan and the tails alone.
    lower_bound : ndarray of float64, shape (accounts,)
        No transfer of whole contracts asks for less, to the solver's accuracy.
    exact : ndarray of bool, shape (accounts,)
        Whether the transfer was searched until it was proven best.
    """

    short: Books
    moved: Int64[np.ndarray, " positions"]
    before: Float64[np.ndarray, "accounts 2"]
    after: Float64[np.ndarray, "accounts 2"]
    lower_bound: Float64[np.ndarray, " accounts"]
    exact: Bool[np.ndarray, " accounts"]

    @property
    def kept(self) -> Books:
        """What is left in the short pots."""
        return self._books(self.short.quantities - self.moved)

    @property
    def taken(self) -> Books:
        """What moves into the long pots."""
        return self._books(self.moved)

    def _books(self, quantities: Int64[np.ndarray, " positions"]) -> Books:
        short = self.short
        return make_books(short.book, short.rows, quantities, count=short.count, gross=short.gross)

    def of(self, account: int) -> TransferResult:
        """Return one account's transfer; ``moved`` has a place for each of its positions in the short pot."""
        return TransferResult(
            moved=self.moved[self.short.starts[account] : self.short.starts[account + 1]],
            before=(float(self.before[account, 0]), float(self.before[account, 1])),
            after=(float(self.after[account, 0]), float(self.after[account, 1])),
            lower_bound=float(self.lower_bound[account]),
            exact=bool(self.exact[account]),
        )


def transfers(short: Books, long: Books, inputs: TransferInputs, settings: Transfer) -> Transfers:
    """Choose for each account which futures move from its short into its long pot; see ``best_transfer``.

    Spread charges, minima and add-ons of the short pot are no part of the choice: margin ``kept``, and
    ``taken`` with the long pots, by the houses' own models for what is called.

    Parameters
    ----------
    short, long : Books
        Of the same accounts in the same order, none of them gross.
    inputs : TransferInputs
        Of the instruments.
    settings : Transfer
        Of the programme.

    Raises
    ------
    InputError
        If a position of a long pot has no scenarios.
    """
    assert short.count == long.count, "both pots are of the same accounts"
    gross = short.gross | long.gross
    assert not gross.any(), "positions of a gross account do not offset each other"
    inputs.require_scenarios(long.rows)
    blocks = [
        Block(short.select(chosen), long.select(chosen), inputs).best(settings)
        for first in range(0, max(short.count, 1), BLOCK)
        for chosen in [np.arange(first, min(first + BLOCK, short.count))]
    ]
    moved, before, after, lower_bound, exact = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return Transfers(
        short=short, moved=moved, before=before, after=after, lower_bound=lower_bound, exact=exact
    )
