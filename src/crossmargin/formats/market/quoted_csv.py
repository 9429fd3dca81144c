"""Named columns of CSV files from outside: fields may be quoted, other columns are passed over."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.market.layout import FreeText
from crossmargin.formats.records import NOUNS, Field, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["LINE", "LongDecimal", "broken_rows", "header_names", "read_columns"]

LINE: Final = "line"
"""Column of a frame that says where a row comes from."""

LONG_DECIMAL: Final = r"^-?[0-9]{1,15}(?:\.[0-9]{1,20})?$"
LONG_DECIMAL_RULE: Final = "a plain decimal"


@dataclass(frozen=True, slots=True)
class LongDecimal(Field):
    """A decimal of as many digits as a float64 printed in full may have."""

    def values(self, raw: pl.Series) -> pl.Series:
        """Convert texts, null where they are no plain decimal."""
        return raw.set(~raw.str.contains(LONG_DECIMAL), None).cast(pl.Float64, strict=False)


def header_names(path: Path) -> list[str]:
    """Return the names in the first line of a file."""
    return _rows(path)[0][1]


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Return every record with its line, the header first."""
    reader = csv.reader(io.StringIO(read_text(path).rstrip("\n"), newline=""), strict=True)
    try:
        return [(reader.line_num, [part.strip() for part in row]) for row in reader]
    except csv.Error as error:
        record = BadRecord(file=str(path), line=reader.line_num, field="", value="", rule=f"CSV; {error}")
        raise InputError([record]) from error


def read_columns(path: Path, fields: Sequence[Field]) -> pl.DataFrame:
    """Read the columns of ``fields`` from a file with a header, and ``LINE``, where each row stands.

    Raises
    ------
    InputError
        Listing every column that is missing or twice there, or else every record of another length than
        the header and every field that breaks its rule.
    """
    (_, names), *rows = _rows(path)
    bad = [
        BadRecord(file=str(path), line=1, field="column", value=field.title, rule="a column that stands once")
        for field in fields
        if names.count(field.title) != 1
    ]
    if bad:
        raise InputError(bad)
    bad = [
        BadRecord(
            file=str(path),
            line=line,
            field="",
            value=",".join(row),
            rule=f"a record of {len(names)} fields, not {len(row)}",
        )
        for line, row in rows
        if len(row) != len(names)
    ]
    whole = [(line, row) for line, row in rows if len(row) == len(names)]
    columns = {LINE: pl.Series(LINE, [line for line, _ in whole], dtype=pl.Int64)}
    for field in fields:
        place = names.index(field.title)
        raw = pl.Series(field.name, [row[place] for _, row in whole], dtype=pl.String)
        columns[field.name] = values = field.values(raw)
        bad += _broken(str(path), columns[LINE], field, raw, values)
    if bad:
        raise InputError(bad)
    return pl.DataFrame(columns)


def _broken(
    file: str, lines: pl.Series, field: Field, raw: pl.Series, values: pl.Series
) -> Iterator[BadRecord]:
    rule = {FreeText: "", LongDecimal: LONG_DECIMAL_RULE}.get(type(field), NOUNS[field.kind])
    for row in values.is_null().arg_true():
        yield BadRecord(file=file, line=lines[row], field=field.title, value=raw[row], rule=rule)
    for row in field.out_of_range(values).arg_true():
        yield BadRecord(file=file, line=lines[row], field=field.title, value=raw[row], rule=field.range_rule)


def broken_rows(
    file: Path, frame: pl.DataFrame, wrong: pl.Expr, field: str, shown: str, rule: str
) -> Iterator[BadRecord]:
    """Yield a bad record for each row where ``wrong`` holds, with the value in column ``shown``."""
    for line, value in frame.filter(wrong).select(LINE, pl.col(shown).cast(pl.String)).iter_rows():
        yield BadRecord(file=str(file), line=line, field=field, value=value, rule=rule)
