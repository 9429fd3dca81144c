"""The market folder: what is written reads back, and everything that is wrong is told at once."""

from __future__ import annotations

import hashlib
import io
import shutil
from dataclasses import replace
from datetime import date, datetime

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from crossmargin.errors import InputError
from crossmargin.formats.market import folder_writer
from crossmargin.formats.market.folder_reader import read_market
from crossmargin.formats.market.folder_writer import write_market
from crossmargin.formats.market.layout import HEAD_FILE, house_file, table_path
from crossmargin.models.market import MARKET_SCHEMAS, make_market

HEAD = """\
format = "crossmargin-market"
version = 1
name = "a market"
currency = "HKD"
calendar = "XHKG"
data_note = "made by hand"
"""
FILES = {
    "market.toml": HEAD,
    "participants.csv": "participant,name,group\nP1,First & Co. Ltd,G1\n",
    "accounts.csv": "account,participant,house,type,basis,owner,consent\nA1,P1,HKCC,house,net,P1,1\n",
    "underlyings.csv": "underlying,kind,currency\nHSI,index,HKD\n700,stock,HKD\n",
    "instruments.csv": (
        "instrument,house,kind,underlying,currency,multiplier,expiry,right,strike,style,settlement\n"
        "HSI.F.2026-01,HKCC,future,HSI,HKD,50,2026-01-29,,,,average\n"
        "HSI.C.20000.2026-01,HKCC,option,HSI,HKD,50,29/1/2026,C,20000,european,average\n"
        "700,HKSCC,equity,700,HKD,1,,,,,close\n"
    ),
    "positions.csv": "account,instrument,quantity\nA1,HSI.F.2026-01,-5\nA1,HSI.C.20000.2026-01,7\n",
    "histories/prices.csv": "date,underlying,close\n2026-01-05,HSI,19800.5\n2026-01-02,HSI,19700\n",
    "histories/marks.csv": "instrument,date,price\nHSI.F.2026-01,2026-01-05,19850\n",
}


def write_files(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def parquet(**columns) -> bytes:
    stream = io.BytesIO()
    pl.DataFrame(columns).write_parquet(stream)
    return stream.getvalue()


def refused(folder) -> list[tuple[str, int, str, str]]:
    """Return file, line, field and value of everything that is wrong."""
    with pytest.raises(InputError) as caught:
        read_market(folder)
    assert all(record.rule for record in caught.value.records)
    return [
        (record.file.removeprefix(f"{folder}/"), record.line, record.field, record.value)
        for record in caught.value.records
    ]


@pytest.fixture
def market(tmp_path):
    return read_market(write_files(tmp_path / "by-hand", FILES))


@pytest.fixture
def folder(tmp_path):
    return write_files(tmp_path / "m", FILES)


# Reading.


def test_a_folder_by_hand(market):
    assert (market.name, market.currency, market.calendar) == ("a market", "HKD", "XHKG")
    assert market.data_note == "made by hand"
    assert market["participants"].rows() == [("P1", "First & Co. Ltd", "G1")]
    assert market["positions"].rows() == [
        (None, "A1", "HSI.C.20000.2026-01", 7),
        (None, "A1", "HSI.F.2026-01", -5),
    ]
    assert market["instruments"]["expiry"].to_list() == [None, date(2026, 1, 29), date(2026, 1, 29)]
    assert market["underlyings"]["adjustment"].to_list() == ["none", "none"]
    assert market["prices"]["close"].to_list() == [19700.0, 19800.5]
    assert all(market[table].is_empty() for table in ("volatilities", "dividends", "splits", "rates"))


def test_only_the_head_is_needed(tmp_path):
    market = read_market(
        write_files(tmp_path, {"market.toml": HEAD.replace('data_note = "made by hand"\n', "")})
    )
    assert market.data_note == ""
    assert list(market.tables) == list(MARKET_SCHEMAS)


def test_the_order_of_rows_and_the_format_of_files_are_no_content(folder, market):
    backwards = FILES["positions.csv"].splitlines(keepends=True)
    (folder / "positions.csv").write_text("".join([backwards[0], *backwards[:0:-1]]))
    (folder / "histories" / "prices.csv").unlink()
    days = [date(2026, 1, 5), date(2026, 1, 2)]
    content = parquet(close=[19800.5, 19700.0], date=days, underlying=["HSI", "HSI"])
    (folder / "histories" / "prices.parquet").write_bytes(content)
    assert read_market(folder).content_hash == market.content_hash


def test_errors_of_all_files_are_told_together_with_their_lines(folder):
    write_files(
        folder,
        {
            "market.toml": HEAD.replace('"HKD"', '"HK"') + "owner = 1\n",
            "accounts.csv": FILES["accounts.csv"] + "A2,P9,HKCC,house,net,P1,2\n",
            "positions.csv": FILES["positions.csv"] + "A3,700,1\nA1,700,1.5\n",
            "histories/prices.csv": FILES["histories/prices.csv"] + "2026-01-06,HSI,0\n2026-01-05,HSI,1\n",
            "histories/dividends.parquet": parquet(
                ex_date=[date(2026, 1, 5)] * 2, underlying=["700", "5"], amount=[1, 2]
            ),
        },
    )
    assert refused(folder) == [
        ("accounts.csv", 3, "consent", "2"),
        ("accounts.csv", 3, "participant", "P9"),
        ("histories/dividends.parquet", 2, "underlying", "5"),
        ("histories/prices.csv", 4, "close", "0.0"),
        ("histories/prices.csv", 5, "underlying, date", "HSI, 2026-01-05"),
        ("market.toml", 4, "currency", "HK"),
        ("market.toml", 7, "owner", "1"),
        ("positions.csv", 5, "quantity", "1.5"),
    ]


def test_a_reference_to_another_table_names_file_and_line(folder):
    write_files(
        folder,
        {
            "accounts.csv": FILES["accounts.csv"] + "A2,P9,HKSCC,house,net,P1,1\n",
            "positions.csv": FILES["positions.csv"] + "A3,HSI.F.2026-01,1\nA2,HSI.F.2026-01,1\n",
        },
    )
    assert refused(folder) == [
        ("accounts.csv", 3, "participant", "P9"),
        ("positions.csv", 4, "account", "A3"),
        ("positions.csv", 5, "instrument", "HSI.F.2026-01"),
    ]


def test_nothing_is_looked_up_in_a_table_that_could_not_be_read(folder):
    (folder / "instruments.csv").write_text("instrument,house\n")
    assert {file for file, *_ in refused(folder)} == {"instruments.csv"}


def test_a_table_has_one_file_and_a_folder_nothing_else(folder):
    write_files(
        folder,
        {
            "positions.parquet": b"",
            "histories/notes.txt": "",
            "prices.csv": FILES["histories/prices.csv"],
            "houses/HKSCC.toml": "margin_credit = 1\n",
            "houses/LCH.toml": "",
            ".DS_Store": b"",
        },
    )
    (folder / "marks.csv").mkdir()
    assert refused(folder) == [
        (".DS_Store", 0, "", ".DS_Store"),
        ("histories/notes.txt", 0, "", "histories/notes.txt"),
        ("houses/LCH.toml", 0, "", "houses/LCH.toml"),
        ("marks.csv", 0, "", "marks.csv"),
        ("positions.parquet", 0, "", "positions.parquet"),
        ("prices.csv", 0, "", "prices.csv"),
    ]


def test_files_of_houses_are_found_and_let_be(folder, market):
    write_files(folder, {"houses/HKSCC.toml": "anything\n"})
    assert read_market(folder).content_hash == market.content_hash
    assert house_file(folder, "HKSCC") == folder / "houses" / "HKSCC.toml"
    assert house_file(folder, "SEOCH") is None


@pytest.mark.parametrize(
    ("was", "now", "line", "field"),
    [
        ("version = 1", "version = 2", 2, "version"),
        ("version = 1", "version = true", 2, "version"),
        ("version = 1\n", "", 0, "version"),
        ("crossmargin-market", "market", 1, "format"),
        ('"a market"', '""', 3, "name"),
        ('"a market"', '"a\\nmarket"', 3, "name"),
        ('"HKD"', '"hkd"', 4, "currency"),
        ('"HKD"', "1", 4, "currency"),
        ("XHKG", "HKEX!", 5, "calendar"),
        ('note = "made by hand"', "note = []", 6, "data_note"),
        ('HKD"\n', "HKD\n", 4, ""),
        ('by hand"\n', 'by hand"\n[sha256]\na = "0"\n', 7, "sha256"),
    ],
)
def test_a_bad_head(folder, was, now, line, field):
    assert was in HEAD
    (folder / HEAD_FILE).write_text(HEAD.replace(was, now))
    ((file, *place, _),) = refused(folder)
    assert (file, *place) == (HEAD_FILE, line, field)


def test_no_head_no_market(tmp_path):
    assert refused(write_files(tmp_path, {"positions.csv": ""})) == [(HEAD_FILE, 0, "", "absent")]
    with pytest.raises(FileNotFoundError):
        read_market(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "line", "field"),
    [
        (parquet(date=["2026-01-05"], underlying=["HSI"], close=[1.0]), 0, "date"),
        (parquet(date=[date(2026, 1, 5)], underlying=["HSI"]), 0, "close"),
        (parquet(date=[date(2026, 1, 5)], underlying=["HSI"], close=[1.0], volume=[1]), 0, "column"),
        (parquet(date=[date(2026, 1, 5)] * 2, underlying=["HSI", "700"], close=[1.0, float("nan")]), 2, "close"),
        (parquet(date=[datetime(2026, 1, 5, 9)], underlying=["HSI"], close=[1.0]), 1, "date"),  # noqa: DTZ001
        (parquet(date=[date(2026, 1, 5), None], underlying=["HSI"] * 2, close=[1.0, 2.0]), 2, "date"),
        (parquet(date=pl.Series([0, 10**7]).cast(pl.Date), underlying=["HSI"] * 2, close=[1.0, 2.0]), 2, "date"),
        (
            parquet(date=pl.Series([10**18]).cast(pl.Datetime("ms")), underlying=["HSI"], close=[1.0]),
            1,
            "date",
        ),
        (b"no Parquet", 0, ""),
        (b"", 0, ""),
    ],
)  # fmt: skip
def test_a_bad_parquet_file(folder, content, line, field):
    (folder / "histories" / "prices.csv").unlink()
    write_files(folder, {"histories/prices.parquet": content})
    ((file, *place, _),) = refused(folder)
    assert (file, *place) == ("histories/prices.parquet", line, field)


def test_days_are_from_1900_to_2199_in_any_file(folder):
    write_files(folder, {"histories/prices.csv": "date,underlying,close\n5/1/0026,HSI,1\n2200-01-01,HSI,1\n"})
    assert refused(folder) == [
        ("histories/prices.csv", 2, "date", "0026-01-05"),
        ("histories/prices.csv", 3, "date", "2200-01-01"),
    ]


def test_a_file_of_another_digest_is_refused_before_it_is_read(folder, market):
    write_market(market, folder)
    path = folder / "histories" / "prices.parquet"
    content = path.read_bytes()
    path.write_bytes(b"PAR1" + content[4:-8] + b"\0\0\0\1PAR1")
    other = hashlib.sha256(path.read_bytes()).hexdigest()
    assert refused(folder) == [("histories/prices.parquet", 0, "sha256", other)]
    path.unlink()
    assert refused(folder) == [(HEAD_FILE, 0, "sha256", "histories/prices.parquet")]


def test_a_digest_is_of_a_table_within_the_folder(folder):
    (folder / HEAD_FILE).write_text(HEAD + f'[sha256]\n"../m/positions.csv" = "{"0" * 64}"\n')
    assert refused(folder) == [(HEAD_FILE, 0, "sha256", "../m/positions.csv")]


# Writing.


@pytest.mark.parametrize("histories", ["parquet", "csv"])
def test_what_is_written_reads_back(tmp_path, market, histories):
    target = tmp_path / "some" / "where"
    write_market(market, target, histories=histories)
    again = read_market(target)
    assert again.content_hash == market.content_hash
    for table in MARKET_SCHEMAS:
        assert_frame_equal(again[table], market[table], check_exact=True)
    files = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    filled = [table for table in MARKET_SCHEMAS if len(market[table])]
    plain = {table_path(table, ".csv") for table in filled}
    dated = {table_path(table, f".{histories}") for table in ("prices", "marks")}
    assert files == {HEAD_FILE, *(name for name in plain if "/" not in name), *dated}


def test_the_same_market_has_the_same_bytes(tmp_path, market):
    for name in ("one", "two"):
        write_market(market, tmp_path / name)
    one, two = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("one", "two")
    )
    assert one == two


def test_a_note_of_any_printable_text(tmp_path, market):
    note = 'a "note" \\ of 5 € 漢 \ufffd \U0001f600'
    write_market(replace(market, data_note=note), tmp_path / "m")
    assert read_market(tmp_path / "m").data_note == note


def test_what_a_csv_file_cannot_hold_is_refused_all_at_once(tmp_path, market):
    tables = dict(market.tables)
    tables["participants"] = pl.DataFrame(
        {"participant": ["P1", "P 2"], "name": ["First, Ltd", "Second"], "group": ["G1", "G1"]}
    )
    tables["prices"] = tables["prices"].with_columns(close=pl.col("close") + 1 / 3)
    other = make_market(tables, name="a\nb")
    with pytest.raises(InputError) as caught:
        write_market(other, tmp_path / "m", histories="csv")
    assert [(r.file, r.line, r.field) for r in caught.value.records] == [
        (str(tmp_path / "m" / "histories" / "prices.csv"), 0, "close"),
        (str(tmp_path / "m" / HEAD_FILE), 0, "name"),
        (str(tmp_path / "m" / "participants.csv"), 2, "participant"),
        (str(tmp_path / "m" / "participants.csv"), 3, "name"),
    ]
    assert "comma" in str(caught.value)
    assert not list(tmp_path.glob("*m*"))
    write_market(make_market(tables | {"participants": market["participants"]}, name="b"), tmp_path / "m")
    assert_frame_equal(read_market(tmp_path / "m")["prices"], tables["prices"].sort("date"), check_exact=True)


def test_a_market_folder_is_replaced_and_keeps_its_files_of_houses(folder, market):
    write_files(
        folder, {"houses/HKCC.toml": 'basis = "net"\n', "histories/splits.csv": "ex_date,underlying,ratio\n"}
    )
    write_market(replace(market, name="another"), folder)
    assert read_market(folder).name == "another"
    assert (folder / "houses" / "HKCC.toml").read_text() == 'basis = "net"\n'
    assert not (folder / "histories" / "splits.csv").exists()
    assert not (folder / "histories" / "prices.csv").exists()


def test_an_empty_folder_is_taken(tmp_path, market):
    (tmp_path / "m").mkdir()
    write_market(market, tmp_path / "m")
    assert read_market(tmp_path / "m").content_hash == market.content_hash


@pytest.mark.parametrize("name", ["letter.txt", "positions.csv"])
def test_a_folder_of_anything_else_is_let_be(tmp_path, market, name):
    write_files(tmp_path / "m", {name: "x"})
    with pytest.raises(InputError, match="an empty one or a market folder"):
        write_market(market, tmp_path / "m")
    assert (tmp_path / "m" / name).read_text() == "x"
    with pytest.raises(InputError, match="no file"):
        write_market(market, tmp_path / "m" / name)


@pytest.mark.parametrize("fails", ["_digests", "_put_in_place"])
def test_a_failure_on_the_way_leaves_what_stood_there(folder, market, monkeypatch, fails):
    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(folder_writer, fails, fail)
    with pytest.raises(OSError, match="no space"):
        write_market(replace(market, name="another"), folder)
    assert read_market(folder).name == "a market"
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".")] == []


def test_the_old_folder_comes_back_when_the_new_one_cannot_take_its_name(folder, market):
    other = folder.parent / "gone"
    with pytest.raises(FileNotFoundError):
        folder_writer._put_in_place(other, folder, folder.parent / "old")
    assert read_market(folder).content_hash == market.content_hash


def test_histories_are_parquet_or_csv(tmp_path, market):
    with pytest.raises(InputError, match="one of parquet, csv"):
        write_market(market, tmp_path / "m", histories="xlsx")


def test_a_copied_folder_is_the_same_market(folder, market, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    assert read_market(str(tmp_path / "copy")).content_hash == market.content_hash
