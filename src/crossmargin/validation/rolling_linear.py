"""Tails of positions without options, day after day, faster than by a cube a day and with the same numbers.

Profit and loss of shares, funds and futures is a row of returns times an amount, so that a day needs its moves and
nothing else. Only scaled moves change from day to day: where a part of the scenarios is not scaled, what a past
window does to an account is the same on every day that looks back at it. Such results are made once, and a day
takes the worst of those that are its scenarios.

Cost of a day: positions × scaled scenarios products and additions on rows that stay in the second cache, and a
tail an account; of all days together: positions × past windows once, and a sort of the results of each account.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from crossmargin.kernels.account_tails import account_tails
from crossmargin.kernels.rolling_tails import book_tails, member_tails
from crossmargin.kernels.row_sums import aligned_zeros
from crossmargin.models.revaluation.factors import FactorMoves, distinct_rows
from crossmargin.models.revaluation.layout import ScenarioLayout, scenario_layout
from crossmargin.models.scenarios.rolling import RollingScenarios
from crossmargin.models.scenarios.scenario_set import ScenarioPart, ScenarioSet
from crossmargin.models.scenarios.selection import WorstDays

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from crossmargin.models.revaluation.settings import RevaluationSettings
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.scenarios.histories import Histories
    from crossmargin.models.scenarios.rolling import KnownScenarios
    from crossmargin.validation.rolling_positions import PartTails, Positions, RollingTails

__all__ = ["LinearBook", "fill_linear_tails"]

CHUNK: Final = 1024
"""Accounts whose results of all past windows are in memory at once."""

DAYS_AT_ONCE: Final = 16
"""Days whose rows are in memory at once: threads are woken once for all of them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearBook:
    """Positions in shares, funds and futures, and what moves them.

    Parameters
    ----------
    positions : Positions
        By row of ``instruments``.
    instruments : DataFrame
        Those that are held, as in ``Snapshot.instruments``.
    home : str
        Currency of profit and loss.
    rolling : RollingScenarios
        Of the factors that move these instruments.
    columns : ndarray of int64, shape (factors,)
        Which factors of the whole histories these are.
    revaluation : RevaluationSettings
        For the precision.
    """

    positions: Positions
    instruments: pl.DataFrame
    home: str
    rolling: RollingScenarios
    columns: Int64[np.ndarray, " factors"]
    revaluation: RevaluationSettings

    @classmethod
    def of(
        cls,
        positions: Positions,
        snapshot: Snapshot,
        rolling: RollingScenarios,
        revaluation: RevaluationSettings,
    ) -> LinearBook:
        """Take what is held, and the factors that move it, out of a snapshot and its histories."""
        held, rows = np.unique(positions.rows, return_inverse=True)
        instruments = snapshot.instruments[held]
        columns = _moved_by(instruments, rolling)
        return cls(
            positions=replace(positions, rows=rows.ravel().astype(np.int32)),
            instruments=instruments,
            home=snapshot.currency,
            rolling=RollingScenarios(histories=_only(rolling.histories, columns), settings=rolling.settings),
            columns=columns,
            revaluation=revaluation,
        )

    @cached_property
    def dtype(self) -> np.dtype:
        """Type in which profit and loss is computed."""
        return np.dtype(self.revaluation.computed)

    @cached_property
    def sources(self) -> tuple[list[tuple[str, str, int]], Int64[np.ndarray, " instruments"]]:
        """Underlying, currency and days of each return, and which return each instrument has."""
        table = self.instruments.with_columns(days=self.instruments["days"].fill_null(0))
        distinct, at = distinct_rows(table, "underlying", "currency", "days")
        return list(distinct.iter_rows()), at

    @cached_property
    def amounts(self) -> Float64[np.ndarray, " instruments"]:
        """What a return of 1 brings, in the instrument's currency."""
        return (self.instruments["mark"] * self.instruments["multiplier"]).to_numpy()

    @cached_property
    def owned(self) -> Float64[np.ndarray, " instruments"]:
        """Value of one unit, 0 of a future."""
        return np.where((self.instruments["kind"] == "future").to_numpy(), 0.0, self.amounts)

    def whole(self, kept: Bool[np.ndarray, " factors"]) -> Bool[np.ndarray, " accounts"]:
        """Say which accounts hold instruments alone that have scenarios of their underlying and their currency."""
        key = kept.tobytes()
        if key not in self._whole:
            self._whole[key] = self.positions.whole(self._valued(kept))
        return self._whole[key]

    @cached_property
    def _whole(self) -> dict[bytes, Bool[np.ndarray, " accounts"]]:
        return {}

    def _valued(self, kept: Bool[np.ndarray, " factors"]) -> Bool[np.ndarray, " instruments"]:
        factors = self.rolling.histories.factors
        there = {factor.code for factor, known in zip(factors, kept, strict=True) if known}
        pairs = self.instruments.select("underlying", "currency").iter_rows()
        return np.array(
            [
                f"spot:{name}" in there and (currency == self.home or f"exchange_rate:{currency}" in there)
                for name, currency in pairs
            ]
        )

    def rows(
        self,
        moves: Float64[np.ndarray, "factors stride"],
        used: Bool[np.ndarray, " factors"],
        layout: ScenarioLayout,
        rows: Float[np.ndarray, "instruments stride"],
    ) -> None:
        """Fill profit and loss of one unit of each instrument, the numbers that ``make_cube`` has.

        Parameters
        ----------
        moves : ndarray of float64, shape (factors, stride)
            Of the book's factors, 0 in columns of no scenario.
        used : ndarray of bool, shape (factors,)
            Which of them there are; every spot.
        layout : ScenarioLayout
            Where the scenarios stand.
        rows : ndarray, shape (instruments, stride)
            Filled.
        """
        told = FactorMoves(self._named(used), self.revaluation, layout, moves if used.all() else moves[used])
        np.multiply(self.amounts.astype(self.dtype)[:, None], self._returns(told)[self.sources[1]], out=rows)
        for currency, mine, rate in self._currencies:
            move = told.exchange_rate(currency)
            if rate != 1.0 or move.any():
                rows[mine] = rate * ((1 + move) * rows[mine] + self.owned[mine, None] * move)

    def _returns(self, told: FactorMoves) -> Float[np.ndarray, "sources stride"]:
        """Return the move of each forward; that of an underlying without a factor is 0, and counts for nobody."""
        sources, columns = self.sources[0], told.scenarios.columns
        places = np.array([columns.get(f"spot:{name}", -1) for name, _, _ in sources])
        growth = 1 + told.moves[places]
        growth[places < 0] = 1.0
        for place, (name, currency, days) in enumerate(sources):
            if days and places[place] >= 0 and told.scenarios.curve("rate", currency):
                growth[place] = told.growth(name, currency, days)
        return (growth - 1).astype(self.dtype)

    @cached_property
    def _currencies(self) -> list[tuple[str, Int64[np.ndarray, " mine"], float]]:
        pairs = self.instruments.select("currency", "exchange_rate")
        distinct, at = distinct_rows(pairs, "currency", "exchange_rate")
        return [
            (currency, np.flatnonzero(at == number), rate)
            for number, (currency, rate) in enumerate(distinct.iter_rows())
        ]

    def _named(self, used: Bool[np.ndarray, " factors"]) -> ScenarioSet:
        """Return a set that names the factors in use; its one scenario does not count."""
        key = used.tobytes()
        if key not in self._sets:
            factors = self.rolling.histories.factors
            self._sets[key] = ScenarioSet(
                as_of=self.rolling.histories.as_of,
                horizon_days=self.rolling.settings.horizon_days,
                factors=tuple(factor for factor, known in zip(factors, used, strict=True) if known),
                moves=np.zeros((1, int(used.sum()))),
                labels=("",),
                parts=(ScenarioPart(name="none", start=0, stop=1, tail_count=1, weight=1.0),),
                method="",
                settings=(),
                input_hash="",
            )
        return self._sets[key]

    @cached_property
    def _sets(self) -> dict[bytes, ScenarioSet]:
        return {}

    @cached_property
    def is_spot(self) -> Bool[np.ndarray, " factors"]:
        """Which factors are prices of underlyings."""
        factors = self.rolling.histories.factors
        return np.array([factor.kind == "spot" for factor in factors], np.bool_)


def _moved_by(instruments: pl.DataFrame, rolling: RollingScenarios) -> Int64[np.ndarray, " columns"]:
    """Return the factors that move instruments, and those whose worst days are scenarios."""
    names, currencies = set(instruments["underlying"]), set(instruments["currency"])
    selections = (rules.selection for rules in rolling.rules)
    ranked = {chosen.factor for chosen in selections if isinstance(chosen, WorstDays)}
    wanted = {"spot": names, "exchange_rate": currencies, "rate": currencies}
    return np.array(
        [
            column
            for column, factor in enumerate(rolling.histories.factors)
            if factor.name in wanted.get(factor.kind, ()) or factor.code in ranked
        ],
        np.int64,
    )


def _only(histories: Histories, columns: Int64[np.ndarray, " columns"]) -> Histories:
    """Return the histories of some factors."""
    return replace(
        histories,
        factors=tuple(histories.factors[column] for column in columns),
        levels=histories.levels[:, columns],
        returns=histories.returns[:, columns],
        valid=histories.valid[:, columns],
        proxied=histories.proxied[:, columns],
        stale=histories.stale[:, columns],
    )


def fill_linear_tails(
    tails: RollingTails,
    accounts: Int64[np.ndarray, " chosen"],
    book: LinearBook,
    rolling: RollingScenarios,
    places: Int64[np.ndarray, " days"],
) -> None:
    """Fill the tails of some accounts, whose book this is, on all days, by the scenarios of the whole histories."""
    days = [rolling.known(place) for place in places.tolist()]
    scaled = [number for number, rules in enumerate(rolling.rules) if rules.filtering]
    past = {
        number: _past_tails(book, days, number)
        for number in range(len(rolling.rules))
        if number not in scaled
    }
    buffer = rolling.settings.anti_procyclical.buffer
    for chosen in _alike(days):
        some = days[chosen]
        found = {number: (means[chosen], ends[chosen]) for number, (means, ends) in past.items()}
        if scaled:
            found |= _scaled_tails(book, some, scaled)
        whole = np.array([book.whole(known.kept[book.columns]) for known in some])
        tails.put(chosen, accounts, some[0].parts, [found[n] for n in sorted(found)], whole, buffer)


def _alike(days: list[KnownScenarios]) -> Iterator[slice]:
    """Yield runs of some days with parts of the same sizes."""
    first = 0
    for day in range(1, len(days) + 1):
        if day == len(days) or day - first == DAYS_AT_ONCE or days[day].parts != days[first].parts:
            yield slice(first, day)
            first = day


def _scaled_tails(book: LinearBook, days: list[KnownScenarios], scaled: list[int]) -> dict[int, PartTails]:
    """Return the tails of the scaled parts on some days."""
    parts = [days[0].parts[number] for number in scaled]
    layout = scenario_layout(parts)
    rows = aligned_zeros((len(days), len(book.instruments), layout.stride), book.dtype.type)
    moves = np.zeros((book.columns.size, layout.stride))
    for day, known in enumerate(days):
        for number, (start, stop) in zip(scaled, layout.bounds, strict=True):
            book.rolling.put_moves(known, number, moves[:, start:stop])
        book.rows(moves, known.kept[book.columns] | book.is_spot, layout, rows[day])
    held, counts = book.positions, np.array([part.tail_count for part in parts])
    tails = book_tails(held.starts, held.rows, held.quantities, rows, layout.bounds, counts)
    return dict(zip(scaled, zip(*tails, strict=True), strict=True))


def _past_tails(book: LinearBook, days: list[KnownScenarios], number: int) -> PartTails:
    """Return the tails of an unscaled part on all days, from the results of past windows, each made once.

    Days that have moves of the same exchange and interest rates share the results.
    """
    shortfalls, at_risk = np.zeros((2, len(days), book.positions.count))
    kept = np.array([known.kept[book.columns] | book.is_spot for known in days])
    patterns, group = np.unique(kept, axis=0, return_inverse=True)
    for pattern, used in enumerate(patterns):
        some = np.flatnonzero(group.ravel() == pattern)
        ends = np.unique(np.concatenate([days[day].ends[number] for day in some]))
        members = np.zeros((some.size, ends.size), np.bool_)
        for place, day in enumerate(some):
            members[place, np.searchsorted(ends, days[day].ends[number])] = True
        counts = np.array([days[day].parts[number].tail_count for day in some])
        for first in range(0, book.positions.count, CHUNK):
            last = min(first + CHUNK, book.positions.count)
            results = _past_results(book, used, ends, np.arange(first, last))
            found = np.zeros((2, some.size, last - first))
            member_tails(results, members, counts, *found)
            shortfalls[some, first:last], at_risk[some, first:last] = found
    return shortfalls, at_risk


def _past_results(
    book: LinearBook,
    used: Bool[np.ndarray, " factors"],
    ends: Int64[np.ndarray, " windows"],
    accounts: Int64[np.ndarray, " chosen"],
) -> Float[np.ndarray, "chosen windows"]:
    """Return what each past window does to some accounts, gain-positive."""
    part = ScenarioPart(name="past", start=0, stop=ends.size, tail_count=1, weight=1.0)
    layout = scenario_layout([part])
    rows = aligned_zeros((len(book.instruments), layout.stride), book.dtype.type)
    book.rows(layout.spread(book.rolling.plain_moves[:, ends]), used, layout, rows)
    held, counts = book.positions.select(accounts), np.ones(1, np.int64)
    results = aligned_zeros((held.count, layout.stride), book.dtype.type)
    account_tails(held.starts, held.rows, held.quantities, rows, layout.bounds, counts, pnl=results)
    return np.ascontiguousarray(results[:, : ends.size])
