"""Commands that test on past days whether margins were enough, and how they moved."""

from __future__ import annotations

from datetime import date
from pathlib import Path  # noqa: TC003
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from crossmargin.cli.pipeline import last_day, load_market
from crossmargin.cli.places import require_report_folder
from crossmargin.cli.progress import progress_bar
from crossmargin.cli.shared import deliver, printed, solver_output_to_error

if TYPE_CHECKING:
    from crossmargin.programmes.backtest.history import BacktestInputs
    from crossmargin.programmes.backtest.result import BacktestResult
    from crossmargin.programmes.procyclicality.result import ProcyclicalityResult

__all__ = ["backtest", "procyclicality"]

First = Annotated[date | None, Parameter(name="--from")]
Last = Annotated[date | None, Parameter(name="--to")]
Form = Annotated[Literal["table", "json"], Parameter(name="--format")]


def backtest(
    *,
    market: Path,
    programme: str = "three-linked",
    first: First = None,
    last: Last = None,
    every: int = 1,
    confidence: float = 0.99,
    portfolios: Literal["static", "as-they-were"] = "static",
    sensitivity: bool = True,
    seed: int = 0,
    jobs: int = 1,
    as_of: date | None = None,
    out: Path | None = None,
    form: Form = "table",
) -> None:
    """Test on past days whether margins covered the losses that followed, before and after a programme.

    Of every account, house, joint account, and each house's own leg after the reduction.

    Parameters
    ----------
    market
        Market folder.
    programme
        A TOML file, or the name of a design: silo, hkcc-seoch-linked, three-linked, one-pot, merged.
    first
        First day; unless given, the first on which the scenarios can be made.
    last
        Last day; unless given, the last that has the houses' horizon after it.
    every
        Trading days from one tested day to the next.
    confidence
        Coverage that is asked for.
    portfolios
        Today's positions on every day, or each day's own positions and marks.
    sensitivity
        Also try other choices in the joint model.
    seed
        Of the simulation of critical values.
    jobs
        Processes that share the days; results do not depend on it.
    as_of
        Day of today's positions and the last of the histories; the last day with a price unless given.
    out
        Folder for the report: one HTML page, tables as CSV, disclosure rows, everything as JSON.
    """
    from crossmargin.programmes.backtest.run import BacktestSettings, run_backtest  # noqa: PLC0415
    from crossmargin.reports.validation.documents import validation_document  # noqa: PLC0415
    from crossmargin.reports.validation.terminal import backtest_report  # noqa: PLC0415

    require_report_folder(market, out)
    settings = BacktestSettings(
        first=first, last=last, every=every, confidence=confidence, sensitivity=sensitivity, seed=seed
    )
    with progress_bar(None) as note:
        note("read market")
        inputs = inputs_of(market, programme, as_of, portfolios.replace("-", " "))
        with solver_output_to_error():
            result = run_backtest(inputs, settings, jobs=jobs, note=note)
    _write(out, backtest=result)
    deliver(validation_document(result, "json") if form == "json" else printed(backtest_report(result)), None)


def procyclicality(
    *,
    market: Path,
    programme: str = "three-linked",
    first: First = None,
    last: Last = None,
    every: int = 5,
    jobs: int = 1,
    as_of: date | None = None,
    out: Path | None = None,
    form: Form = "table",
) -> None:
    """Measure how margins move with the market: of each house, of a programme, and what it saves.

    Without a tool against it, and with each of three: a buffer of 25%, a weight of 25% on stressed days, a floor of
    volatility over ten years.

    Parameters
    ----------
    market
        Market folder.
    programme
        A TOML file, or the name of a design: silo, hkcc-seoch-linked, three-linked, one-pot, merged.
    first
        First day; unless given, the first on which the scenarios can be made.
    last
        Last day.
    every
        Trading days from one day to the next.
    jobs
        Processes that share the work; results do not depend on it.
    as_of
        Day of today's positions and the last of the histories; the last day with a price unless given.
    out
        Folder for the report: one HTML page, tables as CSV, disclosure rows, everything as JSON.
    """
    from crossmargin.programmes.procyclicality.run import (  # noqa: PLC0415
        ProcyclicalitySettings,
        run_procyclicality,
    )
    from crossmargin.reports.validation.documents import validation_document  # noqa: PLC0415
    from crossmargin.reports.validation.terminal import procyclicality_report  # noqa: PLC0415

    require_report_folder(market, out)
    settings = ProcyclicalitySettings(first=first, last=last, every=every)
    with progress_bar(None) as note:
        note("read market")
        inputs = inputs_of(market, programme, as_of)
        with solver_output_to_error():
            result = run_procyclicality(inputs, settings, jobs=jobs, note=note)
    _write(out, procyclicality=result)
    shown = validation_document(result, "json") if form == "json" else printed(procyclicality_report(result))
    deliver(shown, None)


def inputs_of(market: Path, programme: str, as_of: date | None, portfolios: str = "static") -> BacktestInputs:
    """Read market and programme."""
    from crossmargin.formats.programme_files import chosen_programme  # noqa: PLC0415
    from crossmargin.programmes.backtest.history import BacktestInputs  # noqa: PLC0415
    from crossmargin.programmes.houses import HouseSettings  # noqa: PLC0415

    chosen = chosen_programme(programme)
    loaded = load_market(market)
    return BacktestInputs(
        market=loaded,
        as_of=as_of or last_day(loaded),
        programme=chosen,
        settings=HouseSettings(),
        portfolios=portfolios,
    )


def _write(
    out: Path | None,
    backtest: BacktestResult | None = None,
    procyclicality: ProcyclicalityResult | None = None,
) -> None:
    from crossmargin.reports.validation.documents import write_validation  # noqa: PLC0415

    if out is not None:
        write_validation(out, backtest, None, procyclicality)
