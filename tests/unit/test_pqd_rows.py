"""Disclosure rows: each value made again here from what it is made of."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import polars as pl
import pytest
import validation_results as made

from crossmargin.models.market import HOUSES
from crossmargin.reports.validation.pqd import pqd_rows

COLUMNS = ["item", "description", "house", "when", "value", "unit", "note"]


@pytest.fixture(scope="module")
def results():
    return made.backtest(), made.stress(), made.procyclicality()


@pytest.fixture(scope="module")
def rows(results):
    return pqd_rows(*results)


def values(rows, item, **where):
    """Value by description of the rows of one item."""
    found = rows.filter(pl.col("item") == item).filter(**where)
    return dict(found.select("description", "value").iter_rows())


def one(rows, item, words, **where):
    found = rows.filter(pl.col("item") == item, pl.col("description").str.contains(words)).filter(**where)
    assert len(found) == 1, (item, words, where, found)
    return found["value"][0]


def test_items_are_in_order_and_columns_as_documented(rows):
    assert rows.columns == COLUMNS
    items = rows["item"].unique(maintain_order=True).to_list()
    assert items == [
        *("4.1", "4.4.1", "4.4.2", "4.4.3", "4.4.4", "4.4.5", "4.4.7", "4.4.8", "4.4.9"),
        *("6.1", "6.5.1", "6.5.2", "6.5.3", "6.5.4", "6.5.5", "6.8", "6.9 (proposed)", "20.7"),
    ]
    assert rows["description"].str.len_chars().min() > 5
    assert rows.select("item", "description", "house", "when", "note").null_count().sum_horizontal()[0] == 0


def test_the_loss_of_one_group_and_of_two_is_that_of_the_worst_scenario(results, rows):
    losses = results[1].losses.filter(arrangement="linked", house="HKCC")
    scenarios = [sorted(part["over_margin"], reverse=True) for part in losses.partition_by("scenario")]
    where = {"house": "HKCC", "when": "linked"}
    ones, twos = [each[0] for each in scenarios], [each[0] + each[1] for each in scenarios]
    assert one(rows, "4.4.3", "one group, peak$", **where) == max(ones) == 350e6
    assert one(rows, "4.4.7", "two groups, peak$", **where) == max(twos) == 425e6
    assert one(rows, "4.4.3", "one group, mean$", **where) == pytest.approx(sum(ones) / 4, abs=0.01)
    assert one(rows, "4.4.7", "two groups, mean$", **where) == pytest.approx(sum(twos) / 4, abs=0.01)


def test_a_fund_that_is_exceeded_is_counted_with_the_excess(results, rows):
    fund = results[1].funds.filter(arrangement="linked", house="HKCC")["size"][0]
    where = {"house": "HKCC", "when": "linked"}
    assert one(rows, "4.4.8", "two groups", **where) == 1
    assert one(rows, "4.4.9", "two groups", **where) == pytest.approx(425e6 - fund)
    assert one(rows, "4.4.8", "two groups", house="HKSCC", when="linked") == 0
    assert one(rows, "4.4.9", "two groups", house="HKSCC", when="linked") == 0


def test_a_loss_equal_to_the_fund_does_not_exceed_it(results):
    stress = results[1]
    exact = pl.when(arrangement="linked", house="HKCC").then(425e6).otherwise(pl.col("size"))
    rows = pqd_rows(None, replace(stress, funds=stress.funds.with_columns(size=exact)), None)
    assert one(rows, "4.4.8", "two groups", house="HKCC", when="linked") == 0
    assert one(rows, "4.4.9", "two groups", house="HKCC", when="linked") == 0


def test_a_guarantee_has_its_own_rows(results, rows):
    guaranteed = rows.filter(pl.col("description").str.contains("guarantee"))
    expected = results[1].cover.filter(pl.col("guarantee") != "none")
    assert len(guaranteed) == len(expected) == 6
    assert guaranteed["value"].sum() == pytest.approx(expected["over_margin"].sum())
    assert set(guaranteed["when"]) == {"linked"}


def test_cover_standards_and_close_out_days_are_those_of_the_results(rows):
    found = rows.filter(item="4.4.1", when="today").select("house", "value")
    assert dict(found.iter_rows()) == {"HKSCC": 2, "HKCC": 2, "SEOCH": 1}
    assert rows.filter(item="4.4.1", when="merged")["house"].to_list() == ["merged"]
    days = rows.filter(item="4.4.2").select("house", "value")
    assert list(days.iter_rows()) == [("HKSCC", 2), ("HKCC", 2), ("SEOCH", 1)]


def test_default_resources_are_those_of_the_funds(results, rows):
    for row in results[1].funds.filter(arrangement="linked").iter_rows(named=True):
        where = {"house": row["house"], "when": "linked"}
        assert one(rows, "4.1", "of the house", **where) == round(row["house_share"], 2)
        assert one(rows, "4.1", "of participants", **where) == round(row["members_share"], 2)


def test_margin_required_is_counted_once_whatever_the_number_of_scenarios(results, rows):
    margins = results[1].losses.unique(["arrangement", "house", "group"])
    for arrangement, house in (("today", "HKSCC"), ("linked", "SEOCH")):
        expected = margins.filter(arrangement=arrangement, house=house)["margin"].sum()
        assert one(rows, "6.1", "required", when=arrangement, house=house) == pytest.approx(expected)
    merged = margins.filter(arrangement="merged")["margin"].sum()
    assert one(rows, "6.1", "required", when="merged", house="merged") == pytest.approx(merged)


def test_the_reduction_is_a_share_of_what_would_have_been_held(rows):
    today = sum(rows.filter(item="6.1", when="today")["value"])
    for arrangement in ("linked", "merged"):
        held = sum(rows.filter(item="6.1", when=arrangement)["value"])
        found = one(rows, "20.7", "reduction", when=arrangement, house="all")
        assert found == pytest.approx(1 - held / today)
    assert one(rows, "20.7", "reduction", when="linked") == pytest.approx(0.3)


def test_coverage_rows_are_those_of_the_backtest(results, rows):
    columns = ("exceedances", "observations", "coverage", "average_uncovered", "peak_uncovered")
    houses = results[0].houses
    for item, column in zip(("6.5.1", "6.5.2", "6.5.3", "6.5.4", "6.5.5"), columns, strict=True):
        found = rows.filter(item=item)
        assert found["value"].to_list() == pytest.approx(houses[column].to_list(), abs=0.005), item
        assert found["when"].to_list() == houses["when"].to_list()
        assert found["house"].to_list() == houses["house"].to_list()
    assert set(rows.filter(item="6.5.5")["unit"]) == {"HKD"}
    assert rows.filter(item="6.5.5")["note"].str.contains("2024-08-05").all()


def test_a_house_without_observation_has_null_coverage():
    rows = pqd_rows(made.backtest(observations=0), None, None)
    assert rows.filter(item="6.5.2")["value"].sum() == 0
    assert rows.filter(item="6.5.3")["value"].is_null().all()


def test_the_largest_rise_is_that_of_the_measures_and_says_that_days_are_sparse(results, rows):
    measures = results[2].measures.filter(tool="as set")
    rises = dict(measures.select("series", "largest_call").iter_rows())
    assert one(rows, "6.8", "rise", house="all", when="before") == round(rises["silo"], 2)
    assert one(rows, "6.8", "rise", house="all", when="after") == round(rises["joint"], 2)
    assert {row["house"] for row in rows.filter(item="6.8").iter_rows(named=True)} == {"all", *HOUSES}
    assert rows.filter(item="6.8")["note"].str.contains("every 5 trading days").all()


def test_a_daily_history_is_not_called_sparse(results):
    rows = pqd_rows(None, None, replace(results[2], every=1))
    assert rows.filter(item="6.8")["note"].str.contains("margins of every day").all()


def test_without_procyclicality_the_largest_rise_is_that_of_the_accounts(results):
    backtest = results[0]
    rows = pqd_rows(backtest, None, None).filter(item="6.8")
    accounts = backtest.history.filter(kind="account", house="HKCC")
    sums = [sum(accounts.filter(pl.col("date") == day)["before"]) for day in backtest.days]
    largest = max(b - a for a, b in pairwise(sums))
    assert rows.filter(house="HKCC", when="before")["value"][0] == pytest.approx(largest, abs=0.01)
    assert len(rows) == 2 * len(HOUSES)


def test_unknown_ratios_are_left_out(rows):
    found = rows.filter(pl.col("item").str.starts_with("6.9"))["description"]
    assert not found.str.contains(" 1 trading days").any()
    assert found.str.contains(" 5 trading days").any()


def test_the_share_that_is_cross_margined_is_of_the_last_day(results, rows):
    backtest = results[0]
    last = backtest.history.filter(date=backtest.days[-1])
    joint = last.filter(kind="joint account")["before"].sum()
    outside = last.filter(pl.col("kind").is_in(["account", "rest"]))["after"].sum()
    share = joint / (joint + outside)
    assert one(rows, "20.7", "stand-alone") == pytest.approx(share)


def test_decimals_and_floats_come_to_the_same(results, rows):
    def exactly(frame):
        floats = [name for name in ("loss", "margin", "over_margin", "size") if name in frame.columns]
        return frame.with_columns(pl.col(name).cast(pl.Decimal(38, 2)) for name in floats)

    stress = results[1]
    decimal = replace(stress, losses=exactly(stress.losses), funds=exactly(stress.funds))
    assert isinstance(decimal.losses["margin"][0], Decimal)
    found = pqd_rows(results[0], decimal, results[2])
    assert found.drop("value").equals(rows.drop("value"))
    assert found["value"].to_list() == pytest.approx(rows["value"].to_list(), rel=1e-9, abs=0.01)


def test_nothing_tested_is_no_row():
    assert pqd_rows(None, None, None).is_empty()
    assert pqd_rows(None, None, None).columns == COLUMNS
