"""Where a command may write: looked at before anything is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["CUBE", "SCENARIOS", "require_places", "require_report_folder"]

SCENARIOS, CUBE = "scenarios.set", "cube"
"""What stands in a folder that ``scenarios build`` wrote."""

OUTSIDE: Final = "outside of the market folder, which holds nothing else"


def require_places(market: Path, files: Mapping[str, Path | None], folder: Path | None = None) -> None:
    """Refuse places that cannot be written, and those in the market folder, which would be unreadable then.

    Parameters
    ----------
    market : Path
        Market folder.
    files : mapping of str to Path or None
        File that each flag names.
    folder : Path, optional
        What ``--out`` names where scenarios and cube are written; a file may stand in it before it is there.

    Raises
    ------
    InputError
        Listing every such place.
    """
    bad = [("--out", folder, rule) for rule in _folder_rules(folder)] if folder is not None else []
    given = [(flag, path) for flag, path in files.items() if path is not None]
    bad += [
        (flag, path, "a file in a folder that is there") for flag, path in given if _no_file(path, folder)
    ]
    if folder is not None:
        given.append(("--out", folder))
    bad += [(flag, path, OUTSIDE) for flag, path in given if path.resolve().is_relative_to(market.resolve())]
    if bad:
        raise InputError(
            BadRecord(file=flag, line=0, field="", value=str(path), rule=rule) for flag, path, rule in bad
        )


def require_report_folder(market: Path | None, out: Path | None) -> None:
    """Refuse a folder for a report that cannot be made, or that is in the market folder.

    Raises
    ------
    InputError
        If it is such a place.
    """
    if out is not None and any(one.exists() and not one.is_dir() for one in (out, *out.parents)):
        rule = "a folder, or nothing yet, in one"
        raise InputError([BadRecord(file="--out", line=0, field="", value=str(out), rule=rule)])
    if market is not None:
        require_places(market, {"--out": out if out is None else out / "report.html"}, out)


def _folder_rules(folder: Path) -> Iterator[str]:
    """Yield what a folder for scenarios and cube breaks."""
    from crossmargin.store.cubes import is_replaceable  # noqa: PLC0415

    if folder.exists() and not folder.is_dir():
        yield "a folder, or nothing yet"
    elif not is_replaceable(folder / CUBE):
        yield f"a folder in which {CUBE} is free, or holds a cube and nothing else"


def _no_file(path: Path, folder: Path | None) -> bool:
    parent = path.resolve().parent
    return path.is_dir() or not (parent.is_dir() or (folder is not None and parent == folder.resolve()))
