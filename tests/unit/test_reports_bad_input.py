"""What the readers of the position reports refuse, and what they take in spite of its looks."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from crossmargin import (
    InputError,
    read_corporate_actions,
    read_marginable_positions,
    write_corporate_actions,
    write_marginable_positions,
)

CODE_RULE = "a code of letters, digits, '.', '_' or '-', at most 32"
DECIMAL_RULE = "a plain decimal of at most 15 digits, 10 of them behind the point"
WHOLE_RULE = "a whole number of at most 15 digits"
DATE_RULE = "a date, DD/MM/YYYY or YYYY-MM-DD"
AMOUNT_RULE = "at least -1e+12 and at most 1e+12"
CUT_RULE = "a last line that ends with a line break; without one the file may be cut off"
TEXT_RULE = "a text file in UTF-8"
EMPTY_RULE = "a file with records in it"
MISSING = "a column that the header must name"
ONCE = "a column that stands once in the header"

COLUMNS = ["InstrumentID", "Quantity", "ContractValueHKD", "MarketValueHKD"]
KNOWN = f"a column of this file: {', '.join(['ParticipantID', *COLUMNS])}"
HEADING = ",".join(COLUMNS)
ROWS = ["700,-1000,-380000.5,-400000", "2800,200,5000,5100.25"]

ACTION_COLUMNS = [
    "Business Date",
    "Ex-Date",
    "Market",
    "Instrument Code",
    "Converted Instrument Code",
    "Quantity Conversion Ratio",
    "Instrument Code for Cash Dividend",
    "Cash Dividend Amount",
    "Instrument Code for Stock Dividend",
    "Entitled Stock Quantity",
    "Instrument Code for Rights",
    "Rights Quantity",
]
ACTION_HEADING = ",".join(ACTION_COLUMNS)
# The guide's example (§4.5): one for one, -0.78 cash, 0.13 dividend shares and 1.5 rights a share.
ACTION = "5/11/2019,6/11/2019,MAIN,5,,2,DIV5,-0.78,DSP5,0.13,SRI5,1.5"


def write(folder, *lines: str, end: str = "\n"):
    path = folder / "report.csv"
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def refused(path, read=read_marginable_positions):
    with pytest.raises(InputError) as caught:
        read(path)
    assert {record.file for record in caught.value.records} == {str(path)}
    return [(record.line, record.field, record.value, record.rule) for record in caught.value.records]


def refused_bytes(folder, content: bytes, read=read_marginable_positions):
    path = folder / "report.csv"
    path.write_bytes(content)
    return refused(path, read)


@pytest.fixture
def frame(tmp_path):
    return read_marginable_positions(write(tmp_path, HEADING, *ROWS))


def test_the_report_itself_is_good(frame):
    assert frame.columns == ["instrument", "quantity", "contract_value", "market_value"]
    assert frame.rows() == [("700", -1000, -380000.5, -400000.0), ("2800", 200, 5000.0, 5100.25)]


# Columns.


@pytest.mark.parametrize("missing", COLUMNS)
def test_a_missing_column(tmp_path, missing):
    names = [name for name in COLUMNS if name != missing]
    assert refused(write(tmp_path, ",".join(names), "1,1,1")) == [(1, "column", missing, MISSING)]


def test_wrong_missing_and_duplicate_columns_are_all_listed(tmp_path):
    path = write(tmp_path, "InstrumentID,Qty,InstrumentID,MarketValueHKD,", *ROWS)
    assert refused(path) == [
        (1, "column", "", KNOWN),
        (1, "column", "ContractValueHKD", MISSING),
        (1, "column", "InstrumentID", ONCE),
        (1, "column", "Qty", KNOWN),
        (1, "column", "Quantity", MISSING),
    ]


def test_no_header(tmp_path):
    fields = ROWS[0].split(",")
    expected = [
        *((1, "column", name, MISSING) for name in COLUMNS),
        *((1, "column", x, KNOWN) for x in fields),
    ]
    assert refused(write(tmp_path, ROWS[0])) == sorted(expected)


def test_columns_in_another_order_and_case(tmp_path, frame):
    path = write(tmp_path, "marketvaluehkd,QUANTITY, InstrumentID ,ContractValueHKD")
    turned = [f"{m},{q},{i},{c}" for i, q, c, m in (row.split(",") for row in ROWS)]
    path.write_text(path.read_text() + "\n".join([*turned, ""]))
    assert read_marginable_positions(path).equals(frame)


def test_a_column_of_participants(tmp_path, frame):
    path = write(tmp_path, f"{HEADING},ParticipantID", f"{ROWS[0]},P1", f"{ROWS[1]},P2")
    many = read_marginable_positions(path)
    assert many["participant"].to_list() == ["P1", "P2"]
    assert many.drop("participant").equals(frame)
    path = write(tmp_path, f"{HEADING},ParticipantID", f"{ROWS[0]},", f"{ROWS[1]},a b")
    assert refused(path) == [(2, "ParticipantID", "", CODE_RULE), (3, "ParticipantID", "a b", CODE_RULE)]


# Values.


@pytest.mark.parametrize(
    ("place", "field", "value", "rule"),
    [
        (0, "InstrumentID", "", CODE_RULE),
        (0, "InstrumentID", '"700"', CODE_RULE),
        (0, "InstrumentID", " 700", CODE_RULE),
        (0, "InstrumentID", "7" * 33, CODE_RULE),
        (1, "Quantity", "1.5", WHOLE_RULE),
        (1, "Quantity", "1000.0", WHOLE_RULE),
        (1, "Quantity", "1e3", WHOLE_RULE),
        (1, "Quantity", "+1000", WHOLE_RULE),
        (1, "Quantity", "1000000000001", AMOUNT_RULE),
        (1, "Quantity", "-1000000000001", AMOUNT_RULE),
        (1, "Quantity", "9223372036854775808", WHOLE_RULE),
        (1, "Quantity", "9" * 400, WHOLE_RULE),
        (1, "Quantity", "", WHOLE_RULE),
        (1, "Quantity", "NaN", WHOLE_RULE),
        (2, "ContractValueHKD", "NaN", DECIMAL_RULE),
        (2, "ContractValueHKD", "-inf", DECIMAL_RULE),
        (2, "ContractValueHKD", "(5000)", DECIMAL_RULE),
        (2, "ContractValueHKD", "0.12345678901", DECIMAL_RULE),
        (2, "ContractValueHKD", "1000000.0123456789", DECIMAL_RULE),
        (3, "MarketValueHKD", "1e5", DECIMAL_RULE),
        (3, "MarketValueHKD", "1000000000000.01", AMOUNT_RULE),
        (3, "MarketValueHKD", "5100 ", DECIMAL_RULE),
        (3, "MarketValueHKD", "", DECIMAL_RULE),
    ],
)
def test_a_bad_value(tmp_path, place, field, value, rule):
    fields = ROWS[1].split(",")
    fields[place] = value
    assert refused(write(tmp_path, HEADING, ROWS[0], ",".join(fields))) == [(3, field, value, rule)]


def test_every_bad_record_is_listed(tmp_path):
    rows = ["700,1.5,x,1", ROWS[0], "7 00,1,1,NaN", "700,1,1", '"5",1,1,1', "", "700,1,1,1,"]
    assert refused(write(tmp_path, HEADING, *rows, ROWS[1])) == [
        (2, "ContractValueHKD", "x", DECIMAL_RULE),
        (2, "Quantity", "1.5", WHOLE_RULE),
        (4, "InstrumentID", "7 00", CODE_RULE),
        (4, "MarketValueHKD", "NaN", DECIMAL_RULE),
        (5, "", "700,1,1", "a record of 4 fields, not 3"),
        (6, "InstrumentID", '"5"', CODE_RULE),
        (7, "", "", "a record of 4 fields, not 1"),
        (8, "", "700,1,1,1,", "a record of 4 fields, not 5"),
    ]


def test_a_quoted_field_with_a_comma(tmp_path):
    row = '700,"1,000",1,1'
    assert refused(write(tmp_path, HEADING, row)) == [(2, "", row, "a record of 4 fields, not 5")]


def test_the_largest_quantities(tmp_path):
    path = write(tmp_path, HEADING, "700,1000000000000,1000000000000,-1000000000000", "5,-1000000000000,0,0")
    assert read_marginable_positions(path)["quantity"].to_list() == [10**12, -(10**12)]


def test_negative_zero_is_zero(tmp_path):
    read = read_marginable_positions(write(tmp_path, HEADING, "700,-0,-0,-0.00", "5,0,0,0"))
    assert read["quantity"].to_list() == [0, 0]
    for column in ("contract_value", "market_value"):
        assert read[column].to_numpy().tobytes() == np.zeros(2).tobytes()


# The whole file.


def test_crlf_and_a_byte_order_mark(tmp_path, frame):
    assert read_marginable_positions(write(tmp_path, HEADING, *ROWS, end="\r\n")).equals(frame)
    assert read_marginable_positions(write(tmp_path, "\ufeff" + HEADING, *ROWS, end="\r\n")).equals(frame)


def test_a_lone_carriage_return_is_no_line_end(tmp_path):
    path = write(tmp_path, HEADING, ROWS[0], ROWS[1] + "\r5,1,1,1")
    value = "5100.25\r5"
    assert refused(path) == [(3, "", ROWS[1] + "\r5,1,1,1", "a record of 4 fields, not 7")]
    assert refused(write(tmp_path, HEADING, f"700,1,1,{value}")) == [
        (2, "MarketValueHKD", value, DECIMAL_RULE)
    ]


def test_blank_lines_at_the_end(tmp_path, frame):
    assert read_marginable_positions(write(tmp_path, HEADING, *ROWS, "", "")).equals(frame)


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n \r\n", b"\xef\xbb\xbf"])
def test_an_empty_file(tmp_path, content):
    ((line, field, value, rule),) = refused_bytes(tmp_path, content)
    assert (line, field, value, rule) == (1, "", "", EMPTY_RULE)


def test_a_report_without_a_position(tmp_path, frame):
    read = read_marginable_positions(write(tmp_path, HEADING))
    assert read.is_empty()
    assert read.schema == frame.schema


def test_a_truncated_file(tmp_path):
    content = "\n".join([HEADING, *ROWS]).encode()
    assert refused_bytes(tmp_path, content) == [(3, "", ROWS[1], CUT_RULE)]
    assert refused_bytes(tmp_path, content[:-4]) == [(3, "", ROWS[1][:-4], CUT_RULE)]


@pytest.mark.parametrize(("byte", "shown"), [(b"\0", "\0"), (b"\xff", "�"), (b"\xe8\x85", "�")])
def test_a_binary_file(tmp_path, byte, shown):
    content = "\n".join([HEADING, *ROWS, ""]).encode().replace(b"700,", b"70" + byte + b",")
    assert refused_bytes(tmp_path, content) == [(2, "", ROWS[0].replace("700,", f"70{shown},"), TEXT_RULE)]


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_marginable_positions(tmp_path / "nothing.csv")


# Corporate actions.


def test_corporate_actions_themselves(tmp_path):
    read = read_corporate_actions(
        write(tmp_path, ACTION_HEADING, ACTION, "2019-11-05,2019-11-06,GEM,8359,150,0.1,,,,,,")
    )
    day, ex_date = date(2019, 11, 5), date(2019, 11, 6)
    assert read.rows() == [
        (day, ex_date, "MAIN", "5", None, 2.0, "DIV5", -0.78, "DSP5", 0.13, "SRI5", 1.5),
        (day, ex_date, "GEM", "8359", "150", 0.1, *[None] * 6),
    ]


@pytest.mark.parametrize("missing", ACTION_COLUMNS)
def test_a_missing_column_of_corporate_actions(tmp_path, missing):
    names = [name for name in ACTION_COLUMNS if name != missing]
    path = write(tmp_path, ",".join(names), ACTION)
    assert refused(path, read_corporate_actions) == [(1, "column", missing, MISSING)]


def test_columns_of_corporate_actions_in_another_order(tmp_path):
    plain = read_corporate_actions(write(tmp_path, ACTION_HEADING, ACTION))
    turned = [",".join(reversed(line.split(","))) for line in (ACTION_HEADING, ACTION)]
    assert read_corporate_actions(write(tmp_path, *turned)).equals(plain)


@pytest.mark.parametrize(
    ("place", "value", "rule"),
    [
        (0, "", DATE_RULE),
        (0, "31/11/2019", DATE_RULE),
        (1, "6.11.2019", DATE_RULE),
        (1, "0/11/2019", DATE_RULE),
        (2, "", CODE_RULE),
        (3, "", CODE_RULE),
        (3, "5 ", CODE_RULE),
        (4, "a b", CODE_RULE),
        (5, "-2", "at least 0 and at most 1e+12"),
        (5, "1e1", DECIMAL_RULE),
        (7, "0.78", "at least -1e+12 and at most 0"),
        (7, "NaN", DECIMAL_RULE),
        (9, "-0.13", "at least 0 and at most 1e+12"),
        (9, "x", DECIMAL_RULE),
        (11, "-1.5", "at least 0 and at most 1e+12"),
        (11, "inf", DECIMAL_RULE),
    ],
)
def test_a_bad_value_of_corporate_actions(tmp_path, place, value, rule):
    fields = ACTION.split(",")
    fields[place] = value
    path = write(tmp_path, ACTION_HEADING, ACTION, ",".join(fields))
    assert refused(path, read_corporate_actions) == [(3, ACTION_COLUMNS[place], value, rule)]


def test_every_bad_record_of_corporate_actions_is_listed(tmp_path):
    rows = [
        ACTION.replace("-0.78", "0.78").replace("MAIN", "?"),
        ACTION + ",",
        ACTION,
        ACTION.replace("5/11", "32/11"),
    ]
    assert refused(write(tmp_path, ACTION_HEADING, *rows), read_corporate_actions) == [
        (2, "Cash Dividend Amount", "0.78", "at least -1e+12 and at most 0"),
        (2, "Market", "?", CODE_RULE),
        (3, "", ACTION + ",", "a record of 12 fields, not 13"),
        (5, "Business Date", "32/11/2019", DATE_RULE),
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", (1, "", "", EMPTY_RULE)),
        (f"{ACTION_HEADING}\n{ACTION}".encode(), (2, "", ACTION, CUT_RULE)),
        (f"{ACTION_HEADING}\n\0\n".encode(), (2, "", "\0", TEXT_RULE)),
    ],
)
def test_a_corporate_action_file_that_is_none(tmp_path, content, expected):
    assert refused_bytes(tmp_path, content, read_corporate_actions) == [expected]


# What the writers refuse.


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e-11, 1 / 3, 1e13])
def test_what_the_readers_would_refuse_is_not_written(tmp_path, frame, value):
    path = write(tmp_path, "what stood here before")
    bad = frame.with_columns(contract_value=pl.lit(value))
    with pytest.raises(InputError, match="ContractValueHKD"):
        write_marginable_positions(bad, path)
    assert path.read_text() == "what stood here before\n"
    assert [item.name for item in tmp_path.iterdir()] == ["report.csv"]


def test_a_report_written_and_read(tmp_path, frame):
    large = frame.with_columns(contract_value=pl.Series([79_999_999_999.99, -0.0]))
    write_marginable_positions(large, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_text().splitlines() == [
        HEADING,
        "700,-1000,79999999999.99,-400000",
        "2800,200,0,5100.25",
    ]
    actions = read_corporate_actions(write(tmp_path, ACTION_HEADING, ACTION))
    write_corporate_actions(actions, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_text() == f"{ACTION_HEADING}\n{ACTION}\n"
