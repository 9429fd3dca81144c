"""A set of scenarios: one move of every risk factor in each, in parts that are judged on their own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float64, Int64

from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

__all__ = ["FACTOR_KINDS", "RiskFactor", "ScenarioPart", "ScenarioSet", "bad_part_names"]

ROUNDING = 1e-12  # of a sum of a few weights

FACTOR_KINDS: Final = ("spot", "volatility", "rate", "exchange_rate")

RESERVED_NAMES: Final = ("requirement", "account", "currency", "owner", "participant")
"""Columns of a table of margins beside those of the parts."""


@dataclass(frozen=True, slots=True)
class RiskFactor:
    """What moves.

    Parameters
    ----------
    kind : {"spot", "volatility", "rate", "exchange_rate"}
        Moves of a spot and of an exchange rate are simple returns, of a volatility simple returns of the
        at-the-money level, of a rate additive, a fraction a year.
    name : str
        Underlying or currency.
    days : int
        Days to expiry of a volatility or rate; 0 for the others.
    proxied : bool
        Whether the moves of some days come from a regression on another factor.
    """

    kind: str
    name: str
    days: int = 0
    proxied: bool = False

    @property
    def code(self) -> str:
        """One text for it, for example ``spot:HSI`` or ``volatility:HSI:30``."""
        return ":".join([self.kind, self.name, *([str(self.days)] if self.days else [])])


@dataclass(frozen=True, slots=True)
class ScenarioPart:
    """Scenarios with a tail mean of their own, which goes into the margin with a weight.

    Parameters
    ----------
    name : str
        For example "filtered historical" or "stress"; see ``bad_part_names``.
    start, stop : int
        Scenarios from and up to.
    tail_count : int
        How many of the worst scenarios the expected shortfall averages.
    weight : float
        Share of the margin; the weights of a set add up to 1.
    """

    name: str
    start: int
    stop: int
    tail_count: int
    weight: float

    @property
    def size(self) -> int:
        """Scenarios in it."""
        return self.stop - self.start


@dataclass(frozen=True, kw_only=True, eq=False)
class ScenarioSet:
    """Moves of risk factors, gain-positive for a long.

    Parameters
    ----------
    as_of : date
        The day from which the scenarios start.
    horizon_days : int
        Trading days that one move covers.
    factors : tuple of RiskFactor
        Columns.
    moves : ndarray of float64, shape (scenarios, factors)
        Finite; see ``RiskFactor``.
    labels : tuple of str
        Of each scenario; the last day of its historical window in ISO form, or the name of a stress.
    parts : tuple of ScenarioPart
        One after the other, without gap, from 0 to the number of scenarios.
    method : str
        How the scenarios were made, in words.
    settings : tuple of (str, str)
        The choices made.
    input_hash : str
        SHA-256 of the histories.

    Raises
    ------
    InputError
        If a move is not finite, a spot or volatility loses more than everything, a factor or the name of
        a part stands twice, or the parts do not cover the scenarios.
    """

    as_of: date
    horizon_days: int
    factors: tuple[RiskFactor, ...]
    moves: Float64[np.ndarray, "scenarios factors"]
    labels: tuple[str, ...]
    parts: tuple[ScenarioPart, ...]
    method: str
    settings: tuple[tuple[str, str], ...]
    input_hash: str

    def __post_init__(self) -> None:
        assert self.moves.shape == (len(self.labels), len(self.factors)), self.moves.shape
        if bad := [*self._bad_moves(), *self._bad_factors(), *self._bad_parts()]:
            raise InputError(bad)

    def _bad_moves(self) -> Iterator[BadRecord]:
        floor = np.array([-1.0 if factor.kind != "rate" else -np.inf for factor in self.factors])
        for scenario, column in np.argwhere(~(np.isfinite(self.moves) & (self.moves > floor))).tolist():
            rule = "a finite move, of a price or volatility above -1"
            yield _bad(scenario, self.factors[column].code, str(self.moves[scenario, column]), rule)

    def _bad_factors(self) -> Iterator[BadRecord]:
        seen: set[str] = set()
        for factor in self.factors:
            if factor.kind not in FACTOR_KINDS:
                yield _bad(0, "kind", factor.kind, f"one of {', '.join(FACTOR_KINDS)}")
            if factor.code in seen:
                yield _bad(0, "factor", factor.code, "stands once")
            seen.add(factor.code)

    def _bad_parts(self) -> Iterator[BadRecord]:
        edges = [0, *(part.stop for part in self.parts)]
        for part, start in zip(self.parts, edges, strict=False):
            if part.start != start or not 1 <= part.tail_count <= part.size:
                rule = "starts where the part before ends; a tail of 1 to all of its scenarios"
                yield _bad(part.start, "part", part.name, rule)
        for name, rule in bad_part_names([part.name for part in self.parts]):
            yield _bad(0, "part", name, rule)
        if edges[-1] != len(self.labels):
            yield _bad(edges[-1], "parts", str(edges[-1]), f"parts of {len(self.labels)} scenarios in all")
        if abs(sum(part.weight for part in self.parts) - 1.0) > ROUNDING:
            yield _bad(0, "weight", str([part.weight for part in self.parts]), "weights that add up to 1")

    @property
    def size(self) -> int:
        """How many scenarios there are."""
        return len(self.labels)

    @cached_property
    def columns(self) -> dict[str, int]:
        """Column of each factor by its code."""
        return {factor.code: column for column, factor in enumerate(self.factors)}

    @cached_property
    def curves(self) -> dict[tuple[str, str], tuple[tuple[int, int], ...]]:
        """Days and column of the factors of each kind and name, ascending."""
        found: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for column, factor in enumerate(self.factors):
            found.setdefault((factor.kind, factor.name), []).append((factor.days, column))
        return {key: tuple(sorted(curve)) for key, curve in found.items()}

    def curve(self, kind: str, name: str) -> tuple[tuple[int, int], ...]:
        """Return days and column of the factors of a kind and name, ascending; empty where there is none."""
        return self.curves.get((kind, name), ())

    @property
    def bounds(self) -> Int64[np.ndarray, "parts 2"]:
        """Start and stop of each part."""
        return np.array([(part.start, part.stop) for part in self.parts], np.int64)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over what is in the set: equal content, equal hash."""
        described = (
            self.as_of.isoformat(),
            self.horizon_days,
            self.factors,
            self.parts,
            self.labels,
            self.method,
        )
        digest = hashlib.sha256(repr((described, self.settings, self.input_hash)).encode())
        digest.update(np.ascontiguousarray(self.moves).data)
        return digest.hexdigest()


def bad_part_names(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each name that no part of a set may have, and the rule that it breaks.

    A part is a column of the table of margins, with "_" for blanks: its name is no other column's.
    """
    seen: set[str] = set()
    for name in names:
        column = str(name).replace(" ", "_")
        if not isinstance(name, str) or not name or column in RESERVED_NAMES:
            yield str(name), f"the name of a part, and none of {', '.join(RESERVED_NAMES)}"
        elif column in seen:
            yield name, "stands once among the parts, blanks read as _"
        seen.add(column)


def _bad(scenario: int, field: str, value: str, rule: str) -> BadRecord:
    return BadRecord(file="scenarios", line=scenario + 1, field=field, value=value, rule=rule)
