"""Positions in listed derivatives: our own CSV, one line a series and account."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.records import AMOUNT_MAX, Field, read_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

__all__ = ["read_span_positions"]

FIELDS: Final = (
    Field("account", "text", label="Account", omissible=True),
    Field("exchange", "text", label="Exchange", omissible=True),
    Field("product", "text", label="Product"),
    Field("expiry", "text", label="Expiry"),
    Field("right", "text", label="Right", optional=True, omissible=True),
    Field("strike", "decimal", -AMOUNT_MAX, AMOUNT_MAX, label="Strike", optional=True, omissible=True),
    Field("quantity", "integer", -AMOUNT_MAX, AMOUNT_MAX, label="Quantity"),
    Field("product_type", "text", label="Product type", optional=True, omissible=True),
    Field("future_month", "text", label="Future month", optional=True, omissible=True),
)


def read_span_positions(path: str | Path) -> pl.DataFrame:
    """Read positions with the columns Product, Expiry and Quantity, and others that a file may leave out.

    Expiry is the month or day of the parameter file (YYYYMM or YYYYMMDD), Right C or P for an option and
    empty for anything else, Quantity contracts, + long, − short. The others are Right, Strike, Account,
    Exchange, and Product type and Future month (of the underlying future), both as the parameter file has
    them, where series differ in nothing else; empty, they say nothing.

    Raises
    ------
    InputError
        Listing every bad record with its line.
    """
    frame = read_table(Path(path), FIELDS)
    if bad := list(_bad_options(frame, str(path))):
        raise InputError(bad)
    return frame


def _bad_options(frame: pl.DataFrame, file: str) -> Iterator[BadRecord]:
    nothing = [None] * len(frame)
    rights, strikes = (frame[name] if name in frame.columns else nothing for name in ("right", "strike"))
    for row, (right, strike) in enumerate(zip(rights, strikes, strict=True)):
        if right not in {None, "C", "P"}:
            yield BadRecord(file=file, line=row + 2, field="Right", value=right, rule="C, P or empty")
        elif (right is None) != (strike is None):
            value = "" if strike is None else str(strike)
            rule = "a strike where there is a right, and only there"
            yield BadRecord(file=file, line=row + 2, field="Strike", value=value, rule=rule)
