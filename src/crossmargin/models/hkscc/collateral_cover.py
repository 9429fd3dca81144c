"""Take positions that specific collateral covers out of what is margined.

Both kinds of collateral are allocated alike: to positions that share the pledge's key, the higher average
price first, each up to what it can take, until the pledge is used up. Positions that are equal in all key
columns are netted before, so that it does not matter in how many rows one is given. A covered position
stays as a row, with zeros where it is covered entirely; ``net_across_days`` leaves such rows out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.core.columns import require_columns, require_date, require_known, require_rates
from crossmargin.core.rounding import roundup
from crossmargin.models.hkscc.netting import net

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from crossmargin.core.columns import FrameInput

__all__ = ["SETTLEMENT_SCHEMA", "cover_with_specific_cash", "cover_with_specific_stock"]

SETTLEMENT_SCHEMA: Final[dict[str, pl.DataType]] = {
    "instrument": pl.String(),
    "settlement_counter": pl.String(),
    "currency": pl.String(),
    "trade_date": pl.Date(),
    "settlement_date": pl.Date(),
    "quantity": pl.Int64(),
    "amount": pl.Float64(),
}
POSITION_KEY: Final = ["instrument", "settlement_counter", "currency", "trade_date", "settlement_date"]
STOCK_KEY: Final = ["settlement_counter", "settlement_date"]
CASH_KEY: Final = ["settlement_counter", "currency", "trade_date"]
STOCK_PLEDGE_SCHEMA: Final[dict[str, pl.DataType]] = {
    "settlement_counter": pl.String(),
    "settlement_date": pl.Date(),
    "quantity": pl.Int64(),
}
CASH_PLEDGE_SCHEMA: Final[dict[str, pl.DataType]] = {
    "settlement_counter": pl.String(),
    "currency": pl.String(),
    "trade_date": pl.Date(),
    "amount": pl.Float64(),
}

PRICE_DIGITS: Final = 12
"""Average prices equal to so many digits are a tie: 270 × 1.1 misses 297 by a float's last place."""

CASH_DUST: Final = 2.0**-44
"""A rest of less than this share of the pledge is an error of float addition, not an amount."""


def cover_with_specific_stock(
    positions: FrameInput, pledges: FrameInput, business_date: date, rates: FrameInput
) -> pl.DataFrame:
    """Take off the shorts that are covered by specific stock collateral.

    A short that settles after the business date is covered by stock pledged on its settlement counter and
    settlement date; its amount falls pro rata to its quantity. Longs are never covered. A pledge of 1,500
    on a short of 4,000 sold for 240,000 leaves a short of 2,500 for 150,000.

    Parameters
    ----------
    positions : DataFrame, pandas frame or mapping
        ``instrument`` (counter), ``settlement_counter``, ``currency``, ``trade_date``, ``settlement_date``,
        ``quantity`` (+ long, − short), ``amount`` in the counter's currency (+ payable, − receivable).
    pledges : DataFrame, pandas frame or mapping
        ``settlement_counter``, ``settlement_date`` and ``quantity``, not negative; one row per key.
    business_date : date
        Shorts that settle on it, or before, are not covered.
    rates : DataFrame, pandas frame or mapping
        ``currency``, ``rate`` (HKD for one unit) and ``haircut``. The rate makes average prices,
        |amount ÷ quantity|, comparable; the haircut is not used here.

    Returns
    -------
    DataFrame
        Columns of ``positions``, netted and sorted by all but the numbers. Among shorts of one counter
        and date the one with the higher average price is covered first, then the lower instrument code.

    Raises
    ------
    InputError
        If a table is bad or a currency has no rate.
    RangeError
        If a netted position goes beyond ±10^12.

    References
    ----------
    HKEX, HKSCC – VaR Platform, Initial Margin Calculation Guide, version 1.4, October 2025, §4.3 to §4.6.
    """
    positions = require_columns(positions, "positions", SETTLEMENT_SCHEMA)
    pledges = _require_pledges(pledges, STOCK_PLEDGE_SCHEMA, STOCK_KEY)
    rates = require_rates(rates)
    require_known(positions["currency"], rates["currency"], "positions", "a currency of rates")
    business_date = require_date(business_date, "business_date")
    priced = net(positions, POSITION_KEY, ["amount"]).join(
        rates, on="currency", how="left", maintain_order="left"
    )
    coverable = (pl.col("quantity") < 0) & (pl.col("settlement_date") > business_date)
    size = pl.when(coverable).then(-pl.col("quantity")).otherwise(0)
    price = (pl.col("amount") / pl.col("quantity")).abs() * pl.col("rate")
    left = pl.col("quantity") + pl.col("covered")
    allocated = _allocate(priced, pledges, STOCK_KEY, size, price)
    return _settlement_positions(
        allocated.with_columns(quantity=left, amount=_pro_rata("amount", left, "quantity"))
    )


def cover_with_specific_cash(positions: FrameInput, pledges: FrameInput, business_date: date) -> pl.DataFrame:
    """Take off the longs that are covered by specific cash collateral.

    A long with a positive amount is covered, before its settlement date, by cash pledged on its settlement
    counter, currency and trade date; its quantity falls pro rata to its amount and is rounded up. A pledge
    of 60,000 on a long of 2,000 bought for 180,000 leaves 1,334 (from 1,333.3) for 120,000. The guide does
    not say which of several longs under one key comes first: here the order is that of the stock cover,
    the higher average price and then the lower instrument code.

    Parameters
    ----------
    positions : DataFrame, pandas frame or mapping
        As for ``cover_with_specific_stock``.
    pledges : DataFrame, pandas frame or mapping
        ``settlement_counter``, ``currency``, ``trade_date`` and ``amount`` in that currency, not negative;
        one row per key.
    business_date : date
        Longs that settle on it, or before, are not covered.

    Returns
    -------
    DataFrame
        Columns of ``positions``, netted and sorted by all but the numbers.

    Raises
    ------
    InputError
        If a table is bad.
    RangeError
        If a netted position goes beyond ±10^12.

    References
    ----------
    HKEX, HKSCC – VaR Platform, Initial Margin Calculation Guide, version 1.4, October 2025, §4.3 to §4.6.
    """
    positions = require_columns(positions, "positions", SETTLEMENT_SCHEMA)
    pledges = _require_pledges(pledges, CASH_PLEDGE_SCHEMA, CASH_KEY)
    business_date = require_date(business_date, "business_date")
    netted = net(positions, POSITION_KEY, ["amount"])
    unsettled = pl.col("settlement_date") > business_date
    coverable = unsettled & (pl.col("quantity") > 0) & (pl.col("amount") > 0)
    size = pl.when(coverable).then(pl.col("amount")).otherwise(0.0)
    price = pl.col("amount") / pl.col("quantity")
    rest = pl.col("amount") - pl.col("covered")
    is_dust = (pl.col("covered") > 0) & (rest <= pl.col("pledged") * CASH_DUST)
    left = pl.when(is_dust).then(0.0).otherwise(rest)
    allocated = _allocate(netted, pledges, CASH_KEY, size, price)
    shares = allocated.select(_pro_rata("quantity", left, "amount")).to_series().to_numpy()
    quantity = pl.Series(roundup(shares, 1)).cast(pl.Int64)
    return _settlement_positions(allocated.with_columns(quantity=quantity, amount=left))


def _require_pledges(pledges: FrameInput, schema: dict[str, pl.DataType], key: Sequence[str]) -> pl.DataFrame:
    (pledged,) = set(schema) - set(key)
    rules = {pledged: (pl.col(pledged) >= 0, "not negative")}
    return require_columns(pledges, "pledges", schema, key=key, rules=rules).rename({pledged: "pledged"})


def _allocate(
    positions: pl.DataFrame, pledges: pl.DataFrame, key: Sequence[str], size: pl.Expr, price: pl.Expr
) -> pl.DataFrame:
    """Give each pledge to the positions of its key in turn, each up to its ``size``; adds ``covered``."""
    order = pl.when(size > 0).then(price).otherwise(0.0).round_sig_figs(PRICE_DIGITS)
    before = pl.col("size").cum_sum().over(key) - pl.col("size")
    return (
        positions.join(pledges, on=key, how="left")
        .with_columns(pl.col("pledged").fill_null(0), size=size, order=order)
        .sort("order", *POSITION_KEY, descending=[True, *(False for _ in POSITION_KEY)])
        .with_columns(available=(pl.col("pledged") - before).clip(lower_bound=0))
        .with_columns(covered=pl.min_horizontal("size", "available"))
    )


def _pro_rata(column: str, left: pl.Expr, of: str) -> pl.Expr:
    """``column`` × ``left`` ÷ ``of`` where the position is covered, in float64; elsewhere as it was."""
    share = pl.col(column) * left / pl.col(of) + 0.0  # + 0.0: no negative zero
    return pl.when(pl.col("covered") > 0).then(share).otherwise(pl.col(column).cast(pl.Float64))


def _settlement_positions(allocated: pl.DataFrame) -> pl.DataFrame:
    return allocated.select(*SETTLEMENT_SCHEMA).sort(POSITION_KEY)
