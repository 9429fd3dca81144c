"""What the RPF01 reader refuses, record by record, and what it takes in spite of its looks."""

from __future__ import annotations

import threading
from dataclasses import replace

import polars as pl
import pytest
from rpf01_text import HEADER, HEADING_LINE, LAST_LINE, LINE, RECORDS, heading, rpf01_lines, write_lines

from crossmargin import InputError, read_rpf01

KEYS = ", ".join(HEADER)
RETURN_RULE = "a plain decimal from −100 to 100 with at most 10 decimals"
CODE_RULE = "a code of letters, digits, '.', '_' or '-', at most 32"
DECIMAL_RULE = "a plain decimal of at most 15 digits, 10 of them behind the point"
WHOLE_RULE = "a whole number of at most 15 digits"
DATE_RULE = "a date, DD/MM/YYYY or YYYY-MM-DD"
TYPE_RULE = "a record with a FieldType from 1 to 7"
CUT_RULE = "a last line that ends with a line break; without one the file may be cut off"
ONCE = "a key that stands once"
MISSING_KEY = "a key that the header must have"
ONE_OF = f"one of {KEYS}"
NOT_BOTH = "a record of FieldType 4 or of 5, not of both"


def found(path):
    """Every bad record as (line, field, value, rule); the file is checked here."""
    with pytest.raises(InputError) as caught:
        read_rpf01(path)
    assert {record.file for record in caught.value.records} == {str(path)}
    return [(record.line, record.field, record.value, record.rule) for record in caught.value.records]


def refused(tmp_path, lines):
    return found(write_lines(tmp_path, lines))


def refused_bytes(tmp_path, content: bytes):
    path = tmp_path / "RPF01.csv"
    path.write_bytes(content)
    return found(path)


def content(lines=None) -> bytes:
    return "".join(f"{line}\n" for line in lines or rpf01_lines()).encode()


def with_field(name: str, place: int, value: str) -> tuple[list[str], str]:
    """Lines with one field of a record replaced, and the whole record."""
    lines = rpf01_lines()
    fields = lines[LINE[name] - 1].split(",")
    fields[place] = value
    lines[LINE[name] - 1] = ",".join(fields)
    return lines, lines[LINE[name] - 1]


def test_the_file_itself_is_good(tmp_path):
    parameters = read_rpf01(write_lines(tmp_path, rpf01_lines()))
    assert parameters.scenario_instruments.to_list() == ["700", "2800", "26883"]
    assert parameters.returns[1, :20].tolist() == [float(x) for x in RECORDS["2800 HVaR"].split(",")[2:]]
    assert parameters.returns[2, 20:].tolist() == [float(x) for x in RECORDS["26883 SVaR"].split(",")[2:]]
    assert (parameters.historical.tail_count, parameters.stressed.tail_count) == (2, 3)
    assert parameters.benefit.rows() == [("700", 1, 12.5, -0.5, 0.5), ("700", 3, 1.0, -1.0, 0.0)]
    assert parameters.structured_product.rows() == [("26883", "700", -0.5, 100.0, -2.0)]
    assert parameters.tick.rows() == [("26883", 0.02, 0.5)]
    assert parameters.flat_rate.rows() == [("8001", 0.3)]
    assert parameters.liquidation.rows() == [
        ("700", 0.0022, 1.2, 300_000_000, 400.0),
        ("2800", 0.002, 1.0, 250_000_000, 25.0),
    ]


# The header.


@pytest.mark.parametrize("key", HEADER)
def test_a_missing_key(tmp_path, key):
    lines = [line for line in rpf01_lines() if not line.startswith(f"{key},")]
    assert refused(tmp_path, lines) == [(0, "key", key, MISSING_KEY)]


def test_several_missing_keys_and_an_unknown_one(tmp_path):
    lines = ["HVaR_Weight,0.75", *rpf01_lines()[2:]]
    assert refused(tmp_path, lines) == [
        (0, "key", "HVaR_WGT", MISSING_KEY),
        (0, "key", "Valuation_DT", MISSING_KEY),
        (1, "key", "HVaR_Weight", ONE_OF),
    ]


@pytest.mark.parametrize("line", ["Foo,1", "Foo", ",1", ""])
def test_an_unknown_key(tmp_path, line):
    lines = rpf01_lines()
    lines.insert(3, line)
    assert refused(tmp_path, lines) == [(4, "key", line.partition(",")[0], ONE_OF)]


@pytest.mark.parametrize("value", ["0.75", "0.5"])
def test_a_duplicate_key(tmp_path, value):
    lines = rpf01_lines()
    lines.insert(5, f"hvar_wgt,{value}")
    assert refused(tmp_path, lines) == [(6, "key", "hvar_wgt", ONCE)]


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("Valuation_DT", "30/2/2026", DATE_RULE),
        ("Valuation_DT", "2026/1/5", DATE_RULE),
        ("Valuation_DT", "5 Jan 2026", DATE_RULE),
        ("Valuation_DT", "", DATE_RULE),
        ("Valuation_DT", "13/13/2026", DATE_RULE),
        ("HVaR_WGT", "1.01", "at least 0 and at most 1"),
        ("HVaR_WGT", "-0.25", "at least 0 and at most 1"),
        ("HVaR_WGT", "NaN", DECIMAL_RULE),
        ("HVaR_WGT", "7.5e-1", DECIMAL_RULE),
        ("SVaR_WGT", "25%", DECIMAL_RULE),
        ("SVaR_WGT", "0,25", None),
        ("HVaR_Scen_Count", "0", "at least 1 and at most 100,000"),
        ("HVaR_Scen_Count", "-20", "at least 1 and at most 100,000"),
        ("HVaR_Scen_Count", "20.0", WHOLE_RULE),
        ("SVaR_Scen_Count", "100001", "at least 1 and at most 100,000"),
        ("SVaR_Scen_Count", "inf", WHOLE_RULE),
        ("STV_Count", "-1", "at least 0 and at most 100,000"),
        ("HVaR_CL", "1", "at least 0.5 and at most 0.9999999999"),
        ("HVaR_CL", "99.4", "at least 0.5 and at most 0.9999999999"),
        ("SVaR_CL", "", DECIMAL_RULE),
        ("HVaR_Measure", "3", "at least 4 and at most 4"),
        ("SVaR_Measure", "ES", WHOLE_RULE),
        ("Rounding", "0", "at least 1 and at most 1e+12"),
        ("Rounding", "10 000", WHOLE_RULE),
        ("Holiday_Factor", "-0.1", "at least 0 and at most 100"),
        ("Holiday_Factor", "0.73205080756", DECIMAL_RULE),
    ],
)
def test_a_bad_header_value(tmp_path, key, value, rule):
    records = refused(tmp_path, rpf01_lines(**{key: value}))
    line = list(HEADER).index(key) + 1
    if rule is None:
        assert records == [(line, "", value, "a record of 1 fields, not 2")]
    else:
        assert records == [(line, key, value, rule)]


def test_all_bad_header_values_are_listed(tmp_path):
    lines = rpf01_lines(HVaR_CL="2", SVaR_Measure="5", Valuation_DT="x", Rounding="-1")
    assert refused(tmp_path, lines) == [
        (1, "Valuation_DT", "x", DATE_RULE),
        (7, "HVaR_CL", "2", "at least 0.5 and at most 0.9999999999"),
        (10, "SVaR_Measure", "5", "at least 4 and at most 4"),
        (11, "Rounding", "-1", "at least 1 and at most 1e+12"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        heading(20),
        heading().replace(",7,", ",8,"),
        heading().replace("FieldType", "Type"),
        "InstrumentId,FieldType",
        heading().replace(",20,21", ",20,21,x"),
    ],
)
def test_a_bad_table_heading(tmp_path, line):
    lines = rpf01_lines()
    lines[HEADING_LINE - 1] = line
    rule = "a table heading 'InstrumentId,FieldType,1,2,…' up to 21, the larger scenario count"
    assert refused(tmp_path, lines) == [(HEADING_LINE, "", line, rule)]


def test_no_table_heading(tmp_path):
    lines = rpf01_lines()
    del lines[HEADING_LINE - 1]
    rule = "a table heading 'InstrumentId,FieldType,1,2,…' below the header rows"
    assert refused(tmp_path, lines) == [(1, "", "Valuation_DT,5/1/2026", rule)]


# Returns.


@pytest.mark.parametrize(
    ("counts", "types"), [({"HVaR_Scen_Count": "19"}, 1), ({"SVaR_Scen_Count": "20"}, 2)]
)
def test_a_count_that_disagrees_with_the_header(tmp_path, counts, types):
    """Every record of that FieldType is named."""
    here, said = {1: (20, 19), 2: (21, 20)}[types]
    names = [name for name in RECORDS if name.endswith("HVaR" if types == 1 else "SVaR")]
    rule = f"{said} scenario returns, as the header says for FieldType {types}; here are {here}"
    expected = [(LINE[name], "", RECORDS[name], rule) for name in names]
    assert refused(tmp_path, rpf01_lines(**counts)) == expected


@pytest.mark.parametrize("change", ["short", "long"])
def test_one_record_of_another_count(tmp_path, change):
    lines = rpf01_lines()
    place = LINE["2800 SVaR"] - 1
    lines[place] = lines[place].rpartition(",")[0] if change == "short" else lines[place] + ",0.5"
    here = 20 if change == "short" else 22
    rule = f"21 scenario returns, as the header says for FieldType 2; here are {here}"
    assert refused(tmp_path, lines) == [(LINE["2800 SVaR"], "", lines[place], rule)]


@pytest.mark.parametrize(
    "value",
    [
        "abc",
        "NaN",
        "nan",
        "inf",
        "-inf",
        "1e5",
        "1E-3",
        "",
        " 0.1",
        "+0.1",
        "0.12345678901",
        ".5",
        "5.",
        "--1",
        "0x",
        "100.0000000001",
        "-101",
        "1" * 16,
        "0x1",
        "1_000",
        "٣",
    ],
)
@pytest.mark.parametrize(("name", "place"), [("700 HVaR", 1), ("26883 SVaR", 20)])
def test_a_bad_return(tmp_path, name, place, value):
    lines, _ = with_field(name, place + 1, value)
    assert refused(tmp_path, lines) == [(LINE[name], f"scenario {place}", value, RETURN_RULE)]


def test_many_bad_returns_of_a_record_are_counted(tmp_path):
    lines = rpf01_lines()
    lines[LINE["700 HVaR"] - 1] = ",".join(["700", "1", *(f"x{i}" for i in range(13)), *["0"] * 7])
    listed = refused(tmp_path, lines)
    assert sorted(record[1:3] for record in listed) == sorted(
        [*((f"scenario {i + 1}", f"x{i}") for i in range(10)), ("3 scenarios more", "")]
    )
    assert {(record[0], record[3]) for record in listed} == {(LINE["700 HVaR"], RETURN_RULE)}


@pytest.mark.parametrize(("name", "other"), [("2800 SVaR", "HVaR"), ("2800 HVaR", "SVaR")])
def test_one_measure_without_the_other(tmp_path, name, other):
    lines = rpf01_lines(without=(name,))
    line = lines.index(RECORDS[f"2800 {other}"]) + 1
    missing = 2 if name.endswith("SVaR") else 1
    rule = f"a record of FieldType {missing} beside the other measure's"
    assert refused(tmp_path, lines) == [(line, "InstrumentId", "2800", rule)]


@pytest.mark.parametrize(("name", "field_type"), [("700 HVaR", 1), ("26883 SVaR", 2)])
def test_a_duplicate_record_of_returns(tmp_path, name, field_type):
    lines = [*rpf01_lines(), RECORDS[name]]
    rule = f"one record of FieldType {field_type}; there is one in line {LINE[name]}"
    assert refused(tmp_path, lines) == [(LAST_LINE + 1, "InstrumentId", name.split()[0], rule)]


@pytest.mark.parametrize("code", ["", "7 00", "x" * 33, "腾讯", '"700"', "-700"])
def test_a_bad_code_of_returns(tmp_path, code):
    lines = [*rpf01_lines()]
    for measure in ("HVaR", "SVaR"):
        lines[LINE[f"2800 {measure}"] - 1] = code + lines[LINE[f"2800 {measure}"] - 1].removeprefix("2800")
    assert refused(tmp_path, lines) == [(LINE["2800 SVaR"], "InstrumentId", code, CODE_RULE)]


# The other records.


@pytest.mark.parametrize("field_type", ["0", "8", "10", "", "x", "1.0", "-1", " 3", "3 ", "NaN"])
def test_an_unknown_field_type(tmp_path, field_type):
    lines = [*rpf01_lines(), f"9999,{field_type},0.3"]
    assert refused(tmp_path, lines) == [(LAST_LINE + 1, "FieldType", field_type, TYPE_RULE)]


@pytest.mark.parametrize("line", ["", "9999", "x" * 10**6], ids=["blank", "short", "long"])
def test_a_line_without_a_field_type(tmp_path, line):
    assert refused(tmp_path, [*rpf01_lines(), line, "9999,3,0.3"]) == [(LAST_LINE + 1, "", line, TYPE_RULE)]


def test_a_line_of_a_million_characters_in_a_record(tmp_path):
    digits = "1" * 10**6
    lines, _ = with_field("700 HVaR", 5, digits)
    assert refused(tmp_path, lines) == [(LINE["700 HVaR"], "scenario 4", digits, RETURN_RULE)]
    lines, _ = with_field("700 liquidation", 5, digits)
    assert refused(tmp_path, lines) == [(LINE["700 liquidation"], "cash_delta", digits, DECIMAL_RULE)]


LIMIT = "at least 0 and at most 1e+12"


@pytest.mark.parametrize(
    ("name", "place", "field", "value", "rule"),
    [
        ("8001 rate", 2, "rate", "30%", DECIMAL_RULE),
        ("8001 rate", 2, "rate", "-0.3", "at least 0 and at most 10"),
        ("8001 rate", 2, "rate", "10.1", "at least 0 and at most 10"),
        ("8001 rate", 0, "instrument", "80 01", CODE_RULE),
        ("700 liquidation", 2, "bucket_rate", "x", DECIMAL_RULE),
        ("700 liquidation", 3, "beta", "NaN", DECIMAL_RULE),
        ("700 liquidation", 3, "beta", "-100.5", "at least -100 and at most 100"),
        ("700 liquidation", 4, "threshold", "300000000.5", WHOLE_RULE),
        ("700 liquidation", 4, "threshold", "-1", LIMIT),
        ("700 liquidation", 5, "cash_delta", "1e5", DECIMAL_RULE),
        ("700 liquidation", 5, "cash_delta", "-400", LIMIT),
        ("26883 product", 2, "underlying", "7 00", CODE_RULE),
        ("26883 product", 2, "underlying", "", CODE_RULE),
        ("26883 product", 3, "delta", "inf", DECIMAL_RULE),
        ("26883 product", 4, "conversion_ratio", "0", "more than 0 and at most 1e+12"),
        ("26883 product", 5, "cash_delta", "1000000000001", "at least -1e+12 and at most 1e+12"),
        ("26883 tick", 2, "price_threshold", "0.02345678901", DECIMAL_RULE),
        ("26883 tick", 3, "tick_multiplier_tenth", "-0.5", LIMIT),
        ("700 DSP", 2, "benefit_type", "4", "at least 1 and at most 3"),
        ("700 DSP", 2, "benefit_type", "DSP", WHOLE_RULE),
        ("700 DSP", 3, "price", "-12.5", LIMIT),
        ("700 DSP", 4, "short_rate", "-10.5", "at least -10 and at most 10"),
        ("700 DSP", 5, "long_rate", "50%", DECIMAL_RULE),
    ],
)
def test_a_bad_value(tmp_path, name, place, field, value, rule):
    lines, _ = with_field(name, place, value)
    assert refused(tmp_path, lines) == [(LINE[name], field, value, rule)]


@pytest.mark.parametrize(
    ("name", "count"),
    [("8001 rate", 3), ("700 liquidation", 6), ("26883 product", 6), ("26883 tick", 4), ("700 DSP", 6)],
)
def test_too_few_and_too_many_fields(tmp_path, name, count):
    lines = rpf01_lines()
    record = lines[LINE[name] - 1]
    for line, here in ((record.rpartition(",")[0], count - 1), (record + ",1", count + 1)):
        lines[LINE[name] - 1] = line
        assert refused(tmp_path, lines) == [(LINE[name], "", line, f"a record of {count} fields, not {here}")]


@pytest.mark.parametrize(
    ("name", "field_type"),
    [("8001 rate", 3), ("700 liquidation", 4), ("26883 product", 5), ("26883 tick", 6)],
)
def test_a_duplicate_record(tmp_path, name, field_type):
    lines = [*rpf01_lines(), RECORDS[name]]
    rule = f"one record of FieldType {field_type}"
    assert refused(tmp_path, lines) == [(LAST_LINE + 1, "InstrumentId", name.split()[0], rule)]


def test_a_duplicate_benefit_of_one_type(tmp_path):
    lines = [*rpf01_lines(), "700,7,3,2,-1,0"]
    rule = "one record of FieldType 7 and benefit type"
    assert refused(tmp_path, lines) == [(LAST_LINE + 1, "InstrumentId", "700", rule)]


def test_all_three_benefits_of_one_stock(tmp_path):
    parameters = read_rpf01(write_lines(tmp_path, [*rpf01_lines(), "700,7,2,3.5,0,0.5"]))
    assert parameters.benefit["benefit_type"].to_list() == [1, 3, 2]


@pytest.mark.parametrize("code", ["700", "26883"])
def test_a_flat_rate_beside_returns(tmp_path, code):
    """An instrument is of Tier P or of Tier N."""
    lines = [*rpf01_lines(), f"{code},3,0.3"]
    rule = "a record of FieldType 3 or records of 1 and 2, not both: a flat rate or portfolio margin"
    assert refused(tmp_path, lines) == [(LAST_LINE + 1, "InstrumentId", code, rule)]


@pytest.mark.parametrize(("historical", "stressed"), [("0.75", "0.2"), ("0.75", "0.2500000001"), ("1", "1")])
def test_weights_that_do_not_add_up_to_one(tmp_path, historical, stressed):
    lines = rpf01_lines(HVaR_WGT=historical, SVaR_WGT=stressed)
    rule = "a weight that adds up to 1 with HVaR_WGT"
    assert refused(tmp_path, lines) == [(3, "SVaR_WGT", stressed, rule)]


@pytest.mark.parametrize(
    ("historical", "stressed"), [("1", "0"), ("0.3333333333", "0.6666666667"), ("0.1", "0.9")]
)
def test_weights_that_add_up_to_one(tmp_path, historical, stressed):
    read = read_rpf01(write_lines(tmp_path, rpf01_lines(HVaR_WGT=historical, SVaR_WGT=stressed)))
    assert (read.historical.weight, read.stressed.weight) == (float(historical), float(stressed))


def test_parameters_by_hand_have_the_same_rules(tmp_path):
    good = read_rpf01(write_lines(tmp_path, rpf01_lines()))
    rates = pl.DataFrame({"instrument": ["8001", "700"], "rate": [0.3, 0.3]})
    with pytest.raises(InputError) as caught:
        replace(good, stressed=replace(good.stressed, weight=0.2), flat_rate=rates)
    found = [(record.line, record.field, record.value) for record in caught.value.records]
    assert found == [(0, "weight", "0.75 and 0.2"), (2, "flat_rate.instrument", "700")]


def test_field_types_4_and_5_of_one_instrument(tmp_path):
    lines = [*rpf01_lines(), "2800,5,700,1,100,4"]
    assert refused(tmp_path, lines) == [(LAST_LINE + 1, "InstrumentId", "2800", NOT_BOTH)]


# The whole file.


def test_everything_that_is_wrong_is_listed_at_once(tmp_path):
    lines = rpf01_lines(without=("26883 SVaR",))
    moved = {name: lines.index(record) + 1 for name, record in RECORDS.items() if record in lines}
    fields = lines[moved["700 HVaR"] - 1].split(",")
    fields[4], fields[21] = "NaN", "x"
    lines[moved["700 HVaR"] - 1] = ",".join(fields)
    lines[moved["8001 rate"] - 1] = "8001,3,-1"
    lines[moved["700 liquidation"] - 1] = "700,4,x,1e5,1.5"
    lines += ["2800,5,700,1,100,4", "9,9,9", "700,4,0.1,1,1,1", RECORDS["2800 HVaR"]]
    last = len(lines)
    assert refused(tmp_path, lines) == [
        (moved["700 HVaR"], "scenario 20", "x", RETURN_RULE),
        (moved["700 HVaR"], "scenario 3", "NaN", RETURN_RULE),
        (moved["26883 HVaR"], "InstrumentId", "26883", "a record of FieldType 2 beside the other measure's"),
        (moved["8001 rate"], "rate", "-1", "at least 0 and at most 10"),
        (moved["700 liquidation"], "", "700,4,x,1e5,1.5", "a record of 6 fields, not 5"),
        (last - 3, "InstrumentId", "2800", NOT_BOTH),
        (last - 2, "FieldType", "9", TYPE_RULE),
        (last - 1, "InstrumentId", "700", "one record of FieldType 4"),
        (
            last,
            "InstrumentId",
            "2800",
            f"one record of FieldType 1; there is one in line {moved['2800 HVaR']}",
        ),
    ]


def test_an_empty_file(tmp_path):
    assert refused_bytes(tmp_path, b"") == [(0, "", "", "a file with records in it")]


def test_only_a_header(tmp_path):
    lines = rpf01_lines()[:HEADING_LINE]
    assert refused(tmp_path, lines) == [(HEADING_LINE, "", "", "records below the table heading")]


def test_a_header_without_a_table(tmp_path):
    rule = "a table heading 'InstrumentId,FieldType,1,2,…' below the header rows"
    assert refused(tmp_path, rpf01_lines()[: HEADING_LINE - 1]) == [(1, "", "Valuation_DT,5/1/2026", rule)]


def test_nul_bytes(tmp_path):
    binary = bytes(range(256)) * 4 + b"\n"
    rule = "a text file; this one has NUL bytes"
    assert refused_bytes(tmp_path, binary) == [(0, "", "", rule)]
    assert refused_bytes(tmp_path, content().replace(b"8001,3", b"80\x0001,3")) == [(0, "", "", rule)]


def test_invalid_utf_8(tmp_path):
    assert refused_bytes(tmp_path, content().replace(b"8001,3", b"8001\xff,3")) == [
        (LINE["8001 rate"], "instrument", "8001�", CODE_RULE)
    ]
    assert refused_bytes(tmp_path, content().replace(b"Holiday_Factor", b"Holiday\xe9Factor")) == [
        (0, "key", "Holiday_Factor", MISSING_KEY),
        (12, "key", "Holiday�Factor", ONE_OF),
    ]


@pytest.mark.parametrize("name", ["700 DIV", "700 HVaR"])
def test_a_truncated_last_line(tmp_path, name):
    """Cut off within the last record, and within the first record of returns."""
    before = content(rpf01_lines()[: LINE[name] - 1])
    cut = RECORDS[name][:-1]
    assert refused_bytes(tmp_path, before + cut.encode()) == [(LINE[name], "", cut, CUT_RULE)]


def test_a_truncated_file_names_its_other_errors_too(tmp_path):
    lines, _ = with_field("8001 rate", 2, "x")
    assert refused_bytes(tmp_path, content(lines)[:-1]) == [
        (LINE["8001 rate"], "rate", "x", DECIMAL_RULE),
        (LAST_LINE, "", RECORDS["700 DIV"], CUT_RULE),
    ]


def test_a_file_cut_within_its_header(tmp_path):
    rule = "a table heading 'InstrumentId,FieldType,1,2,…' below the header rows"
    for cut in (b"Valua", content()[:40]):
        assert refused_bytes(tmp_path, cut) == [(1, "", cut.decode().partition("\n")[0], rule)]


def test_a_refused_file_leaves_no_thread_behind(tmp_path):
    """One that waits for the garbage collector may be waited for by another thread's start: a deadlock."""
    path = write_lines(tmp_path, ["Foo,1", *rpf01_lines()])
    before = threading.active_count()
    with pytest.raises(InputError) as caught:
        read_rpf01(path)
    assert threading.active_count() == before
    assert caught.value.records


# What is taken in.


def same_as_the_plain_file(tmp_path, content_: bytes) -> bool:
    plain = read_rpf01(write_lines(tmp_path, rpf01_lines()))
    path = tmp_path / "other.csv"
    path.write_bytes(content_)
    other = read_rpf01(path)
    assert other.returns.tobytes() == plain.returns.tobytes()
    return other.content_hash == plain.content_hash


def test_crlf_line_ends(tmp_path):
    assert same_as_the_plain_file(tmp_path, content().replace(b"\n", b"\r\n"))


def test_a_byte_order_mark(tmp_path):
    assert same_as_the_plain_file(tmp_path, b"\xef\xbb\xbf" + content())
    assert same_as_the_plain_file(tmp_path, b"\xef\xbb\xbf" + content().replace(b"\n", b"\r\n"))


def test_header_keys_in_any_order_and_case(tmp_path):
    lines = rpf01_lines()
    turned = [*reversed(lines[: HEADING_LINE - 1]), *lines[HEADING_LINE - 1 :]]
    assert same_as_the_plain_file(tmp_path, content(turned))
    lower = [*(line.lower() for line in lines[:HEADING_LINE]), *lines[HEADING_LINE:]]
    assert same_as_the_plain_file(tmp_path, content(lower))


def test_rows_padded_with_commas(tmp_path):
    """As a spreadsheet writes them: every row as wide as the widest."""
    lines = rpf01_lines()
    width = max(line.count(",") for line in lines)
    padded = [line + "," * (width - line.count(",")) for line in lines]
    assert same_as_the_plain_file(tmp_path, content(padded))


@pytest.mark.parametrize("day", ["05/01/2026", "5/01/2026", "2026-01-05"])
def test_dates_padded_or_not(tmp_path, day):
    assert same_as_the_plain_file(tmp_path, content(rpf01_lines(Valuation_DT=day)))


def test_records_in_another_order_are_the_same_market(tmp_path):
    lines = rpf01_lines()
    turned = [*lines[:HEADING_LINE], *reversed(lines[HEADING_LINE:])]
    parameters = read_rpf01(write_lines(tmp_path, turned))
    assert parameters.scenario_instruments.to_list() == ["26883", "2800", "700"]
    assert parameters.returns[2, 20:].tolist() == [float(x) for x in RECORDS["700 SVaR"].split(",")[2:]]


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_rpf01(tmp_path / "nothing.csv")
