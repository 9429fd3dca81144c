"""TOML files of settings."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.records import read_text

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_toml", "shown"]


def read_toml(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Read a TOML file; return its content and its lines.

    Raises
    ------
    InputError
        If it is no TOML, with the line.
    """
    text = read_text(path)
    lines = text.split("\n")
    try:
        return tomllib.loads(text), lines
    except (ValueError, RecursionError) as error:  # more digits or depth than Python parses, too
        found = re.search(r"line (\d+)", str(error))
        line = int(found[1]) if found else 0
        value = lines[line - 1] if line else ""
        record = BadRecord(file=str(path), line=line, field="", value=value, rule=f"TOML; {error}")
        raise InputError([record]) from error


def shown(value: object) -> str:
    """Return what an error shows of a value: numbers and tables may be larger than Python prints."""
    try:
        return str(value)
    except ValueError:
        return "a number of too many digits"
    except RecursionError:
        return "tables within too many tables"
