"""One joint account under the joint model: its worst scenarios, what hedges what, and each position's part."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Float

from crossmargin.kernels.account_tails import account_tails, tail_contributions
from crossmargin.kernels.correlations import LANES, MOMENTS, correlation
from crossmargin.kernels.row_sums import aligned_zeros
from crossmargin.kernels.tail_means import tail_scenarios

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crossmargin.models.scenarios.scenario_set import ScenarioPart
    from crossmargin.programmes.books import Books
    from crossmargin.programmes.joint.model import JointModel

__all__ = ["BLOCK_SCENARIOS", "TAIL_SHARE", "JointExplanation", "explain_unit"]

BLOCK_SCENARIOS: Final = 250
"""Scenarios of which the lowest correlation is told: a year of trading days."""
TAIL_SHARE: Final = 10
"""The worst tenth of the joint account's scenarios."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointExplanation:
    """One unit, explained; amounts in units of the cube's currency.

    Parameters
    ----------
    pnl : ndarray, shape (houses, stride)
        Profit and loss of each leg in the columns of the cube's layout, gain-positive, in its precision.
    tail : DataFrame
        ``part``, ``scenario``, a column of each house's leg, ``joint``: the scenarios whose mean is the
        expected shortfall of the part, gain-positive, worst first in each part.
    correlations : DataFrame
        ``house``, ``other``, ``part``, ``correlation`` over all scenarios of the part, ``in_tail`` over the
        worst tenth of the joint account's, ``lowest`` of consecutive blocks of 250; null where one leg always
        has the same result. Only of legs with positions.
    positions : DataFrame
        ``house``, ``instrument``, ``quantity``, ``contribution`` (Euler: they add up to the margin before
        it is floored at 0 and rounded); the largest first.
    """

    pnl: Float[np.ndarray, "houses stride"]
    tail: pl.DataFrame
    correlations: pl.DataFrame
    positions: pl.DataFrame


def explain_unit(model: JointModel, legs: Books, unit: int, houses: tuple[str, ...]) -> JointExplanation:
    """Explain one of the units of ``joint_tails``; arguments as there.

    Raises
    ------
    IndexError
        If there is no such unit.
    InputError, ValueError
        As ``joint_tails``.
    """
    if not 0 <= unit < legs.count // len(houses):
        raise IndexError(f"unit {unit} of {legs.count // len(houses):,}")
    mine = legs.select(unit * len(houses) + np.arange(len(houses)))
    explained = _Unit(model, mine, houses)
    return JointExplanation(
        pnl=explained.pnl,
        tail=explained.tail(),
        correlations=explained.correlations(),
        positions=explained.positions(),
    )


class _Unit:
    """Legs of one unit and their profit and loss."""

    def __init__(self, model: JointModel, legs: Books, houses: tuple[str, ...]) -> None:
        self.model, self.legs, self.houses = model, legs, houses
        self.rows = model.cube_rows(legs)
        self.quantities = legs.quantities.astype(np.float64)
        cube = model.cube
        self.pnl = aligned_zeros((len(houses), cube.layout.stride), np.dtype(cube.settings.computed).type)
        account_tails(
            legs.starts,
            self.rows,
            self.quantities,
            cube.pnl,
            cube.layout.bounds,
            model.tail_counts,
            scales=cube.scales,
            pnl=self.pnl,
        )
        # Leg by leg, as the kernel of all units adds them.
        self.joint = np.cumsum(self.pnl, axis=0, dtype=self.pnl.dtype)[-1]
        self.worst = [
            tail_scenarios(self.joint[start:stop], part.tail_count) for part, start, stop in self.parts()
        ]

    def parts(self) -> Iterator[tuple[ScenarioPart, int, int]]:
        """Yield each part with its first column and the one behind its last."""
        bounds = self.model.cube.layout.bounds.tolist()
        for part, (start, stop) in zip(self.model.cube.parts, bounds, strict=True):
            yield part, start, stop

    def tail(self) -> pl.DataFrame:
        """Return the worst scenarios of each part."""
        labels = self.model.cube.labels
        return pl.concat(
            pl.DataFrame(
                {
                    "part": [part.name] * worst.size,
                    "scenario": [labels[part.start + number] for number in worst],
                    **{
                        house: leg[start + worst].astype(np.float64)
                        for house, leg in zip(self.houses, self.pnl, strict=True)
                    },
                    "joint": self.joint[start + worst].astype(np.float64),
                }
            )
            for (part, start, _), worst in zip(self.parts(), self.worst, strict=True)
        )

    def correlations(self) -> pl.DataFrame:
        """Return a row of each pair of legs with positions and each part."""
        held = [house for house, size in enumerate(np.diff(self.legs.starts)) if size]
        rows = [
            (self.houses[a], self.houses[b], part.name, *self._correlated(a, b, start, stop))
            for a, b in combinations(held, 2)
            for part, start, stop in self.parts()
        ]
        names = ("correlation", "in_tail", "lowest")
        schema = dict.fromkeys(("house", "other", "part"), pl.String()) | dict.fromkeys(names, pl.Float64())
        return pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col(names).fill_nan(None))

    def _correlated(self, a: int, b: int, start: int, stop: int) -> tuple[float, float, float]:
        """Return the correlation of two legs in a part: whole, in the joint tail, lowest of its blocks."""
        one, other = self.pnl[a, start:stop], self.pnl[b, start:stop]
        tail = tail_scenarios(self.joint[start:stop], -(-(stop - start) // TAIL_SHARE))
        # The last block has what is left over, and there is always one.
        edges = [*range(0, max(stop - start - BLOCK_SCENARIOS, 0) + 1, BLOCK_SCENARIOS), stop - start]
        blocks = [_correlation(one[i:j], other[i:j]) for i, j in pairwise(edges)]
        known = [value for value in blocks if not np.isnan(value)]
        lowest = min(known, default=float("nan"))
        return _correlation(one, other), _correlation(one[tail], other[tail]), lowest

    def positions(self) -> pl.DataFrame:
        """Return each position's part of the blended shortfall, with buffer."""
        rows = self.model.cube.rows(self.rows)
        numbers = np.arange(self.rows.size, dtype=np.int32)
        total = np.zeros(self.rows.size)
        parts = zip(self.model.weights, self.parts(), self.worst, strict=True)
        for weight, (_, start, _), worst in parts:
            total += weight * tail_contributions(numbers, self.quantities, rows, start, worst)
        return pl.DataFrame(
            {
                "house": pl.Series([self.houses[leg] for leg in self.legs.book], dtype=pl.String),
                "instrument": pl.Series(
                    [self.model.instruments[row] for row in self.legs.rows], dtype=pl.String
                ),
                "quantity": self.legs.quantities,
                "contribution": total,
            }
        ).sort("contribution", "house", "instrument", descending=[True, False, False])


def _correlation(a: Float[np.ndarray, " scenarios"], b: Float[np.ndarray, " scenarios"]) -> float:
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    return float(correlation(a, b, 0, a.size, np.empty((MOMENTS, LANES))))
