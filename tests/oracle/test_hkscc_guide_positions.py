"""Worked examples of HKEX, *HKSCC – VaR Platform, Initial Margin Calculation Guide*, v1.4, §4.3 to §4.6.

The guide prints whole shares and whole dollars: quantities must agree exactly, amounts to a millionth of a
dollar, which is far below the printed digit and far above the error of a few float64 products.
"""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from crossmargin.models.hkscc.collateral_cover import cover_with_specific_cash, cover_with_specific_stock
from crossmargin.models.hkscc.corporate_actions import apply_corporate_actions
from crossmargin.models.hkscc.marginable_positions import marginable_positions
from crossmargin.models.hkscc.multi_counter import chinaclear_haircut, combine_counters
from crossmargin.models.hkscc.netting import net_across_days

RATES = {"currency": ["CNY"], "rate": [1.1], "haircut": [0.03]}
DOLLAR_MILLIONTH = 1e-6

BUSINESS_DATE = date(2019, 11, 5)
NEXT_DAY = date(2019, 11, 6)
LATER = date(2019, 11, 7)


def table(header, *rows):
    names = header.split()
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def shown(frame, *columns):
    """Rows as the guide prints them: amounts to the nearest dollar, after checking that they are that near."""
    rows = frame.select(columns).rows()
    for row in rows:
        for value in row:
            assert not isinstance(value, float) or value == pytest.approx(round(value), abs=DOLLAR_MILLIONTH)
    return {tuple(round(value) if isinstance(value, float) else value for value in row) for row in rows}


SETTLEMENT = "instrument settlement_counter currency trade_date settlement_date quantity amount"


def test_4_3_specific_stock():
    positions = table(
        SETTLEMENT,
        ("5", "5", "HKD", date(2019, 11, 4), NEXT_DAY, -4000, -240_000.0),
        ("388", "388", "HKD", date(2019, 11, 1), BUSINESS_DATE, -1500, -360_000.0),
        ("700", "700", "HKD", date(2019, 11, 4), NEXT_DAY, -1000, -300_000.0),
        ("80700", "700", "CNY", date(2019, 11, 4), NEXT_DAY, -10, 2_700.0),
        ("941", "941", "HKD", date(2019, 11, 4), NEXT_DAY, -1000, -65_000.0),
        ("80941", "941", "CNY", date(2019, 11, 4), NEXT_DAY, -1000, -60_000.0),
        ("2828", "2828", "HKD", date(2019, 11, 5), LATER, -2000, -120_000.0),
    )
    pledges = table(
        "settlement_counter settlement_date quantity",
        ("5", NEXT_DAY, 1500),
        ("388", BUSINESS_DATE, 1500),
        ("700", NEXT_DAY, 1500),
        ("941", NEXT_DAY, 1500),
        ("2828", LATER, 1500),
    )
    left = cover_with_specific_stock(positions, pledges, BUSINESS_DATE, RATES)
    assert shown(left, "instrument", "quantity", "amount") == {
        ("5", -2500, -150_000),
        ("388", -1500, -360_000),
        ("700", 0, 0),
        ("80700", 0, 0),
        ("941", -500, -32_500),
        ("80941", 0, 0),
        ("2828", -500, -30_000),
    }


def test_4_3_specific_stock_half_day():
    """Two trade dates share a settlement date; the guide gives these amounts in HKD equivalent."""
    first, second, due = date(2019, 12, 23), date(2019, 12, 24), date(2019, 12, 27)
    positions = table(
        SETTLEMENT,
        ("5", "5", "HKD", first, due, -4000, -240_000.0),
        ("5", "5", "HKD", second, due, 2000, 126_000.0),
        ("700", "700", "HKD", first, due, -1000, -330_000.0),
        ("80700", "700", "CNY", second, due, -2000, -720_000.0),
    )
    pledges = table("settlement_counter settlement_date quantity", ("5", due, 2500), ("700", due, 2500))
    rates = {"currency": ["CNY"], "rate": [1.0], "haircut": [0.03]}
    left = cover_with_specific_stock(positions, pledges, date(2019, 12, 24), rates)
    assert shown(left, "instrument", "quantity", "amount") == {
        ("5", -1500, -90_000),
        ("5", 2000, 126_000),
        ("700", -500, -165_000),
        ("80700", 0, 0),
    }


def test_4_3_specific_cash():
    first, second = date(2019, 11, 4), date(2019, 11, 5)
    positions = table(
        SETTLEMENT,
        ("5", "5", "HKD", first, NEXT_DAY, 4000, 240_000.0),
        ("388", "388", "HKD", date(2019, 11, 1), BUSINESS_DATE, 1500, 360_000.0),
        ("700", "700", "HKD", first, NEXT_DAY, 100, 30_000.0),
        ("5", "5", "HKD", second, LATER, 2000, 180_000.0),
    )
    pledges = table(
        "settlement_counter currency trade_date amount",
        ("5", "HKD", first, 60_000),
        ("388", "HKD", date(2019, 11, 1), 60_000),
        ("700", "HKD", first, 60_000),
        ("5", "HKD", second, 60_000),
    )
    left = cover_with_specific_cash(positions, pledges, BUSINESS_DATE)
    assert shown(left, "instrument", "trade_date", "quantity", "amount") == {
        ("5", first, 3000, 180_000),
        ("388", date(2019, 11, 1), 1500, 360_000),
        ("700", first, 0, 0),
        ("5", second, 1334, 120_000),
    }


DAY = date(2019, 11, 5)
MULTI_COUNTER = table(
    "instrument currency trade_date quantity amount",
    ("388", "HKD", DAY, -1000, -300_000.0),
    ("80388", "CNY", DAY, 2500, 675_000.0),
    ("700", "HKD", DAY, 500, 150_000.0),
    ("80700", "CNY", DAY, -1000, -270_000.0),
)
COUNTERS = table(
    "counter instrument currency",
    ("388", "388", "HKD"),
    ("80388", "388", "HKD"),
    ("700", "700", "HKD"),
    ("80700", "700", "HKD"),
)


def test_4_4_multi_counter_securities():
    combined = combine_counters(MULTI_COUNTER, COUNTERS, RATES)
    assert shown(combined, "instrument", "currency", "trade_date", "quantity", "contract_value") == {
        ("388", "HKD", DAY, 1500, 464_775),
        ("700", "HKD", DAY, -500, -138_090),
    }


@pytest.mark.parametrize(("base", "haircut"), [(0.03, 0.04), (0.0444, 0.0544), (0.0445, 0.0565)])
def test_4_4_chinaclear_haircut(base, haircut):
    assert chinaclear_haircut(base) == pytest.approx(haircut, abs=1e-15)


EX_DATE = date(2019, 11, 5)
BEFORE = date(2019, 11, 4)


def adjustment(instrument="5", ex_date=EX_DATE, **given):
    row = {
        "business_date": ex_date,
        "ex_date": ex_date,
        "market": "HK",
        "instrument": instrument,
        "converted_instrument": None,
        "quantity_conversion_ratio": None,
        "cash_dividend_instrument": None,
        "cash_dividend_amount": None,
        "stock_dividend_instrument": None,
        "entitled_stock_quantity": None,
        "rights_instrument": None,
        "rights_quantity": None,
    }
    return row | given


def adjusted(positions, *rows):
    adjustments = {name: [row[name] for row in rows] for name in rows[0]}
    columns = "instrument currency trade_date quantity contract_value"
    given = table(columns, *[(code, "HKD", day, quantity, value) for code, day, quantity, value in positions])
    return shown(
        apply_corporate_actions(given, adjustments), "instrument", "trade_date", "quantity", "contract_value"
    )


SPLIT = {"quantity_conversion_ratio": 2.0}
CASH_DIVIDEND = {"cash_dividend_instrument": "DIV5", "cash_dividend_amount": -0.78}
STOCK_DIVIDEND = {"stock_dividend_instrument": "DSP5", "entitled_stock_quantity": 0.13}
RIGHTS = {"rights_instrument": "SRI5", "rights_quantity": 1.5}


@pytest.mark.parametrize(
    ("action", "after"),
    [
        (SPLIT, {("5", BEFORE, 800, 24_000)}),
        (CASH_DIVIDEND, {("5", BEFORE, 400, 24_000), ("DIV5", BEFORE, 0, -312)}),
        (STOCK_DIVIDEND, {("5", BEFORE, 400, 24_000), ("DSP5", BEFORE, 52, 0)}),
        (RIGHTS, {("5", BEFORE, 400, 24_000), ("SRI5", BEFORE, 600, 0)}),
    ],
    ids=["split", "cash dividend", "stock dividend", "rights"],
)
def test_4_5_one_corporate_action(action, after):
    assert adjusted([("5", BEFORE, 400, 24_000.0)], adjustment(**action)) == after


def test_4_5_conversion():
    conversion = adjustment("8359", converted_instrument="150", quantity_conversion_ratio=1.0)
    assert adjusted([("8359", BEFORE, 400, 24_000.0)], conversion) == {("150", BEFORE, 400, 24_000)}


def test_4_5_all_together():
    everything = adjustment(**SPLIT, **CASH_DIVIDEND, **STOCK_DIVIDEND, **RIGHTS)
    assert adjusted([("5", BEFORE, 400, 24_000.0), ("5", EX_DATE, -600, -20_000.0)], everything) == {
        ("5", BEFORE, 800, 24_000),
        ("DIV5", BEFORE, 0, -312),
        ("DSP5", BEFORE, 52, 0),
        ("SRI5", BEFORE, 600, 0),
        ("5", EX_DATE, -600, -20_000),
    }


def test_4_5_ex_dates_in_turn():
    """The second ex-date starts from what the first one left: 400 × 2 = 800, and 0.13 of these is 104."""
    positions = [("5", BEFORE, 400, 24_000.0), ("5", EX_DATE, -600, -20_000.0)]
    split, dividend = adjustment(**SPLIT), adjustment(ex_date=date(2019, 11, 6), **STOCK_DIVIDEND)
    assert adjusted(positions, dividend, split) == {
        ("5", BEFORE, 800, 24_000),
        ("DSP5", BEFORE, 104, 0),
        ("5", EX_DATE, -600, -20_000),
        ("DSP5", EX_DATE, -78, 0),
    }


@pytest.mark.parametrize(("quantity", "after"), [(401, 200), (-401, -200)])
def test_4_5_fractions_go_toward_zero(quantity, after):
    halved = adjusted([("5", BEFORE, quantity, 1.0)], adjustment(quantity_conversion_ratio=0.5))
    assert halved == {("5", BEFORE, after, 1)}


def test_4_6_netting_across_days():
    positions = table(
        "instrument currency quantity contract_value",
        ("5", "HKD", 400, 24_000.0),
        ("5", "HKD", -800, -49_600.0),
        ("5", "HKD", 1200, 73_200.0),
    )
    netted = net_across_days(positions, {"instrument": ["5"], "price": [70.0]})
    assert shown(netted, "instrument", "quantity", "contract_value", "market_value") == {
        ("5", 800, 47_600, 56_000)
    }


def test_4_3_to_4_6_every_step_in_the_order_of_the_guide():
    """The step examples chained. 80388: a pledge of 1,000 covers 1,000 of a short of 2,000 for 540,000 CNY.

    Left: −1,000 for −270,000 CNY = −288,090 HKD (CNY 1 = HKD 1.1, 3% off a receivable), with 500 for 150,000
    HKD: −500 for −138,090. A split by two makes −1,000; the covered long of 5 leaves no row at all.
    """
    positions = table(
        SETTLEMENT,
        ("80388", "388", "CNY", BEFORE, NEXT_DAY, -2000, -540_000.0),
        ("388", "388", "HKD", BEFORE, NEXT_DAY, 500, 150_000.0),
        ("5", "5", "HKD", BEFORE, NEXT_DAY, 100, 30_000.0),
    )
    split = adjustment("388", **SPLIT)
    net = marginable_positions(
        positions,
        business_date=BUSINESS_DATE,
        stock_pledges=table("settlement_counter settlement_date quantity", ("388", NEXT_DAY, 1000)),
        cash_pledges=table("settlement_counter currency trade_date amount", ("5", "HKD", BEFORE, 60_000.0)),
        counters=COUNTERS,
        rates=RATES,
        adjustments=pl.DataFrame([split]),
        prices={"instrument": ["388"], "price": [140.0]},
    )
    columns = ("instrument", "quantity", "contract_value", "market_value", "currency", "contract_value_risk")
    assert shown(net, *columns) == {("388", -1000, -138_090, -140_000, "HKD", -138_090)}
