"""Published reductions beside ours, on American and Japanese prices: comparisons, each labelled as one."""

from __future__ import annotations

import csv
import re
from datetime import date

import polars as pl
import pytest
import real_books
from real_books import bond_levels, closing_prices, hedge_ratio
from real_evidence import ABROAD, DAYS, PAGE, PUBLISHED, SHORT_NAMES, TABLES, abroad, shown
from real_market import DATA, requires_real_data

pytestmark = requires_real_data

DAY = r"\d{4}-\d\d-\d\d"
PAGES = ["published", "spy", "treasuries", "treasuries-10", "jgb"]


@pytest.mark.parametrize("name", PAGES)
def test_the_page_shows_what_is_computed(name):
    assert shown(name) == TABLES[name]()


def test_the_page_names_every_day_on_which_a_joint_margin_was_not_enough():
    said = (
        PAGE.read_text(encoding="utf-8")
        .split("## Where the joint margin was not enough")[1]
        .split("\n## ")[0]
    )
    missed = set()
    for name in TABLES:
        lines = [line.split("|")[1:-1] for line in shown(name).splitlines() if line.startswith("|")]
        for row in lines[2:]:
            cells = [(title.strip(), cell) for title, cell in zip(lines[0], row, strict=True)]
            if any("short" in cell for title, cell in cells if title in SHORT_NAMES.values()):
                missed.add(row[0].strip())
            missed |= {
                day for title, cell in cells if title == "largest shortfall" for day in re.findall(DAY, cell)
            }
    assert missed
    assert set(re.findall(DAY, said)) == missed


def test_published_figures_are_those_of_the_data():
    with (DATA / "us_jp/published_margin_savings.csv").open(newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    saving = {row["portfolio"]: row["saving_pct"] for row in rows}
    said = {what: reduction for what, reduction, _ in PUBLISHED}
    cap = saving["programme cap on margin savings"]
    assert said["Treasuries against Treasury futures, CME and FICC"] == f"up to {cap}%"
    assert said["10-year Treasury future against swap, CME"] == f"{saving['10YR (TY) Treasury vs IRS']}%"
    assert not any("SPY" in row["portfolio"] or "S&P" in row["portfolio"] for row in rows)


@pytest.mark.parametrize("pair", ABROAD)
def test_no_design_asks_for_more_than_both_legs_alone(pair):
    rows = abroad(pair)
    assert len(rows) == len(DAYS) * 2 * 3
    assert all(0 < row.requirement <= row.together + 0.01 for row in rows)


def test_the_index_in_place_of_the_futures_understates_the_basis():
    real, ideal = (
        [row.requirement for row in abroad(pair) if row.programme == "merged house"]
        for pair in ("SPY against ES futures", "SPY against the index")
    )
    assert sum(ideal) < sum(real)


def test_par_bonds_are_worth_par_where_yields_stand_and_move_by_their_duration():
    file = "us_jp/ust_cmt_yields_fred_1980_2024.csv"
    levels = bond_levels(file, "DGS10", 10, "bond")
    yields = (
        pl.read_csv(DATA / file, try_parse_dates=True, infer_schema_length=None)["DGS10"].to_numpy() / 100
    )
    returns = levels["close"].to_numpy()[1:] / levels["close"].to_numpy()[:-1] - 1
    still = yields[1:] == yields[:-1]
    assert still.sum() > 100
    assert abs(returns[still]).max() < 1e-12
    annuity = (1 - (1 + yields / 2) ** -20) / yields
    small = (abs(yields[1:] - yields[:-1]) < 2e-4) & ~still
    expected = -annuity[:-1] * (yields[1:] - yields[:-1])  # of a par bond: modified duration = annuity
    assert returns[small] == pytest.approx(expected[small], rel=5e-3)


def test_the_hedge_is_the_slope_of_the_last_year():
    history = pl.concat([
        closing_prices("us_jp/zn_futures_2000_2024.csv", "ZN"),
        bond_levels("us_jp/ust_cmt_yields_fred_1980_2024.csv", "DGS10", 10, "UST10"),
    ])  # fmt: skip
    day = date(2015, 8, 21)
    books = real_books.treasury_books(day, 10)
    held = books.books["long UST10"]
    worth = {name: quantity * books.prices[name][0] for name, quantity in held.items()}
    ratio = -worth["ZN.F"] * 1000 / worth["UST10"]
    assert ratio == pytest.approx(hedge_ratio(history, "UST10", "ZN", day), rel=0.01)
    assert 0.8 < ratio < 2.0
