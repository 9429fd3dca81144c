"""What all reports of a comparison show of it: tables with a row a programme, or with the programme's name first."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.errors import BadRecord, InputError
from crossmargin.programmes.outcome import BINDINGS

if TYPE_CHECKING:
    from crossmargin.programmes.result import Comparison, ProgrammeResult

__all__ = [
    "BANDS",
    "account_across",
    "band_table",
    "binding_table",
    "explained_by",
    "finding_table",
    "largest_saving",
    "participant_totals",
    "safety_table",
    "stacked",
    "step_table",
    "system_table",
]

BAND_PERCENT: Final = 5
BAND_COUNT: Final = 10
BANDS: Final = (
    "higher",
    "none",
    *(f"{BAND_PERCENT * i} to {BAND_PERCENT * (i + 1)}%" for i in range(BAND_COUNT)),
    f"above {BAND_PERCENT * BAND_COUNT}%",
)
"""Savings as shares of today's requirement; a band holds its upper bound."""

AMOUNT: Final = pl.Decimal(38, 2)


def system_table(comparison: Comparison) -> pl.DataFrame:
    """Return a row a programme.

    Columns ``programme``, ``today``, ``requirement``, ``saving``, ``share``, ``joint_accounts`` (how many),
    ``joined`` (today's requirement of the accounts that join, as a share of all), ``higher`` (how many
    subjects of ``ProgrammeResult.risen``).
    """
    return pl.DataFrame([_system_row(result) for result in comparison.results])


def _system_row(result: ProgrammeResult) -> dict[str, object]:
    joined = Decimal(result.accounts.filter(pl.col("joint_account").is_not_null())["today"].sum())
    return {
        "programme": result.programme.name,
        "today": result.today,
        "requirement": result.requirement,
        "saving": result.saving,
        "share": result.share,
        "joint_accounts": len(result.joint_accounts),
        "joined": float(joined / result.today) if result.today else 0.0,
        "higher": len(result.risen),
    }


def stacked(comparison: Comparison, table: str) -> pl.DataFrame:
    """Return one table of all results, one below the other, with ``programme`` as first column.

    Parameters
    ----------
    table : str
        A field of ``ProgrammeResult`` that holds a table, such as ``"houses"``. A column that only some
        results have is null in the others.
    """
    parts = [
        getattr(result, table).select(pl.lit(result.programme.name).alias("programme"), pl.all())
        for result in comparison.results
    ]
    return pl.concat(parts, how="diagonal_relaxed")


def safety_table(comparison: Comparison) -> pl.DataFrame:
    """Return a row a programme with joint accounts: what they hold, and what of their tails it leaves uncovered.

    Columns ``programme``, ``stand_alone``, ``left``, ``uncovered_before``, ``uncovered_apart``,
    ``uncovered_together``: sums over ``ProgrammeResult.joint_accounts``, see there.
    """
    names = ("stand_alone", "left", "uncovered_before", "uncovered_apart", "uncovered_together")
    parts = [
        result.joint_accounts.select(
            pl.lit(result.programme.name).alias("programme"), *(pl.col(name).sum() for name in names)
        )
        for result in comparison.results
        if len(result.joint_accounts)
    ]
    empty = pl.DataFrame(schema={"programme": pl.String, **dict.fromkeys(names, AMOUNT)})
    return pl.concat([empty, *parts], how="vertical_relaxed")


def binding_table(comparison: Comparison) -> pl.DataFrame:
    """Return what decided, in the order of ``BINDINGS``: a row a programme and reason.

    Columns ``programme``, ``binding``, ``joint_accounts`` (how many), ``stand_alone``, ``saving``.
    """
    place = {binding: number for number, binding in enumerate(BINDINGS)}
    parts = [
        result.joint_accounts.group_by("binding", maintain_order=True)
        .agg(pl.len().alias("joint_accounts"), pl.col("stand_alone", "saving").sum())
        .select(pl.lit(result.programme.name).alias("programme"), pl.all())
        .sort(pl.col("binding").replace_strict(place, default=len(place)), maintain_order=True)
        for result in comparison.results
    ]
    return pl.concat(parts, how="vertical_relaxed")


def participant_totals(result: ProgrammeResult) -> pl.DataFrame:
    """Return ``participant``, ``group``, ``today``, ``requirement``, ``saving`` over all houses, by name."""
    return (
        result.participants.group_by("participant", "group", maintain_order=True)
        .agg(pl.col("today", "requirement", "saving").sum())
        .sort("participant", "group")
    )


def band_table(comparison: Comparison) -> pl.DataFrame:
    """Return how many participants are in each of ``BANDS``: ``saving``, then a column a programme's place.

    Columns are ``0``, ``1``, … in the order of the results, so that no name can be taken for another's. Bands
    above the highest that any programme reaches are left out.
    """
    counts = {}
    for place, result in enumerate(comparison.results):
        totals = participant_totals(result)
        found = [_band(*pair) for pair in zip(totals["saving"], totals["today"], strict=True)]
        counts[str(place)] = [found.count(number) for number in range(len(BANDS))]
    reached = max((number for found in counts.values() for number, n in enumerate(found) if n), default=1)
    return pl.DataFrame({"saving": BANDS, **counts}).head(1 + max(reached, 1))


def step_table(comparison: Comparison) -> pl.DataFrame:
    """Return a row a step, in the order they are met, and a column a programme's place, as in ``band_table``."""
    steps = [dict(result.steps.select("step", "amount").iter_rows()) for result in comparison.results]
    last = [result.steps["step"][-1] for result in comparison.results]
    between = dict.fromkeys(step for result in comparison.results for step in result.steps["step"][:-1])
    order = [*between, *dict.fromkeys(last)]
    columns = {str(place): [one.get(step) for step in order] for place, one in enumerate(steps)}
    return pl.DataFrame({"step": order, **columns}, schema_overrides=dict.fromkeys(columns, AMOUNT))


def _band(saving: Decimal, today: Decimal) -> int:
    """Return the place in ``BANDS``, from exact decimals: a bound is never missed by a float."""
    if saving <= 0:
        return 0 if saving < 0 else 1
    percent = saving * 100 / today if today else Decimal(100)
    return 2 + min(int((percent / BAND_PERCENT).to_integral_value("ROUND_CEILING")) - 1, BAND_COUNT)


def account_across(comparison: Comparison, name: str) -> pl.DataFrame:
    """Return one joint account under every programme that makes it, as in ``ProgrammeResult.joint_accounts``."""
    return stacked(comparison, "joint_accounts").filter(pl.col("joint_account") == name)


def largest_saving(comparison: Comparison) -> str | None:
    """Return the joint account with the largest saving under any programme; the first of equal ones."""
    accounts = stacked(comparison, "joint_accounts").sort("saving", descending=True, maintain_order=True)
    return None if accounts.is_empty() else str(accounts["joint_account"][0])


def explained_by(comparison: Comparison, name: str) -> ProgrammeResult:
    """Return the result in which a joint account saves most; the first of equal ones.

    Raises
    ------
    InputError
        If no programme makes a joint account of that name.
    """
    saving = {
        row["programme"]: row["saving"] for row in account_across(comparison, name).iter_rows(named=True)
    }
    if not saving:
        rule = "a joint account of one of the programmes"
        raise InputError([BadRecord(file="comparison", line=0, field="joint account", value=name, rule=rule)])
    having = [result for result in comparison.results if result.programme.name in saving]
    return max(having, key=lambda result: saving[result.programme.name])


def finding_table(comparison: Comparison) -> pl.DataFrame:
    """Return how often each kind of finding was acted upon in which way, and one of them.

    Columns ``kind``, ``action``, ``times``, ``example``.
    """
    return (
        comparison.findings.group_by("kind", "action")
        .agg(pl.len().alias("times"), pl.col("subject").min().alias("example"))
        .sort("kind", "action")
    )
