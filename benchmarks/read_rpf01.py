"""Benchmark: a full-size RPF01 file from disk to typed arrays, against pandas."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crossmargin.formats.hkscc.rpf01 import read_rpf01
from crossmargin.models.hkscc.parameters import TABLE_SCHEMAS
from machine import in_fresh_process, peak_bytes, resident_bytes, seconds, share_of_bandwidth
from market import STOCKS, STRUCTURED_PRODUCTS
from report import Row, Table, ratio_row

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["bench_reading"]

SPEED_GOAL, MEMORY_GOAL = 4.0, 3.0
HEADER_LINES, HISTORICAL, STRESSED = 13, 1000, 1018
RUNS = {"CrossMargin": 9, "pandas": 5}
TABLES = dict(zip(range(3, 8), TABLE_SCHEMAS.items(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one reader took, and a checksum of what it read."""

    first: float
    warm: float
    peak: int
    growth: int
    array_bytes: int
    checksum: float


def read_with_pandas(path: Path) -> tuple[dict[int, pd.DataFrame], np.ndarray]:
    """Read the ragged table with one ``read_csv`` and cut it into typed arrays.

    Returns
    -------
    dict of int to DataFrame
        FieldTypes 3 to 7 in typed columns.
    ndarray of float64
        Returns, instruments × scenarios, historical ones first.
    """
    raw = pd.read_csv(path, skiprows=HEADER_LINES, names=range(2 + STRESSED), dtype={0: str, 1: np.int8})
    by_type = {i: raw[raw[1] == i] for i in range(1, 8)}
    stressed = by_type[2].set_index(0).loc[by_type[1][0]]
    returns = np.hstack(
        [
            by_type[1].loc[:, 2 : 1 + HISTORICAL].to_numpy(np.float64),
            stressed.loc[:, 2 : 1 + STRESSED].to_numpy(np.float64),
        ]
    )
    tables = {}
    for field_type, (_, schema) in TABLES.items():
        columns = [0, *range(2, 1 + len(schema))]
        table = by_type[field_type][columns].set_axis(list(schema), axis=1)
        for name in set(schema) & {"threshold", "benefit_type", "underlying"}:
            table[name] = table[name].astype(np.int64)
        if "underlying" in schema:
            table["underlying"] = table["underlying"].astype(str)
        tables[field_type] = table.reset_index(drop=True)
    return tables, returns


def _library(path: Path) -> tuple[int, float]:
    parameters = read_rpf01(path)
    table_bytes = sum(parameters.table(name).estimated_size() for name in TABLE_SCHEMAS)
    deltas = parameters.structured_product["cash_delta"].sum()
    return parameters.returns.nbytes + int(table_bytes), float(parameters.returns.sum()) + deltas


def _pandas(path: Path) -> tuple[int, float]:
    tables, returns = read_with_pandas(path)
    table_bytes = sum(int(table.memory_usage().sum()) for table in tables.values())
    return returns.nbytes + table_bytes, float(returns.sum()) + float(tables[5]["cash_delta"].sum())


READERS = {"CrossMargin": (read_rpf01, _library), "pandas": (read_with_pandas, _pandas)}


def warm_up(name: str, path: Path) -> None:
    """Read once: the file then is in the page cache, compiled code and byte code are on disk."""
    READERS[name][0](path)


def measure(name: str, path: Path) -> Reading:
    """Read once for the first time and peak memory, then several times warm; runs in a fresh process."""
    reader, check = READERS[name]
    before = resident_bytes()
    first = seconds(lambda: reader(path), 1)[0]
    peak = peak_bytes()
    warm = median(seconds(lambda: reader(path), RUNS[name]))
    array_bytes, checksum = check(path)
    return Reading(
        first=first,
        warm=warm,
        peak=peak,
        growth=peak - before,
        array_bytes=array_bytes,
        checksum=checksum,
    )


def bench_reading(path: Path, bandwidth: float) -> Table:
    """Compare both readers, each in a process of its own."""
    for name in RUNS:
        in_fresh_process(warm_up, name, path)
    ours, theirs = (in_fresh_process(measure, name, path) for name in RUNS)
    assert abs(ours.checksum - theirs.checksum) < 1e-6 * abs(theirs.checksum), "the readers disagree"
    size = path.stat().st_size
    rows, scenarios = STOCKS + STRUCTURED_PRODUCTS, HISTORICAL + STRESSED
    memory = f"{ours.growth / 1e6:,.0f} MB above the start, {ours.peak / 1e6:,.0f} MB in all"
    other = f"{theirs.growth / 1e6:,.0f} MB above the start, {theirs.peak / 1e6:,.0f} MB in all"
    return Table(
        "Reading a full-size RPF01 file",
        f"{size / 1e6:,.0f} MB of text, read once; {rows:,} rows × {scenarios:,} scenarios × 8 bytes and small tables = "
        f"{ours.array_bytes / 1e6:,.0f} MB of arrays, written once. Hoped for: 1 GB of text a second and core.",
        [
            Row("CrossMargin, warm", f"{ours.warm:.3f} s ({size / ours.warm / 1e6:,.0f} MB/s)"),
            Row("CrossMargin, first read of a process", f"{ours.first:.3f} s"),
            Row("pandas, warm", f"{theirs.warm:.2f} s"),
            Row("pandas, first read of a process", f"{theirs.first:.2f} s"),
            ratio_row("times faster than pandas, warm", theirs.warm / ours.warm, SPEED_GOAL),
            ratio_row("times faster than pandas, first read", theirs.first / ours.first, SPEED_GOAL),
            Row("CrossMargin, peak memory", memory),
            Row("pandas, peak memory", other),
            ratio_row(
                "peak growth ÷ bytes of the arrays", ours.growth / ours.array_bytes, MEMORY_GOAL, at_most=True
            ),
            ratio_row(
                "absolute peak ÷ bytes of the arrays", ours.peak / ours.array_bytes, MEMORY_GOAL, at_most=True
            ),
            Row("the same for pandas (growth)", f"{theirs.growth / ours.array_bytes:.2f}×"),
            Row(
                "share of the time that reading file and arrays once from memory would take",
                share_of_bandwidth(size + ours.array_bytes, bandwidth, ours.warm),
            ),
        ],
        [
            (
                "The file is in the page cache for both. Each reader runs in a fresh process; the first read loads "
                "compiled code from the cache on disk and takes its memory from the system, as a job that reads "
                "one file does; warm reads use memory again that the process already has."
            ),
            (
                "pandas: one `read_csv` with 1,020 column names, then selection of the FieldTypes into float64 "
                "matrices and typed columns. It checks nothing; CrossMargin checks every value against its range."
            ),
            "Absolute peak counts the interpreter and every imported library, pandas among them in both processes.",
        ],
    )
