"""A margin result in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from rich.console import RenderableType

    from crossmargin.core.breakdown import Component, Fact
    from crossmargin.models.hkscc.result import HksccMargin

__all__ = ["breakdown_table", "explanation", "margin_report", "totals_table"]


def money(amount: Decimal) -> str:
    """Thousands separated; whole amounts without decimals, others with all that are published."""
    return f"{amount:,.0f}" if amount == amount.to_integral_value() else f"{amount:,f}"


def number(value: float) -> str:
    """Thousands separated, at most ten decimals."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.10f}".rstrip("0").rstrip(".")


def margin_report(result: HksccMargin, *, explain: bool) -> RenderableType:
    """Return the breakdown of one participant with its warnings and provenance."""
    stamp = result.provenance
    parts: list[RenderableType] = []
    if stamp.data_note:
        parts.append(Text(stamp.data_note, style="bold"))
    parts.append(breakdown_table(result))
    if explain:
        parts += ["", explanation(result.breakdown), explanation(result.guarantee_fund_collateral)]
    parts += [Text(f"Warning: {warning}", style="yellow") for warning in result.warnings]
    sets = f", parameter set {', '.join(stamp.parameter_sets)}" if stamp.parameter_sets else ""
    parts.append(
        Text(
            f"{stamp.method}; as of {stamp.as_of.isoformat()}{sets}, crossmargin {stamp.engine_version}.",
            "dim",
        )
    )
    hashes = ", ".join(f"{name} {digest[:12]}" for name, digest in stamp.input_hashes)
    parts.append(Text(f"Inputs (SHA-256): {hashes}. Legal status: {stamp.legal_status}.", "dim"))
    return Group(*parts)


def breakdown_table(result: HksccMargin) -> Table:
    """Return the tree as an indented table whose amounts add up level by level."""
    table = Table(
        title=f"HKSCC margin of participant {result.participant}, HKD",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("component")
    table.add_column("HKD", justify="right")
    table.add_column("rule")
    table.add_column("decided by")
    for depth, node in result.breakdown.walk():
        style = "bold" if depth == 0 else "" if depth <= 2 else "dim"  # noqa: PLR2004
        table.add_row(f"{'  ' * depth}{node.name}", money(node.value), node.rule, node.binding, style=style)
    outside = result.guarantee_fund_collateral
    table.add_section()
    table.add_row(outside.name, money(outside.value), outside.rule, outside.binding)
    return table


def explanation(component: Component) -> Tree:
    """Return component, inputs and intermediate numbers as a tree."""
    decided = f", {component.binding}" if component.binding else ""
    tree = Tree(Text(f"{component.name}: {money(component.value)} HKD ({component.rule}{decided})"))
    for fact in component.facts:
        tree.add(_fact(fact))
    for part in component.parts:
        tree.add(explanation(part))
    return tree


def _fact(fact: Fact) -> RenderableType:
    if isinstance(fact.value, tuple):
        heading = f"{fact.label} ({', '.join(fact.columns)}):"
        return Text("\n".join([heading, *("  " + "  ".join(map(_cell, row)) for row in fact.value)]))
    return Text(f"{fact.label}: {_cell(fact.value)}")


def _cell(value: float | str) -> str:
    return value if isinstance(value, str) else number(value)


def totals_table(results: Sequence[HksccMargin]) -> Table:
    """Return a row a participant: total and the parts just below it."""
    heads = [part.name for part in results[0].breakdown.parts]
    table = Table(title="HKSCC margin, HKD", title_justify="left", title_style="bold")
    table.add_column("participant")
    for head in ["total", *heads]:
        table.add_column(head, justify="right")
    for result in results:
        amounts = [result.total, *(part.value for part in result.breakdown.parts)]
        table.add_row(result.participant, *map(money, amounts))
    return table
