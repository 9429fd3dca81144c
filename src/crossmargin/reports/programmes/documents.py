"""A comparison of programmes for programs: one document, or a folder with the page and every table."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from crossmargin.reports.documents import frame_bytes, frame_columns, json_bytes, write_files
from crossmargin.reports.programmes.page import PARTICIPANTS, comparison_page
from crossmargin.reports.programmes.summary import stacked, system_table

if TYPE_CHECKING:
    from pathlib import Path

    from crossmargin.programmes.result import Comparison, ProgrammeResult
    from crossmargin.reports.documents import DocumentFormat

__all__ = ["comparison_document", "write_report"]

TABLES: Final = ("houses", "participants", "accounts", "joint_accounts", "steps", "risen")
"""Tables of a result, as its fields are named."""

FILES: Final = ("accounts", "joint_accounts", "participants", "houses", "risen")


def comparison_document(comparison: Comparison, kind: DocumentFormat) -> bytes:
    """Return a comparison as bytes: the same comparison, the same bytes.

    Parameters
    ----------
    comparison : Comparison
        What was evaluated.
    kind : {"json", "csv", "parquet"}
        JSON holds everything but explanations, which are made when asked for: amounts are decimal strings, a
        table is an object of columns. CSV and Parquet hold a row a programme: today's requirement, the
        programme's, what it saves, and that as a share of what would have been held (public quantitative
        disclosure, item 20.7).
    """
    if kind == "json":
        return json_bytes(_plain(comparison))
    return frame_bytes(system_table(comparison), kind)


def _plain(comparison: Comparison) -> dict[str, object]:
    return {
        "market": comparison.market,
        "data_note": comparison.data_note,
        "results": [_plain_result(result) for result in comparison.results],
        "findings": frame_columns(comparison.findings),
    }


def _plain_result(result: ProgrammeResult) -> dict[str, object]:
    return {
        "programme": asdict(result.programme),
        "as_of": result.as_of,
        "currency": result.currency,
        "today": result.today,
        "requirement": result.requirement,
        "saving": result.saving,
        "share": result.share,
        **{table: frame_columns(getattr(result, table)) for table in TABLES},
        "provenance": result.provenance.to_dict(),
    }


def write_report(
    comparison: Comparison,
    folder: str | Path,
    *,
    highlighted: str | None = None,
    participants: int = PARTICIPANTS,
) -> list[Path]:
    """Write the page, its tables as CSV with the programme in the first column, and the whole as JSON.

    Everything is made before the first file is written, and every file is written as a whole.

    Parameters
    ----------
    comparison, highlighted, participants
        As in ``comparison_page``.
    folder : path
        Made where it is not there; files of the same names are replaced.

    Returns
    -------
    list of Path
        The files, ``report.html`` first.

    Raises
    ------
    InputError
        If no programme makes the joint account.
    """
    contents = {
        "report.html": comparison_page(comparison, highlighted=highlighted, participants=participants),
        **{f"{table}.csv": frame_bytes(stacked(comparison, table), "csv") for table in FILES},
        "findings.csv": frame_bytes(comparison.findings, "csv"),
        "comparison.json": comparison_document(comparison, "json"),
    }
    return write_files(folder, contents)
