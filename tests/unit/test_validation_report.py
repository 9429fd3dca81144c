"""Reports of a validation: verdict, terminal, page, charts, documents, folder."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import fields, replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
import validation_results as made
from page_elements import Elements

from crossmargin.errors import InputError, RangeError
from crossmargin.reports.lines import STYLES, Line, date_marks, levels, line_chart, thinned
from crossmargin.reports.validation.backtested import below_count, lowest_coverage, reached, zone_table
from crossmargin.reports.validation.documents import validation_document, write_validation
from crossmargin.reports.validation.figures import tool_figure
from crossmargin.reports.validation.forms import coverage_text, shown
from crossmargin.reports.validation.page import validation_page
from crossmargin.reports.validation.procyclicality_section import procyclicality_section
from crossmargin.reports.validation.stressed import cover_table, first_exhausted, liquidation_table, total
from crossmargin.reports.validation.terminal import backtest_report, procyclicality_report, stress_report
from crossmargin.reports.validation.verdict import verdict

HOSTILE = "<script>alert(1)</script> & \"quoted\" 'name' {{ 7 * 7 }} [bold]x[/bold] :smile:"
LEGS = "legs at HKSCC; legs at HKCC; legs at SEOCH"


@pytest.fixture(scope="module")
def results():
    return made.backtest(), made.stress(), made.procyclicality()


@pytest.fixture(scope="module")
def page(results):
    return validation_page(*results).decode()


def section(page, name):
    return page.split(f'<section id="{name}"')[1].split("</section>")[0]


def table(page, caption):
    """Return the table whose caption has these words."""
    found = [one for one in page.split("<table")[1:] if caption in one.split("</caption>")[0]]
    return found[0].split("</table>")[0]


# Forms


@pytest.mark.parametrize(
    ("coverage", "text"),
    [
        (0.98999, "98.99%"),
        (0.99, "99.00%"),
        (0.9899999999999999, "99.00%"),
        (0.9999999, "99.99%"),
        (1.0, "100.00%"),
        (Decimal("0.98999"), "98.99%"),
    ],
)
def test_a_coverage_is_rounded_down_so_that_none_seems_reached_that_is_not(coverage, text):
    assert coverage_text(coverage) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("peak_uncovered", 1234567.5, "1,234,568"),
        ("peak_uncovered", Decimal("1234567.50"), "1,234,568"),
        ("over_margin", -0.4, "0"),
        ("loss", Decimal("-1234.56"), "−1,235"),
        ("kupiec_p", 0.00012, "below 0.001"),
        ("kupiec_p", 0.0456, "0.046"),
        ("peak_to_trough", 2.345, "2.35 ×"),
        ("z2", -0.704, "−0.70"),
        ("cost", 0.1, "+10.0%"),
        ("2024", 0.98999, "98.99%"),
        ("exceedances", 1234, "1,234"),
        ("peak_date", date(2024, 8, 5), "2024-08-05"),
        ("coverage", None, "–"),
        ("base", True, "yes"),
    ],
)
def test_a_column_is_shown_alike_from_decimals_and_floats(name, value, text):
    assert shown(name, value) == text


def test_what_is_asked_for_is_counted_in_observations():
    assert reached(100, 1, 0.99)
    assert not reached(100, 2, 0.99)
    assert not reached(99, 1, 0.99)
    assert reached(2600, 26, 0.99)
    assert reached(1000, 5, 0.995)


def test_sums_are_exact_for_decimals_and_do_not_depend_on_order_for_floats():
    assert total([Decimal("0.10"), None, Decimal("0.20")]) == Decimal("0.30")
    assert total([1e16, 1.0, -1e16]) == total([1.0, -1e16, 1e16]) == 1.0
    assert total([]) == 0


# Tables


def test_series_with_the_lowest_coverage_come_first(results):
    lowest = lowest_coverage(results[0])
    assert lowest["coverage"].to_list() == sorted(lowest["coverage"])
    assert lowest["coverage"][0] == 1 - 19 / 520
    assert set(lowest.head(3)["kind"]) == {"leg"}
    assert len(lowest) == 7 * (made.SERIES - 1)
    assert lowest["coverage_before"].null_count() == 0
    assert below_count(results[0]) == 12


def test_zones_are_counted_with_series_that_have_none(results):
    table = zone_table(results[0])
    assert (
        table.select(pl.sum_horizontal("green", "yellow", "red", "none")).to_series() == made.SERIES
    ).all()
    legs = table.filter(kind="leg", when="after")
    assert list(legs.select("green", "yellow", "red", "none").iter_rows()) == [(2, 1, 2, 1)] * 3


def test_funds_are_set_against_the_loss_of_their_standard(results):
    table = cover_table(results[1])
    for row in table.iter_rows(named=True):
        loss = row["one"] if row["standard"] == 1 else row["two"]
        assert row["left"] == row["fund"] - loss
    small = table.filter(arrangement="linked", house="HKCC")
    assert small["left"][0] == pytest.approx(336e6 - 425e6)
    assert small["exceeded_two"][0] == 1


def test_a_house_without_a_fund_has_losses_and_nulls(results):
    stress = replace(results[1], funds=results[1].funds.filter(pl.col("house") != "SEOCH"))
    table = cover_table(stress).filter(house="SEOCH")
    assert table["two"].null_count() == 0
    assert table.select("fund", "left", "exceeded_one").null_count().row(0) == (2, 2, 2)
    assert b"no fund" in validation_page(None, stress, None)
    assert "no fund" in stress_report(stress)


def test_reverse_stress_shows_the_scenario_that_needs_least(results):
    reverse = results[1].reverse.with_columns(
        pl.when(pl.col("layer") == "own resources").then(None).otherwise(pl.col("multiple")).alias("multiple")
    )
    table = first_exhausted(replace(results[1], reverse=reverse))
    known = table.filter(layer="survivors' contributions")
    assert (known["multiple"] - 1.5).abs().max() < 1e-12
    assert table.filter(layer="own resources")["multiple"].null_count() == 7
    assert len(table) == 7 * 4


def test_closing_out_together_is_compared_over_groups_that_have_both(results):
    close_out = results[1].close_out.filter(
        ~((pl.col("group") == "Group D") & (pl.col("coordination") == "each house"))
    )
    table = liquidation_table(replace(results[1], close_out=close_out))
    assert table["compared"].to_list() == [3] * 4
    assert table["share"].to_list() == pytest.approx([0.3] * 4)
    assert table["worse"].to_list() == [0] * 4


# Verdict


def test_the_verdict_names_what_fails_with_the_reduced_margin(results):
    found = verdict(*results)
    assert found.safe is False
    assert found.headline == f"The reduced margin was not enough: {LEGS}."


def test_the_verdict_says_so_where_everything_held():
    found = verdict(made.backtest(enough=True), made.stress(enough=True), made.procyclicality())
    assert found.safe is True
    assert found.headline == "The reduced margin was enough in everything that was tested."


def test_the_verdict_tells_what_is_not_enough_today_either(results):
    backtest = results[0]
    short = pl.when(pl.col("kind") == "house").then(260).otherwise(pl.col("exceedances"))
    found = verdict(replace(backtest, houses=backtest.houses.with_columns(exceedances=short)), None, None)
    assert "all margin at HKSCC (nor is today's)" in found.headline
    assert found.headline.index("legs at HKSCC") < found.headline.index("all margin at HKSCC")


def test_the_verdict_says_what_todays_funds_lack():
    """A fund made to cover a loss covers it: the programme is judged with the funds of today."""
    stress = made.stress(enough=True)
    size = pl.when(arrangement="today", house="HKCC").then(340e6).otherwise(pl.col("size"))
    found = verdict(None, replace(stress, funds=stress.funds.with_columns(size=size)), None)
    judged = {one.margin: one for one in found.judgements if one.subject == "fund of HKCC"}
    assert judged["without guarantee"].met is False
    assert judged["without guarantee"].text.endswith("lacks HK$85.0m")
    assert "Without its guarantee today's default funds are not enough: fund of HKCC" in found.headline
    assert judged["today"].met is not True
    relied = stress.cover.filter(arrangement="linked", house="HKCC", guarantee="both ways", cover=2)
    assert judged["programme"].met is (float(relied["over_margin"][0]) <= 340e6)


def test_a_fund_that_grows_with_its_losses_is_no_proof():
    """Sized anew from losses a hundred times as large it would cover them; today's does not, and that is said."""
    stress = made.stress(enough=True)
    linked = pl.col("arrangement") == "linked"
    grown = {
        "cover": stress.cover.with_columns(
            over_margin=pl.when(linked).then(pl.col("over_margin") * 100).otherwise("over_margin")
        ),
        "funds": stress.funds.with_columns(size=pl.when(linked).then(pl.col("size") * 100).otherwise("size")),
    }
    found = verdict(None, replace(stress, **grown), None)
    assert found.safe is False
    assert "fund of HKCC" in found.headline


def test_what_fails_only_without_the_guarantee_is_shown_and_not_counted():
    backtest, stress = made.backtest(enough=True), made.stress(enough=True)
    stress = replace(stress, waterfall=made.waterfall(enough=False))
    found = verdict(backtest, stress, None)
    failed = [one for one in found.judgements if one.met is False]
    assert [one.margin for one in failed] == ["without guarantee"]
    assert "HK$300.0m not covered" in failed[0].text
    assert found.safe is True


def test_an_uncovered_waterfall_counts_where_there_is_no_guarantee():
    stress = replace(made.stress(enough=True), waterfall=made.waterfall().filter(guarantee="none"))
    found = verdict(None, stress, None)
    assert found.headline == "The reduced margin was not enough: waterfall."


def test_nothing_is_said_of_what_was_not_tested(results):
    found = verdict(None, None, results[2])
    assert found.safe is None
    assert "Nothing was tested" in found.headline
    empty = verdict(made.backtest(observations=0), None, None)
    assert empty.safe is None
    assert {one.text for one in empty.judgements} == {"no observation"}


# Terminal


@pytest.mark.parametrize("place", range(3))
def test_the_terminal_keeps_its_width_and_says_what_the_result_is(results, place):
    report = (backtest_report, stress_report, procyclicality_report)[place]
    text = report(results[place])
    assert max(map(len, text.splitlines())) <= 120
    assert made.PROGRAMME in text
    assert made.LEGAL_STATUS in " ".join(text.split())
    assert results[place].provenance.data_note in text


def test_large_amounts_are_shown_in_millions_rather_than_cut(results):
    cycle = results[2]
    amounts = ("mean", "largest_call")
    large = replace(cycle, measures=cycle.measures.with_columns(pl.col(name) * 1e9 for name in amounts))
    text = procyclicality_report(large)
    assert "Measures by series and tool, amounts in millions" in text
    mean = cycle.measures.filter(series="silo", tool="as set")["mean"][0] * 1e3
    row = next(line for line in text.splitlines() if re.match(r"│ silo +│ as set +│", line))
    assert f"{mean:,.0f}"[:16] in row
    assert row.endswith("+4.0% │")
    small = procyclicality_report(cycle)
    assert "Measures by series and tool\n" in small
    rows = [line for line in small.splitlines() if re.match(r"│ silo +│ 10-year floor +│", line)]
    assert rows[0].endswith("+21.0% │")


def test_no_table_of_the_terminal_is_cut_at_its_right_edge(results):
    texts = backtest_report(results[0]), stress_report(results[1]), procyclicality_report(results[2])
    heads = [line for text in texts for line in text.splitlines() if line.startswith("┏")]
    assert len(heads) > 15
    assert all(line.endswith("┓") for line in heads)


def test_the_terminal_says_first_whether_coverage_was_reached(results):
    text = backtest_report(results[0])
    head = text[: text.index("Coverage by house")]
    assert head.count("NOT ENOUGH") == 3
    assert "97.88% of 2,600 observations (99% asked for); 4 series below it" in head
    assert "Of 35 series 12 fall short with the reduced margin" in head
    assert "Invented Securities 004 leg (leg, SEOCH): 96.34%, 19 of 520" in head
    assert "and 25 more" in text


def test_the_terminal_says_so_where_nothing_falls_short():
    text = backtest_report(made.backtest(enough=True))
    assert "No series of 35 falls short" in text
    assert "NOT ENOUGH" not in text


def test_the_terminal_shows_funds_waterfall_and_multiples(results):
    text = stress_report(results[1])
    said = " ".join(text.split())
    assert "against a stressed loss over margin of HK$425.0m of two groups" in said
    assert ", made to cover " in text
    assert "HK$300.0m not covered" in text
    assert re.search(
        r"linked +│ HKCC +│ +2 │ +350,000,000 │ +425,000,000 │ +336,000,000 │ +−89,000,000", text
    )
    assert "1.50 ×" in text


def test_the_terminal_describes_the_rise_and_fall_of_margins(results):
    text = procyclicality_report(results[2])
    row = results[2].measures.filter(series="joint", tool="as set").row(0, named=True)
    assert (
        f"peak {row['peak_to_trough']:.2f} times the trough ({row['peak_date']} to {row['trough_date']})"
        in text
    )
    assert "10-year floor" in text


def test_the_terminal_shows_the_last_years_and_says_so(results):
    years = results[0].years
    many = pl.concat([years.with_columns(year=pl.col("year") - 3 * step) for step in range(4)])
    text = backtest_report(replace(results[0], years=many))
    assert "Coverage by year, the last 8 of 12" in text
    head = text[text.index("Coverage by year") :].splitlines()[2]
    assert re.findall(r"\d{4}", head) == [str(year) for year in range(2018, 2026)]
    page = validation_page(replace(results[0], years=many), None, None).decode()
    assert ">2014</th>" in table(page, "Coverage by year")


def test_empty_tables_are_shown_as_nothing(results):
    backtest, stress, cycle = results
    bare = replace(backtest, sensitivity=backtest.sensitivity.clear(), findings=backtest.findings.clear())
    assert "Sensitivity of the joint model: nothing" in backtest_report(bare)
    none = replace(
        stress,
        waterfall=stress.waterfall.clear(),
        reverse=stress.reverse.clear(),
        close_out=stress.close_out.clear(),
        cover=stress.cover.clear(),
    )
    assert "Waterfall: paid by layers, and not covered: nothing" in stress_report(none)
    still = replace(cycle, impulse=cycle.impulse.clear())
    assert "after a jump of volatility" in procyclicality_report(still)
    text = validation_page(bare, none, still).decode()
    assert Elements(text).open == []
    assert "Nothing." in text


# Lines


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 3.2e10), (0.97, 1.55), (0.0, 0.0), (1.0, 1.0), (-3.0, 17.0), (0.0, 99.0)]
)
def test_levels_are_round_and_enclose_what_is_drawn(low, high):
    found = [level for level, _ in levels(low, high, str)]
    assert found[0] <= low + 1e-9
    assert found[-1] >= high - 1e-9
    assert 2 <= len(found) <= 7
    steps = {round(b - a, 9) for a, b in pairwise(found)}
    assert len(steps) == 1


@pytest.mark.parametrize("years", [0, 1, 2, 5, 12, 22, 60])
def test_days_are_named_within_the_plot_and_not_too_many(years):
    first, last = date(2026 - years, 1, 4), date(2026, 3, 5)
    found = date_marks(first, last)
    assert len(found) <= 9
    assert all(first.toordinal() < at < last.toordinal() for at, _ in found)
    assert years == 0 or found


def test_a_thinned_line_keeps_its_ends_of_every_column():
    amounts = [float((i * 7919) % 1009) for i in range(5000)]
    amounts[2345] = 1e6
    line = thinned(Line("a", list(range(5000)), amounts))
    assert len(line.places) <= 2 * 356
    assert 1e6 in line.amounts
    assert min(line.amounts) == min(amounts)
    assert list(line.places) == sorted(line.places)
    assert thinned(Line("a", [0.0, 1.0], [1.0, 2.0])).amounts == [1.0, 2.0]


def test_lines_have_a_title_a_description_and_their_own_dashes():
    lines = [Line(HOSTILE, [1, 2, 3], [1.0, 2.0, 1.5]), Line("b", [1, 2, 3], [0.0, 1.0, 1.5])]
    chart = line_chart(
        lines, across=[(2.0, "2024")], up=levels(0, 2, str), name="one", title=HOSTILE, description=HOSTILE
    )
    elements = Elements(chart)
    assert elements.of("svg")[0]["aria-labelledby"] == "one-title one-desc"
    strokes = [path for path in elements.of("path") if path.get("stroke", "").startswith("var(--line-")]
    assert [path["stroke"] for path in strokes] == ["var(--line-1)", "var(--line-2)"]
    assert len({path["stroke-dasharray"] for path in strokes}) == 2
    assert elements.of("script") == []


def test_a_line_of_what_is_not_finite_is_refused():
    with pytest.raises(RangeError, match="not finite"):
        line_chart(
            [Line("a", [1, 2], [1.0, float("nan")])],
            across=[],
            up=[(0.0, "0"), (1.0, "1")],
            name="n",
            title="t",
            description="d",
        )


# Page


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(page):
    elements = Elements(page)
    assert elements.open == []
    outside = [a for _, a in elements.tags if {"src", "xlink:href", "action", "srcset"} & a.keys()]
    assert not outside
    names = {a["id"] for _, a in elements.tags if "id" in a}
    assert all(a["href"].removeprefix("#") in names for a in elements.of("a"))
    assert "url(" not in page
    assert set(re.findall(r"https?://[^\s\"'<]+", page)) == {"http://www.w3.org/2000/svg"}


def test_headings_tables_and_names_are_as_a_screen_reader_needs_them(page):
    elements = Elements(page)
    marked = [int(tag[1]) for tag, _ in elements.tags if re.fullmatch(r"h[1-6]", tag)]
    assert marked[0] == 1
    assert marked.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(marked))
    assert all(head["scope"] in {"row", "col"} for head in elements.of("th"))
    assert len(elements.of("table")) == len(elements.of("caption"))
    found = [attributes["id"] for _, attributes in elements.tags if "id" in attributes]
    assert len(found) == len(set(found))


def test_the_verdict_stands_first_with_the_legal_status_before_it(page):
    assert page.index("Legal status") < page.index('class="verdict"') < page.index('id="backtest"')
    assert 'data-safe="False"' in page
    assert f"not enough: {LEGS}." in page
    first = section(page, "headline")
    assert first.count('data-field="met" data-value="False"') == 4


def test_coverage_that_is_short_is_marked_in_words(results, page):
    houses = table(page, "Coverage by house")
    assert houses.count('data-field="short"') == 3
    assert houses.count(">short</span>") == 3
    years = table(page, "Coverage by year")
    assert years.count('data-field="short"') == 9
    assert years.count("99.76%") == 11 * 3
    assert len(results[0].years) == 14 * 3


def test_a_traffic_light_is_a_word_beside_its_colour(page):
    tests = table(page, "Tests of the same series")
    for zone in ("red", "yellow", "green"):
        assert f'data-field="zone" data-value="{zone}">{zone}' in tests


def test_a_finding_of_several_results_is_shown_once(page):
    found = table(page, "left out or replaced")
    assert found.count(">no volatility</th>") == 1
    assert found.count(">no history</th>") == 2, "twice in the backtest, once in procyclicality"
    both = replace(made.stress(), findings=made.findings())
    together = table(validation_page(made.backtest(), both, None).decode(), "left out or replaced")
    assert together.count(">no history</th>") == 1
    assert ">backtest, stress</td>" in together


def test_the_waterfall_is_drawn_with_what_survivors_pay_and_what_nobody_pays(page):
    chart = page.split('aria-labelledby="chart-waterfall-title')[1].split("</svg>")[0]
    used = made.waterfall().filter(arrangement="linked", guarantee="none")
    survivors = used.filter(layer="survivors' contributions")["used"].sum() / 1e6
    assert f"linked, no guarantee, 2008-10-27: survivors / not covered {survivors:.1f} / 300.0" in chart
    for colour in ("level", "house-3", "rise"):
        assert f'fill="var(--{colour})"' in chart


def test_every_layer_of_the_worst_run_is_shown(page):
    first = table(page, "paid by layer")
    for layer in made.LAYERS:
        assert f'data-value="{layer.replace(chr(39), "&#39;")}"' in first
    assert "300,000,000" in first


def test_sections_without_a_result_are_left_out(results):
    text = validation_page(None, None, results[2]).decode()
    assert 'id="procyclicality"' in text
    assert 'id="backtest"' not in text
    assert 'id="stress"' not in text
    assert 'data-safe="None"' in text


def test_results_of_different_programmes_are_refused(results):
    with pytest.raises(InputError, match="another"):
        validation_page(results[0], replace(results[1], programme="another"), None)
    with pytest.raises(InputError, match="at least one"):
        validation_page(None, None, None)


def test_text_from_data_is_escaped():
    backtest, stress = made.backtest(hostile=HOSTILE), made.stress(hostile=HOSTILE)
    page = validation_page(
        replace(backtest, programme=HOSTILE, market=HOSTILE),
        replace(stress, programme=HOSTILE, market=HOSTILE),
        None,
    ).decode()
    elements = Elements(page)
    assert elements.open == []
    assert len(elements.of("script")) == 1
    assert "<script>alert" not in page
    assert "{{ 7 * 7 }}" in page
    text = backtest_report(replace(backtest, programme=HOSTILE))
    assert "[bold]x[/bold] :smile:" in " ".join(text.split())


def test_the_page_is_the_same_in_another_process(page):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import validation_results as made;"
        "from crossmargin.reports.validation.page import validation_page as make;"
        "sys.stdout.buffer.write(make(made.backtest(), made.stress(), made.procyclicality()))"
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


# Documents


def test_json_holds_every_field_of_every_result(tmp_path, results):
    write_validation(tmp_path, *results)
    plain = json.loads((tmp_path / "validation.json").read_text(encoding="utf-8"))
    for name, result in zip(("backtest", "stress", "procyclicality"), results, strict=True):
        assert list(plain[name]) == [field.name for field in fields(result)]
        assert plain[name]["provenance"]["input_hashes"]["market"] == "ab" * 32
        assert plain[name] == json.loads(validation_document(result, "json"))
    assert plain["backtest"]["days"][-1] == "2026-01-05"
    assert plain["backtest"]["coverage"]["coverage"] == results[0].coverage["coverage"].to_list()


def test_decimals_are_written_with_every_digit(results):
    losses = results[1].losses.with_columns(pl.col("loss").cast(pl.Decimal(38, 2)))
    plain = json.loads(validation_document(replace(results[1], losses=losses), "json"))
    assert [Decimal(loss) for loss in plain["losses"]["loss"]] == losses["loss"].to_list()


def test_csv_and_parquet_hold_the_main_table(results):
    for result, table in zip(results, ("coverage", "cover", "measures"), strict=True):
        rows = [*csv.DictReader(validation_document(result, "csv").decode().splitlines())]
        assert list(rows[0]) == getattr(result, table).columns
        assert pl.read_parquet(validation_document(result, "parquet")).equals(getattr(result, table))


def test_a_folder_has_the_page_every_table_and_the_rows(tmp_path, results, page):
    folder = tmp_path / "new" / "report"
    written = write_validation(folder, *results)
    assert sorted(path.name for path in written) == sorted(path.name for path in folder.iterdir())
    assert written[0].read_text(encoding="utf-8") == page
    frames = [
        f"{name}_{field.name}.csv"
        for name, result in zip(("backtest", "stress", "procyclicality"), results, strict=True)
        for field in fields(result)
        if isinstance(getattr(result, field.name), pl.DataFrame)
    ]
    assert {path.name for path in written} == {"report.html", "pqd.csv", "validation.json", *frames}
    rows = pl.read_csv(folder / "stress_losses.csv")
    assert len(rows) == len(results[1].losses)


def test_nothing_is_written_where_the_page_cannot_be_made(tmp_path, results):
    with pytest.raises(InputError):
        write_validation(tmp_path / "report", results[0], replace(results[1], market="another"), None)
    assert not (tmp_path / "report").exists()


def test_neither_charts_nor_templates_are_loaded_before_a_page_is_made():
    code = (
        "import sys, crossmargin.reports.validation.documents, crossmargin.reports.validation.terminal;"
        "print(sorted({'altair', 'jinja2', 'vl_convert', 'markupsafe'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)  # noqa: S603
    assert done.stdout.strip() == "[]"


def test_the_legend_of_tools_names_the_lines_in_their_order(results):
    """A line too many would be drawn as none, and every name behind it would stand at another line."""
    cycle = results[2]
    names = procyclicality_section(cycle).tool_names
    assert names == ["none", "25% buffer", "25% stress weight", "10-year floor"]
    assert len(names) <= len(STYLES)
    drawn = str(tool_figure(cycle))
    shown = drawn[drawn.index("<desc") : drawn.index("</desc>")]
    assert [name in shown for name in names] == [True] * 4
    assert "as set" not in shown
