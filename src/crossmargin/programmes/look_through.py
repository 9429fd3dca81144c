"""What futures, options, funds and shares have in common: exposure to an index or a share, and what offsets.

Exposure is cash delta: what is gained for a relative move of 1. A fund on an index is looked through to the
index, an index to its shares. Of one underlying, longs and shorts of one kind net first; then kinds are matched
in the order of NSE Clearing (circular CMPT25043 of 2013): index futures and options with a basket of
the shares, funds with a basket, index futures and options with funds; last, stock futures and options with
their share.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int8, Int64

from crossmargin.core.amounts import exact_decimals
from crossmargin.core.columns import require_columns
from crossmargin.core.rounding import exact_sums, to_minor
from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.look_through import Baskets, Entries, look_through, match_baskets

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from crossmargin.core.columns import FrameInput
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.programmes.books import Books

__all__ = [
    "DERIVATIVE",
    "FUND",
    "HELD",
    "PAIRS",
    "SMALLEST_MATCH",
    "Exposures",
    "LookThrough",
    "Matches",
    "make_look_through",
]

DERIVATIVE, FUND, HELD = 0, 1, 2
"""Kinds: futures and options; a fund on something else; the share itself (or a fund without weights)."""

PAIRS: Final = ("derivatives-basket", "funds-basket", "derivatives-funds")
"""Kinds that are matched, in this order; see ``Matches.amounts``."""

WEIGHT_SCHEMA: Final[dict[str, pl.DataType]] = {
    "underlying": pl.String(),
    "constituent": pl.String(),
    "weight": pl.Float64(),
}

WHOLE: Final = 0.99
"""Weights that add up to so much are those of all constituents, rounded; below, some are missing."""

SMALLEST_MATCH: Final = 0.005
"""Half a cent: what is left by rounding is no exposure."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Exposures:
    """What each book has in each underlying, in currency for a relative move of 1; + gains by a rise.

    Parameters
    ----------
    starts : ndarray of int64, shape (books + 1,)
        Entries of each book.
    root : ndarray of int64, shape (entries,)
        Underlying, see ``LookThrough.names``; ascending within a book, each once.
    derivative, fund, held : ndarray of float64, shape (entries,)
        By futures and options, by funds on it, and in itself.
    """

    starts: Int64[np.ndarray, " books+1"]
    root: Int64[np.ndarray, " entries"]
    derivative: Float64[np.ndarray, " entries"]
    fund: Float64[np.ndarray, " entries"]
    held: Float64[np.ndarray, " entries"]

    @cached_property
    def book(self) -> Int64[np.ndarray, " entries"]:
        """Book of each entry."""
        return np.repeat(np.arange(self.starts.size - 1), np.diff(self.starts))


@dataclass(frozen=True, kw_only=True, eq=False)
class Matches:
    """What offsets within each book, by underlying.

    Parameters
    ----------
    names : tuple of str
        Of underlyings.
    single : ndarray of bool, shape (underlyings,)
        Whether an underlying is a share (or a fund without weights) and no index.
    minimum_coverage : float
        Of a replica.
    exposures : Exposures
        Before anything is matched.
    amounts : ndarray of float64, shape (entries, 3)
        Matched exposure of each of ``PAIRS``, at least 0 and at most that of either side.
    replica : ndarray of float64, shape (entries,)
        Largest basket that could stand against the derivatives, or without any the funds, when it was looked
        for; signed as its shares.
    coverage : ndarray of float64, shape (entries,)
        Share of the weight for which the shares of the basket suffice; 0 where none was used.
    left : ndarray of float64, shape (entries,)
        What is left of ``exposures.held`` after baskets are taken out.
    """

    names: tuple[str, ...]
    single: Bool[np.ndarray, " underlyings"]
    minimum_coverage: float
    exposures: Exposures
    amounts: Float64[np.ndarray, "entries 3"]
    replica: Float64[np.ndarray, " entries"]
    coverage: Float64[np.ndarray, " entries"]
    left: Float64[np.ndarray, " entries"]

    def frame(self) -> pl.DataFrame:
        """Return ``book``, ``underlying``, ``pair`` (of ``PAIRS``), ``matched`` and ``reason``, a row a match."""
        entry, pair = np.nonzero(self.amounts)
        root = self.exposures.root[entry]
        return pl.DataFrame(
            {
                "book": self.exposures.book[entry],
                "underlying": [self.names[at] for at in root],
                "pair": [PAIRS[at] for at in pair],
                "matched": exact_decimals(to_minor(self.amounts[entry, pair], 2), 2),
                "reason": [self.reason(*at) for at in zip(root.tolist(), pair.tolist(), strict=True)],
            },
            schema_overrides={
                "book": pl.Int64,
                "underlying": pl.String,
                "pair": pl.String,
                "reason": pl.String,
            },
        )

    def reason(self, root: int, pair: int) -> str:
        """Say in words what is matched with what."""
        name = self.names[root]
        derivatives, funds = f"futures and options on {name}", f"funds on {name}"
        complete = self.minimum_coverage >= 1
        replica = "a complete replica" if complete else f"a replica of at least {self.minimum_coverage:.0%}"
        basket = f"{name} itself" if self.single[root] else f"{replica} of {name}"
        return " against ".join(((derivatives, basket), (funds, basket), (derivatives, funds))[pair])

    def index_exposure(self) -> Int64[np.ndarray, " books"]:
        """Return what each book has matched in indices across kinds, in hundredths of the currency."""
        index = ~self.single[self.exposures.root]
        each = to_minor(self.amounts[index], 2).sum(axis=1)
        return exact_sums(each, self.exposures.book[index], self.exposures.starts.size - 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class LookThrough:
    """What each instrument is an exposure to; made by ``make_look_through``.

    Parameters
    ----------
    names : tuple of str
        Underlyings, sorted: the roots.
    root : ndarray of int64, shape (instruments,)
        Underlying that each instrument is an exposure to: of a fund on an index, and of futures and options on
        such a fund, the index.
    kind : ndarray of int8, shape (instruments,)
        ``DERIVATIVE``, ``FUND`` or ``HELD``.
    unit : ndarray of float64, shape (instruments,)
        Exposure of one long unit; of a fund, its cash delta times the weight of the index in it.
    whole : ndarray of float64, shape (instruments,)
        Of a future or a holding, the absolute value of ``unit``; of an option at least the value of what it is
        an option on: its margin comes near that of the underlying, however small its delta.
    near : ndarray of bool, shape (instruments,)
        Of futures and options, whether they expire no later than the underlying's nearest future (where it
        has none, nearest option).
    baskets : Baskets
        Shares of each root with weights that add up to 1, or to less where some are not known.
    """

    names: tuple[str, ...]
    root: Int64[np.ndarray, " instruments"]
    kind: Int8[np.ndarray, " instruments"]
    unit: Float64[np.ndarray, " instruments"]
    whole: Float64[np.ndarray, " instruments"]
    near: Bool[np.ndarray, " instruments"]
    baskets: Baskets

    def entries_of(
        self, book: Int64[np.ndarray, " positions"], rows: Int64[np.ndarray, " positions"]
    ) -> Int64[np.ndarray, " positions"]:
        """Return book × roots + root of each position: equal for what belongs together, ordered like entries."""
        return book * len(self.names) + self.root[rows]

    def exposures(self, books: Books) -> Exposures:
        """Return what each book has in each underlying, by kind."""
        keys, entry = np.unique(self.entries_of(books.book, books.rows), return_inverse=True)
        amounts = books.quantities * self.unit[books.rows]
        kinds = self.kind[books.rows]
        derivative, fund, held = (
            np.bincount(entry, np.where(kinds == kind, amounts, 0.0), keys.size)
            for kind in (DERIVATIVE, FUND, HELD)
        )
        book, root = np.divmod(keys, len(self.names))
        starts = np.searchsorted(book, np.arange(books.count + 1)).astype(np.int64)
        return Exposures(starts=starts, root=root, derivative=derivative, fund=fund, held=held)

    def by_share(
        self, books: Books
    ) -> tuple[Int64[np.ndarray, " books+1"], Int64[np.ndarray, " found"], Float64[np.ndarray, " found"]]:
        """Return what each book has in each share, all kinds looked through and netted.

        Returns
        -------
        starts : ndarray of int64, shape (books + 1,)
        root : ndarray of int64, shape (found,)
            Ascending within a book.
        exposure : ndarray of float64, shape (found,)
        """
        own = self.exposures(books)
        return look_through(own.starts, own.root, own.derivative + own.fund + own.held, self.baskets)

    def matched(self, books: Books, *, minimum_coverage: float = 1.0) -> Matches:
        """Match within each book what offsets across kinds; in gross books nothing.

        Parameters
        ----------
        books : Books
            Each of one owner, or gross.
        minimum_coverage : float
            Share of the index's weight for which the shares of a basket must suffice; 1 as in India. Of an
            incomplete basket, only the weight that is there is matched.

        Raises
        ------
        InputError
            If ``minimum_coverage`` is not above 0 and at most 1.
        """
        if not 0 < minimum_coverage <= 1:
            raise InputError([_bad("minimum_coverage", str(minimum_coverage), "above 0, at most 1")])
        own = self.exposures(books)
        turns, sequence = _largest_first(own)
        entries = Entries(own.starts, turns, sequence, own.root, own.derivative, own.fund, own.held)
        found = match_baskets(entries, self.baskets, books.gross, float(minimum_coverage))
        return Matches(
            names=self.names,
            single=self.baskets.single,
            minimum_coverage=minimum_coverage,
            exposures=own,
            amounts=np.where(found.amounts >= SMALLEST_MATCH, found.amounts, 0.0),
            replica=found.largest,
            coverage=found.coverage,
            left=found.left,
        )

    def basis_charge(
        self, books: Books, rate: float, *, minimum_coverage: float = 1.0
    ) -> Int64[np.ndarray, " books"]:
        """Return rate × index exposure that each book has matched across kinds, in hundredths, at least 0.

        For what prices of futures, funds and baskets may come apart beyond the scenarios. A share and its own
        futures and options are left out. Here a lower coverage is the more prudent: more baskets are charged.

        Raises
        ------
        InputError
            If ``rate`` is not from 0 to 1, or the coverage is out of range.
        """
        if not 0 <= rate <= 1:
            raise InputError([_bad("basis_charge", str(rate), "from 0 to 1")])
        matched = self.matched(books, minimum_coverage=minimum_coverage).index_exposure()
        return to_minor(matched * rate, 0)


def _largest_first(own: Exposures) -> tuple[Int64[np.ndarray, " books+1"], Int64[np.ndarray, " turns"]]:
    """Return the entries with derivatives or funds, the larger first in each book, and where each book begins."""
    size = np.abs(own.derivative) + np.abs(own.fund)
    sized = np.flatnonzero(size)
    sequence = sized[np.lexsort((own.root[sized], -size[sized], own.book[sized]))]
    turns = np.searchsorted(own.book[sized], np.arange(own.starts.size))
    return turns.astype(np.int64), sequence


def make_look_through(
    snapshot: Snapshot, weights: FrameInput, deltas: Float64[np.ndarray, " instruments"]
) -> LookThrough:
    """Return what each instrument of a snapshot is an exposure to.

    Parameters
    ----------
    snapshot : Snapshot
        Instruments.
    weights : frame or mapping of columns
        ``underlying``, ``constituent``, ``weight``: part of an index's or fund's value, as ``Market.weights_on``
        returns it. What has exactly one constituent is looked through to that; a fund of several is an index.
        Weights that add up to 0.99 or more are taken for all of the value.
    deltas : ndarray of float64, shape (instruments,)
        Cash delta of one unit of each row of ``snapshot.instruments``; see ``cash_deltas``.

    Raises
    ------
    InputError
        Listing every bad row of weights, underlyings that contain themselves, and deltas that are no number.
    """
    known = {"weight": (pl.col("weight").is_between(0, 1, closed="right"), "above 0, at most 1")}
    table = require_columns(weights, "weights", WEIGHT_SCHEMA, key=["underlying", "constituent"], rules=known)
    parts: dict[str, dict[str, float]] = {}
    for underlying, constituent, weight in table.sort("underlying", "constituent").iter_rows():
        parts.setdefault(underlying, {})[constituent] = weight
    if bad := [*_circular(parts), *_no_numbers(snapshot, deltas)]:
        raise InputError(bad)
    instruments = snapshot.instruments
    listed = {*instruments["underlying"], *table["underlying"], *table["constituent"]}
    names = tuple(sorted(listed))
    of_name = {name: _root(name, parts) for name in names}
    own = pl.Series([of_name[name][0] for name in instruments["underlying"]], dtype=pl.String)
    factor = np.array([of_name[name][1] for name in instruments["underlying"]])
    number = {name: at for at, name in enumerate(names)}
    derived = instruments["kind"].is_in(["future", "option"]).to_numpy()
    is_fund = (own != instruments["underlying"]).to_numpy() | own.is_in([*parts]).to_numpy()
    return LookThrough(
        names=names,
        root=np.array([number[name] for name in own], np.int64),
        kind=np.where(derived, DERIVATIVE, np.where(is_fund, FUND, HELD)).astype(np.int8),
        unit=deltas * factor,
        whole=_whole(snapshot, np.abs(deltas)) * factor,
        near=_near(instruments.with_columns(own.alias("root"))),
        baskets=_baskets(names, number, parts, {*instruments.filter(underlying_kind="index")["underlying"]}),
    )


def _root(name: str, parts: Mapping[str, Mapping[str, float]]) -> tuple[str, float]:
    """Look through what has one constituent: what is at the end, and its weight in the first."""
    factor = 1.0
    while len(parts.get(name, ())) == 1:
        ((name, weight),) = parts[name].items()
        factor *= weight
    return name, factor


def _shares(name: str, parts: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the shares that something consists of, with weights; itself where it has no constituents."""
    if name not in parts:
        return {name: 1.0}
    total = sum(parts[name].values())
    found: dict[str, float] = {}
    for constituent, weight in parts[name].items():
        for share, part in _shares(constituent, parts).items():
            found[share] = found.get(share, 0.0) + part * weight / (total if total >= WHOLE else 1.0)
    return found


def _baskets(
    names: tuple[str, ...],
    number: Mapping[str, int],
    parts: Mapping[str, Mapping[str, float]],
    indices: Collection[str],
) -> Baskets:
    shares = [_shares(name, parts) for name in names]
    return Baskets(
        starts=np.cumsum([0, *(len(basket) for basket in shares)]).astype(np.int64),
        share=np.array([number[share] for basket in shares for share in basket], np.int64),
        weight=np.array([weight for basket in shares for weight in basket.values()]),
        single=np.array([name not in parts and name not in indices for name in names]),
    )


def _whole(
    snapshot: Snapshot, size: Float64[np.ndarray, " instruments"]
) -> Float64[np.ndarray, " instruments"]:
    """Return absolute deltas, of options at least the value of what they are options on."""
    worth = pl.col("spot") * pl.col("multiplier") * pl.col("exchange_rate")
    least = pl.when(pl.col("kind") == "option").then(worth).otherwise(0.0)
    return np.maximum(size, snapshot.instruments.select(least).to_series().to_numpy())


def _near(instruments: pl.DataFrame) -> Bool[np.ndarray, " instruments"]:
    """Tell which futures and options expire no later than the nearest future on their root."""
    nearest = [
        pl.col("expiry").filter(pl.col("kind") == kind).min().over("root") for kind in ("future", "option")
    ]
    near = pl.col("expiry") <= pl.coalesce(nearest)
    return instruments.select(near.fill_null(value=False)).to_series().to_numpy()


def _circular(parts: Mapping[str, Mapping[str, float]]) -> Iterator[BadRecord]:
    """Report what consists, at some remove, of itself."""
    for name in parts:
        seen, reached = set[str](), {name}
        while reached:
            reached = {part for one in reached for part in parts.get(one, ())} - seen
            seen |= reached
        if name in seen:
            yield _bad("underlying", name, "not its own constituent, at any remove")


def _no_numbers(snapshot: Snapshot, deltas: Float64[np.ndarray, " instruments"]) -> Iterator[BadRecord]:
    assert deltas.shape == (len(snapshot.instruments),), deltas.shape
    for row in np.flatnonzero(~np.isfinite(deltas)).tolist():
        yield BadRecord(
            file="deltas",
            line=row + 1,
            field=snapshot.instruments["instrument"][row],
            value=str(deltas[row]),
            rule="a finite cash delta",
        )


def _bad(field: str, value: str, rule: str) -> BadRecord:
    return BadRecord(file="look-through", line=0, field=field, value=value, rule=rule)
