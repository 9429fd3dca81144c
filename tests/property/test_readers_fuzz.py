"""Any bytes: a reader returns what can be written and read again, or refuses the file as a bad input."""

from __future__ import annotations

import string
from datetime import date
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from rpf01_text import RECORDS, rpf01_lines

from crossmargin import (
    HksccParameters,
    InputError,
    TailMeasure,
    hkscc_participant,
    read_corporate_actions,
    read_marginable_positions,
    read_participant,
    read_rpf01,
    write_corporate_actions,
    write_marginable_positions,
    write_participant,
    write_rpf01,
)
from crossmargin.models.hkscc.parameters import TABLE_SCHEMAS

DAY = date(2026, 1, 5)
fuzz = settings(
    max_examples=70,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

POSITIONS = """\
ParticipantID,InstrumentID,Quantity,ContractValueHKD,MarketValueHKD
P1,700,-1000,-380000.5,-400000
P1,DIV700,0,-31.2,0
P2,2800,200,5000,5100.25
"""
ACTIONS = """\
Business Date,Ex-Date,Market,Instrument Code,Converted Instrument Code,Quantity Conversion Ratio,\
Instrument Code for Cash Dividend,Cash Dividend Amount,Instrument Code for Stock Dividend,\
Entitled Stock Quantity,Instrument Code for Rights,Rights Quantity
5/11/2019,6/11/2019,MAIN,5,,2,DIV5,-0.78,DSP5,0.13,SRI5,1.5
05/11/2019,2019-11-06,GEM,8359,150,0.1,,,,,,
"""
PARTICIPANT = """\
# SYNTHETIC
margin_credit = 5_000_000
ipo_stocks = ["1876", "3690"]
gain_tail = "zero"
holiday_addon_in_force = true
apportioned_liquid_capital = 1.5e8
data_note = "a \\"note\\""

[sub_margin_groups]
8001 = "1"
"""


def parameters_equal(one: HksccParameters, other: HksccParameters) -> None:
    assert one.content_hash == other.content_hash
    assert np.isfinite(one.returns).all()
    assert one.returns.tobytes() == other.returns.tobytes()
    for name in TABLE_SCHEMAS:
        assert one.table(name).null_count().sum_horizontal().sum() == 0
        assert_frame_equal(one.table(name), other.table(name), check_exact=True)


def frames_equal(one: pl.DataFrame, other: pl.DataFrame) -> None:
    assert_frame_equal(one, other, check_exact=True)
    numbers = one.select(pl.col(pl.Float64))
    for column in numbers:
        assert column.drop_nulls().is_finite().all()
        assert not np.signbit(column.filter(column == 0).to_numpy()).any()


def settings_equal(one, other) -> None:
    assert one == other
    assert all(np.isfinite(value) for _, value in one._numbers())


def read_settings(path):
    return read_participant(path, DAY)


FORMATS = {
    "RPF01": (read_rpf01, write_rpf01, parameters_equal, "".join(f"{line}\n" for line in rpf01_lines())),
    "positions": (read_marginable_positions, write_marginable_positions, frames_equal, POSITIONS),
    "corporate actions": (read_corporate_actions, write_corporate_actions, frames_equal, ACTIONS),
    "participant": (read_settings, write_participant, settings_equal, PARTICIPANT),
}
formats = pytest.mark.parametrize("name", FORMATS)


def returns_or_refuses(name: str, content: bytes, folder) -> bool:
    """Read; whatever comes back must survive writing and reading. Tell whether anything came back."""
    read, write, equal, _ = FORMATS[name]
    path, again = folder / "fuzz", folder / "again"
    path.write_bytes(content)
    try:
        found = read(path)
    except InputError as error:
        refusal = error
    else:
        write(found, again)
        equal(found, read(again))
        return True
    assert all(record.file == str(path) and record.rule for record in refusal.records)
    return False


@formats
def test_the_plain_files_are_read(name, tmp_path):
    assert returns_or_refuses(name, FORMATS[name][3].encode(), tmp_path)


@formats
@fuzz
@given(
    content=st.one_of(
        st.binary(max_size=300), st.text(max_size=200).map(lambda text: f"{text}\n".encode(errors="replace"))
    )
)
def test_any_bytes(name, tmp_path, content):
    returns_or_refuses(name, content, tmp_path)


def mutated(draw, content: bytes) -> bytes:
    """Flip, delete, insert or double a few bytes or whole lines."""
    telling = st.sampled_from(b"0123456789.,-+eE \n\r\0\"'#=[]nN\xff\xef")
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(
            st.sampled_from(["flip", "delete", "insert", "double", "cut", "line out", "line twice", "swap"])
        )
        if kind in {"line out", "line twice", "swap"}:
            lines = content.splitlines(keepends=True) or [b""]
            one, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
            if kind == "swap":
                lines[one], lines[other] = lines[other], lines[one]
            else:
                lines[one : one + 1] = [] if kind == "line out" else [lines[one]] * 2
            content = b"".join(lines)
            continue
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        length = draw(st.integers(1, 8))
        byte = bytes([draw(telling)])
        middle = {
            "flip": byte,
            "delete": b"",
            "insert": byte + content[at : at + 1],
            "double": content[at : at + length] * 2,
            "cut": b"",
        }[kind]
        stop = {"delete": at + length, "double": at + length, "cut": len(content)}.get(kind, at + 1)
        content = content[:at] + middle + content[stop:]
    return content


@formats
@settings(fuzz, max_examples=50)
@given(data=st.data())
def test_mutated_files(name, tmp_path, data):
    content = mutated(data.draw, FORMATS[name][3].encode())
    returns_or_refuses(name, content, tmp_path)


@pytest.mark.parametrize("place", [0, 5, 300])
@pytest.mark.parametrize("name", FORMATS)
def test_mutations_that_cannot_pass(name, place, tmp_path):
    """A NUL within, or a last line cut off, is never taken for content: the fuzz has teeth."""
    content = FORMATS[name][3].encode()
    place = min(place, len(content) - 3)
    assert not returns_or_refuses(name, content[:place] + b"\0" + content[place:], tmp_path)
    assert not returns_or_refuses(name, content[:-1], tmp_path)


@settings(fuzz, max_examples=20)
@given(data=st.data())
def test_a_broken_return_never_becomes_a_number(tmp_path, data):
    """One return of one record is replaced by a text that is no decimal; the record is named."""
    name = data.draw(st.sampled_from([name for name in RECORDS if name.endswith("VaR")]))
    fields = RECORDS[name].split(",")
    place = data.draw(st.integers(2, len(fields) - 1))
    fields[place] = data.draw(
        st.text(string.ascii_letters + string.digits + "+-. ", min_size=1).filter(
            lambda text: not text.replace(".", "", 1).removeprefix("-").isdigit()
        )
    )
    lines = [",".join(fields) if line == RECORDS[name] else line for line in rpf01_lines()]
    path = tmp_path / "fuzz"
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(InputError) as caught:
        read_rpf01(path)
    (record,) = caught.value.records
    expected = (lines.index(",".join(fields)) + 1, f"scenario {place - 1}", fields[place])
    assert (record.line, record.field, record.value) == expected


# Valid content, written and read.


def scaled(low: int, high: int, decimals: int):
    """Decimals as floats: whole units of 10^-decimals."""
    return st.integers(low * 10**decimals, high * 10**decimals).map(
        lambda units: float(Decimal(units).scaleb(-decimals)) + 0.0
    )


codes = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", fullmatch=True)
amounts = st.one_of(
    scaled(-(10**12), 10**12, 2), scaled(-99_999, 99_999, 10), st.sampled_from([0.0, 1e12, -1e12])
)
days = st.dates(date(1990, 1, 1), date(2100, 12, 31))
VALUES = {
    "rate": scaled(0, 10, 10),
    "bucket_rate": scaled(0, 10, 10),
    "beta": scaled(-100, 100, 10),
    "threshold": st.integers(0, 10**12),
    "cash_delta": scaled(0, 10**12, 3),
    "underlying": codes,
    "delta": scaled(-1000, 1000, 10),
    "conversion_ratio": scaled(1, 10**6, 4),
    "price_threshold": scaled(0, 99_999, 10),
    "tick_multiplier_tenth": scaled(0, 100, 3),
    "benefit_type": st.integers(1, 3),
    "price": scaled(0, 99_999, 10),
    "short_rate": scaled(-10, 10, 10),
    "long_rate": scaled(-10, 10, 10),
}


@st.composite
def tables(draw, name: str, codes_of_table):
    columns = [column for column in TABLE_SCHEMAS[name] if column != "instrument"]
    rows = [(code, *(draw(VALUES[column]) for column in columns)) for code in codes_of_table]
    return pl.DataFrame(rows, schema=TABLE_SCHEMAS[name], orient="row")


def measures(counts, weight):
    confidence = st.integers(5 * 10**9, 10**10 - 1).map(lambda units: Decimal(units).scaleb(-10))
    return st.builds(TailMeasure, weight=st.just(weight), confidence=confidence, scenario_count=counts)


@st.composite
def markets(draw):
    known = draw(st.lists(codes, unique=True, min_size=1, max_size=6))
    some = st.lists(st.sampled_from(known), unique=True)
    weight, counts = draw(scaled(0, 1, 10)), st.integers(1, 8)
    historical, stressed = draw(measures(counts, weight)), draw(measures(counts, round(1 - weight, 10)))
    count = historical.scenario_count + stressed.scenario_count
    with_returns = draw(st.lists(st.sampled_from(known), unique=True, min_size=1))
    stocks = draw(some)
    values = draw(
        st.lists(
            scaled(-100, 100, 10), min_size=len(with_returns) * count, max_size=len(with_returns) * count
        )
    )
    products = [code for code in draw(some) if code not in stocks]
    tier_n = [code for code in draw(some) if code not in with_returns]
    return HksccParameters(
        valuation_date=draw(days),
        historical=historical,
        stressed=stressed,
        stress_test_count=draw(st.integers(0, 100_000)),
        rounding=draw(st.integers(1, 10**12)),
        holiday_factor=draw(scaled(0, 100, 10)),
        scenario_instruments=pl.Series("instrument", with_returns, dtype=pl.String),
        returns=np.array(values).reshape(len(with_returns), count),
        flat_rate=draw(tables("flat_rate", tier_n)),
        liquidation=draw(tables("liquidation", stocks)),
        structured_product=draw(tables("structured_product", products)),
        tick=draw(tables("tick", draw(some))),
        benefit=draw(tables("benefit", draw(some))),
    )


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(market=markets())
def test_rpf01_written_and_read(tmp_path, market):
    write_rpf01(market, tmp_path / "RPF01.csv")
    parameters_equal(market, read_rpf01(tmp_path / "RPF01.csv"))


POSITION = st.fixed_dictionaries(
    {
        "instrument": codes,
        "quantity": st.integers(-(10**12), 10**12),
        "contract_value": amounts,
        "market_value": amounts,
    }
)
POSITION_SCHEMA = {
    "instrument": pl.String,
    "quantity": pl.Int64,
    "contract_value": pl.Float64,
    "market_value": pl.Float64,
}


@fuzz
@given(rows=st.lists(POSITION, max_size=8), owners=st.none() | st.lists(codes, min_size=8, max_size=8))
def test_positions_written_and_read(tmp_path, rows, owners):
    frame = pl.DataFrame(rows, schema=POSITION_SCHEMA)
    if owners:
        frame = pl.DataFrame(
            {"participant": pl.Series(owners[: len(frame)], dtype=pl.String), **frame.to_dict()}
        )
    write_marginable_positions(frame, tmp_path / "positions.csv")
    frames_equal(read_marginable_positions(tmp_path / "positions.csv"), frame)


ACTION_SCHEMA = {
    "business_date": pl.Date,
    "ex_date": pl.Date,
    "market": pl.String,
    "instrument": pl.String,
    "converted_instrument": pl.String,
    "quantity_conversion_ratio": pl.Float64,
    "cash_dividend_instrument": pl.String,
    "cash_dividend_amount": pl.Float64,
    "stock_dividend_instrument": pl.String,
    "entitled_stock_quantity": pl.Float64,
    "rights_instrument": pl.String,
    "rights_quantity": pl.Float64,
}
positive = scaled(0, 10**4, 10)
ACTION = st.fixed_dictionaries(
    {
        name: (
            days
            if dtype == pl.Date
            else codes
            if name in {"market", "instrument"}
            else st.none() | codes
            if dtype == pl.String
            else st.none()
            | (positive.map(lambda x: 0.0 - x + 0.0) if name == "cash_dividend_amount" else positive)
        )
        for name, dtype in ACTION_SCHEMA.items()
    }
)


@settings(fuzz, max_examples=40)
@given(rows=st.lists(ACTION, max_size=4))
def test_corporate_actions_written_and_read(tmp_path, rows):
    frame = pl.DataFrame(rows, schema=ACTION_SCHEMA)
    write_corporate_actions(frame, tmp_path / "actions.csv")
    frames_equal(read_corporate_actions(tmp_path / "actions.csv"), frame)


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
money = st.floats(0, 1e12)
SETTINGS = {
    "portfolio_margin_floor_rate": money,
    "margin_credit": money,
    "hedging_instrument": words,
    "minimum_tick": money,
    "data_note": words,
    "flat_rate_multiplier": money,
    "ipo_stocks": st.lists(words, max_size=3),
    "sub_margin_groups": st.dictionaries(words, words, max_size=3),
    "holiday_addon_in_force": st.booleans(),
    "gain_tail": st.sampled_from(["absolute", "zero"]),
    "apportioned_liquid_capital": money,
    "liquid_capital_cap": money,
    "position_limit_addon_reported": money,
    "adhoc_addon": money,
}


@fuzz
@given(given_=st.fixed_dictionaries({}, optional=SETTINGS))
def test_settings_written_and_read(tmp_path, given_):
    participant = hkscc_participant(DAY, **given_)
    write_participant(participant, tmp_path / "participant.toml")
    settings_equal(read_participant(tmp_path / "participant.toml", DAY), participant)
