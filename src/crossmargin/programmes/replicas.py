"""Index look-through for PRiME: a replica of an index stands in the index's own combined commodity.

PRiME margins a share in a commodity of its own, where futures on an index cannot offset it. Of the positions of
one owner, the basket that matches futures and options on an index is therefore taken out of its shares, in whole
units, and a fund on the index of no larger value is put in its place. What is left of each share stays. The
stand-in is no fund: instead of the fund's basis charge the basket pays its own, for what its shares and the
index may come apart.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int64

from crossmargin.core.amounts import exact_decimals
from crossmargin.core.rounding import exact_sums, exact_total, to_minor, toward_zero
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

    def risk(self, by_prime: Int64[np.ndarray, " changed"]) -> Int64[np.ndarray, " changed"]:
        """Return the margin of the changed books from PRiME's risk margin of ``books``, in hundredths."""
        return exact_total(by_prime, self.charge, -self.waived)

    def lower(
        self, plain: Int64[np.ndarray, " books"], by_prime: Int64[np.ndarray, " changed"]
    ) -> Int64[np.ndarray, " books"]:
        """Return the lower of both margins of each book: a replica is recognised only for what it offsets.

        Parameters
        ----------
        plain : ndarray of int64, shape (books,)
            PRiME's risk margin of all books as they are, in hundredths.
        by_prime : ndarray of int64, shape (changed,)
            That of ``books``.
        """
        risk = plain.copy()
        risk[self.number] = np.minimum(plain[self.number], self.risk(by_prime))
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
        entries = self._index_entries(matched)
        held = _shares_held(books, self.look, matched.exposures.book[entries])
        turns = _by_turn(matched, entries) or [entries]
        found = [self._replaced(held, matched, turn) for turn in turns]
        return self._after(books, held, _joined(found))

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
        basket = (moves * (weights / weights.sum())).sum(
            axis=1
        )  # no matrix product: its order hangs on threads
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

    def _index_entries(self, matched: Matches) -> Int64[np.ndarray, " entries"]:
        """Return the entries in which derivatives on an index with a stand-in match a basket."""
        root = matched.exposures.root
        there = (matched.amounts[:, BASKET] > 0) & ~matched.single[root] & (self.row[root] >= 0)
        return np.flatnonzero(there)

    def _replaced(
        self, held: _SharesHeld, matched: Matches, entries: Int64[np.ndarray, " entries"]
    ) -> Replicas:
        """Take one basket of each of some books out of its shares, and return what stands for them."""
        own = matched.exposures
        root, sign = own.root[entries], -np.sign(own.derivative[entries])
        wanted = _wanted(self.look, matched, entries)
        taken = held.within(wanted)
        worth = np.bincount(wanted.owner[taken.slot], taken.units * held.unit[taken.at], entries.size)
        units = toward_zero(worth / self.value[self.row[root]])
        stands = np.flatnonzero(units >= 1)
        held.take(taken, np.where(units >= 1, sign, 0.0)[wanted.owner[taken.slot]])
        return Replicas(
            book=own.book[entries][stands],
            root=root[stands],
            quantity=(sign * units)[stands].astype(np.int64),
            matched=matched.amounts[entries, BASKET][stands],
            rate=self._basis_rates(root, stands, wanted, taken.enough),
        )

    def _basis_rates(
        self,
        root: Int64[np.ndarray, " owners"],
        stands: Int64[np.ndarray, " replicas"],
        wanted: _Wanted,
        enough: Bool[np.ndarray, " wanted"],
    ) -> Float64[np.ndarray, " replicas"]:
        """Return the rate of each basket; of the same shares of an index it is found once."""
        starts = np.searchsorted(wanted.owner, np.arange(root.size + 1))
        known: dict[tuple[int, bytes], float] = {}
        rates = np.empty(stands.size)
        for place, owner in enumerate(stands.tolist()):
            span = slice(starts[owner], starts[owner + 1])
            used = enough[span]
            key = (int(root[owner]), used.tobytes())
            if key not in known:
                known[key] = self.basis_rate(key[0], wanted.share[span][used], wanted.weight[span][used])
            rates[place] = known[key]
        return rates

    def _after(self, books: Books, held: _SharesHeld, replicas: Replicas) -> LookedThrough:
        """Return the changed books: what is left of the shares, and stand-ins netted with holdings of the fund."""
        number, book = np.unique(replicas.book, return_inverse=True)
        quantities = books.quantities.copy()
        quantities[held.at] = held.left
        changed = replace(books, quantities=quantities).select(number)
        before = books.select(number)
        row = self.row[replicas.root]
        after = make_books(
            np.concatenate([changed.book, book]),
            np.concatenate([changed.rows, row.astype(np.int32)]),
            np.concatenate([changed.quantities, replicas.quantity]),
            count=number.size,
        )
        fund = self.fund_charge[replicas.root]
        held_before = _quantities(before, book, row)
        raised = _charged(held_before + replicas.quantity, fund) - _charged(held_before, fund)
        return LookedThrough(
            number=number,
            books=after,
            charge=exact_sums(replicas.charge, book, number.size),
            waived=exact_sums(raised, book, number.size),
            replicas=replicas,
        )


def make_stand_ins(
    snapshot: Snapshot, span: MarketSpan, look: LookThrough, scenarios: ScenarioSet
) -> StandIns:
    """Return what stands in PRiME for replicas of each index.

    Of several funds in the commodity of an index that with the lowest basis charge, then the first by name.

    Parameters
    ----------
    snapshot : Snapshot
        Marks of the day.
    span : MarketSpan
        PRiME's parameters.
    look : LookThrough
        Of the same snapshot.
    scenarios : ScenarioSet
        Those from which ``span`` was made.
    """
    cash = span.instruments.with_row_index("row").join(span.conversion, on="instrument")
    named = cash.join(snapshot.instruments.select("instrument", "underlying", "currency"), on="instrument")
    funds = named.filter((pl.col("underlying") != pl.col("commodity")) & (pl.col("value") > 0))
    first = funds.sort("basis_charge", "instrument").unique("commodity", keep="first", maintain_order=True)
    row, charge = np.full(len(look.names), -1, np.int64), np.zeros(len(look.names))
    number = {name: at for at, name in enumerate(look.names)}
    for index, place, value, rate in first.select("commodity", "row", "value", "basis_charge").iter_rows():
        row[number[index]], charge[number[index]] = place, value * rate
    foreign = named.filter(pl.col("currency") != snapshot.currency)
    return StandIns(
        look=look,
        scenarios=scenarios,
        currency=dict(foreign.select("underlying", "currency").iter_rows()),
        confidence=span.rules.confidence,
        row=row,
        instruments=tuple(span.instruments["instrument"]),
        value=span.instruments["value"].to_numpy(),
        fund_charge=charge,
    )


class _Wanted(NamedTuple):
    """Shares of one basket a book, by owner (a place in the entries of a turn) and share."""

    owner: Int64[np.ndarray, " wanted"]
    key: Int64[np.ndarray, " wanted"]
    share: Int64[np.ndarray, " wanted"]
    weight: Float64[np.ndarray, " wanted"]
    amount: Float64[np.ndarray, " wanted"]
    sign: Float64[np.ndarray, " wanted"]


class _Taken(NamedTuple):
    """Units for a turn: of which held positions, for which of the wanted shares, and which of these suffice."""

    at: Int64[np.ndarray, " positions"]
    slot: Int64[np.ndarray, " positions"]
    units: Float64[np.ndarray, " positions"]
    enough: Bool[np.ndarray, " wanted"]


@dataclass(frozen=True, kw_only=True, eq=False)
class _SharesHeld:
    """Holdings of shares, in order of book × underlyings + underlying; ``left`` is what no basket took yet.

    A share may be held in several instruments, such as counters in two currencies; ``rank`` counts them.
    """

    at: Int64[np.ndarray, " positions"]
    key: Int64[np.ndarray, " positions"]
    rank: Int64[np.ndarray, " positions"]
    unit: Float64[np.ndarray, " positions"]
    left: Int64[np.ndarray, " positions"]

    def within(self, wanted: _Wanted) -> _Taken:
        """Return the whole units that shares suffice for; no more than is held with the sign of the basket."""
        slot = np.searchsorted(wanted.key, self.key)
        at = np.flatnonzero(np.append(wanted.key, -1)[slot] == self.key)
        slot = slot[at]
        value = self.left[at] * self.unit[at] * wanted.sign[slot]
        there = np.bincount(slot, value, wanted.key.size)
        enough = there >= wanted.amount * (1.0 - SLACK)
        rest, units = np.where(enough, wanted.amount, 0.0), np.zeros(at.size)
        for rank in range(int(self.rank[at].max(initial=-1)) + 1):
            now = np.flatnonzero((self.rank[at] == rank) & (value > 0))
            most = np.minimum(rest[slot[now]], value[now]) / self.unit[at[now]]
            units[now] = np.minimum(toward_zero(most), np.abs(self.left[at[now]]))
            rest[slot[now]] -= units[now] * self.unit[at[now]]
        return _Taken(at, slot, units, enough)

    def take(self, taken: _Taken, sign: Float64[np.ndarray, " positions"]) -> None:
        """Take units out of what is left, those of a basket with sign 0 not."""
        self.left[taken.at] -= (sign * taken.units).astype(np.int64)


def _shares_held(books: Books, look: LookThrough, chosen: Int64[np.ndarray, " chosen"]) -> _SharesHeld:
    """Return the shares that some of the books hold."""
    wanted = np.zeros(books.count, bool)
    wanted[chosen] = True
    book = books.book
    at = np.flatnonzero(wanted[book] & (look.kind[books.rows] == HELD) & (look.unit[books.rows] > 0))
    key = look.entries_of(book[at], books.rows[at])
    order = np.argsort(key, kind="stable")
    at, key = at[order], key[order]
    return _SharesHeld(
        at=at,
        key=key,
        rank=np.arange(key.size) - np.searchsorted(key, key),
        unit=look.unit[books.rows[at]],
        left=books.quantities[at],
    )


def _wanted(look: LookThrough, matched: Matches, entries: Int64[np.ndarray, " entries"]) -> _Wanted:
    """Return the shares of the basket of each entry, those that it lacks too.

    An incomplete basket matched its size times the weight that it has; its shares are there for the whole size.
    """
    own, baskets = matched.exposures, look.baskets
    root, size = own.root[entries], matched.amounts[entries, BASKET] / matched.coverage[entries]
    lengths = np.diff(baskets.starts)[root]
    owner = np.repeat(np.arange(entries.size), lengths)
    first = np.cumsum(lengths) - lengths
    at = np.repeat(baskets.starts[root] - first, lengths) + np.arange(owner.size)
    key = own.book[entries][owner] * len(look.names) + baskets.share[at]
    order = np.argsort(key, kind="stable")  # a book has one basket, so owners stay together
    owner, at = owner[order], at[order]
    return _Wanted(
        owner=owner,
        key=key[order],
        share=baskets.share[at],
        weight=baskets.weight[at],
        amount=size[owner] * baskets.weight[at],
        sign=-np.sign(own.derivative[entries])[owner],
    )


def _by_turn(matched: Matches, entries: Int64[np.ndarray, " entries"]) -> list[Int64[np.ndarray, " entries"]]:
    """Return the entries with at most one of each book at a time, the larger exposure first, as they were matched."""
    own = matched.exposures
    size = np.abs(own.derivative[entries]) + np.abs(own.fund[entries])
    ordered = entries[np.lexsort((own.root[entries], -size, own.book[entries]))]
    book = own.book[ordered]
    turn = np.arange(book.size) - np.searchsorted(book, book)
    return [ordered[turn == number] for number in range(int(turn.max(initial=-1)) + 1)]


def _joined(parts: list[Replicas]) -> Replicas:
    """Return the replicas of all turns, by book."""
    order = np.argsort(np.concatenate([part.book for part in parts]), kind="stable")
    columns = {
        item.name: np.concatenate([getattr(part, item.name) for part in parts])[order]
        for item in fields(Replicas)
    }
    return Replicas(**columns)


def _quantities(
    books: Books, book: Int64[np.ndarray, " n"], row: Int64[np.ndarray, " n"]
) -> Int64[np.ndarray, " n"]:
    """Return what books hold of an instrument each."""
    span = int(max(books.rows.max(initial=0), row.max(initial=0))) + 1
    keys, sought = books.book * span + books.rows, book * span + row
    place = np.searchsorted(keys, sought)
    held = np.append(keys, -1)[place] == sought
    return np.where(held, np.append(books.quantities, 0)[place], 0)


def _charged(quantities: Int64[np.ndarray, " n"], each: Float64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Return the basis charges that PRiME asks of positions, rounded one by one as there."""
    return to_minor(np.abs(quantities) * each, DECIMALS)
