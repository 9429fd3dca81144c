"""Whether the margin was enough, in plain words: each judgement with what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from crossmargin.programmes.procyclicality.tools import AS_SET
from crossmargin.reports.amounts import millions
from crossmargin.reports.validation.backtested import reached
from crossmargin.reports.validation.forms import coverage_text, exact
from crossmargin.reports.validation.stressed import MERGED, MUTUAL, NOT_COVERED, named, runs, total

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crossmargin.programmes.backtest.result import BacktestResult
    from crossmargin.programmes.procyclicality.result import ProcyclicalityResult
    from crossmargin.programmes.stress.result import StressResult

__all__ = [
    "POOLS",
    "Judgement",
    "Verdict",
    "asked",
    "backtest_judgements",
    "procyclicality_judgements",
    "stress_judgements",
    "verdict",
]

POOLS: Final = {"house": "all margin", "leg": "legs", "joint account": "joint accounts"}
"""Pools of series, as a sentence names them."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One thing that was judged.

    Parameters
    ----------
    subject : str
        What, and where.
    margin : str
        What it was judged with: ``"today"``, ``"programme"``, or ``"without guarantee"`` (the programme's margin
        without its guarantee, where it has one: shown, not counted).
    met : bool or None
        Whether it was enough; None where nothing was judged.
    text : str
        Why, with its numbers.
    """

    subject: str
    margin: str
    met: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the reduced margin was enough in everything that was judged.

    Parameters
    ----------
    safe : bool or None
        None where nothing was judged.
    headline : str
        One sentence, and one on default funds where these must grow.
    judgements : tuple of Judgement
        What it rests on.
    """

    safe: bool | None
    headline: str
    judgements: tuple[Judgement, ...]


def verdict(
    backtest: BacktestResult | None, stress: StressResult | None, procyclicality: ProcyclicalityResult | None
) -> Verdict:
    """Return the verdict on what was tested.

    The margin of a programme is enough if coverage reached what was asked for in every pool of series after the
    reduction, and today's funds cover what is left over it, with the programme's guarantee where it has one. Procyclicality
    is described, not judged.
    """
    judged = (
        *(() if backtest is None else backtest_judgements(backtest)),
        *(() if stress is None else stress_judgements(stress)),
    )
    described = () if procyclicality is None else procyclicality_judgements(procyclicality)
    ours = [one for one in judged if one.margin == "programme" and one.met is not None]
    if not ours:
        return Verdict(
            None,
            "Nothing was tested that would say whether the reduced margin is enough.",
            judged + described,
        )
    failed = [one for one in ours if not one.met]
    already = {one.subject for one in judged if one.margin == "today" and one.met is False}
    if failed:
        headline = f"The reduced margin was not enough: {_listed(failed, already)}."
    else:
        headline = "The reduced margin was enough in everything that was tested."
    return Verdict(not failed, headline + _larger_funds(judged), judged + described)


def _listed(failed: Iterable[Judgement], already: set[str]) -> str:
    """Name subjects, those first that hold with today's margin."""
    named = [(one.subject in already, one.subject) for one in failed]
    ordered = dict.fromkeys(sorted(named, key=lambda pair: pair[0]))
    return "; ".join(f"{subject} (nor is today's)" if too else subject for too, subject in ordered)


def backtest_judgements(result: BacktestResult) -> tuple[Judgement, ...]:
    """Return a judgement a pool of series: all and legs of each house, and joint accounts, before and after."""
    return tuple(_pool(row, result) for row in result.houses.iter_rows(named=True))


def _pool(row: dict[str, object], result: BacktestResult) -> Judgement:
    margin = "programme" if row["when"] == "after" else "today"
    plural = POOLS.get(str(row["kind"]), str(row["kind"]))
    subject = plural if row["kind"] == "joint account" else f"{plural} at {row['house']}"
    coverage, observations = row["coverage"], row["observations"]
    if coverage is None or not observations:
        return Judgement(subject, margin, None, "no observation")
    met = reached(int(str(observations)), int(str(row["exceedances"])), result.confidence)
    below = int(str(row["series_below"] or 0))
    some = f"; {below:,} series below it" if below else ""
    text = (
        f"{coverage_text(exact(float(str(coverage))))} of {observations:,} observations "
        f"({asked(result.confidence)} asked for){some}"
    )
    return Judgement(subject, margin, met, text)


def asked(confidence: float) -> str:
    """Return the coverage that is asked for, without needless zeros: 99%, 99.5%."""
    return f"{(exact(confidence) * 100).normalize():f}%"


def stress_judgements(result: StressResult) -> tuple[Judgement, ...]:
    """Return a judgement a fund, whether today's covers the loss of its standard, and one of runs of the waterfall.

    A fund that its rule sizes from the very losses it is tested on always covers them, up to its limit: that says
    nothing. What is judged is whether today's fund would cover the losses over the programme's margin.
    """
    today = _funds_today(result)
    table = named(result.cover).join(
        named(result.funds).select("arrangement", "house", "size", "standard"),
        on=["arrangement", "house"],
        how="left",
        maintain_order="left",
    )
    guaranteed = _guaranteed(table)
    rows = table.filter(pl.col("cover") == pl.col("standard").fill_null(1)).iter_rows(named=True)
    return (*(_fund(row, today, guaranteed, result.currency) for row in rows), *_waterfalls(result))


def _guaranteed(table: pl.DataFrame) -> set[str]:
    """Return arrangements that are there with a guarantee."""
    return set(table.filter(pl.col("guarantee") != "none")["arrangement"])


def _funds_today(result: StressResult) -> dict[str, Decimal]:
    """Return today's fund of each house, and of all of them together as that of a merged one."""
    found = {
        row["house"]: exact(row["size"])
        for row in named(result.funds).filter(arrangement="today").iter_rows(named=True)
    }
    return {**found, MERGED: sum(found.values(), Decimal(0))} if found else {}


def _fund(row: dict[str, Any], today: dict[str, Decimal], guaranteed: set[str], currency: str) -> Judgement:
    margin = _margin(row["arrangement"], row["guarantee"], guaranteed)
    subject = "merged fund" if row["arrangement"] == "merged" else f"fund of {row['house']}"
    if row["size"] is None:
        return Judgement(subject, margin, None, "no fund")
    loss, own = exact(row["over_margin"]), exact(row["size"])
    groups = "one group" if row["cover"] == 1 else "two groups"
    if margin == "today":
        # no judgement: it is made to cover this loss, unless it is at its limit
        text = f"{millions(own, currency)}, made to cover {millions(loss, currency)} of {groups}"
        return Judgement(subject, margin, None if own >= loss else False, text)
    has = today.get(row["house"])
    if has is None:
        return Judgement(subject, margin, None, "no fund today to compare with")
    lacking = f", lacks {millions(loss - has, currency)}" if loss > has else ""
    text = (
        f"today's {millions(has, currency)} against a stressed loss over margin of {millions(loss, currency)} "
        f"of {groups}{lacking}"
    )
    return Judgement(subject, margin, has >= loss, text)


def _larger_funds(judged: Iterable[Judgement]) -> str:
    """Say which funds today's do not do for without the programme's guarantee, where it has one."""
    short = [one for one in judged if one.margin == "without guarantee" and one.met is False]
    funds = [f"{one.subject}: {one.text}" for one in short if one.subject.startswith("fund of ")]
    return (
        f" Without its guarantee today's default funds are not enough: {'; '.join(funds)}." if funds else ""
    )


def _waterfalls(result: StressResult) -> list[Judgement]:
    """Judge runs of the waterfall together: one of each arrangement and guarantee, on the worst of its defaults."""
    worst: dict[tuple[str, str], tuple[float, float, str]] = {}
    for (arrangement, guarantee, scenario, defaulters), part in runs(result):
        left, mutual = (float(total(part.filter(pl.col("layer").is_in(one))["used"])) for one in _LAYERS)
        known = worst.get((arrangement, guarantee))
        if known is None or (left, mutual) > known[:2]:
            worst[arrangement, guarantee] = (left, mutual, f"{defaulters}, {scenario}")
    guaranteed = {arrangement for arrangement, guarantee in worst if guarantee != "none"}
    return [
        _waterfall(arrangement, _margin(arrangement, guarantee, guaranteed), found, result.currency)
        for (arrangement, guarantee), found in worst.items()
    ]


_LAYERS: Final = ((NOT_COVERED,), MUTUAL)


def _margin(arrangement: str, guarantee: str, guaranteed: set[str]) -> str:
    if arrangement == "today":
        return "today"
    return "without guarantee" if guarantee == "none" and arrangement in guaranteed else "programme"


def _waterfall(arrangement: str, margin: str, found: tuple[float, float, str], currency: str) -> Judgement:
    subject = "waterfall" if arrangement in {"today", "linked"} else f"waterfall, {arrangement}"
    left, mutual, which = found
    others = f"survivors pay {millions(exact(mutual), currency)}" if mutual > 0 else "survivors pay nothing"
    if left <= 0:
        return Judgement(subject, margin, True, f"nothing left uncovered, {others} ({which})")
    return Judgement(
        subject, margin, False, f"{millions(exact(left), currency)} not covered, {others} ({which})"
    )


def procyclicality_judgements(result: ProcyclicalityResult) -> tuple[Judgement, ...]:
    """Return what is said of margins over time: of today's, and of the programme's with its saving; not judged."""
    rows = {row["series"]: row for row in result.measures.filter(tool=AS_SET).iter_rows(named=True)}
    subject = "rise and fall of margins"
    found = [("today", _swing(rows["silo"]))] if "silo" in rows else []
    if "joint" in rows:
        saving = f"; of the saving: {_swing(rows['saving'])}" if "saving" in rows else ""
        found.append(("programme", f"{_swing(rows['joint'])}{saving}"))
    return tuple(Judgement(subject, margin, None, text) for margin, text in found)


def _swing(row: dict[str, object]) -> str:
    ratio = row["peak_to_trough"]
    if ratio is None:
        return "no ratio of peak to trough"
    return f"peak {float(str(ratio)):.2f} times the trough ({row['peak_date']} to {row['trough_date']})"
