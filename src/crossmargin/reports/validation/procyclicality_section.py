"""Section of the page on procyclicality: margins over time, measures by tool, response to a jump."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.programmes.procyclicality.tools import AS_SET
from crossmargin.reports.validation.figures import (
    MARGINS,
    drawn_tools,
    impulse_figure,
    margin_figure,
    tool_figure,
)
from crossmargin.reports.validation.forms import validation_table

if TYPE_CHECKING:
    from markupsafe import Markup

    from crossmargin.programmes.procyclicality.result import ProcyclicalityResult
    from crossmargin.reports.tables import PageTable

__all__ = ["ProcyclicalitySection", "by_series", "impulse_table", "procyclicality_section"]

MEASURES: Final = {
    "mean": "mean margin",
    "peak_to_trough": "peak to trough",
    "n_day_1": "in 1 day",
    "n_day_5": "in 5 days",
    "n_day_20": "in 20 days",
    "n_day_30": "in 30 days",
    "largest_call_date": "on",
    "cost": "cost of the tool",
}
DAYS: Final = (0, 1, 5, 20, 40)
"""Days after a jump that a table shows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProcyclicalitySection:
    """Procyclicality as tables and charts; names of the lines of each chart, in their order."""

    margins: Markup | None
    margin_names: list[str]
    tools: Markup | None
    tool_names: list[str]
    impulse_chart: Markup | None
    impulse_names: list[str]
    measures: PageTable
    impulse: PageTable


def procyclicality_section(result: ProcyclicalityResult) -> ProcyclicalitySection:
    """Return what the page shows of procyclicality."""
    known = set(result.history["series"])
    jumped = result.impulse.filter(tool=AS_SET)["series"].unique(maintain_order=True)
    return ProcyclicalitySection(
        margins=margin_figure(result),
        margin_names=[name for name in MARGINS if name in known],
        tools=tool_figure(result),
        tool_names=drawn_tools(result),
        impulse_chart=impulse_figure(result),
        impulse_names=[name for name in jumped if name in MARGINS],
        measures=validation_table(
            f"Measures by series and tool, {result.currency}",
            by_series(result.measures),
            MEASURES,
            grouped=True,
        ),
        impulse=validation_table(
            "Margin after a jump of volatility, as a multiple of that before",
            impulse_table(result),
            grouped=True,
        ),
    )


def impulse_table(result: ProcyclicalityResult) -> pl.DataFrame:
    """Return the multiple on some days after the jump: ``series``, ``tool``, then a column a day, ``day 0`` the jump."""
    known = set(result.impulse["day"])
    table = result.impulse.select("series", "tool").unique(maintain_order=True)
    for day in (one for one in DAYS if one in known):
        part = result.impulse.filter(pl.col("day") == day).select(
            "series", "tool", pl.col("multiple").alias(f"day {day}")
        )
        table = table.join(part, on=["series", "tool"], how="left", maintain_order="left")
    return by_series(table)


def by_series(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table with the rows of a series next to each other, series and tools in the order they first come."""
    places = {name: place for place, name in enumerate(frame["series"].unique(maintain_order=True))}
    order = pl.col("series").replace_strict(places, return_dtype=pl.Int64)
    return frame.select("series", "tool", pl.exclude("series", "tool")).sort(order, maintain_order=True)
