"""Positions of many accounts, tied to series and put in order: by account, combined commodity, series."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int32, Int64

from crossmargin.core.columns import require_columns
from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crossmargin.core.columns import FrameInput
    from crossmargin.models.span.parameters import SpanParameters
    from crossmargin.models.span.tables import SpanTables

__all__ = ["ACCOUNT", "POSITION_COLUMNS", "SpanBook", "locate", "make_book"]

ACCOUNT: Final = "account"

POSITION_COLUMNS: Final[dict[str, pl.DataType]] = {
    ACCOUNT: pl.String(),
    "exchange": pl.String(),
    "product": pl.String(),
    "expiry": pl.String(),
    "right": pl.String(),
    "strike": pl.Float64(),
    "quantity": pl.Int64(),
}
"""Columns of a position; ``account`` and ``exchange`` may be left out, ``right`` and ``strike`` be null."""

STRIKE: Final = pl.when(pl.col("right") != "").then(pl.col("strike")).alias("strike")
"""The strike of an option; a future has none, whatever stands there."""

SERIES_KEY: Final = ("exchange", "product", "right", "expiry", "strike")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpanBook:
    """Positions in columns; a portfolio is one combined commodity of one account.

    Parameters
    ----------
    accounts : tuple of str
        Names, in order.
    starts : ndarray of int64, shape (portfolios + 1,)
        Positions of each portfolio.
    series : ndarray of int32, shape (positions,)
        Row of each position in the parameters' series; each row once in a portfolio.
    long, short : ndarray of float64, shape (positions,)
        Contracts bought and sold, both ≥ 0 and not netted.
    account, commodity : ndarray of int64, shape (portfolios,)
        Whose portfolio, and of which combined commodity.
    account_starts : ndarray of int64, shape (accounts + 1,)
        Portfolios of each account.
    """

    accounts: tuple[str, ...]
    starts: Int64[np.ndarray, " portfolios+1"]
    series: Int32[np.ndarray, " positions"]
    long: Float64[np.ndarray, " positions"]
    short: Float64[np.ndarray, " positions"]
    account: Int64[np.ndarray, " portfolios"]
    commodity: Int64[np.ndarray, " portfolios"]
    account_starts: Int64[np.ndarray, " accounts+1"]

    @property
    def portfolio(self) -> Int64[np.ndarray, " positions"]:
        """Portfolio of each position."""
        return np.repeat(np.arange(self.account.size), np.diff(self.starts))

    @property
    def content_hash(self) -> str:
        """SHA-256 of the positions in order, whatever order they came in."""
        digest = hashlib.sha256("\n".join(self.accounts).encode())
        for column in (self.account_starts, self.starts, self.series, self.long, self.short):
            digest.update(np.ascontiguousarray(column).data)
        return digest.hexdigest()

    @property
    def net(self) -> Float64[np.ndarray, " positions"]:
        """Contracts, + long, − short, after netting each series."""
        return self.long - self.short


def locate(positions: FrameInput, parameters: SpanParameters) -> pl.DataFrame:
    """Return account, series row and quantity of each position.

    Raises
    ------
    InputError
        Listing every bad position: a broken value, a series that the file does not have, or several that fit.
    """
    names: Any = getattr(positions, "columns", positions)
    given = {
        name: dtype for name, dtype in POSITION_COLUMNS.items() if name in list(names) or name == "quantity"
    }
    needed = given | {name: POSITION_COLUMNS[name] for name in ("product", "expiry")}
    frame = require_columns(positions, "positions", needed, nullable=("right", "strike", "exchange"))
    keys = [name for name in SERIES_KEY if name in frame.columns or name in {"right", "strike"}]
    filled = frame.with_columns(
        pl.lit(None, pl.String).alias(name) if name == "right" else pl.lit(None, pl.Float64).alias(name)
        for name in ("right", "strike")
        if name not in frame.columns
    ).with_columns(pl.col("right").fill_null(""))
    row, fitting = _rows(filled.with_columns(STRIKE), parameters.series.with_columns(STRIKE), keys)
    if bad := list(_bad_series(filled, fitting, keys)):
        raise InputError(bad)
    account = filled[ACCOUNT] if ACCOUNT in filled.columns else pl.repeat(ACCOUNT, len(filled), eager=True)
    return pl.DataFrame({ACCOUNT: account, "series": row, "quantity": filled["quantity"]})


def _rows(
    positions: pl.DataFrame, series: pl.DataFrame, keys: Sequence[str]
) -> tuple[Int32[np.ndarray, " positions"], Int64[np.ndarray, " positions"]]:
    """Return the first series that fits each position, and how many fit.

    Each key column is numbered by the values that the series have; the numbers of a row make one integer,
    which is looked up among those of the series.
    """
    known, asked = np.zeros(len(series), np.int64), np.zeros(len(positions), np.int64)
    possible = np.ones(len(positions), np.bool_)
    for name in keys:
        values = series[name].unique().sort()
        number, found = _numbered(series[name], values)[0], _numbered(positions[name], values)
        known, asked = known * (len(values) + 1) + number, asked * (len(values) + 1) + found[0]
        possible &= found[1]
    distinct, first, count = np.unique(known, return_index=True, return_counts=True)
    place = np.searchsorted(distinct, asked)
    there = possible & (np.append(distinct, -1)[place] == asked)
    return np.append(first, 0)[place].astype(np.int32), np.where(there, np.append(count, 0)[place], 0)


def _numbered(
    column: pl.Series, values: pl.Series
) -> tuple[Int64[np.ndarray, " rows"], Bool[np.ndarray, " rows"]]:
    """Return the place of each value among the sorted ``values``, and whether it is there; null is one value."""
    if column.dtype == pl.String:
        coded = column.cast(pl.Enum(values.drop_nulls()), strict=False)
        number = coded.to_physical().cast(pl.Int64).fill_null(len(values)).to_numpy()
        return number, (number < len(values)) | column.is_null().to_numpy()
    numbers = values.drop_nulls().to_numpy()
    filled = column.fill_null(np.inf).to_numpy()
    place = np.searchsorted(numbers, filled)
    there = np.append(numbers, np.inf)[place] == filled
    return np.where(np.isinf(filled), len(values), place), there


def _bad_series(
    positions: pl.DataFrame, fitting: Int64[np.ndarray, " positions"], keys: Sequence[str]
) -> Iterator[BadRecord]:
    for row in np.flatnonzero(fitting != 1).tolist():
        value = " ".join(str(part) for part in positions.select(keys).row(row) if part not in {None, ""})
        rule = "a series of the parameter file" if not fitting[row] else "one series only; name the exchange"
        yield BadRecord(file="positions", line=row + 1, field="series", value=value, rule=rule)


def make_book(located: pl.DataFrame, tables: SpanTables) -> SpanBook:
    """Gather longs and shorts of each account and series and put them in order.

    Parameters
    ----------
    located : DataFrame
        ``account``, ``series`` (row) and ``quantity``, as ``locate`` returns them.
    tables : SpanTables
        The parameters.
    """
    accounts = located[ACCOUNT].unique().sort()
    account = located[ACCOUNT].cast(pl.Enum(accounts)).to_physical().cast(pl.Int64).to_numpy()
    by_commodity = np.argsort(tables.series_commodity, kind="stable")
    place = np.empty_like(by_commodity)
    place[by_commodity] = np.arange(by_commodity.size)
    key = account * max(by_commodity.size, 1) + place[located["series"].to_numpy()]
    order = np.argsort(key, kind="stable")
    key, quantity = key[order], located["quantity"].to_numpy()[order]
    merged = np.flatnonzero(_changes(key))
    longs, shorts = (
        np.add.reduceat(np.maximum(side, 0), merged) if merged.size else merged
        for side in (quantity, -quantity)
    )
    account, rank = np.divmod(key[merged], max(by_commodity.size, 1))
    series = by_commodity[rank].astype(np.int32)
    commodity = tables.series_commodity[series]
    heads = np.flatnonzero(_changes(account, commodity))
    return SpanBook(
        accounts=tuple(accounts),
        starts=np.append(heads, merged.size),
        series=series,
        long=longs.astype(np.float64),
        short=shorts.astype(np.float64),
        account=account[heads],
        commodity=commodity[heads],
        account_starts=np.searchsorted(account[heads], np.arange(len(accounts) + 1)).astype(np.int64),
    )


def _changes(*keys: Int64[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Tell where a row differs from the one before; the first always does."""
    changed = np.zeros(keys[0].size, np.bool_)
    changed[:1] = True
    for key in keys:
        changed[1:] |= key[1:] != key[:-1]
    return changed
