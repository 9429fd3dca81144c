"""Scenarios, cubes and expected-shortfall margin in a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl
from rich.console import Group
from rich.table import Table
from rich.text import Text

from crossmargin.core.amounts import exact_decimals
from crossmargin.reports.terminal import breakdown_table, explanation, frame_table, note, stamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from crossmargin.models.expected_shortfall.margin import EsMargins
    from crossmargin.models.expected_shortfall.result import EsMargin
    from crossmargin.models.expected_shortfall.what_if import EsChange
    from crossmargin.models.hkscc.parameters import HksccParameters
    from crossmargin.models.revaluation.cube import ScenarioCube
    from crossmargin.models.scenarios.scenario_set import ScenarioSet

__all__ = [
    "Stage",
    "all_findings",
    "build_report",
    "change_report",
    "es_report",
    "es_totals",
    "noted",
    "rpf01_report",
]

LARGEST: Final = 20
"""Accounts that a table of many shows."""

FIRST: Final = 5
"""Names that a line of many shows."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a run: what it made, how long it took, and how large it is."""

    name: str
    made: str
    seconds: float
    byte_count: int = 0


def build_report(
    stages: Sequence[Stage],
    scenarios: ScenarioSet,
    cube: ScenarioCube,
    histories: pl.DataFrame | None = None,
) -> RenderableType:
    """Return what was built, what was found in the histories and what was done about it.

    Parameters
    ----------
    stages : sequence of Stage
        In order.
    scenarios : ScenarioSet
        What was made.
    cube : ScenarioCube
        The same.
    histories : DataFrame, optional
        Findings of the histories; unless given, only how many the scenario set counts of each kind.
    """
    found = _counts_kept(scenarios) if histories is None else _counted(histories, "factor")
    return Group(
        *note(cube.data_note),
        _stage_table(stages),
        _part_table(scenarios),
        _counted_table("Found in the histories", found),
        _counted_table("Found in marks and volatilities", _counted(cube.findings, "subject")),
        _left_out(scenarios),
        Text(f"{scenarios.method}; as of {scenarios.as_of}; cube {cube.key[:12]}.", "dim"),
    )


def rpf01_report(
    stages: Sequence[Stage],
    scenarios: ScenarioSet,
    parameters: HksccParameters,
    histories: pl.DataFrame,
    data_note: str,
) -> RenderableType:
    """Return what a risk parameter file was made from, what is in it, and what was found on the way.

    Parameters
    ----------
    stages : sequence of Stage
        In order.
    scenarios : ScenarioSet
        What the file's returns are.
    parameters : HksccParameters
        What was written.
    histories : DataFrame
        Findings of the histories.
    data_note : str
        What the market says of itself.
    """
    return Group(
        *note(data_note),
        _stage_table(stages),
        _part_table(scenarios),
        _counted_table("Found in the histories", _counted(histories, "factor")),
        _left_out(scenarios),
        _names("Instruments with a flat rate", parameters.flat_rate["instrument"].to_list()),
        Text(f"{scenarios.method}; as of {scenarios.as_of}.", "dim"),
    )


def all_findings(histories: pl.DataFrame, instruments: pl.DataFrame) -> pl.DataFrame:
    """Return findings of the histories, then those of marks and volatilities, in one table.

    Parameters
    ----------
    histories : DataFrame
        ``factor``, ``date``, ``kind``, ``value``, ``action``.
    instruments : DataFrame
        ``subject``, ``kind``, ``action``; the subject stands under ``factor``, date and value are null.
    """
    return pl.concat([histories, instruments.rename({"subject": "factor"})], how="diagonal")


def noted(notes: Sequence[str]) -> list[RenderableType]:
    """Return a line for each note."""
    return [Text(f"Note: {text}.", "yellow") for text in notes]


def _left_out(scenarios: ScenarioSet) -> RenderableType:
    codes = dict(scenarios.settings).get("left out", "")
    return _names("Risk factors left out for short histories", codes.split(", ") if codes else [])


def _names(title: str, names: Sequence[str]) -> RenderableType:
    """Return how many there are, and the first of them."""
    shown = ", ".join(names[:FIRST]) + (", …" if len(names) > FIRST else "")
    return Text(f"{title}: {len(names):,} ({shown})" if names else f"{title}: none")


def _stage_table(stages: Sequence[Stage]) -> Table:
    table = Table(title="Stages", title_justify="left", title_style="bold")
    for head in ("stage", "made"):
        table.add_column(head)
    for head in ("seconds", "bytes"):
        table.add_column(head, justify="right")
    for stage in stages:
        table.add_row(stage.name, stage.made, f"{stage.seconds:.3f}", f"{stage.byte_count:,}")
    total = sum(stage.seconds for stage in stages)
    table.add_row("total", "", f"{total:.3f}", f"{sum(s.byte_count for s in stages):,}", style="bold")
    return table


def _part_table(scenarios: ScenarioSet) -> Table:
    rows = [
        (
            part.name,
            part.size,
            part.tail_count,
            part.weight,
            scenarios.labels[part.start],
            scenarios.labels[part.stop - 1],
        )
        for part in scenarios.parts
    ]
    schema = ["part", "scenarios", "in_the_tail", "weight", "first", "last"]
    return frame_table("Parts of the scenario set", pl.DataFrame(rows, schema=schema, orient="row"))


def _counted(findings: pl.DataFrame, subject: str) -> pl.DataFrame:
    """Return how often each kind of finding was acted upon in which way, whatever the number, and an example."""
    action = pl.col("action").str.replace_all(r"\d+", "…")
    return (
        findings.group_by("kind", action)
        .agg(
            pl.len().alias("times"),
            pl.col(subject).n_unique().alias(f"{subject}s"),
            pl.col(subject).min().alias("example"),
        )
        .sort("kind", "action")
    )


def _counts_kept(scenarios: ScenarioSet) -> pl.DataFrame:
    """Return how many findings of each kind the settings of a scenario set name."""
    kept = [(name.partition(".")[2], int(count)) for name, count in scenarios.settings if _is_count(name)]
    return pl.DataFrame(kept, schema={"kind": pl.String, "times": pl.Int64}, orient="row")


def _is_count(name: str) -> bool:
    return name.startswith("findings.")


def _counted_table(title: str, counted: pl.DataFrame) -> RenderableType:
    return frame_table(title, counted) if len(counted) else Text(f"{title}: nothing")


def es_report(result: EsMargin, *, explain: bool) -> RenderableType:
    """Return the breakdown of one account."""
    table = breakdown_table(
        f"Expected-shortfall margin of {result.account}, {result.currency}", result.breakdown
    )
    trees = [explanation(result.breakdown)] if explain else []
    return Group(*note(result.provenance.data_note), table, *trees, *stamp(result.provenance))


def es_totals(margins: EsMargins, by: str = "account") -> RenderableType:
    """Return the largest requirements and the sum of all; ``by`` says what was margined together."""
    frame = margins.to_frame()
    shown = frame.sort("requirement", "account", descending=[True, False]).head(LARGEST)
    total = exact_decimals(margins.requirement.sum(keepdims=True), 2)[0]
    some = f"the largest {len(shown)} of {len(frame):,} {by}s" if len(shown) < len(frame) else f"{by}s"
    return Group(
        *note(margins.cube.data_note),
        frame_table(f"Expected-shortfall margin: {some}", shown.rename({"account": by})),
        Text(f"Sum of all requirements: {total:,} {margins.cube.currency}", "bold"),
    )


def change_report(change: EsChange, cube: ScenarioCube) -> RenderableType:
    """Return an account before and after trades, and the scenarios of both tails."""
    trades = ", ".join(f"{quantity:+,} {code}" for code, quantity in change.trades)
    title = f"Margin of {change.account} with {trades}, {change.currency}"
    return Group(
        *note(cube.data_note),
        frame_table(title, change.to_frame().drop("account", "currency")),
        frame_table("Expected shortfalls, before weights", _rounded(change.shortfalls)),
        frame_table("Scenarios of the tails, profit and loss", _rounded(change.tail_scenarios)),
        *stamp(change.provenance),
        Text(f"Cube {cube.key[:12]}.", "dim"),
    )


def _rounded(frame: pl.DataFrame) -> pl.DataFrame:
    amounts = [name for name in ("before", "after") if name in frame.columns]
    return frame.with_columns(pl.col(name).round(2).cast(pl.Decimal(38, 2)) for name in amounts)
