"""A market folder of any bytes reads or is refused; any market that CSV can hold reads back the same."""

from __future__ import annotations

import random
import shutil
import sys
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))

from fuzz_readers import mutated
from reader_contract import TARGETS, outcome

from crossmargin.errors import InputError
from crossmargin.formats.market.folder_reader import read_market
from crossmargin.formats.market.folder_writer import write_market
from crossmargin.models.market import make_market

TARGET = TARGETS["market"]
fuzz = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def flipped(chance: random.Random):
    def flip(content: bytes) -> bytes:
        at = chance.randrange(len(content)) if content else 0
        return content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :]

    return flip


@fuzz
@given(seed=st.integers(0, 2**32), start=st.sampled_from([0, 0, 0, 1, 2, 3]))
def test_a_mutated_folder_reads_or_is_refused(tmp_path, seed, start):
    chance = random.Random(seed)  # noqa: S311
    content = mutated(TARGET.seeds()[start], chance, flipped(chance))
    assert outcome(TARGET, content, tmp_path, write=seed % 4 == 0) in {"read", "refused", "unwritable"}


@pytest.mark.parametrize("place", [30, 700, -40])
def test_a_nul_within_is_never_taken_for_content(tmp_path, place):
    content = TARGET.seeds()[0]
    assert outcome(TARGET, content[:place] + b"\0" + content[place:], tmp_path) == "refused"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with a Parquet file of 50 prices."""
    prices = {
        "date": [date(2026, 1, 5)] * 50,
        "underlying": [f"U{i}" for i in range(50)],
        "close": range(1, 51),
    }
    underlyings = {"underlying": prices["underlying"], "kind": ["stock"] * 50, "currency": ["HKD"] * 50}
    folder = tmp_path_factory.mktemp("written")
    write_market(make_market({"underlyings": underlyings, "prices": prices}, name="m"), folder)
    return folder


@fuzz
@given(data=st.data())
def test_a_damaged_parquet_file_is_refused(tmp_path, written, data):
    """Whatever byte it is: what Polars makes of a damaged page is not for us to find out."""
    folder = tmp_path / "damaged"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(written, folder)
    file = folder / "histories" / "prices.parquet"
    content = bytearray(file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_market(folder)
    assert [(record.file, record.field) for record in caught.value.records] == [(str(file), "sha256")]


codes = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", fullmatch=True)
names = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=",\ufffd"), min_size=1
).filter(lambda text: text == text.strip() and pl.Series([text]).str.strip_chars()[0] == text)
days = st.dates(date(1900, 1, 1), date(2199, 12, 31))
prices = st.integers(1, 10**14).map(lambda units: units / 10**4)


@st.composite
def markets(draw):
    underlyings = draw(st.lists(codes, unique=True, min_size=1, max_size=5))
    participants = draw(st.lists(codes, unique=True, max_size=4))
    some = st.sampled_from(underlyings)
    quotes = draw(st.lists(st.tuples(days, some, prices), unique_by=lambda row: row[:2], max_size=10))
    listed = draw(st.lists(st.none() | days, min_size=len(underlyings), max_size=len(underlyings)))
    series = draw(st.lists(st.tuples(codes, some, prices, days), unique_by=lambda row: row[0], max_size=4))
    return make_market(
        {
            "participants": pl.DataFrame(
                [(code, draw(names), draw(codes)) for code in participants],
                schema={"participant": pl.String, "name": pl.String, "group": pl.String},
                orient="row",
            ),
            "underlyings": pl.DataFrame(
                {"underlying": underlyings, "kind": "stock", "currency": "HKD", "listed": listed},
                schema_overrides={"listed": pl.Date},
            ),
            "instruments": pl.DataFrame(
                series,
                schema={
                    "instrument": pl.String,
                    "underlying": pl.String,
                    "strike": pl.Float64,
                    "expiry": pl.Date,
                },
                orient="row",
            ).with_columns(
                house=pl.lit("SEOCH"),
                kind=pl.lit("option"),
                currency=pl.lit("HKD"),
                right=pl.lit("P"),
                style=pl.lit("american"),
            ),
            "prices": pl.DataFrame(
                quotes, schema={"date": pl.Date, "underlying": pl.String, "close": pl.Float64}, orient="row"
            ),
        },
        name="any",
        data_note=draw(st.text(max_size=40).filter(lambda text: text.isprintable() and text == text.strip())),
    )


@fuzz
@given(market=markets(), histories=st.sampled_from(["parquet", "csv"]))
def test_a_market_written_and_read(tmp_path, market, histories):
    write_market(market, tmp_path / "m", histories=histories)
    assert read_market(tmp_path / "m").content_hash == market.content_hash
