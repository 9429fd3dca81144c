"""Marks: what the market has moved since the trades, per risk currency and then in HKD.

One sign inside: ``pnl`` = market value − contract value, a gain of the participant positive. (The guide's
§4.7 and §4.8 print the opposite sign.) Results say ``requirement`` and ``favourable``, one of which is zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import polars as pl

from crossmargin.core.columns import (
    require_choice,
    require_columns,
    require_date,
    require_known,
    require_number,
    require_range,
    require_rates,
)
from crossmargin.core.rounding import half_away
from crossmargin.models.hkscc.netting import exact_sum, net

if TYPE_CHECKING:
    from datetime import date

    from crossmargin.core.columns import FrameInput

__all__ = ["Cycle", "MarkToMarket", "Rounding", "intraday_mark", "mark_to_market"]

Rounding = Literal["guide", "none"]
Cycle = Literal["11:00", "14:00"]
ROUNDINGS: Final = ("guide", "none")
CYCLES: Final = ("11:00", "14:00")

VALUED_SCHEMA: Final[dict[str, pl.DataType]] = {
    "instrument": pl.String(),
    "currency": pl.String(),
    "quantity": pl.Int64(),
    "contract_value": pl.Float64(),
    "market_value": pl.Float64(),
}
DUE_SCHEMA: Final[dict[str, pl.DataType]] = {**VALUED_SCHEMA, "settlement_date": pl.Date()}
UNPOSTED_SCHEMA: Final[dict[str, pl.DataType]] = {
    "currency": pl.String(),
    "debit": pl.Float64(),
    "credit": pl.Float64(),
}
UNPOSTED_DEBIT: Final = "unposted debit"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarkToMarket:
    """A mark in HKD and the parts that add up to it.

    Parameters
    ----------
    requirement : float
        Owed by the participant, HKD, ≥ 0.
    favourable : float
        Owed to the participant, HKD, ≥ 0; ``favourable − requirement`` is the sum of ``pnl_hkd``.
    by_currency : DataFrame
        ``currency``, net ``pnl`` in it, ``rate``, ``haircut``, and ``pnl_hkd`` after the haircut.
    by_position : DataFrame
        ``instrument``, ``currency`` and ``pnl`` in it; the sums per currency are ``by_currency.pnl``.
        Of an intraday mark also ``settlement_date`` and ``kept``, the share of the position that is marked.
    offset_ratio : float
        Share of the payables due today that is paid or secured, 0 to 1; 0 where none applies.
    """

    requirement: float
    favourable: float
    by_currency: pl.DataFrame
    by_position: pl.DataFrame
    offset_ratio: float = 0.0


def mark_to_market(positions: FrameInput, rates: FrameInput, rounding: Rounding = "guide") -> MarkToMarket:
    """Mark positions at the end of the day: net per risk currency, haircut, then add in HKD.

    A net gain g in a currency counts g × rate × (1 − h), a net loss l counts l × rate × (1 + h). With CNY 1
    = HKD 1.15 and h = 3%, a net loss of 1,300 CNY is 1,539.85 HKD, rounded to 1,540.

    Parameters
    ----------
    positions : DataFrame, pandas frame or mapping
        ``instrument``; ``currency``, its risk currency; ``quantity`` (+ long, − short); ``contract_value``
        (+ payable by the participant) and ``market_value`` (+ of a long) in it. The frame that
        ``net_across_days`` returns will do.
    rates : DataFrame, pandas frame or mapping
        ``currency``, ``rate`` (HKD for one unit) and ``haircut`` (a fraction).
    rounding : {"guide", "none"}
        Round each currency's HKD amount to the nearest whole, a half away from zero, or not at all.

    Returns
    -------
    MarkToMarket
        Requirement or favourable mark in HKD, with its parts.

    Raises
    ------
    InputError
        If a table is bad, or a currency has no rate.
    RangeError
        If a result goes beyond ±10^12.

    References
    ----------
    HKEX, HKSCC – VaR Platform, Initial Margin Calculation Guide, version 1.4, October 2025, §4.7.
    """
    positions = require_columns(positions, "positions", VALUED_SCHEMA)
    rates = require_rates(rates)
    require_choice(rounding, "rounding", ROUNDINGS)
    require_known(positions["currency"], rates["currency"], "positions", "a currency of rates")
    netted = net(positions, ["instrument", "currency"])
    pnl = pl.col("market_value") - pl.col("contract_value")
    return _mark(netted.select("instrument", "currency", pnl=pnl), rates, rounding)


def intraday_mark(
    positions: FrameInput,
    rates: FrameInput,
    cycle: Cycle,
    *,
    business_date: date,
    unposted: FrameInput | None = None,
    cash_prepayment: float = 0.0,
    rounding: Rounding = "guide",
) -> MarkToMarket:
    """Mark positions during the day, at 11:00, or at 14:00 before long holidays.

    11:00: deliveries that are settled but not yet paid count as an unposted debit, a long due today without
    a market value. What has been prepaid, or is owed to the participant as unposted credit, is set against
    all that is payable today: offset ratio = (prepayment + credit) ÷ payable, in HKD without haircut, at
    most 1. Longs due today are marked for the share that is not offset; all else is marked in full. A
    prepayment of 11,755 on 47,020 payable leaves 75% of a gain of 50 USD: 37.5, rounded to 38.

    14:00: positions due today, with unposted amounts and prepayment, are left out.

    Parameters
    ----------
    positions : DataFrame, pandas frame or mapping
        As for ``mark_to_market``, and ``settlement_date``. Due is what settles on the business date or should
        have settled before. Payable is a positive contract value of a position due, long or short.
    rates : DataFrame, pandas frame or mapping
        ``currency``, ``rate`` (HKD for one unit) and ``haircut`` (a fraction).
    cycle : {"11:00", "14:00"}
        The call.
    business_date : date
        Today.
    unposted : DataFrame, pandas frame or mapping, optional
        ``currency``, ``debit`` and ``credit`` in it, not negative; one row per currency.
    cash_prepayment : float
        Cash prepaid against today's payables, HKD, not negative.
    rounding : {"guide", "none"}
        Round each position's pnl, and each currency's HKD amount, to the nearest whole, a half away from
        zero; or not at all. Positions of one instrument, currency and settlement date are netted before.

    Returns
    -------
    MarkToMarket
        Requirement or favourable mark in HKD, with its parts and the offset ratio.

    Raises
    ------
    InputError
        If a table is bad, or a currency has no rate.
    RangeError
        If a result goes beyond ±10^12.

    References
    ----------
    HKEX, HKSCC – VaR Platform, Initial Margin Calculation Guide, version 1.4, October 2025, §4.8.
    """
    positions = require_columns(positions, "positions", DUE_SCHEMA)
    rates = require_rates(rates)
    unposted = _require_unposted(unposted, rates)
    prepayment = require_number(cash_prepayment, "cash_prepayment")
    require_choice(cycle, "cycle", CYCLES)
    require_choice(rounding, "rounding", ROUNDINGS)
    due = pl.col("settlement_date") <= require_date(business_date, "business_date")
    require_known(positions["currency"], rates["currency"], "positions", "a currency of rates")
    netted = net(positions, ["instrument", "currency", "settlement_date"])
    if cycle == "14:00":
        return _mark(_kept_pnl(netted.filter(~due), due, 0.0, rounding), rates, rounding)
    debits = _debits(unposted, business_date).select(netted.columns)
    positions = pl.concat([netted, debits])
    ratio = _offset_ratio(positions.filter(due), unposted, prepayment, rates)
    return _mark(_kept_pnl(positions, due, ratio, rounding), rates, rounding, ratio)


def _require_unposted(unposted: FrameInput | None, rates: pl.DataFrame) -> pl.DataFrame:
    if unposted is None:
        return pl.DataFrame(schema=UNPOSTED_SCHEMA)
    rules = {column: (pl.col(column) >= 0, "not negative") for column in ("debit", "credit")}
    table = require_columns(unposted, "unposted", UNPOSTED_SCHEMA, key=["currency"], rules=rules)
    require_known(table["currency"], rates["currency"], "unposted", "a currency of rates")
    return table.sort("currency")


def _debits(unposted: pl.DataFrame, business_date: date) -> pl.DataFrame:
    """Unposted debits as positions: long, due today, worth nothing."""
    debits = unposted.filter(pl.col("debit") > 0)
    return debits.select(
        "currency",
        instrument=pl.lit(UNPOSTED_DEBIT),
        settlement_date=pl.lit(business_date),
        quantity=pl.lit(1, pl.Int64()),
        contract_value=pl.col("debit"),
        market_value=pl.lit(0.0),
    )


def _offset_ratio(due: pl.DataFrame, unposted: pl.DataFrame, prepayment: float, rates: pl.DataFrame) -> float:
    """Return what is paid or secured of today's payables, 0 to 1; 0 where nothing is payable."""
    payable = _total_hkd(due.filter(pl.col("contract_value") > 0), "contract_value", rates)
    secured = prepayment + _total_hkd(unposted, "credit", rates)
    return min(secured / payable, 1.0) if payable > 0 else 0.0


def _total_hkd(table: pl.DataFrame, column: str, rates: pl.DataFrame) -> float:
    per_currency = require_range(table.group_by("currency").agg(exact_sum(column)), [column])
    rated = per_currency.join(rates, on="currency", how="left")
    return math.fsum(rated[column] * rated["rate"])


def _kept_pnl(positions: pl.DataFrame, due: pl.Expr, ratio: float, rounding: Rounding) -> pl.DataFrame:
    """Profit and loss of the share of each position that is marked, rounded per position."""
    kept = pl.when(due & (pl.col("quantity") > 0)).then(1.0 - ratio).otherwise(1.0)
    pnl = (pl.col("market_value") - pl.col("contract_value")) * kept
    marked = positions.select("instrument", "currency", "settlement_date", kept=kept, pnl=pnl)
    return marked.with_columns(_rounded(marked["pnl"], rounding))


def _rounded(values: pl.Series, rounding: Rounding) -> pl.Series:
    return pl.Series(values.name, half_away(values.to_numpy())) if rounding == "guide" else values


def _mark(
    by_position: pl.DataFrame, rates: pl.DataFrame, rounding: Rounding, offset_ratio: float = 0.0
) -> MarkToMarket:
    """Net per currency, haircut against the participant, round, add."""
    require_range(by_position, ["pnl"])
    netted = by_position.group_by("currency").agg(exact_sum("pnl")).sort("currency")
    against = 1 - pl.col("pnl").sign() * pl.col("haircut")
    by_currency = netted.join(rates, on="currency", how="left", maintain_order="left").with_columns(
        pnl_hkd=pl.col("pnl") * pl.col("rate") * against
    )
    by_currency = require_range(by_currency, ["pnl_hkd"]).with_columns(
        _rounded(by_currency["pnl_hkd"], rounding)
    )
    total = math.fsum(by_currency["pnl_hkd"])
    return MarkToMarket(
        requirement=max(-total, 0.0) + 0.0,
        favourable=max(total, 0.0) + 0.0,
        by_currency=by_currency,
        by_position=by_position,
        offset_ratio=offset_ratio,
    )
