"""Tables of a TOML file as settings: every key a field, every value of the field's type."""

from __future__ import annotations

import math
from dataclasses import MISSING, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.toml_files import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["settings_of_table"]

Settings = TypeVar("Settings")


def settings_of_table(
    kind: type[Settings],
    table: Mapping[str, Any],
    file: str,
    section: str = "",
    *,
    without: Collection[str] = (),
    **fixed: object,
) -> Settings:
    """Return settings from the keys of a table; what is absent keeps its default.

    Parameters
    ----------
    kind : dataclass
        The settings. A field takes values of its default's type, a float whole numbers too, and a tuple
        an array of texts; those without a default take text and must be in the table.
    table : mapping of str to value
        Of the file.
    file, section : str
        Where the table stands, for errors.
    without : collection of str
        Fields that no key may name.
    **fixed
        Fields given by the caller.

    Raises
    ------
    InputError
        Listing every unknown key, every value of another type, and whatever the settings refuse.
    """
    known = {
        item.name: "" if item.default is MISSING else item.default
        for item in fields(kind)  # type: ignore[arg-type]
        if item.name not in {*without, *fixed}
    }
    bad = []
    given: dict[str, object] = {}
    for key, value in table.items():
        rule = _broken_rule(key, value, known)
        if rule:
            name = f"{section}.{key}" if section else key
            bad.append(BadRecord(file=file, line=0, field=name, value=shown(value), rule=rule))
        else:
            given[key] = tuple(value) if isinstance(value, list) else value
    bad += [_in_table(record, file, section) for record in _refused(kind, given, fixed)]
    if bad:
        raise InputError(bad)
    return kind(**given, **fixed)


def _refused(kind: type, given: Mapping[str, object], fixed: Mapping[str, object]) -> set[BadRecord]:
    """Return what the settings refuse: they may stop at the first value, so each is tried by itself too."""
    needed = {item.name for item in fields(kind) if item.default is item.default_factory is MISSING} - {
        *fixed
    }
    if needed - {*given}:  # it was refused already
        return set()
    always = {**fixed, **{name: given[name] for name in needed}}
    refused = _records(kind, {**always, **given})
    if refused:  # a value may be right beside others alone, so each is tried only if all together are not
        refused.update(*(_records(kind, {**always, key: value}) for key, value in given.items()))
    return refused


def _records(kind: type, given: Mapping[str, object]) -> set[BadRecord]:
    try:
        kind(**given)
    except InputError as error:
        return set(error.records)
    return set()


def _broken_rule(key: str, value: object, known: Mapping[str, object]) -> str:
    """Return what should stand there, empty where it does."""
    if key not in known:
        return f"one of the keys {', '.join(known)}"
    if _fits(value, known[key]):
        return ""
    return f"a value like {known[key]!r}" if known[key] != "" else "text"


def _in_table(record: BadRecord, file: str, section: str) -> BadRecord:
    return replace(record, file=file, field=".".join(filter(None, (section, record.field or record.file))))


def _fits(value: object, like: object) -> bool:
    if isinstance(like, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(like, bool)
    if isinstance(like, float):
        return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    if isinstance(like, tuple):
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, type(like))
