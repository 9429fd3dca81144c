"""The demo as its user runs it: market, comparison and report from one command, and the page in Chromium."""

from __future__ import annotations

import json
from decimal import Decimal

import polars as pl
import pytest
from chromium_driver import chromium, requested, requires_chromium

from crossmargin import cli
from crossmargin.formats.programme_files import designs

pytestmark = requires_chromium

FIELDS = ("requirement", "saving")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    assert cli.main(["demo", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def page(folder):
    with chromium() as driver:
        driver.get((folder / "report" / "report.html").as_uri())
        yield driver


def headline(page):
    """Programme → field → exact amount that the page's headline carries."""
    found = page.execute_script(
        "return [...document.querySelectorAll('[data-programme][data-field][data-value]')]"
        ".map(e => [e.dataset.programme, e.dataset.field, e.dataset.value])"
    )
    return {(programme, field): value for programme, field, value in found if field in FIELDS}


def test_the_page_is_whole_by_itself(page, folder):
    assert page.get_log("browser") == []
    assert requested(page) == [(folder / "report" / "report.html").as_uri()]


def test_the_headline_is_what_the_tables_add_up_to(page, folder):
    shown = headline(page)
    names = [design.name for design in designs()]
    assert {programme for programme, _ in shown} == set(names)
    houses = pl.read_csv(folder / "report" / "houses.csv", infer_schema=False)
    for name in names:
        rows = houses.filter(programme=name)
        for field in FIELDS:
            total = sum(Decimal(amount) for amount in rows[field])
            assert Decimal(shown[name, field]) == total, (name, field)


def test_accounts_participants_and_houses_come_to_the_same(folder):
    for table in ("accounts", "participants"):
        rows = pl.read_csv(folder / "report" / f"{table}.csv", infer_schema=False)
        houses = pl.read_csv(folder / "report" / "houses.csv", infer_schema=False)
        for (name, house), part in rows.group_by("programme", "house"):
            of_house = houses.filter(programme=name, house=house)
            for field in FIELDS:
                total = sum(Decimal(amount) for amount in part[field])
                assert total == Decimal(of_house[field][0]), (table, name, house, field)


def test_the_document_says_what_it_is(folder):
    content = json.loads((folder / "report" / "comparison.json").read_text(encoding="utf-8"))
    assert "SYNTHETIC" in content["data_note"]
    text = (folder / "report" / "report.html").read_text(encoding="utf-8")
    assert "Hypothetical" in text
