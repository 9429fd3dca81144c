"""Tables of results, as text for the terminal and as a page of the documentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Row", "Table", "ratio_row", "to_markdown"]


@dataclass(frozen=True, slots=True)
class Row:
    """One measured thing: its name, the result as printed, the goal as printed and whether it is met."""

    name: str
    result: str
    goal: str = ""
    met: bool | None = None

    @property
    def verdict(self) -> str:
        """The word for ``met``, empty where there is no goal."""
        return "" if self.met is None else "met" if self.met else "**missed**"


@dataclass(frozen=True, slots=True)
class Table:
    """The results of one benchmark, below what the work costs at least and above what a reader must know."""

    title: str
    cost: str
    rows: Sequence[Row]
    notes: Sequence[str] = ()

    def to_markdown(self) -> str:
        """Return the section of the page."""
        lines = [f"## {self.title}", "", f"**Cost.** {self.cost}", ""]
        lines += ["| measured | result | goal | |", "|---|---|---|---|"]
        lines += [f"| {row.name} | {row.result} | {row.goal} | {row.verdict} |" for row in self.rows]
        lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines).rstrip() + "\n"


def ratio_row(name: str, ratio: float, goal: float, *, at_most: bool = False) -> Row:
    """Return a row for a ratio whose goal is a lower bound, or an upper bound where ``at_most``."""
    met = ratio < goal if at_most else ratio >= goal
    digits = 2 if ratio < 10 else 0
    return Row(name, f"{ratio:,.{digits}f}×", f"{'<' if at_most else '≥'} {goal:g}×", met)


def to_markdown(machine: Sequence[str], day: str, tables: Sequence[Table]) -> str:
    """Return the whole page; ``day`` is the day of the run."""
    parts = [
        "# Benchmarks",
        "",
        "Made by `make bench`. Everything on this page was measured in one run on one machine, so that the",
        "ratios compare like with like; absolute times are of this machine only. Times are medians of warm",
        "runs unless a line says otherwise. All data are synthetic (`crossmargin.models.hkscc.synthetic`,",
        "`crossmargin.models.span.synthetic`).",
        "",
        f"Run on {day}:",
        "",
        *(f"- {line}" for line in machine),
        "",
    ]
    return "\n".join(parts) + "\n" + "\n".join(table.to_markdown() for table in tables)
