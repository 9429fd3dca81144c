"""A result as a tree whose parts add up exactly."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Component", "Fact", "FactValue"]

FactValue = int | float | str | tuple[tuple[int | float | str, ...], ...]
"""A number, a word, or a small table: a tuple of rows."""


@dataclass(frozen=True, slots=True)
class Fact:
    """An input or intermediate number of a component.

    Parameters
    ----------
    label : str
        What it is, with its unit.
    value : int, float, str or tuple of rows
        The number; a table is a tuple of rows, named by ``columns``.
    columns : tuple of str
        Column names where the value is a table.
    """

    label: str
    value: FactValue
    columns: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return label and value; a table becomes a list of objects."""
        if isinstance(self.value, tuple):
            return {
                "label": self.label,
                "value": [dict(zip(self.columns, row, strict=True)) for row in self.value],
            }
        return {"label": self.label, "value": self.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A named amount and the parts that make it, in integer units of 10^-decimals of the currency.

    Parameters
    ----------
    name : str
        The rulebook's noun.
    amount : int
        Owed by the participant where positive; equals the sum of ``parts`` where there are any.
    decimals : int
        Decimal places of ``amount``.
    rule : str
        Document section that gives the number.
    binding : str
        Which bound or branch decided, empty where there was no choice.
    facts : tuple of Fact
        Inputs and intermediate numbers, in the order of the calculation.
    parts : tuple of Component
        What it consists of.
    """

    name: str
    amount: int
    decimals: int
    rule: str = ""
    binding: str = ""
    facts: tuple[Fact, ...] = ()
    parts: tuple[Component, ...] = ()

    def __post_init__(self) -> None:
        total = sum(part.amount for part in self.parts)
        assert not self.parts or total == self.amount, f"{self.name}: parts make {total}, not {self.amount}"

    @property
    def value(self) -> Decimal:
        """The amount in whole currency units, exact."""
        return Decimal(self.amount).scaleb(-self.decimals)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Component]]:
        """Yield this component and everything below it with its depth, parents first."""
        yield depth, self
        for part in self.parts:
            yield from part.walk(depth + 1)

    def find(self, name: str) -> Component:
        """Return the first component of that name.

        Raises
        ------
        KeyError
            If there is none; the message lists the names that exist.
        """
        for _, component in self.walk():
            if component.name == name:
                return component
        names = ", ".join(dict.fromkeys(component.name for _, component in self.walk()))
        raise KeyError(f"no component {name!r}; there are: {names}")

    def to_frame(self) -> pl.DataFrame:
        """Return the tree as rows, parents first: depth, component, amount (exact decimal), rule, binding."""
        rows = [(depth, node.name, node.value, node.rule, node.binding) for depth, node in self.walk()]
        schema = {
            "depth": pl.Int64(),
            "component": pl.String(),
            "amount": pl.Decimal(38, self.decimals),
            "rule": pl.String(),
            "binding": pl.String(),
        }
        return pl.DataFrame(rows, schema=schema, orient="row")

    def to_dict(self) -> dict[str, object]:
        """Return the tree as plain objects; amounts are decimal strings, so that no reader rounds them."""
        return {
            "name": self.name,
            "amount": str(self.value),
            "rule": self.rule,
            "binding": self.binding,
            "facts": [fact.to_dict() for fact in self.facts],
            "parts": [part.to_dict() for part in self.parts],
        }
