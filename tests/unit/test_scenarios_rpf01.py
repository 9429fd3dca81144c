"""HKSCC's risk parameters made from scenarios: written, read back and used for margin."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from math import ceil

import numpy as np
import polars as pl
import pytest
from small_market import DAYS, small_market, walk, walks

from crossmargin.errors import InputError
from crossmargin.formats.hkscc.participant import hkscc_participant
from crossmargin.formats.hkscc.rpf01 import read_rpf01
from crossmargin.formats.hkscc.rpf01_writer import write_rpf01
from crossmargin.models.hkscc.from_scenarios import Rpf01Rules, confidence_of, rpf01_parameters
from crossmargin.models.hkscc.margin import hkscc_margins
from crossmargin.models.scenarios.build import ScenarioSettings, build_scenarios
from crossmargin.models.scenarios.part_rules import hkscc_parts, parts_of_method
from crossmargin.models.scenarios.selection import WorstDays

COUNT = 1500
DAY = DAYS[COUNT - 1]
SETTINGS = ScenarioSettings(parts=hkscc_parts(WorstDays(factor="spot:H", scenarios=1018)))

INSTRUMENTS = {
    "instrument": ["2800", "5", "700", "9618", "80700", "HSIF"],
    "house": [*["HKSCC"] * 5, "HKCC"],
    "kind": ["etf", *["equity"] * 4, "future"],
    "underlying": ["H", "A", "B", "N", "C", "H"],
    "currency": [*["HKD"] * 4, "CNY", "HKD"],
    "multiplier": [1.0, 1.0, 1.0, 1.0, 1.0, 50.0],
    "expiry": [*[None] * 5, date(2030, 1, 2)],
}


def market_of(*, rates=True):
    series = walks("HABC", COUNT) | {"N": (DAYS[COUNT - 100 : COUNT], walk(9, 100).tolist())}
    exchange = {
        "date": DAYS[:COUNT],
        "currency": ["CNY"] * COUNT,
        "rate": walk(5, COUNT, daily=0.002, start=1.1),
    }
    return small_market(
        series,
        underlyings={"C": {"currency": "CNY"}, "H": {"kind": "etf"}},
        instruments=INSTRUMENTS,
        **({"exchange_rates": exchange} if rates else {}),
    )


@pytest.fixture(scope="module")
def market():
    return market_of()


@pytest.fixture(scope="module")
def scenarios(market):
    return build_scenarios(market, DAY, SETTINGS)


@pytest.fixture(scope="module")
def parameters(scenarios, market):
    return rpf01_parameters(scenarios, market)


def test_the_numbers_of_the_file(parameters):
    assert parameters.valuation_date == DAY
    measures = [
        (m.weight, m.confidence, m.scenario_count) for m in (parameters.historical, parameters.stressed)
    ]
    assert measures == [(0.75, Decimal("0.994"), 1000), (0.25, Decimal("0.98"), 1018)]
    assert parameters.returns.shape == (4, 2018)


def test_returns_are_the_moves_of_the_underlying(parameters, scenarios):
    rows = {name: row for row, name in enumerate(parameters.scenario_instruments)}
    assert rows.keys() == {"2800", "5", "700", "80700"}
    moves = scenarios.moves[:, scenarios.columns["spot:A"]]
    assert parameters.returns[rows["5"]] == pytest.approx(moves, abs=5.1e-11)  # ten decimals
    spot, rate = (scenarios.moves[:, scenarios.columns[code]] for code in ("spot:C", "exchange_rate:CNY"))
    assert parameters.returns[rows["80700"]] == pytest.approx((1 + spot) * (1 + rate) - 1, abs=5.1e-11)


def test_prices_are_those_of_the_day_in_hkd(parameters, market):
    price = dict(parameters.liquidation.select("instrument", "cash_delta").iter_rows())
    closes = dict(market.latest("prices", DAY, "underlying").select("underlying", "close").iter_rows())
    [rate] = market.latest("exchange_rates", DAY, "currency")["rate"]
    assert price["5"] == closes["A"]
    assert price["80700"] == pytest.approx(closes["C"] * rate, abs=5.1e-7)


def test_betas_are_regressions_on_the_hedging_instrument(parameters):
    beta = dict(parameters.liquidation.select("instrument", "beta").iter_rows())
    rows = {name: row for row, name in enumerate(parameters.scenario_instruments)}
    own, hedge = (parameters.returns[rows[name], :1000] for name in ("700", "2800"))
    assert beta["2800"] == 1.0
    assert beta["700"] == pytest.approx(np.cov(own, hedge)[0, 1] / hedge.var(ddof=1), abs=5.1e-5)


def test_what_has_no_scenarios_has_a_flat_rate(parameters, scenarios, market):
    assert parameters.flat_rate.rows() == [("9618", 0.55)]
    known = rpf01_parameters(
        scenarios, market, rules=Rpf01Rules(flat_rate=0.3), flat_rates={"instrument": ["5"], "rate": [0.12]}
    )
    assert sorted(known.flat_rate.rows()) == [("5", 0.12), ("9618", 0.3)]
    assert "5" not in known.scenario_instruments
    unconverted = market_of(rates=False)
    less = rpf01_parameters(build_scenarios(unconverted, DAY, SETTINGS), unconverted)
    assert sorted(less.flat_rate["instrument"]) == ["80700", "9618"]


def test_the_file_comes_back_and_margins_a_book(parameters, scenarios, tmp_path):
    write_rpf01(parameters, tmp_path / "RPF01.csv")
    back = read_rpf01(tmp_path / "RPF01.csv")
    assert back.content_hash == parameters.content_hash
    price = dict(back.liquidation.select("instrument", "cash_delta").iter_rows())
    held = {"700": 100_000, "2800": -50_000}
    value = {name: quantity * price[name] for name, quantity in held.items()}
    positions = pl.DataFrame(
        {
            "participant": "P",
            "instrument": [*held, "9618"],
            "quantity": [*held.values(), 10_000],
            "contract_value": [*value.values(), 1e6],
            "market_value": [*value.values(), 1e6],
        }
    )
    settings = hkscc_participant(date(2026, 1, 5), flat_rate_multiplier=1.0)
    margins = hkscc_margins(positions, back, {"P": settings})
    code = {"700": "spot:B", "2800": "spot:H"}
    pnl = sum(
        np.rint(value[name] * scenarios.moves[:, scenarios.columns[code[name]]].round(10)) for name in held
    )
    blended = 0.75 * np.sort(pnl[:1000])[:6].mean() + 0.25 * np.sort(pnl[1000:])[:21].mean()
    assert margins.portfolio.blended[0] == pytest.approx(blended, abs=1)  # a tie may round the other way
    assert margins.flat_rate.amount.tolist() == [int(margins.book.minor(np.array([550_000.0]))[0])]


def test_what_cannot_be_made_is_refused(scenarios, market):
    one_part = build_scenarios(market, DAY, ScenarioSettings(parts=parts_of_method("historical")))
    wide = replace(scenarios, moves=scenarios.moves + 200.0)
    for bad, rules, words in (
        (one_part, None, "two parts"),
        (scenarios, Rpf01Rules(hedging_instrument="2828"), "hedging_instrument"),
        (scenarios, Rpf01Rules(hedging_instrument="9618"), "hedging_instrument"),
        (wide, None, "at most 100 in size"),
    ):
        with pytest.raises(InputError, match=words):
            rpf01_parameters(bad, market, rules=rules)
    with pytest.raises(InputError, match="a cash instrument of HKSCC"):
        rpf01_parameters(scenarios, market, flat_rates={"instrument": ["HSIF"], "rate": [0.1]})
    with pytest.raises(InputError, match="flat_rate"):
        Rpf01Rules(flat_rate=-0.1)


@pytest.mark.parametrize("count", [1, 2, 7, 250, 1000, 1018, 2500])
def test_a_confidence_gives_back_its_tail(count):
    for tail in {1, 2, count // 50 + 1, count // 2 + 1, count} & set(range(1, count + 1)):
        confidence = confidence_of(tail, count)
        assert 0 < confidence < 1
        assert ceil((1 - confidence) * count) == tail
    assert confidence_of(6, 1000) == Decimal("0.994")
    assert confidence_of(21, 1018) == Decimal("0.98")
