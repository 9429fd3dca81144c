"""Benchmarks: a large SPAN file of each format from disk to typed columns, against the least a reader can do."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from lxml import etree

from crossmargin.formats.span.positional import read_positional
from crossmargin.formats.span.xml_reader import read_spn
from crossmargin.models.span.parameters import SPAN_SCHEMAS
from machine import in_fresh_process, peak_bytes, resident_bytes, seconds, share_of_bandwidth
from report import Row, Table, ratio_row

if TYPE_CHECKING:
    from pathlib import Path

    from crossmargin.models.span.parameters import SpanParameters

__all__ = ["bench_span_positional", "bench_span_xml"]

WALK_GOAL = 1.5
RUNS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one reader took, and what it can be checked by: series or elements, and a sum of losses."""

    first: float
    warm: float
    peak: int
    growth: int
    count: int
    losses: float
    column_bytes: int


def walk(path: Path) -> None:
    """Parse XML with lxml, clear each element as it closes and do nothing else."""
    for _, element in etree.iterparse(path):
        element.clear()


def walk_options(path: Path) -> None:
    """Parse XML with lxml and clear each option as it closes."""
    for _, element in etree.iterparse(path, tag="opt"):
        element.clear()


def count_elements(path: Path) -> int:
    """Return how many elements an XML file has."""
    count = 0
    for _, element in etree.iterparse(path):
        element.clear()
        count += 1
    return count


def slice_series(path: Path) -> tuple[list[tuple[str, float, float, str]], np.ndarray]:
    """Read the records 81 to 84 of a positional file with slices and ``int``, and nothing else.

    Returns
    -------
    list of (contract, composite delta, implied volatility, price)
        Of each series; the price as the digits that stand there.
    ndarray of float64, shape (series, 16)
        Array values as they stand, whole units in this file.
    """
    series, losses = [], []
    values: list[int] = []
    with path.open(encoding="latin-1") as lines:
        for line in lines:
            record = line[:2]
            if record in {"81", "83"}:
                step = 6 if record == "81" else 9
                values = [
                    int(line[i + step - 1] + line[i : i + step - 1]) for i in range(54, 54 + 9 * step, step)
                ]
            elif record in {"82", "84"}:
                step = 6 if record == "82" else 9
                end = 54 + 7 * step
                values += [int(line[i + step - 1] + line[i : i + step - 1]) for i in range(54, end, step)]
                losses.append(values)
                delta = int(line[end + 5] + line[end : end + 5]) / 1e4
                volatility = line[end + 6 : end + 14].strip()
                series.append((line[2:54], delta, int(volatility or 0) / 1e6, line[end + 14 : end + 21]))
    return series, np.array(losses, np.float64)


def _columns(parameters: SpanParameters) -> tuple[int, float, int]:
    tables = sum(parameters.table(name).estimated_size() for name in SPAN_SCHEMAS)
    losses = parameters.losses
    return len(losses), float(losses.sum()), int(tables) + losses.nbytes


def _sliced(path: Path) -> tuple[int, float, int]:
    _, losses = slice_series(path)
    return len(losses), float(losses.sum()), losses.nbytes


READERS = {
    "read_spn": (read_spn, lambda path: _columns(read_spn(path))),
    "walk": (walk, lambda path: (count_elements(path), 0.0, 0)),
    "walk options": (walk_options, lambda _: (0, 0.0, 0)),
    "read_positional": (read_positional, lambda path: _columns(read_positional(path))),
    "slices": (slice_series, _sliced),
}


def warm_up(name: str, path: Path) -> None:
    """Read once: the file then is in the page cache and byte code is on disk."""
    READERS[name][0](path)


def measure(name: str, path: Path) -> Reading:
    """Read once for the first time and peak memory, then several times warm; runs in a fresh process."""
    reader, check = READERS[name]
    before = resident_bytes()
    first = seconds(lambda: reader(path), 1)[0]
    peak = peak_bytes()
    warm = median(seconds(lambda: reader(path), RUNS))
    count, losses, column_bytes = check(path)
    return Reading(
        first=first,
        warm=warm,
        peak=peak,
        growth=peak - before,
        count=count,
        losses=losses,
        column_bytes=column_bytes,
    )


def _measured(path: Path, *names: str) -> list[Reading]:
    for name in names:
        in_fresh_process(warm_up, name, path)
    return [in_fresh_process(measure, name, path) for name in names]


def _rate(size: int, reading: Reading) -> str:
    return f"{reading.warm:.2f} s ({size / reading.warm / 1e6:,.1f} MB/s)"


def _memory(reading: Reading) -> str:
    return f"{reading.growth / 1e6:,.0f} MB above the start, {reading.peak / 1e6:,.0f} MB in all"


def bench_span_xml(path: Path, bandwidth: float) -> Table:
    """Compare the reader with lxml walking the same file, each in a process of its own."""
    size = path.stat().st_size
    ours, theirs, options = _measured(path, "read_spn", "walk", "walk options")
    return Table(
        "Reading a large SPAN XML file",
        f"{size / 1e6:,.0f} MB of text with {theirs.count:,} elements, parsed once by libxml2 on one core; "
        f"{ours.count:,} series × 16 scenarios × 8 bytes and other columns = {ours.column_bytes / 1e6:,.0f} MB, written "
        "once. Hoped for: half of the time of a plain walk on top of it.",
        [
            Row("CrossMargin, warm", _rate(size, ours)),
            Row("CrossMargin, first read of a process", f"{ours.first:.2f} s"),
            Row("lxml, walking and clearing every element", _rate(size, theirs)),
            Row("lxml, clearing each option as a whole", _rate(size, options)),
            ratio_row(
                "time ÷ time of the walk over every element", ours.warm / theirs.warm, WALK_GOAL, at_most=True
            ),
            Row("the same for the walk over options alone", f"{ours.warm / options.warm:.2f}×"),
            Row("CrossMargin, peak memory", _memory(ours)),
            Row("lxml, every element, peak memory", _memory(theirs)),
            Row("lxml, options alone, peak memory", _memory(options)),
            Row("peak growth ÷ bytes of the columns", f"{ours.growth / ours.column_bytes:.2f}×"),
            Row(
                "share of the time that reading file and columns once from memory would take",
                share_of_bandwidth(size + ours.column_bytes, bandwidth, ours.warm),
            ),
        ],
        [
            "The file is in the page cache for all; each runs in a fresh process.",
            (
                "The walk is `etree.iterparse` with `element.clear()` at every end event: it builds each element, hands "
                "it to Python and drops it, and reads no value. CrossMargin asks only for the events of whole contracts "
                "and rules, checks every number and refuses what breaks a rule."
            ),
        ],
    )


def bench_span_positional(path: Path, bandwidth: float) -> Table:
    """Compare the reader with slices in plain Python over the series records alone."""
    size = path.stat().st_size
    ours, theirs = _measured(path, "read_positional", "slices")
    assert ours.count == theirs.count, "the readers disagree on the series"
    assert ours.losses == theirs.losses, "the readers disagree on the losses"
    return Table(
        "Reading a large positional SPAN file",
        f"{size / 1e6:,.0f} MB of text, read once; {ours.count:,} series × 16 scenarios × 8 bytes and other columns = "
        f"{ours.column_bytes / 1e6:,.0f} MB, written once; each of some 60 fields a series is one pass over a column of "
        "bytes. Hoped for: 50 MB of text a second.",
        [
            Row("CrossMargin, warm: every record and field, checked", _rate(size, ours)),
            Row("CrossMargin, first read of a process", f"{ours.first:.2f} s"),
            Row(
                "Python slices, warm: key, arrays, delta, volatility of records 81 to 84", _rate(size, theirs)
            ),
            Row("time ÷ time of the slices", f"{ours.warm / theirs.warm:.2f}×"),
            Row("CrossMargin, peak memory", _memory(ours)),
            Row("Python slices, peak memory", _memory(theirs)),
            Row(
                "share of the time that reading file and columns once from memory would take",
                share_of_bandwidth(size + ours.column_bytes, bandwidth, ours.warm),
            ),
        ],
        [
            (
                "The slices stop short of a reader: no check, no decimals of prices and strikes, no records 2 to 6, B and P "
                "and no table that brings them together; a line that is bad ends them with a Python error. Their losses "
                "add up to the same number (asserted in the run)."
            )
        ],
    )
