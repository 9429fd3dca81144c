"""HKEX's published implied volatilities of Hang Seng Index options, 24 to 26 April 2024.

The daily market report prints, beside each settlement price, an implied volatility in whole percent. That
is the integer part of the volatility at which Black's formula without discounting, on the settlement price
of the future, gives the settlement price, with the calendar days to the last trading day over 365 as time.
Prices are in whole points: below 20 of them the volatility of a series is not determined well enough to
ask for equality, and in the money the time value is what the rounding leaves of it. No tolerance.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from crossmargin.formats.market.hkex_files import read_hkex_settlements
from crossmargin.kernels.implied_volatility import VolatilityStatus, implied_volatilities
from crossmargin.models.market import make_market
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.models.revaluation.surface import option_pairs

DATA = Path(os.environ.get("CROSSMARGIN_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
OPTIONS = DATA / "hk_derivatives" / "hsi_options_settlement_2024-04-24_26.csv"
FUTURES = DATA / "hk_derivatives" / "hsi_futures_settlement_2024-04-24_26.csv"

pytestmark = pytest.mark.skipif(
    not (OPTIONS.is_file() and FUTURES.is_file()),
    reason="the settlement prices of April 2024 are not here: set CROSSMARGIN_TEST_DATA to the data folder",
)


@pytest.fixture(scope="module")
def series():
    futures = pl.read_csv(FUTURES, try_parse_dates=True).select(
        "trade_date", contract_month="ContractMonth", future="DAY_SettlementPrice"
    )
    options = pl.read_csv(OPTIONS, try_parse_dates=True).join(
        futures, on=["trade_date", "contract_month"], validate="m:1"
    )
    days = (pl.col("last_trading_day") - pl.col("trade_date")).dt.total_days()
    side = pl.when(pl.col("right") == "C").then(1.0).otherwise(-1.0)
    return options.with_columns(side=side, years=days / 365)


def inverted(series):
    names = ["side", "settlement", "future", "strike", "years"]
    columns = [series[name].cast(pl.Float64).to_numpy() for name in names]
    return implied_volatilities(*columns, np.zeros(len(series)))


def test_whole_percent_of_every_out_of_the_money_series_published(series):
    at_or_above = pl.col("strike") >= pl.col("future")  # at the future the call is taken
    chosen = series.filter(pl.col("settlement") >= 20, (pl.col("right") == "C") == at_or_above)
    volatilities, statuses = inverted(chosen)
    assert len(chosen) == 2533
    assert (statuses == VolatilityStatus.FOUND).all()
    assert int((np.floor(100 * volatilities) == chosen["iv_pct"].to_numpy()).sum()) == 2533


def test_every_settlement_price_has_a_volatility_or_a_reason_published(series):
    volatilities, statuses = inverted(series)
    found = statuses == VolatilityStatus.FOUND
    assert set(statuses[~found].tolist()) <= {
        VolatilityStatus.BELOW_INTRINSIC,
        VolatilityStatus.NO_TIME_VALUE,
    }
    assert (np.isnan(volatilities) == (statuses == VolatilityStatus.BELOW_INTRINSIC)).all()
    side, future, strike = (series[name].to_numpy() for name in ("side", "future", "strike"))
    assert (side * (future - strike) > 0)[~found].all()


def test_the_surface_of_a_market_read_from_the_reports_has_them_too_published(series):
    """From the two files through market, snapshot and pairs: the same 2,533 of 2,533."""
    contracts = read_hkex_settlements(futures=FUTURES, options=OPTIONS, underlying="HSI", multiplier=50.0)
    days = series["trade_date"].unique().sort()
    levels = {"date": days, "underlying": ["HSI"] * len(days), "close": [17000.0] * len(days)}
    index = {"underlying": ["HSI"], "kind": ["index"], "currency": ["HKD"]}
    market = make_market({**contracts, "underlyings": index, "prices": levels}, name="reports")
    equal = asked = 0
    for day in days:
        table = option_pairs(make_snapshot(market, day), RevaluationSettings()).table
        known = table.select("expiry", "strike", "volatility")
        at_or_above = pl.col("strike") >= pl.col("future")
        chosen = series.filter(
            pl.col("trade_date") == day, pl.col("settlement") >= 20, (pl.col("right") == "C") == at_or_above
        ).with_columns(pl.col("strike").cast(pl.Float64))
        both = chosen.join(known, left_on=["last_trading_day", "strike"], right_on=["expiry", "strike"])
        asked += len(both)
        equal += int((np.floor(100 * both["volatility"].to_numpy()) == both["iv_pct"].to_numpy()).sum())
    assert (equal, asked) == (2533, 2533)
