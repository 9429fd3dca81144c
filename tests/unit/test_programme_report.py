"""Reports of a comparison of programmes: terminal, page, documents, folder."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from comparison_data import AS_OF, DESIGNS, HIGHER, LEGAL_STATUS, comparison, joint_name, names
from page_elements import Elements
from rich.console import Console

from crossmargin.errors import InputError, RangeError
from crossmargin.models.market import HOUSES
from crossmargin.programmes.outcome import BINDINGS
from crossmargin.programmes.programme import Programme
from crossmargin.reports.amounts import full_amount, millions, percent
from crossmargin.reports.charts import Bar, Row, bar_chart, waterfall
from crossmargin.reports.programmes import summary
from crossmargin.reports.programmes.documents import comparison_document, write_report
from crossmargin.reports.programmes.page import comparison_page
from crossmargin.reports.programmes.terminal import comparison_report, joint_account_report
from crossmargin.reports.tables import page_table
from crossmargin.reports.terminal import money

HOSTILE = "<script>alert(1)</script> & \"quoted\" 'name' {{ 7 * 7 }}"


@pytest.fixture(scope="module")
def compared():
    return comparison()


@pytest.fixture(scope="module")
def page(compared):
    return comparison_page(compared).decode()


def silo():
    """A programme that joins nothing, as today: its tables of joint accounts and rises have no row."""
    one = comparison().results[0]
    today = pl.col("today")
    nothing = {"requirement": today, "saving": today - today, "share": pl.lit(0.0)}
    return replace(
        one,
        programme=Programme(name="today", mode="silo"),
        accounts=one.accounts.with_columns(joint_account=pl.lit(None, pl.String), **nothing),
        participants=one.participants.with_columns(**nothing),
        houses=one.houses.with_columns(joint_accounts=pl.lit(0, pl.Int64), **nothing),
        joint_accounts=one.joint_accounts.clear(),
        risen=one.risen.clear(),
        steps=pl.DataFrame({"step": ["today", "requirement"], "amount": [one.today, one.today]}),
    )


def with_silo():
    return replace(comparison(), results=(silo(), *comparison().results))


def shown(renderable):
    console = Console(file=io.StringIO(), width=240)
    console.print(renderable)
    return console.file.getvalue()


# Amounts


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("1234567890.12", "HK$1,234.6m"),
        ("-1234567.00", "−HK$1.2m"),
        ("50000.00", "HK$0.1m"),
        ("49999.99", "HK$0.0m"),
        ("-50000.00", "−HK$0.1m"),
        ("-10000.00", "HK$0.0m"),
        ("0.00", "HK$0.0m"),
    ],
)
def test_millions_round_a_half_away_from_zero_and_know_no_negative_zero(amount, text):
    assert millions(Decimal(amount), "HKD") == text


def test_another_currency_stands_as_its_code():
    assert millions(Decimal(2_000_000), "EUR") == "EUR\N{NO-BREAK SPACE}2.0m"


def test_full_amounts_keep_every_digit():
    assert full_amount(Decimal("-123456789012345678.90")) == "−123,456,789,012,345,678.90"


def test_percentages_know_no_negative_zero():
    assert [percent(share) for share in (0.1234, -0.05, -0.0001, 0.0)] == ["12.3%", "−5.0%", "0.0%", "0.0%"]


# Summary


def test_the_system_table_has_the_totals_of_the_results(compared):
    table = summary.system_table(compared)
    for row, result in zip(table.iter_rows(named=True), compared.results, strict=True):
        assert row["today"] == result.accounts["today"].sum()
        assert row["saving"] == result.accounts["saving"].sum() == row["today"] - row["requirement"]
        assert row["share"] == float(row["saving"] / row["today"])
        joined = result.accounts.filter(pl.col("type") == "house")["today"].sum()
        assert row["joined"] == float(joined / row["today"])
        assert row["higher"] == 1


def test_what_decided_counts_every_joint_account_once_in_the_order_of_reasons(compared):
    table = summary.binding_table(compared)
    for result in compared.results:
        rows = table.filter(pl.col("programme") == result.programme.name)
        places = [BINDINGS.index(binding) for binding in rows["binding"]]
        assert places == sorted(places)
        assert rows["joint_accounts"].sum() == len(result.joint_accounts)
        assert rows["saving"].sum() == result.joint_accounts["saving"].sum()


def test_bands_count_every_participant_once_and_hold_their_upper_bound():
    one = comparison().results[0]
    savings = ["0.00", "-0.01", "5.00", "5.01", "50.00", "50.01", "99.00"]
    table = pl.DataFrame(
        {
            "participant": [f"P{i}" for i in range(len(savings))],
            "group": "G",
            "house": "HKCC",
            "today": [Decimal("100.00")] * len(savings),
            "saving": [Decimal(saving) for saving in savings],
        }
    ).with_columns(requirement=pl.col("today") - pl.col("saving"))
    bands = summary.band_table(replace(comparison(), results=(replace(one, participants=table),)))
    counted = dict(bands.filter(pl.col("0") > 0).iter_rows())
    assert counted == {"higher": 1, "none": 1, "0 to 5%": 1, "5 to 10%": 1, "45 to 50%": 1, "above 50%": 2}


def test_steps_of_all_programmes_stand_in_one_table_with_the_requirement_last():
    table = summary.step_table(with_silo())
    assert table["step"][0] == "today"
    assert table["step"][-1] == "requirement"
    assert table["0"].to_list() == [silo().today, *[None] * (len(table) - 2), silo().today]
    assert all(sum(table[str(i)][:-1]) == table[str(i)][-1] for i in range(1, 6))


def test_an_account_is_explained_by_the_programme_in_which_it_saves_most(compared):
    assert summary.explained_by(compared, joint_name(names(2)[1])).programme.name == "merged house"
    assert len(summary.account_across(compared, joint_name(names(2)[1]))) == len(DESIGNS)


def test_an_unknown_joint_account_is_refused(compared):
    with pytest.raises(InputError, match="nobody"):
        comparison_page(compared, highlighted="nobody")


# Charts


def test_a_waterfall_begins_each_step_where_the_last_ended():
    rows = waterfall(["a", "b", "less", "more", "left"], [60, 40, -30, 5, 75], [""] * 5, opening=2)
    assert [row.bars for row in rows] == [
        (Bar(0, 60, "level"),),
        (Bar(60, 100, "level"),),
        (Bar(100, 70, "saving"),),
        (Bar(70, 75, "rise"),),
        (Bar(0, 75, "level"),),
    ]


def test_a_chart_has_a_title_a_description_and_escaped_text():
    rows = [Row(HOSTILE, "1", (Bar(0, 1, "level"),), mark=0.5)]
    chart = bar_chart(rows, (0, 1), name="one", title=HOSTILE, description=HOSTILE)
    elements = Elements(chart)
    assert elements.open == []
    assert elements.of("svg")[0]["aria-labelledby"] == "one-title one-desc"
    assert [a["id"] for _, a in elements.tags if "id" in a] == ["one-title", "one-desc"]
    assert elements.of("script") == []
    assert sum(HOSTILE in text for _, text in elements.texts) == 2
    assert HOSTILE[:20] in "".join(text for tag, text in elements.texts if tag == "text")


def test_a_chart_without_amounts_is_drawn():
    assert "svg" in bar_chart(
        [Row("a", "0", (Bar(0, 0, "level"),))], (0, 0), name="n", title="t", description="d"
    )


@pytest.mark.parametrize("amount", [float("nan"), float("inf")])
def test_a_chart_of_what_is_not_finite_is_refused(amount):
    with pytest.raises(RangeError, match="not finite"):
        bar_chart([Row("a", "1", (Bar(0, amount, "level"),))], (0, 1), name="n", title="t", description="d")


def test_steps_that_do_not_add_up_are_a_mistake():
    one = comparison().results[0]
    wrong = one.steps.with_columns(amount=pl.col("amount") + Decimal("0.01"))
    with pytest.raises(AssertionError, match="do not add up"):
        comparison_page(replace(comparison(), results=(replace(one, steps=wrong),)))


# Page


def test_headline_numbers_are_those_of_the_results(compared, page):
    found = {
        (data["data-programme"], data["data-field"]): data["data-value"]
        for data in Elements(page).of("data")
        if "data-programme" in data
    }
    for result in compared.results:
        name = result.programme.name
        assert found[name, "saving"] == str(result.saving)
        assert found[name, "requirement"] == str(result.requirement)
        assert float(found[name, "share"]) == result.share
    assert len(found) == 3 * len(compared.results)


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(page):
    elements = Elements(page)
    assert elements.open == []
    assert not [a for _, a in elements.tags if {"src", "href", "xlink:href", "action", "srcset"} & a.keys()]
    assert "url(" not in page
    assert "@import" not in page
    assert set(re.findall(r"https?://[^\s\"'<]+", page)) == {"http://www.w3.org/2000/svg"}


def test_headings_do_not_skip_a_level_and_table_heads_say_what_they_head(page):
    elements = Elements(page)
    levels = [int(tag[1]) for tag, _ in elements.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert all(head["scope"] in {"row", "col"} for head in elements.of("th"))
    assert len(elements.of("table")) == len(elements.of("caption"))


def test_names_on_the_page_are_unique(page):
    found = [attributes["id"] for _, attributes in Elements(page).tags if "id" in attributes]
    assert len(found) == len(set(found))


def test_the_page_says_what_holds_in_law_and_what_the_data_are(page, compared):
    assert LEGAL_STATUS.removeprefix("hypothetical") in page
    assert compared.data_note in page
    assert AS_OF.isoformat() in page
    assert "ab" * 32 in page


@pytest.mark.parametrize("called", [True, False])
def test_where_the_joint_margin_is_higher_is_shown_whether_called_or_not(called):
    compared = comparison(higher_called=called)
    section = comparison_page(compared).decode().split('id="risen"')[1].split("</section>")[0]
    assert section.count(f">{joint_name(names(HIGHER + 1)[HIGHER])}</td>") == len(DESIGNS)
    assert section.count(f'data-value="{called}"') == len(DESIGNS)


def test_text_from_data_is_escaped():
    compared = replace(comparison(4, hostile=HOSTILE), market=HOSTILE, data_note=HOSTILE)
    page = comparison_page(compared, highlighted=joint_name(HOSTILE)).decode()
    elements = Elements(page)
    assert elements.open == []
    assert len(elements.of("script")) == 1
    assert "<script>alert" not in page
    assert HOSTILE in "".join(text for tag, text in elements.texts if tag == "th")
    assert "{{ 7 * 7 }}" in page


def test_a_programme_that_joins_nothing_is_shown_beside_the_others():
    page = comparison_page(with_silo()).decode()
    assert 'data-programme="today" data-field="saving" data-value="0.00"' in page
    assert "Joint margin nowhere higher" in page


def test_a_comparison_without_joint_accounts_has_a_page_without_that_section():
    page = comparison_page(replace(comparison(), results=(silo(),))).decode()
    assert 'id="account"' not in page
    assert "Nowhere under any of these programmes." in page


def test_as_many_participants_are_listed_as_asked_for(compared):
    page = comparison_page(compared, participants=7).decode()
    section = page.split('id="participants"')[1].split("</section>")[0]
    rows = re.findall(
        r'<th scope="row"[^>]*>([^<]+)</th><td data-field="group".*?data-field="today" data-value="([^"]+)"',
        section,
    )
    assert len(rows) == 7
    assert [Decimal(today) for _, today in rows] == sorted((Decimal(t) for _, t in rows), reverse=True)


def test_the_page_is_the_same_in_another_process(page):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from comparison_data import comparison;"
        "from crossmargin.reports.programmes.page import comparison_page as make;"
        "make(comparison(5)); sys.stdout.buffer.write(make(comparison()))"
    )
    support = str(Path(__file__).parents[1] / "support")
    other = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error", "-c", code, support],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7", "POLARS_MAX_THREADS": "1"},
    )
    assert other.stdout.decode() == page
    assert other.stderr == b""


def test_a_cell_without_a_value_shows_a_dash():
    table = page_table("c", pl.DataFrame({"a": ["x", "x", "y"], "b": [None, True, False]}), grouped=True)
    assert [row[1].text for row in table.rows] == ["–", "yes", "no"]
    assert table.spans == (2, 0, 1)


# Documents


def test_json_holds_everything_exactly(compared):
    plain = json.loads(comparison_document(compared, "json"))
    for one, result in zip(plain["results"], compared.results, strict=True):
        assert one["programme"]["name"] == result.programme.name
        assert Decimal(one["saving"]) == result.saving
        for table in ("houses", "participants", "accounts", "joint_accounts", "steps", "risen"):
            assert list(one[table]) == getattr(result, table).columns
        assert [Decimal(v) for v in one["accounts"]["requirement"]] == result.accounts[
            "requirement"
        ].to_list()
        assert one["provenance"]["input_hashes"]["cube"] == "cd" * 32
    assert plain["findings"]["subject"] == compared.findings["subject"].to_list()


def test_csv_and_parquet_hold_a_row_a_programme(compared):
    rows = [*csv.DictReader(comparison_document(compared, "csv").decode().splitlines())]
    assert [row["programme"] for row in rows] == [design[0] for design in DESIGNS]
    assert [Decimal(row["saving"]) for row in rows] == [result.saving for result in compared.results]
    parquet = pl.read_parquet(comparison_document(compared, "parquet"))
    assert parquet.equals(summary.system_table(compared))


def test_a_folder_has_the_page_and_every_table_with_the_programme_first(tmp_path, compared, page):
    folder = tmp_path / "new" / "report"
    written = write_report(compared, folder)
    assert sorted(path.name for path in written) == sorted(path.name for path in folder.iterdir())
    assert written[0].read_text(encoding="utf-8") == page
    assert (folder / "comparison.json").read_bytes() == comparison_document(compared, "json")
    for table in ("accounts", "joint_accounts", "participants", "houses", "risen"):
        rows = [*csv.DictReader((folder / f"{table}.csv").read_text(encoding="utf-8").splitlines())]
        assert next(iter(rows[0])) == "programme"
        assert len(rows) == sum(len(getattr(result, table)) for result in compared.results)


def test_nothing_is_written_where_the_page_cannot_be_made(tmp_path, compared):
    with pytest.raises(InputError):
        write_report(compared, tmp_path / "report", highlighted="nobody")
    assert not (tmp_path / "report").exists()


# Terminal


def test_the_terminal_shows_every_programme_house_and_rise(compared):
    text = shown(comparison_report(compared))
    for result in compared.results:
        assert money(result.saving) in text
        assert percent(result.share) in text
    assert all(house in text for house in HOUSES)
    assert joint_name(names(HIGHER + 1)[HIGHER]) in text
    assert LEGAL_STATUS in text


def test_the_terminal_says_so_where_nothing_is_higher():
    assert "higher: nowhere" in shown(comparison_report(replace(comparison(), results=(silo(),))))


def test_the_terminal_explains_a_joint_account(compared):
    account = compared.results[2].of(joint_name(names(1)[0]))
    text = shown(joint_account_report(account, "HKD"))
    assert all(money(amount) in text for amount in account.steps["amount"])
    assert "scenarios in the tail: 10" in text
    assert "-0.91" in text


def test_neither_charts_nor_templates_are_loaded_before_a_page_is_made():
    code = (
        "import sys, crossmargin.reports.programmes.documents, crossmargin.reports.programmes.terminal;"
        "print(sorted({'altair', 'jinja2', 'vl_convert', 'markupsafe'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)  # noqa: S603
    assert done.stdout.strip() == "[]"
