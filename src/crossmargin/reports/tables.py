"""Tables of the page: frames as cells with the text that is shown and the exact value behind it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Final

from crossmargin.reports.amounts import full_amount, percent, plain_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import polars as pl

__all__ = ["NOTHING", "Cell", "Head", "PageTable", "cell_text", "page_table"]

SHARES: Final = ("share", "joined")
SHARE_PREFIX: Final = "found:"
NOTHING: Final = "–"


@dataclass(frozen=True, slots=True)
class Cell:
    """What is shown, and what it stands for where the shown text is rounded or signed for the eye."""

    text: str
    value: str
    field: str
    below: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """A column's heading."""

    text: str
    numeric: bool


@dataclass(frozen=True, slots=True)
class PageTable:
    """A table.

    Parameters
    ----------
    caption : str
        What it shows, with its unit.
    heads : tuple of Head
        One a column.
    rows : tuple of tuples of Cell
        The first cell names the row.
    grouped : bool
        Whether a name that rows next to each other share is shown once, before all of them.
    """

    caption: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]
    grouped: bool = False

    @property
    def spans(self) -> tuple[int, ...]:
        """How many rows the name of each row stands for; 0 where it stands before an earlier one."""
        if not self.grouped:
            return (1,) * len(self.rows)
        lengths = [len([*same]) for _, same in groupby(row[0].value for row in self.rows)]
        return tuple(n for length in lengths for n in (length, *(0,) * (length - 1)))


def cell_text(name: str, value: object) -> str:
    """Return how a value is shown, by its type and, where it is a share, by its column's name."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return full_amount(value)
    if isinstance(value, float):
        return percent(value) if name in SHARES or name.startswith(SHARE_PREFIX) else plain_number(value)
    return plain_number(value) if isinstance(value, int) else str(value)


def page_table(
    caption: str,
    frame: pl.DataFrame,
    names: Mapping[str, str] | None = None,
    *,
    grouped: bool = False,
    text: Callable[[str, object], str] = cell_text,
) -> PageTable:
    """Return a frame as a table of the page.

    Parameters
    ----------
    caption : str
        What the table shows, with its unit.
    frame : DataFrame
        Decimals are amounts, floats numbers or, by their name, shares.
    names : mapping, optional
        Headings that differ from the column's name.
    grouped : bool
        As in ``PageTable``.
    text : callable
        Shown text of a column's name and a value.
    """
    heads = tuple(
        Head((names or {}).get(name, _heading(name)), dtype.is_numeric())
        for name, dtype in frame.schema.items()
    )
    rows = tuple(_cells(frame.columns, row, text) for row in frame.iter_rows())
    return PageTable(caption, heads, rows, grouped)


def _cells(
    names: Sequence[str], row: Sequence[object], text: Callable[[str, object], str]
) -> tuple[Cell, ...]:
    return tuple(Cell(text(name, value), _exact(value), name) for name, value in zip(names, row, strict=True))


def _heading(name: str) -> str:
    return name.replace("_", " ").replace(":", ", ")


def _exact(value: object) -> str:
    return "" if value is None else str(value)
