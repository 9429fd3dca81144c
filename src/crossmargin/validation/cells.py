"""What is wrong with arrays of dates × series, cell by cell."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Bool, Float64

from crossmargin.errors import BadRecord, InputError

__all__ = ["LISTED_MAX", "bad_cells", "bad_number", "refuse", "unfit_cells"]

LISTED_MAX: Final = 100
"""Cells listed by one rule; the rest are counted, for an array may be wrong throughout."""


def bad_cells(
    table: str,
    field: str,
    values: Float64[np.ndarray, " dates series"],
    wrong: Bool[np.ndarray, " dates series"],
    rule: str,
) -> list[BadRecord]:
    """Return a bad record of each wrong cell, the first ``LISTED_MAX`` of them; one with line 0 counts the rest.

    Parameters
    ----------
    table : str
        Name of what is computed, told as the file.
    field : str
        Name of the array.
    values : ndarray of float64
        The array.
    wrong : ndarray of bool
        Which cells break the rule.
    rule : str
        What should stand there.

    Returns
    -------
    list of BadRecord
        The date is the line and the series is told in the field, both counted from 1.
    """
    if not wrong.any():  # as a rule, and looking for places is dear
        return []
    places = np.argwhere(wrong)
    records = [
        BadRecord(
            file=table,
            line=int(row) + 1,
            field=f"{field} of series {column + 1}",
            value=str(values[row, column]),
            rule=rule,
        )
        for row, column in places[:LISTED_MAX]
    ]
    more = len(places) - len(records)
    return records if more == 0 else [*records, bad_number(table, field, f"{more:,} cells more", rule)]


def unfit_cells(
    table: str,
    field: str,
    values: Float64[np.ndarray, " dates series"],
    held: Bool[np.ndarray, " dates series"],
    least: float | None = None,
) -> list[BadRecord]:
    """Return a bad record of each held cell that is no finite number, or is less than ``least``."""
    finite = np.isfinite(values)
    bad = bad_cells(table, field, values, held & ~finite, "a finite number")
    if least is not None:
        # a cell that is no number is told once
        bad += bad_cells(table, field, values, held & finite & (values < least), f"at least {least:g}")
    return bad


def bad_number(table: str, field: str, value: object, rule: str) -> BadRecord:
    """Return the bad record of one number that the whole is computed with."""
    return BadRecord(file=table, line=0, field=field, value=str(value), rule=rule)


def refuse(bad: list[BadRecord]) -> None:
    """Raise an ``InputError`` if there is any bad record."""
    if bad:
        raise InputError(bad)
