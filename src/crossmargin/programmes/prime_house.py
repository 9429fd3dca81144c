"""PRiME as a house's model: the risk margin of any book, of all houses' products.

Shares and funds are margined as physical products in a combined commodity that stands for them, and pay
for what the two may come apart: the conversion is a model of its own, in columns that can be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int64

from crossmargin.core.rounding import exact_sums, exact_total, to_minor
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.span.book import make_book
from crossmargin.models.span.scanning import DECIMALS, portfolio_risk
from crossmargin.models.span.settings import SpanSettings
from crossmargin.models.span.tables import SpanTables, make_tables

if TYPE_CHECKING:
    from crossmargin.models.span.from_market import MarketSpan
    from crossmargin.models.span.parameters import SpanParameters
    from crossmargin.programmes.books import Books

__all__ = ["PrimeHouse", "PrimeMargins"]

BASES: Final = {False: SpanSettings(basis="net"), True: SpanSettings(basis="gross")}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PrimeMargins:
    """What PRiME asks of each book, in hundredths of the market's currency.

    Parameters
    ----------
    risk : ndarray of int64, shape (books,)
        Risk margin of all combined commodities and basis charges, at least 0: what a saving may reduce.
    option_value : ndarray of int64, shape (books,)
        Long less short value of options paid up front: a credit where positive, which no saving touches.
    requirement : ndarray of int64, shape (books,)
        See ``PrimeHouse.requirement``.
    """

    risk: Int64[np.ndarray, " books"]
    option_value: Int64[np.ndarray, " books"]
    requirement: Int64[np.ndarray, " books"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PrimeHouse:
    """PRiME with the parameters of a market.

    A book of one house's products has the credits that the house gives today; a book of several houses'
    has those across houses too. A book that is gross has none.

    Parameters
    ----------
    span : MarketSpan
        Parameters of the day, by row of the snapshot's instruments.
    """

    span: MarketSpan

    @property
    def name(self) -> str:
        """The name by which a programme chooses it."""
        return "prime"

    @property
    def can_margin(self) -> Bool[np.ndarray, " instruments"]:
        """Whether each instrument of the snapshot has risk parameters."""
        return self.span.series >= 0

    def market_risk(self, books: Books) -> Int64[np.ndarray, " books"]:
        """Return the risk margin of each book, with basis charges, in hundredths; without option value.

        Raises
        ------
        InputError
            Listing every instrument held that has no risk parameters.
        """
        return self.accounts(books).risk

    def accounts(self, books: Books) -> PrimeMargins:
        """Return risk, option value and requirement of each book; errors as ``market_risk``."""
        self._require_known(books)
        risk, value = np.zeros((2, books.count), np.int64)
        linked = self._of_several_houses(books) & ~books.gross
        for chosen, parameters, tables, basis in (
            (~linked & ~books.gross, self.span.own, self._own, False),
            (linked, self.span.linked, self._linked, False),
            (books.gross, self.span.own, self._gross, True),
        ):
            if chosen.any():
                self._margin(books, chosen, parameters, tables, BASES[basis], risk, value)
        risk = exact_total(risk, self._basis_charges(books))
        return PrimeMargins(risk=risk, option_value=value, requirement=self.requirement(risk, value))

    @staticmethod
    def requirement(
        risk: Int64[np.ndarray, " books"], option_value: Int64[np.ndarray, " books"]
    ) -> Int64[np.ndarray, " books"]:
        """Return what is called: risk less option value, at least 0; for a risk that was reduced as well."""
        return np.maximum(exact_total(risk, -option_value), 0)

    @cached_property
    def _own(self) -> SpanTables:
        return make_tables(self.span.own, BASES[False])

    @cached_property
    def _linked(self) -> SpanTables:
        return make_tables(self.span.linked, BASES[False])

    @cached_property
    def _gross(self) -> SpanTables:
        return make_tables(self.span.own, BASES[True])

    @cached_property
    def _house(self) -> Int64[np.ndarray, " instruments"]:
        """Number of the house of each instrument, a power of two."""
        codes = self.span.instruments["house"].rank("dense").cast(pl.Int64).to_numpy()
        return np.left_shift(1, codes)

    @cached_property
    def _basis_charge(self) -> Float64[np.ndarray, " instruments"]:
        """Basis charge of one unit of each instrument, in the market's currency."""
        table = self.span.instruments.join(
            self.span.conversion, on="instrument", how="left", maintain_order="left"
        )
        return table.select((pl.col("value") * pl.col("basis_charge")).fill_null(0.0)).to_series().to_numpy()

    def _require_known(self, books: Books) -> None:
        unknown = np.unique(books.rows[self.span.series[books.rows] < 0])
        if unknown.size:
            raise InputError(
                BadRecord(file="positions", line=0, field="instrument", value=name, rule="risk parameters")
                for name in self.span.instruments["instrument"].gather(unknown)
            )

    def _of_several_houses(self, books: Books) -> Bool[np.ndarray, " books"]:
        held = np.zeros(books.count, np.int64)
        filled = np.flatnonzero(np.diff(books.starts))
        held[filled] = (
            np.bitwise_or.reduceat(self._house[books.rows], books.starts[filled]) if filled.size else 0
        )
        return (held & (held - 1)) != 0

    def _basis_charges(self, books: Books) -> Int64[np.ndarray, " books"]:
        """Return the basis charges of each book: every position by itself, nothing nets."""
        charge = self._basis_charge[books.rows]
        at = np.flatnonzero(charge)
        amounts = to_minor(np.abs(books.quantities[at]) * charge[at], DECIMALS)
        return exact_sums(amounts, books.book[at], books.count)

    def _margin(
        self,
        books: Books,
        chosen: Bool[np.ndarray, " books"],
        parameters: SpanParameters,
        tables: SpanTables,
        settings: SpanSettings,
        risk: Int64[np.ndarray, " books"],
        value: Int64[np.ndarray, " books"],
    ) -> None:
        """Fill risk and option value of the chosen books.

        The option value of a commodity is the rounded risk less the rounded difference, so that both
        come to the requirement of ``span_margins``, which rounds the difference alone.
        """
        mine = np.repeat(chosen, np.diff(books.starts))
        located = pl.DataFrame(
            {
                "account": books.book[mine],
                "series": self.span.series[books.rows[mine]],
                "quantity": books.quantities[mine],
            },
            schema={"account": pl.Int64, "series": pl.Int32, "quantity": pl.Int64},
        )
        book = make_book(located, tables)
        margined = portfolio_risk(book, parameters, tables, settings)
        owner = book.names.to_numpy()[book.account]
        cents = to_minor(margined.risk_margin, DECIMALS)
        risk += exact_sums(cents, owner, books.count)
        value += exact_sums(cents - margined.requirement, owner, books.count)
