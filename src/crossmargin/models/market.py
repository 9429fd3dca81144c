"""A market in columns: everything that is not a house's own file, the same from every source.

Who clears what for whom, which instruments there are, what is held, and the histories behind. Prices are
points in the instrument's currency; ``multiplier`` is money for one point of one unit of quantity
(contracts of a derivative, shares of a stock); quantities are + long, − short; volatilities and rates
are fractions a year.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from crossmargin.core.columns import require_columns
from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from crossmargin.core.columns import FrameInput

__all__ = [
    "DAYS_ADMITTED",
    "DAYS_ADMITTED_RULE",
    "HOUSES",
    "MARKET_DEFAULTS",
    "MARKET_KEYS",
    "MARKET_NULLABLE",
    "MARKET_SCHEMAS",
    "Market",
    "make_market",
    "market_rules",
]

HOUSES: Final = ("HKSCC", "HKCC", "SEOCH")

DAYS_ADMITTED: Final = (date(1900, 1, 1), date(2199, 12, 31))
"""First and last day that a table may hold: outside them, a day is a slip of digits."""

DAYS_ADMITTED_RULE: Final = "a day from 1900 to 2199"

TEXT, WHOLE, NUMBER, DAY = pl.String(), pl.Int64(), pl.Float64(), pl.Date()

MARKET_SCHEMAS: Final[dict[str, dict[str, pl.DataType]]] = {
    # A clearing participant; group: those under one control, for concentration and default.
    "participants": {"participant": TEXT, "name": TEXT, "group": TEXT},
    # type: DCASS account type. basis: "net" or "gross". owner: whose risk it is. consent: 1 if the owner
    # agreed to cross-margining, else 0.
    "accounts": {
        "account": TEXT,
        "participant": TEXT,
        "house": TEXT,
        "type": TEXT,
        "basis": TEXT,
        "owner": TEXT,
        "consent": WHOLE,
    },
    # What a price moves with. kind: "index", "stock" or "etf". adjustment: what its history is already
    # adjusted for, "none", "splits" or "total" (splits and dividends). listed: first day of trading, null
    # where it is older than the history. proxy: underlying to regress on for days before.
    "underlyings": {
        "underlying": TEXT,
        "kind": TEXT,
        "currency": TEXT,
        "dividend_yield": NUMBER,
        "adjustment": TEXT,
        "listed": DAY,
        "proxy": TEXT,
    },
    # kind: "equity", "etf", "future" or "option". right: "C" or "P"; style: "european" or "american";
    # settlement: "close", or "average" where the final price is a mean over the last day.
    "instruments": {
        "instrument": TEXT,
        "house": TEXT,
        "kind": TEXT,
        "underlying": TEXT,
        "currency": TEXT,
        "multiplier": NUMBER,
        "expiry": DAY,
        "right": TEXT,
        "strike": NUMBER,
        "style": TEXT,
        "settlement": TEXT,
    },
    # Several rows of one account and instrument add up. date: null holds always; of rows with a date,
    # those of the latest day up to the one asked for.
    "positions": {"date": DAY, "account": TEXT, "instrument": TEXT, "quantity": WHOLE},
    # Closing price or level of an underlying.
    "prices": {"date": DAY, "underlying": TEXT, "close": NUMBER},
    # Settlement price of a future or an option.
    "marks": {"date": DAY, "instrument": TEXT, "price": NUMBER},
    # At-the-money implied volatility for a number of days to expiry.
    "volatilities": {"date": DAY, "underlying": TEXT, "days": WHOLE, "volatility": NUMBER},
    "dividends": {"ex_date": DAY, "underlying": TEXT, "amount": NUMBER},
    # ratio: new shares for one old one.
    "splits": {"ex_date": DAY, "underlying": TEXT, "ratio": NUMBER},
    # Continuous interest rate a year.
    "rates": {"date": DAY, "currency": TEXT, "days": WHOLE, "rate": NUMBER},
    # Part of an index's value, or of a fund's, that a constituent makes on a day; of each underlying the
    # rows of its latest day hold. A fund on an index has the index as its one constituent.
    "weights": {"date": DAY, "underlying": TEXT, "constituent": TEXT, "weight": NUMBER},
    # Units of the market's currency for one unit of this one.
    "exchange_rates": {"date": DAY, "currency": TEXT, "rate": NUMBER},
}
"""Tables of ``Market`` by name, with their columns."""

MARKET_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "participants": ("participant",),
    "accounts": ("account",),
    "underlyings": ("underlying",),
    "instruments": ("instrument",),
    "positions": (),
    "prices": ("underlying", "date"),
    "marks": ("instrument", "date"),
    "volatilities": ("underlying", "date", "days"),
    "dividends": (),
    "splits": ("underlying", "ex_date"),
    "rates": ("currency", "date", "days"),
    "weights": ("underlying", "date", "constituent"),
    "exchange_rates": ("currency", "date"),
}
"""Columns that together stand once in each table; rows are kept sorted by them."""

HISTORIES: Final = ("prices", "volatilities", "dividends", "splits", "rates", "exchange_rates")
"""Tables that scenarios are made from."""

MARKET_NULLABLE: Final[dict[str, tuple[str, ...]]] = {
    "underlyings": ("listed", "proxy"),
    "instruments": ("expiry", "right", "strike", "style"),
    "positions": ("date",),
}
"""Columns that may have nulls."""

MARKET_DEFAULTS: Final[dict[str, dict[str, object]]] = {
    "participants": {"name": "unnamed"},
    "accounts": {"type": "house", "basis": "net", "consent": 0},
    "underlyings": {"dividend_yield": 0.0, "adjustment": "none", "listed": None, "proxy": None},
    "instruments": {
        "multiplier": 1.0,
        "expiry": None,
        "right": None,
        "strike": None,
        "style": None,
        "settlement": "close",
    },
    "positions": {"date": None},
}
"""What stands in every row where a table has no such column."""

REFERENCES: Final = (
    ("accounts", "participant", "participants", "participant"),
    ("underlyings", "proxy", "underlyings", "underlying"),
    ("instruments", "underlying", "underlyings", "underlying"),
    ("positions", "account", "accounts", "account"),
    ("positions", "instrument", "instruments", "instrument"),
    ("prices", "underlying", "underlyings", "underlying"),
    ("marks", "instrument", "instruments", "instrument"),
    ("volatilities", "underlying", "underlyings", "underlying"),
    ("dividends", "underlying", "underlyings", "underlying"),
    ("splits", "underlying", "underlyings", "underlying"),
    ("weights", "underlying", "underlyings", "underlying"),
    ("weights", "constituent", "underlyings", "underlying"),
)

WEIGHTS_SUM: Final = 1.0 + 1e-6
"""Weights of one day add up to no more: published ones are rounded."""


def _one_of(column: str, *choices: str) -> tuple[pl.Expr, str]:
    return pl.col(column).is_in(choices), f"one of {', '.join(choices)}"


def _above(column: str, low: float = 0) -> tuple[pl.Expr, str]:
    return pl.col(column) > low, f"above {low:g}"


def market_rules(table: str) -> Mapping[str, tuple[pl.Expr, str]]:
    """Return what must hold in each row of a table: column → (expression, rule in words)."""
    return _day_rules(table) | _value_rules(table)


def _day_rules(table: str) -> dict[str, tuple[pl.Expr, str]]:
    days = (column for column, dtype in MARKET_SCHEMAS[table].items() if dtype == DAY)
    return {column: (pl.col(column).is_between(*DAYS_ADMITTED), DAYS_ADMITTED_RULE) for column in days}


def _value_rules(table: str) -> dict[str, tuple[pl.Expr, str]]:
    rules: dict[str, dict[str, tuple[pl.Expr, str]]] = {
        "accounts": {
            "house": _one_of("house", *HOUSES),
            "type": _one_of("type", "house", "omnibus", "individual", "market-maker", "offset-claim"),
            "basis": _one_of("basis", "net", "gross"),
            "consent": (pl.col("consent").is_in([0, 1]), "0 or 1"),
        },
        "underlyings": {
            "kind": _one_of("kind", "index", "stock", "etf"),
            "adjustment": _one_of("adjustment", "none", "splits", "total"),
            "dividend_yield": (pl.col("dividend_yield").is_between(-1, 1), "from -1 to 1"),
            "proxy": (pl.col("proxy") != pl.col("underlying"), "another underlying"),
        },
        "instruments": _instrument_rules(),
        "prices": {"close": _above("close")},
        "marks": {"price": (pl.col("price") >= 0, "at least 0")},
        "volatilities": {"days": _above("days"), "volatility": _above("volatility")},
        "dividends": {"amount": _above("amount")},
        "splits": {"ratio": _above("ratio")},
        "rates": {"days": _above("days"), "rate": (pl.col("rate").is_between(-1, 1), "from -1 to 1")},
        "weights": {
            "constituent": (pl.col("constituent") != pl.col("underlying"), "another underlying"),
            "weight": ((pl.col("weight") > 0) & (pl.col("weight") <= 1), "above 0, at most 1"),
        },
        "exchange_rates": {"rate": _above("rate")},
    }
    return rules.get(table, {})


def _instrument_rules() -> dict[str, tuple[pl.Expr, str]]:
    is_option = pl.col("kind") == "option"
    derivative = pl.col("kind").is_in(["future", "option"])
    return {
        "house": _one_of("house", *HOUSES),
        "kind": _one_of("kind", "equity", "etf", "future", "option"),
        "multiplier": _above("multiplier"),
        "settlement": _one_of("settlement", "close", "average"),
        "right": (pl.col("right").is_in(["C", "P"]) & is_option, "C or P, of an option"),
        "strike": ((pl.col("strike") > 0) & is_option, "above 0, of an option"),
        "style": (
            pl.col("style").is_in(["european", "american"]) & is_option,
            "european or american, of an option",
        ),
        "expiry": (
            derivative & pl.col("expiry").is_between(*DAYS_ADMITTED),
            f"{DAYS_ADMITTED_RULE}, of a future or an option",
        ),
    }


@dataclass(frozen=True, kw_only=True, eq=False)
class Market:
    """Checked tables of a market; made by ``make_market``.

    Parameters
    ----------
    name : str
        What it is called.
    currency : str
        Currency of results.
    calendar : str
        Code of the exchange calendar of the histories, for example XHKG.
    data_note : str
        What the data says of itself, for example that it is synthetic; goes into every result.
    tables : mapping of str to DataFrame
        See ``MARKET_SCHEMAS``; every table is there, empty where nothing was given.
    """

    name: str
    currency: str
    calendar: str
    data_note: str
    tables: Mapping[str, pl.DataFrame]

    def __getitem__(self, table: str) -> pl.DataFrame:
        """Return the table of that name."""
        return self.tables[table]

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over everything the market says: equal content, equal hash, whatever files it came in."""
        digest = hashlib.sha256(repr((self.name, self.currency, self.calendar, self.data_note)).encode())
        for name in MARKET_SCHEMAS:
            digest.update(name.encode())
            digest.update(self.tables[name].write_csv().encode())
        return digest.hexdigest()

    def history_hash(self, day: date) -> str:
        """SHA-256 over the histories up to a day, and the terms of the underlyings."""
        digest = hashlib.sha256(repr((self.currency, self.calendar, day.isoformat())).encode())
        digest.update(self.tables["underlyings"].write_csv().encode())
        for name in HISTORIES:
            table = self.tables[name]
            known = table.filter(pl.col("date") <= day) if "date" in table.columns else table
            digest.update(name.encode())
            digest.update(known.write_csv().encode())
        return digest.hexdigest()

    def positions_on(self, day: date) -> pl.DataFrame:
        """Return account, instrument and quantity held on a day, one row each, sorted; none of 0.

        Rows without a date hold always; of dated rows, those of the latest day up to ``day``.
        """
        table = self.tables["positions"]
        dated = table.filter(pl.col("date") <= day)
        latest = dated.filter(pl.col("date") == pl.col("date").max())
        held = pl.concat([table.filter(pl.col("date").is_null()), latest])
        added = held.group_by("account", "instrument").agg(pl.col("quantity").sum())
        return added.filter(pl.col("quantity") != 0).sort("account", "instrument")

    def weights_on(self, day: date) -> pl.DataFrame:
        """Return underlying, constituent and weight of each underlying's latest day up to ``day``, sorted."""
        known = self.tables["weights"].filter(pl.col("date") <= day)
        latest = known.filter(pl.col("date") == pl.col("date").max().over("underlying"))
        return latest.select("underlying", "constituent", "weight").sort("underlying", "constituent")

    def latest(self, table: str, day: date, *key: str) -> pl.DataFrame:
        """Return of each key the last row of a dated table up to a day, sorted by key."""
        rows = self.tables[table].filter(pl.col("date") <= day).sort(*key, "date")
        return rows.group_by(key, maintain_order=True).last()


def make_market(
    tables: Mapping[str, FrameInput],
    *,
    name: str,
    currency: str = "HKD",
    calendar: str = "XHKG",
    data_note: str = "",
) -> Market:
    """Return a market of checked tables.

    Parameters
    ----------
    tables : mapping of str to frame or mapping of columns
        By name, see ``MARKET_SCHEMAS``; those left out are empty.
    name, currency, calendar, data_note : str
        See ``Market``.

    Raises
    ------
    InputError
        Listing every bad record of every table: wrong types and values, keys that stand twice, names
        that the table they refer to lacks, terms that contradict each other.
    """
    known = [*MARKET_SCHEMAS]
    bad = [
        BadRecord(file=table, line=0, field="", value=table, rule=f"one of {', '.join(known)}")
        for table in tables
        if table not in known
    ]
    checked: dict[str, pl.DataFrame] = {}
    for table in known:
        try:
            checked[table] = _checked(table, tables.get(table))
        except InputError as error:
            bad += error.records
    bad += list(_orphans(checked, tables))
    bad += list(_contradictions(checked))
    if bad:
        raise InputError(bad)
    sorted_tables = {
        table: frame.sort(MARKET_KEYS[table] or frame.columns) for table, frame in checked.items()
    }
    return Market(name=name, currency=currency, calendar=calendar, data_note=data_note, tables=sorted_tables)


def _checked(table: str, frame: FrameInput | None) -> pl.DataFrame:
    schema = MARKET_SCHEMAS[table]
    return require_columns(
        pl.DataFrame(schema=schema) if frame is None else frame,
        table,
        schema,
        defaults=MARKET_DEFAULTS.get(table),
        nullable=MARKET_NULLABLE.get(table, ()),
        key=MARKET_KEYS[table],
        rules=market_rules(table),
    )


def _orphans(checked: Mapping[str, pl.DataFrame], given: Mapping[str, FrameInput]) -> Iterator[BadRecord]:
    """Report names that the table they refer to lacks."""
    for table, column, home, key in REFERENCES:
        values, known = _names(checked, given, table, column), _names(checked, given, home, key)
        if values is not None and known is not None:
            unknown = values.is_not_null() & ~values.is_in(known.drop_nulls().implode())
            yield from _rows(table, column, values, unknown, f"one of the {home}")


def _names(
    checked: Mapping[str, pl.DataFrame], given: Mapping[str, FrameInput], table: str, column: str
) -> pl.Series | None:
    """Return a column of names, as it was given where its table has been refused for something else."""
    if table in checked:
        return checked[table][column]
    frame = given[table]
    is_there = isinstance(frame, pl.DataFrame) and frame.schema.get(column) == TEXT
    return frame[column] if is_there else None


def _contradictions(tables: Mapping[str, pl.DataFrame]) -> Iterator[BadRecord]:
    """Report instruments whose terms are not those of their kind, positions at another house, weights above 1."""
    if "weights" in tables:
        yield from _overweight(tables["weights"])
    if "instruments" not in tables:
        return
    instruments = tables["instruments"]
    is_option = instruments["kind"] == "option"
    for column in ("right", "strike", "style"):
        missing = is_option & instruments[column].is_null()
        yield from _rows("instruments", column, instruments[column], missing, "a value, of an option")
    yield from _other_currency(tables)
    dated = instruments["kind"].is_in(["future", "option"]) & instruments["expiry"].is_null()
    yield from _rows(
        "instruments", "expiry", instruments["expiry"], dated, "a date, of a future or an option"
    )
    if "positions" in tables and "accounts" in tables:
        yield from _elsewhere(tables)


def _overweight(weights: pl.DataFrame) -> Iterable[BadRecord]:
    """Report days on which the weights of an underlying add up to more than 1."""
    total = weights.select(pl.col("weight").sum().over("underlying", "date")).to_series()
    first = weights.select(pl.struct("underlying", "date").is_first_distinct()).to_series()
    return _rows(
        "weights", "weight", total, first & (total > WEIGHTS_SUM), "weights of a day that add up to 1"
    )


def _other_currency(tables: Mapping[str, pl.DataFrame]) -> Iterable[BadRecord]:
    """Report what is worth a multiple of its underlying, or is exercised into it, in another currency."""
    if "underlyings" not in tables:
        return []
    instruments, underlyings = tables["instruments"], tables["underlyings"]
    own = instruments.select(
        pl.col("underlying").replace_strict(underlyings["underlying"], underlyings["currency"], default=None)
    ).to_series()
    tied = instruments["kind"].is_in(["equity", "etf"]) | (instruments["style"] == "american").fill_null(
        value=False
    )
    other = (tied & (instruments["currency"] != own)).fill_null(value=False)
    rule = "the currency of the underlying, of an equity, an ETF or an American option"
    return _rows("instruments", "currency", instruments["currency"], other, rule)


def _elsewhere(tables: Mapping[str, pl.DataFrame]) -> Iterable[BadRecord]:
    """Report positions in an account of one house in an instrument of another."""
    positions = tables["positions"]
    houses = [
        positions.select(pl.col(key).replace_strict(tables[home][key], tables[home]["house"], default=None))
        for key, home in (("account", "accounts"), ("instrument", "instruments"))
    ]
    other = (houses[0].to_series() != houses[1].to_series()).fill_null(value=False)
    return _rows("positions", "instrument", positions["instrument"], other, "cleared by the account's house")


def _rows(table: str, column: str, values: pl.Series, refused: pl.Series, rule: str) -> Iterator[BadRecord]:
    for row in np.flatnonzero(refused.to_numpy()).tolist():
        value = "null" if values[row] is None else str(values[row])
        yield BadRecord(file=table, line=row + 1, field=column, value=value, rule=rule)
