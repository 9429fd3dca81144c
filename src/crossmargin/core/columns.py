"""Check a table that comes in, column by column, before anything is computed from it.

A table may be a Polars frame, a pandas frame or a mapping of columns. It leaves as a Polars frame with
exactly the columns and types asked for, or an ``InputError`` lists everything that is wrong with it.
Whole numbers and amounts keep within ±10^12 (``NUMBER_LIMIT``): sums of them stay exact, and a larger
one is a slip of units.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import numpy as np
import polars as pl

from crossmargin.errors import BadRecord, InputError, RangeError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

__all__ = [
    "NUMBER_LIMIT",
    "RATE_SCHEMA",
    "FrameInput",
    "PandasFrame",
    "require_choice",
    "require_columns",
    "require_date",
    "require_known",
    "require_number",
    "require_range",
    "require_rates",
    "require_size",
    "require_within",
    "without_negative_zero",
]

NUMBER_LIMIT: Final = 10**12
"""Largest quantity, amount, price or rate that a table may hold."""

NULL: Final = "null"

RATE_SCHEMA: Final[dict[str, pl.DataType]] = {
    "currency": pl.String(),
    "rate": pl.Float64(),
    "haircut": pl.Float64(),
}


class PandasFrame(Protocol):
    """What is used of a pandas frame, so that pandas need not be installed."""

    @property
    def columns(self) -> Any:
        """Names of the columns."""

    def __getitem__(self, name: Any, /) -> Any:
        """Return one column."""


FrameInput: TypeAlias = "pl.DataFrame | Mapping[str, Any] | PandasFrame"
"""A table as it may come in."""

Rules: TypeAlias = "Mapping[str, tuple[pl.Expr, str]]"
"""Column → what must hold in every row where the column has a value, and how to say it."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a column becomes one type: which types may, how (null where a value may not), and the rule."""

    admits: Callable[[pl.DataType], bool]
    convert: Callable[[pl.Series], pl.Series]
    python_value: Callable[[object], object]
    rule: str


def _where(values: pl.Series, admitted: pl.Series) -> pl.Series:
    return pl.select(pl.when(admitted).then(values)).to_series()


def without_negative_zero(numbers: pl.Series) -> pl.Series:
    """Return the numbers with 0 for −0, which prints and hashes unlike it."""
    return pl.select(pl.when(numbers != 0).then(numbers).when(numbers.is_not_null()).then(0.0)).to_series()


def _to_text(raw: pl.Series) -> pl.Series:
    text = raw.cast(pl.String)
    return _where(text, (text.str.strip_chars() == text) & (text != ""))


def _to_float(raw: pl.Series) -> pl.Series:
    number = raw.cast(pl.Float64, strict=False)
    return _where(without_negative_zero(number), number.is_finite() & (number.abs() <= NUMBER_LIMIT))


def _to_whole(raw: pl.Series) -> pl.Series:
    number = _to_float(raw)
    return _where(number, number == number.round()).cast(pl.Int64)


def _to_date(raw: pl.Series) -> pl.Series:
    day = raw.cast(pl.Date)
    return _where(day, day.cast(raw.dtype) == raw)


def _python_text(value: object) -> object:
    return value if isinstance(value, str) else None


def _python_number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal, np.integer, np.floating)):
        return None
    try:
        return float(value)
    except (OverflowError, ValueError):  # beyond float64, or a signalling NaN
        return math.inf


def _python_date(value: object) -> object:
    if isinstance(value, datetime):
        midnight = value.time() == time(0) and value.tzinfo is None
        return value.date() if midnight else None
    return value if isinstance(value, date) else None


def _is_text(dtype: pl.DataType) -> bool:
    return isinstance(dtype, (pl.String, pl.Categorical, pl.Enum))


def _is_number(dtype: pl.DataType) -> bool:
    return dtype.is_numeric()


def _is_day(dtype: pl.DataType) -> bool:
    return dtype == pl.Date or (isinstance(dtype, pl.Datetime) and dtype.time_zone is None)


KINDS: Final[dict[pl.DataType, _Kind]] = {
    pl.String(): _Kind(_is_text, _to_text, _python_text, "text, not empty and without blanks around it"),
    pl.Int64(): _Kind(_is_number, _to_whole, _python_number, "a whole number from −10^12 to 10^12"),
    pl.Float64(): _Kind(_is_number, _to_float, _python_number, "a finite number from −10^12 to 10^12"),
    pl.Date(): _Kind(_is_day, _to_date, _python_date, "a date"),
}


def require_columns(
    frame: object,
    name: str,
    schema: Mapping[str, pl.DataType],
    *,
    defaults: Mapping[str, object] | None = None,
    nullable: Collection[str] = (),
    key: Sequence[str] = (),
    rules: Rules | None = None,
) -> pl.DataFrame:
    """Return the columns of ``schema`` in its order and types, or refuse the table as a whole.

    Whole floats are admitted where whole numbers are asked for, and times at midnight where dates are;
    text is never read as a number, nor a number as text. Other columns are left out.

    Parameters
    ----------
    frame : DataFrame, pandas frame or mapping of str to column
        The table.
    name : str
        What to call it in errors: the name of the caller's argument.
    schema : mapping of str to String, Int64, Float64 or Date
        Column → type.
    defaults : mapping of str to value, optional
        Column → what stands in every row where the table has no such column.
    nullable : collection of str
        Columns that may have nulls (in a pandas frame: NaN too).
    key : sequence of str
        Columns that together stand once.
    rules : mapping of str to (expression, text), optional
        Column → what must hold in each row where the column is not null.

    Returns
    -------
    DataFrame
        Rows in the given order.

    Raises
    ------
    InputError
        Listing every missing column, wrong type, missing value, number out of range, repeated key and
        broken rule. Line = row from 1; 0 where a whole column is meant.
    """
    raw, bad = _raw_columns(frame, name, schema, defaults or {})
    columns = {column: _convert(raw[column], dtype) for column, dtype in schema.items() if column in raw}
    for column, values in raw.items():
        bad += _bad_values(values, columns[column], name, schema[column], column in nullable)
    if len(columns) == len(schema):
        table = pl.DataFrame(columns)
        bad += _repeated(table, name, key)
        for column, (holds, rule) in (rules or {}).items():
            kept = table.select(holds | pl.col(column).is_null()).to_series().fill_null(value=True)
            bad += _bad_rows(table[column], ~kept, name, column, rule)
    if bad:
        raise InputError(bad)
    return table


def _raw_columns(
    frame: Any, name: str, schema: Mapping[str, pl.DataType], defaults: Mapping[str, object]
) -> tuple[dict[str, pl.Series], list[BadRecord]]:
    """Every column of the schema that is there, as it came, and a record for each that is not."""
    if not isinstance(frame, Mapping) and (isinstance(frame, pl.LazyFrame) or not hasattr(frame, "columns")):
        rule = "a Polars or pandas frame, or a mapping of columns"
        raise InputError([BadRecord(file=name, line=0, field="", value=type(frame).__name__, rule=rule)])
    names = list(frame.columns if hasattr(frame, "columns") else frame)
    raw = {column: _series(column, frame[column]) for column in schema if names.count(column) == 1}
    if len({len(values) for values in raw.values()}) > 1:
        lengths = ", ".join(f"{column} {len(values)}" for column, values in raw.items())
        raise InputError([_bad_column(name, "", lengths, "columns of one length")])
    height = max((len(values) for values in raw.values()), default=0)
    for column in defaults.keys() - set(names):
        raw[column] = pl.Series(column, [defaults[column]] * height, dtype=schema[column])
    absent = [column for column in schema if column not in raw]
    return raw, [_bad_column(name, column, "absent or repeated", "one such column") for column in absent]


def _series(column: str, values: Any) -> pl.Series:
    """One column as it came, a lone value as a column of one row; mixed values are looked at one by one."""
    if isinstance(values, pl.Series):
        return values.alias(column)
    if hasattr(values, "isna"):
        return _from_pandas(column, values)
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        values = [values]
    values = values if hasattr(values, "dtype") else list(values)
    if isinstance(values, list) and any(isinstance(value, Decimal) for value in values):
        return pl.Series(column, values, dtype=pl.Object)  # Polars does not survive a Decimal NaN
    try:
        return pl.Series(column, values)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(column, list(values), dtype=pl.Object)


def _from_pandas(column: str, values: Any) -> pl.Series:
    missing = values.isna().to_numpy()
    array = values.to_numpy()
    if array.dtype.kind not in "biufM":
        present = [None if gone else value for value, gone in zip(array, missing, strict=True)]
        return _series(column, present)
    if array.dtype.kind == "M":
        array = array.astype("datetime64[us]")
    return pl.select(pl.when(pl.Series(~missing)).then(pl.Series(column, array))).to_series()


def _convert(raw: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return the column as ``dtype``, null where a value cannot be one."""
    kind = KINDS[dtype]
    if raw.dtype == pl.Object:
        raw = pl.Series(raw.name, [kind.python_value(value) for value in raw])
    if raw.null_count() == len(raw) or not kind.admits(raw.dtype):
        return pl.Series(raw.name, [None] * len(raw), dtype=dtype)
    return kind.convert(raw).alias(raw.name)


def _bad_values(
    raw: pl.Series, converted: pl.Series, name: str, dtype: pl.DataType, may_be_null: bool
) -> Iterable[BadRecord]:
    kind = KINDS[dtype]
    if raw.dtype != pl.Object and raw.null_count() < len(raw) and not kind.admits(raw.dtype):
        return [_bad_column(name, raw.name, f"type {raw.dtype}", kind.rule)]
    refused = converted.is_null() & raw.is_not_null() if may_be_null else converted.is_null()
    return _bad_rows(raw, refused, name, raw.name, kind.rule)


def _bad_column(name: str, column: str, value: str, rule: str) -> BadRecord:
    return BadRecord(file=name, line=0, field=column, value=value, rule=rule)


def _bad_rows(
    values: pl.Series, refused: pl.Series, name: str, column: str, rule: str
) -> Iterator[BadRecord]:
    for row in np.flatnonzero(refused.to_numpy()):
        value = values[int(row)]
        shown = NULL if value is None else str(value)
        yield BadRecord(file=name, line=int(row) + 1, field=column, value=shown, rule=rule)


def _repeated(table: pl.DataFrame, name: str, key: Sequence[str]) -> Iterable[BadRecord]:
    """Report each row whose key stood in an earlier row."""
    if not key:
        return []
    keys = table.select(key)
    known = keys.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
    repeated = ~keys.select(pl.struct(pl.all()).is_first_distinct()).to_series() & known
    shown = keys.select(pl.concat_str(pl.all().cast(pl.String), separator=", ")).to_series()
    return _bad_rows(shown, repeated, name, ", ".join(key), "stands once")


def require_known(values: pl.Series, known: pl.Series, name: str, rule: str) -> None:
    """Refuse a column with a value that ``known`` lacks.

    Raises
    ------
    InputError
        Listing every such row.
    """
    if bad := list(_bad_rows(values, ~values.is_in(known.implode()), name, values.name, rule)):
        raise InputError(bad)


def require_rates(rates: object, name: str = "rates") -> pl.DataFrame:
    """Return a checked table of exchange rates, sorted by currency and with HKD in it.

    Parameters
    ----------
    rates : DataFrame, pandas frame or mapping
        ``currency``; ``rate``, HKD for one unit; ``haircut``, a fraction from 0 to less than 1. HKD need
        not be given; where it is, its rate is 1 and its haircut 0.
    name : str
        What to call the table in errors.

    Raises
    ------
    InputError
        Listing every bad record, a repeated currency among them.
    """
    is_hkd = pl.col("currency") == "HKD"
    table = require_columns(
        rates,
        name,
        RATE_SCHEMA,
        key=["currency"],
        rules={
            "rate": (
                pl.when(is_hkd).then(pl.col("rate") == 1).otherwise(pl.col("rate") > 0),
                "above 0, and 1 for HKD",
            ),
            "haircut": (
                pl.when(is_hkd)
                .then(pl.col("haircut") == 0)
                .otherwise(pl.col("haircut").is_between(0, 1, closed="left")),
                "from 0 to less than 1, and 0 for HKD",
            ),
        },
    )
    hkd = pl.DataFrame({"currency": ["HKD"], "rate": [1.0], "haircut": [0.0]}, schema=RATE_SCHEMA)
    return pl.concat([table.filter(~is_hkd), hkd]).sort("currency")


def require_number(value: float, name: str) -> float:
    """Return an amount that is finite and from 0 to ``NUMBER_LIMIT``.

    Raises
    ------
    InputError
        If it is not.
    """
    number = _python_number(value)
    if not isinstance(number, float) or not 0 <= number <= NUMBER_LIMIT:
        raise InputError([_bad_column(name, "", str(value), "a finite number from 0 to 10^12")])
    return number


def require_size(value: int, name: str, low: int, high: int) -> None:
    """Refuse a count outside its range.

    Raises
    ------
    InputError
        If it is not from ``low`` to ``high``.
    """
    if not low <= value <= high:
        raise InputError([_bad_column(name, "", str(value), f"from {low:,} to {high:,}")])


def require_within(settings: object, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Refuse settings with a number outside its range, or with something else in its place.

    Parameters
    ----------
    settings : object
        Whose attributes are looked at.
    ranges : mapping of str to (low, high)
        Attribute → lowest and highest value. Where both are whole numbers (``int``), so is the value.

    Raises
    ------
    InputError
        Listing all of them: NaN, a truth value, text and nothing are no numbers.
    """
    name = type(settings).__name__
    if bad := [
        BadRecord(file=name, line=0, field=field, value=_shown(getattr(settings, field)), rule=rule)
        for field, (low, high) in ranges.items()
        if (rule := _broken_range(getattr(settings, field), low, high))
    ]:
        raise InputError(bad)


def _shown(value: object) -> str:
    """Return a value as text; a whole number may have more digits than Python prints."""
    try:
        return str(value)
    except ValueError:
        return "a number of too many digits"


def _broken_range(value: object, low: float, high: float) -> str:
    """Return the rule that a value breaks, empty where it keeps within."""
    whole = isinstance(low, int) and isinstance(high, int)
    kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    if isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high:
        return ""
    return f"a {'whole ' if whole else ''}number from {low:,} to {high:,}"


def require_date(value: date, name: str) -> date:
    """Return a date that is no date-time.

    Raises
    ------
    InputError
        If it is not.
    """
    if not isinstance(value, date) or isinstance(value, datetime):
        raise InputError([_bad_column(name, "", str(value), "a date")])
    return value


def require_choice(value: str, name: str, choices: Sequence[str]) -> str:
    """Return one of ``choices``.

    Raises
    ------
    InputError
        If it is not one of them.
    """
    if value not in choices:
        raise InputError([_bad_column(name, "", str(value), f"one of {', '.join(choices)}")])
    return value


def require_range(table: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return the table if every computed number keeps within ±``NUMBER_LIMIT``, as inputs do.

    Raises
    ------
    RangeError
        Naming the columns that do not.
    """
    within = table.select((pl.col(columns).cast(pl.Float64).abs() <= NUMBER_LIMIT).all()).row(0, named=True)
    if beyond := [column for column, holds in within.items() if not holds]:
        raise RangeError(f"computed values of {', '.join(beyond)} go beyond ±10^12")
    return table
