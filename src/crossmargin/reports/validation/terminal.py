"""Results of a validation as text for a terminal: what holds in words, then tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from crossmargin.programmes.procyclicality.tools import AS_SET
from crossmargin.reports.terminal import note, stamp
from crossmargin.reports.validation.backtested import (
    below_count,
    judged_count,
    lowest_coverage,
    year_table,
    zone_table,
)
from crossmargin.reports.validation.forms import coverage_text, exact, shown, shown_in_millions
from crossmargin.reports.validation.procyclicality_section import by_series, impulse_table
from crossmargin.reports.validation.stressed import (
    NOT_COVERED,
    RECEIVED,
    cover_table,
    first_exhausted,
    liquidation_table,
    named,
    runs,
    total,
)
from crossmargin.reports.validation.verdict import (
    Judgement,
    asked,
    backtest_judgements,
    procyclicality_judgements,
    stress_judgements,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Literal

    from rich.console import RenderableType

    from crossmargin.core.provenance import Provenance
    from crossmargin.programmes.backtest.result import BacktestResult
    from crossmargin.programmes.procyclicality.result import ProcyclicalityResult
    from crossmargin.programmes.stress.result import StressResult

__all__ = ["backtest_report", "procyclicality_report", "stress_report"]

WIDTH: Final = 118
ROWS: Final = 10
WORST: Final = 3
YEARS: Final = 8
NAME_LEAST: Final = 10
LONG: Final = ("name", "groups", "defaulters", "scenario", "action")
"""Columns of names, which are cut rather than broken."""

HEADINGS: Final = {
    "observations": "obs.",
    "exceedances": "breaches",
    "independence_p": "indep. p",
    "conditional_p": "cond. p",
    "kupiec_p": "Kupiec p",
    "z1": "Z1",
    "z2": "Z2",
    "z2_critical": "Z2 crit.",
    "loss_kind": "loss",
    "n_day_1": "in 1 day",
    "n_day_5": "in 5 days",
    "n_day_20": "in 20 days",
    "n_day_30": "in 30 days",
}

WORDS: Final = {True: "enough", False: "NOT ENOUGH", None: "described"}
MARGINS: Final = {
    "today": "today's margin",
    "programme": "reduced margin",
    "without guarantee": "reduced margin without the guarantee",
}


def backtest_report(result: BacktestResult) -> str:
    """Return a backtest as text: whether coverage was reached and where not, then tables, of a width of 118.

    Parameters
    ----------
    result : BacktestResult
        What was computed.
    """
    first = f"{result.days[0]} to {result.days[-1]}" if result.days else "no day"
    opening = (
        f"Backtest of {result.programme} on {result.market}: {result.portfolios} portfolios, {len(result.days):,} days "
        f"({first}, every {result.every} trading days). Coverage asked for: {asked(result.confidence)}."
    )
    return _text(
        *note(result.provenance.data_note),
        Text(opening),
        *_judged(backtest_judgements(result)),
        *_worst_lines(result),
        *_table(
            f"Coverage by house (amounts in {result.currency})",
            result.houses.drop("peak_date"),
            rows=2 * ROWS,
        ),
        *_year_tables(result),
        *_table("Series by zone of the traffic light", zone_table(result), rows=2 * ROWS),
        *_worst_tables(result),
        *_table("Sensitivity of the joint model", result.sensitivity, rows=2 * ROWS),
        *_ending(result.findings, result.provenance),
    )


def stress_report(result: StressResult) -> str:
    """Return stress tests as text: whether funds cover what they are to cover, then tables, of a width of 118.

    Parameters
    ----------
    result : StressResult
        What was computed.
    """
    opening = (
        f"Stress tests of {result.programme} on {result.market}, {result.as_of}: {len(result.scenarios):,} scenarios. "
        f"Amounts in {result.currency}."
    )
    families = result.scenarios.group_by("family", maintain_order=True).agg(pl.len().alias("scenarios"))
    return _text(
        *note(result.provenance.data_note),
        Text(opening),
        *_judged(stress_judgements(result)),
        *_table("Scenarios", families),
        *_table("Largest stressed loss over margin of one and of two groups, and the fund", _cover(result)),
        *_table("With which scenario and groups", _which(result), rows=2 * ROWS),
        *_table("Waterfall: paid by layers, and not covered", _waterfall(result), rows=2 * ROWS),
        *_table(
            "Smallest multiple of a scenario's moves that exhausts a layer",
            first_exhausted(result),
            rows=3 * ROWS,
        ),
        *_table("Closing out together and each house apart, sums over groups", liquidation_table(result)),
        *_ending(result.findings, result.provenance),
    )


def procyclicality_report(result: ProcyclicalityResult) -> str:
    """Return measures of procyclicality as text, of a width of 118.

    Parameters
    ----------
    result : ProcyclicalityResult
        What was computed.
    """
    first = f"{result.days[0]} to {result.days[-1]}" if result.days else "no day"
    opening = (
        f"Procyclicality of {result.programme} on {result.market}: {len(result.days):,} days ({first}, every "
        f"{result.every} trading days). Amounts in {result.currency}."
    )
    ratios = by_series(result.measures).select(
        "series", "tool", "mean", "peak_to_trough", pl.col("^n_day_.*$"), "stability", "cost"
    )
    calls = result.measures.filter(tool=AS_SET).select("series", "largest_call", "largest_call_date")
    return _text(
        *note(result.provenance.data_note),
        Text(opening),
        *_judged(procyclicality_judgements(result)),
        *_table("Measures by series and tool", ratios, rows=3 * ROWS),
        *_table("Largest rise from one computation to the next, as the houses' settings have it", calls),
        *_table(
            "Margin after a jump of volatility, as a multiple of that before",
            impulse_table(result),
            rows=3 * ROWS,
        ),
        *_ending(result.findings, result.provenance),
    )


def _text(*parts: RenderableType) -> str:
    console = Console(
        width=WIDTH, force_terminal=False, no_color=True, markup=False, highlight=False, emoji=False
    )
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _judged(judgements: Iterable[Judgement]) -> list[RenderableType]:
    """Say of each subject whether today's margin was enough, and whether the reduced one was."""
    subjects: dict[str, list[Judgement]] = {}
    for one in judgements:
        subjects.setdefault(one.subject, []).append(one)
    lines: list[RenderableType] = []
    for subject, found in subjects.items():
        lines.append(Text(f"{subject[:1].upper()}{subject[1:]}:"))
        same = len(found) > 1 and len({(one.met, one.text) for one in found}) == 1
        margins = ["today's and reduced margin"] if same else [MARGINS[one.margin] for one in found]
        lines += [
            Text(f"  {margin}: {WORDS[one.met]} — {one.text}")
            for margin, one in zip(margins, found, strict=not same)
        ]
    return lines


def _worst_lines(result: BacktestResult) -> list[RenderableType]:
    below, judged = below_count(result), judged_count(result)
    if not below:
        return [Text(f"No series of {judged:,} falls short with the reduced margin.")]
    worst = lowest_coverage(result).head(min(WORST, below)).iter_rows(named=True)
    lines = [
        f"  {row['name']} ({row['kind']}{', ' + row['house'] if row['house'] else ''}): "
        f"{coverage_text(exact(row['coverage']))}, {row['exceedances']:,} of {row['observations']:,}"
        for row in worst
    ]
    return [
        Text(f"Of {judged:,} series {below:,} fall short with the reduced margin, most of all:"),
        *map(Text, lines),
    ]


def _worst_tables(result: BacktestResult) -> list[RenderableType]:
    series = lowest_coverage(result)
    what = series.select(
        "name", "kind", "house", "coverage_before", "coverage", "exceedances", "peak_uncovered", "peak_date"
    )
    tests = series.select(
        "name",
        "kind",
        "house",
        "kupiec_p",
        "independence_p",
        "conditional_p",
        "z1",
        "z2",
        "z2_critical",
        "zone",
    )
    return [
        *_table("Series that the reduced margin covers least", what),
        *_table("Tests of the same series: probabilities, and Acerbi and Szekely's Z", tests),
    ]


def _year_tables(result: BacktestResult) -> list[RenderableType]:
    """Return coverage by year, of the last years if not all have place."""
    wide = year_table(result)
    years = wide.columns[3:]
    some = f", the last {YEARS} of {len(years)}" if len(years) > YEARS else ""
    shown_years = wide.select(*wide.columns[:3], *years[-YEARS:])
    return _table(f"Coverage by year{some}", shown_years, rows=2 * ROWS)


def _cover(result: StressResult) -> pl.DataFrame:
    return cover_table(result).drop("mean_one", "mean_two", "exceeded_one", "exceeded_two")


def _which(result: StressResult) -> pl.DataFrame:
    return named(result.cover).select(
        "arrangement", "house", "cover", "guarantee", "over_margin", "scenario", "groups"
    )


def _waterfall(result: StressResult) -> pl.DataFrame:
    rows = []
    for (arrangement, guarantee, scenario, defaulters), part in runs(result):
        left = part["layer"] == NOT_COVERED
        # what one house receives another has paid out of its margin: it is counted once
        used = float(total(part.filter(~left & (part["layer"] != RECEIVED))["used"]))
        rows.append(
            (arrangement, guarantee, scenario, defaulters, used, float(total(part.filter(left)["used"])))
        )
    schema = ["arrangement", "guarantee", "scenario", "defaulters", "used", "left"]
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.sort("left", descending=True, maintain_order=True)


def _table(title: str, frame: pl.DataFrame, *, rows: int = ROWS) -> list[RenderableType]:
    """Return the first rows of a frame, and how many more there are; one line where there is none."""
    if frame.is_empty():
        return [Text(f"{title}: nothing")]
    cells, unit = _cells(frame.head(rows), shown), ""
    if _total(_widths(frame.columns, cells)) > WIDTH:
        cells, unit = _cells(frame.head(rows), shown_in_millions), ", amounts in millions"
    table = Table()
    for (name, dtype), width in zip(frame.schema.items(), _widths(frame.columns, cells), strict=True):
        side: Literal["left", "right"] = "right" if dtype.is_numeric() else "left"
        table.add_column(_heading(name), justify=side, width=width, no_wrap=name in LONG, overflow="ellipsis")
    for row in cells:
        table.add_row(*row)
    more = len(frame) - rows
    return [Text(f"\n{title}{unit}"), table, *([Text(f"and {more:,} more")] if more > 0 else [])]


def _cells(frame: pl.DataFrame, text: Callable[[str, object], str]) -> list[list[str]]:
    return [[text(name, value) for name, value in row.items()] for row in frame.iter_rows(named=True)]


def _total(widths: Sequence[int]) -> int:
    """Return the width of a table with its borders."""
    return sum(widths) + 3 * len(widths) + 1


def _widths(names: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    """Return widths of columns: cells are not broken, headings between words; long names have what others leave."""
    longest = [max(len(row[place]) for row in cells) for place in range(len(names))]
    needed = [
        max(longest[place], *map(len, _heading(name).split())) if name not in LONG else 0
        for place, name in enumerate(names)
    ]
    left = WIDTH - 1 - 3 * len(names) - sum(needed)
    share = max(left // max(sum(name in LONG for name in names), 1), NAME_LEAST)
    return [
        max(min(longest[place], share), len(name)) if name in LONG else needed[place]
        for place, name in enumerate(names)
    ]


def _heading(name: str) -> str:
    return HEADINGS.get(name, name.replace("_", " "))


def _ending(findings: pl.DataFrame, provenance: Provenance) -> list[RenderableType]:
    counted = findings.group_by("kind", "action", maintain_order=True).agg(pl.len().alias("times"))
    return [*_table("Left out or replaced on the way", counted), *stamp(provenance)]
