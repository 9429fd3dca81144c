"""The key/value rows and the table heading at the top of an RPF01 file."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.hkscc.rpf01_layout import HEADER, TABLE_HEADING
from crossmargin.formats.records import parse_records
from crossmargin.models.hkscc.parameters import TailMeasure, add_up_to_one

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

__all__ = ["Rpf01Header", "parse_header"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpf01Header:
    """What the rows above the table say, under the names of ``HksccParameters``."""

    valuation_date: date
    historical: TailMeasure
    stressed: TailMeasure
    stress_test_count: int
    rounding: int
    holiday_factor: float


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    key: str
    value: str


def parse_header(lines: Sequence[str], file: str) -> tuple[Rpf01Header, int]:
    """Parse the rows up to and with the table heading.

    Parameters
    ----------
    lines : sequence of str
        The first lines of the file, at least as far as the table heading.
    file : str
        Name for the errors.

    Returns
    -------
    Rpf01Header
        The header.
    int
        Number of lines it takes, the table heading included.

    Raises
    ------
    InputError
        Listing every key that is missing, unknown, twice there or badly valued; weights that do not add up
        to 1; a bad table heading.
    """
    heading = _heading_line(lines, file)
    rows = [_Row(i + 1, *_pair(line)) for i, line in enumerate(lines[:heading])]
    values, bad = _values(rows, file)
    bad += _bad_keys(rows, file)
    if bad:
        raise InputError(bad)
    texts = {row.key.casefold(): row.value for row in rows}
    header = Rpf01Header(
        valuation_date=values["valuation_date"],
        historical=_measure("historical", values, texts["hvar_cl"]),
        stressed=_measure("stressed", values, texts["svar_cl"]),
        stress_test_count=values["stress_test_count"],
        rounding=values["rounding"],
        holiday_factor=values["holiday_factor"],
    )
    _check_weights(header, rows, file)
    columns = max(header.historical.scenario_count, header.stressed.scenario_count)
    _check_heading(lines[heading], heading + 1, columns, file)
    return header, heading + 1


def _heading_line(lines: Sequence[str], file: str) -> int:
    for i, line in enumerate(lines):
        if line.casefold().startswith(TABLE_HEADING[0].casefold() + ","):
            return i
    rule = f"a table heading '{','.join(TABLE_HEADING)},1,2,…' below the header rows"
    first = lines[0] if lines else ""
    raise InputError([BadRecord(file=file, line=1, field="", value=first, rule=rule)])


def _pair(line: str) -> tuple[str, str]:
    key, _, value = line.partition(",")
    return key.strip(), value.rstrip(",").strip()


def _values(rows: Sequence[_Row], file: str) -> tuple[dict[str, Any], list[BadRecord]]:
    by_key = {row.key.casefold(): row for row in rows}
    values: dict[str, Any] = {}
    bad: list[BadRecord] = []
    for field in HEADER:
        row = by_key.get(field.title.casefold())
        if row is not None:
            frame, broken = parse_records(pl.Series([row.value]), pl.Series([row.line]), [field], file)
            values[field.name] = frame.item(0, 0)
            bad += broken
    return values, bad


def _bad_keys(rows: Sequence[_Row], file: str) -> Iterator[BadRecord]:
    known = [field.title for field in HEADER]
    found = [row.key.casefold() for row in rows]
    for i, row in enumerate(rows):
        if row.key.casefold() not in {key.casefold() for key in known}:
            yield BadRecord(
                file=file, line=row.line, field="key", value=row.key, rule=f"one of {', '.join(known)}"
            )
        elif row.key.casefold() in found[:i]:
            yield BadRecord(
                file=file, line=row.line, field="key", value=row.key, rule="a key that stands once"
            )
    for key in known:
        if key.casefold() not in found:
            yield BadRecord(file=file, line=0, field="key", value=key, rule="a key that the header must have")


def _measure(name: str, values: dict[str, Any], confidence: str) -> TailMeasure:
    return TailMeasure(
        weight=values[f"{name}_weight"],
        confidence=Decimal(confidence),
        scenario_count=values[f"{name}_count"],
    )


def _check_weights(header: Rpf01Header, rows: Sequence[_Row], file: str) -> None:
    if not add_up_to_one(header.historical, header.stressed):
        row = next(row for row in rows if row.key.casefold() == "svar_wgt")
        rule = "a weight that adds up to 1 with HVaR_WGT"
        raise InputError([BadRecord(file=file, line=row.line, field="SVaR_WGT", value=row.value, rule=rule)])


def _check_heading(line: str, number: int, columns: int, file: str) -> None:
    names = line.rstrip(",").split(",")
    expected = [*TABLE_HEADING, *(str(i) for i in range(1, max(len(names) - 1, columns + 1)))]
    if [name.strip().casefold() for name in names] != [name.casefold() for name in expected]:
        rule = (
            f"a table heading '{','.join(TABLE_HEADING)},1,2,…' up to {columns:,}, the larger scenario count"
        )
        raise InputError([BadRecord(file=file, line=number, field="", value=line, rule=rule)])
