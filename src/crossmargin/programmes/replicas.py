"""Index look-through for PRiME: a replica of an index stands in the index's own combined commodity.

PRiME margins a share in a commodity of its own, where futures on an index cannot offset it. Of the positions of
one owner, the basket that matches futures and options on an index is therefore taken out of its shares, in whole
units, and a fund on the index of no larger value is put in its place. What is left of each share stays. The
stand-in is no fund: instead of the fund's basis charge the basket pays its own, for what its shares and the
index may come apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int64

from crossmargin.core.amounts import exact_decimals
from crossmargin.core.rounding import exact_sums, to_minor, toward_zero
from crossmargin.models.span.from_market_rules import residual_shortfall
from crossmargin.programmes.books import make_books
from crossmargin.programmes.look_through import HELD, PAIRS

if TYPE_CHECKING:
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.scenarios.scenario_set import ScenarioSet
    from crossmargin.models.span.from_market import MarketSpan
    from crossmargin.programmes.books import Books
    from crossmargin.programmes.look_through import LookThrough, Matches

__all__ = ["LookedThrough", "Replicas", "StandIns", "make_stand_ins"]

DECIMALS: Final = 2
BASKET: Final = PAIRS.index("derivatives-basket")

SLACK: Final = 1e-9
"""So little, relatively, of a share may be missing from a basket: quotients of decimals are not exact."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Replicas:
    """Baskets that were replaced, by book and then the larger exposure first.

    Parameters
    ----------
    book : ndarray of int64, shape (replicas,)
        Book of each, a number in the books that were looked through.
    root : ndarray of int64, shape (replicas,)
        The index, see ``LookThrough.names``.
    quantity : ndarray of int64, shape (replicas,)
        Units of the fund that stands in; signed as the shares, never 0.
    matched : ndarray of float64, shape (replicas,)
        Exposure matched with futures and options, in currency; the stand-in is worth no more.
    rate : ndarray of float64, shape (replicas,)
        Share of ``matched`` that is charged for basis risk.
    """

    book: Int64[np.ndarray, " replicas"]
    root: Int64[np.ndarray, " replicas"]
    quantity: Int64[np.ndarray, " replicas"]
    matched: Float64[np.ndarray, " replicas"]
    rate: Float64[np.ndarray, " replicas"]

    @cached_property
    def charge(self) -> Int64[np.ndarray, " replicas"]:
        """Basis charge of each, in hundredths of the currency, at least 0."""
        return to_minor(self.matched * self.rate, DECIMALS)


@dataclass(frozen=True, kw_only=True, eq=False)
class LookedThrough:
    """Books in which replicas of indices were replaced; made by ``StandIns.looked_through``.

    Parameters
    ----------
    number : ndarray of int64, shape (changed,)
        Books in which a replica was replaced, ascending.
    books : Books
        These, after it.
    charge : ndarray of int64, shape (changed,)
        Basis charge of each book's replicas, in hundredths of the currency, at least 0.
    waived : ndarray of int64, shape (changed,)
        By how much stand-ins raise the basis charges on funds that PRiME asks of a book: not owed. Below 0
        where a stand-in closes a holding of the fund, which is charged still.
    replicas : Replicas
        One by one.
    """

    number: Int64[np.ndarray, " changed"]
    books: Books
    charge: Int64[np.ndarray, " changed"]
    waived: Int64[np.ndarray, " changed"]
    replicas: Replicas

    def lower(
        self, plain: Int64[np.ndarray, " books"], through: Int64[np.ndarray, " changed"]
    ) -> Int64[np.ndarray, " books"]:
        """Return the lower of both margins of each book: a replica is recognised only for what it offsets.

        Parameters
        ----------
        plain : ndarray of int64, shape (books,)
            PRiME's risk margin of all books as they are, in hundredths.
        through : ndarray of int64, shape (changed,)
            That of ``books``.
        """
        risk = plain.copy()
        risk[self.number] = np.minimum(plain[self.number], through + self.charge - self.waived)
        return risk


@dataclass(frozen=True, kw_only=True, eq=False)
class StandIns:
    """What stands for replicas of each index in PRiME; made by ``make_stand_ins``.

    Parameters
    ----------
    look : LookThrough
        Weights, and what instruments are exposures to.
    scenarios : ScenarioSet
        Of PRiME's horizon: in which basket and index come apart.
    currency : mapping of str to str
        Currency of each share that has another than the market.
    confidence : str
        Of the expected shortfall, as PRiME's own of a fund.
    row : ndarray of int64, shape (underlyings,)
        Instrument that stands for an index, a fund that PRiME margins in the index's commodity; −1 for none.
    instruments : tuple of str
        Names of the snapshot's instruments.
    value : ndarray of float64, shape (instruments,)
        Of one unit of a share or fund in the market's currency, 0 of others.
    fund_charge : ndarray of float64, shape (underlyings,)
        Basis charge in PRiME of one unit of the stand-in.
    """

    look: LookThrough
    scenarios: ScenarioSet
    currency: dict[str, str]
    confidence: str
    row: Int64[np.ndarray, " underlyings"]
    instruments: tuple[str, ...]
    value: Float64[np.ndarray, " instruments"]
    fund_charge: Float64[np.ndarray, " underlyings"]

    def looked_through(self, books: Books, *, minimum_coverage: float = 1.0) -> LookedThrough:
        """Replace in each book the baskets that match futures and options on an index.

        An index that no fund stands for, and a match that is worth less than one unit of it, are left as they
        are. No share is taken beyond what is held, nor its sign turned.

        Parameters
        ----------
        books : Books
            Each of one owner; of gross ones nothing is replaced.
        minimum_coverage : float
            Share of the index's weight that a replica must have, see ``LookThrough.matched``.

        Raises
        ------
        InputError
            If ``minimum_coverage`` is not above 0 and at most 1.
        """
        matched = self.look.matched(books, minimum_coverage=minimum_coverage)
        turns = _by_turn(matched, self._index_entries(matched))
        held = _shares_held(books, self.look, matched.exposures.book[np.concatenate(turns)])
        found = [self._replaced(held, matched, entries) for entries in turns]
        return self._looked_through(books, held, _in_order(found))

    def basis_rate(
        self, index: int, shares: Int64[np.ndarray, " shares"], weights: Float64[np.ndarray, " shares"]
    ) -> float:
        """Return what a basket and its index come apart: an expected shortfall, a share of the basket's value.

        Of index move − Σ weight × share move, weights scaled to 1, the worse side in the worse part of the
        scenarios: PRiME's charge for a fund against its index.

        Parameters
        ----------
        index : int
            Its root, see ``LookThrough.names``.
        shares : ndarray of int64, shape (shares,)
            Roots of the shares of the basket.
        weights : ndarray of float64, shape (shares,)
            Above 0.
        """
        moves = np.stack([self._moves(share) for share in shares.tolist()], axis=1)
        basket = (moves * (weights / weights.sum())).sum(axis=1)  # no matrix product: its order hangs on threads
        return residual_shortfall(basket, self._moves(index), self.scenarios.parts, self.confidence)

    def frame(self, found: LookedThrough) -> pl.DataFrame:
        """Return ``book``, ``index``, ``stands_as`` and ``units``, ``matched``, ``rate``, ``charge``, a row a replica."""
        replicas = found.replicas
        rows = self.row[replicas.root].tolist()
        return pl.DataFrame(
            {
                "book": replicas.book,
                "index": pl.Series([self.look.names[root] for root in replicas.root], dtype=pl.String),
                "stands_as": pl.Series([self.instruments[row] for row in rows], dtype=pl.String),
                "units": replicas.quantity,
                "matched": exact_decimals(to_minor(replicas.matched, DECIMALS), DECIMALS),
                "rate": replicas.rate,
                "charge": exact_decimals(replicas.charge, DECIMALS),
            }
        )

    def _moves(self, root: int) -> Float64[np.ndarray, " scenarios"]:
        """Return the moves of an underlying in the market's currency; what PRiME margins has them."""
        name, columns = self.look.names[root], self.scenarios.columns
        spot = self.scenarios.moves[:, columns[f"spot:{name}"]]
        exchange = columns.get(f"exchange_rate:{self.currency.get(name)}")
        return spot if exchange is None else (1.0 + spot) * (1.0 + self.scenarios.moves[:, exchange]) - 1.0

    @cached_property
    def _rates(self) -> dict[tuple[int, bytes], float]:
        """Rates found so far, by index and the shares used."""
        return {}

    def _index_entries(self, matched: Matches) -> Int64[np.ndarray, " entries"]:
        """Return the entries in which derivatives on an index with a stand-in match a basket."""
        root = matched.exposures.root
        there = (matched.amounts[:, BASKET] > 0) & ~matched.single[root] & (self.row[root] >= 0)
        return np.flatnonzero(there)

    def _replaced(self, held: _SharesHeld, matched: Matches, entries: Int64[np.ndarray, " entries"]) -> Replicas:
        """Take one basket a book out of its shares, and return what stands for them."""
        own, amounts = matched.exposures, matched.amounts[entries, BASKET]
        root, book = own.root[entries], own.book[entries]
        wanted = _wanted(self.look, matched, entries)
        units, value, enough = held.available(wanted)
        whole = toward_zero(np.bincount(wanted.owner, value, entries.size) / self.value[self.row[root]])
        stands = np.flatnonzero(whole >= 1)
        held.take(wanted, units, whole >= 1)
        return Replicas(
            book=book[stands],
            root=root[stands],
            quantity=(-np.sign(own.derivative[entries]) * whole)[stands].astype(np.int64),
            matched=amounts[stands],
            rate=np.array([self._rate(int(root[at]), wanted.of(at), enough) for at in stands.tolist()]),
        )

    def _rate(self, index: int, span: slice, enough: Bool[np.ndarray, " shares"]) -> float: ...
