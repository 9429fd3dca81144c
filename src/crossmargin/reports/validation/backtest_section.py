"""Section of the page on the backtest: coverage by house and year, series that fall short, tests, sensitivity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.reports.tables import Cell, Head, PageTable
from crossmargin.reports.validation.backtested import (
    below_count,
    judged_count,
    lowest_coverage,
    reached,
    year_table,
    zone_table,
)
from crossmargin.reports.validation.figures import exceedance_figure
from crossmargin.reports.validation.forms import validation_table
from crossmargin.reports.validation.verdict import asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from crossmargin.programmes.backtest.result import BacktestResult

__all__ = ["BacktestSection", "backtest_section"]

SERIES: Final = 25
"""Series shown; the files beside the page have all."""

ITEMS: Final = {
    "exceedances": "exceedances (6.5.1)",
    "observations": "observations (6.5.2)",
    "coverage": "coverage (6.5.3)",
    "average_uncovered": "average uncovered (6.5.4)",
    "peak_uncovered": "peak uncovered (6.5.5)",
    "series_below": "series below",
}
TESTS: Final = {
    "kupiec_p": "Kupiec, p",
    "independence_p": "independence, p",
    "conditional_p": "conditional coverage, p",
    "zone": "traffic light",
    "z1": "Z1",
    "z2": "Z2",
    "z2_critical": "Z2, critical at 5%",
    "effective_observations": "effective observations",
}
SHORT: Final = "short"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BacktestSection:
    """The backtest as tables and a chart; how many series were judged, and how many fall short."""

    asked: str
    chart: Markup | None
    houses: PageTable
    years: PageTable
    series: PageTable
    tests: PageTable
    zones: PageTable
    sensitivity: PageTable
    judged: int
    below: int


def backtest_section(result: BacktestResult) -> BacktestSection:
    """Return what the page shows of a backtest."""
    series = lowest_coverage(result).head(SERIES)
    return BacktestSection(
        asked=asked(result.confidence),
        chart=exceedance_figure(result),
        houses=_houses(result),
        years=_years(result),
        series=_series(series, result),
        tests=_tests(series),
        zones=validation_table(
            "Series by zone of the traffic light", zone_table(result), {"none": "not judged"}, grouped=True
        ),
        sensitivity=_sensitivity(result),
        judged=judged_count(result),
        below=below_count(result),
    )


def _houses(result: BacktestResult) -> PageTable:
    caption = f"Coverage by house, before and after the reduction, {result.currency} (disclosure item 6.5)"
    table = validation_table(caption, result.houses, ITEMS, grouped=True)
    return _flagged(table, result.houses, result.confidence)


def _flagged(table: PageTable, frame: pl.DataFrame, confidence: float) -> PageTable:
    """Return a table whose cells of coverage say so where it is short of what is asked for."""
    counts = frame.select("observations", "exceedances").iter_rows()
    rows = [
        tuple(_flag(cell, count, exceeded, confidence) if cell.field == "coverage" else cell for cell in row)
        for row, (count, exceeded) in zip(table.rows, counts, strict=True)
    ]
    return replace(table, rows=tuple(rows))


def _flag(cell: Cell, count: int | None, exceeded: int | None, confidence: float) -> Cell:
    if not count or exceeded is None or reached(count, exceeded, confidence):
        return cell
    return Cell(cell.text, cell.value, SHORT, SHORT)


def _years(result: BacktestResult) -> PageTable:
    """Return coverage by year; built cell by cell, since each year has its own counts."""
    wide = year_table(result)
    years = wide.columns[3:]
    short: set[tuple[str, ...]] = {
        (row["house"], row["kind"], row["when"], str(row["year"]))
        for row in result.years.filter(pl.col("observations") > 0).iter_rows(named=True)
        if not reached(row["observations"], row["exceedances"], result.confidence)
    }
    table = validation_table("Coverage by year", wide, grouped=True)
    rows = [
        _year_row(row, key, years, short)
        for row, key in zip(table.rows, wide.select(wide.columns[:3]).iter_rows(), strict=True)
    ]
    heads = (*table.heads[:3], *(Head(year, numeric=True) for year in years))
    return replace(table, heads=heads, rows=tuple(rows))


def _year_row(
    cells: tuple[Cell, ...],
    key: tuple[str, ...],
    years: Sequence[str],
    short: set[tuple[str, ...]],
) -> tuple[Cell, ...]:
    found = [
        Cell(cell.text, cell.value, SHORT, SHORT) if (*key, year) in short else cell
        for cell, year in zip(cells[3:], years, strict=True)
    ]
    return (*cells[:3], *found)


def _series(series: pl.DataFrame, result: BacktestResult) -> PageTable:
    shown = series.select(
        "name",
        "kind",
        "house",
        "coverage_before",
        "coverage",
        "exceedances",
        "observations",
        "average_uncovered",
        "peak_uncovered",
        "peak_date",
    )
    names = {"coverage_before": "coverage before", "coverage": "coverage after"}
    caption = f"Series that the reduced margin covers least, {result.currency}"
    return _flagged(validation_table(caption, shown, names), series, result.confidence)


def _tests(series: pl.DataFrame) -> PageTable:
    shown = series.select("name", "kind", "house", *(name for name in TESTS if name != "zone"), "zone")
    return validation_table("Tests of the same series, with the reduced margin", shown, TESTS)


def _sensitivity(result: BacktestResult) -> PageTable:
    table = validation_table(
        f"Coverage of the joint model under other settings, {result.currency}",
        result.sensitivity,
        {"base": "as in the programme"},
        grouped=True,
    )
    return _flagged(table, result.sensitivity, result.confidence)
