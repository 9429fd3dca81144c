"""A validation for programs: one document a result, or a folder with the page, every table and disclosure rows."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.core.provenance import Provenance
from crossmargin.reports.documents import frame_bytes, frame_columns, json_bytes, write_files
from crossmargin.reports.validation.page import given_results, validation_page
from crossmargin.reports.validation.pqd import pqd_rows

if TYPE_CHECKING:
    from pathlib import Path

    from crossmargin.programmes.backtest.result import BacktestResult
    from crossmargin.programmes.procyclicality.result import ProcyclicalityResult
    from crossmargin.programmes.stress.result import StressResult
    from crossmargin.reports.documents import DocumentFormat

    Result = BacktestResult | StressResult | ProcyclicalityResult

__all__ = ["validation_document", "write_validation"]

MAIN: Final = ("coverage", "cover", "measures")
"""Field of each kind of result that its CSV and Parquet hold."""


def validation_document(result: Result, kind: DocumentFormat) -> bytes:
    """Return a result as bytes: the same result, the same bytes.

    Parameters
    ----------
    result : BacktestResult, StressResult or ProcyclicalityResult
        What was computed.
    kind : {"json", "csv", "parquet"}
        JSON holds everything: a table is an object of columns, a decimal a string. CSV and Parquet hold the table of
        coverage, of losses over margin, or of measures.
    """
    if kind == "json":
        return json_bytes(_plain(result))
    main = next(name for name in MAIN if hasattr(result, name))
    return frame_bytes(getattr(result, main), kind)


def _plain(result: Result) -> dict[str, object]:
    return {field.name: _plain_value(getattr(result, field.name)) for field in fields(result)}


def _plain_value(value: object) -> object:
    if isinstance(value, pl.DataFrame):
        return frame_columns(value)
    return value.to_dict() if isinstance(value, Provenance) else value


def write_validation(
    out: str | Path,
    backtest: BacktestResult | None,
    stress: StressResult | None,
    procyclicality: ProcyclicalityResult | None,
) -> list[Path]:
    """Write the page, every table as CSV, disclosure rows as ``pqd.csv``, and the whole as ``validation.json``.

    Everything is made before the first file is written, and every file is written as a whole.

    Parameters
    ----------
    out : path
        Folder; made where it is not there, files of the same names are replaced.
    backtest, stress, procyclicality : result or None
        As of ``validation_page``. Tables are named by the result and its field, such as ``backtest_coverage.csv``.

    Returns
    -------
    list of Path
        The files, ``report.html`` first.

    Raises
    ------
    InputError
        As of ``validation_page``.
    """
    results = given_results(backtest, stress, procyclicality)
    tables = {
        f"{name}_{field.name}.csv": frame_bytes(getattr(result, field.name), "csv")
        for name, result in results.items()
        for field in fields(result)
        if isinstance(getattr(result, field.name), pl.DataFrame)
    }
    contents = {
        "report.html": validation_page(backtest, stress, procyclicality),
        "pqd.csv": frame_bytes(pqd_rows(backtest, stress, procyclicality), "csv"),
        **tables,
        "validation.json": json_bytes({name: _plain(result) for name, result in results.items()}),
    }
    return write_files(out, contents)
