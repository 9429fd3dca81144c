"""Profit and loss of every instrument in stress scenarios, futures with their basis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64

from crossmargin.models.revaluation.cube import make_cube
from crossmargin.programmes.stress.scenarios import as_scenario_set

if TYPE_CHECKING:
    import polars as pl

    from crossmargin.models.revaluation.settings import RevaluationSettings
    from crossmargin.models.revaluation.snapshot import Snapshot
    from crossmargin.models.scenarios.scenario_set import ScenarioSet
    from crossmargin.programmes.stress.scenarios import StressMoves
    from crossmargin.programmes.stress.universe import StressUniverse

__all__ = ["StressPnl", "stress_pnl"]


@dataclass(frozen=True, kw_only=True, eq=False)
class StressPnl:
    """Profit and loss of one long unit of each instrument, gain-positive, in the market's currency.

    Parameters
    ----------
    pnl : ndarray of float64, shape (scenarios, instruments)
        By row of the snapshot's instruments; 0 where there is none.
    valued : ndarray of bool, shape (instruments,)
        Where there is one.
    labels : tuple of str
        Of the scenarios.
    scenarios_hash : str
        SHA-256 of the scenarios.
    findings : DataFrame
        Of the cube: ``subject``, ``kind``, ``action``.
    """

    pnl: Float64[np.ndarray, "scenarios instruments"]
    valued: Bool[np.ndarray, " instruments"]
    labels: tuple[str, ...]
    scenarios_hash: str
    findings: pl.DataFrame


def stress_pnl(
    snapshot: Snapshot, moves: StressMoves, universe: StressUniverse, revaluation: RevaluationSettings
) -> StressPnl:
    """Value every instrument in every stress scenario, in float64.

    A future gains its mark × multiplier × (move of the forward + move of the basis); a basis has no history in this
    engine and no factor of its own. Options are valued from the spot: a basis does not reach them.

    Raises
    ------
    InputError
        As ``make_cube`` says.
    """
    scenarios = as_scenario_set(moves, universe, snapshot.as_of, revaluation, snapshot.history_hash)
    cube = make_cube(snapshot, scenarios, replace(revaluation, precision="float64"))
    rows = np.array([cube.row_of.get(name, -1) for name in snapshot.instruments["instrument"]], np.int64)
    valued = rows >= 0
    pnl = np.zeros((scenarios.size, rows.size))
    pnl[:, valued] = cube.pnl[rows[valued]][:, cube.layout.columns].T
    if moves.basis.any():
        pnl += np.where(valued, _basis_pnl(snapshot, moves, universe, scenarios), 0.0)
    return StressPnl(
        pnl=pnl,
        valued=valued,
        labels=scenarios.labels,
        scenarios_hash=scenarios.content_hash,
        findings=cube.findings,
    )


def _basis_pnl(
    snapshot: Snapshot, moves: StressMoves, universe: StressUniverse, scenarios: ScenarioSet
) -> Float64[np.ndarray, "scenarios instruments"]:
    """Return what futures gain by their basis, in the market's currency; 0 of the rest."""
    table = snapshot.instruments
    is_future = (table["kind"] == "future").to_numpy()
    place = np.array([universe.place[name] for name in table["underlying"]], np.int64)
    amount = (table["mark"] * table["multiplier"] * table["exchange_rate"]).to_numpy()
    gained = np.where(is_future, moves.basis[:, place] * np.where(is_future, amount, 0.0), 0.0)
    foreign = {
        f"exchange_rate:{currency}" for currency in table["currency"].unique()
    } & scenarios.columns.keys()
    for code in sorted(foreign):
        mine = (table["currency"] == code.removeprefix("exchange_rate:")).to_numpy()
        gained[:, mine] *= 1.0 + scenarios.moves[:, scenarios.columns[code], None]
    return gained
