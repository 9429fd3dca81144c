"""What can go wrong, and for whom.

::

    CrossMarginError
    ├── InputError        bad input: every bad record, with file, line, field, value and rule
    └── RangeError        a result that the published units cannot hold

A programmer's mistake is an ``AssertionError`` or whatever Python raises; it is never caught here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["BadRecord", "CrossMarginError", "InputError", "RangeError"]

SHOWN_VALUE_LENGTH = 60


class CrossMarginError(Exception):
    """Any error that this package raises on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class BadRecord:
    """One rule that one record breaks.

    Parameters
    ----------
    file : str
        The file as the caller named it, or the name of the argument where a frame was given.
    line : int
        Line of the file, from 1; row of a frame, from 1; 0 where the whole input is meant.
    field : str
        The column or key, empty where the whole record is meant.
    value : str
        What stands there.
    rule : str
        What should stand there.
    """

    file: str
    line: int
    field: str
    value: str
    rule: str

    def __str__(self) -> str:
        """``file:line: field 'value': rule``, with a long value cut and its length told."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        shown = self.value
        if len(shown) > SHOWN_VALUE_LENGTH:
            shown = f"{shown[:SHOWN_VALUE_LENGTH]}… ({len(self.value):,} characters)"
        subject = f"{self.field} {shown!r}" if self.field else repr(shown)
        return f"{place}: {subject}: {self.rule}"


class InputError(CrossMarginError):
    """An input was refused as a whole; ``records`` lists everything that is wrong with it."""

    def __init__(self, records: Iterable[BadRecord]) -> None:
        self.records: tuple[BadRecord, ...] = tuple(sorted(records))
        assert self.records, "an InputError names at least one bad record"
        count = len(self.records)
        heading = f"{count:,} bad record{'s' if count > 1 else ''}"
        super().__init__("\n".join([heading, *(f"  {record}" for record in self.records)]))

    def __reduce__(self) -> tuple[type[InputError], tuple[tuple[BadRecord, ...]]]:
        """Pickle the records, not the text: errors come back from other processes."""
        return type(self), (self.records,)


class RangeError(CrossMarginError):
    """A number is too large for the integers in which results are published."""
