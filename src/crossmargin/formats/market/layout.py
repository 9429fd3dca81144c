"""What stands where in a market folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.errors import BadRecord
from crossmargin.formats.records import Field
from crossmargin.models.market import HOUSES, MARKET_DEFAULTS, MARKET_NULLABLE, MARKET_SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crossmargin.formats.records import Kind

__all__ = [
    "FORMAT",
    "HEAD_FILE",
    "HEAD_KEYS",
    "HISTORIES",
    "HOUSES_FOLDER",
    "VERSION",
    "FreeText",
    "HeadKey",
    "entries",
    "house_file",
    "table_fields",
    "table_path",
]

FORMAT: Final = "crossmargin-market"
VERSION: Final = 1
HEAD_FILE: Final = "market.toml"
HISTORIES_FOLDER: Final = "histories"
HOUSES_FOLDER: Final = "houses"
SUFFIXES: Final = (".csv", ".parquet")

HISTORIES: Final = (
    "prices",
    "marks",
    "volatilities",
    "dividends",
    "splits",
    "rates",
    "exchange_rates",
)
"""Tables in the folder ``histories``; the others stand at the top."""

KINDS: Final[dict[pl.DataType, Kind]] = {
    pl.String(): "text",
    pl.Int64(): "integer",
    pl.Float64(): "decimal",
    pl.Date(): "date",
}
FREE_TEXTS: Final = (("participants", "name"),)
NAME_LENGTH: Final = 80
NOTE_LENGTH: Final = 1000


@dataclass(frozen=True, slots=True)
class FreeText(Field):
    """A column of any text between two commas; whoever reads it judges it."""

    def values(self, raw: pl.Series) -> pl.Series:
        """Return the texts as they are."""
        return raw


@dataclass(frozen=True, slots=True)
class HeadKey:
    """A key of ``market.toml``: what holds for its value, in words too, and whether it may be absent."""

    holds: Callable[[object], bool]
    rule: str
    meaning: str
    optional: bool = False


def _capitals(count: int) -> Callable[[object], bool]:
    def holds(value: object) -> bool:
        return (
            isinstance(value, str)
            and len(value) == count
            and value.isascii()
            and value.isalpha()
            and value.isupper()
        )

    return holds


def _printable(shortest: int, longest: int) -> Callable[[object], bool]:
    def holds(value: object) -> bool:
        return (
            isinstance(value, str)
            and shortest <= len(value) <= longest
            and value.isprintable()
            and value == value.strip()
        )

    return holds


def _digests(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest) for digest in value.values()
    )


HEAD_KEYS: Final = {
    "format": HeadKey(lambda value: value == FORMAT, f'"{FORMAT}"', "what the folder is"),
    "version": HeadKey(
        lambda value: type(value) is int and value == VERSION, f"{VERSION}", "version of this layout"
    ),
    "name": HeadKey(
        _printable(1, NAME_LENGTH), f"1 to {NAME_LENGTH} printable characters", "what the market is called"
    ),
    "currency": HeadKey(_capitals(3), "three capital letters", "ISO code of the currency of results"),
    "calendar": HeadKey(_capitals(4), "four capital letters", "code of the exchange calendar, such as XHKG"),
    "data_note": HeadKey(
        _printable(0, NOTE_LENGTH),
        f"at most {NOTE_LENGTH:,} printable characters",
        "what the data says of itself; it goes into every result",
        optional=True,
    ),
    "sha256": HeadKey(
        _digests,
        "a table of a SHA-256, 64 lower-case hexadecimal digits, by file",
        "digests of files; one that has another is refused",
        optional=True,
    ),
}
"""Keys of ``market.toml``; those that are optional read as empty."""


def table_path(table: str, suffix: str) -> str:
    """Return where a table stands in the folder, as a file of ``suffix``."""
    return f"{HISTORIES_FOLDER}/{table}{suffix}" if table in HISTORIES else f"{table}{suffix}"


def house_file(path: Path, house: str) -> Path | None:
    """Return the parameter file of a house in a market folder, or None where it has none.

    ``houses/HKSCC.toml`` is a participant file (``read_participant``); ``houses/HKCC.toml`` and
    ``houses/SEOCH.toml`` are SPAN settings (``read_span_settings``).
    """
    file = path / HOUSES_FOLDER / f"{house}.toml"
    return file if file.is_file() else None


def table_fields(table: str) -> tuple[Field, ...]:
    """Return the columns of a table as a CSV file has them."""
    omissible, optional = MARKET_DEFAULTS.get(table, {}), MARKET_NULLABLE.get(table, ())
    return tuple(
        (FreeText if (table, column) in FREE_TEXTS else Field)(
            column, KINDS[dtype], optional=column in optional, omissible=column in omissible
        )
        for column, dtype in MARKET_SCHEMAS[table].items()
    )


ENTRY_RULE: Final = (
    f"a file of a market folder: {HEAD_FILE}; {HOUSES_FOLDER}/ and one of {', '.join(HOUSES)} as .toml; "
    f"{', '.join(table_path(table, '') for table in MARKET_SCHEMAS)} as {' or '.join(SUFFIXES)}"
)


def entries(folder: Path) -> tuple[dict[str, Path], list[BadRecord]]:
    """Return the file of each table that a folder has, and a bad record for each entry of no meaning."""
    tables = {table_path(table, suffix): table for table in MARKET_SCHEMAS for suffix in SUFFIXES}
    known = {HEAD_FILE, *(f"{HOUSES_FOLDER}/{house}.toml" for house in HOUSES)}
    found: dict[str, Path] = {}
    bad: list[BadRecord] = []
    for entry in _files(folder):
        name = entry.relative_to(folder).as_posix()
        table = tables.get(name)
        if not entry.is_file() or (table is None and name not in known):
            bad.append(_bad(entry, name, ENTRY_RULE))
        elif table in found:
            bad.append(_bad(entry, name, f"one file of a table; {found[table].name} is there too"))
        elif table:
            found[table] = entry
    return found, bad


def _files(folder: Path) -> Iterator[Path]:
    """Yield what is in the folder and in its two sub-folders, by name."""
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and entry.name in {HISTORIES_FOLDER, HOUSES_FOLDER}:
            yield from sorted(entry.iterdir())
        else:
            yield entry


def _bad(entry: Path, name: str, rule: str) -> BadRecord:
    return BadRecord(file=str(entry), line=0, field="", value=name, rule=rule)
