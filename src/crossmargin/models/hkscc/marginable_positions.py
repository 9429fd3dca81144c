"""From settlement positions to what is margined: every step of the guide, in its order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from crossmargin.core.columns import require_range, require_rates
from crossmargin.models.hkscc.collateral_cover import cover_with_specific_cash, cover_with_specific_stock
from crossmargin.models.hkscc.corporate_actions import apply_corporate_actions
from crossmargin.models.hkscc.multi_counter import combine_counters
from crossmargin.models.hkscc.netting import net_across_days

if TYPE_CHECKING:
    from datetime import date

    from crossmargin.core.columns import FrameInput

__all__ = ["marginable_positions"]


def marginable_positions(
    positions: FrameInput,
    *,
    business_date: date,
    stock_pledges: FrameInput,
    cash_pledges: FrameInput,
    counters: FrameInput,
    rates: FrameInput,
    adjustments: FrameInput,
    prices: FrameInput,
) -> pl.DataFrame:
    """Net positions per instrument, after collateral cover, counters and corporate actions.

    The order is the guide's: specific stock, specific cash, multi-counter securities, corporate actions,
    netting across days. Each step is a function of its own and describes its input.

    Parameters
    ----------
    positions : DataFrame, pandas frame or mapping
        Settlement positions, see ``cover_with_specific_stock``.
    business_date : date
        The day for which positions are margined.
    stock_pledges, cash_pledges : DataFrame, pandas frame or mapping
        See ``cover_with_specific_stock`` and ``cover_with_specific_cash``.
    counters, rates : DataFrame, pandas frame or mapping
        See ``combine_counters``.
    adjustments : DataFrame, pandas frame or mapping
        See ``apply_corporate_actions``; the report of ``business_date``.
    prices : DataFrame, pandas frame or mapping
        See ``net_across_days``.

    Returns
    -------
    DataFrame
        ``instrument``, ``quantity`` (+ long, − short), ``contract_value`` (+ payable) and ``market_value`` in
        HKD, converted without a haircut, as ``hkscc_margin`` takes them; then the risk ``currency``,
        ``contract_value_risk`` and ``market_value_risk`` in it. Sorted by instrument.

    Raises
    ------
    InputError
        If a table is bad, a currency has no rate or an instrument no price.
    RangeError
        If a result goes beyond ±10^12.

    References
    ----------
    HKEX, HKSCC – VaR Platform, Initial Margin Calculation Guide, version 1.4, October 2025, §3.1.2 and
    §4.3 to §4.6.
    """
    rates = require_rates(rates)
    stock_covered = cover_with_specific_stock(positions, stock_pledges, business_date, rates)
    covered = cover_with_specific_cash(stock_covered, cash_pledges, business_date)
    combined = combine_counters(covered, counters, rates)
    adjusted = apply_corporate_actions(combined, adjustments, business_date)
    return _in_hkd(net_across_days(adjusted, prices), rates)


def _in_hkd(netted: pl.DataFrame, rates: pl.DataFrame) -> pl.DataFrame:
    rated = netted.join(rates, on="currency", how="left", maintain_order="left")
    amounts = ["contract_value", "market_value"]
    converted = rated.select(
        "instrument",
        "quantity",
        *(pl.col(amount) * pl.col("rate") for amount in amounts),
        "currency",
        *(pl.col(amount).alias(f"{amount}_risk") for amount in amounts),
    )
    return require_range(converted, amounts)
