"""A margin result in a terminal."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from crossmargin.models.hkscc.result import HksccMargin
from crossmargin.models.span.prime import client_totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from rich.console import RenderableType

    from crossmargin.core.breakdown import Component, Fact
    from crossmargin.core.provenance import Provenance
    from crossmargin.models.span.result import SpanMargin

__all__ = [
    "breakdown_table",
    "explanation",
    "frame_table",
    "hkscc_report",
    "note",
    "report",
    "span_report",
    "stamp",
    "totals_table",
]


def money(amount: Decimal) -> str:
    """Thousands separated; whole amounts without decimals, others with all that are published."""
    return f"{amount:,.0f}" if amount == amount.to_integral_value() else f"{amount:,f}"


def number(value: float) -> str:
    """Thousands separated, at most ten decimals."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.10f}".rstrip("0").rstrip(".")


def report(result: HksccMargin | SpanMargin, *, explain: bool) -> RenderableType:
    """Return the report of one result: breakdown, explanation where asked for, warnings and provenance."""
    show = hkscc_report if isinstance(result, HksccMargin) else span_report
    return show(result, explain=explain)  # type: ignore[arg-type]


def hkscc_report(result: HksccMargin, *, explain: bool) -> RenderableType:
    """Return the breakdown of one participant with its warnings and provenance."""
    outside = result.guarantee_fund_collateral
    table = breakdown_table(f"HKSCC margin of participant {result.participant}, HKD", result.breakdown)
    table.add_section()
    table.add_row(outside.name, money(outside.value), outside.rule, outside.binding)
    trees = (result.breakdown, outside) if explain else ()
    warnings = [Text(f"Warning: {warning}", style="yellow") for warning in result.warnings]
    return Group(
        *note(result.provenance.data_note),
        table,
        *map(explanation, trees),
        *warnings,
        *stamp(result.provenance),
    )


def span_report(result: SpanMargin, *, explain: bool) -> RenderableType:
    """Return the breakdowns of one account, one a currency, with client margin where it was asked for."""
    tables = [
        breakdown_table(f"SPAN margin of {result.account}, {currency}", tree)
        for currency, tree in result.breakdowns.items()
    ]
    client = [] if result.client is None else _client_tables(result.client)
    trees = result.breakdowns.values() if explain else ()
    return Group(
        *note(result.provenance.data_note),
        *tables,
        *client,
        *map(explanation, trees),
        *stamp(result.provenance),
    )


def _client_tables(client: pl.DataFrame) -> list[RenderableType]:
    totals = client_totals(client).drop("account")
    return [frame_table("Client margin", client.drop("account")), frame_table("Client margin, total", totals)]


def note(data_note: str) -> list[RenderableType]:
    """Return what the data say of themselves, nothing where they say nothing."""
    return [Text(data_note, style="bold")] if data_note else []


def stamp(provenance: Provenance) -> list[RenderableType]:
    """Return what it takes to make a result again, in two lines."""
    sets = f", parameter set {', '.join(provenance.parameter_sets)}" if provenance.parameter_sets else ""
    hashes = ", ".join(f"{name} {digest[:12]}" for name, digest in provenance.input_hashes)
    return [
        Text(
            f"{provenance.method}; as of {provenance.as_of.isoformat()}{sets}, crossmargin {provenance.engine_version}.",
            "dim",
        ),
        Text(f"Inputs (SHA-256): {hashes}. Legal status: {provenance.legal_status}.", "dim"),
    ]


def breakdown_table(title: str, component: Component) -> Table:
    """Return a tree as an indented table whose amounts add up level by level."""
    ruled = any(node.rule for _, node in component.walk())
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("component")
    table.add_column("amount", justify="right")
    if ruled:
        table.add_column("rule")
    table.add_column("decided by")
    for depth, node in component.walk():
        style = "bold" if depth == 0 else "" if depth <= 2 else "dim"  # noqa: PLR2004
        rule = [node.rule] if ruled else []
        table.add_row(f"{'  ' * depth}{node.name}", money(node.value), *rule, node.binding, style=style)
    return table


def frame_table(title: str, frame: pl.DataFrame) -> Table:
    """Return a frame as a table; decimals are money."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for name, dtype in frame.schema.items():
        table.add_column(name.replace("_", " "), justify="right" if dtype.is_numeric() else "left")
    for row in frame.iter_rows():
        table.add_row(*(money(value) if isinstance(value, Decimal) else str(value) for value in row))
    return table


def explanation(component: Component) -> Tree:
    """Return component, inputs and intermediate numbers as a tree."""
    decided = "".join(f", {word}" for word in (component.rule, component.binding) if word)
    tree = Tree(Text(f"{component.name}: {money(component.value)}{decided}"))
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


def totals_table(results: Sequence[HksccMargin] | Sequence[SpanMargin]) -> Table:
    """Return a row a participant, or an account and currency: total and the parts just below it."""
    table = Table(title="Margin requirements", title_justify="left", title_style="bold")
    trees = [entry for result in results for entry in _trees(result)]
    heads = [part.name for part in trees[0][2].parts] if isinstance(results[0], HksccMargin) else []
    for head in ["name", "currency"]:
        table.add_column(head)
    for head in ["total", *heads]:
        table.add_column(head, justify="right")
    for name, currency, tree in trees:
        amounts = [tree.value, *(part.value for part in tree.parts[: len(heads)])]
        table.add_row(name, currency, *map(money, amounts))
    return table


def _trees(result: HksccMargin | SpanMargin) -> list[tuple[str, str, Component]]:
    if isinstance(result, HksccMargin):
        return [(result.participant, result.currency, result.breakdown)]
    return [(result.account, currency, tree) for currency, tree in result.breakdowns.items()]
