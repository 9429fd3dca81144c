"""Scenarios that somebody thought up: a table of moves by label and risk factor."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from crossmargin.core.columns import require_columns, require_date
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.scenarios.scenario_set import ScenarioPart, ScenarioSet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from crossmargin.core.columns import FrameInput
    from crossmargin.models.scenarios.scenario_set import RiskFactor

__all__ = ["hypothetical_scenarios"]

MOVE_SCHEMA: Final[dict[str, pl.DataType]] = {
    "label": pl.String(),
    "factor": pl.String(),
    "move": pl.Float64(),
}

ALL = "*"


def hypothetical_scenarios(
    moves: FrameInput,
    factors: Sequence[RiskFactor],
    as_of: date,
    *,
    horizon_days: int = 1,
    tail_count: int = 1,
    name: str = "hypothetical",
) -> ScenarioSet:
    """Make a set of hypothetical scenarios.

    Parameters
    ----------
    moves : Polars or pandas frame, or mapping of columns
        ``label`` of the scenario; ``factor``, the code of a risk factor, or ``spot:*`` (likewise of the
        other kinds) for every factor of that kind without a row of its own; ``move``, see ``RiskFactor``.
        A factor that no row of a label speaks of does not move.
    factors : sequence of RiskFactor
        Columns of the set, in this order.
    as_of : date
        The day from which the scenarios start.
    horizon_days : int
        Trading days that a move covers.
    tail_count : int
        How many of the worst scenarios the expected shortfall averages.
    name : str
        Of its one part.

    Returns
    -------
    ScenarioSet
        Scenarios in the order in which their labels first stand in the table.

    Raises
    ------
    InputError
        Listing every bad row: an unknown factor, one that stands twice in a label, a spot, volatility or
        exchange rate that loses everything or more; or that there is none.
    """
    table = require_columns(moves, "moves", MOVE_SCHEMA, key=["label", "factor"])
    groups = {f"{kind}:{ALL}" for kind in {factor.kind for factor in factors}}
    columns = {factor.code: column for column, factor in enumerate(factors)}
    _require_known(table["factor"], groups | columns.keys())
    labels = table["label"].unique(maintain_order=True)
    row_of = {label: row for row, label in enumerate(labels)}
    values = np.zeros((len(labels), len(factors)))
    general_first = table.with_columns(pl.col("factor").is_in(sorted(groups)).alias("general"))
    for label, factor, move, general in general_first.sort("general", descending=True).iter_rows():
        kind = factor.removesuffix(f":{ALL}")
        chosen = [c for c, one in enumerate(factors) if one.kind == kind] if general else [columns[factor]]
        values[row_of[label], chosen] = move
    size = len(labels)
    return ScenarioSet(
        as_of=require_date(as_of, "as_of"),
        horizon_days=horizon_days,
        factors=tuple(factors),
        moves=values,
        labels=tuple(labels),
        parts=(ScenarioPart(name=name, start=0, stop=size, tail_count=tail_count, weight=1.0),),
        method="hypothetical scenarios",
        settings=(),
        input_hash=hashlib.sha256(table.write_csv().encode()).hexdigest(),
    )


def _require_known(codes: pl.Series, known: set[str]) -> None:
    if bad := [
        BadRecord(file="moves", line=row + 1, field="factor", value=code, rule="a risk factor of the set")
        for row, code in enumerate(codes)
        if code not in known
    ] or (
        [] if len(codes) else [BadRecord(file="moves", line=0, field="", value="", rule="at least one row")]
    ):
        raise InputError(bad)
