"""What results were made with, and what holds of them in law, each said once with the results of which it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from crossmargin.reports.tables import page_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crossmargin.core.provenance import Provenance
    from crossmargin.reports.tables import PageTable

    Stamps = Sequence[tuple[str, Provenance]]

__all__ = ["legal_statuses", "source_table"]


def legal_statuses(stamps: Stamps) -> list[tuple[str, str]]:
    """Return each legal status with the names of the results that have it."""
    names: dict[str, list[str]] = {}
    for name, stamp in stamps:
        names.setdefault(stamp.legal_status, []).append(name)
    return [(status, ", ".join(having)) for status, having in names.items()]


def source_table(stamps: Stamps, results: str) -> PageTable:
    """Return engine, methods, parameter sets, seeds and hashes, each with the results that have it.

    Parameters
    ----------
    stamps : sequence of (str, Provenance)
        Name of each result and its stamp.
    results : str
        What the results are, as heading of the column of their names.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for name, stamp in stamps:
        for pair in dict.fromkeys(_stamped(stamp)):
            found.setdefault(pair, []).append(name)
    rows = [
        (what, content, "all" if len(names) == len(stamps) else ", ".join(names))
        for (what, content), names in sorted(found.items(), key=lambda item: len(item[1]) < len(stamps))
    ]
    frame = pl.DataFrame(rows, schema=["what", "content", results], orient="row")
    return page_table("What the numbers were made with", frame)


def _stamped(stamp: Provenance) -> Iterator[tuple[str, str]]:
    yield "engine", f"crossmargin {stamp.engine_version}"
    yield from (("parameter set", name) for name in stamp.parameter_sets)
    yield from ((f"SHA-256 of {name}", digest) for name, digest in stamp.input_hashes)
    if stamp.seed is not None:
        yield "seed", str(stamp.seed)
    yield "method", stamp.method
    yield from ((f"setting {name}", value) for name, value in stamp.settings)
