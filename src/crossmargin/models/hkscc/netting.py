"""Net positions: quantities in integers, amounts exactly, whatever the order of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.core.columns import NUMBER_LIMIT, require_columns, require_range
from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossmargin.core.columns import FrameInput

__all__ = ["POSITION_SCHEMA", "exact_sum", "net", "net_across_days"]

FRACTION: Final = 2.0**-60
"""Amounts are added as whole multiples of this: every float64 of 0.004 or more is one."""

VALUES: Final = ("contract_value", "market_value")
POSITION_SCHEMA: Final[dict[str, pl.DataType]] = {
    "instrument": pl.String(),
    "currency": pl.String(),
    "quantity": pl.Int64(),
    "contract_value": pl.Float64(),
}
PRICE_SCHEMA: Final[dict[str, pl.DataType]] = {"instrument": pl.String(), "price": pl.Float64()}


def exact_sum(column: str) -> pl.Expr:
    """Sum of a float column, rounded once: no order of rows and no grouping changes a bit of it.

    The amounts, at most ``NUMBER_LIMIT``, are added in 128-bit integers (room for 10^8 rows). A part of an
    amount below 2^-60 is dropped; only amounts under 0.004 have one.
    """
    return (pl.col(column) / FRACTION).cast(pl.Int128).sum().cast(pl.Float64) * FRACTION


def net(table: pl.DataFrame, keys: Sequence[str], amounts: Sequence[str] = VALUES) -> pl.DataFrame:
    """Add ``quantity`` and the ``amounts`` of rows with equal ``keys``; the result is sorted by them.

    Raises
    ------
    RangeError
        If an amount, or a total, goes beyond ±10^12.
    """
    require_range(table, amounts)
    quantity = pl.col("quantity").cast(pl.Int128).sum()
    netted = table.group_by(keys).agg(quantity, *[exact_sum(amount) for amount in amounts]).sort(keys)
    return require_range(netted, ["quantity", *amounts]).with_columns(pl.col("quantity").cast(pl.Int64))


def net_across_days(positions: FrameInput, prices: FrameInput) -> pl.DataFrame:
    """Net the positions of each instrument over all trade dates and value them at the price.

    Long 400 shares bought for 24,000, short 800 sold for 49,600 and long 1,200 bought for 73,200 make long
    800 for 47,600; at a price of 70 their market value is 56,000.

    Parameters
    ----------
    positions : DataFrame, pandas frame or mapping
        ``instrument``; ``currency``, in which the instrument is risk managed; ``quantity`` (+ long,
        − short); ``contract_value`` in that currency (+ payable by the participant, − receivable).
    prices : DataFrame, pandas frame or mapping
        ``instrument`` and ``price``, not negative, in the instrument's risk currency for one unit. For a
        distribution or rights code (DSP, SRI) it is the price of the entitlement.

    Returns
    -------
    DataFrame
        ``instrument``, ``currency``, ``quantity``, ``contract_value`` and ``market_value`` = quantity ×
        price, sorted by instrument. A quantity of zero has a market value of zero and needs no price:
        so a cash dividend (DIV) has none. A row with neither quantity nor contract value is left out.

    Raises
    ------
    InputError
        If a table is bad, an instrument stands in two currencies, or an instrument with a quantity has
        no price: every such instrument is named.
    RangeError
        If a result goes beyond ±10^12.

    References
    ----------
    HKEX, HKSCC – VaR Platform, Initial Margin Calculation Guide, version 1.4, October 2025, §4.3 to §4.6.
    """
    positions = require_columns(positions, "positions", POSITION_SCHEMA)
    prices = require_columns(
        prices,
        "prices",
        PRICE_SCHEMA,
        key=["instrument"],
        rules={"price": (pl.col("price") >= 0, f"from 0 to {NUMBER_LIMIT:.0e}")},
    )
    _require_one_currency(positions)
    netted = net(positions, ["instrument", "currency"], ["contract_value"])
    held = netted.filter((pl.col("quantity") != 0) | (pl.col("contract_value") != 0))
    priced = held.join(prices, on="instrument", how="left", maintain_order="left")
    _require_prices(priced)
    market_value = pl.when(pl.col("quantity") == 0).then(0.0).otherwise(pl.col("quantity") * pl.col("price"))
    valued = priced.with_columns(market_value=market_value + 0.0).drop("price")
    return require_range(valued, ["market_value"])


def _require_one_currency(positions: pl.DataFrame) -> None:
    several = positions.filter(pl.col("currency").n_unique().over("instrument") > 1)
    pairs = several.select("instrument", "currency").unique().sort("instrument", "currency")
    _refuse("positions", "currency", "an instrument has one risk currency", pairs.rows())


def _require_prices(priced: pl.DataFrame) -> None:
    unpriced = priced.filter((pl.col("quantity") != 0) & pl.col("price").is_null())
    _refuse(
        "prices",
        "instrument",
        "an instrument with a quantity needs a price",
        unpriced.select("instrument").rows(),
    )


def _refuse(name: str, field: str, rule: str, values: Sequence[tuple[str, ...]]) -> None:
    if values:
        raise InputError(
            BadRecord(file=name, line=0, field=field, value=" ".join(value), rule=rule) for value in values
        )
