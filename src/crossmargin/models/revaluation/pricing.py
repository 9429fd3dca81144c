"""Rows of options that the cube lacks, priced when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from crossmargin.models.revaluation.cube import fill_options
from crossmargin.models.revaluation.factors import FactorMoves
from crossmargin.models.revaluation.new_series import NewSeries, series_pair
from crossmargin.models.revaluation.surface import option_pairs

if TYPE_CHECKING:
    from crossmargin.models.revaluation.settings import RevaluationSettings
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.scenarios.scenario_set import ScenarioSet

__all__ = ["SeriesPricer"]


class SeriesPricer:
    """Prices new series in the scenarios of a cube, from the marks that the cube was made from.

    Parameters
    ----------
    snapshot : Snapshot
        Marks of the day.
    scenarios : ScenarioSet
        Those of the cube.
    settings : RevaluationSettings
        The same.
    """

    def __init__(self, snapshot: Snapshot, scenarios: ScenarioSet, settings: RevaluationSettings) -> None:
        self._snapshot, self._settings = snapshot, settings
        self._moves = FactorMoves.of(scenarios, settings)
        self._pairs = option_pairs(snapshot, settings).table

    def row(self, series: NewSeries) -> Float[np.ndarray, " stride"]:
        """Return profit and loss of one long contract, gain-positive, laid out as the cube's rows.

        Raises
        ------
        InputError
            If the series cannot be priced: see ``series_pair``.
        """
        pair = series_pair(series, self._pairs, self._snapshot, self._settings.averaging_days)
        pnl = np.zeros((1, self._moves.layout.stride), self._settings.computed)
        fill_options(pair, np.array([0]), self._moves, pnl)
        return pnl[0]
