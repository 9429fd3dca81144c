"""What every reader owes to any bytes, and the files that fuzzing starts from.

A reader returns a value or raises ``InputError`` or ``RangeError``; nothing else, not even a warning. A value
has finite numbers, no null but where its tables know one, and what is written of it reads back the same.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import sys
import warnings
import zipfile
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
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
from crossmargin.formats.market.folder_reader import read_market
from crossmargin.formats.market.folder_writer import write_market
from crossmargin.formats.span.positional import read_positional
from crossmargin.formats.span.positional_writer import write_positional
from crossmargin.formats.span.positions import read_span_positions
from crossmargin.formats.span.recognition import read_span_parameters
from crossmargin.formats.span.settings import read_span_settings
from crossmargin.formats.span.xml_reader import read_spn
from crossmargin.formats.span.xml_writer import write_spn
from crossmargin.models.hkscc.parameters import TABLE_SCHEMAS
from crossmargin.models.market import MARKET_NULLABLE, Market
from crossmargin.models.span.parameters import SPAN_SCHEMAS, SpanParameters
from crossmargin.models.span.settings import SpanSettings

if TYPE_CHECKING:
    from collections.abc import Callable

CORPUS = Path(__file__).parent / "corpus"
DAY = date(2026, 1, 5)

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

    ``sound`` checks a value by itself; ``survives`` writes it to a path, reads that and compares, or tells by
    False that its writer refuses it. Fuzzing does so with one value in ``dear``.
    """

    read: Callable[[Path], Any]
    sound: Callable[[Any], None]
    survives: Callable[[Any, Path], bool]
    seeds: Callable[[], list[bytes]]
    dear: int = 1


def outcome(target: Target, content: bytes, folder: Path, *, write: bool = True) -> str:
    """Hold a reader to the contract; return "read", "unwritable" or "refused"."""
    path = folder / "input"
    path.write_bytes(content)
    # Without the compiler, the kernels wrap around in scalars of NumPy, which warn.
    uncompiled = "NUMBA_DISABLE_JIT" in os.environ
    with warnings.catch_warnings(), np.errstate(over="ignore" if uncompiled else "warn"):
        warnings.simplefilter("error")
        try:
            value = target.read(path)
        except RangeError:
            return "refused"
        except InputError as error:
            refusal_names_what_is_wrong(error, path)
            return "refused"
        target.sound(value)
        if write and not target.survives(value, folder / "written"):
            return "unwritable"
        return "read"


def refusal_names_what_is_wrong(error: InputError, path: Path) -> None:
    for record in error.records:
        assert record.rule
        assert record.file == str(path), f"an error that does not name the file: {record}"


def finite(frame: pl.DataFrame, nullable: frozenset[str] | set[str] = frozenset()) -> None:
    for column in frame:
        assert column.name in nullable or not column.null_count(), f"a null in {column.name}"
        if column.dtype == pl.Float64:
            assert column.drop_nulls().is_finite().all(), f"no finite number in {column.name}"


def sound_rpf01(value) -> None:
    assert np.isfinite(value.returns).all()
    for name in TABLE_SCHEMAS:
        finite(value.table(name))


def rpf01_survives(value, path) -> bool:
    write_rpf01(value, path)
    again = read_rpf01(path)
    assert value.content_hash == again.content_hash
    assert value.returns.tobytes() == again.returns.tobytes()
    for name in TABLE_SCHEMAS:
        assert_frame_equal(value.table(name), again.table(name), check_exact=True)
    return True


def positions_survive(value, path) -> bool:
    write_marginable_positions(value, path)
    assert_frame_equal(value, read_marginable_positions(path), check_exact=True)
    return True


def sound_corporate_actions(value) -> None:
    finite(value, set(value.columns) - {"business_date", "ex_date", "market", "instrument"})


def corporate_actions_survive(value, path) -> bool:
    write_corporate_actions(value, path)
    assert_frame_equal(value, read_corporate_actions(path), check_exact=True)
    return True


def read_settings(path: Path):
    return read_participant(path, DAY)


def sound_participant(value) -> None:
    assert all(np.isfinite(number) for _, number in value._numbers())


def participant_survives(value, path) -> bool:
    write_participant(value, path)
    assert read_settings(path) == value
    return True


def sound_span_positions(value) -> None:
    finite(value, {"right", "strike", "product_type", "future_month"})


def span_settings_survive(value, path) -> bool:
    """Written here: there is no writer."""
    given = {item.name: getattr(value, item.name) for item in fields(SpanSettings)}
    texts = {name: str(it).lower() if isinstance(it, bool) else repr(it) for name, it in given.items()}
    path.write_text("".join(f"{name} = {text}\n" for name, text in texts.items()))
    assert read_span_settings(path) == value
    return True


def sound_span(value: SpanParameters) -> None:
    assert np.isfinite(value.losses).all()
    for name in SPAN_SCHEMAS:
        finite(value.table(name), NULLABLE.get(name, set()))
    assert value.settlement in {"final", "early", "intraday"}


def positional_survives(value: SpanParameters, path: Path) -> bool:
    """The writer compares what it wrote with what it was given, or refuses; then the same bytes once more."""
    try:
        write_positional(value, path)
    except InputError:
        return False
    content = path.read_bytes()
    again = read_positional(path)
    sound_span(again)
    write_positional(again, path)
    assert path.read_bytes() == content
    return True


def read_xml(path: Path) -> list[SpanParameters]:
    """As clearing organisation, and as the cross-margining function where the file has one."""
    found = [read_spn(path)]
    if b"<busFuncType>XM" in path.read_bytes():
        found.append(read_spn(path, business_function="XM"))
    return found


def sound_xml(values: list[SpanParameters]) -> None:
    for value in values:
        sound_span(value)


def xml_survives(values: list[SpanParameters], path: Path) -> bool:
    wrote = True
    for value in values:
        try:
            write_spn(value, path)
        except InputError:
            wrote = False
        else:
            assert canonical(read_spn(path)) == canonical(value)
    return wrote


SECTION = re.compile(rb"^=== ([A-Za-z0-9_][A-Za-z0-9_./]*)\r?\n", re.MULTILINE)


def write_folder(content: bytes, folder: Path) -> None:
    """Make a folder of one text: "=== path" above the content of each file.

    What stands in a Parquet file is what Polars makes of a CSV text; damaged files are kept out by digests.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    _, *sections = SECTION.split(content)
    for name, text in zip(sections[::2], sections[1::2], strict=True):
        path = folder / name.decode()
        if ".." in path.parts or path.exists() or not {path.parent, path.parent.parent} & {folder}:
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(as_parquet(text) if path.suffix == ".parquet" else text)


def as_parquet(text: bytes) -> bytes:
    stream = io.BytesIO()
    try:
        pl.read_csv(io.BytesIO(text), try_parse_dates=True).write_parquet(stream)
    except pl.exceptions.PolarsError:
        return text.replace(b"PAR1", b"")
    return stream.getvalue()


def read_folder(path: Path) -> Market:
    """Read the folder that the bytes describe, as if they were one file."""
    folder = path.with_name("folder")
    write_folder(path.read_bytes(), folder)
    try:
        return read_market(folder)
    except InputError as error:
        for record in error.records:
            assert Path(record.file).is_relative_to(folder), f"an error that does not name the file: {record}"
        raise InputError(replace(record, file=str(path)) for record in error.records) from error


def sound_market(value: Market) -> None:
    for name, table in value.tables.items():
        finite(table, set(MARKET_NULLABLE.get(name, ())))


def market_survives(value: Market, path: Path) -> bool:
    """As Parquet, then as CSV in its place; a Parquet file may hold names and digits that CSV does not."""
    try:
        for histories in ("parquet", "csv"):
            write_market(value, path, histories=histories)
            assert read_market(path).content_hash == value.content_hash
    except InputError:
        return False
    return True


def has_no_writer(value: object, path: Path) -> bool:
    del value, path
    return True


def needs_no_check(value: object) -> None:
    del value


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
    short = [*header, heading(2), "A,1,-0.5", "A,2,0.25,1", "B,2,0.0139,-0.0000001", "B,1,100", "N,3,0.3"]
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
        lines('basis = "gross"', 'gross_scan = "per_side"', 'som_method = "max"', "intra_spreads = false"),
        lines(
            'price_risk_method = "capped"',
            "inter_spreads = true",
            'option_value = "none"',
            'round_risk = "unit"',
            'total_floor = "commodity"',
            'risk_class = "hedger"',
        ),
    ]


MARKET_HEAD = """\
=== market.toml
format = "crossmargin-market"
version = 1
name = "a market"
currency = "HKD"
calendar = "XHKG"
"""
MARKET_FILES = """\
=== participants.csv
participant,name,group
P1,First & Co.,G1
=== accounts.csv
account,participant,house,type,basis,owner,consent
A1,P1,HKCC,house,net,P1,1
A2,P1,HKSCC,omnibus,gross,C1,0
=== underlyings.csv
underlying,kind,currency,dividend_yield,adjustment,listed,proxy
HSI,index,HKD,0.03,none,,
700,stock,HKD,0,splits,2025-06-16,HSI
=== instruments.csv
instrument,house,kind,underlying,currency,multiplier,expiry,right,strike,style,settlement
HSI.F.2026-01,HKCC,future,HSI,HKD,50,2026-01-29,,,,average
HSI.P.20000.2026-01,HKCC,option,HSI,HKD,50,29/1/2026,P,20000,european,average
700,HKSCC,equity,700,HKD,1,,,,,close
=== positions.csv
date,account,instrument,quantity
,A1,HSI.F.2026-01,-5
2026-01-05,A2,700,100
=== histories/marks.csv
date,instrument,price
2026-01-05,HSI.F.2026-01,19850
=== houses/HKCC.toml
basis = "net"
"""
MARKET_PARQUET = """\
=== histories/prices.parquet
date,underlying,close
2026-01-02,HSI,19700.25
2026-01-05,HSI,19800
=== histories/rates.parquet
date,currency,days,rate
2026-01-05,HKD,30,0.031
=== histories/splits.csv
ex_date,underlying,ratio
2026-01-06,700,2
"""


def market_seeds() -> list[bytes]:
    parts = (MARKET_HEAD + 'data_note = "made by hand"\n', MARKET_FILES, MARKET_PARQUET)
    digest = f'[sha256]\n"histories/marks.csv" = "{"0" * 64}"\n'
    return [
        "".join(parts).encode(),
        (MARKET_HEAD + MARKET_FILES).replace("\n", "\r\n").encode(),
        (MARKET_HEAD + digest + MARKET_FILES + "=== notes.txt\nx\n").encode(),
        MARKET_HEAD.encode(),
    ]


def positional_seeds() -> list[bytes]:
    small = lines(
        CME_HEADER, "1 CBT  01", "2 CBT 06    0USD$PN   06        FUT   06        OOF", CME_LINES["3"]
    )
    hsi = [line for line in hsi_lines(1) if "201304" not in line[16:45] and "201306" not in line[16:45]]
    return [lines(*CME_FILE), lines(*hsi_lines(1)), lines(*hsi), small, *packed(small)]


def xml_seeds() -> list[bytes]:
    tag = "businessFunction>"
    start, stop = SAMPLE.index(f"<{tag}"), SAMPLE.index(f"</{tag}") + len(f"</{tag}")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "made"
        write_spn(large_parameters(1, commodities=1), path)
        made = path.read_bytes()
    plain = SAMPLE[:start] + SAMPLE[stop:]
    return [SAMPLE.encode("latin-1"), plain.encode("latin-1"), made, *packed(made)]


TARGETS = {
    "rpf01": Target(read_rpf01, sound_rpf01, rpf01_survives, rpf01_seeds),
    "positions": Target(read_marginable_positions, finite, positions_survive, positions_seeds),
    "corporate_actions": Target(
        read_corporate_actions, sound_corporate_actions, corporate_actions_survive, corporate_actions_seeds
    ),
    "participant": Target(read_settings, sound_participant, participant_survives, participant_seeds),
    "span_positional": Target(
        read_span_parameters, sound_span, positional_survives, positional_seeds, dear=8
    ),
    "span_xml": Target(read_xml, sound_xml, xml_survives, xml_seeds),
    "span_positions": Target(read_span_positions, sound_span_positions, has_no_writer, span_positions_seeds),
    "span_settings": Target(read_span_settings, needs_no_check, span_settings_survive, span_settings_seeds),
    "market": Target(read_folder, sound_market, market_survives, market_seeds, dear=4),
}
