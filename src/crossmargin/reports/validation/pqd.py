"""Rows in the manner of the public quantitative disclosure of clearing houses (CPMI-IOSCO, February 2015).

Numbers of items are those of the document as far as known; which of them are certain is said in the documentation
(concepts, disclosure). Descriptions are our words. A row is left out where no result has what it is made from.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from crossmargin.models.market import HOUSES
from crossmargin.programmes.procyclicality.tools import AS_SET
from crossmargin.reports.validation.stressed import cover_table, named, total

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crossmargin.programmes.backtest.result import BacktestResult
    from crossmargin.programmes.procyclicality.result import ProcyclicalityResult
    from crossmargin.programmes.stress.result import StressResult

    Row = tuple[str, str, str, str, float | None, str, str]

__all__ = ["pqd_rows"]

SCHEMA: Final = {
    "item": pl.String,
    "description": pl.String,
    "house": pl.String,
    "when": pl.String,
    "value": pl.Float64,
    "unit": pl.String,
    "note": pl.String,
}

ALL: Final = "all"
"""House of a row that is about the three together."""

OVER: Final = {
    "one": ("one group", "4.4.3", "4.4.4", "4.4.5"),
    "two": ("two groups", "4.4.7", "4.4.8", "4.4.9"),
}
"""Defaulting groups, and the items of the loss over margin, of how often it is above the fund, and by how much."""

BACKTESTED: Final = (
    ("6.5.1", "times that margin did not cover the loss", "exceedances", "exceedances"),
    ("6.5.2", "observations", "observations", "series × days"),
    ("6.5.3", "achieved coverage", "coverage", "share"),
    ("6.5.4", "average uncovered loss where there is one", "average_uncovered", ""),
    ("6.5.5", "largest uncovered loss", "peak_uncovered", ""),
)
"""Item, description, column of ``BacktestResult.houses``, and unit (empty: currency)."""


POOLED: Final = {
    "house": "all that the house margins",
    "leg": "the house's legs of joint accounts",
    "joint account": "joint accounts",
}


def pqd_rows(
    backtest: BacktestResult | None, stress: StressResult | None, procyclicality: ProcyclicalityResult | None
) -> pl.DataFrame:
    """Return disclosure rows of what was tested, by item.

    Returns
    -------
    DataFrame
        ``item``, ``description``, ``house`` ("all" where the row is about the three together, "joint" of joint
        accounts, "merged" of one fund for all), ``when`` ("before" or "after" the reduction, or the arrangement:
        "today", "linked", "merged"), ``value``, ``unit`` ("share" is a fraction of 1; a currency code an amount in
        whole units, rounded to the cent), ``note``.
    """
    found: list[Row] = []
    if stress is not None:
        found += [
            *_resources(stress),
            *_standards(stress),
            *_stressed(stress),
            *_required(stress),
            *_reduction(stress),
        ]
    if backtest is not None:
        found += [*_horizons(backtest), *_backtested(backtest), *_joined(backtest)]
    if procyclicality is not None:
        found += [*_calls(procyclicality), *_responsiveness(procyclicality)]
    elif backtest is not None:
        found += _account_calls(backtest)
    rows = sorted(found, key=lambda row: _place(row[0]))
    return pl.DataFrame([_rounded(row) for row in rows], schema=SCHEMA, orient="row")


def _place(item: str) -> tuple[int, ...]:
    return tuple(int(part) for part in item.split(" ", maxsplit=1)[0].split("."))


def _rounded(row: Row) -> Row:
    *head, value, unit, note = row
    shown = round(value, 2) if value is not None and unit.isupper() else value
    return (*head, shown, unit, note)  # type: ignore[return-value]


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _resources(result: StressResult) -> Iterator[Row]:
    for row in named(result.funds).iter_rows(named=True):
        for column, whose in (("house_share", "of the house"), ("members_share", "of participants")):
            what = f"prefunded default resources {whose}"
            value = _number(row[column])
            yield ("4.1", what, row["house"], row["arrangement"], value, result.currency, row["rule"])


def _standards(result: StressResult) -> Iterator[Row]:
    for row in named(result.funds).iter_rows(named=True):
        what = "participant groups whose default the resources are to cover"
        yield (
            "4.4.1",
            what,
            row["house"],
            row["arrangement"],
            _number(row["standard"]),
            "groups",
            row["rule"],
        )


def _horizons(result: BacktestResult) -> Iterator[Row]:
    what = "business days assumed for closing out a default"
    found = result.history.filter(pl.col("house").is_not_null()).select("house", "horizon_days").unique()
    for house, horizon in found.sort("horizon_days").sort(_house_place(), maintain_order=True).iter_rows():
        yield (
            "4.4.2",
            what,
            house,
            "before",
            float(horizon),
            "days",
            "horizon of the house's margin in the backtest",
        )


def _house_place() -> pl.Expr:
    order = {house: place for place, house in enumerate(HOUSES)}
    return pl.col("house").replace_strict(order, default=len(order), return_dtype=pl.Int64)


def _stressed(result: StressResult) -> Iterator[Row]:
    """Yield losses over margin of one and of two groups, and how they compare with the fund; then what a guarantee does."""
    scenarios = result.losses["scenario"].n_unique()
    for row in cover_table(result).iter_rows(named=True):
        for column, (words, loss, times, excess) in OVER.items():
            where = (row["house"], row["arrangement"])
            of = f"largest stressed loss over margin of {words}"
            over = f"{scenarios} scenarios of one day, not 12 months"
            peak = float(row[column])
            yield (loss, f"{of}, peak", *where, peak, result.currency, over)
            yield (loss, f"{of}, mean", *where, row[f"mean_{column}"], result.currency, over)
            if row["fund"] is not None:
                yield (times, f"times that the loss of {words} is above the fund", *where,
                       float(row[f"exceeded_{column}"]), "scenarios", over)  # fmt: skip
                above = max(peak - float(row["fund"]), 0.0)
                yield (excess, f"largest excess of the loss of {words} over the fund", *where,
                       above, result.currency, over)  # fmt: skip
    yield from _guaranteed(result)


def _guaranteed(result: StressResult) -> Iterator[Row]:
    for row in named(result.cover).filter(pl.col("guarantee") != "none").iter_rows(named=True):
        words, item, *_ = OVER["one" if row["cover"] == 1 else "two"]
        what = f"largest stressed loss over margin of {words}, peak, with the guarantee of the programme"
        note = f"guarantee: {row['guarantee'].replace('_', ' ')}; scenario: {row['scenario'] or 'none'}"
        yield (
            item,
            what,
            row["house"],
            row["arrangement"],
            _number(row["over_margin"]),
            result.currency,
            note,
        )


def _margins(result: StressResult) -> dict[tuple[str, str], float]:
    """Return the sum of margins by arrangement and house; they are the same under every scenario."""
    one = named(result.losses).filter(pl.col("scenario") == pl.col("scenario").first())
    parts = one.partition_by("arrangement", "house", as_dict=True, maintain_order=True)
    return {(str(key[0]), str(key[1])): float(total(part["margin"])) for key, part in parts.items()}


def _required(result: StressResult) -> Iterator[Row]:
    for (arrangement, house), margin in _margins(result).items():
        yield (
            "6.1",
            "initial margin required",
            house,
            arrangement,
            margin,
            result.currency,
            f"on {result.as_of}",
        )


def _reduction(result: StressResult) -> Iterator[Row]:
    """Yield what less is required because of the programme, as a share of what would have been."""
    sums: dict[str, float] = {}
    for (arrangement, _), margin in _margins(result).items():
        sums[arrangement] = sums.get(arrangement, 0.0) + margin
    today = sums.get("today", 0.0)
    what = "reduction of initial margin because of cross-margining, of what would have been held"
    for arrangement, margin in sums.items():
        if arrangement != "today" and today > 0:
            yield (
                "20.7",
                what,
                ALL,
                arrangement,
                1 - margin / today,
                "share",
                f"on {result.as_of}; margin required",
            )


def _backtested(result: BacktestResult) -> Iterator[Row]:
    for item, what, column, unit in BACKTESTED:
        for row in result.houses.iter_rows(named=True):
            note = f"{POOLED.get(row['kind'], row['kind'])}, {result.portfolios} portfolios"
            if item == "6.5.5" and row["peak_date"] is not None:
                note += f", {row['peak_date']}"
            value = _number(row[column])
            yield (item, what, row["house"], row["when"], value, unit or result.currency, note)


def _joined(result: BacktestResult) -> Iterator[Row]:
    """Yield the part of stand-alone margin that stands in joint accounts, on the last day.

    What stays outside is margined as under the programme: HKSCC's net of what did not join.
    """
    last = result.history.filter(pl.col("date") == pl.col("date").max())
    joint = total(last.filter(pl.col("kind") == "joint account")["before"])
    outside = total(last.filter(pl.col("kind").is_in(["account", "rest"]))["after"].drop_nulls())
    if float(joint) + float(outside) > 0:
        share = float(joint) / (float(joint) + float(outside))
        what = "stand-alone margin of what is cross-margined, of that of all accounts"
        note = f"on {result.days[-1]}; margin stands for the value of trades, which the results do not have"
        yield ("20.7", what, ALL, "before", share, "share", note)


def _calls(result: ProcyclicalityResult) -> Iterator[Row]:
    what = "largest rise of all initial margin from one computation to the next"
    for row in result.measures.filter(tool=AS_SET).iter_rows(named=True):
        if row["series"] != "saving":
            note = f"{row['largest_call_date']}; {_spacing(result.every)}"
            value = _number(row["largest_call"])
            yield ("6.8", what, *_series(row["series"]), value, result.currency, note)


def _series(name: str) -> tuple[str, str]:
    """Return house and moment of a series of margins."""
    return (ALL, "before" if name == "silo" else "after") if name in {"silo", "joint"} else (name, "before")


def _spacing(every: int) -> str:
    return (
        "margins of every day" if every == 1 else f"margins of every {every} trading days, not of every day"
    )


def _responsiveness(result: ProcyclicalityResult) -> Iterator[Row]:
    for row in result.measures.filter(tool=AS_SET).iter_rows(named=True):
        if row["series"] == "saving":
            continue
        for days in (1, 5, 20, 30):
            value = _number(row[f"n_day_{days}"])
            if value is not None:
                what = f"largest ratio of margin to that of {days} trading days before"
                yield (
                    "6.9 (proposed)",
                    what,
                    *_series(row["series"]),
                    value,
                    "multiple",
                    _spacing(result.every),
                )


def _account_calls(result: BacktestResult) -> Iterator[Row]:
    """Yield the largest rise of the sum of what a house margins, where no history of all margins is given."""
    what = "largest rise of initial margin of the series backtested from one computation to the next"
    for when, kinds in (("before", ("account",)), ("after", ("account", "leg", "rest"))):
        margined = result.history.filter(pl.col("kind").is_in(kinds)).drop_nulls(when)
        for house in HOUSES:
            days = margined.filter(pl.col("house") == house).sort("date", maintain_order=True)
            sums = [
                (float(total(day[when])), day["date"][0])
                for day in days.partition_by("date", maintain_order=True)
            ]
            rises = [(b - a, day) for (a, _), (b, day) in pairwise(sums)]
            if rises:
                rise, day = max(rises, key=lambda pair: pair[0])
                note = f"{day}; {_spacing(result.every)}"
                yield ("6.8", what, house, when, max(rise, 0.0), result.currency, note)
