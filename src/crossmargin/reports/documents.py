"""Results as documents for programs: JSON, CSV, Parquet, and folders of them."""

from __future__ import annotations

import io
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl

from crossmargin.core.files import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crossmargin.models.expected_shortfall.result import EsMargin
    from crossmargin.models.hkscc.result import HksccMargin
    from crossmargin.models.span.result import SpanMargin

    Result = EsMargin | HksccMargin | SpanMargin

__all__ = ["DocumentFormat", "document", "frame_bytes", "frame_columns", "json_bytes", "write_files"]

DocumentFormat = Literal["json", "csv", "parquet"]


def document(results: Sequence[Result], kind: DocumentFormat) -> bytes:
    """Return results as bytes: the same results, the same bytes.

    Parameters
    ----------
    results : sequence of HksccMargin, SpanMargin or EsMargin
        One or more participants or accounts.
    kind : {"json", "csv", "parquet"}
        JSON holds everything; CSV and Parquet the breakdown, a row a component, with exact decimals.
    """
    if kind == "json":
        plain = {"results": [result.to_dict() for result in results]}
        return (json.dumps(plain, indent=2, ensure_ascii=False) + "\n").encode()
    return frame_bytes(pl.concat(result.to_frame() for result in results), kind)


def frame_bytes(frame: pl.DataFrame, kind: Literal["csv", "parquet"]) -> bytes:
    """Return a table as CSV or Parquet."""
    stream = io.BytesIO()
    if kind == "csv":
        frame.write_csv(stream)
    else:
        frame.write_parquet(stream)
    return stream.getvalue()


def json_bytes(plain: object) -> bytes:
    """Return plain objects as one line of JSON: amounts as decimal strings that no reader rounds, dates in ISO form.

    A number that is not finite is a programmer's mistake.
    """
    return (json.dumps(plain, default=_exact, ensure_ascii=False, allow_nan=False) + "\n").encode()


def frame_columns(frame: pl.DataFrame) -> dict[str, list[object]]:
    """Return a table as an object of columns."""
    return {series.name: series.to_list() for series in frame}


def _exact(value: object) -> str:
    """Return what JSON has no type for."""
    if isinstance(value, Decimal):
        return str(value)
    assert isinstance(value, date), f"a table holds {type(value)}"
    return value.isoformat()


def write_files(folder: str | Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write files into a folder, each as a whole.

    Parameters
    ----------
    folder : path
        Made where it is not there; files of the same names are replaced.
    contents : mapping
        Name of each file, and what it holds.

    Returns
    -------
    list of Path
        The files, in the order of ``contents``.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        with whole_file(Path(folder) / name) as stream:
            stream.write(content)
    return [Path(folder) / name for name in contents]
