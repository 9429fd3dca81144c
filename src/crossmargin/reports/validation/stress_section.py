"""Section of the page on stress tests: scenarios, losses against funds, contributions, waterfall, liquidation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.reports.validation.figures import cover_figure, waterfall_figure
from crossmargin.reports.validation.forms import validation_table
from crossmargin.reports.validation.stressed import (
    NOT_COVERED,
    cover_table,
    first_exhausted,
    liquidation_table,
    named,
    runs,
    total,
)

if TYPE_CHECKING:
    from markupsafe import Markup

    from crossmargin.programmes.stress.result import StressResult
    from crossmargin.reports.tables import PageTable

__all__ = ["StressSection", "stress_section"]

CONTRIBUTIONS: Final = 50
RUNS: Final = 6
CLOSE_OUT: Final = 40
"""Rows, runs and rows shown of what follows the data; the files beside the page have all."""

COVER: Final = {
    "standard": "groups to cover",
    "one": "largest loss of one",
    "two": "largest loss of two",
    "mean_one": "mean of one",
    "mean_two": "mean of two",
    "left": "left of the fund",
    "exceeded_one": "scenarios above the fund, one",
    "exceeded_two": "scenarios above the fund, two",
}
LIQUIDATED: Final = {
    "loss_kind": "loss",
    "compared": "groups compared",
    "joint": "together",
    "apart": "each house apart",
    "share": "less, % of apart",
    "worse": "groups worse together",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StressSection:
    """Stress tests as tables and charts."""

    scenarios: PageTable
    cover_chart: Markup | None
    cover: PageTable
    which: PageTable
    funds: PageTable
    contributions: PageTable
    contribution_count: int
    waterfall_chart: Markup | None
    waterfalls: list[PageTable]
    run_count: int
    reverse: PageTable
    liquidated: PageTable
    close_out: PageTable
    close_out_count: int


def stress_section(result: StressResult) -> StressSection:
    """Return what the page shows of stress tests."""
    currency = result.currency
    return StressSection(
        scenarios=validation_table("Scenarios, and why each is in the library", result.scenarios),
        cover_chart=cover_figure(result),
        cover=validation_table(
            f"Stressed losses over margin against funds, {currency}", cover_table(result), COVER, grouped=True
        ),
        which=_which(result),
        funds=_funds(result),
        contributions=_contributions(result),
        contribution_count=len(result.contributions),
        waterfall_chart=waterfall_figure(result),
        waterfalls=_waterfalls(result),
        run_count=len(runs(result)),
        reverse=validation_table(
            "Smallest multiple of a scenario's moves that exhausts a layer",
            first_exhausted(result),
            grouped=True,
        ),
        liquidated=validation_table(
            f"Closing out together and each house apart, sums over groups, {currency}",
            liquidation_table(result),
            LIQUIDATED,
            grouped=True,
        ),
        close_out=validation_table(
            f"Closing out, by group, {currency}", result.close_out.head(CLOSE_OUT), grouped=True
        ),
        close_out_count=len(result.close_out),
    )


def _which(result: StressResult) -> PageTable:
    order = ("arrangement", "house", "cover", "guarantee", "over_margin", "scenario", "groups")
    names = {"cover": "groups defaulting", "over_margin": "loss over margin", "groups": "which"}
    caption = f"Which default is the largest, with and without guarantee, {result.currency}"
    return validation_table(caption, named(result.cover).select(order), names, grouped=True)


def _funds(result: StressResult) -> PageTable:
    names = {
        "standard": "groups to cover",
        "house_share": "of the house",
        "members_share": "of members",
        "beyond_limit": "beyond the limit, called as margin",
    }
    return validation_table(f"Funds, {result.currency}", named(result.funds), names, grouped=True)


def _contributions(result: StressResult) -> PageTable:
    largest = named(result.contributions).sort(
        "contribution", descending=True, nulls_last=True, maintain_order=True
    )
    order = ("participant", "group", "arrangement", "house", "contribution", "additional_margin")
    caption = f"Largest contributions to the funds, {result.currency}"
    return validation_table(caption, largest.select(order).head(CONTRIBUTIONS))


def _waterfalls(result: StressResult) -> list[PageTable]:
    """Return what each layer of each house paid in the runs that leave most uncovered, a column a house."""
    worst = sorted(runs(result), key=lambda run: -_uncovered(run[1]))[:RUNS]
    return [validation_table(_run_caption(key, result.currency), _layers(part)) for key, part in worst]


def _uncovered(part: pl.DataFrame) -> float:
    return float(total(part.filter(pl.col("layer") == NOT_COVERED)["used"]))


def _run_caption(run: tuple[str, ...], currency: str) -> str:
    arrangement, guarantee, scenario, defaulters = run
    word = "no guarantee" if guarantee == "none" else f"guarantee: {guarantee.replace('_', ' ')}"
    return f"{arrangement}, {word}: {defaulters} in {scenario}, paid by layer, {currency}"


def _layers(part: pl.DataFrame) -> pl.DataFrame:
    """Return a row a layer in order of use, and for each house what is there and what was used."""
    order = part.filter(pl.col("layer") != NOT_COVERED)["layer"].unique(maintain_order=True).to_list()
    table = pl.DataFrame({"layer": [*order, NOT_COVERED]})
    for house in part["house"].unique(maintain_order=True):
        mine = part.filter(pl.col("house") == house).select(
            "layer", pl.col("available").alias(f"{house}: available"), pl.col("used").alias(f"{house}: used")
        )
        table = table.join(mine, on="layer", how="left", maintain_order="left")
    return table
