"""Participants of a synthetic market, the accounts of their desks, and the positions in them."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from crossmargin.models.synthetic_market.catalogue import make_catalogue
from crossmargin.models.synthetic_market.desks import DESKS, FIRST_KINDS, SCHEDULE, draw_scale
from crossmargin.models.synthetic_market.memberships import account_quotas, members, participants_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from crossmargin.models.synthetic_market.catalogue import Catalogue
    from crossmargin.models.synthetic_market.contracts import Contracts
    from crossmargin.models.synthetic_market.desks import Leg
    from crossmargin.models.synthetic_market.histories import Histories
    from crossmargin.models.synthetic_market.sizes import MarketSize

__all__ = ["synthetic_accounts"]

ACCOUNT_SCHEMA: Final = {
    "account": pl.String,
    "participant": pl.String,
    "house": pl.String,
    "type": pl.String,
    "basis": pl.String,
    "owner": pl.String,
    "consent": pl.Int64,
}
POSITION_SCHEMA: Final = {"account": pl.String, "instrument": pl.String, "quantity": pl.Int64}

QUOTA_KEY: Final = (0,)
"""Of the random numbers of quotas; those of a desk have the key (participant, desk)."""

HEDGELESS: Final = "directional"
"""The kind of desk that loses nothing of its sense where it has accounts at fewer houses."""


class _Book(NamedTuple):
    """What one desk holds; ``clearers`` as of its participant."""

    kind: str
    owner: str
    consents: bool
    legs: list[Leg]
    clearers: Mapping[str, str]

    @property
    def houses(self) -> list[str]:
        """Houses where it holds something, each an account."""
        return [*dict.fromkeys(leg.house for leg in self.legs)]

    def accounts(self) -> Iterator[tuple[object, ...]]:
        """Yield its rows of the table of accounts."""
        desk = DESKS[self.kind]
        for house in self.houses:
            described = (desk.account_type, desk.basis, self.owner, int(self.consents))
            yield (f"{self.owner}.{house}", self.clearers[house], house, *described)

    def positions(self) -> Iterator[tuple[str, str, int]]:
        """Yield its rows of the table of positions."""
        return ((f"{self.owner}.{leg.house}", leg.instrument, int(leg.quantity)) for leg in self.legs)


class _Desks(NamedTuple):
    """The desks of one participant, the ``place``-th; each has random numbers of its own."""

    seed: int
    catalogue: Catalogue
    place: int
    name: str
    clearers: Mapping[str, str]
    scale: float

    @property
    def kinds(self) -> list[str]:
        """The kinds one after the other, to be gone through again and again; participants begin at different ones."""
        possible = [kind for kind in SCHEDULE if all(house in self.clearers for house in DESKS[kind].needs)]
        start = self.place % FIRST_KINDS % len(possible)
        return possible[start:] + possible[:start]

    def book(self, kind: str, number: int) -> _Book:
        """Return what a desk holds where its participant can clear it."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(self.place, number)))
        consents = rng.random() < DESKS[kind].consent
        legs = DESKS[kind].holdings(rng, self.catalogue, self.scale * draw_scale(rng))
        held = [leg for leg in legs if leg.quantity and leg.house in self.clearers]
        return _Book(kind, f"{self.name}.{kind}-{number + 1}", consents, held, self.clearers)

    def books(self, desks: int) -> Iterator[_Book]:
        """Yield so many desks."""
        kinds = self.kinds
        return (self.book(kinds[number % len(kinds)], number) for number in range(desks))

    def books_with(self, accounts: int) -> Iterator[_Book]:
        """Yield desks with so many accounts in all.

        Of the last, a desk that would have too many gives way to one that need not be hedged.
        """
        kinds = self.kinds
        for number in count():
            if accounts <= 0:
                return
            book = self.book(kinds[number % len(kinds)], number)
            if len(book.houses) > accounts:
                book = self.book(HEDGELESS, number)
                kept = book.houses[:accounts]
                book = book._replace(legs=[leg for leg in book.legs if leg.house in kept])
            accounts -= len(book.houses)
            yield book


def synthetic_accounts(
    seed: int, histories: Histories, contracts: Contracts, size: MarketSize
) -> dict[str, pl.DataFrame]:
    """Invent the tables participants, accounts and positions."""
    found = members(size)
    catalogue = make_catalogue(histories, contracts)
    each = [
        _Desks(seed, catalogue, place, member.name, member.clearers, size.scale)
        for place, member in enumerate(found)
    ]
    return {"participants": participants_table(found), **_tables(_books(seed, each, size))}


def _books(seed: int, each: list[_Desks], size: MarketSize) -> Iterator[_Book]:
    """Yield the books of all participants."""
    if size.accounts is None:
        return (book for desks in each for book in desks.books(size.desks))
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=QUOTA_KEY))
    quotas = account_quotas(rng, len(each), size.accounts)
    return (book for desks, quota in zip(each, quotas, strict=True) for book in desks.books_with(quota))


def _tables(books: Iterable[_Book]) -> dict[str, pl.DataFrame]:
    accounts: list[tuple[object, ...]] = []
    positions: list[tuple[str, str, int]] = []
    for book in books:
        accounts += book.accounts()
        positions += book.positions()
    return {
        "accounts": pl.DataFrame(accounts, schema=ACCOUNT_SCHEMA, orient="row"),
        "positions": pl.DataFrame(positions, schema=POSITION_SCHEMA, orient="row"),
    }
