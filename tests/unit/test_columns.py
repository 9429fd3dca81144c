"""What the HKSCC tables refuse, and how they say so."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

from crossmargin.core.columns import (
    NUMBER_LIMIT,
    require_choice,
    require_columns,
    require_date,
    require_number,
    require_rates,
)
from crossmargin.errors import InputError, RangeError
from crossmargin.models.hkscc.collateral_cover import cover_with_specific_cash, cover_with_specific_stock
from crossmargin.models.hkscc.corporate_actions import ADJUSTMENT_SCHEMA, apply_corporate_actions
from crossmargin.models.hkscc.mark_to_market import intraday_mark, mark_to_market
from crossmargin.models.hkscc.multi_counter import chinaclear_haircut, combine_counters
from crossmargin.models.hkscc.netting import net_across_days

SCHEMA = {"code": pl.String(), "day": pl.Date(), "quantity": pl.Int64(), "amount": pl.Float64()}
DAY = date(2019, 11, 5)
GOOD = {"code": ["5", "700"], "day": [DAY, DAY], "quantity": [1, 2], "amount": [1.5, 2.5]}
EXPECTED = pl.DataFrame(GOOD, schema=SCHEMA)


def refused(call):
    with pytest.raises(InputError) as caught:
        call()
    return {(record.file, record.line, record.field, record.value) for record in caught.value.records}


def refused_columns(frame, **more):
    return refused(lambda: require_columns(frame, "positions", SCHEMA, **more))


@pytest.mark.parametrize(
    "frame",
    [
        GOOD,
        EXPECTED,
        EXPECTED.with_columns(pl.col("code").cast(pl.Categorical), extra=pl.lit(1)),
        GOOD | {"quantity": [1.0, 2.0], "amount": [Decimal("1.5"), Decimal("2.5")]},
        GOOD | {"quantity": np.array([1, 2], np.uint8), "amount": np.array([1.5, 2.5], np.float32)},
        GOOD | {"quantity": [1, 2.0], "day": [DAY, datetime(2019, 11, 5)]},  # noqa: DTZ001
        pd.DataFrame(GOOD),
        pd.DataFrame(GOOD).astype({"day": "datetime64[s]", "code": "category"}),
        pd.DataFrame(GOOD).astype({"code": object, "quantity": "Int64", "amount": "Float64"}),
        pd.DataFrame(GOOD, index=[7, 3]),
    ],
    ids=[
        "mapping",
        "polars",
        "categorical",
        "decimals",
        "arrays",
        "mixed",
        "pandas",
        "pandas dates",
        "pandas nullable",
        "pandas index",
    ],
)
def test_what_is_admitted_is_the_same_table(frame):
    assert require_columns(frame, "positions", SCHEMA).equals(EXPECTED)


@pytest.mark.parametrize("frame", [{name: [] for name in SCHEMA}, pd.DataFrame(columns=list(SCHEMA))])
def test_an_empty_table_has_the_types_too(frame):
    assert require_columns(frame, "positions", SCHEMA).schema == SCHEMA


def test_every_bad_value_is_listed():
    frame = {
        "code": ["5", "", " 5", None, "5"],
        "day": [DAY, None, DAY, DAY, DAY],
        "quantity": [1, None, 3, 10**12 + 1, -(10**30)],
        "amount": [float("nan"), float("inf"), None, 1.1e12, -(10.0**300)],
    }
    assert refused_columns(frame) == {
        ("positions", 2, "code", ""),
        ("positions", 3, "code", " 5"),
        ("positions", 4, "code", "null"),
        ("positions", 2, "day", "null"),
        ("positions", 2, "quantity", "null"),
        ("positions", 4, "quantity", str(10**12 + 1)),
        ("positions", 5, "quantity", str(-(10**30))),
        ("positions", 1, "amount", "nan"),
        ("positions", 2, "amount", "inf"),
        ("positions", 3, "amount", "null"),
        ("positions", 4, "amount", "1100000000000.0"),
        ("positions", 5, "amount", "-1e+300"),
    }


@pytest.mark.parametrize(
    ("column", "values", "line", "value"),
    [
        ("quantity", [1.5, 2], 1, "1.5"),
        ("quantity", [10**400, 1], 1, str(10**400)),
        ("quantity", [1, "2"], 2, "2"),
        ("quantity", ["1", "2"], 0, "type String"),
        ("quantity", [True, False], 0, "type Boolean"),
        ("amount", [object, 1.0], 1, "<class 'object'>"),
        ("code", [5, 700], 0, "type Int64"),
        ("code", ["5", 700], 2, "700"),
        ("day", ["2019-11-05", "2019-11-05"], 0, "type String"),
        ("day", [DAY, datetime(2019, 11, 5, 9)], 2, "2019-11-05 09:00:00"),  # noqa: DTZ001
        ("amount", [[1.0], [2.0]], 0, "type List(Float64)"),
        ("amount", [1.0, Decimal("NaN")], 2, "NaN"),
        ("amount", [Decimal("sNaN"), 1], 1, "sNaN"),
        ("amount", [1.0, 2j], 2, "2j"),
    ],
)
def test_one_bad_column(column, values, line, value):
    assert refused_columns(GOOD | {column: values}) == {("positions", line, column, value)}


def test_pandas_missing_values_are_nulls():
    frame = pd.DataFrame(
        GOOD | {"amount": [1.5, None], "code": ["5", None], "day": [None, pd.Timestamp(DAY)]}
    )
    assert refused_columns(frame) == {
        ("positions", 2, "amount", "null"),
        ("positions", 2, "code", "null"),
        ("positions", 1, "day", "null"),
    }
    admitted = require_columns(frame, "positions", SCHEMA, nullable=["amount", "code", "day"])
    assert admitted.null_count().row(0) == (1, 1, 0, 1)


def test_missing_columns_are_listed_with_the_bad_values():
    assert refused_columns({"code": ["5"], "quantity": [1.5]}) == {
        ("positions", 0, "day", "absent or repeated"),
        ("positions", 0, "amount", "absent or repeated"),
        ("positions", 1, "quantity", "1.5"),
    }


def test_a_default_fills_an_absent_column_only():
    without = {name: values for name, values in GOOD.items() if name != "code"}
    filled = require_columns(without, "positions", SCHEMA, defaults={"code": "5"})
    assert filled["code"].to_list() == ["5", "5"]
    assert require_columns(GOOD, "positions", SCHEMA, defaults={"code": "5"}).equals(EXPECTED)


@pytest.mark.parametrize("frame", [None, 5, "positions", [1, 2], EXPECTED.lazy()])
def test_what_is_no_table(frame):
    assert refused_columns(frame) == {("positions", 0, "", type(frame).__name__)}


def test_a_lone_value_is_a_column_of_one_row():
    one = require_columns({"code": "5", "day": DAY, "quantity": 1, "amount": 1.5}, "positions", SCHEMA)
    assert one.equals(EXPECTED[:1])


def test_nulls_among_mixed_values_of_a_nullable_column():
    mixed = GOOD | {"code": ["5", "5"], "amount": [None, 2.5], "day": [None, datetime(2019, 11, 5)]}  # noqa: DTZ001
    mixed = {name: [*values, values[0]] for name, values in mixed.items()} | {"quantity": [None, 1, 2.0]}
    admitted = require_columns(mixed, "positions", SCHEMA, nullable=["day", "quantity", "amount"])
    assert admitted.null_count().row(0) == (0, 2, 1, 2)
    assert ("positions", 1, "quantity", "null") in refused_columns(mixed)


def test_columns_of_unequal_length():
    assert refused_columns(GOOD | {"code": ["5"]}) == {
        ("positions", 0, "", "code 1, day 2, quantity 2, amount 2")
    }


def test_keys_and_rules():
    frame = {"code": ["5", "5", "5"], "day": [DAY] * 3, "quantity": [1, -2, 3], "amount": [1.0, 2.0, 3.0]}
    positive = {"quantity": (pl.col("quantity") > 0, "above 0")}
    assert refused_columns(frame, key=["code", "day"], rules=positive) == {
        ("positions", 2, "code, day", "5, 2019-11-05"),
        ("positions", 3, "code, day", "5, 2019-11-05"),
        ("positions", 2, "quantity", "-2"),
    }


def test_the_largest_numbers_are_admitted():
    largest = GOOD | {"quantity": [NUMBER_LIMIT, -NUMBER_LIMIT], "amount": [1e12, -1e12]}
    assert require_columns(largest, "positions", SCHEMA)["quantity"].to_list() == [
        NUMBER_LIMIT,
        -NUMBER_LIMIT,
    ]


def test_rates():
    rates = {
        "currency": ["CNY", "CNY", "HKD", "USD"],
        "rate": [0.0, 1.1, 1.1, 7.8],
        "haircut": [0.0, 0.0, 0.01, 1.0],
    }
    assert refused(lambda: require_rates(rates)) == {
        ("rates", 1, "rate", "0.0"),
        ("rates", 2, "currency", "CNY"),
        ("rates", 3, "rate", "1.1"),
        ("rates", 3, "haircut", "0.01"),
        ("rates", 4, "haircut", "1.0"),
    }
    assert require_rates({name: [] for name in rates}).rows() == [("HKD", 1.0, 0.0)]


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), 1.1e12, "5", None, True])
def test_a_number_that_is_refused(value):
    assert refused(lambda: require_number(value, "prepayment")) == {("prepayment", 0, "", str(value))}


def test_other_arguments_that_are_refused():
    assert refused(lambda: require_date("2019-11-05", "day")) == {("day", 0, "", "2019-11-05")}
    assert refused(lambda: require_date(datetime(2019, 11, 5), "day"))  # noqa: DTZ001
    assert refused(lambda: require_choice("up", "rounding", ["guide", "none"])) == {("rounding", 0, "", "up")}


# What each step refuses beyond that.

RATES = {"currency": ["CNY"], "rate": [1.1], "haircut": [0.03]}
SETTLEMENT = {
    "instrument": ["5", "80700"],
    "settlement_counter": ["5", "700"],
    "currency": ["HKD", "EUR"],
    "trade_date": [DAY, DAY],
    "settlement_date": [DAY, DAY],
    "quantity": [-1, 1],
    "amount": [-1.0, 1.0],
}
NO_STOCK = {"settlement_counter": [], "settlement_date": [], "quantity": []}
VALUED = {
    "instrument": ["5", "6"],
    "currency": ["HKD", "EUR"],
    "quantity": [1, 1],
    "contract_value": [1.0, 1.0],
    "market_value": [1.0, 1.0],
    "settlement_date": [DAY, DAY],
}


@pytest.mark.parametrize(
    "call",
    [
        lambda: cover_with_specific_stock(SETTLEMENT, NO_STOCK, DAY, RATES),
        lambda: combine_counters(SETTLEMENT, {"counter": [], "instrument": [], "currency": []}, RATES),
        lambda: mark_to_market(VALUED, RATES),
        lambda: intraday_mark(VALUED, RATES, "11:00", business_date=DAY),
    ],
    ids=["stock cover", "counters", "mark", "intraday"],
)
def test_a_currency_without_a_rate(call):
    assert refused(call) == {("positions", 2, "currency", "EUR")}


def test_pledges_are_unique_and_not_negative():
    stock = {"settlement_counter": ["5", "5"], "settlement_date": [DAY, DAY], "quantity": [1, -1]}
    assert refused(lambda: cover_with_specific_stock(SETTLEMENT, stock, DAY, RATES)) == {
        ("pledges", 2, "settlement_counter, settlement_date", "5, 2019-11-05"),
        ("pledges", 2, "quantity", "-1"),
    }
    cash = {
        "settlement_counter": ["5"] * 2,
        "currency": ["HKD"] * 2,
        "trade_date": [DAY] * 2,
        "amount": [1, -1],
    }
    assert refused(lambda: cover_with_specific_cash(SETTLEMENT, cash, DAY)) == {
        ("pledges", 2, "settlement_counter, currency, trade_date", "5, HKD, 2019-11-05"),
        ("pledges", 2, "amount", "-1.0"),
    }


def test_counters_are_unique_and_agree_on_the_currency():
    counters = {"counter": ["5", "5", "6"], "instrument": ["5", "5", "5"], "currency": ["HKD", "HKD", "CNY"]}
    found = refused(lambda: combine_counters(SETTLEMENT, counters, RATES))
    assert ("counters", 2, "counter", "5") in found
    assert ("counters", 3, "currency", "CNY") in found


def test_an_adjustment_is_whole():
    row = dict.fromkeys(ADJUSTMENT_SCHEMA) | {
        "business_date": DAY,
        "ex_date": DAY,
        "market": "HK",
        "instrument": "5",
    }
    given = [
        {"converted_instrument": "150"},
        {"instrument": "6", "quantity_conversion_ratio": 0.0},
        {"instrument": "7", "cash_dividend_instrument": "DIV7", "cash_dividend_amount": 0.78},
        {"instrument": "8", "rights_quantity": 1.5},
        {"instrument": "5", "stock_dividend_instrument": "DSP5"},
    ]
    positions = {"instrument": [], "currency": [], "trade_date": [], "quantity": [], "contract_value": []}
    adjustments = pl.DataFrame([row | values for values in given], schema=ADJUSTMENT_SCHEMA)
    assert refused(lambda: apply_corporate_actions(positions, adjustments)) == {
        ("adjustments", 1, "converted_instrument", "150"),
        ("adjustments", 2, "quantity_conversion_ratio", "0.0"),
        ("adjustments", 3, "cash_dividend_amount", "0.78"),
        ("adjustments", 4, "rights_quantity", "1.5"),
        ("adjustments", 5, "ex_date, instrument", "2019-11-05, 5"),
        ("adjustments", 5, "stock_dividend_instrument", "DSP5"),
    }


def test_every_unpriced_instrument_is_named():
    positions = {
        "instrument": ["5", "700", "DIV5", "6"],
        "currency": ["HKD"] * 4,
        "quantity": [1, 2, 0, 3],
        "contract_value": [1.0, 2.0, -3.0, 4.0],
    }
    prices = {"instrument": ["700"], "price": [300.0]}
    assert refused(lambda: net_across_days(positions, prices)) == {
        ("prices", 0, "instrument", "5"),
        ("prices", 0, "instrument", "6"),
    }


def test_an_instrument_has_one_risk_currency():
    positions = {
        "instrument": ["5", "5"],
        "currency": ["HKD", "CNY"],
        "quantity": [1, 1],
        "contract_value": [1.0, 1.0],
    }
    prices = {"instrument": ["5"], "price": [1.0]}
    assert refused(lambda: net_across_days(positions, prices)) == {
        ("positions", 0, "currency", "5 HKD"),
        ("positions", 0, "currency", "5 CNY"),
    }


def test_totals_keep_the_range():
    twice = {
        "instrument": ["5", "5"],
        "currency": ["HKD"] * 2,
        "quantity": [10**12] * 2,
        "contract_value": [0.0] * 2,
    }
    with pytest.raises(RangeError, match="quantity"):
        net_across_days(twice, {"instrument": ["5"], "price": [1.0]})


def test_unposted_amounts_and_settings_of_the_intraday_mark():
    good = {name: values[:1] for name, values in VALUED.items()}
    unposted = {"currency": ["HKD", "HKD", "CNY"], "debit": [1.0, 1.0, -1.0], "credit": [0.0, 0.0, 0.0]}
    assert refused(lambda: intraday_mark(good, RATES, "11:00", business_date=DAY, unposted=unposted)) == {
        ("unposted", 2, "currency", "HKD"),
        ("unposted", 3, "debit", "-1.0"),
    }
    assert refused(lambda: intraday_mark(good, RATES, "12:00", business_date=DAY)) == {
        ("cycle", 0, "", "12:00")
    }
    assert refused(lambda: mark_to_market(good, RATES, "down")) == {("rounding", 0, "", "down")}


@pytest.mark.parametrize(
    ("base", "increment"), [(1.0, 0.012), (-0.1, 0.012), (0.03, 0.01), (float("nan"), 0.012)]
)
def test_chinaclear_haircut_that_is_refused(base, increment):
    assert refused(lambda: chinaclear_haircut(base, increment))
