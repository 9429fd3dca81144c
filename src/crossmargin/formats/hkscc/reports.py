"""HKSCC's position reports: marginable positions and corporate-action position adjustments (guide §3.1.2, §4.5)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from crossmargin.core.files import whole_file
from crossmargin.formats.records import AMOUNT_MAX, Field, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

__all__ = [
    "read_corporate_actions",
    "read_marginable_positions",
    "write_corporate_actions",
    "write_marginable_positions",
]

MARGINABLE_POSITIONS: Final = (
    Field("participant", "text", label="ParticipantID", omissible=True),
    Field("instrument", "text", label="InstrumentID"),
    Field("quantity", "integer", -AMOUNT_MAX, AMOUNT_MAX, label="Quantity"),
    Field("contract_value", "decimal", -AMOUNT_MAX, AMOUNT_MAX, label="ContractValueHKD"),
    Field("market_value", "decimal", -AMOUNT_MAX, AMOUNT_MAX, label="MarketValueHKD"),
)

CORPORATE_ACTIONS: Final = (
    Field("business_date", "date", label="Business Date"),
    Field("ex_date", "date", label="Ex-Date"),
    Field("market", "text", label="Market"),
    Field("instrument", "text", label="Instrument Code"),
    Field("converted_instrument", "text", label="Converted Instrument Code", optional=True),
    Field(
        "quantity_conversion_ratio",
        "decimal",
        0,
        AMOUNT_MAX,
        label="Quantity Conversion Ratio",
        optional=True,
    ),
    Field("cash_dividend_instrument", "text", label="Instrument Code for Cash Dividend", optional=True),
    Field("cash_dividend_amount", "decimal", -AMOUNT_MAX, 0, label="Cash Dividend Amount", optional=True),
    Field("stock_dividend_instrument", "text", label="Instrument Code for Stock Dividend", optional=True),
    Field(
        "entitled_stock_quantity", "decimal", 0, AMOUNT_MAX, label="Entitled Stock Quantity", optional=True
    ),
    Field("rights_instrument", "text", label="Instrument Code for Rights", optional=True),
    Field("rights_quantity", "decimal", 0, AMOUNT_MAX, label="Rights Quantity", optional=True),
)


def read_marginable_positions(path: str | Path) -> pl.DataFrame:
    """Read a marginable position report.

    The file has a header with ``InstrumentID``, ``Quantity``, ``ContractValueHKD``, ``MarketValueHKD`` and,
    for several participants, ``ParticipantID``, in any order.

    Returns
    -------
    DataFrame
        ``participant`` where the file has it, ``instrument``, ``quantity`` (+ long, − short),
        ``contract_value`` and ``market_value`` (HKD equivalent, signed).

    Raises
    ------
    InputError
        Listing every bad record with its line.
    """
    return read_table(Path(path), MARGINABLE_POSITIONS)


def read_corporate_actions(path: str | Path) -> pl.DataFrame:
    """Read a corporate action position adjustment report; an action that does not occur is null.

    Raises
    ------
    InputError
        Listing every bad record with its line.
    """
    return read_table(Path(path), CORPORATE_ACTIONS)


def write_marginable_positions(positions: pl.DataFrame, path: str | Path) -> None:
    """Write a marginable position report; reading it back gives the same frame."""
    _write(positions, MARGINABLE_POSITIONS, path)


def write_corporate_actions(adjustments: pl.DataFrame, path: str | Path) -> None:
    """Write a corporate action position adjustment report; reading it back gives the same frame."""
    _write(adjustments, CORPORATE_ACTIONS, path)


def _write(frame: pl.DataFrame, fields: Sequence[Field], path: str | Path) -> None:
    present = [field for field in fields if field.name in frame.columns]
    texts = frame.select(field.text(frame[field.name]).alias(field.title) for field in present)
    with whole_file(path) as stream:
        texts.write_csv(stream, quote_style="never")
