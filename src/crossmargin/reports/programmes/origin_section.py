"""Section of the page on what it takes to make the comparison again: sources, settings, findings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from crossmargin.reports.programmes.summary import finding_table
from crossmargin.reports.sources import source_table
from crossmargin.reports.tables import Cell, Head, PageTable, page_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crossmargin.programmes.programme import Programme
    from crossmargin.programmes.result import Comparison

__all__ = ["OriginSection", "origin_section"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginSection:
    """Sources; settings in which programmes differ, and those they share; findings."""

    sources: PageTable
    differing: PageTable
    shared: PageTable
    findings: PageTable


def origin_section(comparison: Comparison) -> OriginSection:
    """Return what the page shows of data, parameters and settings."""
    differing, shared = _settings(comparison)
    stamps = [(result.programme.name, result.provenance) for result in comparison.results]
    return OriginSection(
        sources=source_table(stamps, "programmes"),
        differing=differing,
        shared=shared,
        findings=page_table("What was left out or replaced on the way", finding_table(comparison)),
    )


def _settings(comparison: Comparison) -> tuple[PageTable, PageTable]:
    """Return a row a setting: with a column a programme where they differ, with one for all where they agree."""
    programmes = [dict(_flat(result.programme)) for result in comparison.results]
    names = [one["name"] for one in programmes]
    keys = [key for key in programmes[0] if key not in {"name", "description"}]
    values = {key: [one[key] for one in programmes] for key in keys}
    differing = [[key, *found] for key, found in values.items() if len(set(found)) > 1]
    shared = [[key, found[0]] for key, found in values.items() if len(set(found)) == 1]
    return (
        _text_table("Settings in which the programmes differ", ["setting", *names], differing),
        _text_table("Settings that all programmes share", ["setting", "value"], shared),
    )


def _flat(programme: Programme) -> Iterator[tuple[str, str]]:
    for key, value in asdict(programme).items():
        if isinstance(value, dict):
            yield from ((f"{key}.{inner}", _word(one)) for inner, one in value.items())
        else:
            yield key, _word(value)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (", ".join(value) or "–") if isinstance(value, tuple) else str(value)


def _text_table(caption: str, heads: list[str], rows: list[list[str]]) -> PageTable:
    """Return a table of text; built without a frame, in which two programmes of one name would clash."""
    cells = tuple(
        tuple(Cell(text, text, field) for text, field in zip(row, heads, strict=True)) for row in rows
    )
    return PageTable(caption, tuple(Head(head, numeric=False) for head in heads), cells)
