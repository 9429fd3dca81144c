"""Tables of a TOML file as settings: every key a field, every value of the field's type."""

from __future__ import annotations

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
        an array of texts; those without a default take text.
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
    for key, value in table.items():
        name = f"{section}.{key}" if section else key
        if key not in known:
            rule = f"one of the keys {', '.join(known)}"
            bad.append(BadRecord(file=file, line=0, field=name, value=shown(value), rule=rule))
        elif not _fits(value, known[key]):
            rule = f"a value like {known[key]!r}"
            bad.append(BadRecord(file=file, line=0, field=name, value=shown(value), rule=rule))
    if bad:
        raise InputError(bad)
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    try:
        return kind(**given, **fixed)
    except InputError as error:
        raise InputError(
            replace(record, file=file, field=".".join(filter(None, (section, record.field or record.file))))
            for record in error.records
        ) from error


def _fits(value: object, like: object) -> bool:
    if isinstance(like, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(like, bool)
    if isinstance(like, float):
        return isinstance(value, (int, float))
    if isinstance(like, tuple):
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, type(like))
