"""A market of real Hong Kong prices, from the developers' data where it is there.

Stocks come from one of two files, both of Yahoo and adjusted for splits and dividends: the file that ends
in July 2020 goes back to 2000, the one from 2009 goes on to 2024. Indices are the levels published; the
H-share index ends in November 2023, the Tracker Fund (2800) in April 2020.
"""

from __future__ import annotations

import os
from datetime import date
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from crossmargin.models.market import make_market

DATA = Path(os.environ.get("CROSSMARGIN_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")

OLD_STOCKS = "hk_stocks/yahoo_ohlc_and_adj_2000_2020-07.parquet"
NEW_STOCKS = "hk_stocks/yahoo_fully_adjusted_2009_2024.parquet"
TRACKER_FUND = "hk_etf/2800HK_ohlc_and_adj_2007-12-31_2020-04-21.csv"
OLD_STOCKS_END = date(2020, 7, 1)

INDICES = {"HSI": "hk_index/hsi_open_close_1986_2024.csv", "HSCEI": "hk_index/hscei_ohlc_2003_2023-11-08.csv"}

requires_real_data = pytest.mark.skipif(
    not (DATA / OLD_STOCKS).is_file(),
    reason="no real data: set CROSSMARGIN_TEST_DATA to the folder with hk_stocks/ and hk_index/",
)


@cache
def stock_prices(file: str) -> pl.DataFrame:
    """Fully adjusted closes as ``date``, ``underlying``, ``close``."""
    table = pl.read_parquet(DATA / file)
    close = "Adj Close" if "Adj Close" in table.columns else "Close"
    return table.select(
        pl.col("Date").cast(pl.Date).alias("date"),
        pl.col("ticker").alias("underlying"),
        pl.col(close).cast(pl.Float64).alias("close"),
    )


@cache
def index_levels() -> pl.DataFrame:
    """Closing levels of the indices, in the same columns."""
    tables = [
        pl.read_csv(DATA / file, try_parse_dates=True).select(
            pl.col("Date").alias("date"), pl.lit(name).alias("underlying"), pl.col("Close").alias("close")
        )
        for name, file in INDICES.items()
    ]
    return pl.concat(tables)


@cache
def tracker_fund() -> pl.DataFrame:
    """Fully adjusted closes of 2800.HK, in the same columns."""
    table = pl.read_csv(DATA / TRACKER_FUND, try_parse_dates=True)
    return table.select(
        pl.col("Date").alias("date"),
        pl.lit("2800.HK").alias("underlying"),
        pl.col("Adj Close").cast(pl.Float64).alias("close"),
    )


@cache
def real_market(as_of: date, *, proxy: str | None = "HSI", since: date | None = None):
    """Return the market known on a day: every stock of the file that covers it, HSI, HSCEI and, in the
    older file's time, the Tracker Fund.

    ``proxy`` fills the days before a stock's first price; ``since`` leaves out prices before it. There is
    one instrument at HKSCC for each stock and fund, by its exchange code (700 for 0700.HK).
    """
    old = as_of < OLD_STOCKS_END
    stocks = stock_prices(OLD_STOCKS if old else NEW_STOCKS)
    prices = pl.concat([stocks, index_levels(), *([tracker_fund()] if old else [])]).filter(
        pl.col("date") <= as_of
    )
    if since:
        prices = prices.filter(pl.col("date") >= since)
    names = prices["underlying"].unique().sort()
    is_index = names.is_in([*INDICES])
    underlyings = pl.DataFrame({"underlying": names}).with_columns(
        kind=names.replace_strict({**dict.fromkeys(INDICES, "index"), "2800.HK": "etf"}, default="stock"),
        currency=pl.lit("HKD"),
        adjustment=names.replace_strict(dict.fromkeys(INDICES, "none"), default="total"),
        proxy=pl.when(pl.col("underlying") != (proxy or "")).then(pl.lit(proxy, pl.String)),
    )
    shares = names.filter(~is_index)
    instruments = pl.DataFrame(
        {
            "instrument": shares.str.strip_suffix(".HK").str.strip_chars_start("0"),
            "underlying": shares,
        }
    ).with_columns(
        house=pl.lit("HKSCC"),
        kind=shares.replace_strict({"2800.HK": "etf"}, default="equity"),
        currency=pl.lit("HKD"),
    )
    return make_market(
        {"underlyings": underlyings, "prices": prices, "instruments": instruments},
        name=f"Hong Kong, {as_of.isoformat()}",
        data_note="Prices of Yahoo, adjusted; for tests only.",
    )
