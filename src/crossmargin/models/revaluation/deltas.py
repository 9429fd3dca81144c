"""What one unit of each instrument gains as its underlying moves: exposures that may be added up and matched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Float64

from crossmargin.errors import BadRecord, InputError
from crossmargin.models.revaluation.cube import make_cube
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.scenarios.hypothetical import hypothetical_scenarios
from crossmargin.models.scenarios.scenario_set import RiskFactor

if TYPE_CHECKING:
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.scenarios.scenario_set import ScenarioSet

__all__ = ["cash_deltas"]

MOVES_ADMITTED: Final = (1e-5, 0.5)
"""Below, rounding of prices shows in the quotient; above, it is no derivative."""


def cash_deltas(snapshot: Snapshot, *, move: float = 0.01) -> Float64[np.ndarray, " instruments"]:
    """Return what one long unit of each instrument gains for a relative move of 1 of its underlying.

    A central difference of full revaluations: the profit and loss of a rise less that of as large a fall,
    over twice the move. The volatility of each strike, interest and exchange rates stand still. A stock's
    is its value; a future's is its price times its multiplier.

    Parameters
    ----------
    snapshot : Snapshot
        Marks of a day.
    move : float
        Relative rise and fall, from 0.00001 to 0.5.

    Returns
    -------
    ndarray of float64, shape (instruments,)
        In the snapshot's currency, row by row of ``snapshot.instruments``; 0 for an instrument that the
        revaluation leaves out.

    Raises
    ------
    InputError
        If ``move`` is out of range, or no instrument can be valued.
    """
    low, high = MOVES_ADMITTED
    if not low <= move <= high:
        rule = f"a number from {low:g} to {high:g}"
        raise InputError([BadRecord(file="deltas", line=0, field="move", value=str(move), rule=rule)])
    still = RevaluationSettings(precision="float64", volatility_response=0.0)
    cube = make_cube(snapshot, _rise_and_fall(snapshot, move), still)
    rise, fall = cube.layout.columns
    slopes = (cube.pnl[:, rise] - cube.pnl[:, fall]) / (2 * move)
    valued = snapshot.instruments["instrument"].is_in(cube.instruments["instrument"].implode())
    deltas = np.zeros(len(snapshot.instruments))
    deltas[valued.to_numpy()] = slopes
    return deltas


def _rise_and_fall(snapshot: Snapshot, move: float) -> ScenarioSet:
    """Return every spot up and every spot down; exchange rates are there, and stand still."""
    instruments = snapshot.instruments
    foreign = instruments.filter(pl.col("currency") != snapshot.currency)["currency"].unique().sort()
    factors = [RiskFactor("spot", name) for name in instruments["underlying"].unique().sort()]
    factors += [RiskFactor("exchange_rate", currency) for currency in foreign]
    moves = {"label": ["rise", "fall"], "factor": ["spot:*"] * 2, "move": [move, -move]}
    return hypothetical_scenarios(moves, factors, snapshot.as_of, name="rise and fall")
