"""Programmes from TOML files, and the designs that ship with the package."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.settings_tables import settings_of_table
from crossmargin.formats.toml_files import read_toml, shown
from crossmargin.programmes.programme import (
    MODES,
    Attribution,
    Default,
    Eligibility,
    Joint,
    Matching,
    Programme,
    Saving,
    Transfer,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DESIGNS", "chosen_programme", "designs", "programme_of_table", "read_programme"]

DESIGNS: Final = ("silo", "hkcc-seoch-linked", "three-linked", "one-pot", "merged")
"""The designs that are compared unless others are asked for, in the order of the steps between them."""

TABLES: Final[dict[str, type]] = {
    "eligibility": Eligibility,
    "saving": Saving,
    "joint": Joint,
    "attribution": Attribution,
    "matching": Matching,
    "transfer": Transfer,
    "default": Default,
}
"""Tables of the file, which are fields of ``Programme``."""


def read_programme(path: str | Path) -> Programme:
    """Read a programme from a TOML file.

    Its keys are the fields of ``Programme``, its tables the groups of settings in it; what is absent keeps
    its default. ``name`` and ``mode`` must be there.

    Raises
    ------
    InputError
        Listing every unknown key and table, every value of another type or out of its range.
    """
    given, _ = read_toml(Path(path))
    return programme_of_table(given, str(path))


def programme_of_table(given: Mapping[str, Any], file: str = "programme") -> Programme:
    """Return the programme of a table of settings; see ``read_programme``."""
    bad = _missing(given, file)
    groups: dict[str, Any] = {}
    for name, kind in TABLES.items():
        table = given.get(name, {})
        if not isinstance(table, dict):
            bad.append(BadRecord(file=file, line=0, field=name, value=shown(table), rule="a table"))
            continue
        try:
            groups[name] = settings_of_table(kind, table, file, name)
        except InputError as error:
            bad += error.records
    needed = {"name": "unnamed", "mode": MODES[0]}
    top = needed | {key: value for key, value in given.items() if key not in TABLES}
    try:
        programme = settings_of_table(Programme, top, file, without=TABLES)
    except InputError as error:
        bad += error.records
    if bad:
        raise InputError(bad)
    return replace(programme, **groups)


def _missing(given: Mapping[str, Any], file: str) -> list[BadRecord]:
    return [
        BadRecord(file=file, line=0, field=key, value="absent", rule="text")
        for key in ("name", "mode")
        if key not in given
    ]


def designs() -> tuple[Programme, ...]:
    """Return the designs that ship with the package, in the order of ``DESIGNS``."""
    folder = resources.files("crossmargin.parameters").joinpath("programmes")
    with resources.as_file(folder) as path:
        return tuple(read_programme(path / f"{name}.toml") for name in DESIGNS)


def chosen_programme(chosen: str) -> Programme:
    """Return a programme by the name of a design that ships with the package, or from a TOML file.

    Parameters
    ----------
    chosen : str
        One of ``DESIGNS``, or the path of a file, which ends in ".toml".

    Raises
    ------
    InputError
        If it is neither, and as ``read_programme``.
    """
    if chosen in DESIGNS:
        return designs()[DESIGNS.index(chosen)]
    if not chosen.endswith(".toml"):
        rule = f"a TOML file, or one of {', '.join(DESIGNS)}"
        raise InputError([BadRecord(file="--programme", line=0, field="", value=chosen, rule=rule)])
    return read_programme(chosen)
