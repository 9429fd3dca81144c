"""What reports show of a backtest: series that fall short most, zones, years side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.models.market import HOUSES
from crossmargin.reports.validation.forms import exact

if TYPE_CHECKING:
    from crossmargin.programmes.backtest.result import BacktestResult

__all__ = ["ZONES", "below_count", "judged_count", "lowest_coverage", "reached", "year_table", "zone_table"]

ZONES: Final = ("green", "yellow", "red")
KEYS: Final = ("kind", "name", "house")
POOLS: Final = ("house", "kind", "when")


def lowest_coverage(result: BacktestResult) -> pl.DataFrame:
    """Return the series, those that the reduced margin covers least first.

    Columns ``name``, ``kind``, ``house``, ``coverage_before``, and those of ``BacktestResult.coverage`` after the
    reduction. Series without an observation are left out.
    """
    before = result.coverage.filter(when="before").select(*KEYS, pl.col("coverage").alias("coverage_before"))
    return (
        result.coverage.filter(when="after")
        .filter(pl.col("coverage").is_not_null())
        .join(before, on=KEYS, how="left", nulls_equal=True, maintain_order="left")
        .sort("coverage", "peak_uncovered", descending=[False, True], nulls_last=True, maintain_order=True)
        .select("name", "kind", "house", "coverage_before", pl.exclude(*KEYS, "coverage_before", "when"))
    )


def judged_count(result: BacktestResult) -> int:
    """Return how many series have an observation with the reduced margin."""
    return len(lowest_coverage(result))


def below_count(result: BacktestResult) -> int:
    """Return how many series the reduced margin covers less than is asked for."""
    counts = lowest_coverage(result).select("observations", "exceedances").iter_rows()
    return sum(not reached(count, exceeded, result.confidence) for count, exceeded in counts)


def reached(observations: int, exceedances: int, confidence: float) -> bool:
    """Say whether coverage is what is asked for, counted in whole observations: no last bit decides.

    Parameters
    ----------
    observations, exceedances : int
        Of a series or of many; at least one observation.
    confidence : float
        Coverage that is asked for, as the decimal it is written as.
    """
    return observations - exceedances >= exact(confidence) * observations


def zone_table(result: BacktestResult) -> pl.DataFrame:
    """Return how many series are in each zone of the traffic light: ``house``, ``kind``, ``when``, the zones, ``none``."""
    found = result.coverage.with_columns(pl.col("house").fill_null("joint"))
    counts = [(pl.col("zone") == zone).sum().alias(zone) for zone in ZONES]
    table = found.group_by(*POOLS, maintain_order=True).agg(
        *counts, pl.col("zone").null_count().alias("none")
    )
    places = {house: place for place, house in enumerate((*HOUSES, "joint"))}
    order = pl.col("house").replace_strict(places, default=len(places), return_dtype=pl.Int64)
    return table.sort(order, maintain_order=True)


def year_table(result: BacktestResult) -> pl.DataFrame:
    """Return coverage of each pool, a column a year: ``house``, ``kind``, ``when``, then one named by each."""
    years = sorted(result.years["year"].unique())
    parts = {
        year: result.years.filter(pl.col("year") == year).select(*POOLS, pl.col("coverage").alias(str(year)))
        for year in years
    }
    table = result.years.select(*POOLS).unique(maintain_order=True)
    for part in parts.values():
        table = table.join(part, on=POOLS, how="left", nulls_equal=True, maintain_order="left")
    return table
