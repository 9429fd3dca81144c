"""What every reader owes to any bytes, and the files that fuzzing starts from.

A reader returns a value or raises ``InputError`` or ``RangeError``; nothing else, not even a warning. A value
has finite numbers, no null but where its tables know one, and what is written of it reads back the same.
"""

from __future__ import annotations

import gzip
import io
import os
import sys
import warnings
import zipfile
import zlib
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from polars.testing import assert_frame_equal

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from rpf01_text import heading, rpf01_lines
from span_positional import CME_FILE, CME_HEADER, CME_LINES, hsi_lines
from span_xml import SAMPLE, canonical, large_parameters

from crossmargin.errors import InputError, RangeError
from crossmargin.formats.hkscc.participant import read_participant, write_participant
from crossmargin.formats.hkscc.reports import (
    read_corporate_actions,
    read_marginable_positions,
    write_corporate_actions,
    write_marginable_positions,
)
from crossmargin.formats.hkscc.rpf01 import read_rpf01
from crossmargin.formats.hkscc.rpf01_writer import write_rpf01
from crossmargin.formats.span.positional import read_positional
from crossmargin.formats.span.positional_writer import write_positional
from crossmargin.formats.span.positions import read_span_positions
from crossmargin.formats.span.recognition import read_span_parameters
from crossmargin.formats.span.settings import read_span_settings
from crossmargin.formats.span.xml_reader import read_spn
from crossmargin.formats.span.xml_writer import write_spn
from crossmargin.models.hkscc.parameters import TABLE_SCHEMAS
from crossmargin.models.span.parameters import SPAN_SCHEMAS, SpanParameters
from crossmargin.models.span.settings import SpanSettings

if TYPE_CHECKING:
    from collections.abc import Callable

CORPUS = Path(__file__).parent / "corpus"
DAY = date(2026, 1, 5)
DEAR = 4
"""One value in so many is written twice where that takes a second."""

NULLABLE = {
    "products": {"contract_size"},
    "series": {
        "contract_size",
        "price",
        "implied_volatility",
        "price_scan_range",
        "volatility_scan_range",
        "years_to_expiry",
    },
    "tiers": {"rate"},
    "intra_legs": {"tier", "month"},
    "inter_legs": {"tier", "rate"},
}


@dataclass(frozen=True, slots=True)
class Target:
    """A reader, what its values must pass, and the files to start from.

    ``check`` takes the value and the path of a file that it may write, and tells whether it wrote one.
    """

    read: Callable[[Path], Any]
    check: Callable[[Any, Path], bool]
    seeds: Callable[[], list[bytes]]


def outcome(target: Target, content: bytes, folder: Path) -> str:
    """Hold a reader to the contract; return "read", "unwritable" or "refused"."""
    path = folder / "input"
    path.write_bytes(content)
    # Without the compiler the kernels wrap around in NumPy's scalars, which warn.
    with (
        warnings.catch_warnings(),
        np.errstate(over="ignore" if "NUMBA_DISABLE_JIT" in os.environ else "warn"),
    ):
        warnings.simplefilter("error")
        try:
            value = target.read(path)
        except RangeError:
            return "refused"
        except InputError as error:
            assert str(error)
            assert all(record.rule for record in error.records)
            strange = {record.file for record in error.records} - {str(path)}
            assert not strange, f"errors that name no file: {error}"
            return "refused"
        return "read" if target.check(value, folder / "written") else "unwritable"


def finite(frame: pl.DataFrame, nullable: frozenset[str] | set[str] = frozenset()) -> None:
    for column in frame:
        assert column.name in nullable or not column.null_count(), f"a null in {column.name}"
        if column.dtype == pl.Float64:
            assert column.drop_nulls().is_finite().all(), f"no finite number in {column.name}"


def check_rpf01(value, path) -> bool:
    assert np.isfinite(value.returns).all()
    for name in TABLE_SCHEMAS:
        finite(value.table(name))
    write_rpf01(value, path)
    again = read_rpf01(path)
    assert value.content_hash == again.content_hash
    assert value.returns.tobytes() == again.returns.tobytes()
    for name in TABLE_SCHEMAS:
        assert_frame_equal(value.table(name), again.table(name), check_exact=True)
    return True


def check_positions(value, path) -> bool:
    finite(value)
    write_marginable_positions(value, path)
    assert_frame_equal(value, read_marginable_positions(path), check_exact=True)
    return True


def check_corporate_actions(value, path) -> bool:
    finite(value, set(value.columns) - {"business_date", "ex_date", "market", "instrument"})
    write_corporate_actions(value, path)
    assert_frame_equal(value, read_corporate_actions(path), check_exact=True)
    return True


def read_settings(path: Path):
    return read_participant(path, DAY)


def check_participant(value, path) -> bool:
    assert all(np.isfinite(number) for _, number in value._numbers())
    write_participant(value, path)
    assert read_settings(path) == value
    return True


def check_span_positions(value, path) -> bool:
    del path
    finite(value, {"right", "strike"})
    return True


def check_span_settings(value, path) -> bool:
    """Written by hand: there is no writer."""
    given = {item.name: getattr(value, item.name) for item in fields(SpanSettings)}
    path.write_text(
        "".join(
            f"{name} = {str(choice).lower() if isinstance(choice, bool) else repr(choice)}\n"
            for name, choice in given.items()
        )
    )
    assert read_span_settings(path) == value
    return True


def check_span(value: SpanParameters) -> None:
    assert np.isfinite(value.losses).all()
    for name in SPAN_SCHEMAS:
        finite(value.table(name), NULLABLE.get(name, set()))
    assert value.business_date.year > 1
    assert value.settlement in {"final", "early", "intraday"}


def check_positional(value: SpanParameters, path: Path) -> bool:
    """The writer compares what it wrote with what it was given, or refuses; here once more by hash."""
    check_span(value)
    try:
        write_positional(value, path)
    except InputError:
        return False
    content = path.read_bytes()
    if zlib.crc32(content) % DEAR == 0:
        again = read_positional(path)
        check_span(again)
        write_positional(again, path)
        assert path.read_bytes() == content
    return True


def read_xml(path: Path) -> list[SpanParameters]:
    """As clearing organisation, and as the cross-margining function where the file has one."""
    found = [read_spn(path)]
    if b"<busFuncType>XM" in path.read_bytes():
        found.append(read_spn(path, business_function="XM"))
    return found


def check_xml(values: list[SpanParameters], path: Path) -> bool:
    wrote = True
    for value in values:
        check_span(value)
        try:
            write_spn(value, path)
        except InputError:
            wrote = False
            continue
        assert canonical(read_spn(path)) == canonical(value)
    return wrote


def lines(*given: str) -> bytes:
    return "".join(f"{line}\n" for line in given).encode("latin-1")


def packed(content: bytes) -> list[bytes]:
    """The content, gzipped and zipped."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(zipfile.ZipInfo("a"), content)
    return [gzip.compress(content, mtime=0), archive.getvalue()]


def rpf01_seeds() -> list[bytes]:
    header = [line.replace(",20", ",1").replace(",21", ",2") for line in rpf01_lines()[:12]]
    header[5] = "STV_Count,0"
    short = [*header, heading(2), "A,1,-0.5", "A,2,0.25,1", "B,2,0.0139,-0.0000001", "B,1,100", "B,3,0.3"]
    return [
        lines(*rpf01_lines()),
        lines(*rpf01_lines()).replace(b"\n", b"\r\n"),
        lines(*short),
        lines(*short, "A,4,0.0022,1.2,300000000,400", "B,5,A,-0.5,100,-2", "A,6,0.02,0.5", "A,7,3,1,-1,0"),
    ]


def positions_seeds() -> list[bytes]:
    heading = "ParticipantID,InstrumentID,Quantity,ContractValueHKD,MarketValueHKD"
    return [
        lines(heading, "P1,700,-1000,-380000.5,-400000", "P1,DIV700,0,-31.2,0"),
        lines("Quantity,InstrumentID,MarketValueHKD,ContractValueHKD", "-0,2800,5100.2500000001,-0.0"),
    ]


def corporate_actions_seeds() -> list[bytes]:
    heading = (
        "Business Date,Ex-Date,Market,Instrument Code,Converted Instrument Code,Quantity Conversion Ratio,"
        "Instrument Code for Cash Dividend,Cash Dividend Amount,Instrument Code for Stock Dividend,"
        "Entitled Stock Quantity,Instrument Code for Rights,Rights Quantity"
    )
    return [
        lines(heading, "5/11/2019,6/11/2019,MAIN,5,,2,DIV5,-0.78,DSP5,0.13,SRI5,1.5"),
        lines(heading, "05/11/2019,2019-11-06,GEM,8359,150,0.1,,,,,,"),
    ]


def participant_seeds() -> list[bytes]:
    return [
        lines(
            "margin_credit = 5_000_000",
            'ipo_stocks = ["1876", "3690"]',
            'gain_tail = "zero"',
            "holiday_addon_in_force = true",
            "apportioned_liquid_capital = 1.5e8",
            'data_note = "a \\"note\\""',
            "[sub_margin_groups]",
            '8001 = "1"',
        ),
        lines(
            "minimum_tick = 0x1F",
            "data_note = '''\nx'''",
            'sub_margin_groups = {"a b" = "2", c.d = 1979-05-27}',
        ),
        lines("flat_rate_multiplier = inf", "adhoc_addon = -0.0", "liquid_capital_cap_in_force = false"),
    ]


def span_positions_seeds() -> list[bytes]:
    return [
        lines(
            "Account,Exchange,Product,Expiry,Right,Strike,Quantity",
            "A1,HKF,HSI,202601,,,10",
            "A1,HKF,HSI,20260129,C,20000.5,-3",
        ),
        lines("Product,Expiry,Quantity", "HSI,202601,-0"),
    ]


def span_settings_seeds() -> list[bytes]:
    return [
        b'basis = "gross"\ngross_scan = "per_side"\nsom_method = "max"\nintra_spreads = false\n',
        b'price_risk_method = "capped"\ninter_spreads = true\noption_value = "none"\nround_risk = "unit"\n'
        b'total_floor = "commodity"\nrisk_class = "hedger"\n',
    ]


def positional_seeds() -> list[bytes]:
    small = lines(
        CME_HEADER, "1 CBT  01", "2 CBT 06    0USD$PN   06        FUT   06        OOF", CME_LINES["3"]
    )
    hsi = [line for line in hsi_lines(1) if "201304" not in line[16:45] and "201306" not in line[16:45]]
    return [lines(*CME_FILE), lines(*hsi_lines(1)), lines(*hsi), small, *packed(small)]


def xml_seeds() -> list[bytes]:
    text = SAMPLE
    start, stop = (
        text.index("<businessFunction>"),
        text.index("</businessFunction>") + len("</businessFunction>"),
    )
    plain = (text[:start] + text[stop:]).encode("latin-1")
    made = io.BytesIO()
    path = Path(os.devnull)
    del made, path
    return [text.encode("latin-1"), plain, written_xml(), *packed(written_xml())]


def written_xml() -> bytes:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "made"
        write_spn(large_parameters(1, commodities=1), path)
        return path.read_bytes()


TARGETS = {
    "rpf01": Target(read_rpf01, check_rpf01, rpf01_seeds),
    "positions": Target(read_marginable_positions, check_positions, positions_seeds),
    "corporate_actions": Target(read_corporate_actions, check_corporate_actions, corporate_actions_seeds),
    "participant": Target(read_settings, check_participant, participant_seeds),
    "span_positional": Target(read_positional, check_positional, positional_seeds),
    "span_xml": Target(read_xml, check_xml, xml_seeds),
    "span_positions": Target(read_span_positions, check_span_positions, span_positions_seeds),
    "span_settings": Target(read_span_settings, check_span_settings, span_settings_seeds),
}
