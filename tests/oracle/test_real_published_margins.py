"""HKCC's published margin levels of the Hang Seng Index future beside this engine's."""

from __future__ import annotations

import csv
import re
from datetime import date

import numpy as np
import pytest
import real_coverage
from real_market import DATA, requires_real_data
from real_published import (
    CLEARING_RATIO,
    IMAGES,
    LEVELS,
    PLOTS,
    announced,
    compared,
    correlations,
    crisis,
    daily,
    drawing,
    engine,
    monthly,
    place_before,
)

pytestmark = requires_real_data


@pytest.mark.parametrize(
    "name", ["published-levels", "published-gap", "published-lag", "published-correlation"]
)
def test_the_page_shows_what_is_computed(name):
    assert real_coverage.shown(name) == real_coverage.TABLES[name]()


def test_levels_are_those_of_the_file_and_holidays_are_none_of_them():
    with (DATA / LEVELS).open(newline="", encoding="utf-8") as text:
        rows = [row for row in csv.DictReader(text) if row["product"] == "HSI"]
    used = [row for row in rows if not re.search("temporary|broker", row["status"])]
    assert sorted(level.initial for level in announced()) == sorted(
        float(row["client_initial_hkd"]) for row in used
    )
    assert len(rows) - len(used) == 6
    for level in announced():
        assert level.initial / level.maintenance == pytest.approx(1.25, rel=2e-3)


def test_the_one_level_told_of_the_clearing_house_gives_the_ratio():
    told = next(level for level in announced() if level.day == date(2017, 5, 2))
    assert told.clearing == 60_100
    assert told.initial / told.clearing == pytest.approx(CLEARING_RATIO, rel=1e-3)
    same = next(level for level in monthly() if level.day == told.day)
    assert same.initial == pytest.approx(told.initial, rel=2e-3)  # the series in USD, turned back


def test_the_engine_s_margin_is_of_the_trading_day_before():
    days = engine()[0]
    for pair in compared(announced()):
        at = place_before(pair.level.day)
        assert days[at] < np.datetime64(pair.level.day) <= days[at + 1]
        assert pair.rate("initial") == pytest.approx(pair.level.initial / (50 * pair.index))


def test_a_lag_is_told_only_where_levels_are_known_during_the_rise():
    for name in ("2008", "2011", "2015"):
        found = crisis(name)
        assert not [pair for pair in found.inside if found.start < pair.level.day < found.peak]
    rise = crisis("2018")
    assert len([pair for pair in rise.inside if rise.start < pair.level.day <= rise.peak]) >= 3


def test_published_levels_follow_within_days_where_every_change_is_known():
    found = correlations()
    assert max(found, key=found.get) in range(6)
    days, ours, theirs = daily()
    assert days.size == ours.size == theirs.size > 600


SHAPE = re.compile(r' d="([^"]*)"')
TEXT = re.compile(r"<text[^>]*>([^<]*)</text>")


@pytest.mark.parametrize("name", PLOTS)
def test_plots_are_those_of_the_page(name):
    made, kept = drawing(name), (IMAGES / name).read_text(encoding="utf-8")
    assert f"images/{name}" in real_coverage.PAGE.read_text(encoding="utf-8")
    assert TEXT.findall(made) == TEXT.findall(kept)
    shapes = [
        [float(number) for number in re.findall(r"-?\d+\.?\d*", " ".join(SHAPE.findall(text)))]
        for text in (made, kept)
    ]
    assert shapes[0] == pytest.approx(shapes[1], abs=0.01)
