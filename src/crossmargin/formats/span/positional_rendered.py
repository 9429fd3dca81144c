"""The lines of a positional file as they are made, and the search for digits that hold a number."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.span.positional_fields import render_lines, unscaled
from crossmargin.formats.span.positional_records import LAYOUTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl
    from jaxtyping import Bool, Float64, Int64

__all__ = ["Rendered", "exponent_of", "fit"]

MONEY_DIGITS: Final = 7
EXPONENT_MAX: Final = 9


@dataclass(frozen=True, slots=True)
class Rendered:
    """Lines in the order of the file, and every value that its columns did not hold."""

    parts: list[bytes] = field(default_factory=list)
    bad: list[BadRecord] = field(default_factory=list)

    def lines(self, record: str, frame: pl.DataFrame) -> list[bytes]:
        """Return the lines of one record id without adding them."""
        values = {name: frame[name] for name in frame.columns}
        content, bad = render_lines(record, LAYOUTS[record], values, len(frame))
        self.bad.extend(bad)
        return content.splitlines(keepends=True)

    def add(self, record: str, frame: pl.DataFrame) -> None:
        """Add the lines of one record id."""
        self.parts.extend(self.lines(record, frame))

    def refuse(self) -> None:
        """Stop if any value was not held.

        Raises
        ------
        InputError
            Listing them.
        """
        if self.bad:
            raise InputError(self.bad)

    def content(self) -> bytes:
        """Return the file; blanks at the ends of lines are cut."""
        return b"".join(part.rstrip(b" \n") + b"\n" for part in self.parts)


def exponent_of(largest: float) -> int:
    """Return the smallest risk exponent that brings an amount within seven digits.

    >>> exponent_of(12_345_600.0)
    1
    """
    exponent = 0
    while exponent < EXPONENT_MAX and not largest / 10**exponent < 10**MONEY_DIGITS:
        exponent += 1
    return exponent


def fit(
    values: Float64[np.ndarray, " rows"],
    digits: int,
    power: Int64[np.ndarray, " rows"],
    exponents: Iterable[int],
) -> tuple[Int64[np.ndarray, " rows"], Int64[np.ndarray, " rows"], Bool[np.ndarray, " rows"]]:
    """Find integers of at most so many digits that, times ten to power and exponent, are the values.

    Returns
    -------
    whole, exponent : ndarray of int64
        Of the first exponent that holds each value.
    held : ndarray of bool
        Whether one does.
    """
    whole = np.zeros(len(values), np.int64)
    chosen = np.zeros(len(values), np.int64)
    held = np.zeros(len(values), np.bool_)
    for exponent in exponents:
        candidate, exact = unscaled(values, power + exponent)
        new = ~held & exact & (np.abs(candidate) < 10**digits)
        whole[new], chosen[new] = candidate[new], exponent
        held |= new
        if held.all():
            break
    return whole, chosen, held
