"""Positions of many accounts, tied to series and put in order: by account, combined commodity, series."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from jaxtyping import Float64, Int32, Int64

from crossmargin.core.columns import NUMBER_LIMIT, require_columns
from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.hash_lookup import number_hashes
from crossmargin.kernels.span_portfolios import Places, order_positions
from crossmargin.models.span.series_lookup import NOWHERE, TELLING, Fits, fitting_series

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from crossmargin.core.columns import FrameInput
    from crossmargin.models.span.parameters import SpanParameters
    from crossmargin.models.span.tables import SpanTables

__all__ = ["ACCOUNT", "OMISSIBLE_COLUMNS", "POSITION_COLUMNS", "SpanBook", "locate", "make_book"]

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

OMISSIBLE_COLUMNS: Final[dict[str, pl.DataType]] = {"product_type": pl.String(), "future_month": pl.String()}
"""Columns that tell series apart where the others fit several; a null says nothing."""

REQUIRED: Final = ("product", "expiry", "quantity")
NULLABLE: Final = ("right", "strike", *TELLING)
KEY_TEXTS: Final = ("product", "expiry", "right", *TELLING)
SHOWN: Final = ("exchange", "product", "right", "expiry", "strike", "product_type", "future_month")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpanBook:
    """Positions in columns; a portfolio is one combined commodity of one account.

    Parameters
    ----------
    names : Series of str
        Accounts, in order.
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

    names: pl.Series
    starts: Int64[np.ndarray, " portfolios+1"]
    series: Int32[np.ndarray, " positions"]
    long: Float64[np.ndarray, " positions"]
    short: Float64[np.ndarray, " positions"]
    account: Int64[np.ndarray, " portfolios"]
    commodity: Int64[np.ndarray, " portfolios"]
    account_starts: Int64[np.ndarray, " accounts+1"]

    @property
    def accounts(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(self.names.to_list())

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
        Listing every bad position: a broken value, a series that the file does not have, or several that
        fit, with the columns that would tell them apart.
    """
    names: Any = getattr(positions, "columns", positions)
    known = POSITION_COLUMNS | OMISSIBLE_COLUMNS
    schema = {name: dtype for name, dtype in known.items() if name in list(names) or name in REQUIRED}
    found = _located_at_once(positions, parameters, schema)
    if found is not None:
        return found
    frame = require_columns(positions, "positions", schema, nullable=NULLABLE)
    filled = _with_options(frame)
    fits = fitting_series(filled, parameters.series)
    if bad := list(_bad_series(filled, fits)):
        raise InputError(bad)
    return _located(frame, fits)


def _located_at_once(
    positions: object, parameters: SpanParameters, schema: Mapping[str, pl.DataType]
) -> pl.DataFrame | None:
    """Return the located positions of a frame that has the right types and nothing wrong, else nothing.

    A text that equals one of the file's is as sound as that; so of the texts only accounts need a look,
    and of those only one in each run of rows.
    """
    if not isinstance(positions, pl.DataFrame) or any(
        positions.schema.get(name) != dtype for name, dtype in schema.items()
    ):
        return None
    frame = positions.select(list(schema))
    if not _numbers_are_sound(frame) or not _texts_are_sound(frame, parameters.series):
        return None
    fits = fitting_series(_with_options(frame), parameters.series)
    return None if fits.doubt.any() else _located(frame, fits)


def _numbers_are_sound(frame: pl.DataFrame) -> bool:
    limits = {"quantity": NUMBER_LIMIT, "strike": float(NUMBER_LIMIT)}
    within = (
        pl.col(name).is_between(-limit, limit).all()  # a NaN is not
        for name, limit in limits.items()
        if name in frame.columns
    )
    complete = all(not frame[name].null_count() for name in (*REQUIRED, ACCOUNT) if name in frame.columns)
    return complete and all(frame.select(within).row(0))


def _texts_are_sound(frame: pl.DataFrame, series: pl.DataFrame) -> bool:
    texts = [series[name].unique() for name in KEY_TEXTS if name in frame.columns]
    texts = [text.filter(text != "") for text in texts]
    if ACCOUNT in frame.columns:
        names = _runs(frame[ACCOUNT])[1]
        texts.append(names)
        if (names == "").any():
            return False
    return all((text.str.strip_chars() == text).all() for text in texts)


def _with_options(frame: pl.DataFrame) -> pl.DataFrame:
    """Add ``right`` and ``strike``, null, where positions have no such column."""
    absent = [name for name in ("right", "strike") if name not in frame.columns]
    return frame.with_columns(pl.lit(None, POSITION_COLUMNS[name]).alias(name) for name in absent)


def _located(frame: pl.DataFrame, fits: Fits) -> pl.DataFrame:
    account = frame[ACCOUNT] if ACCOUNT in frame.columns else pl.repeat(ACCOUNT, len(frame), eager=True)
    return pl.DataFrame({ACCOUNT: account, "series": fits.row, "quantity": frame["quantity"]})


def _bad_series(positions: pl.DataFrame, fits: Fits) -> Iterator[BadRecord]:
    shown = positions.select(name for name in SHOWN if name in positions.columns)
    for row in np.flatnonzero(fits.doubt).tolist():
        value = " ".join(str(part) for part in shown.row(row) if part is not None)
        rule, doubt = "a series of the parameter file", int(fits.doubt[row])
        if doubt != NOWHERE:
            telling = [name for i, name in enumerate(TELLING) if doubt >> i & 1]
            rule = f"one series only; name its {' and '.join(telling)}"
        yield BadRecord(file="positions", line=row + 1, field="series", value=value, rule=rule)


def _runs(account: pl.Series) -> tuple[Int64[np.ndarray, " runs+1"], pl.Series]:
    """Return where neighbouring rows of one account begin, and the account of each such run."""
    runs = account.rle().struct.unnest()
    starts = np.zeros(len(runs) + 1, np.int64)
    np.cumsum(runs["len"].to_numpy(), out=starts[1:])
    return starts, runs["value"]


def make_book(located: pl.DataFrame, tables: SpanTables) -> SpanBook:
    """Gather longs and shorts of each account and series and put them in order.

    Parameters
    ----------
    located : DataFrame
        ``account``, ``series`` (row) and ``quantity``, as ``locate`` returns them.
    tables : SpanTables
        The parameters.
    """
    run_starts, runs = _runs(located[ACCOUNT])
    names, owner = _numbered(runs)
    columns = (owner, located["series"].to_numpy(), located["quantity"].to_numpy())
    owner, series, quantity = (_read_only(column) for column in columns)
    ordered = order_positions(run_starts, owner, len(names), series, quantity, _places(tables))
    return SpanBook(names=names, **ordered._asdict())


def _numbered(runs: pl.Series) -> tuple[pl.Series, Int32[np.ndarray, " runs"]]:
    """Return the accounts in order and the number of each run's.

    Neighbouring runs are of different accounts; so in ascending order there is one run an account.
    """
    if runs.is_sorted():
        return runs, np.arange(len(runs), dtype=np.int32)
    number, firsts = number_hashes(_read_only(runs.hash().to_numpy()))
    met = runs.gather(firsts)
    if not (met.gather(number) == runs).all():  # two accounts share a hash
        names = runs.unique().sort()
        return names, runs.cast(pl.Enum(names)).to_physical().cast(pl.Int32).to_numpy()
    order = met.arg_sort()
    rank = np.empty(len(met), np.int32)
    rank[order.to_numpy()] = np.arange(len(met), dtype=np.int32)
    return met.gather(order), rank[number]


def _places(tables: SpanTables) -> Places:
    """Put the series in order of their combined commodity."""
    series = np.argsort(tables.series_commodity, kind="stable")
    place = np.empty(series.size, np.int32)
    place[series] = np.arange(series.size)
    return Places(place, series.astype(np.int32), tables.series_commodity[series])


def _read_only(column: np.ndarray) -> np.ndarray:
    """Return a view that may not be written to, so that the kernel is compiled for one kind of array only."""
    view = column.view()
    view.setflags(write=False)
    return view
