"""Sections of the page on the whole system: requirement, waterfalls, houses, what decided, and where it is higher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from crossmargin.reports.programmes import summary
from crossmargin.reports.programmes.figures import system_figure, waterfall_figures
from crossmargin.reports.tables import PageTable, page_table

if TYPE_CHECKING:
    from markupsafe import Markup

    from crossmargin.programmes.result import Comparison

__all__ = ["RisenSection", "SystemSection", "risen_section", "system_section"]

ROWS: Final = 100
"""Rows shown of a table whose length follows the data; the files beside the page have all of them."""

SHARE: Final = {"share": "saving, % of today"}
SAFETY: Final = {
    "stand_alone": "held today",
    "left": "held under it",
    "uncovered_before": "uncovered today",
    "uncovered_apart": "uncovered, houses apart",
    "uncovered_together": "uncovered, houses together",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SystemSection:
    """The system under each programme: tables, a chart of all, and a waterfall of each with its name."""

    table: PageTable
    houses: PageTable
    bindings: PageTable
    safety: PageTable
    steps: PageTable
    chart: Markup
    waterfalls: list[tuple[str, Markup]]


def system_section(comparison: Comparison) -> SystemSection:
    """Return what the page shows of the system and its houses."""
    currency = comparison.results[0].currency
    names = {str(place): result.programme.name for place, result in enumerate(comparison.results)}
    headings = {**SHARE, "joined": "joined, % of today", "higher": "joint margin higher"}
    return SystemSection(
        table=page_table(
            f"Requirement of the system, {currency}", summary.system_table(comparison), headings
        ),
        houses=page_table(
            f"Requirement of each house, {currency}",
            summary.stacked(comparison, "houses"),
            SHARE,
            grouped=True,
        ),
        bindings=page_table(
            f"What decided the requirement of joint accounts, {currency}",
            summary.binding_table(comparison),
            {"binding": "decided by"},
            grouped=True,
        ),
        safety=page_table(
            f"Expected shortfall of joint accounts beyond margin, {currency}",
            summary.safety_table(comparison),
            SAFETY,
        ),
        steps=page_table(f"Steps of the waterfalls, {currency}", summary.step_table(comparison), names),
        chart=system_figure(comparison),
        waterfalls=waterfall_figures(comparison),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RisenSection:
    """Where the joint margin is higher: how often, and the largest rises."""

    table: PageTable
    count: int


def risen_section(comparison: Comparison) -> RisenSection:
    """Return what the page shows of joint margins above the sum of stand-alone ones."""
    risen = summary.stacked(comparison, "risen")
    most = risen.sort("rise", descending=True, maintain_order=True).head(ROWS)
    caption = f"Joint margin above the sum of stand-alone ones, {comparison.results[0].currency}"
    return RisenSection(table=page_table(caption, most), count=len(risen))
