"""A backtest of a programme on a market, from its inputs to everything that is said of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.core.columns import require_within
from crossmargin.programmes.backtest.history import backtest_places, first_day, margin_history
from crossmargin.programmes.backtest.judged import coverage_frame, pooled_frame
from crossmargin.programmes.backtest.result import BacktestResult
from crossmargin.programmes.backtest.sensitivity import SENSITIVITY_SCHEMA, sensitivity_frame
from crossmargin.programmes.evaluate import evaluation, provenance_of
from crossmargin.programmes.opening import open_houses

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from crossmargin.models.scenarios.histories import Histories
    from crossmargin.programmes.backtest.history import BacktestInputs, MarginHistory

__all__ = ["BacktestSettings", "run_backtest"]

METHOD: Final = "backtest of margins before and after a programme of cross-margining"


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestSettings:
    """What is tested, and how strictly.

    Parameters
    ----------
    first, last : date, optional
        From which day to which; from the first on which the scenarios can be made, to the last that has the longest
        horizon after it.
    every : int
        Trading days from one tested day to the next.
    confidence : float
        Coverage that is asked for; the standard of PFMI 6.3 is 0.99.
    sensitivity : bool
        Whether other choices in the joint model are tried.
    seed : int
        Of the simulation of critical values.
    """

    first: date | None = None
    last: date | None = None
    every: int = 1
    confidence: float = 0.99
    sensitivity: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        require_within(self, {"every": (1, 250), "confidence": (0.5, 0.9999), "seed": (0, 2**63 - 1)})


def run_backtest(
    inputs: BacktestInputs,
    settings: BacktestSettings | None = None,
    *,
    jobs: int = 1,
    note: Callable[[str], None] = lambda _: None,
) -> BacktestResult:
    """Margin the accounts of a market on past days, before and after a programme, and judge what was covered.

    Parameters
    ----------
    inputs : BacktestInputs
        Market, day, programme, houses' settings, and whose positions.
    settings : BacktestSettings, optional
        The defaults unless given.
    jobs : int
        Processes that share the days; the result is the same for any number.
    note : callable
        Told the name of each stage as it begins.

    Raises
    ------
    InputError
        If no day can be tested, or as ``open_houses`` and ``evaluate`` say.
    """
    settings, inputs = settings or BacktestSettings(), inputs.with_scenarios()
    note("histories")
    histories = inputs.histories()
    first = settings.first or first_day(histories, inputs)
    last = settings.last or inputs.as_of
    places = backtest_places(histories, first, last, settings.every, inputs.longest)
    days = tuple(histories.days[places].tolist())
    history = margin_history(inputs, places, jobs=jobs, note=note)
    note("judge")
    judged = _judged(inputs, settings, history, days)
    note("sensitivity")
    return _with_sensitivity(inputs, settings, histories, judged) if settings.sensitivity else judged


def _judged(
    inputs: BacktestInputs, settings: BacktestSettings, found: MarginHistory, days: tuple[date, ...]
) -> BacktestResult:
    """Return the result without the sensitivity table."""
    history = found.rows
    houses = open_houses(inputs.market, inputs.as_of, inputs.settings)
    part = houses.joint_model("max").cube.parts[0]
    told = provenance_of(inputs.programme, houses, METHOD)
    chosen = [(f"backtest.{name}", str(getattr(settings, name))) for name in settings.__dataclass_fields__]
    own = (("backtest.portfolios", inputs.portfolios), *chosen)
    alpha = part.tail_count / part.size
    every, confidence = settings.every, settings.confidence
    return BacktestResult(
        programme=inputs.programme.name,
        market=inputs.market.name,
        portfolios=inputs.portfolios,
        days=days,
        every=every,
        confidence=confidence,
        currency=inputs.market.currency,
        history=history,
        coverage=coverage_frame(
            history, days, confidence=confidence, every=every, alpha=alpha, seed=settings.seed
        ),
        houses=pooled_frame(history, confidence=confidence, by_year=False),
        years=pooled_frame(history, confidence=confidence, by_year=True),
        sensitivity=pl.DataFrame(schema=SENSITIVITY_SCHEMA),
        findings=pl.concat([_left_out(found, len(days)), houses.findings]),
        provenance=replace(told, settings=(*told.settings, *own), seed=settings.seed),
    )


def _left_out(found: MarginHistory, day_count: int) -> pl.DataFrame:
    """Return a finding of each instrument that was held and could not be tested on some of the days."""
    days = (
        found.left_out.group_by("instrument")
        .agg(pl.len(), pl.col("date").max().alias("last"))
        .sort("instrument")
    )
    said = [
        (name, "not tested", f"positions left out on {count} of {day_count} days, up to {last}")
        for name, count, last in days.iter_rows()
    ]
    schema = {"subject": pl.String, "kind": pl.String, "action": pl.String}
    return pl.DataFrame(said, schema=schema, orient="row")


def _with_sensitivity(
    inputs: BacktestInputs, settings: BacktestSettings, histories: Histories, judged: BacktestResult
) -> BacktestResult:
    """Add the table of other choices, of today's positions, and what could not be tried to the findings."""
    done = evaluation(inputs.programme, open_houses(inputs.market, inputs.as_of, inputs.settings))
    if not done.joint.count:
        return judged
    table, missing = sensitivity_frame(
        done, histories, judged.days, confidence=settings.confidence, every=settings.every
    )
    if inputs.portfolios != "static":
        missing.append(("sensitivity", "portfolios", "of today's positions, not of each day's"))
    more = pl.DataFrame(missing, schema=judged.findings.schema, orient="row")
    return replace(judged, sensitivity=table, findings=pl.concat([judged.findings, more]))
