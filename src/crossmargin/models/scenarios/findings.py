"""What a check of histories found: one row a finding, so that nothing is mended in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64, Shaped

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FINDING_KINDS", "FINDING_SCHEMA", "Days", "FindingLog"]

Days: TypeAlias = Shaped[np.ndarray, " days"]
"""Days as ``datetime64[D]``, ascending."""

Values: TypeAlias = Float64[np.ndarray, " days"] | Int64[np.ndarray, " days"]

FINDING_SCHEMA: Final[dict[str, pl.DataType]] = {
    "factor": pl.String(),
    "date": pl.Date(),
    "kind": pl.String(),
    "value": pl.Float64(),
    "action": pl.String(),
}
"""Columns of a table of findings; ``factor`` is a risk factor's code, or that of the calendar."""

FINDING_KINDS: Final[dict[str, str]] = {
    "unscheduled closure": "scheduled to trade, but nothing has a price or no price changed; value: prices",
    "unscheduled session": "no trading scheduled, but prices changed; value: prices that did",
    "frozen day": "a trading day on which almost no price changed; value: prices that did",
    "before listing": "priced before its first day of trading; value: how many prices, date: the last",
    "no trading day": "a price on a day without trading; value: the price",
    "missing days": "no price on trading days after the first price; value: days in a row, date: the first",
    "ends early": "the last price lies too far before the as-of day; value: trading days since",
    "bad print": "a move that the next price takes back; value: the move",
    "possible split": "a move like an unknown split or consolidation; value: price ratio",
    "break": "a price out of all proportion to the one before; value: price ratio",
    "flat start": "the first price stands unchanged; value: prices, date: of the first other price",
    "jump": "a large move that nothing explains; value: the move",
    "stale": "equal prices in a row; value: how many unchanged days, date: the first",
    "zero returns": "days without a move; value: how many, date: the last",
    "starts late": "history starts after that of the market; value: trading days before, date: its first",
    "proxied": "days filled from the proxy; value: beta, date: its first own return",
    "no proxy": "its proxy cannot fill days before; value: days in common, date: its first own return",
}
"""Kind of finding → what it is, and what its value and date mean."""


class FindingLog:
    """Findings as they come; ``table`` gives them sorted."""

    def __init__(self) -> None:
        self._entries: list[tuple[list[str], str, Days, Values, str]] = []

    def add(self, factor: str, kind: str, days: Days, values: Values, action: str) -> None:
        """Add findings of one factor and kind, one for each day."""
        self.add_rows([factor] * len(days), kind, days, values, action)

    def add_rows(self, factors: Sequence[str], kind: str, days: Days, values: Values, action: str) -> None:
        """Add findings of one kind on several factors, one for each of them."""
        assert kind in FINDING_KINDS, kind
        assert len(factors) == len(days) == len(values), kind
        self._entries.append((list(factors), kind, days, values, action))

    def table(self) -> pl.DataFrame:
        """Return all findings, sorted by factor, date and kind."""
        entries = [entry for entry in self._entries if entry[0]]
        if not entries:
            return pl.DataFrame(schema=FINDING_SCHEMA)
        sizes = [len(entry[0]) for entry in entries]
        columns = {
            "factor": [factor for entry in entries for factor in entry[0]],
            "date": np.concatenate([entry[2] for entry in entries]),
            "kind": np.repeat([entry[1] for entry in entries], sizes),
            "value": np.concatenate([entry[3] for entry in entries]).astype(np.float64),
            "action": np.repeat([entry[4] for entry in entries], sizes),
        }
        return pl.DataFrame(columns, schema=FINDING_SCHEMA).sort(
            "factor", "date", "kind", maintain_order=True
        )
