"""SPAN and PRiME against published and constructed examples.

Each test says in its name where its numbers come from: published (a source prints inputs and answer) or
constructed (arithmetic on stated inputs, by hand). Sources: McMillan, Options as a Strategic Investment,
pp. 668–670; CME, spread calculation page; KDPW, SPAN calculation, 29 March 2011; Popsoft, stock-option
MTM note; HKCC circulars DCRM/HKCC/083/2017, CD/CDCRM/027/2018, CD/CDCRM/111/2019.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from crossmargin.formats.prime import prime_parameters
from crossmargin.models.span.margin import span_margin, span_margins
from crossmargin.models.span.prime import client_margin, client_rates
from crossmargin.models.span.settings import SpanSettings
from span_market import (
    calendar_spread,
    future,
    future_losses,
    inter_spread,
    market,
    option,
    positions,
)

PRIME = prime_parameters(date(2019, 7, 2))
GROSS = SpanSettings(basis="gross")

CLIENT_RATES = """
HSI-2017 60100 79933 63946; HSI-spread-2017 12050 16026 12820; MHI-2017 12020 15986 12788
MHI-spread-2017 2410 3205 2564; HHI-2017 25100 33383 26706; HHI-spread-2017 7550 10041 8032
MCH-2017 5020 6676 5340; MCH-spread-2017 1510 2008 1606; CES120-2017 13570 18048 14438
CES120-spread-2017 4080 5426 4340; HSCEI-dividend-2017 1570 2088 1670
HSCEI-dividend-spread-2017 1890 2513 2010; HSI-dividend-2017 3400 4522 3617
CES-Gaming-2017 16480 21918 17534; CES-Gaming-spread-2017 4950 6583 5266
HS-IT-2017 8350 11105 8884; HS-IT-spread-2017 2510 3338 2670
HSI-2018 82900 110257 88205; HSI-spread-2018 16600 22078 17662; MHI-2018 16580 22051 17641
MHI-spread-2018 3320 4415 3532; HHI-2018 34450 45818 36654; HHI-spread-2018 10350 13765 11012
MCH-2018 6890 9163 7330; MCH-spread-2018 2070 2753 2202; CES120-2018 19080 25376 20300
CES120-spread-2018 5730 7620 6096; HSCEI-dividend-2018 1820 2420 1936
HSCEI-dividend-spread-2018 2190 2912 2329; HSI-dividend-2018 4360 5798 4638
HSI-dividend-spread-2018 5240 6969 5575; CES-Gaming-2018 24360 32398 25918
CES-Gaming-spread-2018 7310 9722 7777
HSI-2019 85300 113449 90759; HSI-spread-2019 19650 26134 20907; MHI-2019 17060 22689 18151
MHI-spread-2019 3930 5226 4180; HHI-2019 32650 43424 34739; HHI-spread-2019 12750 16957 13565
MCH-2019 6530 8684 6947; MCH-spread-2019 2550 3391 2712; other-spread-2019 507 674 539
"""
TRIPLES = [entry.split() for line in CLIENT_RATES.strip().splitlines() for entry in line.split("; ")]

ROUNDED_UP = {"MHI-2018"}
"""Printed as a fifth of HSI's maintenance, 17,641, where 0.8 of its own initial is 17,640.8."""


def test_published_client_rates_are_42_distinct():
    assert len(TRIPLES) == 42
    assert len({tuple(entry[1:]) for entry in TRIPLES}) == 42


@pytest.mark.parametrize("entry", TRIPLES, ids=[entry[0] for entry in TRIPLES])
def test_published_client_rates(entry):
    rate, initial, maintenance = (int(text) for text in entry[1:])
    exception = 1 if entry[0] in ROUNDED_UP else 0
    assert client_rates(rate, PRIME) == (initial, maintenance - exception)


MCMILLAN_FUTURE = [
    0,
    0,
    3330,
    3330,
    -3330,
    -3330,
    6670,
    6670,
    -6670,
    -6670,
    10000,
    10000,
    -10000,
    -10000,
    7000,
    -7000,
]
MCMILLAN_CALL = [
    460,
    -610,
    2640,
    1730,
    -1270,
    -2340,
    5210,
    4540,
    -2540,
    -3430,
    8060,
    7640,
    -3380,
    -3990,
    3130,
    -1500,
]
MCMILLAN_COVERED = [
    *(-460, 610, 690, 1600, -2060, -990, 1460, 2130, -4130, -3240, 1940, 2360, -6620, -6010, 3870, -5500)
]


@pytest.fixture
def mcmillan():
    series = [
        future("SP", "199712", [-gain for gain in MCMILLAN_FUTURE]),
        option("SP", "199712", "C", 410.0, [-gain for gain in MCMILLAN_CALL]),
    ]
    return market(series)


@pytest.mark.parametrize(
    ("held", "scan_risk", "scenario"),
    [
        ([("SP", "199712", "C", 410.0, 1)], 3990, 14),
        ([("SP", "199712", 1), ("SP", "199712", "C", 410.0, -1)], 6620, 13),
        ([("SP", "199712", 1)], 10_000, 13),
    ],
    ids=["long call", "covered write", "future"],
)
def test_published_mcmillan_scan_risk(mcmillan, held, scan_risk, scenario):
    (row,) = span_margins(positions(*held), mcmillan).to_frame().iter_rows(named=True)
    assert (row["scan_risk"], row["active_scenario"]) == (scan_risk, scenario)


def test_published_mcmillan_covered_write_in_every_scenario(mcmillan):
    held = positions(("SP", "199712", 1), ("SP", "199712", "C", 410.0, -1))
    (fact,) = [
        fact
        for fact in span_margin(held, mcmillan).commodity("SP").find("scan risk").facts
        if fact.label == "scan sums"
    ]
    assert [-loss for _, loss in fact.value] == MCMILLAN_COVERED


def amounts(held, parameters, settings=None) -> dict[str, dict[str, Decimal]]:
    frame = span_margins(held, parameters, settings).to_frame()
    return {row["commodity"]: row for row in frame.iter_rows(named=True)}


def test_published_cme_delta_based_credit_corn_soybeans():
    series = [future("C", "201112", future_losses(1750)), future("S", "201111", future_losses(2500))]
    parameters = market(series, **inter_spread([("C", 2.0, "A"), ("S", 1.0, "B")], 0.55))
    found = amounts(positions(("C", "201112", 2), ("S", "201111", -1)), parameters)
    assert sum(row["scan_risk"] for row in found.values()) == 6000
    assert sum(row["inter_credit"] for row in found.values()) == 3300
    assert sum(row["requirement"] for row in found.values()) == 2700


THIRTY = [0, 0, -2066, -2066, 2066, 2066, -4134, -4134, 4134, 4134, -6200, -6200, 6200, 6200, -6138, 6138]
TEN = [0, 0, 1599, 1599, -1599, -1599, 3201, 3201, -3201, -3201, 4800, 4800, -4800, -4800, 4752, -4752]


def test_published_cme_scanning_based_credit_30_year_10_year():
    series = [
        future("30", "201112", [loss / 2 for loss in THIRTY]),
        future("10", "201112", [loss / -3 for loss in TEN]),
    ]
    parameters = market(series, **inter_spread([("30", 1.0, "A"), ("10", 1.0, "B")], 0.7, method="scanning"))
    found = amounts(positions(("30", "201112", 2), ("10", "201112", -3)), parameters)
    assert [row["scan_risk"] for row in found.values()] == [6200, 4800]
    assert sum(row["requirement"] for row in found.values()) == 2840


def test_published_kdpw_composite_delta_with_scaling():
    flat = [0.0] * 16
    series = [
        future("FW20", "201106", flat, "W20", delta_scaling=10.0),
        future("FW20", "201109", flat, "W20", delta_scaling=10.0),
        option("OW20", "201106", "C", 2800.0, flat, "W20", composite_delta=0.7028, delta_scaling=10.0),
        option("OW20", "201106", "C", 2850.0, flat, "W20", composite_delta=0.6151, delta_scaling=10.0),
        option("OW20", "201106", "P", 2800.0, flat, "W20", composite_delta=-0.3032, delta_scaling=10.0),
        option("OW20", "201106", "P", 2850.0, flat, "W20", composite_delta=-0.3574, delta_scaling=10.0),
    ]
    held = positions(
        ("FW20", "201106", -2),
        ("FW20", "201109", -3),
        ("OW20", "201106", "C", 2800.0, 1),
        ("OW20", "201106", "C", 2850.0, 2),
        ("OW20", "201106", "P", 2800.0, -1),
        ("OW20", "201106", "P", 2850.0, -2),
    )
    margins = span_margins(held, market(series))
    delta = margins.book.net * margins.tables.series_delta[margins.book.series]
    assert sum(delta[delta > 0]) == pytest.approx(29.51, abs=1e-9)  # four printed decimals, in float64
    assert sum(delta[delta < 0]) == -50
    assert margins.risk.deltas.whole.sum() == pytest.approx(-20.49, abs=1e-9)


SEOCH_BOOK = {
    ("CHK", 1000): [(40, "C", 1.61), (100, "C", 0.05), (-50, "C", 0.15), (35, "C", 0.03), (-120, "C", 1.92), (-30, "C", 0.71), (50, "P", 7.37), (-50, "P", 5.46)],
    ("HKB", 400): [(7, "C", 10.92), (-88, "C", 6.88), (-20, "C", 12.56), (20, "C", 5.58), (-30, "P", 8.54), (-20, "P", 12.08), (-150, "P", 2.95), (60, "P", 12.93)],
}  # fmt: skip


def test_published_seoch_mark_to_market_margin():
    series, held = [], []
    for (product, size), book in SEOCH_BOOK.items():
        for strike, (quantity, right, price) in enumerate(book, start=1):
            style = {"contract_size": float(size), "option_style": "premium", "price": price}
            series.append(option(product, "200810", right, float(strike), [0.0] * 16, **style))
            held.append((product, "200810", right, float(strike), quantity))
    found = amounts(positions(*held), market(series))
    assert {code: -row["option_value"] for code, row in found.items()} == {"CHK": 93_250, "HKB": 333_240}
    assert sum(row["requirement"] for row in found.values()) == 426_490


NSE_FUTURE = [8.72, 8.72, -736.49, -736.49, 753.93, 753.93, -1481.70, -1481.70, 1499.14, 1499.14]
NSE_FUTURE += [-2226.91, -2226.91, 2244.36, 2244.36, -1561.89, 1568.00]


@pytest.mark.parametrize(("quantity", "scan_risk", "scenario"), [(1, "2244.36", 13), (-1, "2226.91", 11)])
def test_published_nse_future(quantity, scan_risk, scenario):
    found = amounts(
        positions(("NIFTY", "20260630", quantity)), market([future("NIFTY", "20260630", NSE_FUTURE)])
    )
    assert (found["NIFTY"]["scan_risk"], found["NIFTY"]["active_scenario"]) == (Decimal(scan_risk), scenario)


@pytest.fixture
def hang_seng():
    mini = {"commodity": "HSI", "delta_scaling": 0.2}
    series = [
        *(future("HSI", month, future_losses(85_300)) for month in ("201907", "201908")),
        *(future("MHI", month, future_losses(17_060), **mini) for month in ("201907", "201908")),
    ]
    return market(series, **calendar_spread("HSI", 19_650))


def test_constructed_calendar_position(hang_seng):
    row = amounts(positions(("HSI", "201907", 10), ("HSI", "201908", -7)), hang_seng)["HSI"]
    assert (row["scan_risk"], row["intra_charge"], row["risk_margin"]) == (255_900, 137_550, 393_450)


def test_constructed_calendar_position_in_a_gross_account(hang_seng):
    row = amounts(positions(("HSI", "201907", 10), ("HSI", "201908", -7)), hang_seng, GROSS)["HSI"]
    assert row["risk_margin"] == 1_450_100


@pytest.mark.parametrize(("month", "charge"), [("201908", 19_650), ("201907", 0)])
def test_constructed_mini_offset(hang_seng, month, charge):
    row = amounts(positions(("HSI", "201907", 1), ("MHI", month, -5)), hang_seng)["HSI"]
    assert (row["scan_risk"], row["intra_charge"]) == (0, charge)


@pytest.mark.parametrize(
    ("shorts", "credits_", "margins", "total"),
    [
        (-20, (511_800, 391_800), (341_200, 261_200), 602_400),
        (-15, (383_850, 293_850), (469_150, 195_900), 665_050),
    ],
)
def test_constructed_inter_commodity_credit(shorts, credits_, margins, total):
    series = [future("HSI", "201907", future_losses(85_300)), future("HHI", "201907", future_losses(32_650))]
    parameters = market(series, **inter_spread([("HSI", 1.0, "A"), ("HHI", 2.0, "B")], 0.6))
    found = amounts(positions(("HSI", "201907", 10), ("HHI", "201907", shorts)), parameters)
    assert tuple(found[code]["inter_credit"] for code in ("HSI", "HHI")) == credits_
    assert tuple(found[code]["risk_margin"] for code in ("HSI", "HHI")) == margins
    assert sum(row["requirement"] for row in found.values()) == total


FUTURE = [0, 0, -25_000, -25_000, 25_000, 25_000, -50_000, -50_000, 50_000, 50_000, -75_000, -75_000, 75_000, 75_000, -52_500, 52_500]  # fmt: skip
CALL_20000 = [-5235, 6005, -19815, -9537, 5844, 15817, -37576, -29797, 13517, 20622, -57915, -52910, 18281, 22352, -44540, 7995]  # fmt: skip
CALL_21000 = [-3998, 3780, -11900, -1317, 1072, 5762, -23063, -11261, 3982, 6322, -37563, -26677, 5455, 6433, -33231, 2257]  # fmt: skip
PUT_19000 = [-3688, 3417, 689, 5068, -10702, -1037, 3201, 5541, -21034, -10356, 4528, 5646, -35047, -25689, 1982, -33178]  # fmt: skip
CALL_24000 = [-105, 12, -331, 11, -23, 13, -873, 2, 4, 13, -2025, -57, 11, 13, -3009, 4]


@pytest.fixture
def index_options():
    month = "201908"
    call = {"composite_delta": 0.5067, "price": 457.4301, "contract_size": 50.0}
    series = [
        future("HSI", month, FUTURE),
        option("HSI", month, "C", 20_000.0, CALL_20000, **call),
        option("HSI", month, "C", 21_000.0, CALL_21000, composite_delta=0.2373),
        option("HSI", month, "P", 19_000.0, PUT_19000, composite_delta=-0.2167),
        option("HSI", month, "C", 24_000.0, CALL_24000, composite_delta=0.0),
    ]
    return market(series)


@pytest.mark.parametrize(
    ("held", "scan_risk", "scenario"),
    [
        ([("C", 20_000.0, -1)], 57_915, 11),
        ([("C", 20_000.0, 1)], 22_352, 14),
        ([("C", 21_000.0, -1), ("P", 19_000.0, -1)], 33_035, 11),
        ([(None, None, 1), ("C", 21_000.0, -1)], 69_545, 13),
        ([("C", 24_000.0, -20)], 60_180, 15),
    ],
    ids=[
        "short call",
        "long call",
        "short strangle",
        "covered call",
        "far call: an extreme scenario is active",
    ],
)
def test_constructed_option_portfolios(index_options, held, scan_risk, scenario):
    rows = [("HSI", "201908", *leg) for leg in held]
    row = amounts(positions(*rows), index_options)["HSI"]
    assert (row["scan_risk"], row["active_scenario"]) == (scan_risk, scenario)


def test_constructed_weighted_price_risk(index_options):
    """Price risk 55,797.5 / 0.5067 for one delta, seen in a spread that takes the whole position."""
    series = [
        dict(zip(index_options.series.columns, row, strict=True)) for row in index_options.series.iter_rows()
    ]
    with_losses = [
        row | {"losses": losses} for row, losses in zip(series, index_options.losses.tolist(), strict=True)
    ]
    other = future("HHI", "201908", future_losses(10_000))
    spread = inter_spread([("HSI", 0.5067, "A"), ("HHI", 1.0, "B")], 0.5)
    parameters = market([*with_losses, other], **spread)
    found = amounts(positions(("HSI", "201908", "C", 20_000.0, -1), ("HHI", "201908", 1)), parameters)
    assert found["HSI"]["inter_credit"] == Decimal("27898.75")  # 55,797.5 × 50%
    assert found["HHI"]["inter_credit"] == 5000


def test_constructed_short_option_minimum():
    losses = [-40.0] * 16
    parameters = market(
        [option("HSI", "201908", "C", 30_000.0, losses)], {"HSI": {"short_option_minimum": 500.0}}
    )
    margins = span_margins(positions(("HSI", "201908", "C", 30_000.0, -30)), parameters)
    (row,) = margins.to_frame().iter_rows(named=True)
    assert (row["scan_risk"], row["short_option_minimum"], row["risk_margin"]) == (1200, 15_000, 15_000)
    assert client_margin(margins, PRIME)["client_risk_margin"].to_list() == [Decimal(19_950)]


def test_constructed_long_only_cap(index_options):
    margins = span_margins(positions(("HSI", "201908", "C", 20_000.0, 2)), index_options)
    (row,) = client_margin(margins, PRIME).iter_rows(named=True)
    assert margins.to_frame()["risk_margin"].to_list() == [44_704]
    assert (row["capped"], row["initial"]) == (True, Decimal("45743.01"))  # not 44,704 × 1.33 = 59,456.32


def test_constructed_long_only_cap_at_seoch_leaves_nothing(index_options):
    style = pl.when(pl.col("right") != "").then(pl.lit("premium")).otherwise(pl.lit("futures"))
    parameters = replace(index_options, series=index_options.series.with_columns(option_style=style))
    margins = span_margins(positions(("HSI", "201908", "C", 20_000.0, 2)), parameters)
    (row,) = client_margin(margins, PRIME).iter_rows(named=True)
    assert (row["mark_to_market_margin"], row["initial"]) == (Decimal("-45743.01"), 0)
