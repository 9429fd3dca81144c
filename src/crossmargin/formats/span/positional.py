"""Reader of SPAN risk parameter files in the expanded unpacked positional format: U2 and PA2.

A file is lines of fixed columns that begin with a two-byte record id. The lines are grouped by id and every
group is read in columns; then the groups are joined by the codes that they carry. Every record that breaks a
rule is listed, and the file is refused. Unknown record ids are passed over and counted.

Source: CME, SPAN expanded unpacked positional layout; HKEX, Risk Parameter File Descriptions.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

import polars as pl

from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.span.compressed import open_compressed
from crossmargin.formats.span.layout_series import UNUSED_LAYOUTS
from crossmargin.formats.span.positional_commodities import (
    commodity_products,
    commodity_table,
    intra_spread_tables,
    month_tiers,
    spot_charge_table,
    tier_table,
)
from crossmargin.formats.span.positional_fields import parse_lines
from crossmargin.formats.span.positional_records import LAYOUTS, Records, title
from crossmargin.formats.span.positional_series import product_table, scan_point_table, series_tables
from crossmargin.formats.span.positional_spreads import currency_table, inter_spread_tables
from crossmargin.models.span.parameters import SPAN_KEYS, SPAN_SCHEMAS, SpanParameters

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

__all__ = ["is_positional", "parse_positional", "read_positional"]

HEAD: Final = re.compile(rb"0 [\x20-\x7e]{6}\d{8}")
ID_WIDTH: Final = 2
LINE_LENGTH_MAX: Final = 512
"""No record is near as long: beyond it line breaks are lost, or it is another kind of file."""

CONTROL: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
END_OF_FILE: Final = "\x1a"
CME_RECORDS: Final = ("6", "S", "P", "E", "83", "84")
"""Records that HKEX's list of 2013 has not."""

CME_WIDTH: Final = 132
EARLY_IDENTIFIERS: Final = ("E", "P")
NOT_HELD: Final = [*UNUSED_LAYOUTS, "5"]
"""Known records of which nothing is kept."""


def is_positional(head: bytes) -> bool:
    """Tell whether a decompressed file begins like one of this format.

    >>> is_positional(b"0 HKEX  20130314II20843201303140843U2")
    True
    """
    return HEAD.match(head) is not None


def read_positional(path: str | Path) -> SpanParameters:
    """Read a U2 or PA2 file, plain, zipped or gzipped.

    Trailing blanks may be cut; line ends may be CRLF; columns behind those of a record are not read. What a
    blank field means is said where its record is read: a scaling, an adjustment or a ratio is 1; a short
    option minimum none; a credit method by price risk; minimum legs two; option style premium.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    SpanParameters
        ``source_format`` is "PA2" where a record or column stands that HKEX's layout of 2013 has not, else
        "U2". Spreads are numbered in the order of the file. Combined commodities have no name.

    Raises
    ------
    InputError
        Listing every bad record; nothing of the file is then used.
    """
    with open_compressed(path) as stream:
        content = stream.read()
    return parse_positional(content, str(path))


def parse_positional(content: bytes, file: str) -> SpanParameters:
    """Read the content of a file as ``read_positional`` does; ``file`` is its name in errors."""
    lines, numbers = _lines(content, file)
    records, unknown = _records(lines, numbers, file)
    _refuse(records)
    wide = bool((lines.str.strip_chars_end(" ").str.len_chars() > CME_WIDTH).any())
    return _parameters(records, unknown, wide=wide)


def _refuse(records: Records) -> None:
    if records.bad:
        raise InputError(records.bad)


def _lines(content: bytes, file: str) -> tuple[pl.Series, pl.Series]:
    """Lines that are not blank, and their numbers; one byte is one character."""
    text = content.decode("latin-1").replace("\r\n", "\n")
    body = text.rstrip(END_OF_FILE)
    if not body.strip():
        _stop(file, 0, "", "a file with records in it")
    if found := CONTROL.search(body):
        line = body.count("\n", 0, found.start()) + 1
        _stop(file, line, repr(found.group()), "text without control characters")
    if not body.endswith("\n"):
        last = body.rsplit("\n", 1)[-1]
        rule = "a last line that ends with a line break; without one the file may be cut off"
        _stop(file, body.count("\n") + 1, last, rule)
    lines = pl.Series("line", body.removesuffix("\n").split("\n"), dtype=pl.String)
    numbers = pl.int_range(1, len(lines) + 1, eager=True)
    lengths = lines.str.len_chars()
    if (lengths > LINE_LENGTH_MAX).any():
        rule = f"a line of at most {LINE_LENGTH_MAX} characters"
        long = lengths > LINE_LENGTH_MAX
        pairs = zip(numbers.filter(long), lines.filter(long), strict=True)
        raise InputError([_bad(file, number, "", line, rule) for number, line in pairs])
    filled = lines.str.strip_chars(" ") != ""
    lines, numbers = lines.filter(filled), numbers.filter(filled)
    if not is_positional(lines[0].encode("latin-1")):
        _stop(file, numbers[0], lines[0], "a record 0 with complex and business date, before any other")
    return lines, numbers


def _bad(file: str, line: int, field: str, value: str, rule: str) -> BadRecord:
    return BadRecord(file=file, line=line, field=field, value=value, rule=rule)


def _stop(file: str, line: int, value: str, rule: str) -> None:
    raise InputError([_bad(file, line, "", value, rule)])


def _records(lines: pl.Series, numbers: pl.Series, file: str) -> tuple[Records, dict[str, int]]:
    """Every known record parsed, and the count of each unknown id."""
    ids = lines.str.slice(0, ID_WIDTH).str.pad_end(ID_WIDTH)
    records = Records(file, {})
    for record, columns in LAYOUTS.items():
        of_record = ids == record.ljust(ID_WIDTH)
        if not of_record.any():
            records.frames[record] = _none(record)
            continue
        frame, bad = parse_lines(columns, lines.filter(of_record), numbers.filter(of_record), file)
        records.frames[record] = frame
        records.bad.extend(bad)
    known = [record.ljust(ID_WIDTH) for record in LAYOUTS]
    others = ids.filter(~ids.is_in(known)).str.strip_chars_end(" ").value_counts().sort("line")
    return records, dict(others.iter_rows())


@cache
def _none(record: str) -> pl.DataFrame:
    """Return the frame of a record that the file has not."""
    no_numbers = pl.Series([], dtype=pl.Int64)
    return parse_lines(LAYOUTS[record], pl.Series([], dtype=pl.String), no_numbers, "")[0]


def _header(records: Records) -> tuple[str, date, str]:
    """Organisation, business date and the kind of run."""
    header = records["0"]
    again = pl.int_range(pl.len()) > 0
    records.refuse(header, again, title("0", "organization"), pl.col("organization"), "one record 0")
    organization, day, flag, identifier = header.select(
        "organization", "business_date", "settlement", "identifier"
    ).row(0)
    if flag == "I":
        return organization, day, "intraday"
    return organization, day, "early" if identifier.startswith(EARLY_IDENTIFIERS) else "final"


def _parameters(records: Records, unknown: dict[str, int], *, wide: bool) -> SpanParameters:
    organization, business_date, settlement = _header(records)
    memberships = commodity_products(records)
    commodities = commodity_table(records)
    tiers = tier_table(records, commodities)
    _refuse(records)
    products = product_table(records, memberships, commodities)
    series, losses = series_tables(records, products)
    _refuse_repeated_series(records, series)
    tiers = pl.concat([tiers, month_tiers(records, series)])
    intra_spreads, intra_legs = intra_spread_tables(records, commodities, tiers)
    spot_charges = spot_charge_table(records, commodities)
    inter_spreads, inter_legs, passed_over = inter_spread_tables(records, commodities, tiers)
    currency_rates = currency_table(records)
    _refuse(records)
    passed_over |= unknown | {record: len(records[record]) for record in NOT_HELD}
    passed_over |= _without_product(records, products)
    newer = wide or any(len(records[record]) for record in CME_RECORDS)
    return SpanParameters(
        organization=organization,
        business_date=business_date,
        settlement=settlement,
        source_format="PA2" if newer else "U2",
        losses=losses,
        scan_points=scan_point_table(records),
        commodities=commodities.select(*SPAN_SCHEMAS["commodities"]),
        products=products.select(*SPAN_SCHEMAS["products"]),
        series=series.select(*SPAN_SCHEMAS["series"]),
        tiers=tiers,
        intra_spreads=intra_spreads,
        intra_legs=intra_legs,
        spot_charges=spot_charges,
        inter_spreads=inter_spreads,
        inter_legs=inter_legs,
        currency_rates=currency_rates,
        skipped=_skipped(passed_over),
    )


def _refuse_repeated_series(records: Records, series: pl.DataFrame) -> None:
    records.refuse_repeated(series, SPAN_KEYS["series"], "contract (columns 3-54)")


def _without_product(records: Records, products: pl.DataFrame) -> dict[str, int]:
    """Count records B and P of products that no record 2 lists."""
    key = ["exchange", "product", "product_type"]
    return {
        f"{record} without a product": len(records[record].join(products, on=key, how="anti"))
        for record in ("B", "P")
    }


def _skipped(counts: dict[str, int]) -> pl.DataFrame:
    met = sorted((record, count) for record, count in counts.items() if count)
    return pl.DataFrame(met, schema=SPAN_SCHEMAS["skipped"], orient="row")
