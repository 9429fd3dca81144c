"""Writer of the initial margin risk parameter file RPF01 (guide §2)."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Final

import numpy as np

from crossmargin.core.files import whole_file
from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.hkscc.rpf01_layout import HEADER, MEASURE, TABLE_HEADING, TABLE_NAMES
from crossmargin.formats.records import CODE, decimal_text
from crossmargin.kernels.decimal_rows import DECIMALS_MAX, format_decimal_rows
from crossmargin.models.hkscc.parameters import TABLE_SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import polars as pl
    from jaxtyping import Float64

    from crossmargin.models.hkscc.parameters import HksccParameters

__all__ = ["write_rpf01"]

BLOCK_BYTES: Final = 16 << 20
NUMBER_WIDTH: Final = 18


def write_rpf01(parameters: HksccParameters, path: str | Path) -> None:
    """Write parameters as an RPF01 file; reading it back gives the same parameters, bit for bit.

    Raises
    ------
    InputError
        Listing every number that ten decimals do not hold, and every code that a reader would refuse.
    """
    for codes in (
        parameters.scenario_instruments,
        *(parameters.table(name)["instrument"] for name in TABLE_SCHEMAS),
    ):
        CODE.text(codes)
    with whole_file(path) as stream:
        stream.write("".join(f"{line}\n" for line in _header_lines(parameters)).encode())
        split = parameters.historical.scenario_count
        _write_returns(stream, parameters.scenario_instruments, 1, parameters.returns[:, :split])
        _write_returns(stream, parameters.scenario_instruments, 2, parameters.returns[:, split:])
        for field_type, name in TABLE_NAMES.items():
            _write_table(stream, field_type, parameters.table(name))


def _header_lines(parameters: HksccParameters) -> Iterator[str]:
    day, historical, stressed = parameters.valuation_date, parameters.historical, parameters.stressed
    values = {
        "valuation_date": f"{day.day}/{day.month}/{day.year:04d}",
        "historical_weight": decimal_text(historical.weight, "HVaR_WGT"),
        "stressed_weight": decimal_text(stressed.weight, "SVaR_WGT"),
        "historical_count": historical.scenario_count,
        "stressed_count": stressed.scenario_count,
        "stress_test_count": parameters.stress_test_count,
        "historical_confidence": historical.confidence,
        "stressed_confidence": stressed.confidence,
        "historical_measure": MEASURE,
        "stressed_measure": MEASURE,
        "rounding": parameters.rounding,
        "holiday_factor": decimal_text(parameters.holiday_factor, "Holiday_Factor"),
    }
    yield from (f"{field.title},{values[field.name]}" for field in HEADER)
    columns = max(historical.scenario_count, stressed.scenario_count)
    yield ",".join([*TABLE_HEADING, *(str(i + 1) for i in range(columns))])


def _write_returns(
    stream: IO[bytes],
    instruments: pl.Series,
    field_type: int,
    returns: Float64[np.ndarray, "instruments scenarios"],
) -> None:
    chunk = max(BLOCK_BYTES // (NUMBER_WIDTH * returns.shape[1]), 1)
    for start in range(0, len(instruments), chunk):
        rows = np.ascontiguousarray(returns[start : start + chunk])
        text = np.empty((rows.shape[0], NUMBER_WIDTH * rows.shape[1]), np.uint8)
        widths = format_decimal_rows(rows, text)
        codes = instruments[start : start + chunk]
        bad = [_unwritable(code) for code, width in zip(codes, widths, strict=True) if width < 0]
        if bad:
            raise InputError(bad)
        for code, line, width in zip(codes, text, widths, strict=True):
            stream.write(b"%s,%d,%s\n" % (code.encode(), field_type, line[:width].tobytes()))


def _write_table(stream: IO[bytes], field_type: int, table: pl.DataFrame) -> None:
    for instrument, *values in table.iter_rows():
        texts = (
            decimal_text(value, f"{instrument} {column}") if isinstance(value, float) else str(value)
            for column, value in zip(table.columns[1:], values, strict=True)
        )
        stream.write(f"{instrument},{field_type},{','.join(texts)}\n".encode())


def _unwritable(instrument: str) -> BadRecord:
    rule = f"finite returns with at most {DECIMALS_MAX} decimals"
    return BadRecord(file="parameters", line=0, field="returns", value=instrument, rule=rule)
