"""A margin result as a document for programs: JSON, CSV, Parquet."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Literal

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossmargin.models.expected_shortfall.result import EsMargin
    from crossmargin.models.hkscc.result import HksccMargin
    from crossmargin.models.span.result import SpanMargin

    Result = EsMargin | HksccMargin | SpanMargin

__all__ = ["DocumentFormat", "document", "frame_bytes"]

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
