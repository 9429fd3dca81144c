"""Section of the page on participants: how savings fall on them, and what the largest save."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crossmargin.reports.amounts import full_amount, percent
from crossmargin.reports.programmes import summary
from crossmargin.reports.programmes.figures import distribution_figures
from crossmargin.reports.tables import Cell, Head, PageTable, page_table

if TYPE_CHECKING:
    from decimal import Decimal

    from markupsafe import Markup

    from crossmargin.programmes.result import Comparison

__all__ = ["ParticipantSection", "participant_section"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ParticipantSection:
    """Participants by saving, as table and charts; the largest of them; how many there are."""

    bands: PageTable
    charts: list[tuple[str, Markup]]
    largest: PageTable
    count: int


def participant_section(comparison: Comparison, shown: int) -> ParticipantSection:
    """Return what the page shows of participants, and of so many of the largest by name."""
    names = {str(place): result.programme.name for place, result in enumerate(comparison.results)}
    return ParticipantSection(
        bands=page_table(
            "Participants by their saving as a share of today's requirement",
            summary.band_table(comparison),
            {"saving": "saving, % of today", **names},
        ),
        charts=distribution_figures(comparison),
        largest=_largest(comparison, shown),
        count=len(summary.participant_totals(comparison.results[0])),
    )


def _largest(comparison: Comparison, shown: int) -> PageTable:
    """Return participants by today's requirement with a column a programme: saving, and its share below."""
    first = comparison.results[0]
    totals = [summary.participant_totals(result) for result in comparison.results]
    top = totals[0].sort("today", descending=True, maintain_order=True).head(shown)
    named = page_table("", top.select("participant", "group", "today"))
    savings = [
        {
            (row["participant"], row["group"]): (row["saving"], row["today"])
            for row in one.iter_rows(named=True)
        }
        for one in totals
    ]
    rows = tuple(
        (*cells, *(_saving(*saving[key], place) for place, saving in enumerate(savings)))
        for cells, key in zip(named.rows, top.select("participant", "group").iter_rows(), strict=True)
    )
    heads = (*named.heads, *(Head(result.programme.name, numeric=True) for result in comparison.results))
    caption = f"Participants by today's requirement, and what each programme saves them, {first.currency}"
    return PageTable(caption, heads, rows)


def _saving(saving: Decimal, today: Decimal, place: int) -> Cell:
    share = float(saving / today) if today else 0.0
    return Cell(full_amount(saving), str(saving), f"saving-{place}", percent(share))
