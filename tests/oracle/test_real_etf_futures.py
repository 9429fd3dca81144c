"""The Tracker Fund against index futures on real prices: margins, and what the next two days made of them."""

from __future__ import annotations

import csv

import pytest
from real_books import AMOUNT, INDEX_MULTIPLIER, etf_futures_books
from real_evidence import (
    DAYS,
    LINKED,
    MERGED,
    POT,
    TABLES,
    by_book,
    chosen,
    etf_futures,
    outcomes,
    proxies,
    settings,
    shown,
)
from real_market import DATA, INDICES, TRACKER_FUND, requires_real_data

pytestmark = requires_real_data

CAP = 0.80
CENT = 0.01


@pytest.mark.parametrize("name", ["etf-futures", "etf-futures-held", "etf-futures-history"])
def test_the_page_shows_what_is_computed(name):
    assert shown(name) == TABLES[name]()


def closes(file, column):
    with (DATA / file).open(newline="", encoding="utf-8") as text:
        return {row["Date"][:10]: float(row[column]) for row in csv.DictReader(text) if row[column]}


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_gains_are_those_of_the_price_files(day):
    fund, index = closes(TRACKER_FUND, "Adj Close"), closes(INDICES["HSI"], "Close")
    days = [at for at in sorted(index) if at >= str(day)][:3]
    books = etf_futures_books(day)
    shares = round(AMOUNT / fund[days[0]])
    contracts = round(AMOUNT / (index[days[0]] * INDEX_MULTIPLIER))
    for ahead in (1, 2):
        leg = shares * (fund[days[ahead]] - fund[days[0]])
        hedge = -contracts * INDEX_MULTIPLIER * (index[days[ahead]] - index[days[0]])
        assert books.gain("long fund", ahead) == pytest.approx(leg + hedge)
        assert books.gain("long fund", ahead, "HKSCC") == pytest.approx(leg)
        assert books.gain("short fund", ahead) == pytest.approx(-leg - hedge)


def test_no_design_asks_for_more_than_the_houses_alone_and_caps_hold():
    for row in etf_futures():
        assert 0 < row.requirement <= row.together + CENT
        if row.programme != MERGED:
            assert row.saving <= CAP + 1e-6
        if row.programme == LINKED:
            assert row.saving == pytest.approx(min(CAP, *row.found.values()), abs=1e-6)
        if row.programme == MERGED:
            assert row.saving == pytest.approx(row.found["expected_shortfall"], abs=1e-6)


def test_silos_ask_for_the_stand_alone_margins_of_the_legs():
    day = DAYS[0]
    rows = outcomes(etf_futures_books(day), chosen("silo", LINKED), settings())
    for under in by_book(rows).values():
        assert under["silo"].held == under["silo"].alone == under[LINKED].alone


def test_stress_asks_for_more_than_calm_and_the_cap_makes_one_pot_dearer_than_a_merged_house():
    under = by_book(etf_futures())
    for book in ("long fund", "short fund"):
        calm, stress = under[DAYS[5], book], under[DAYS[1], book]
        for programme in (LINKED, POT, MERGED):
            assert stress[programme].requirement > calm[programme].requirement
    assert all(each[POT].requirement >= each[MERGED].requirement - CENT for each in under.values())


def test_without_the_residual_the_merged_house_is_not_enough():
    found = {key: by_book(rows) for key, rows in proxies().items()}
    ways = list(dict.fromkeys(way for way, _ in found))
    with_residual, without = ways[0], ways[1]
    short = dict.fromkeys(ways, 0)
    for (way, day), under in found.items():
        for book, each in under.items():
            short[way] += each[MERGED].short > 0
            if way == without:
                assert each[MERGED].requirement < found[with_residual, day][book][MERGED].requirement
            assert not each[LINKED].short
    assert short[with_residual] == 0
    assert short[without] > 0
