"""Positions of many accounts on many days: which of them can be valued, and what their tails are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from crossmargin.core.rounding import to_minor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossmargin.models.scenarios.scenario_set import ScenarioPart

__all__ = ["PartTails", "Positions", "RollingTails"]

DECIMALS: Final = 2

PartTails = tuple[Float64[np.ndarray, "days accounts"], Float64[np.ndarray, "days accounts"]]
"""Expected shortfall and value-at-risk of one part."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Positions:
    """Positions by account.

    Parameters
    ----------
    starts : ndarray of int64, shape (accounts + 1,)
        Positions ``starts[a]`` up to ``starts[a + 1]`` are of account a.
    rows : ndarray of int32, shape (positions,)
        Row of each position's instrument.
    quantities : ndarray of float64, shape (positions,)
        + long, − short.
    """

    starts: Int64[np.ndarray, " accounts+1"]
    rows: Int32[np.ndarray, " positions"]
    quantities: Float64[np.ndarray, " positions"]

    @property
    def count(self) -> int:
        """How many accounts there are."""
        return self.starts.size - 1

    def select(self, accounts: Int64[np.ndarray, " chosen"]) -> Positions:
        """Return some of the accounts, in the order asked for."""
        lengths = np.diff(self.starts)[accounts]
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        at = np.repeat(self.starts[accounts] - starts[:-1], lengths) + np.arange(starts[-1])
        return Positions(starts=starts, rows=self.rows[at], quantities=self.quantities[at])

    def in_rows(self, row_of: Int64[np.ndarray, " instruments"]) -> Positions:
        """Return the positions with other numbers of instruments; of one without a number (−1) none is held."""
        rows = row_of[self.rows]
        return Positions(
            starts=self.starts,
            rows=np.maximum(rows, 0).astype(np.int32),
            quantities=np.where(rows >= 0, self.quantities, 0.0),
        )

    def whole(self, known: Bool[np.ndarray, " instruments"]) -> Bool[np.ndarray, " accounts"]:
        """Say which accounts hold known instruments alone."""
        unknown = np.concatenate([np.zeros(1, np.int64), np.cumsum(~known[self.rows])])
        return unknown[self.starts[1:]] == unknown[self.starts[:-1]]


@dataclass(frozen=True, kw_only=True, eq=False)
class RollingTails:
    """Margins and tails of accounts on days, filled day by day; 0 where an account is not margined.

    Parameters
    ----------
    margin : ndarray of int64, shape (days, accounts)
        In hundredths, at least 0.
    expected_shortfall, value_at_risk : ndarray of float64, shape (days, accounts)
        Of the first part: mean and best of the worst scenarios, positive = loss.
    margined : ndarray of bool, shape (days, accounts)
        Whether there are scenarios of every instrument that the account holds.
    """

    margin: Int64[np.ndarray, "days accounts"]
    expected_shortfall: Float64[np.ndarray, "days accounts"]
    value_at_risk: Float64[np.ndarray, "days accounts"]
    margined: Bool[np.ndarray, "days accounts"]

    @classmethod
    def empty(cls, days: int, accounts: int) -> RollingTails:
        """Return tails of no day yet."""
        shape = (days, accounts)
        return cls(
            margin=np.zeros(shape, np.int64),
            expected_shortfall=np.zeros(shape),
            value_at_risk=np.zeros(shape),
            margined=np.zeros(shape, np.bool_),
        )

    def put(
        self,
        days: slice,
        accounts: Int64[np.ndarray, " chosen"],
        parts: Sequence[ScenarioPart],
        found: Sequence[PartTails],
        whole: Bool[np.ndarray, "days chosen"],
        buffer: float,
    ) -> None:
        """Fill some days of some accounts: the parts' shortfalls times their weights, in order, with the buffer.

        As ``models.expected_shortfall.margin.requirement`` does.
        """
        total = np.zeros(whole.shape)
        for part, (shortfall, _) in zip(parts, found, strict=True):
            total += part.weight * shortfall
        margin = to_minor(np.maximum(total, 0.0) * (1.0 + buffer), DECIMALS)
        shortfall, at_risk = found[0]
        self.margin[days, accounts] = np.where(whole, margin, 0)
        self.expected_shortfall[days, accounts] = np.where(whole, shortfall, 0.0)
        self.value_at_risk[days, accounts] = np.where(whole, at_risk, 0.0)
        self.margined[days, accounts] = whole
