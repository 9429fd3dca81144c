"""SPAN settings from a TOML file."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.toml_files import read_toml, shown
from crossmargin.models.span.settings import SpanSettings

__all__ = ["read_span_settings"]


def read_span_settings(path: str | Path) -> SpanSettings:
    """Read settings; a key that is absent keeps its default.

    Raises
    ------
    InputError
        Listing every unknown key and every value that is none of its choices.
    """
    given, _ = read_toml(Path(path))
    known = {item.name: bool if isinstance(item.default, bool) else str for item in fields(SpanSettings)}
    bad = [
        BadRecord(
            file=str(path), line=0, field=key, value=shown(value), rule=f"one of the keys {', '.join(known)}"
        )
        for key, value in given.items()
        if key not in known
    ]
    bad += [
        BadRecord(file=str(path), line=0, field=key, value=shown(value), rule=f"a {known[key].__name__}")
        for key, value in given.items()
        if key in known and not isinstance(value, known[key])
    ]
    if bad:
        raise InputError(bad)
    try:
        return SpanSettings(**given)
    except InputError as error:
        raise InputError(replace(record, file=str(path)) for record in error.records) from error
