"""Where scenarios stand in a row of profit and loss: each part begins on a boundary, pads are 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float64, Int64

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossmargin.models.scenarios.scenario_set import ScenarioPart

__all__ = ["BLOCK", "ScenarioLayout", "scenario_layout"]

BLOCK: Final = 64
"""Scenarios to a boundary: four cache lines of float32, and one scale of a row in 16 bits."""


@dataclass(frozen=True, slots=True, eq=False)
class ScenarioLayout:
    """Columns of a row.

    Parameters
    ----------
    bounds : ndarray of int64, shape (parts, 2)
        First column of each part and the one behind its last.
    stride : int
        Columns in all, a multiple of ``BLOCK``.
    """

    bounds: Int64[np.ndarray, "parts 2"]
    stride: int

    @property
    def columns(self) -> Int64[np.ndarray, " scenarios"]:
        """Column of each scenario."""
        return np.concatenate([np.arange(start, stop) for start, stop in self.bounds])

    @property
    def gaps(self) -> Int64[np.ndarray, "gaps 2"]:
        """First column of each run that belongs to no scenario, and the one behind its last."""
        starts = np.append(self.bounds[1:, 0], self.stride)
        between = np.stack([self.bounds[:, 1], starts], axis=1)
        return between[between[:, 0] < between[:, 1]]

    def spread(self, rows: Float64[np.ndarray, "rows scenarios"]) -> Float64[np.ndarray, "rows stride"]:
        """Return rows with every scenario in its column and 0 elsewhere."""
        spread = np.zeros((rows.shape[0], self.stride))
        spread[:, self.columns] = rows
        return spread


def scenario_layout(parts: Sequence[ScenarioPart]) -> ScenarioLayout:
    """Return the columns of the parts of a set, one after the other."""
    starts = np.cumsum([0, *(-(-part.size // BLOCK) * BLOCK for part in parts)])
    sizes = np.array([part.size for part in parts])
    return ScenarioLayout(np.stack([starts[:-1], starts[:-1] + sizes], axis=1), int(starts[-1]))
