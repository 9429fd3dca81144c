"""The parsed records of one positional file, and what the checks across records find wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.errors import BadRecord
from crossmargin.formats.span.layout import COMMODITY_LAYOUTS
from crossmargin.formats.span.layout_series import SERIES_LAYOUTS, UNUSED_LAYOUTS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CURRENCY_BYTES", "LAYOUTS", "Records", "title"]

LAYOUTS: Final = {**COMMODITY_LAYOUTS, **SERIES_LAYOUTS, **UNUSED_LAYOUTS}
"""Record id → its fields, of every record that is known."""

CURRENCY_BYTES: Final = {
    "AUD": "A", "CAD": "C", "CHF": "S", "DEM": "D", "ESP": "T", "EUR": "E", "FRF": "F", "GBP": "L",
    "HKD": "H", "HUF": "U", "ITL": "I", "JPY": "Y", "MXN": "P", "NOK": "N", "NZD": "Z", "SEK": "K",
    "SGD": "G", "USD": "$", "ZAR": "R",
}  # fmt: skip
"""Currency → its one-byte code."""


@dataclass(frozen=True, slots=True)
class Records:
    """Frames of a file by record id, and the list that checks add to.

    Parameters
    ----------
    file : str
        Name for the errors.
    frames : dict of str to DataFrame
        Record id → its fields, with ``line``; empty where the file has none.
    bad : list of BadRecord
        Filled by ``refuse``.
    """

    file: str
    frames: dict[str, pl.DataFrame]
    bad: list[BadRecord] = field(default_factory=list)

    def __getitem__(self, record: str) -> pl.DataFrame:
        """Return the frame of a record id."""
        return self.frames[record]

    def refuse(self, frame: pl.DataFrame, where: pl.Expr, name: str, value: pl.Expr, rule: str) -> None:
        """Add every row of ``frame`` where the condition holds; a null does not hold."""
        if frame.is_empty():
            return
        rows = frame.filter(where.fill_null(value=False)).select(
            "line", value.cast(pl.String).fill_null("").alias("shown")
        )
        for line, shown in rows.iter_rows():
            self.bad.append(BadRecord(file=self.file, line=line, field=name, value=shown, rule=rule))

    def refuse_repeated(self, frame: pl.DataFrame, key: Sequence[str], name: str) -> None:
        """Add every row whose key stood in an earlier one."""
        shown = pl.concat_str(pl.col(key).cast(pl.String).fill_null(""), separator=" ")
        self.refuse(frame, ~pl.struct(key).is_first_distinct(), name, shown, "stands once")

    def refuse_unknown(
        self, frame: pl.DataFrame, column: str, known: pl.Series, name: str, rule: str
    ) -> None:
        """Add every row whose value is not known."""
        self.refuse(frame, ~pl.col(column).is_in(known.implode()), name, pl.col(column), rule)


def title(record: str, name: str) -> str:
    """Return the name of a field in errors, with its columns.

    >>> title("3", "method")
    'method (columns 9-10)'
    """
    return next(column.title for column in LAYOUTS[record] if column.name == name)
