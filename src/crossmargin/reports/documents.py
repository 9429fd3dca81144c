"""A margin result as a document for programs: JSON, CSV, Parquet."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Literal

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossmargin.models.hkscc.result import HksccMargin
    from crossmargin.models.span.result import SpanMargin

    Result = HksccMargin | SpanMargin

__all__ = ["DocumentFormat", "document"]

DocumentFormat = Literal["json", "csv", "parquet"]


def document(results: Sequence[Result], kind: DocumentFormat) -> bytes:
    """Return results as bytes: the same results, the same bytes.

    Parameters
    ----------
    results : sequence of HksccMargin or SpanMargin
        One or more participants or accounts.
    kind : {"json", "csv", "parquet"}
        JSON holds everything; CSV and Parquet the breakdown, a row a component, with exact decimals.
    """
    if kind == "json":
        plain = {"results": [result.to_dict() for result in results]}
        return (json.dumps(plain, indent=2, ensure_ascii=False) + "\n").encode()
    stream = io.BytesIO()
    frame = pl.concat(result.to_frame() for result in results)
    if kind == "csv":
        frame.write_csv(stream)
    else:
        frame.write_parquet(stream)
    return stream.getvalue()
