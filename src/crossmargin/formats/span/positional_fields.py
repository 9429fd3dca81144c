"""Fixed-width records: a layout as data, and one engine that reads and writes all rows of a record at once.

A group of lines with the same record id becomes a matrix of bytes, one row a line. Every field is a range
of its columns, so that digits are added up and checked over all rows together. Numbers stand right in their
columns; blank means not given. A sign has a column of its own, behind the number: '+' or blank is plus.

Source: CME, SPAN expanded unpacked positional layout; HKEX, Risk Parameter File Descriptions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import polars as pl

from crossmargin.errors import BadRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jaxtyping import Bool, Float64, Int64, UInt8

    Values = pl.Series | pl.Expr

__all__ = ["Column", "parse_lines", "render_lines", "scaled", "unscaled"]

Kind = Literal["text", "whole", "number", "month", "period", "date"]
NUMERIC: Final = ("whole", "number")

BLANK, ZERO, PLUS, MINUS = (ord(character) for character in " 0+-")
TEN: Final = np.array([10.0**power for power in range(23)])
"""Powers of ten that float64 holds exactly."""

WHOLE_MAX: Final = 2**53
MONTHS: Final = 12
MONTH_RULE: Final = "a month CCYYMM, or blank or zeros for none"
PERIOD_RULE: Final = "six digits CCYYMM, zeros for an open end"
DATE_RULE: Final = "a date CCYYMMDD"
SIGN_RULE: Final = "'+', '-' or blank"


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a record.

    Parameters
    ----------
    name : str
        Column of the frame.
    first, last : int
        Columns of the line, from 1, both included.
    kind : {"text", "whole", "number", "month", "period", "date"}
        ``whole`` is an integer as it stands, ``number`` one with ``decimals`` implied; ``month`` has a
        month from 01 to 12 or is none, ``period`` is any six digits, zeros for an open end.
    decimals : int
        Implied decimals of a ``number``.
    sign : int
        Column of the sign, 0 for none.
    required : bool
        Whether the field may not be blank.
    choices : tuple of str
        What a text may be; blank stands in it where it may be.
    leads : bool
        Whether the first byte of a ``whole`` may be its minus sign.
    """

    name: str
    first: int
    last: int
    kind: Kind = "text"
    decimals: int = 0
    sign: int = 0
    required: bool = False
    choices: tuple[str, ...] = ()
    leads: bool = False

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.last - self.first + 1

    @property
    def title(self) -> str:
        """The name that errors use."""
        return f"{self.name} ({_places(self.first, self.last)})"

    @property
    def sign_title(self) -> str:
        """The name of its sign in errors."""
        return f"sign of {self.name} ({_places(self.sign, self.sign)})"

    @property
    def rule(self) -> str:
        """What may stand there."""
        if self.kind == "month":
            return MONTH_RULE
        if self.kind == "period":
            return PERIOD_RULE
        if self.kind == "date":
            return DATE_RULE
        if self.choices:
            return "one of " + ", ".join(repr(choice) if choice else "blank" for choice in self.choices)
        if self.kind == "text":
            return "not blank" if self.required else f"a text of at most {self.width} characters"
        decimals = f", the last {self.decimals} behind the point" if self.decimals else ""
        return f"{self.width} digits{decimals}{'' if self.required else ', or blank'}"


def _places(first: int, last: int) -> str:
    return f"column {first}" if first == last else f"columns {first}-{last}"


def scaled(values: Int64[np.ndarray, ...], powers: Int64[np.ndarray, ...]) -> Float64[np.ndarray, ...]:
    """Return integers times ten to the power, correctly rounded; powers within ±22."""
    return np.where(powers < 0, values / TEN[np.maximum(-powers, 0)], values * TEN[np.maximum(powers, 0)])


def unscaled(
    values: Float64[np.ndarray, ...], powers: Int64[np.ndarray, ...]
) -> tuple[Int64[np.ndarray, ...], Bool[np.ndarray, ...]]:
    """Return the integers that ``scaled`` turns into the values, and where there are such."""
    finite = np.where(np.isfinite(values), values, 0.0)
    raw = np.where(powers < 0, finite * TEN[np.maximum(-powers, 0)], finite / TEN[np.maximum(powers, 0)])
    held = np.isfinite(values) & (np.abs(raw) < WHOLE_MAX)
    whole = np.rint(np.where(held, raw, 0.0)).astype(np.int64)
    return whole, held & (scaled(whole, powers) == values)


def parse_lines(
    columns: Sequence[Column], lines: pl.Series, numbers: pl.Series, file: str
) -> tuple[pl.DataFrame, list[BadRecord]]:
    """Read all lines of one record id.

    Parameters
    ----------
    columns : sequence of Column
        The layout.
    lines : Series of str
        The lines, every character one byte; a short one is taken as padded with blanks.
    numbers : Series of int
        Line number of each in the file.
    file : str
        Name for the errors.

    Returns
    -------
    DataFrame
        ``line`` and the fields: texts stripped, a month empty and another field null where blank;
        worthless where records are bad.
    list of BadRecord
        Every field that breaks its rule.
    """
    width = max(max(column.last, column.sign) for column in columns)
    padded = lines.str.slice(0, width).str.pad_end(width)
    block = np.frombuffer("".join(padded).encode("latin-1"), np.uint8).reshape(len(lines), width)
    texts, chosen = _stripped(columns, padded)
    frame: list[Values] = [numbers.alias("line")]
    bad: list[BadRecord] = []
    for column in columns:
        raw = block[:, column.first - 1 : column.last]
        if column.kind in NUMERIC:
            values, held = _numbers(column, raw)
            if column.sign:
                sign = block[:, column.sign - 1]
                known = (sign == PLUS) | (sign == BLANK) | (sign == MINUS)
                bad += _broken(file, numbers, padded, (column.sign, column.sign), ~known, column.sign_title)
                values = _negated(values, sign == MINUS)
        else:
            values, held = _texts(column, raw, texts[column.name])
            if column.choices:
                held = held & chosen[column.name].to_numpy()
        place = column.first, column.last
        bad += _broken(file, numbers, padded, place, ~held, column.title, column.rule)
        frame.append(values.alias(column.name))
    return pl.select(frame), bad


def _stripped(columns: Sequence[Column], padded: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the texts of the fields that are no numbers, and where each is one of its choices, in two passes."""
    whole = pl.col("line").str
    texts = padded.to_frame("line").select(
        whole.slice(column.first - 1, column.width).str.strip_chars(" ").alias(column.name)
        for column in columns
        if column.kind not in NUMERIC
    )
    chosen = texts.select(
        pl.col(column.name).is_in(list(column.choices)) for column in columns if column.choices
    )
    return texts, chosen


def _negated(values: Values, where: Bool[np.ndarray, " rows"]) -> Values:
    return pl.when(pl.Series(where)).then(0 - values).otherwise(values) if where.any() else values


def _numbers(
    column: Column, raw: UInt8[np.ndarray, "rows width"]
) -> tuple[Values, Bool[np.ndarray, " rows"]]:
    negative = np.zeros(len(raw), np.bool_)
    if column.leads:
        negative = raw[:, 0] == MINUS
        raw = np.where((np.arange(raw.shape[1]) == 0) & negative[:, None], ZERO, raw).astype(np.uint8)
    digits = raw - np.uint8(ZERO)
    is_digit = digits <= 9  # noqa: PLR2004
    blank = (raw == BLANK).all(axis=1)
    led_by_blanks = is_digit | ((raw == BLANK) & ~np.logical_or.accumulate(is_digit, axis=1))
    held = led_by_blanks.all(axis=1) & ~(blank & column.required)
    whole = np.zeros(len(raw), np.int64)
    for place in range(raw.shape[1]):
        whole = whole * 10 + np.where(is_digit[:, place], digits[:, place], 0)
    whole = np.where(negative, -whole, whole)
    values = pl.Series(whole if column.kind == "whole" else whole / TEN[column.decimals])
    return pl.when(pl.Series(~blank)).then(values) if blank.any() else values, held


def _texts(
    column: Column, raw: UInt8[np.ndarray, "rows width"], stripped: pl.Series
) -> tuple[Values, Bool[np.ndarray, " rows"]]:
    given = (raw != BLANK).any(axis=1)
    if column.kind == "text":
        return stripped, given | (not column.required)
    digits = raw - np.uint8(ZERO)
    all_digits = (digits <= 9).all(axis=1)  # noqa: PLR2004
    absent = ~given | (raw == ZERO).all(axis=1)
    if column.kind == "date":
        days = pl.select(pl.when(pl.Series(all_digits & ~absent)).then(stripped)).to_series()
        values = days.str.to_date("%Y%m%d", strict=False)
        return values, values.is_not_null().to_numpy() | (absent & (not column.required))
    held = all_digits
    if column.kind == "month":
        month = digits[:, 4].astype(np.int64) * 10 + digits[:, 5]
        held = all_digits & (month >= 1) & (month <= MONTHS)
    month_text = pl.when(pl.Series(absent)).then(pl.lit("")).otherwise(stripped)
    if column.kind == "period":
        month_text = pl.when(pl.Series(given)).then(month_text)
    return month_text, held & ~absent | (absent & (not column.required))


def _broken(
    file: str,
    numbers: pl.Series,
    padded: pl.Series,
    place: tuple[int, int],
    where: Bool[np.ndarray, " rows"],
    title: str,
    rule: str = SIGN_RULE,
) -> Iterator[BadRecord]:
    first, last = place
    for row in np.flatnonzero(where).tolist():
        value = padded[row][first - 1 : last]
        yield BadRecord(file=file, line=numbers[row], field=title, value=value, rule=rule)


def render_lines(
    record: str, columns: Sequence[Column], values: Mapping[str, pl.Series], count: int
) -> tuple[bytes, list[BadRecord]]:
    """Write rows as lines of one record id.

    Parameters
    ----------
    record : str
        The record id.
    columns : sequence of Column
        The layout; a field without values stays blank.
    values : mapping of str to Series
        Field → its values, null or an empty text for blank; ``where`` names each row in errors.
    count : int
        Number of rows.

    Returns
    -------
    bytes
        The lines, each ended by a line break.
    list of BadRecord
        Every value that its columns do not hold.
    """
    width = max(max(column.last, column.sign) for column in columns)
    block = np.full((count, width + 1), BLANK, np.uint8)
    block[:, width] = ord("\n")
    for place, character in enumerate(record):
        block[:, place] = ord(character)
    bad: list[BadRecord] = []
    names = values.get("where", pl.Series([record] * count, dtype=pl.String))
    for column in columns:
        if column.name not in values:
            continue
        series = values[column.name]
        target = block[:, column.first - 1 : column.last]
        if column.kind in NUMERIC:
            held, negative = _write_numbers(column, series, target)
            if column.sign:
                given = series.is_not_null().to_numpy()
                signs = np.where(negative, MINUS, PLUS)
                block[:, column.sign - 1] = np.where(given, signs, BLANK)
        else:
            held = _write_texts(column, series, target)
        for row in np.flatnonzero(~held).tolist():
            value = f"{names[row]}: {series[row]}"
            title = f"record {record} {column.title}"
            bad.append(BadRecord(file="parameters", line=row + 1, field=title, value=value, rule=column.rule))
    return block.tobytes(), bad


def _write_numbers(
    column: Column, series: pl.Series, target: UInt8[np.ndarray, "rows width"]
) -> tuple[Bool[np.ndarray, " rows"], Bool[np.ndarray, " rows"]]:
    given = series.is_not_null().to_numpy()
    numbers = series.fill_null(0).cast(pl.Float64).to_numpy()
    whole, held = unscaled(numbers, np.full(len(series), -column.decimals, np.int64))
    negative = whole < 0
    limit = 10**column.width
    if column.leads:
        held &= (whole < limit) & (whole > -limit // 10)
    else:
        held &= (np.abs(whole) < limit) & (~negative | bool(column.sign))
    held &= given | (not column.required)
    rest = np.abs(whole)
    for place in range(column.width - 1, -1, -1):
        target[:, place] = np.where(given, rest % 10 + ZERO, BLANK)
        rest //= 10
    if column.leads:
        target[:, 0] = np.where(negative, MINUS, target[:, 0])
    return held, negative


def _write_texts(
    column: Column, series: pl.Series, target: UInt8[np.ndarray, "rows width"]
) -> Bool[np.ndarray, " rows"]:
    if column.kind == "date":
        series = series.dt.strftime("%Y%m%d")
    text = series.fill_null("")
    printable = text.str.contains(r"^[\x20-\x7e\u{a0}-\u{ff}]*$") & (text.str.strip_chars(" ") == text)
    held = printable & (text.str.len_chars() <= column.width)
    if column.required:
        held &= text != ""
    if column.choices:
        held &= text.is_in(list(column.choices))
    if column.kind in {"month", "period"}:
        held &= text.str.contains(
            r"^([0-9]{4}(0[1-9]|1[0-2])|)$" if column.kind == "month" else r"^(\d{6}|)$"
        )
        held &= text != "000000"  # an open end is an empty text
    if column.kind == "period":
        text = text.set((series == "").fill_null(value=False), "000000")
    if len(text):
        shown = pl.select(pl.when(held).then(text).otherwise(pl.lit(""))).to_series()
        content = "".join(shown.str.pad_end(column.width)).encode("latin-1")
        target[:] = np.frombuffer(content, np.uint8).reshape(len(text), column.width)
    return held.to_numpy()
