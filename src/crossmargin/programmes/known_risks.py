"""Market risks of books that were margined before, found again by what the books hold.

Programmes ask for the same books over and over: accounts alone, legs of joint accounts, the same again after
a group was left out. A book is margined the same whatever is margined beside it, so each is margined once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Int64, UInt64

from crossmargin.programmes.books import Books, joined_books

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KnownRisks", "book_keys", "margined_once", "same_books"]

POSITIONS_KEPT: Final = 20_000_000
"""Positions kept at most, 12 bytes each: about forty times what five programmes ask for on 100,000 accounts."""
ROW_FACTOR, QUANTITY_FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
MIXERS: Final = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
LAST_SHIFT: Final = np.uint64(31)


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownRisks:
    """Books and the market risk of each by one model; no two have one key.

    Parameters
    ----------
    books : Books
        What was margined.
    risk : ndarray of int64, shape (books,)
        In hundredths.
    keys : ndarray of uint64, shape (books,)
        See ``book_keys``; ascending.
    at : ndarray of int64, shape (books,)
        Book of each key.
    """

    books: Books
    risk: Int64[np.ndarray, " books"]
    keys: UInt64[np.ndarray, " books"]
    at: Int64[np.ndarray, " books"]

    @classmethod
    def none(cls) -> KnownRisks:
        """Return no books."""
        nothing = np.zeros(0, np.int64)
        books = Books(
            starts=np.zeros(1, np.int64), rows=nothing.astype(np.int32), quantities=nothing, gross=nothing > 0
        )
        return cls(books=books, risk=nothing, keys=nothing.astype(np.uint64), at=nothing)

    def place(self, keys: UInt64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """Return the book of each key, −1 where there is none."""
        if not self.keys.size:
            return np.full(keys.size, -1)
        found = np.minimum(np.searchsorted(self.keys, keys), self.keys.size - 1)
        return np.where(self.keys[found] == keys, self.at[found], -1)

    def extended(
        self, books: Books, keys: UInt64[np.ndarray, " n"], risk: Int64[np.ndarray, " n"]
    ) -> KnownRisks:
        """Return these and more, whose keys differ from all known."""
        by_book = np.empty_like(self.keys)
        by_book[self.at] = self.keys
        every = np.concatenate([by_book, keys])
        order = np.argsort(every)
        return KnownRisks(
            books=joined_books([self.books, books]),
            risk=np.concatenate([self.risk, risk]),
            keys=every[order],
            at=order,
        )


def margined_once(
    known: KnownRisks, books: Books, margin: Callable[[Books], Int64[np.ndarray, " n"]]
) -> tuple[Int64[np.ndarray, " books"], KnownRisks]:
    """Return the market risk of books, of which only those not yet known are margined, and what is then known.

    Parameters
    ----------
    known : KnownRisks
        Margined before by the same model.
    books : Books
        What is asked for; equal ones are margined once.
    margin : callable
        The model's ``market_risk``.
    """
    if known.books.rows.size + books.rows.size > POSITIONS_KEPT:
        known = KnownRisks.none()
    keys = book_keys(books)
    new = np.flatnonzero(known.place(keys) < 0)
    if new.size:
        new = new[np.unique(keys[new], return_index=True)[1]]
        asked = books.select(new)
        known = known.extended(asked, keys[new], margin(asked))
    place = known.place(keys)
    risk = known.risk[place]
    collided = np.flatnonzero(~same_books(books, known.books.select(place)))
    if collided.size:
        risk[collided] = margin(books.select(collided))
    return risk, known


def book_keys(books: Books) -> UInt64[np.ndarray, " books"]:
    """Return a number of 64 bits for each book, equal for equal books and hardly ever for others."""
    mixed = books.rows.astype(np.uint64) * ROW_FACTOR + books.quantities.view(np.uint64) * QUANTITY_FACTOR
    for shift, factor in MIXERS:
        mixed = (mixed ^ (mixed >> shift)) * factor
    mixed ^= mixed >> LAST_SHIFT
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed)])
    return np.diff(sums[books.starts]) + books.gross.astype(np.uint64)


def same_books(one: Books, other: Books) -> Bool[np.ndarray, " books"]:
    """Say which books of two sequences of one length hold the same, on the same basis."""
    same = (np.diff(one.starts) == np.diff(other.starts)) & (one.gross == other.gross)
    alike = np.flatnonzero(same)
    left, right = one.select(alike), other.select(alike)
    unlike = (left.rows != right.rows) | (left.quantities != right.quantities)
    if unlike.any():
        same[alike[left.book[unlike]]] = False
    return same
