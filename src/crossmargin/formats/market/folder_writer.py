"""A market folder from a market: all of it or nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import polars as pl

from crossmargin.core.columns import require_choice
from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.market.layout import (
    FORMAT,
    HEAD_FILE,
    HEAD_KEYS,
    HISTORIES,
    HOUSES_FOLDER,
    VERSION,
    FreeText,
    entries,
    table_fields,
    table_path,
)
from crossmargin.models.market import MARKET_SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crossmargin.formats.records import Field
    from crossmargin.models.market import Market

__all__ = ["write_market"]

NOT_BETWEEN_COMMAS: Final = r"[,\x00-\x1f\x7f\x{fffd}]"
FREE_TEXT_RULE: Final = "text without commas and control characters; a Parquet file may have them"


def write_market(
    market: Market, path: str | Path, *, histories: Literal["parquet", "csv"] = "parquet"
) -> None:
    """Write a market folder that reads back as the same market, ``content_hash`` and all.

    The folder takes its name only when all of it is written; an error on the way leaves what stood there.
    Tables without rows have no file. Where a market folder stands, it is replaced and its files of houses
    are carried over; a folder of anything else is refused.

    Parameters
    ----------
    market : Market
        What to write.
    path : str or Path
        The folder; made with its parents if it is not there.
    histories : "parquet" or "csv"
        Format of the dated tables. The others are CSV.

    Raises
    ------
    InputError
        Listing what CSV cannot hold: a name with a comma, a code outside the grammar, a number of more
        than 15 digits; or what stands in the way at ``path``.
    """
    require_choice(histories, "histories", ("parquet", "csv"))
    target = Path(path).resolve()
    if target.exists():
        _require_replaceable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        _write(market, new, target, f".{histories}")
        if (target / HOUSES_FOLDER).is_dir():
            shutil.copytree(target / HOUSES_FOLDER, new / HOUSES_FOLDER)
        _put_in_place(new, target, Path(scratch) / "old")


def _require_replaceable(target: Path) -> None:
    """Refuse a file, and a folder that is neither empty nor a market folder."""
    rule = "no file, and no folder but an empty one or a market folder"
    here = BadRecord(file=str(target), line=0, field="", value=target.name, rule=rule)
    if not target.is_dir():
        raise InputError([here])
    _, strange = entries(target)
    if strange or (any(target.iterdir()) and not (target / HEAD_FILE).is_file()):
        raise InputError([here, *strange])


def _put_in_place(new: Path, target: Path, old: Path) -> None:
    """Give the new folder its name; put the old one back if that fails."""
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except BaseException:
        if old.exists():
            old.rename(target)
        raise


def _write(market: Market, folder: Path, target: Path, histories_suffix: str) -> None:
    bad = list(_bad_head(market, target / HEAD_FILE))
    for table in MARKET_SCHEMAS:
        frame = market[table]
        suffix = histories_suffix if table in HISTORIES else ".csv"
        name = table_path(table, suffix)
        if not len(frame):
            continue
        (folder / name).parent.mkdir(exist_ok=True)
        if suffix == ".parquet":
            frame.write_parquet(folder / name, compression="zstd")
            continue
        texts, unwritable = _texts(frame, table)
        bad += (replace(record, file=str(target / name)) for record in unwritable)
        if not bad:
            texts.write_csv(folder / name, quote_style="never")
    if bad:
        raise InputError(bad)
    (folder / HEAD_FILE).write_text(_head(market) + _digests(folder), encoding="utf-8")


def _bad_head(market: Market, file: Path) -> Iterator[BadRecord]:
    for key in ("name", "currency", "calendar", "data_note"):
        if not HEAD_KEYS[key].holds(value := getattr(market, key)):
            yield BadRecord(file=str(file), line=0, field=key, value=str(value), rule=HEAD_KEYS[key].rule)


def _head(market: Market) -> str:
    """Return the text of ``market.toml``; a string of JSON is one of TOML."""
    values = {
        "format": FORMAT,
        "version": VERSION,
        "name": market.name,
        "currency": market.currency,
        "calendar": market.calendar,
        "data_note": market.data_note,
    }
    text = "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())
    return text.replace("\ufffd", "\\ufffd")  # a reader takes it for a byte that is no UTF-8


def _digests(folder: Path) -> str:
    """Return the table of digests: of Parquet files, which no text editor changes."""
    files = sorted(folder.rglob("*.parquet"))
    digests = ((file, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files)
    lines = [f'"{file.relative_to(folder).as_posix()}" = "{digest}"\n' for file, digest in digests]
    return "".join(["\n[sha256]\n", *lines]) if lines else ""


def _texts(frame: pl.DataFrame, table: str) -> tuple[pl.DataFrame, list[BadRecord]]:
    """Return the columns as texts of a CSV file, and a record with its line for each that has none."""
    columns: dict[str, pl.Series] = {}
    bad: list[BadRecord] = []
    for field in table_fields(table):
        try:
            columns[field.title] = _column_texts(field, frame[field.name])
        except InputError as error:
            bad += (replace(record, line=record.line and record.line + 1) for record in error.records)
    return pl.DataFrame(columns), bad


def _column_texts(field: Field, values: pl.Series) -> pl.Series:
    if field.kind == "date":
        return values.dt.strftime("%Y-%m-%d").fill_null("")
    if not isinstance(field, FreeText):
        return field.text(values)
    wrong = values.str.contains(NOT_BETWEEN_COMMAS)
    bad = [
        BadRecord(file="", line=row + 1, field=field.title, value=values[row], rule=FREE_TEXT_RULE)
        for row in wrong.arg_true()
    ]
    if bad:
        raise InputError(bad)
    return values
