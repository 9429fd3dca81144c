"""A market from a market folder: everything that is wrong with any of its files is told together."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.market.layout import HEAD_FILE, HEAD_KEYS, entries, table_fields
from crossmargin.formats.records import read_table
from crossmargin.formats.toml_files import read_toml, shown
from crossmargin.models.market import DAYS_ADMITTED, DAYS_ADMITTED_RULE, MARKET_SCHEMAS, Market, make_market

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["read_market", "read_parquet_frame"]

UNREADABLE: Final = pl.DataFrame()
"""Stands for a table whose file was refused: ``make_market`` refuses it too and looks up nothing in it."""

EPOCH: Final = date(1970, 1, 1)
TICKS_A_DAY: Final = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


def read_market(path: str | Path) -> Market:
    """Read a market folder.

    Parameters
    ----------
    path : str or Path
        A folder with ``market.toml`` and for each table at most one file, CSV or Parquet; tables without a
        file are empty. Files of houses are let be, see ``house_file``.

    Raises
    ------
    InputError
        Listing every bad record of every file, names that another table lacks among them; entries that no
        market folder has; tables with two files; files of another digest than ``market.toml`` says. Line = line of a text file, row of a Parquet file.
    """
    folder = Path(path)
    head, digests, bad = _head(folder / HEAD_FILE)
    files, strange = entries(folder)
    bad += [*strange, *_other_digests(folder, files, digests)]
    frames = {table: UNREADABLE for table, file in files.items() if any(r.file == str(file) for r in bad)}
    for table in files.keys() - frames.keys():
        try:
            frames[table] = _read(files[table], table)
        except InputError as error:
            bad += error.records
            frames[table] = UNREADABLE
    try:
        market = make_market(frames, **head)
    except InputError as error:
        unread = {table for table, frame in frames.items() if frame is UNREADABLE}
        bad += (_placed(record, files) for record in error.records if record.file not in unread)
    if bad:
        raise InputError(bad)
    return market


def _other_digests(
    folder: Path, files: Mapping[str, Path], digests: Mapping[str, str]
) -> Iterator[BadRecord]:
    """Report files that are not what ``market.toml`` says, before anything is made of them.

    A Parquet file with a damaged page may ask its reader for any amount of memory.
    """
    named = {file.relative_to(folder).as_posix(): file for file in files.values()}
    for name, digest in digests.items():
        if name not in named:
            rule = "the file of a table in this folder"
            yield BadRecord(file=str(folder / HEAD_FILE), line=0, field="sha256", value=name, rule=rule)
        elif (found := hashlib.sha256(named[name].read_bytes()).hexdigest()) != digest:
            rule = f"the SHA-256 that {HEAD_FILE} gives, {digest}"
            yield BadRecord(file=str(named[name]), line=0, field="sha256", value=found, rule=rule)


def _placed(record: BadRecord, files: Mapping[str, Path]) -> BadRecord:
    """Return a record about a row of a table as one about a line of its file."""
    file = files[record.file]
    below_header = 1 if file.suffix == ".csv" and record.line else 0
    return replace(record, file=str(file), line=record.line + below_header)


def _read(file: Path, table: str) -> pl.DataFrame:
    if file.suffix == ".csv":
        return read_table(file, table_fields(table))
    frame = read_parquet_frame(file)
    bad = [
        BadRecord(
            file=str(file),
            line=0,
            field="column",
            value=name,
            rule=f"a column of this table: {', '.join(MARKET_SCHEMAS[table])}",
        )
        for name in frame.columns
        if name not in MARKET_SCHEMAS[table]
    ]
    if bad:
        raise InputError(bad)
    return frame


def read_parquet_frame(file: Path) -> pl.DataFrame:
    """Read a Parquet file whose days are ones that Python knows.

    Raises
    ------
    InputError
        If it is no Parquet file, or listing every day that is not from 1900 to 2199.
    """
    try:
        frame = pl.read_parquet(io.BytesIO(file.read_bytes()), use_statistics=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        rule = f"a Parquet file; {type(error).__name__}: {error}"
        raise InputError([BadRecord(file=str(file), line=0, field="", value=file.name, rule=rule)]) from error
    if bad := [record for column in frame for record in _far_days(file, column)]:
        raise InputError(bad)
    return frame


def _far_days(file: Path, column: pl.Series) -> Iterator[BadRecord]:
    """Report days that Python or Polars could not even show, before any is made of them."""
    if not isinstance(column.dtype, (pl.Date, pl.Datetime)):
        return
    a_day = TICKS_A_DAY[column.dtype.time_unit] if isinstance(column.dtype, pl.Datetime) else 1
    days = column.to_physical().cast(pl.Int64) // a_day
    low, high = ((day - EPOCH).days for day in DAYS_ADMITTED)
    for row in (~days.is_between(low, high)).fill_null(value=False).arg_true():
        value = _shown_day(days[row])
        yield BadRecord(file=str(file), line=row + 1, field=column.name, value=value, rule=DAYS_ADMITTED_RULE)


def _shown_day(number: int) -> str:
    try:
        return str(EPOCH + timedelta(days=number))
    except OverflowError:
        return f"day {number:,} from {EPOCH}"


def _head(file: Path) -> tuple[dict[str, str], dict[str, str], list[BadRecord]]:
    """Return what ``market.toml`` gives: arguments of ``make_market``, digests, and what is wrong with it."""
    head = dict.fromkeys(("name", "currency", "calendar", "data_note"), "")
    if file.parent.is_dir() and not file.is_file():
        raise InputError([BadRecord(file=str(file), line=0, field="", value="absent", rule="a file")])
    try:
        given, lines = read_toml(file)
    except InputError as error:
        return head, {}, list(error.records)
    bad = [
        BadRecord(
            file=str(file),
            line=_line(lines, key),
            field=key,
            value=shown(given.get(key, "absent")),
            rule=rule,
        )
        for key, rule in _broken(given)
    ]
    if not bad:
        head = {key: given.get(key, "") for key in head}
    digests = given.get("sha256", {})
    return head, digests if HEAD_KEYS["sha256"].holds(digests) else {}, bad


def _broken(given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield every key that is wrong, with what it should be."""
    for key in given:
        if key not in HEAD_KEYS:
            yield key, f"one of the keys {', '.join(HEAD_KEYS)}"
    for key, wanted in HEAD_KEYS.items():
        present = key in given
        if (present and not wanted.holds(given[key])) or (not present and not wanted.optional):
            yield key, wanted.rule


def _line(lines: list[str], key: str) -> int:
    pattern = re.compile(rf"""\s*\[?["']?{re.escape(key)}["']?\s*[=\]]""")
    return next((i for i, text in enumerate(lines, start=1) if pattern.match(text)), 0)
