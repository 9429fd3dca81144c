"""Adjust positions that were traded before an ex-date for what happens on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.core.columns import require_columns, require_range
from crossmargin.core.rounding import toward_zero
from crossmargin.models.hkscc.netting import net

if TYPE_CHECKING:
    from datetime import date

    from crossmargin.core.columns import FrameInput, Rules

__all__ = ["ADJUSTMENT_SCHEMA", "apply_corporate_actions"]

DATED_POSITION_SCHEMA: Final[dict[str, pl.DataType]] = {
    "instrument": pl.String(),
    "currency": pl.String(),
    "trade_date": pl.Date(),
    "quantity": pl.Int64(),
    "contract_value": pl.Float64(),
}
ADJUSTMENT_SCHEMA: Final[dict[str, pl.DataType]] = {
    "business_date": pl.Date(),
    "ex_date": pl.Date(),
    "market": pl.String(),
    "instrument": pl.String(),
    "converted_instrument": pl.String(),
    "quantity_conversion_ratio": pl.Float64(),
    "cash_dividend_instrument": pl.String(),
    "cash_dividend_amount": pl.Float64(),
    "stock_dividend_instrument": pl.String(),
    "entitled_stock_quantity": pl.Float64(),
    "rights_instrument": pl.String(),
    "rights_quantity": pl.Float64(),
}
"""Columns of the house's report; from ``converted_instrument`` on, null where the action does not occur."""

OPTIONAL: Final = tuple(ADJUSTMENT_SCHEMA)[4:]
POSITION_KEY: Final = ["instrument", "currency", "trade_date"]

CASH_DIVIDEND: Final = ("cash_dividend_instrument", "cash_dividend_amount")
STOCK_DIVIDEND: Final = ("stock_dividend_instrument", "entitled_stock_quantity")
RIGHTS: Final = ("rights_instrument", "rights_quantity")


def _rules(business_date: date | None) -> Rules:
    """Say what the report must keep: its day, a code with each amount per share, a ratio with a conversion."""
    ratio = pl.col("quantity_conversion_ratio")
    rules = {
        "converted_instrument": (ratio.is_not_null(), "quantity_conversion_ratio given with it"),
        "quantity_conversion_ratio": (ratio > 0, "above 0"),
    }
    for code, amount in (CASH_DIVIDEND, STOCK_DIVIDEND, RIGHTS):
        value = pl.col(amount)
        sign = (
            (value <= 0, "not positive: a long receives it")
            if code == CASH_DIVIDEND[0]
            else (value >= 0, "not negative")
        )
        rules[code] = (value.is_not_null(), f"{amount} given with it")
        rules[amount] = (sign[0] & pl.col(code).is_not_null(), f"{sign[1]}, and {code} given with it")
    if business_date is not None:
        rules["business_date"] = (
            pl.col("business_date") == business_date,
            f"{business_date}: the day margined",
        )
    return rules


def apply_corporate_actions(
    positions: FrameInput, adjustments: FrameInput, business_date: date | None = None
) -> pl.DataFrame:
    """Apply every adjustment to the positions that were traded before its ex-date.

    Ex-dates are taken in turn; on one ex-date everything follows from the quantity before it:

    - split, bonus issue, consolidation: quantity × ratio, contract value unchanged;
    - conversion: the same, under the converted code;
    - cash dividend: a new position, quantity 0, contract value = quantity × cash amount;
    - stock dividend and rights: new positions of quantity × entitlement per share, contract value 0.

    A long of 400 shares for 24,000 with a ratio of 2, a cash dividend of −0.78, 0.13 dividend shares and 1.5
    rights per share becomes 800 for 24,000, and 0 for −312, 52 for 0 and 600 for 0 under the three codes.
    Fractions go toward zero. Positions of one instrument and trade date are netted before each ex-date.

    Parameters
    ----------
    positions : DataFrame, pandas frame or mapping
        ``instrument``, ``currency``, ``trade_date``, ``quantity`` (+ long, − short), ``contract_value``
        (+ payable by the participant, − receivable).
    adjustments : DataFrame, pandas frame or mapping
        Columns of ``ADJUSTMENT_SCHEMA``; one row per instrument and ex-date. The cash dividend is per share,
        in the position's currency, negative because a long receives it; the others are per share, positive.
    business_date : date, optional
        The day for which positions are margined; a report of another day is then refused.

    Returns
    -------
    DataFrame
        Columns of ``positions``, netted and sorted by instrument, currency and trade date. A new position
        keeps the trade date of the one that it comes from; one that rounds to nothing is left out.

    Raises
    ------
    InputError
        If a table is bad.
    RangeError
        If a result goes beyond ±10^12.

    References
    ----------
    HKEX, HKSCC – VaR Platform, Initial Margin Calculation Guide, version 1.4, October 2025, §4.3 to §4.6.
    """
    positions = require_columns(positions, "positions", DATED_POSITION_SCHEMA)
    key = ["ex_date", "instrument"]
    adjustments = require_columns(
        adjustments, "adjustments", ADJUSTMENT_SCHEMA, nullable=OPTIONAL, key=key, rules=_rules(business_date)
    )
    positions = net(positions, POSITION_KEY, ["contract_value"])
    for actions in adjustments.sort(key).partition_by("ex_date", maintain_order=True):
        adjusted = pl.concat(_on_ex_date(positions, actions))
        positions = net(adjusted, POSITION_KEY, ["contract_value"])
    return positions


def _on_ex_date(positions: pl.DataFrame, actions: pl.DataFrame) -> list[pl.DataFrame]:
    """Positions after one ex-date: untouched, converted, and the entitlements that arise."""
    entitled = pl.col("trade_date") < actions["ex_date"][0]
    held = positions.filter(entitled).join(actions, on="instrument", how="left", maintain_order="left")
    return [
        positions.filter(~entitled),
        _converted(held),
        _cash_entitlement(held),
        _stock_entitlement(held, *STOCK_DIVIDEND),
        _stock_entitlement(held, *RIGHTS),
    ]


def _converted(held: pl.DataFrame) -> pl.DataFrame:
    code = pl.coalesce("converted_instrument", "instrument")
    ratio = pl.col("quantity_conversion_ratio").fill_null(1.0)
    return _positions(held.with_columns(instrument=code, quantity=pl.col("quantity") * ratio))


def _cash_entitlement(held: pl.DataFrame) -> pl.DataFrame:
    code, amount = CASH_DIVIDEND
    value = pl.col("quantity") * pl.col(amount)
    arising = held.with_columns(instrument=pl.col(code), contract_value=value, quantity=pl.lit(0.0))
    return _positions(arising.filter(pl.col("contract_value") != 0))


def _stock_entitlement(held: pl.DataFrame, code: str, per_share: str) -> pl.DataFrame:
    entitlement = pl.col("quantity") * pl.col(per_share)
    arising = held.with_columns(instrument=pl.col(code), contract_value=pl.lit(0.0), quantity=entitlement)
    return _positions(arising.drop_nulls("instrument")).filter(pl.col("quantity") != 0)


def _positions(adjusted: pl.DataFrame) -> pl.DataFrame:
    """Position columns again; fractional quantities go toward zero."""
    require_range(adjusted, ["quantity"])
    whole = pl.Series(toward_zero(adjusted["quantity"].to_numpy())).cast(pl.Int64)
    return adjusted.with_columns(quantity=whole).select(*DATED_POSITION_SCHEMA)
