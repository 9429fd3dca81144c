"""A margin result as a document for programs: JSON, CSV, Parquet."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Literal

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossmargin.models.hkscc.result import HksccMargin

__all__ = ["DocumentFormat", "document"]

DocumentFormat = Literal["json", "csv", "parquet"]


def document(results: Sequence[HksccMargin], kind: DocumentFormat) -> bytes:
    """Return results as bytes: the same results, the same bytes.

    Parameters
    ----------
    results : sequence of HksccMargin
        One or more participants.
    kind : {"json", "csv", "parquet"}
        JSON holds everything; CSV and Parquet the breakdown, a row a component, with exact decimals.
    """
    if kind == "json":
        plain = {"results": [result.to_dict() for result in results]}
        return (json.dumps(plain, indent=2, ensure_ascii=False) + "\n").encode()
    stream = io.BytesIO()
    frame = pl.concat(
        result.to_frame().select(pl.lit(result.participant).alias("participant"), pl.all())
        for result in results
    )
    if kind == "csv":
        frame.write_csv(stream)
    else:
        frame.write_parquet(stream)
    return stream.getvalue()
