"""Sections of the page on the verdict, on disclosure rows, and on what it takes to make the results again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.reports.tables import NOTHING, Cell, Head, PageTable
from crossmargin.reports.validation.forms import shown, validation_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crossmargin.programmes.backtest.result import BacktestResult
    from crossmargin.programmes.procyclicality.result import ProcyclicalityResult
    from crossmargin.programmes.stress.result import StressResult
    from crossmargin.reports.validation.verdict import Judgement, Verdict

    Result = BacktestResult | StressResult | ProcyclicalityResult

__all__ = ["disclosure_table", "finding_table", "verdict_table"]

WORDS: Final = {True: "enough", False: "not enough", None: "described"}
MARGINS: Final = {
    "today": "today's margin",
    "programme": "margin of the programme",
    "without guarantee": "the same without its guarantee",
}


def verdict_table(found: Verdict) -> PageTable:
    """Return a row a subject: whether today's margin was enough, and whether the programme's was, and why."""
    having = {one.margin for one in found.judgements}
    margins = [margin for margin in MARGINS if margin in having]
    subjects: dict[str, dict[str, Judgement]] = {}
    for one in found.judgements:
        subjects.setdefault(one.subject, {})[one.margin] = one
    rows = tuple(
        (Cell(subject, subject, "subject"), *(_judged(by_margin.get(margin)) for margin in margins))
        for subject, by_margin in subjects.items()
    )
    heads = (Head("what was tested", numeric=False), *(Head(MARGINS[one], numeric=False) for one in margins))
    return PageTable("What holds, and with which margin", heads, rows)


def _judged(one: Judgement | None) -> Cell:
    return Cell(NOTHING, "", "met") if one is None else Cell(WORDS[one.met], str(one.met), "met", one.text)


def finding_table(results: Mapping[str, Result]) -> PageTable:
    """Return how often each kind of finding was acted upon in which way, an example, and by which results."""
    keys = ("kind", "action", "times", "example")
    parts = [
        result.findings.group_by("kind", "action", maintain_order=True)
        .agg(pl.len().alias("times"), pl.col("subject").min().alias("example"))
        .select(*keys, pl.lit(name).alias("found_by"))
        for name, result in results.items()
    ]
    together = pl.concat(parts, how="vertical_relaxed").group_by(keys, maintain_order=True)
    found = together.agg(pl.col("found_by").str.join(", "))
    return validation_table("What was left out or replaced on the way", found)


def disclosure_table(rows: pl.DataFrame) -> PageTable:
    """Return disclosure rows as they are shown, each value in the form of its unit."""
    heads = tuple(Head(name, numeric=name == "value") for name in rows.columns)
    cells = tuple(tuple(_disclosed(name, row) for name in rows.columns) for row in rows.iter_rows(named=True))
    return PageTable("Rows of pqd.csv", heads, cells, grouped=True)


def _disclosed(name: str, row: Mapping[str, object]) -> Cell:
    value = row[name]
    form = (
        _FORMS.get(str(row["unit"]), "size" if str(row["unit"]).isupper() else "") if name == "value" else ""
    )
    text = _count(value) if form == "count" else shown(form or name, value)
    return Cell(text, "" if value is None else str(value), name)


def _count(value: object) -> str:
    return NOTHING if value is None else f"{float(str(value)):,.0f}"


_FORMS: Final = {
    "share": "coverage",
    "multiple": "multiple",
    **dict.fromkeys(("groups", "days", "scenarios", "exceedances", "series × days"), "count"),
}
"""Column whose form a value of each unit has; "count" a whole number."""
