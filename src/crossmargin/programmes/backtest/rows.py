"""One day of a backtest as rows: what is margined, what it made, and the joint model's distribution of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from crossmargin.core.rounding import to_minor
from crossmargin.models.market import HOUSES
from crossmargin.programmes.backtest.realised import book_results
from crossmargin.programmes.backtest.units import KINDS, NONE, joint_distribution, units_of
from crossmargin.programmes.evaluate import evaluation
from crossmargin.programmes.frames import money
from crossmargin.programmes.joint.horizons import joint_cube
from crossmargin.programmes.joint.model import JointModel, joint_model

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from jaxtyping import Bool, Float64, Int64

    from crossmargin.programmes.backtest.realised import Realised
    from crossmargin.programmes.backtest.units import Units
    from crossmargin.programmes.books import Books
    from crossmargin.programmes.houses import Houses
    from crossmargin.programmes.programme import Programme

__all__ = ["TOTAL", "all_within", "day_rows"]

TOTAL: Final = "all of a house"
"""Kind of the series of all that a house margins: a day's losses of some units are paid by gains of others there."""
HOUSE_NAMES: Final = (*HOUSES, None)
"""Of each place; joint accounts have none."""


def day_rows(day: date, programme: Programme, houses: Houses, gains: Mapping[int, Realised]) -> pl.DataFrame:
    """Return one day's rows: of every unit, and of all that each house margins; see ``BacktestResult.history``.

    Parameters
    ----------
    day : date
        What the rows are dated.
    programme : Programme
        What is tested.
    houses : Houses
        With the positions of the day, and models that know what was known on it.
    gains : mapping of int to Realised
        By horizon of the houses, of this day.
    """
    units = units_of(evaluation(programme, houses))
    days = [*houses.settings.days.values()]
    horizons = np.array([*days, max(days)])[units.house]
    made = np.zeros(horizons.size)
    for horizon, one in gains.items():
        mine = horizons == horizon
        made[mine] = book_results(units.books, one.gains)[mine, 0]
    gained = to_minor(made, 2)
    risk, shortfall = _distribution(houses, units, horizons, max(days))
    rows = pl.DataFrame(
        {
            "date": pl.Series([day] * horizons.size, dtype=pl.Date),
            "kind": pl.Series([KINDS[kind] for kind in units.kind.tolist()], dtype=pl.String),
            "name": pl.Series(units.names, dtype=pl.String),
            "house": pl.Series([HOUSE_NAMES[place] for place in units.house.tolist()], dtype=pl.String),
            "horizon_days": pl.Series(horizons, dtype=pl.Int64),
            "before": _margin(units.before),
            "after": _margin(units.after),
            "gain": money(gained),
            "value_at_risk": risk,
            "expected_shortfall": shortfall,
        }
    )
    return pl.concat([rows, _totals(rows)])


def _totals(rows: pl.DataFrame) -> pl.DataFrame:
    """Return all that each house margins as one series: sums of margins and gains, exact."""
    kind = pl.col("kind")
    before = (kind == "account") & pl.col("before").is_not_null()
    after = (kind != "joint account") & pl.col("after").is_not_null()
    return (
        rows.filter(kind != "joint account")
        .group_by("date", "house", "horizon_days")
        .agg(
            pl.col("before").filter(before).sum(),
            pl.col("after").filter(after).sum(),
            pl.col("gain").filter(before).sum(),
        )
        .sort("date", "house")
        .select(
            "date",
            pl.lit(TOTAL).alias("kind"),
            pl.col("house").alias("name"),
            "house",
            "horizon_days",
            "before",
            "after",
            "gain",
            pl.lit(None, pl.Float64).alias("value_at_risk"),
            pl.lit(None, pl.Float64).alias("expected_shortfall"),
        )
    )


def _margin(amounts: Int64[np.ndarray, " units"]) -> pl.Series:
    """Return hundredths as exact decimals, null where there is no such margin."""
    there = pl.Series(amounts != NONE, dtype=pl.Boolean)
    shown = money(np.where(amounts == NONE, 0, amounts))
    return pl.select(pl.when(there).then(shown)).to_series()


def _distribution(
    houses: Houses, units: Units, horizons: Int64[np.ndarray, " units"], longest: int
) -> tuple[pl.Series, pl.Series]:
    """Return value at risk and expected shortfall of the joint model's first part, over each unit's horizon."""
    found = np.full((2, horizons.size), np.nan)
    for horizon in sorted({*horizons.tolist()}):
        model = _model_over(houses, horizon, longest)
        at = np.flatnonzero((horizons == horizon) & all_within(units.books, model.can_margin))
        found[:, at] = _first_part(model, units.books.select(at))
    return pl.Series(found[0], nan_to_null=True), pl.Series(found[1], nan_to_null=True)


def _model_over(houses: Houses, horizon: int, longest: int) -> JointModel:
    """Return the joint model over a horizon of all houses alike."""
    if horizon == longest:
        return houses.joint_model("max")
    cube = joint_cube(
        houses.snapshot,
        houses.histories,
        houses.scenarios,
        horizon="max",
        days=dict.fromkeys(houses.settings.days, horizon),
        revaluation=houses.settings.revaluation,
    )
    return joint_model(houses.snapshot, cube)


def _first_part(model: JointModel, books: Books) -> Float64[np.ndarray, "2 books"]:
    """Return value at risk and expected shortfall of books in the first part of a model's scenarios."""
    part = model.cube.parts[0]
    columns = model.cube.layout.columns[part.start : part.stop]
    rows = np.zeros((model.rows.size, part.size))
    held = np.unique(books.rows)
    rows[held] = model.cube.rows(model.rows[held])[:, columns]
    return np.stack(joint_distribution(book_results(books, rows), part.tail_count))


def all_within(books: Books, instruments: Bool[np.ndarray, " instruments"]) -> Bool[np.ndarray, " books"]:
    """Return which books hold nothing but some instruments."""
    return np.bincount(books.book, ~instruments[books.rows], books.count) == 0
