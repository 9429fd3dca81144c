"""What margins covered: each series by itself with the tests of coverage, and pooled by house and year."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from crossmargin.programmes.backtest.rows import TOTAL
from crossmargin.validation.backtest import backtest
from crossmargin.validation.coverage import ZONES
from crossmargin.validation.expected_shortfall_tests import acerbi_szekely, critical_values

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from jaxtyping import Bool, Float64, Int64

    from crossmargin.validation.backtest import Backtest

__all__ = ["coverage_frame", "pooled_frame"]

KEY: Final = ("kind", "name", "house", "horizon_days")
WHEN: Final = ("before", "after")
DRAWS: Final = 4_000
LEVEL: Final = 0.05
NO_MONEY: Final = pl.lit("0").cast(pl.Decimal(38, 2))


def coverage_frame(
    history: pl.DataFrame, days: Sequence[date], *, confidence: float, every: int, alpha: float, seed: int
) -> pl.DataFrame:
    """Return a row a series, before and after the programme; see ``BacktestResult.coverage``.

    Parameters
    ----------
    history : DataFrame
        See ``BacktestResult.history``.
    days : sequence of date
        Every day that was tested, ascending.
    confidence : float
        Coverage that is asked for.
    every : int
        Trading days from one of ``days`` to the next.
    alpha : float
        Share of the scenarios in the tail of the expected shortfall.
    seed : int
        Of the simulation of critical values.
    """
    keys = history.select(KEY).unique().sort(KEY, nulls_last=True)
    grid = _Grid(history, keys, days)
    frames = [
        _tested(grid, when, horizon, confidence=confidence, every=every)
        for when in WHEN
        for horizon in keys["horizon_days"].unique().sort().to_list()
    ]
    shortfalls = _shortfall_tests(grid, alpha, every, seed)
    joined = pl.concat(frames).join(shortfalls, on="series", how="left", maintain_order="left")
    order = ("kind", "house", "name", "when")
    found = keys.with_row_index("series").join(joined, on="series", how="inner")
    ranked = found.sort(pl.col(order[0]), order[1], order[2], pl.col("when") == "after", nulls_last=True)
    return ranked.drop("series", "horizon_days").select(
        *order[:1], "name", "house", "when", pl.exclude(*order)
    )


class _Grid:
    """A history as days × series."""

    def __init__(self, history: pl.DataFrame, keys: pl.DataFrame, days: Sequence[date]) -> None:
        numbered = history.join(
            keys.with_row_index("series"), on=KEY, how="left", nulls_equal=True, maintain_order="left"
        )
        places = {day: place for place, day in enumerate(days)}
        self.day = numbered["date"].replace_strict(places, return_dtype=pl.Int64).to_numpy()
        self.series = numbered["series"].to_numpy().astype(np.int64)
        self.table, self.days = numbered, list(days)
        self.horizons = keys["horizon_days"].to_numpy()
        self.shape = (len(days), len(keys))

    def column(self, name: str) -> tuple[Float64[np.ndarray, "days series"], Bool[np.ndarray, "days series"]]:
        """Return a column, 0 where there is none, and where there is one."""
        values, there = np.zeros(self.shape), np.zeros(self.shape, np.bool_)
        column = self.table[name]
        values[self.day, self.series] = column.fill_null(0).cast(pl.Float64).to_numpy()
        there[self.day, self.series] = column.is_not_null().to_numpy()
        return values, there


def _tested(grid: _Grid, when: str, horizon: int, *, confidence: float, every: int) -> pl.DataFrame:
    margin, held = grid.column(when)
    gain, _ = grid.column("gain")
    at = np.flatnonzero((grid.horizons == horizon) & held.any(axis=0))
    found = backtest(
        margin[:, at],
        gain[:, at],
        confidence=confidence,
        horizon_days=horizon,
        step_days=every,
        held=held[:, at],
    )
    return _frame(found, at, when, grid.days)


def _frame(found: Backtest, at: Int64[np.ndarray, " series"], when: str, days: list[date]) -> pl.DataFrame:
    peaks = [days[place] if place >= 0 else None for place in found.peak_at.tolist()]
    tests = {"kupiec": found.kupiec, "independence": found.independence, "conditional": found.conditional}
    return pl.DataFrame(
        {
            "series": pl.Series(at, dtype=pl.UInt32),
            "when": pl.Series([when] * at.size, dtype=pl.String),
            "observations": found.observations,
            "exceedances": found.exceedances,
            "coverage": found.coverage,
            "effective_observations": found.effective_observations,
            **{name: test.statistic for name, test in tests.items()},
            **{f"{name}_p": test.p_value for name, test in tests.items()},
            "zone": pl.Series([ZONES[zone] for zone in found.zone.tolist()], dtype=pl.String),
            "average_uncovered": found.average_uncovered,
            "peak_uncovered": found.peak_uncovered,
            "peak_date": pl.Series(peaks, dtype=pl.Date),
        }
    )


def _shortfall_tests(grid: _Grid, alpha: float, every: int, seed: int) -> pl.DataFrame:
    """Return the tests of the joint model's expected shortfall, of series of which it has one.

    Critical values are of as many days, whose horizons overlap as those of the series do.
    """
    level, held = grid.column("value_at_risk")
    shortfall, _ = grid.column("expected_shortfall")
    gain, _ = grid.column("gain")
    # where nothing can be lost there is no shortfall to test
    held &= shortfall > 0.0
    at = np.flatnonzero(held.any(axis=0))
    found = acerbi_szekely(gain[:, at], level[:, at], shortfall[:, at], alpha, held=held[:, at])
    sizes = list(zip(held[:, at].sum(axis=0).tolist(), grid.horizons[at].tolist(), strict=True))
    critical = {size: _critical(*size, alpha=alpha, every=every, seed=seed) for size in sorted({*sizes})}
    z1 = [float(z) if hits else None for z, hits in zip(found.z1, found.exceedances, strict=True)]
    return pl.DataFrame(
        {
            "series": pl.Series(at, dtype=pl.UInt32),
            "z1": pl.Series(z1, dtype=pl.Float64),
            "z2": pl.Series(found.z2, dtype=pl.Float64),
            "z2_critical": pl.Series([critical[size] for size in sizes], dtype=pl.Float64),
        }
    )


def _critical(observations: int, horizon_days: int, *, alpha: float, every: int, seed: int) -> float:
    """Return the second statistic that one in twenty right models falls below."""
    found = critical_values(
        alpha, observations, LEVEL, draws=DRAWS, seed=seed, horizon_days=horizon_days, step_days=every
    )
    return found[1]


def pooled_frame(history: pl.DataFrame, *, confidence: float, by_year: bool) -> pl.DataFrame:
    """Return what the margins of each house covered, all series together; see ``BacktestResult.houses``.

    Series of one day move together, so no test of independent days is made of them. Amounts are exact sums.

    Parameters
    ----------
    history : DataFrame
        See ``BacktestResult.history``.
    confidence : float
        Coverage that is asked for, of ``series_below``.
    by_year : bool
        Whether each year has rows of its own.
    """
    years = ("year",) if by_year else ()
    judged = pl.concat(_pools(history, when) for when in WHEN).with_columns(
        pl.col("date").dt.year().alias("year")
    )
    keys = [*years, "house", "kind", "when"]
    one = judged.group_by(*keys, "name").agg(below=1.0 - pl.col("exceeded").mean() < confidence)
    below = one.group_by(keys).agg(
        series=pl.len().cast(pl.Int64), series_below=pl.col("below").sum().cast(pl.Int64)
    )
    worst = judged.sort("uncovered", "date", "name", descending=[True, False, False])
    pooled = worst.group_by(keys, maintain_order=True).agg(
        observations=pl.len().cast(pl.Int64),
        exceedances=pl.col("exceeded").sum().cast(pl.Int64),
        uncovered=pl.col("uncovered").sum(),
        peak_uncovered=pl.col("uncovered").first(),
        peak_date=pl.when(pl.col("exceeded").first()).then(pl.col("date").first()),
    )
    hits = pl.col("exceedances")
    return (
        pooled.join(below, on=keys)
        .with_columns(
            coverage=1.0 - hits / pl.col("observations"),
            average_uncovered=pl.when(hits > 0)
            .then(pl.col("uncovered").cast(pl.Float64) / hits)
            .otherwise(0.0),
            peak_uncovered=pl.col("peak_uncovered").cast(pl.Float64),
        )
        .sort(*years, pl.col("house").replace_strict(HOUSE_ORDER), "kind", pl.col("when") == "after")
        .select(*years, "house", "kind", "when", *POOLED)
    )


HOUSE_ORDER: Final = {"HKSCC": 0, "HKCC": 1, "SEOCH": 2, "joint": 3}
POOLED: Final = (
    "observations",
    "exceedances",
    "coverage",
    "average_uncovered",
    "peak_uncovered",
    "peak_date",
    "series",
    "series_below",
)


def _pools(history: pl.DataFrame, when: str) -> pl.DataFrame:
    """Return every observation of a pool: of a house all that it margins, of a house its legs, and joint accounts."""
    kind = pl.col("kind")
    margined = kind == "account" if when == "before" else kind != "joint account"
    there = history.filter(pl.col(when).is_not_null(), kind != TOTAL)
    pools = [
        there.filter(margined).with_columns(
            kind=pl.lit("house"), name=pl.concat_str(kind, pl.lit(" "), "name")
        ),
        there.filter(kind.is_in(["leg", "joint account"])),
    ]
    loss = 0 - pl.col("gain")
    return pl.concat(pools).select(
        "date",
        "kind",
        "name",
        pl.col("house").fill_null("joint"),
        pl.lit(when).alias("when"),
        (loss > pl.col(when)).alias("exceeded"),
        pl.max_horizontal(loss - pl.col(when), NO_MONEY).alias("uncovered"),
    )
