"""Positions of many accounts, tied to series and put in order: by account, combined commodity, series."""

from __future__ import annotations

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
    if ACCOUNT not in frame.columns:
        filled = filled.with_columns(pl.lit(ACCOUNT).alias(ACCOUNT))
    table = (
        parameters.series.with_row_index("series")
        .group_by(keys, maintain_order=True)
        .agg(pl.col("series").first(), fitting=pl.len())
    )
    found = filled.join(table, on=keys, how="left", maintain_order="left", nulls_equal=True)
    if bad := list(_bad_series(found, keys)):
        raise InputError(bad)
    return found.select(ACCOUNT, pl.col("series").cast(pl.Int32), "quantity")


def _bad_series(found: pl.DataFrame, keys: Sequence[str]) -> Iterator[BadRecord]:
    fitting = found["fitting"].fill_null(0)
    for row in np.flatnonzero((fitting != 1).to_numpy()).tolist():
        value = " ".join(str(part) for part in found.select(keys).row(row) if part not in {None, ""})
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
    number = {name: i for i, name in enumerate(accounts)}
    account = located[ACCOUNT].replace_strict(number, return_dtype=pl.Int64).to_numpy()
    series = located["series"].to_numpy()
    quantity = located["quantity"].to_numpy()
    commodity = tables.series_commodity[series]
    order = np.lexsort((series, commodity, account))
    account, commodity, series, quantity = account[order], commodity[order], series[order], quantity[order]
    first = _changes(account, commodity, series)
    merged = np.flatnonzero(first)
    longs, shorts = (
        np.add.reduceat(np.maximum(side, 0), merged) if merged.size else merged
        for side in (quantity, -quantity)
    )
    account, commodity, series = account[merged], commodity[merged], series[merged]
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
