"""Real lines of CME's PA2 file of 20 June 2025 and HKEX's header of 14 March 2013.

The lines are published with an open-source parser (jburgy/span, Apache-2.0); what they mean is stated by
CME's layout of the expanded unpacked positional format. Numbers are exact.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from span_positional import CME_FILE, CME_HEADER, CME_LINES, HKEX_HEADER, hsi_lines, write

from crossmargin.formats.span.positional import is_positional, read_positional
from crossmargin.formats.span.positional_fields import parse_lines
from crossmargin.formats.span.positional_records import LAYOUTS


def parse(record: str, line: str) -> dict[str, object]:
    frame, bad = parse_lines(LAYOUTS[record], pl.Series([line]), pl.Series([1]), "real")
    assert bad == []
    return {name: value for name, value in frame.row(0, named=True).items() if value not in {None, ""}}


@pytest.mark.parametrize(
    ("record", "stated"),
    [
        ("1", {"exchange": "CBT", "exchange_code": "01"}),
        ("T", {"currency": "CLP", "to_currency": "USD", "to_currency_code": "$", "multiplier": 0.001063}),
        (
            "3",
            {
                "commodity": "06",
                "method": "10",
                "tier_1": 1,
                "start_1": "202507",
                "end_1": "202507",
                "start_2": "202508",
                "start_3": "202509",
                "start_4": "202510",
                "end_4": "202511",
                "initial_member": 1.0,
                "initial_hedger": 1.0,
                "initial_speculator": 1.1,
            },
        ),
        (
            "C",
            {
                "method": "10",
                "priority": 1,
                "leg_count": 3,
                "charge": 100,
                "tier_1": 14,
                "ratio_1": 1,
                "side_1": "A",
                "tier_2": 15,
                "ratio_2": 2,
                "side_2": "B",
                "tier_3": 16,
                "ratio_3": 1,
                "side_3": "A",
            },
        ),
        (
            "4",
            {
                "commodity": "YM",
                "method": "10",
                "month_count": 1,
                "month_1": "202506",
                "in_spreads_1": 1,
                "outright_1": 0,
                "short_option_minimum": 170,
                "adjustment_member": 1.0,
                "adjustment_hedger": 1.0,
                "adjustment_speculator": 1.0,
                "som_method": "1",
            },
        ),
        ("5", {"group": "CME", "commodity_1": "06", "commodity_5": "3CC", "commodity_10": "BCF"}),
        (
            "6",
            {
                "group": "ALL",
                "priority": 1,
                "rate": 980_000,
                "commodity_1": "NY-HH",
                "required_1": "N",
                "ratio_1": 1.0,
                "side_1": "A",
                "commodity_2": "NY-HP",
                "side_2": "B",
                "method": "04",
                "exchange_target": "NYM",
                "commodity_target": "NY-NG",
                "spread_group": "S",
                "ratio_target": 1.0,
                "minimum_legs": 1,
            },
        ),
        (
            "81",
            {
                "product_type": "FUT",
                "future_month": "202507",
                "value_1": 0,
                "value_3": -567,
                "value_5": 567,
                "value_7": -1133,
                "value_9": 1133,
                "precise_price": 284_100,
                "precise_price_flag": "N",
            },
        ),
        (
            "82",
            {
                "product_type": "OOF",
                "right": "C",
                "strike": 145,
                "value_16": 0,
                "composite_delta": 0.0,
                "implied_volatility": 250_000,
                "price": 139_100,
                "strike_sign": "+",
                "current_delta": 1.0,
                "current_delta_day": "C",
            },
        ),
        (
            "S",
            {
                "method": "20",
                "tier_count": 2,
                "tier_1": 1,
                "start_1": "202507",
                "end_1": "202507",
                "tier_2": 2,
                "start_2": "202508",
                "end_2": "202812",
                "price_risk_method": "2",
            },
        ),
    ],
)
def test_real_line_reads_as_stated(record, stated):
    read = parse(record, CME_LINES[record])
    assert {name: read.get(name) for name in stated} == stated


def test_header_of_2013(tmp_path):
    assert is_positional(HKEX_HEADER.encode())
    assert len(HKEX_HEADER) == 56
    read = read_positional(write(tmp_path / "rpi.lis", hsi_lines()))
    assert (read.organization, read.business_date, read.settlement, read.source_format) == (
        "HKEX",
        date(2013, 3, 14),
        "intraday",
        "U2",
    )


def test_header_of_2025():
    read = parse("0", CME_HEADER)
    assert (read["organization"], read["business_date"]) == ("CME", date(2025, 6, 20))
    assert (read["settlement"], read["identifier"], read["format"]) == ("S", "E", "U2")


def test_whole_file_around_the_real_lines(tmp_path):
    read = read_positional(write(tmp_path / "cme.pa2", CME_FILE))
    assert (read.settlement, read.source_format) == ("early", "PA2")
    future, option = read.series.rows(named=True)
    assert (future["price"], future["contract_size"], future["delta_month"]) == (284.1, 100.0, "202507")
    assert (option["strike"], option["price"], option["implied_volatility"]) == (145.0, 139.1, 0.25)
    assert (option["option_style"], option["delta_month"]) == ("premium", "202507")
    np.testing.assert_array_equal(
        read.losses[0],
        [0, 0, -567, -567, 567, 567, -1133, -1133, 1133, 1133, -1700, -1700, 1700, 1700, -1683, 1683],
    )
    commodities = {row["commodity"]: row for row in read.commodities.rows(named=True)}
    assert commodities["06"]["initial_speculator"] == 1.1
    assert commodities["07"]["price_risk_method"] == "capped"
    assert commodities["07"]["option_style"] == "futures"
    assert (commodities["YM"]["short_option_minimum"], commodities["YM"]["som_method"]) == (170.0, "max")
    assert read.spot_charges.rows() == [("YM", "202506", 1.0, 0.0)]
    assert read.inter_spreads.rows() == [(1, "ALL", 1, "scanning", "price_risk", 0.98, True, 1, "all")]
    assert read.inter_legs.select("commodity", "ratio", "side", "required", "target").rows() == [
        ("NY-HH", 1.0, "A", False, False),
        ("NY-HP", 1.0, "B", False, False),
        ("NY-NG", 1.0, "A", False, True),
    ]
    assert read.intra_spreads.rows() == [(1, "06", "tier", 1, 100.0), (2, "06", "series", 1, 250.0)]
    assert read.intra_legs.filter(spread=1)["tier"].to_list() == [14, 15, 16]
    assert read.intra_legs.filter(spread=2)["month"].to_list() == ["202509", "202512", "202603"]
    assert read.intra_legs.filter(spread=2)["ratio"].to_list() == [1.0, 2.0, 1.0]
    assert read.currency_rates.rows() == [("CLP", "USD", 0.001063)]
    assert read.tiers.filter(commodity="07").rows() == [
        ("07", "inter", 1, "202507", "202507", None),
        ("07", "inter", 2, "202508", "202812", None),
    ]
    assert read.skipped.rows() == [("5", 1)]


def test_spread_with_a_commodity_of_another_organisation_is_counted(tmp_path):
    lines = [line for line in CME_FILE if not line.startswith(("1 NYM", "2 NYM"))]
    read = read_positional(write(tmp_path / "cme.pa2", lines))
    assert read.inter_spreads.is_empty()
    assert ("6 with a commodity of another organisation", 1) in read.skipped.rows()
