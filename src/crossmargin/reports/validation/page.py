"""A validation as one page that needs nothing else: the verdict first, then what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossmargin.errors import BadRecord, InputError
from crossmargin.reports.page import page_frame, page_templates
from crossmargin.reports.sources import legal_statuses, source_table
from crossmargin.reports.validation.backtest_section import backtest_section
from crossmargin.reports.validation.origin_section import disclosure_table, finding_table, verdict_table
from crossmargin.reports.validation.pqd import pqd_rows
from crossmargin.reports.validation.procyclicality_section import procyclicality_section
from crossmargin.reports.validation.stress_section import stress_section
from crossmargin.reports.validation.verdict import verdict

if TYPE_CHECKING:
    from crossmargin.programmes.backtest.result import BacktestResult
    from crossmargin.programmes.procyclicality.result import ProcyclicalityResult
    from crossmargin.programmes.stress.result import StressResult

    Result = BacktestResult | StressResult | ProcyclicalityResult

__all__ = ["given_results", "validation_page"]


def validation_page(
    backtest: BacktestResult | None, stress: StressResult | None, procyclicality: ProcyclicalityResult | None
) -> bytes:
    """Return the page: HTML with everything inside, the same bytes for the same results.

    Parameters
    ----------
    backtest, stress, procyclicality : result or None
        At least one; a section is left out where its result is not given.

    Raises
    ------
    InputError
        If no result is given, or the results are of different programmes or markets.
    """
    results = given_results(backtest, stress, procyclicality)
    stamps = [(name, result.provenance) for name, result in results.items()]
    found = verdict(backtest, stress, procyclicality)
    environment = page_templates("crossmargin.reports.validation")
    text = environment.get_template("page.html.j2").render(
        first=next(iter(results.values())),
        as_of=max(stamp.as_of for _, stamp in stamps),
        data_notes=list(dict.fromkeys(stamp.data_note for _, stamp in stamps if stamp.data_note)),
        legal_status=legal_statuses(stamps),
        frame=page_frame(environment, "validation.css"),
        found=found,
        judgements=verdict_table(found),
        tested=backtest,
        backtest=None if backtest is None else backtest_section(backtest),
        stress=None if stress is None else stress_section(stress),
        cycle=procyclicality,
        procyclicality=None if procyclicality is None else procyclicality_section(procyclicality),
        findings=finding_table(results),
        disclosure=disclosure_table(pqd_rows(backtest, stress, procyclicality)),
        sources=source_table(stamps, "results"),
    )
    return text.encode()


def given_results(
    backtest: BacktestResult | None, stress: StressResult | None, procyclicality: ProcyclicalityResult | None
) -> dict[str, Result]:
    """Return the results that are given, by name.

    Raises
    ------
    InputError
        If there is none, or they are of different programmes, markets or currencies.
    """
    named: dict[str, Result | None] = {
        "backtest": backtest,
        "stress": stress,
        "procyclicality": procyclicality,
    }
    results = {name: result for name, result in named.items() if result is not None}
    if not results:
        rule = "at least one of backtest, stress and procyclicality"
        raise InputError([BadRecord(file="validation", line=0, field="results", value="none", rule=rule)])
    bad = [
        BadRecord(
            file="validation", line=0, field=field, value=", ".join(values), rule="the same of all results"
        )
        for field in ("programme", "market", "currency")
        if len(values := list(dict.fromkeys(getattr(result, field) for result in results.values()))) > 1
    ]
    if bad:
        raise InputError(bad)
    return results
