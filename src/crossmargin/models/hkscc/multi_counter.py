"""Bring the counters of one security, each in its own currency, together in its risk currency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.core.columns import require_columns, require_known, require_number, require_rates
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.hkscc.netting import net

if TYPE_CHECKING:
    from crossmargin.core.columns import FrameInput

__all__ = ["chinaclear_haircut", "combine_counters"]

COUNTER_POSITION_SCHEMA: Final[dict[str, pl.DataType]] = {
    "instrument": pl.String(),
    "currency": pl.String(),
    "trade_date": pl.Date(),
    "quantity": pl.Int64(),
    "amount": pl.Float64(),
}
COUNTER_SCHEMA: Final[dict[str, pl.DataType]] = {
    "counter": pl.String(),
    "instrument": pl.String(),
    "currency": pl.String(),
}

CHINACLEAR_INCREMENT: Final = 0.01
CHINACLEAR_HIGH_INCREMENT: Final = 0.012
CHINACLEAR_HIGH_BASE: Final = 0.0445


def combine_counters(positions: FrameInput, counters: FrameInput, rates: FrameInput) -> pl.DataFrame:
    """Add the counters of each instrument per trade date, in the instrument's risk currency.

    A counter's contract value is converted with a haircut h against the participant: a payable × (1 + h),
    a receivable × (1 − h). A counter that trades in the risk currency is taken as it is. With CNY 1 = HKD
    1.1 and h = 3%, −1,000 for −300,000 HKD and +2,500 for 675,000 CNY make +1,500 for 464,775 HKD. The guide
    converts into HKD; into another risk currency both haircuts apply here, one after the other.

    Parameters
    ----------
    positions : DataFrame, pandas frame or mapping
        ``instrument`` (counter), ``currency`` of the counter, ``trade_date``, ``quantity`` (+ long,
        − short), ``amount`` in that currency (+ payable, − receivable).
    counters : DataFrame, pandas frame or mapping
        ``counter``, its ``instrument`` and the instrument's risk ``currency``; one row per counter. A
        counter without a row is an instrument of its own in its own currency.
    rates : DataFrame, pandas frame or mapping
        ``currency``, ``rate`` (HKD for one unit) and ``haircut`` (a fraction).

    Returns
    -------
    DataFrame
        ``instrument``, ``currency`` (risk currency), ``trade_date``, ``quantity``, ``contract_value`` in
        the risk currency, sorted by the first three.

    Raises
    ------
    InputError
        If a table is bad, a currency has no rate, or an instrument is given two risk currencies.
    RangeError
        If a result goes beyond ±10^12.

    References
    ----------
    HKEX, HKSCC – VaR Platform, Initial Margin Calculation Guide, version 1.4, October 2025, §4.3 to §4.6.
    """
    positions = require_columns(positions, "positions", COUNTER_POSITION_SCHEMA)
    counters = _require_counters(counters)
    rates = require_rates(rates)
    require_known(positions["currency"], rates["currency"], "positions", "a currency of rates")
    require_known(counters["currency"], rates["currency"], "counters", "a currency of rates")
    per_counter = net(positions, ["instrument", "currency", "trade_date"], ["amount"])
    converted = _convert(_with_risk_currency(per_counter, counters), rates)
    return net(converted, ["instrument", "currency", "trade_date"], ["contract_value"])


def _require_counters(counters: FrameInput) -> pl.DataFrame:
    one_currency = pl.col("currency").n_unique().over("instrument") == 1
    rules = {"currency": (one_currency, "one risk currency for an instrument")}
    return require_columns(counters, "counters", COUNTER_SCHEMA, key=["counter"], rules=rules)


def _with_risk_currency(positions: pl.DataFrame, counters: pl.DataFrame) -> pl.DataFrame:
    """Exchange counter for instrument; adds ``risk_currency``."""
    names = {"counter": "instrument", "instrument": "combined", "currency": "risk_currency"}
    found = positions.join(counters.rename(names), on="instrument", how="left", maintain_order="left")
    return found.with_columns(
        instrument=pl.coalesce("combined", "instrument"),
        risk_currency=pl.coalesce("risk_currency", "currency"),
    )


def _convert(positions: pl.DataFrame, rates: pl.DataFrame) -> pl.DataFrame:
    """Turn ``amount`` into ``contract_value`` in the risk currency, haircut against the participant."""
    risk_rates = rates.select(pl.all().name.prefix("risk_"))
    rated = positions.join(rates, on="currency", how="left").join(risk_rates, on="risk_currency", how="left")
    side = pl.col("amount").sign()
    haircuts = (1 + side * pl.col("haircut")) * (1 + side * pl.col("risk_haircut"))
    factor = pl.col("rate") * haircuts / pl.col("risk_rate")
    same = pl.col("currency") == pl.col("risk_currency")
    return rated.with_columns(
        currency="risk_currency",
        contract_value=pl.when(same).then(pl.col("amount")).otherwise(pl.col("amount") * factor),
    )


def chinaclear_haircut(base: float, high_increment: float = CHINACLEAR_HIGH_INCREMENT) -> float:
    """Haircut on amounts of ChinaClear: the base haircut and a little more.

    Parameters
    ----------
    base : float
        Base haircut, a fraction: 0.03 is 3%.
    high_increment : float
        Added to a base of 4.45% or more, where the guide names only a minimum of 1.2%.

    Returns
    -------
    float
        ``base`` + 1% below 4.45%, else ``base`` + ``high_increment``. A fraction.

    Raises
    ------
    InputError
        If ``base`` is not from 0 to less than 1, or ``high_increment`` is below 1.2%.

    References
    ----------
    HKEX, HKSCC – VaR Platform, Initial Margin Calculation Guide, version 1.4, October 2025, §4.3 to §4.6.
    """
    base = require_number(base, "base")
    high_increment = require_number(high_increment, "high_increment")
    if base >= 1:
        raise InputError([BadRecord(file="base", line=0, field="", value=str(base), rule="less than 1")])
    if high_increment < CHINACLEAR_HIGH_INCREMENT:
        value = str(high_increment)
        raise InputError(
            [BadRecord(file="high_increment", line=0, field="", value=value, rule="at least 0.012")]
        )
    return base + (CHINACLEAR_INCREMENT if base < CHINACLEAR_HIGH_BASE else high_increment)
