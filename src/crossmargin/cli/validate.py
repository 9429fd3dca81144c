"""The command that puts backtest, stress test and procyclicality on one page."""

from __future__ import annotations

from datetime import date  # noqa: TC003  (the parser reads the annotations)
from pathlib import Path  # noqa: TC003
from typing import Annotated

from cyclopts import Parameter

from crossmargin.cli.backtest import inputs_of
from crossmargin.cli.places import require_report_folder
from crossmargin.cli.progress import progress_bar
from crossmargin.cli.shared import deliver, printed, solver_output_to_error

__all__ = ["validate"]


def validate(
    *,
    market: Path,
    out: Path,
    programme: str = "three-linked",
    first: Annotated[date | None, Parameter(name="--from")] = None,
    last: Annotated[date | None, Parameter(name="--to")] = None,
    every: int = 5,
    confidence: float = 0.99,
    sensitivity: bool = True,
    seed: int = 0,
    jobs: int = 1,
    as_of: date | None = None,
) -> None:
    """Write the validation report of a programme: backtest, stress test and procyclicality on one page.

    With it every table as CSV, rows as of public quantitative disclosure, and everything as JSON.

    Parameters
    ----------
    market
        Market folder.
    out
        Folder for the report.
    programme
        A TOML file, or the name of a design: silo, hkcc-seoch-linked, three-linked, one-pot, merged.
    first
        First tested day; unless given, the first on which the scenarios can be made.
    last
        Last tested day.
    every
        Trading days from one tested day to the next.
    confidence
        Coverage that is asked for.
    sensitivity
        Also try other choices in the joint model.
    seed
        Of the simulation of critical values.
    jobs
        Processes that share the days; results do not depend on it.
    as_of
        Day of today's positions and the last of the histories; the last day with a price unless given.
    """
    from crossmargin.formats.stress_files import stress_library  # noqa: PLC0415
    from crossmargin.programmes.backtest.run import BacktestSettings, run_backtest  # noqa: PLC0415
    from crossmargin.programmes.procyclicality.run import (  # noqa: PLC0415
        ProcyclicalitySettings,
        run_procyclicality,
    )
    from crossmargin.programmes.stress.run import run_stress  # noqa: PLC0415
    from crossmargin.programmes.stress.settings import StressSettings  # noqa: PLC0415
    from crossmargin.reports.validation.documents import write_validation  # noqa: PLC0415
    from crossmargin.reports.validation.terminal import backtest_report, stress_report  # noqa: PLC0415

    require_report_folder(market, out)
    tested = BacktestSettings(
        first=first, last=last, every=every, confidence=confidence, sensitivity=sensitivity, seed=seed
    )
    moved = ProcyclicalitySettings(first=first, last=last, every=every)
    stressed = StressSettings(scenarios=stress_library())
    with progress_bar(None) as note:
        note("read market")
        inputs = inputs_of(market, programme, as_of)
        with solver_output_to_error():
            backtest = run_backtest(inputs, tested, jobs=jobs, note=note)
            stress = run_stress(inputs.market, inputs.programme, inputs.as_of, stressed, note)
            procyclicality = run_procyclicality(inputs, moved, jobs=jobs, note=note)
        note("report")
        write_validation(out, backtest, stress, procyclicality)
    deliver(printed(backtest_report(backtest), stress_report(stress)), None)
    deliver(printed(f"Report in {out / 'report.html'}."), None)
