"""Reader of the initial margin risk parameter file RPF01 (guide §2).

A full file is about 300 MB, nearly all of it scenario returns. The reader therefore walks it in blocks
of whole lines and parses returns from the block straight into the rows of one matrix; the few other
records are kept as text and parsed in columns at the end. Memory is the matrix and one block.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.hkscc.rpf01_header import Rpf01Header, parse_header
from crossmargin.formats.hkscc.rpf01_layout import (
    FIELDS,
    RETURN_MAX,
    SCENARIO_MEASURES,
    TABLE_NAMES,
)
from crossmargin.formats.line_blocks import LineBlock, line_blocks
from crossmargin.formats.records import CODE, CUT_LINE_RULE, parse_records
from crossmargin.kernels.decimal_rows import (
    DECIMALS_MAX,
    first_commas,
    is_decimal,
    parse_decimal_rows,
)
from crossmargin.models.hkscc.parameters import TABLE_SCHEMAS, HksccParameters

if TYPE_CHECKING:
    from jaxtyping import Int64, UInt8

__all__ = ["read_rpf01"]

HEADER_BYTES_MAX: Final = 4 << 20
FIELDS_LISTED_MAX: Final = 10
CARRIAGE_RETURN: Final = 13


def read_rpf01(path: str | Path) -> HksccParameters:
    """Read an RPF01 file.

    Header keys may stand in any order; dates may be unpadded; line ends may be CRLF; a byte order mark
    and empty fields behind the last value of a record are passed over.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    HksccParameters
        Returns as float64, correctly rounded from the decimals of the file.

    Raises
    ------
    InputError
        Listing every bad record; nothing of the file is then used.
    """
    path = Path(path)
    with path.open("rb") as stream, closing(line_blocks(stream)) as blocks:
        first = next(blocks, None)
        if first is None:
            rule = "a file with records in it"
            raise InputError([BadRecord(file=str(path), line=0, field="", value="", rule=rule)])
        header, line_count = _read_header(first.text, str(path))
        body = _Body(header, path)
        body.add(first, skip=line_count)
        for block in blocks:
            body.add(block)
    return body.parameters()


def _read_header(block: UInt8[np.ndarray, " bytes"], file: str) -> tuple[Rpf01Header, int]:
    """Parse the top of the first block; return the header and the number of its lines."""
    if not block.all():
        rule = "a text file; this one has NUL bytes"
        raise InputError([BadRecord(file=file, line=0, field="", value="", rule=rule)])
    head = block[:HEADER_BYTES_MAX].tobytes().decode("utf-8-sig", errors="replace")
    return parse_header(head.replace("\r\n", "\n").split("\n"), file)


class _Body:
    """The table of an RPF01 file while it is being read, block by block."""

    def __init__(self, header: Rpf01Header, path: Path) -> None:
        self.header = header
        self.file = str(path)
        self.lines_before = 0
        self.counts = {1: header.historical.scenario_count, 2: header.stressed.scenario_count}
        # A return takes two bytes at least, so a file has no more instruments with both measures than this.
        # Rows that no record fills are never touched, and so take no memory; the last one is scratch.
        self.capacity = path.stat().st_size // (2 * sum(self.counts.values()))
        self.returns = np.empty((self.capacity + 1, sum(self.counts.values())))
        self.row_of: dict[bytes, int] = {}
        self.line_of: dict[int, list[int]] = {1: [], 2: []}
        self.records: dict[int, list[bytes]] = {field_type: [] for field_type in TABLE_NAMES}
        self.numbers: dict[int, list[int]] = {field_type: [] for field_type in TABLE_NAMES}
        self.bad: list[BadRecord] = []

    def add(self, lines: LineBlock, skip: int = 0) -> None:
        """Take in a block of whole lines but the first ``skip``."""
        block, breaks = lines.text, lines.breaks
        if not breaks.size:
            text = block[:1000].tobytes().decode("utf-8", errors="replace")
            self._note(self.lines_before + 1, "", text, CUT_LINE_RULE)
            return
        view = block.data
        starts = np.concatenate([[0], breaks[:-1] + 1])[skip:]
        breaks = breaks[skip:]
        stops = breaks - ((breaks > starts) & (block[breaks - 1] == CARRIAGE_RETURN))
        self.lines_before += skip
        commas = first_commas(block, starts, stops)
        field_types = self._field_types(block, starts, stops, commas)
        for field_type in TABLE_NAMES:
            here = np.flatnonzero(field_types == field_type)
            spans = zip(starts[here].tolist(), stops[here].tolist(), strict=True)
            self.records[field_type] += [bytes(view[a:b]) for a, b in spans]
            self.numbers[field_type] += (here + 1 + self.lines_before).tolist()
        for field_type in SCENARIO_MEASURES:
            here = np.flatnonzero(field_types == field_type)
            self._add_returns(
                field_type, block, starts[here], stops[here], commas[here], here + 1 + self.lines_before
            )
        self.lines_before += breaks.size

    def _field_types(
        self,
        block: UInt8[np.ndarray, " bytes"],
        starts: Int64[np.ndarray, " lines"],
        stops: Int64[np.ndarray, " lines"],
        commas: Int64[np.ndarray, "lines 2"],
    ) -> Int64[np.ndarray, " lines"]:
        """Return the FieldType of each line, 0 where it has none, which is noted as bad."""
        one_digit = commas[:, 1] - commas[:, 0] == 2  # noqa: PLR2004
        digits = block[np.minimum(commas[:, 0] + 1, block.size - 1)].astype(np.int64) - ord("0")
        known = one_digit & (digits >= min(SCENARIO_MEASURES)) & (digits <= max(TABLE_NAMES))
        for i in np.flatnonzero(~known):
            line = block[starts[i] : stops[i]].tobytes().decode("utf-8", errors="replace")
            fields = line.split(",", 2)
            field, value = ("FieldType", fields[1]) if len(fields) > 1 else ("", line)
            self._note(int(i) + 1 + self.lines_before, field, value, "a record with a FieldType from 1 to 7")
        return np.where(known, digits, 0)

    def _add_returns(
        self,
        field_type: int,
        block: UInt8[np.ndarray, " bytes"],
        starts: Int64[np.ndarray, " lines"],
        stops: Int64[np.ndarray, " lines"],
        commas: Int64[np.ndarray, "lines 2"],
        numbers: Int64[np.ndarray, " lines"],
    ) -> None:
        fresh, targets, view = [], [], block.data
        for i, (start, stop) in enumerate(zip(starts.tolist(), commas[:, 0].tolist(), strict=True)):
            row = self._row(bytes(view[start:stop]))
            if self.line_of[field_type][row]:
                rule = f"one record of FieldType {field_type}; there is one in line {self.line_of[field_type][row]}"
                self._note(
                    numbers.item(i), "InstrumentId", block[start:stop].tobytes().decode("latin-1"), rule
                )
            else:
                self.line_of[field_type][row] = numbers.item(i)
                fresh.append(i)
                # Beyond the capacity an instrument lacks a measure, and the file is refused.
                targets.append(min(row, self.capacity))
        count = self.counts[field_type]
        first = 0 if field_type == min(SCENARIO_MEASURES) else self.counts[1]
        status = parse_decimal_rows(
            block,
            commas[fresh, 1] + 1,
            stops[fresh],
            self.returns[:, first : first + count],
            np.array(targets, np.int64),
            RETURN_MAX,
        )
        for i in np.array(fresh, np.int64)[status >= 0].tolist():
            line = block[starts[i] : stops[i]].tobytes().decode("utf-8", errors="replace")
            self._note_returns(field_type, numbers.item(i), line)

    def _row(self, code: bytes) -> int:
        """Return the row of an instrument, a new one if it has none."""
        row = self.row_of.setdefault(code, len(self.row_of))
        if row == len(self.line_of[1]):
            self.line_of[1].append(0)
            self.line_of[2].append(0)
        return row

    def _note(self, line: int, field: str, value: str, rule: str) -> None:
        self.bad.append(BadRecord(file=self.file, line=line, field=field, value=value, rule=rule))

    def _note_returns(self, field_type: int, line: int, text: str) -> None:
        """List what is wrong with a record of returns that did not parse."""
        count = self.counts[field_type]
        fields = text.rstrip(",").split(",")[2:]
        if len(fields) != count:
            rule = f"{count:,} scenario returns, as the header says for FieldType {field_type}; here are {len(fields):,}"
            self._note(line, "", text, rule)
            return
        bad = [i for i, field in enumerate(fields) if not is_decimal(field, RETURN_MAX)]
        rule = (
            f"a plain decimal from −{RETURN_MAX:.0f} to {RETURN_MAX:.0f} with at most {DECIMALS_MAX} decimals"
        )
        for i in bad[:FIELDS_LISTED_MAX]:
            self._note(line, f"scenario {i + 1}", fields[i], rule)
        if len(bad) > FIELDS_LISTED_MAX:
            self._note(line, f"{len(bad) - FIELDS_LISTED_MAX:,} scenarios more", "", rule)

    def parameters(self) -> HksccParameters:
        """Check the table as a whole and return the parameters."""
        instruments = pl.Series(
            "instrument", [code.decode("utf-8", errors="replace") for code in self.row_of]
        )
        instruments = instruments.cast(pl.String)
        self._check_instruments(instruments)
        tables = {name: self._table(field_type, name) for field_type, name in TABLE_NAMES.items()}
        self._check_liquidation(tables)
        self._check_tiers(tables["flat_rate"], instruments)
        if not (self.bad or self.row_of or any(self.records.values())):
            self._note(self.lines_before, "", "", "records below the table heading")
        if self.bad:
            raise InputError(self.bad)
        return HksccParameters(
            valuation_date=self.header.valuation_date,
            historical=self.header.historical,
            stressed=self.header.stressed,
            stress_test_count=self.header.stress_test_count,
            rounding=self.header.rounding,
            holiday_factor=self.header.holiday_factor,
            scenario_instruments=instruments,
            returns=self.returns[: len(instruments)],
            **{name: table.drop("line") for name, table in tables.items()},
        )

    def _check_instruments(self, instruments: pl.Series) -> None:
        """Every row of returns has a proper code and both measures."""
        bad_codes = CODE.values(instruments).is_null()
        for code, bad, *lines in zip(instruments, bad_codes, self.line_of[1], self.line_of[2], strict=True):
            line = max(lines)
            if bad:
                self._note(
                    line, "InstrumentId", code, "a code of letters, digits, '.', '_' or '-', at most 32"
                )
            elif not min(lines):
                missing = 1 + lines.index(0)
                self._note(
                    line, "InstrumentId", code, f"a record of FieldType {missing} beside the other measure's"
                )

    def _table(self, field_type: int, name: str) -> pl.DataFrame:
        """Parse the kept records of one FieldType; the frame has the line of each as its last column."""
        texts = pl.Series(
            [text.decode("utf-8", errors="replace") for text in self.records[field_type]], dtype=pl.String
        )
        lines = pl.Series("line", self.numbers[field_type], dtype=pl.Int64)
        frame, bad = parse_records(texts, lines, FIELDS[field_type], self.file, padded=True)
        self.bad += bad
        frame = frame.select(*TABLE_SCHEMAS[name]).with_columns(lines)
        keys = ["instrument", "benefit_type"] if name == "benefit" else ["instrument"]
        again = frame.filter(~pl.struct(keys).is_first_distinct(), pl.col("instrument").is_not_null())
        for row in again.iter_rows(named=True):
            rule = f"one record of FieldType {field_type}" + (
                " and benefit type" if name == "benefit" else ""
            )
            self._note(row["line"], "InstrumentId", row["instrument"], rule)
        return frame

    def _check_liquidation(self, tables: dict[str, pl.DataFrame]) -> None:
        both = tables["structured_product"].join(tables["liquidation"], on="instrument", how="semi")
        for row in both.iter_rows(named=True):
            self._note(
                row["line"], "InstrumentId", row["instrument"], "a record of FieldType 4 or of 5, not of both"
            )

    def _check_tiers(self, flat_rate: pl.DataFrame, instruments: pl.Series) -> None:
        """No instrument is margined at a flat rate and in the portfolio too."""
        both = flat_rate.filter(pl.col("instrument").is_in(instruments.implode()))
        for row in both.iter_rows(named=True):
            rule = "a record of FieldType 3 or records of 1 and 2, not both: a flat rate or portfolio margin"
            self._note(row["line"], "InstrumentId", row["instrument"], rule)
