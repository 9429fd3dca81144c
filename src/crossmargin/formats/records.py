"""Records of comma-separated fields, checked by rule, all at once.

A record is a line of text that is split at commas; no format here quotes. Every check is one vectorised
expression over all records, and what breaks a rule is kept with its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

import polars as pl

from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.decimal_rows import DECIMAL_PATTERN, DECIMALS_MAX, DIGITS_MAX, is_decimal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = [
    "AMOUNT_MAX",
    "CODE",
    "CUT_LINE_RULE",
    "Field",
    "decimal_text",
    "parse_records",
    "read_lines",
    "read_table",
    "read_text",
]

Kind = Literal["text", "integer", "decimal", "date"]

PATTERNS: Final[dict[Kind, str]] = {
    "text": r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}",
    "integer": rf"-?[0-9]{{1,{DIGITS_MAX}}}",
    "decimal": DECIMAL_PATTERN,
    "date": r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}|[0-9]{4}-[0-9]{2}-[0-9]{2}",
}
NOUNS: Final[dict[Kind, str]] = {
    "text": "a code of letters, digits, '.', '_' or '-', at most 32",
    "integer": f"a whole number of at most {DIGITS_MAX} digits",
    "decimal": f"a plain decimal of at most {DIGITS_MAX} digits, 10 of them behind the point",
    "date": "a date, DD/MM/YYYY or YYYY-MM-DD",
}
DTYPES: Final[dict[Kind, pl.DataType]] = {
    "text": pl.String(),
    "integer": pl.Int64(),
    "decimal": pl.Float64(),
    "date": pl.Date(),
}
CUT_LINE_RULE: Final = "a last line that ends with a line break; without one the file may be cut off"

AMOUNT_MAX: Final = 1e12
"""No quantity and no amount of money in an input is larger: it keeps every sum exact in 64 bits."""


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a record: what it is called, what stands in it, and what range it keeps.

    Parameters
    ----------
    name : str
        Column name of the frame.
    kind : {"text", "integer", "decimal", "date"}
        Grammar and type.
    low, high : float, optional
        Closed range of a number; ``above`` makes the lower end open.
    above : bool
        Whether ``low`` itself is outside.
    label : str
        The file's own name of the column, if it has another.
    optional : bool
        Whether the field may be empty, which reads as null.
    omissible : bool
        Whether a file with a header may leave the whole column out.
    """

    name: str
    kind: Kind
    low: float | None = None
    high: float | None = None
    above: bool = False
    label: str = ""
    optional: bool = False
    omissible: bool = False

    @property
    def title(self) -> str:
        """The name that errors use."""
        return self.label or self.name

    @property
    def range_rule(self) -> str:
        """The range in words, empty where there is none."""
        low = "" if self.low is None else f"{'more than' if self.above else 'at least'} {self.low:,.12g}"
        high = "" if self.high is None else f"at most {self.high:,.12g}"
        return " and ".join(part for part in (low, high) if part)

    def text(self, values: pl.Series) -> pl.Series:
        """Convert values to the texts that ``values`` reads back, null to an empty one.

        Raises
        ------
        InputError
            Listing every number or code that the grammar does not hold.
        """
        if self.kind == "decimal":
            return pl.Series(["" if value is None else decimal_text(value, self.title) for value in values])
        if self.kind == "date":
            return values.dt.strftime("%-d/%-m/%Y").fill_null("")
        texts = values.cast(pl.String).fill_null("")
        if self.kind == "text" and (bad := list(self._unwritable(texts))):
            raise InputError(bad)
        return texts

    def _unwritable(self, texts: pl.Series) -> Iterable[BadRecord]:
        wrong = self.values(texts).is_null() & ~((texts == "") & self.optional)
        for row in wrong.arg_true():
            yield BadRecord(file="", line=row + 1, field=self.title, value=texts[row], rule=NOUNS[self.kind])

    def values(self, raw: pl.Series) -> pl.Series:
        """Convert texts, null where the grammar is broken."""
        valid = raw.set(~raw.str.contains(f"^(?:{PATTERNS[self.kind]})$"), None)
        if self.kind == "decimal":
            valid = valid.set(raw.str.count_matches("[0-9]") > DIGITS_MAX, None)
        if self.kind == "date":
            slashed = valid.str.to_date("%d/%m/%Y", strict=False)
            return slashed.fill_null(valid.str.to_date("%Y-%m-%d", strict=False))
        values = valid.cast(DTYPES[self.kind], strict=False)
        return values.set(values == 0, 0.0) if self.kind == "decimal" else values  # no negative zero

    def out_of_range(self, values: pl.Series) -> pl.Series:
        """Tell where a number leaves the range."""
        outside = pl.repeat(False, len(values), eager=True)
        if self.low is not None:
            outside |= values <= self.low if self.above else values < self.low
        if self.high is not None:
            outside |= values > self.high
        return outside.fill_null(False)


CODE: Final = Field("instrument", "text")


def decimal_text(value: float, field: str) -> str:
    """Return the shortest plain decimal of a number.

    Raises
    ------
    InputError
        If the grammar of the readers does not hold it.
    """
    text = f"{Decimal(repr(float(value) + 0.0)):f}".removesuffix(".0")
    if not is_decimal(text, AMOUNT_MAX):
        rule = f"a finite number of at most {DIGITS_MAX} digits, {DECIMALS_MAX} of them behind the point"
        raise InputError([BadRecord(file="", line=0, field=field, value=str(value), rule=rule)])
    return text


def parse_records(
    lines: pl.Series,
    numbers: pl.Series,
    fields: Sequence[Field],
    file: str,
    *,
    padded: bool = False,
) -> tuple[pl.DataFrame, list[BadRecord]]:
    """Split lines into typed columns and list every broken rule.

    Parameters
    ----------
    lines : Series of str
        Records without line ends.
    numbers : Series of int
        Line number of each record in the file.
    fields : sequence of Field
        The columns in order.
    file : str
        Name for the errors.
    padded : bool
        Whether empty fields may follow the last column.

    Returns
    -------
    DataFrame
        The columns; worthless where records are bad.
    list of BadRecord
        Empty if all is well.
    """
    parts = (lines.str.strip_chars_end(",") if padded else lines).str.split(",")
    counts = parts.list.len()
    required = max(i + 1 for i, field in enumerate(fields) if not (padded and field.optional))
    wrong_count = (counts > len(fields)) | (counts < required)
    bad = [
        BadRecord(
            file=file,
            line=number,
            field="",
            value=line,
            rule=f"a record of {len(fields)} fields, not {count}",
        )
        for number, line, count in zip(
            numbers.filter(wrong_count), lines.filter(wrong_count), counts.filter(wrong_count), strict=True
        )
    ]
    columns = {}
    for place, field in enumerate(fields):
        raw = parts.list.get(place, null_on_oob=True).fill_null("")
        columns[field.name] = values = field.values(raw)
        checked = ~wrong_count & ~((raw == "") & field.optional)
        bad += _broken(file, numbers, field, raw, checked & values.is_null(), NOUNS[field.kind])
        bad += _broken(file, numbers, field, raw, checked & field.out_of_range(values), field.range_rule)
    return pl.DataFrame(columns), bad


def _broken(
    file: str, numbers: pl.Series, field: Field, raw: pl.Series, where: pl.Series, rule: str
) -> Iterable[BadRecord]:
    for number, value in zip(numbers.filter(where), raw.filter(where), strict=True):
        yield BadRecord(file=file, line=number, field=field.title, value=value, rule=rule)


def read_text(path: Path) -> str:
    """Read a whole small file as text that ends with a line break.

    Raises
    ------
    InputError
        If it is empty, binary, or cut off in its last line.
    """
    content = path.read_bytes()
    text = content.decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
    at, rule = len(text) - 1, ""
    if not text.strip():
        at, rule = 0, "a file with records in it"
    elif found := re.search("[\0\ufffd]", text):
        at, rule = found.start(), "a text file in UTF-8"
    elif not text.endswith("\n"):
        rule = CUT_LINE_RULE
    if rule:
        line = text.count("\n", 0, at) + 1
        value = text.split("\n")[line - 1]
        raise InputError([BadRecord(file=str(path), line=line, field="", value=value, rule=rule)])
    return text


def read_lines(path: Path) -> tuple[pl.Series, pl.Series]:
    """Read a text file as lines and their numbers from 1; blank lines at the end do not count."""
    lines = pl.Series("line", read_text(path).rstrip("\n").split("\n"), dtype=pl.String)
    return lines, pl.int_range(1, len(lines) + 1, eager=True)


def read_table(path: Path, fields: Sequence[Field]) -> pl.DataFrame:
    """Read a file with one header line; its columns may stand in any order.

    Returns
    -------
    DataFrame
        The columns in the order of ``fields``, without an omissible one that the file does not have. Row i
        from 0 stands in line i + 2.

    Raises
    ------
    InputError
        Listing every column that is missing, twice there or unknown, or else every bad record.
    """
    lines, numbers = read_lines(path)
    names = [name.strip() for name in lines[0].split(",")]
    by_title = {field.title.casefold(): field for field in fields}
    bad = list(_bad_header(str(path), names, fields))
    if bad:
        raise InputError(bad)
    present = [by_title[name.casefold()] for name in names]
    frame, bad = parse_records(lines[1:], numbers[1:], present, str(path))
    if bad:
        raise InputError(bad)
    return frame.select(field.name for field in fields if field in present)


def _bad_header(file: str, names: Sequence[str], fields: Sequence[Field]) -> Iterable[BadRecord]:
    known = [field.title.casefold() for field in fields]
    found = [name.casefold() for name in names]
    for name in names:
        if name.casefold() not in known:
            rule = f"a column of this file: {', '.join(field.title for field in fields)}"
            yield BadRecord(file=file, line=1, field="column", value=name, rule=rule)
    for field in fields:
        count = found.count(field.title.casefold())
        if count > 1 or (count == 0 and not field.omissible):
            rule = (
                "a column that stands once in the header" if count else "a column that the header must name"
            )
            yield BadRecord(file=file, line=1, field="column", value=field.title, rule=rule)
