"""Scenario sets of real Hong Kong prices: sizes, no gaps, and the defects known of the files are found.

Known defects are those that the data's own README and ``moves_over_30pct.csv`` name.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from real_market import real_market, requires_real_data

from crossmargin.formats.hkscc.participant import hkscc_participant
from crossmargin.formats.hkscc.rpf01 import read_rpf01
from crossmargin.formats.hkscc.rpf01_writer import write_rpf01
from crossmargin.models.hkscc.from_scenarios import rpf01_parameters
from crossmargin.models.hkscc.margin import hkscc_margins
from crossmargin.models.scenarios.build import ScenarioSettings, build_scenarios, scenarios_from_histories
from crossmargin.models.scenarios.filtered import FilteredHistorical
from crossmargin.models.scenarios.histories import make_histories
from crossmargin.models.scenarios.history_rules import HistoryRules
from crossmargin.models.scenarios.part_rules import AntiProcyclical, hkscc_parts, parts_of_method
from crossmargin.models.scenarios.selection import WorstDays

pytestmark = requires_real_data

DAYS = [date(2008, 10, 24), date(2015, 8, 24), date(2020, 3, 16), date(2024, 4, 26)]
FACTORS = {2008: 100, 2015: 125, 2020: 135, 2024: 145}
"""Fewest factors of a set; the files have 105, 131, 142 and 151 underlyings by then."""

SETTINGS = ScenarioSettings(parts=hkscc_parts(WorstDays(factor="spot:HSI")))


@pytest.fixture(scope="module")
def histories_on():
    made = {}

    def on(day, rules=None):
        if (day, rules) not in made:
            made[day, rules] = make_histories(real_market(day), day, rules)
        return made[day, rules]

    return on


def found(histories, kind, factor=None):
    rows = histories.findings.filter(pl.col("kind") == kind)
    return rows if factor is None else rows.filter(pl.col("factor") == factor)


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_sets_have_their_sizes_and_no_gaps(day, histories_on, capsys):
    histories = histories_on(day)
    scenarios = scenarios_from_histories(histories, SETTINGS)
    assert [(part.size, part.tail_count) for part in scenarios.parts] == [(1000, 6), (1018, 21)]
    assert scenarios.moves.shape[0] == 2018
    assert len(scenarios.factors) >= FACTORS[day.year]
    assert np.isfinite(histories.levels).all()
    assert np.isfinite(histories.returns).all()
    assert np.isfinite(scenarios.moves).all()
    assert scenarios.labels[999] == day.isoformat()
    assert max(scenarios.labels) == day.isoformat()
    assert list(scenarios.labels[:1000]) == sorted(set(scenarios.labels[:1000]))
    assert (histories.days.astype("datetime64[D]") <= np.datetime64(day)).all()
    counts = histories.findings.group_by("kind").len().sort("kind")
    with capsys.disabled():
        shown = ", ".join(f"{kind} {count}" for kind, count in counts.iter_rows())
        print(f"\n{day}: {len(scenarios.factors)} factors; findings: {shown}")  # noqa: T201


@pytest.mark.parametrize(
    ("day", "factor", "kind", "on", "value"),
    [
        (date(2020, 6, 30), "spot:0017.HK", "possible split", date(2020, 6, 10), 4.02155),
        (date(2008, 10, 24), "spot:2777.HK", "possible split", date(2006, 10, 13), 1 - 0.75092),
        (date(2020, 3, 16), "spot:3333.HK", "possible split", date(2009, 11, 5), 1 + 1.96875),
        (date(2008, 10, 24), "spot:3333.HK", "ends early", date(2008, 3, 14), 148),
        (date(2020, 3, 16), "spot:0291.HK", "jump", date(2015, 4, 21), 0.55922),
        (date(2015, 8, 24), "spot:0008.HK", "jump", date(2009, 5, 7), -0.39554),
        (date(2015, 8, 24), "spot:0241.HK", "jump", date(2014, 1, 24), 3.72289),
        (date(2015, 8, 24), "spot:1186.HK", "flat start", date(2008, 3, 13), 606),
        (date(2024, 4, 26), "spot:6030.HK", "break", date(2011, 10, 6), 1 + 1299.77389),
        (date(2024, 4, 26), "spot:HSCEI", "ends early", date(2023, 11, 8), 114),
    ],
)
def test_known_defects_are_found(day, factor, kind, on, value, histories_on):
    """Moves are printed with five decimals; the break is from a price printed as 0.00665."""
    row = found(histories_on(day), kind, factor).filter(pl.col("date") == on)
    assert row.height == 1
    assert row["value"][0] == pytest.approx(value, abs=6e-6 if kind != "break" else 2)


@pytest.mark.parametrize(("choice", "left"), [("take out", 4), ("keep", 1)])
def test_unknown_splits_become_no_scenarios_where_they_are_taken_out(choice, left, histories_on):
    """0017.HK, four to one on 2020-06-10: what is left is the day's move, some tenths of a per cent."""
    histories = histories_on(date(2020, 6, 30), HistoryRules(possible_splits=choice))
    day = np.flatnonzero(histories.days == np.datetime64("2020-06-10"))[0]
    move = histories.returns[day, histories.columns["spot:0017.HK"]]
    assert move == pytest.approx(np.log(37.32 / 9.28 / left), abs=1e-5)


def test_a_crash_of_a_sector_is_no_bad_print(histories_on):
    """2022-03-15 and 16: internet stocks lost a quarter or more and took it back."""
    histories = histories_on(date(2024, 4, 26))
    assert found(histories, "bad print").is_empty()
    rows = found(histories, "jump").filter(pl.col("date") == date(2022, 3, 16))
    assert {"spot:3690.HK", "spot:9618.HK", "spot:9961.HK"} <= set(rows["factor"])


def test_prices_of_public_holidays_are_dropped(histories_on):
    """Yahoo carries prices over Christmas 2001 and typhoon Utor (2013-08-14); the exchange was closed."""
    histories = histories_on(date(2015, 8, 24))
    for closed, at_least in ((date(2001, 12, 25), 30), (date(2013, 8, 14), 100)):
        assert np.datetime64(closed) not in histories.days
        assert found(histories, "no trading day").filter(pl.col("date") == closed).height >= at_least


def test_half_days_are_trading_days(histories_on):
    """Christmas Eve 2009 has a level of the index and one price: a trading day, prices carried."""
    histories = histories_on(date(2015, 8, 24))
    assert np.datetime64("2009-12-24") in histories.days
    assert found(histories, "missing days").filter(pl.col("date") == date(2009, 12, 24)).height >= 90


def test_a_day_that_the_vendor_repeated_is_reported(histories_on):
    """2011-01-07: 2 of 113 stocks have another price than the day before, the index moved."""
    rows = found(histories_on(date(2015, 8, 24)), "frozen day")
    assert date(2011, 1, 7) in rows["date"].to_list()


@pytest.mark.parametrize("day", DAYS[:2], ids=str)
def test_same_bytes_on_a_second_run(day, histories_on):
    first = scenarios_from_histories(histories_on(day), SETTINGS)
    second = build_scenarios(real_market(day), day, SETTINGS)
    assert second.content_hash == first.content_hash
    assert second.moves.tobytes() == first.moves.tobytes()


def test_the_future_changes_nothing(histories_on):
    """A market with prices up to 2020 gives the set of 2015 that a market up to then gives."""
    day = DAYS[1]
    later = real_market(date(2020, 3, 16))
    known = histories_on(day).columns.keys()
    scenarios = build_scenarios(later, day, SETTINGS)
    first = scenarios_from_histories(histories_on(day), SETTINGS)
    assert {factor.code for factor in scenarios.factors} <= known
    assert scenarios.moves.tobytes() == first.moves.tobytes()


def test_the_ten_year_floor_of_2008_is_taken_over_what_there_is():
    """Own histories begin in 2000 or later; without proxies no stock has ten years by October 2008."""
    day = DAYS[0]
    market = real_market(day, proxy=None, since=date(2000, 1, 1))
    settings = ScenarioSettings(
        parts=parts_of_method("fhs"),
        anti_procyclical=AntiProcyclical(floor_days=2500),
    )
    settings_of_set = dict(build_scenarios(market, day, settings).settings)
    assert 1250 <= int(settings_of_set["filtered historical.floor days of the shortest factor"]) < 2500
    assert "spot:1766.HK" in settings_of_set["left out"]


def test_a_calm_day_is_floored():
    """Before August 2015 HSI was calm: ten years with 2008 in them ask for a higher volatility."""
    histories = make_histories(real_market(DAYS[1]), date(2015, 2, 27))
    plain = ScenarioSettings(parts=parts_of_method("fhs"))
    floored = ScenarioSettings(parts=plain.parts, anti_procyclical=AntiProcyclical(floor_days=2500))
    sets = [scenarios_from_histories(histories, settings) for settings in (plain, floored)]
    deviations = [one.moves[:, one.columns["spot:HSI"]].std() for one in sets]
    assert deviations[1] > 1.2 * deviations[0]


def test_filtering_follows_the_market(histories_on):
    """HSI on 2008-10-24, after weeks of moves of 5% and more: filtered scenarios are far wider."""
    histories = histories_on(DAYS[0])
    filtered = scenarios_from_histories(histories, SETTINGS)
    parts = hkscc_parts(
        WorstDays(factor="spot:HSI"), filtering=FilteredHistorical(ratio_min=1.0, ratio_max=1.0)
    )
    plain = scenarios_from_histories(histories, ScenarioSettings(parts=parts))
    column = filtered.columns["spot:HSI"]
    assert filtered.moves[:1000, column].std() > 2 * plain.moves[:1000, column].std()
    assert filtered.moves[1000:].tobytes() == plain.moves[1000:].tobytes()


def test_a_risk_parameter_file_of_real_prices_margins_a_book(histories_on, tmp_path):
    day = DAYS[2]
    market = real_market(day)
    scenarios = scenarios_from_histories(histories_on(day), SETTINGS)
    parameters = rpf01_parameters(scenarios, market)
    write_rpf01(parameters, tmp_path / "RPF01.csv")
    back = read_rpf01(tmp_path / "RPF01.csv")
    assert back.content_hash == parameters.content_hash
    assert back.returns.shape[0] >= 130
    beta = dict(back.liquidation.select("instrument", "beta").iter_rows())
    assert beta["2800"] == 1.0
    assert 0.3 < beta["2"] < beta["388"] < 2.0  # an electricity company and the exchange
    price = dict(back.liquidation.select("instrument", "cash_delta").iter_rows())
    value = {"700": 100_000 * price["700"], "2800": -1_000_000 * price["2800"]}
    positions = {
        "participant": ["P", "P"],
        "instrument": ["700", "2800"],
        "quantity": [100_000, -1_000_000],
        "contract_value": [*value.values()],
        "market_value": [*value.values()],
    }
    margins = hkscc_margins(positions, back, {"P": hkscc_participant(date(2026, 1, 5))})
    spots = {"700": "spot:0700.HK", "2800": "spot:2800.HK"}
    moves = {name: scenarios.moves[:, scenarios.columns[code]] for name, code in spots.items()}
    pnl = sum(np.rint(value[name] * np.round(moves[name], 10)) for name in value)
    tails = np.sort(pnl[:1000])[:6].mean() * 0.75 + np.sort(pnl[1000:])[:21].mean() * 0.25
    assert margins.portfolio.blended[0] == pytest.approx(tails, abs=1)  # a tie may round the other way
