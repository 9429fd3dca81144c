"""Price files and files of the exchange become tables of a market, or every bad record is told."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from crossmargin.errors import InputError
from crossmargin.formats.market.folder_reader import read_market
from crossmargin.formats.market.folder_writer import write_market
from crossmargin.formats.market.hkex_files import (
    OptionClass,
    read_hkex_board_lots,
    read_hkex_option_classes,
    read_hkex_settlements,
    read_hkex_stock_options,
)
from crossmargin.formats.market.price_files import read_price_file
from crossmargin.models.market import make_market

DATA = Path(os.environ.get("CROSSMARGIN_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
requires_real_data = pytest.mark.skipif(
    not (DATA / "hk_derivatives").is_dir(),
    reason="the exchange's files are not here: set CROSSMARGIN_TEST_DATA to the data folder",
)

PRICES = """\
Date,Open,High,Low,Close,Adj Close,Volume
2024-04-25,17200,17300,17100,17284.539062500123,17000.5,1e9
2024-04-26,null,null,null,17651.15,17366.25,null
"""
FUTURES = """\
trade_date,ContractMonth,last_trading_day,DAY_Volume,DAY_SettlementPrice
2024-04-25,APR-24,2024-04-29,1,17250
2024-04-26,APR-24,2024-04-29,1,17600
2024-04-26,MAY-24,2024-05-30,1,17500
"""
OPTIONS = """\
trade_date,contract_month,last_trading_day,right,strike,open,settlement,iv_pct
2024-04-26,APR-24,2024-04-29,C,12000,0,5600,0
2024-04-26,APR-24,2024-04-29,P,12000,0,0,40
2024-04-26,MAY-24,2024-05-30,P,17500.5,0,420,22
"""
STOCK_OPTIONS = """\
trade_date,class,rows_in_report,expiry,strike,right,settle
2022-06-28,TCH,464.0,JUN22,350.0,C,12.06
2022-06-28,TCH,464.0,SEP22,352.5,P,20.1
2022-06-28,HKB,464.0,odd,x,C,1
"""
CLASSES = """\
sehk_code,underlying,hkats_code,contract_size_shares,tier
700,Tencent Holdings Ltd.,TCH,100,1
00005,"HSBC, plc",HKB,400,1
"""
SECURITIES = """\
Stock Code,Name of Securities,Category,Board Lot,Par Value
00001,CKH HOLDINGS,Equity,500,HKD 1.0000
02800,"TRACKER, FUND",Exchange Traded Products,"1,500",
"""


def written(folder, content, name="file.csv") -> Path:
    path = folder / name
    path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content)
    return path


def refused(read, *args, **options) -> list[tuple[int, str, str]]:
    with pytest.raises(InputError) as caught:
        read(*args, **options)
    assert all(record.rule and record.file for record in caught.value.records)
    return [(record.line, record.field, record.value) for record in caught.value.records]


def parquet(folder, **columns) -> Path:
    path = folder / "prices.parquet"
    pl.DataFrame(columns).write_parquet(path)
    return path


# Prices.


def test_closes_of_one_underlying(tmp_path):
    path = written(tmp_path, PRICES)
    rows = [(date(2024, 4, 25), "HSI", 17284.539062500123), (date(2024, 4, 26), "HSI", 17651.15)]
    assert read_price_file(path, underlying="HSI").rows() == rows
    adjusted = read_price_file(path, underlying="HSI", column="Adj Close")
    assert adjusted["close"].to_list() == [17000.5, 17366.25]


def test_every_bad_price_and_day_is_told(tmp_path):
    bad = "2024-04-29,,,,0,1,\n2024-04-26,,,,null,1,\n2024-04-25,,,,1,1,\n24 April,,,,1,1,\n2024-04-30,1\n"
    path = written(tmp_path, PRICES + bad)
    assert refused(read_price_file, path, underlying="HSI") == [
        (4, "Close", "0"),
        (5, "Close", "null"),
        (7, "Date", "24 April"),
        (8, "", "2024-04-30,1"),
    ]
    path = written(tmp_path, PRICES + "2024-04-25,,,,1,1,\n1826-04-25,,,,1,1,\n")
    assert refused(read_price_file, path, underlying="HSI") == [
        (4, "Date", "2024-04-25"),
        (5, "Date", "1826-04-25"),
    ]
    assert refused(read_price_file, path, underlying="HSI", column="Last") == [(1, "column", "Last")]


def test_it_is_said_whose_prices_they_are(tmp_path):
    path = written(tmp_path, PRICES)
    assert refused(read_price_file, path) == [(0, "ticker", "neither")]
    many = written(tmp_path, "ticker,Date,Close\n0700.HK,2024-04-25,340\n0005.HK,2024-04-25,64\n", "many.csv")
    assert refused(read_price_file, many, underlying="700") == [(0, "ticker", "both")]
    assert read_price_file(many)["underlying"].to_list() == ["0005.HK", "0700.HK"]
    assert read_price_file(many, names={"0700.HK": "700"}).rows() == [(date(2024, 4, 25), "700", 340.0)]
    assert refused(read_price_file, many, names={"0700.HK": "700", "9.HK": "9"}) == [(0, "ticker", "9.HK")]


def test_two_tickers_of_one_underlying_are_one_series(tmp_path):
    path = written(tmp_path, "ticker,Date,Close\nA,2024-04-25,340\nB,2024-04-25,64\n")
    assert refused(read_price_file, path, names={"A": "X", "B": "X"}) == [(3, "Date", "2024-04-25")]


def test_single_precision_is_the_decimal_it_stands_for(tmp_path):
    closes = np.array([70.042397, 0.1, 24.847147], np.float32)
    days = [date(2024, 4, 24), date(2024, 4, 25), date(2024, 4, 26)]
    path = parquet(tmp_path, ticker=["A"] * 3, Date=pl.Series(days).cast(pl.Datetime("us")), Close=closes)
    read = read_price_file(path)["close"]
    assert read.to_list() == [70.0424, 0.1, 24.847147]
    assert np.array_equal(read.to_numpy().astype(np.float32), closes)


def test_every_bad_row_of_a_parquet_file_is_told(tmp_path):
    path = parquet(tmp_path, Date=[date(2024, 4, 26), None], Close=[float("nan"), -1.0])
    assert refused(read_price_file, path, underlying="A") == [
        (1, "Close", "nan"),
        (2, "Close", "-1.0"),
        (2, "Date", "null"),
    ]
    assert refused(read_price_file, written(tmp_path, b"PAR", "x.parquet"), underlying="A") == [
        (0, "", "x.parquet")
    ]
    path = parquet(tmp_path, Date=["2024-04-26"], Last=[1.0])
    assert {field for _, field, _ in refused(read_price_file, path, underlying="A")} == {"Date", "Close"}


def test_a_quote_left_open_is_no_csv(tmp_path):
    path = written(tmp_path, PRICES + '"2024-04-29,1,1,1,1,1,1\n')
    ((line, field, _),) = refused(read_price_file, path, underlying="HSI")
    assert (line, field) == (4, "")


# The exchange's settlement prices.


def test_settlement_prices_become_instruments_and_marks(tmp_path):
    tables = read_hkex_settlements(
        futures=written(tmp_path, FUTURES, "f.csv"),
        options=written(tmp_path, OPTIONS, "o.csv"),
        underlying="HSI",
        multiplier=50.0,
    )
    underlyings = {"underlying": ["HSI"], "kind": ["index"], "currency": ["HKD"]}
    market = make_market({"underlyings": underlyings, **tables}, name="HSI")
    terms = market["instruments"].select("instrument", "kind", "expiry", "right", "strike", "style")
    april, may = date(2024, 4, 29), date(2024, 5, 30)
    assert terms.rows() == [
        ("HSI.C.12000.2024-04", "option", april, "C", 12000.0, "european"),
        ("HSI.F.2024-04", "future", april, None, None, None),
        ("HSI.F.2024-05", "future", may, None, None, None),
        ("HSI.P.12000.2024-04", "option", april, "P", 12000.0, "european"),
        ("HSI.P.17500.5.2024-05", "option", may, "P", 17500.5, "european"),
    ]
    assert set(market["instruments"].select("house", "multiplier", "settlement").rows()) == {
        ("HKCC", 50.0, "average")
    }
    marks = {(row[1], row[0].day): row[2] for row in market["marks"].rows()}
    assert marks["HSI.F.2024-04", 25] == 17250
    assert marks["HSI.P.12000.2024-04", 26] == 0
    assert len(marks) == 6


def test_every_bad_record_of_both_files_is_told(tmp_path):
    futures = FUTURES + "2024-04-26,APRIL,2024-04-29,1,17500\n2024-04-26,JUN-24,2024-06-27,1,0\n"
    options = OPTIONS + "2024-04-26,APR-24,2024-04-29,X,12000,0,1,0\n"
    options_path = written(tmp_path, options, "o.csv")
    given = {"underlying": "HSI", "multiplier": 50.0, "options": options_path}
    assert refused(read_hkex_settlements, futures=written(tmp_path, futures, "f.csv"), **given) == [
        (6, "DAY_SettlementPrice", "0"),
        (5, "right", "X"),
    ]
    assert refused(
        read_hkex_settlements, futures=written(tmp_path, futures.replace(",0\n", ",1\n"), "f.csv"), **given
    ) == [(5, "ContractMonth", "APRIL"), (5, "right", "X")]


def test_a_series_stands_once_a_day_and_ends_on_one_day(tmp_path):
    futures = FUTURES + "2024-04-25,APR-24,2024-04-29,1,17250\n2024-04-25,MAY-24,2024-05-31,1,17250\n"
    assert refused(
        read_hkex_settlements, futures=written(tmp_path, futures), underlying="HSI", multiplier=50.0
    ) == [(5, "series", "HSI.F.2024-04"), (6, "last_trading_day", "2024-05-31")]


def test_stock_options_of_the_classes_asked_for(tmp_path):
    classes = read_hkex_option_classes(written(tmp_path, CLASSES, "classes.csv"))
    assert classes == {"TCH": OptionClass("700", 100.0), "HKB": OptionClass("5", 400.0)}
    some = "".join(STOCK_OPTIONS.splitlines(keepends=True)[:3]) + "2022-06-28,HKB,1,JUN22,50,C,1.5\n"
    tables = read_hkex_stock_options(written(tmp_path, some), {name: classes[name] for name in ("TCH",)})
    assert tables["instruments"].select(
        "instrument", "underlying", "multiplier", "expiry", "strike", "house", "style"
    ).rows() == [
        ("TCH.C.350.2022-06", "700", 100.0, date(2022, 6, 29), 350.0, "SEOCH", "american"),
        ("TCH.P.352.5.2022-09", "700", 100.0, date(2022, 9, 29), 352.5, "SEOCH", "american"),
    ]
    assert tables["marks"]["price"].to_list() == [12.06, 20.1]


def test_bad_stock_options_are_told(tmp_path):
    path = written(tmp_path, STOCK_OPTIONS)
    classes = {"HKB": OptionClass("5", 400.0), "XYZ": OptionClass("9", 1.0)}
    assert refused(read_hkex_stock_options, path, classes) == [(4, "strike", "x")]
    path = written(tmp_path, STOCK_OPTIONS.replace("odd,x", "odd,1"))
    assert refused(read_hkex_stock_options, path, classes) == [(0, "class", "XYZ"), (4, "expiry", "odd")]


def test_bad_option_classes_are_told(tmp_path):
    assert refused(read_hkex_option_classes, written(tmp_path, CLASSES + "9,Nine,TCH,1,1\n")) == [
        (4, "hkats_code", "TCH")
    ]
    assert refused(read_hkex_option_classes, written(tmp_path, CLASSES + "0,Nil,NIL,1.5,1\n")) == [
        (4, "contract_size_shares", "1.5"),
        (4, "sehk_code", "0"),
    ]


def test_board_lots(tmp_path):
    assert read_hkex_board_lots(written(tmp_path, SECURITIES)).rows() == [
        ("1", "CKH HOLDINGS", "Equity", 500),
        ("2800", "TRACKER, FUND", "Exchange Traded Products", 1500),
    ]
    bad = '00001,AGAIN,Equity,"1,00",\nABC,NO CODE,Equity,0,\n'
    assert refused(read_hkex_board_lots, written(tmp_path, SECURITIES + bad)) == [
        (4, "Board Lot", "1,00"),
        (4, "Stock Code", "00001"),
        (5, "Board Lot", "0"),
        (5, "Stock Code", "ABC"),
    ]


# Real files.


@requires_real_data
def test_the_real_index_series_make_a_market_that_survives_a_folder(tmp_path):
    folder = DATA / "hk_derivatives"
    tables = read_hkex_settlements(
        futures=folder / "hsi_futures_settlement_2024-04-24_26.csv",
        options=folder / "hsi_options_settlement_2024-04-24_26.csv",
        underlying="HSI",
        multiplier=50.0,
    )
    prices = read_price_file(DATA / "hk_index" / "hsi_ohlc_1986_2024-08-02.csv", underlying="HSI")
    underlyings = {"underlying": ["HSI"], "kind": ["index"], "currency": ["HKD"]}
    market = make_market({"underlyings": underlyings, "prices": prices, **tables}, name="HSI, April 2024")
    assert (len(market["marks"]), len(market["prices"])) == (39 + 6_938, 9_279)
    call = market["marks"].filter(instrument="HSI.C.12000.2024-04", date=date(2024, 4, 24))
    assert call["price"].to_list() == [5250.0]
    write_market(market, tmp_path / "m", histories="csv")
    assert read_market(tmp_path / "m").content_hash == market.content_hash


@requires_real_data
def test_the_real_stock_options_are_read():
    classes = read_hkex_option_classes(DATA / "hk_ref" / "stock_option_classes_2024-11-04_partial.csv")
    file = DATA / "hk_derivatives" / "stock_options_extract_2022-06-28.csv"
    listed = set(pl.read_csv(file)["class"])
    tables = read_hkex_stock_options(file, {name: classes[name] for name in classes if name in listed})
    assert len(tables["instruments"]) == len(tables["marks"]) == 90
    assert tables["instruments"]["multiplier"].min() >= 100


@requires_real_data
def test_the_real_price_files_are_read():
    names = {"0700.HK": "700", "0005.HK": "5"}
    prices = read_price_file(DATA / "hk_stocks" / "yahoo_fully_adjusted_2009_2024.parquet", names=names)
    assert prices["underlying"].unique().sort().to_list() == ["5", "700"]
    assert len(prices) == 7_890
    lots = read_hkex_board_lots(DATA / "hk_ref" / "hkex_list_of_securities_2022-10-18.csv")
    assert len(lots) == 2_883
    assert lots.filter(stock="700")["board_lot"].to_list() == [100]
