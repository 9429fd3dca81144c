"""Daily price files in the shape of Yahoo's: Date, Open, High, Low, Close, Adj Close, Volume."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.core.columns import NUMBER_LIMIT, require_columns
from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.market.folder_reader import read_parquet_frame
from crossmargin.formats.market.quoted_csv import LINE, LongDecimal, broken_rows, header_names, read_columns
from crossmargin.formats.records import Field
from crossmargin.models.market import DAYS_ADMITTED, DAYS_ADMITTED_RULE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["read_price_file"]

DATE, TICKER = "Date", "ticker"
TEXT_RULE: Final = "the column ticker, or the argument underlying, and not both"


def read_price_file(
    path: str | Path,
    *,
    underlying: str | None = None,
    names: Mapping[str, str] | None = None,
    column: str = "Close",
) -> pl.DataFrame:
    """Read closing prices of one underlying, or of many from a file with a column ``ticker``.

    Only the columns named here are read; the rest may hold anything. A number in single precision is taken
    as the shortest decimal that it stands for.

    Parameters
    ----------
    path : str or Path
        CSV, or Parquet where the name ends in ``.parquet``.
    underlying : str, optional
        Whose prices they are, where the file has no column ``ticker``.
    names : mapping of str to str, optional
        Ticker → underlying. Other tickers are passed over. Without it, every ticker is its own underlying.
    column : str
        Which price: "Close" or "Adj Close". Say in the table of underlyings what it is adjusted for.

    Returns
    -------
    DataFrame
        Table ``prices`` of a market, sorted.

    Raises
    ------
    InputError
        Listing every date and price that is none, every price that is not above 0, every day that a ticker
        has twice, and every ticker of ``names`` that the file lacks. Line = line of a CSV file, row of a
        Parquet file.
    """
    path = Path(path)
    read = _from_parquet if path.suffix.lower() == ".parquet" else _from_csv
    frame = read(path, underlying, column)
    bad = []
    if names is not None and underlying is None:
        absent = set(names) - set(frame[TICKER])
        rule = f"a ticker of {path.name}"
        bad = [
            BadRecord(file=str(path), line=0, field=TICKER, value=name, rule=rule) for name in sorted(absent)
        ]
        frame = frame.filter(pl.col(TICKER).is_in([*names])).with_columns(pl.col(TICKER).replace(names))
    bad += _wrong_rows(path, frame)
    if bad:
        raise InputError(bad)
    return frame.select("date", pl.col(TICKER).alias("underlying"), "close").sort("underlying", "date")


def _wrong_rows(path: Path, frame: pl.DataFrame) -> Iterator[BadRecord]:
    far = ~pl.col("date").is_between(*DAYS_ADMITTED)
    yield from broken_rows(path, frame, far, DATE, "date", DAYS_ADMITTED_RULE)
    again = ~pl.struct(TICKER, "date").is_first_distinct()
    yield from broken_rows(path, frame, again, DATE, "date", "a day that stands once, for each ticker")


def _require_owner(path: Path, underlying: str | None, *, has_ticker: bool) -> None:
    if has_ticker == (underlying is not None):
        value = "both" if has_ticker else "neither"
        raise InputError([BadRecord(file=str(path), line=0, field=TICKER, value=value, rule=TEXT_RULE)])


def _from_csv(path: Path, underlying: str | None, column: str) -> pl.DataFrame:
    has_ticker = TICKER in header_names(path)
    _require_owner(path, underlying, has_ticker=has_ticker)
    fields = [
        Field("date", "date", label=DATE),
        LongDecimal("close", "decimal", 0, NUMBER_LIMIT, above=True, label=column),
    ]
    if has_ticker:
        return read_columns(path, [*fields, Field(TICKER, "text")])
    return read_columns(path, fields).with_columns(pl.lit(underlying).alias(TICKER))


def _from_parquet(path: Path, underlying: str | None, column: str) -> pl.DataFrame:
    frame = read_parquet_frame(path)
    _require_owner(path, underlying, has_ticker=TICKER in frame.columns)
    if underlying is not None:
        frame = frame.with_columns(pl.lit(underlying).alias(TICKER))
    single = pl.col(pl.Float32).cast(pl.String).cast(pl.Float64)
    kept = [name for name in (DATE, column, TICKER) if name in frame.columns]
    table = require_columns(
        frame.select(kept).with_columns(single),
        str(path),
        {DATE: pl.Date(), column: pl.Float64(), TICKER: pl.String()},
        rules={column: (pl.col(column) > 0, "above 0")},
    )
    renamed = table.rename({DATE: "date", column: "close"})
    return renamed.with_row_index(LINE, offset=1).cast({LINE: pl.Int64})
