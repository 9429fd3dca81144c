"""Positions of many books in columns: a book is whatever is margined as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Int32, Int64

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Books", "joined_books", "make_books"]

ROW_BITS: Final = 32


@dataclass(frozen=True, kw_only=True, eq=False)
class Books:
    """Net positions, by book and then by instrument.

    Parameters
    ----------
    starts : ndarray of int64, shape (books + 1,)
        Positions of each book.
    rows : ndarray of int32, shape (positions,)
        Row of each position's instrument in ``Snapshot.instruments``, ascending within a book, each once.
    quantities : ndarray of int64, shape (positions,)
        + long, − short, never 0.
    gross : ndarray of bool, shape (books,)
        Whether the book is of many clients whose positions do not offset each other: every position is
        margined by itself.
    """

    starts: Int64[np.ndarray, " books+1"]
    rows: Int32[np.ndarray, " positions"]
    quantities: Int64[np.ndarray, " positions"]
    gross: Bool[np.ndarray, " books"]

    @property
    def count(self) -> int:
        """How many books there are."""
        return self.gross.size

    @property
    def book(self) -> Int64[np.ndarray, " positions"]:
        """Book of each position."""
        return np.repeat(np.arange(self.count), np.diff(self.starts))

    def select(self, books: Int64[np.ndarray, " chosen"]) -> Books:
        """Return some of the books, in the order asked for."""
        lengths = np.diff(self.starts)[books]
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        at = np.repeat(self.starts[books] - starts[:-1], lengths) + np.arange(starts[-1])
        return Books(
            starts=starts, rows=self.rows[at], quantities=self.quantities[at], gross=self.gross[books]
        )

    def only(self, instruments: Bool[np.ndarray, " instruments"]) -> Books:
        """Return the books without positions in other instruments than these."""
        return self.where(instruments[self.rows])

    def where(self, held: Bool[np.ndarray, " positions"]) -> Books:
        """Return the books with only some of their positions."""
        counts = np.concatenate([np.zeros(1, np.int64), np.cumsum(held)])
        return Books(
            starts=counts[self.starts],
            rows=self.rows[held],
            quantities=self.quantities[held],
            gross=self.gross,
        )

    def regrouped(self, group: Int64[np.ndarray, " books"], count: int) -> Books:
        """Return books that each hold the positions of all books of one group, netted.

        Parameters
        ----------
        group : ndarray of int64, shape (books,)
            Number of each book's group, from 0 to ``count`` − 1; −1 leaves the book out. A group is gross if
            one of its books is.
        count : int
            How many groups there are; one may have no position.
        """
        kept = group >= 0
        gross = np.zeros(count, bool)
        np.logical_or.at(gross, group[kept], self.gross[kept])
        owner = group[self.book]
        held = owner >= 0
        return make_books(owner[held], self.rows[held], self.quantities[held], count=count, gross=gross)


def make_books(
    book: Int64[np.ndarray, " n"],
    rows: Int32[np.ndarray, " n"],
    quantities: Int64[np.ndarray, " n"],
    *,
    count: int,
    gross: Bool[np.ndarray, " books"] | None = None,
) -> Books:
    """Net positions by book and instrument and put them in order; arguments as in ``Books``, in any order.

    Parameters
    ----------
    book : ndarray of int64, shape (n,)
        Number of the book of each position, from 0 to ``count`` − 1.
    """
    # one stable sort of one key: it takes runs that are in order already as they are
    order = np.argsort(book.astype(np.int64) << ROW_BITS | rows, kind="stable")
    book, rows, quantities = book[order], rows[order], quantities[order]
    first = np.ones(book.size, bool)
    first[1:] = (book[1:] != book[:-1]) | (rows[1:] != rows[:-1])
    at = np.flatnonzero(first)
    total = np.add.reduceat(quantities, at) if at.size else quantities
    held = total != 0
    books, at = book[at][held], at[held]
    return Books(
        starts=np.searchsorted(books, np.arange(count + 1)).astype(np.int64),
        rows=rows[at].astype(np.int32),
        quantities=total[held].astype(np.int64),
        gross=np.zeros(count, bool) if gross is None else gross,
    )


def joined_books(parts: Sequence[Books]) -> Books:
    """Return the books of several, one after the other."""
    offsets = np.cumsum([0, *(part.rows.size for part in parts)])
    starts = [part.starts[:-1] + offset for part, offset in zip(parts, offsets[:-1], strict=True)]
    return Books(
        starts=np.concatenate([*starts, offsets[-1:]]).astype(np.int64),
        rows=np.concatenate([part.rows for part in parts]),
        quantities=np.concatenate([part.quantities for part in parts]),
        gross=np.concatenate([part.gross for part in parts]),
    )
