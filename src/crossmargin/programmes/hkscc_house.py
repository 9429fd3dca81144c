"""HKSCC's margin method for any books, and HKSCC's call with another market risk than today's.

HKSCC nets what it margins as one; it knows no gross basis. Where a book is gross, each of its positions is
margined by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int32, Int64

from crossmargin.core.columns import NUMBER_LIMIT
from crossmargin.core.rounding import exact_sums, exact_total, to_minor
from crossmargin.errors import BadRecord, InputError, RangeError
from crossmargin.models.hkscc.book import DECIMALS, Book
from crossmargin.models.hkscc.flat_rate_margin import flat_rate_margin
from crossmargin.models.hkscc.liquidation_addon import liquidation_addon
from crossmargin.models.hkscc.margin import margins_of_book
from crossmargin.models.hkscc.portfolio_margin import portfolio_margin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from crossmargin.models.hkscc.margin import HksccMargins
    from crossmargin.models.hkscc.parameters import HksccParameters
    from crossmargin.models.hkscc.participant import HksccParticipant
    from crossmargin.models.hkscc.requirement import Requirement
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.programmes.books import Books
    from crossmargin.programmes.conversion import Conversion

__all__ = ["HksccHouse"]

HOUSE: Final = "HKSCC"
OWN_RULE: Final = "an instrument of HKSCC with returns and a liquidation record, or with a flat rate"


@dataclass(frozen=True, slots=True, eq=False)
class _Terms:
    """What the model makes of one long unit of each instrument of a snapshot.

    Parameters
    ----------
    place : ndarray of int32, shape (instruments,)
        Row in the parameters' directory of what it is margined as; −1 where it cannot be margined.
    units : ndarray of float64, shape (instruments,)
        Units of that; 1 for the house's own.
    value : ndarray of float64, shape (instruments,)
        Their market value.
    charges : ndarray of float64, shape (instruments, 2)
        Conversion charges of a unit held long, and short; 0 for the house's own.
    is_own : ndarray of bool, shape (instruments,)
        Whether the house margins it today.
    why_not : Series of str, length instruments
        Why it cannot be margined; null where it can.
    """

    place: Int32[np.ndarray, " instruments"]
    units: Float64[np.ndarray, " instruments"]
    value: Float64[np.ndarray, " instruments"]
    charges: Float64[np.ndarray, "instruments 2"]
    is_own: Bool[np.ndarray, " instruments"]
    why_not: pl.Series


@dataclass(frozen=True, kw_only=True, eq=False)
class HksccHouse:
    """HKSCC's VaR model on one day, as a ``HouseModel``.

    Parameters
    ----------
    snapshot : Snapshot
        Whose instruments the rows of books are.
    parameters : HksccParameters
        The house's risk parameters of that day.
    settings : HksccParticipant
        Of every participant without its own.
    conversion : Conversion
        Delta equivalents of other houses' products.
    own_settings : mapping of str to HksccParticipant
        By participant.

    Raises
    ------
    InputError
        If the parameters are of another day, or a proxy is no instrument of the house on that day.
    """

    snapshot: Snapshot
    parameters: HksccParameters
    settings: HksccParticipant
    conversion: Conversion
    own_settings: Mapping[str, HksccParticipant] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bad := [*self._bad_day(), *self._bad_proxies()]:
            raise InputError(bad)

    def _bad_day(self) -> Iterator[BadRecord]:
        if self.parameters.valuation_date != self.snapshot.as_of:
            value = str(self.parameters.valuation_date)
            yield _bad("parameters", "valuation_date", value, f"{self.snapshot.as_of}, the day of the marks")

    def _bad_proxies(self) -> Iterator[BadRecord]:
        own = self.snapshot.instruments.filter(pl.col("house") == HOUSE)["instrument"]
        proxies = self.conversion.table["proxy"].unique().sort()
        for name in proxies.filter(~proxies.is_in(own.implode())):
            yield _bad("conversion", "proxy", name, "an instrument of HKSCC with a price on that day")

    @property
    def name(self) -> str:
        """Name of the method."""
        return "hkscc_var"

    @property
    def can_margin(self) -> Bool[np.ndarray, " instruments"]:
        """Whether the model can margin each instrument of the snapshot."""
        return self._terms.place >= 0

    def market_risk(
        self, books: Books, participants: Sequence[str] | None = None
    ) -> Int64[np.ndarray, " books"]:
        """Return portfolio margin, flat rate margin and conversion charges of each book, in cents.

        Before liquidation add-on, holiday add-on, rounding up, favourable mark and credit (§3.2.1, §3.2.2).
        The guide's rounding to whole HKD is in it: a book twice as large has twice the margin but for at most
        1.5 HKD a position and 1.5 HKD more. Charges are those of each position, to the cent.

        Parameters
        ----------
        books : Books
            Products of the house and converted ones, which are netted as what they are converted into.
        participants : sequence of str, optional
            Whose settings hold for each book; the general ones if not given.

        Raises
        ------
        InputError
            Listing every instrument that cannot be margined, see ``can_margin``.
        RangeError
            If a market value goes beyond ±10^12.
        """
        book, owner, settings = self._margined(books, participants)
        by_rule = [
            rule(book, self.parameters, settings).amount for rule in (portfolio_margin, flat_rate_margin)
        ]
        risk = exact_sums(exact_total(*by_rule), owner, books.count)
        return exact_total(risk, self._conversion_charges(books))

    def liquidation(
        self, books: Books, participants: Sequence[str] | None = None
    ) -> Int64[np.ndarray, " books"]:
        """Return the liquidation add-on of each book in cents (§3.2.3); arguments and errors as ``market_risk``.

        A name's shares, futures and options count together. What lies above a threshold is charged, so that
        the add-on of a union may be above the sum of its parts' (Glasserman, Moallemi and Yuan, 2016).
        """
        book, owner, settings = self._margined(books, participants)
        addon = liquidation_addon(book, self.parameters, settings).amount
        return exact_sums(addon, owner, books.count)

    def participants(self, books: Books, names: Sequence[str]) -> HksccMargins:
        """Return today's margin of each participant, as ``hkscc_margins`` makes it.

        Positions of a market carry no trade prices: contract value is market value, and marks are nil.

        Parameters
        ----------
        books : Books
            A book a participant, of the house's own products; netted whatever ``gross`` says.
        names : sequence of str
            The participants.

        Raises
        ------
        InputError
            Listing every instrument that the house does not margin today.
        RangeError
            If a market value goes beyond ±10^12.
        """
        assert len(names) == books.count
        self._refuse(books.rows, self._terms.is_own & self.can_margin, OWN_RULE)
        book = self._netted(books, books.book, tuple(names))
        return margins_of_book(book, self.parameters, self._settings_of(names))

    def calls(self, margins: HksccMargins, market_risk: Int64[np.ndarray, " participants"]) -> Requirement:
        """Return what is called when a programme changes the market risk of participants.

        The saving enters before holiday add-on, rounding up, favourable mark and margin credit (§3.2.3.5 to
        §3.2.7), so that a credit does not decide what share of the margin it is.

        Parameters
        ----------
        margins : HksccMargins
            Today's, from ``participants``.
        market_risk : ndarray of int64, shape (participants,)
            In place of portfolio margin and flat rate margin; cents, at least 0.
        """
        return margins.requirement_with(market_risk)

    def _settings_of(self, names: Sequence[str]) -> tuple[HksccParticipant, ...]:
        return tuple(self.own_settings.get(name, self.settings) for name in names)

    def _margined(
        self, books: Books, participants: Sequence[str] | None
    ) -> tuple[Book, Int64[np.ndarray, " units"], tuple[HksccParticipant, ...]]:
        """Return what is margined as one, each in place of a participant; the book of each; its settings."""
        self._refuse(books.rows, self.can_margin, "an instrument that HKSCC's model can margin")
        book_of = books.book
        first = books.gross[book_of]
        first[books.starts[:-1][np.diff(books.starts) > 0]] = True
        owner = book_of[first]
        names = ("",) * owner.size
        if participants is None:
            settings = (self.settings,) * owner.size
        else:
            assert len(participants) == books.count
            of_book = self._settings_of(participants)
            settings = tuple(of_book[book] for book in owner.tolist())
        return self._netted(books, np.cumsum(first) - 1, names), owner, settings

    def _netted(self, books: Books, unit: Int64[np.ndarray, " positions"], names: tuple[str, ...]) -> Book:
        """Net what is margined as the same, unit by unit, in the order of the parameter file."""
        terms, size = self._terms, len(self.parameters.directory)
        keys, number = np.unique(unit * size + terms.place[books.rows], return_inverse=True)
        owner, place = np.divmod(keys, size)
        value = _added(number, books.quantities * terms.value[books.rows], keys.size)
        if not np.all(np.abs(value) <= NUMBER_LIMIT):
            raise RangeError(f"the market value of a position is beyond ±{NUMBER_LIMIT:.0e}")
        return Book(
            participants=names,
            owner=owner.astype(np.int32),
            instrument=self.parameters.directory["code"].gather(place),
            quantity=_added(number, books.quantities * terms.units[books.rows], keys.size),
            contract_value=value,
            market_value=value,
            rows={name: rows[place] for name, rows in self._rows.items()},
            rounding="guide",
        )

    def _conversion_charges(self, books: Books) -> Int64[np.ndarray, " books"]:
        side = (books.quantities < 0).astype(np.int64)
        charges = np.abs(books.quantities) * self._terms.charges[books.rows, side]
        return exact_sums(to_minor(charges, DECIMALS["guide"]), books.book, books.count)

    def _refuse(
        self, rows: Int32[np.ndarray, " positions"], admitted: Bool[np.ndarray, " instruments"], rule: str
    ) -> None:
        refused = np.unique(rows[~admitted[rows]]).tolist()
        if refused:
            table, why_not = self.snapshot.instruments["instrument"], self._terms.why_not
            reasons = ["" if why_not[row] is None else f"; {why_not[row]}" for row in refused]
            raise InputError(
                _bad("positions", "instrument", table[row], rule + reason)
                for row, reason in zip(refused, reasons, strict=True)
            )

    @cached_property
    def _rows(self) -> dict[str, Int32[np.ndarray, " directory"]]:
        """Row in each parameter table of everything in the directory."""
        return self.parameters.rows(self.parameters.directory["code"])

    @cached_property
    def _terms(self) -> _Terms:
        table = self._own_terms()
        converted = _converted_terms(table, self.conversion)
        merged = table.join(converted, on="instrument", how="left", maintain_order="left", suffix="_other")
        own = pl.col("is_own")
        columns = merged.select(
            pl.when(own).then("place").otherwise("place_other").fill_null(-1).cast(pl.Int32).alias("place"),
            pl.when(own).then(1.0).otherwise("units").fill_null(0.0).alias("units"),
            pl.when(own).then("value").otherwise("value_other").fill_null(0.0).alias("value"),
            *(
                pl.when(own).then(0.0).otherwise(side).fill_null(0.0).alias(side)
                for side in ("long", "short")
            ),
            pl.when(~own).then("reason").alias("why_not"),
        )
        return _Terms(
            place=columns["place"].to_numpy(),
            units=columns["units"].to_numpy(),
            value=columns["value"].to_numpy(),
            charges=columns.select("long", "short").to_numpy(),
            is_own=table["is_own"].to_numpy(),
            why_not=columns["why_not"],
        )

    def _own_terms(self) -> pl.DataFrame:
        """Return the snapshot's instruments with ``is_own``, ``value`` of a unit and ``place``, null for none."""
        has = {name: rows >= 0 for name, rows in self._rows.items()}
        margined = has["flat_rate"] | (has["returns"] & has["liquidation"])
        directory = self.parameters.directory.filter(pl.Series(margined)).select(
            pl.col("code").alias("instrument"), place="directory_row"
        )
        value = pl.col("mark") * pl.col("multiplier") * pl.col("exchange_rate")
        cash = (pl.col("house") == HOUSE) & pl.col("kind").is_in(["equity", "etf"])
        own = self.snapshot.instruments.select("instrument", is_own=cash, value=value)
        return own.join(directory, on="instrument", how="left", maintain_order="left")


def _converted_terms(own: pl.DataFrame, conversion: Conversion) -> pl.DataFrame:
    """Return place, units, value and charges of other houses' products, or the reason why there are none."""
    proxies = own.filter("is_own").select("place", pl.col("instrument").alias("proxy"), proxy_value="value")
    value = pl.col("factor") * pl.col("proxy_value")
    basis = pl.col("basis_charge") * value.abs()
    converted = conversion.table.join(proxies, on="proxy", how="left", maintain_order="left").select(
        "place",
        pl.col("native").alias("instrument"),
        pl.col("factor").alias("units"),
        value.alias("value"),
        (basis + pl.col("long_charge")).alias("long"),
        (basis + pl.col("short_charge")).alias("short"),
        pl.lit(None, pl.String).alias("reason"),
    )
    return pl.concat([converted, conversion.unconverted], how="diagonal")


def _added(
    number: Int64[np.ndarray, " n"], amounts: Float64[np.ndarray, " n"], count: int
) -> Float64[np.ndarray, " count"]:
    """Add amounts by number in their order; of none at all, NumPy's sums would be whole numbers."""
    return np.bincount(number, amounts, count).astype(np.float64)


def _bad(file: str, field_name: str, value: str, rule: str) -> BadRecord:
    return BadRecord(file=file, line=0, field=field_name, value=value, rule=rule)
