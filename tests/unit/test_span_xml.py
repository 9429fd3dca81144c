"""SPAN XML: every part that is read, what is refused and where, and the writer."""

from __future__ import annotations

import gzip
import json
import re
from datetime import date

import numpy as np
import polars as pl
import pytest
from hkscc_guide import DATA
from span_xml import (
    RATE_CLASSES,
    SAMPLE,
    canonical,
    large_parameters,
    parameters,
    risk_array,
    table,
    write_large,
)

from crossmargin.errors import InputError
from crossmargin.formats.span.xml_reader import is_spn, read_spn
from crossmargin.formats.span.xml_writer import write_spn
from crossmargin.models.span.parameters import DEFAULT_SCAN_POINTS, scan_points

NSE = DATA / "span" / "nse_nifty_20260625_i01.json"

needs_nse = pytest.mark.skipif(
    not NSE.is_file(),
    reason="the NSE future is not here: set CROSSMARGIN_TEST_DATA to the data folder",
)


def read(folder, text, **choice):
    path = folder / "sample.spn"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("latin-1"))
    return read_spn(path, **choice)


def refusal(folder, text, **choice):
    with pytest.raises(InputError) as caught:
        read(folder, text, **choice)
    return caught.value.records


def rows(given, name, **wanted):
    return given.table(name).filter(**wanted).rows()


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return read(tmp_path_factory.mktemp("sample"), SAMPLE)


def test_the_point_in_time(sample):
    assert (sample.organization, sample.business_date) == ("XCO", date(2026, 1, 5))
    assert (sample.settlement, sample.source_format) == ("early", "SPN")


@pytest.mark.parametrize(
    ("elements", "settlement"),
    [
        ("<isSetl>1</isSetl>", "final"),
        ("<isSetl>true</isSetl><setlQualifier>complete</setlQualifier>", "final"),
        ("<isSetl>1</isSetl><setlQualifier>final</setlQualifier>", "final"),
        ("<isSetl>0</isSetl><setlQualifier>early</setlQualifier>", "intraday"),
    ],
)
def test_the_settlement(tmp_path, elements, settlement):
    old = "<isSetl>1</isSetl><setlQualifier>early</setlQualifier>"
    assert read(tmp_path, SAMPLE.replace(old, elements)).settlement == settlement


def test_the_scenarios(sample):
    assert sample.scan_points.equals(scan_points(3.0, 0.33))


def test_scenarios_of_classic_span_where_the_file_has_none(tmp_path):
    text = re.sub(r"<pointDef>.*</pointDef>", "", SAMPLE)
    assert read(tmp_path, text).scan_points.equals(DEFAULT_SCAN_POINTS)


def test_the_combined_commodities(sample):
    index = ("HSI", "XEX", "Index", "HKD", "premium", False, 0.0, "max", "capped", "table", "table")
    other = ("CAL", "XEX", "", "USD", "futures", True, 55.0, "sum", "normal", "none", "none")
    # Member: 1.1 of clearing, initial 1.25 of its maintenance. Hedger: 2 of the member's 1.1. Speculator:
    # no maintenance class, initial 1.5 of clearing.
    assert sample.commodities.rows() == [(*index, 1.1, 2.2, 1.0, 1.25, 1.0, 1.5), (*other, *[1.0] * 6)]


def test_the_products(sample):
    assert sample.products.rows() == [
        ("XEX", "IDX", "PHY", "", "HSI", "HKD", 1.0, "premium"),
        ("XEX", "HSI", "FUT", "Index & future", "HSI", "HKD", 50.0, "futures"),
        ("XEX", "HSI", "OOP", "", "HSI", "HKD", 50.0, "premium"),
        ("XEX", "HSO", "OOF", "", "HSI", "HKD", 50.0, "futures"),
        ("XEX", "CAL", "CMB", "", "CAL", "HKD", 1.0, "futures"),
        ("XEX", "OCA", "OOC", "", "CAL", "HKD", 1.0, "futures"),
    ]


def test_the_series(sample):
    fut, oop, oof = ("XEX", "HSI", "FUT", "HSI"), ("XEX", "HSI", "OOP", "HSI"), ("XEX", "HSO", "OOF", "HSI")
    day, nothing = "20260129", (None, None, None, None)
    future = (20010.5, 0.21, 1500.0, 0.05, 0.07)
    assert sample.series.rows() == [
        ("XEX", "IDX", "PHY", "HSI", "", "000000", "", "000000", 0, 1, 1, 1, "premium", 20000.0, *nothing),
        (*fut, "", "202601", "", "202601", 0, 1, 1, 50, "futures", *future),
        (*fut, "", "202602", "", "202602", 0, 1, 0.2, 10, "futures", None, *nothing),
        (*oop, "C", day, "", day, 20000, 0.5, 0.2, 40, "premium", 450, 0.2, 1400, 0.06, 0.066),
        (*oop, "P", day, "", day, 20000, -0.49, 0.1, 30, "premium", 440, 0.3, 1400, 0.06, 0.066),
        (*oof, "C", "202601", "202602", "202602", -10, 0.25, 1, 50, "futures", 1.5, *nothing),
        ("XEX", "CAL", "CMB", "CAL", "", "202603", "", "202603", 0, 0, 1, 1, "futures", None, *nothing),
        (
            "XEX",
            "OCA",
            "OOC",
            "CAL",
            "P",
            "202602",
            "202603",
            "202603",
            5,
            -0.1,
            1,
            1,
            "futures",
            1,
            *nothing,
        ),
    ]


def test_the_arrays_are_those_of_the_clearing_class_and_are_not_scaled(sample):
    firsts = [0, 100, 300, 1, -5.5, 7, 8, 9]
    assert sample.losses.tolist() == [[first + place for place in range(16)] for first in firsts]


def test_the_tiers(sample):
    assert sample.tiers.rows() == [
        ("HSI", "scan", 1, "202601", "202612", None),
        ("HSI", "intra", 1, "202601", "202601", None),
        ("HSI", "intra", 2, "202602", "", None),
        ("HSI", "inter", 1, "202601", "202612", None),
        ("HSI", "som", 1, "", "202603", 70.0),
        ("HSI", "som", 2, "202604", "", 90.0),
    ]


def test_the_spreads_within_a_commodity(sample):
    assert sample.intra_spreads.rows() == [(1, "HSI", "tier", 2, 19650.0), (2, "HSI", "series", 1, 425.0)]
    assert sample.intra_legs.rows() == [
        (1, 1, 1, None, 1.0, "A"),
        (1, 2, 2, None, 2.0, "B"),
        (2, 1, None, "202601", 1.0, "A"),
        (2, 2, None, "202602", 1.0, "B"),
    ]
    assert sample.spot_charges.rows() == [("HSI", "202601", 10.0, 20.0)]


def test_the_spreads_between_commodities(sample):
    assert sample.inter_spreads.rows() == [
        (1, "", 1, "delta", "flat", 500.0, True, 2, "all"),
        (2, "", 5, "delta", "price_risk", 0.6, False, 2, "all"),
        (3, "", 7, "scanning", "price_risk", 0.7, False, 3, "all"),
    ]
    assert sample.inter_legs.rows() == [
        (1, 1, "HSI", 1, 1.0, "A", True, False, None),
        (1, 2, "CAL", None, 3.0, "B", True, False, None),
        (2, 1, "HSI", None, 1.0, "A", True, False, 0.5),
        (2, 2, "CAL", None, 2.0, "B", True, False, None),
        (3, 1, "CAL", None, 1.0, "A", True, True, None),
        (3, 2, "HSI", None, 2.0, "A", True, False, None),
    ]
    assert sample.currency_rates.rows() == [("USD", "HKD", 7.8)]


def test_what_is_not_used_is_counted_by_name(sample):
    skipped = dict(sample.skipped.iter_rows())
    once = {
        "rateTiers",
        "rpLeg",
        "riskExponent",
        "deltaPointDef",
        "portfolio",
        "debtPf",
        "phyPf",
        "phy",
        "opt",
    }
    assert once <= skipped.keys()
    assert {skipped[tag] for tag in once} == {1}
    assert (skipped["d"], skipped["cab"], skipped["pq"], skipped["val"]) == (2, 3, 1, 1)
    assert not skipped.keys() & {
        "cId",
        "ra",
        "pfId",
        "sc",
        "mult",
        "pbRateDef",
        "exchange",
        "isContractScale",
    }


def test_unknown_elements_are_counted(tmp_path):
    text = SAMPLE.replace("<o>C</o>", "<o>C</o><novel>1</novel>").replace(
        "<ec>XCO</ec>", "<ec>XCO</ec><novel/>", 1
    )
    assert dict(read(tmp_path, text).skipped.iter_rows())["novel"] == 3


def test_a_business_function_has_its_own_rules_and_arrays(tmp_path):
    found = read(tmp_path, SAMPLE, business_function="XM")
    assert found.commodities["commodity"].to_list() == ["ALL"]
    assert found.series["composite_delta"].to_list() == [1.0, 0.9, 0.4, -0.49]
    assert found.losses[:, 0].tolist() == [100.0, -900.0, -1.0, -5.5]
    assert rows(found, "skipped", record="bfC") == [("bfC", 1)]


def test_the_way_of_writing_a_file_does_not_matter(tmp_path, sample):
    unspaced = re.sub(r">\s+<", "><", SAMPLE)
    windows = SAMPLE.replace("\n", "\r\n")
    noted = SAMPLE.replace("<k>20000.00</k>", "<k>20<!-- a note -->000.00 </k><?note?>")
    for text in (unspaced, windows, noted, SAMPLE.replace("ISO-8859-1", "UTF-8")):
        found = read(tmp_path, text)
        assert canonical(found) == canonical(sample)
        assert found.skipped.equals(sample.skipped)
    (tmp_path / "sample.spn.gz").write_bytes(gzip.compress(SAMPLE.encode()))
    assert canonical(read_spn(tmp_path / "sample.spn.gz")) == canonical(sample)


def test_a_contract_is_read_the_same_by_the_short_and_the_careful_way(tmp_path, sample):
    # A value twice in another class sends every option the careful way.
    twice = SAMPLE.replace("</ra></opt>", f"</ra>{risk_array(5, 1, 8)}</opt>")
    assert canonical(read(tmp_path, twice)) == canonical(sample)


def test_texts_in_other_encodings_and_escapes(tmp_path):
    found = read(
        tmp_path, SAMPLE.replace("Sample exchange", "Börse").replace("<name>Index<", "<name>Íñ &lt;dex<")
    )
    assert found.commodities["name"][0] == "Íñ <dex"


# --- choosing an organisation ----------------------------------------------------------------------


def second_organization(text, *, same_point):
    start, end = text.index("<clearingOrg>"), text.index("</clearingOrg>") + len("</clearingOrg>")
    other = text[start:end].replace("XCO", "YCO").replace("XEX", "YEX").replace("<p>450</p>", "<p>451</p>")
    if same_point:
        return text[:end] + other + text[end:]
    point = f"<pointInTime><date>20260106</date><isSetl>1</isSetl>{other}</pointInTime>"
    return text.replace("</spanFile>", f"{point}</spanFile>")


def test_two_organizations_need_a_choice(tmp_path):
    text = second_organization(SAMPLE, same_point=True)
    (record,) = refusal(tmp_path, text)
    assert record.field == "choice"
    assert "XCO" in record.rule
    assert "YCO" in record.rule
    for choice, price in (("XCO", 450.0), ("XEX", 450.0), ("YCO", 451.0), ("YEX", 451.0)):
        found = read(tmp_path, text, exchange=choice)
        assert found.series["price"][3] == price
        assert len(found.series) == 8


def test_of_several_points_in_time_the_last_with_the_organization_counts(tmp_path):
    text = second_organization(SAMPLE, same_point=False)
    assert read(tmp_path, text).business_date == date(2026, 1, 6)
    assert read(tmp_path, text, exchange="XEX").business_date == date(2026, 1, 5)
    assert read(tmp_path, text, business_function="XM").business_date == date(2026, 1, 5)


@pytest.mark.parametrize("choice", [{"exchange": "ZZZ"}, {"business_function": "MOS"}])
def test_a_choice_that_the_file_does_not_have(tmp_path, choice):
    (record,) = refusal(tmp_path, SAMPLE, **choice)
    assert (record.field, record.value) == ("choice", *choice.values())
    assert "XCO" in record.rule


# --- bad input -------------------------------------------------------------------------------------


def line_of(text, part):
    return text[: text.index(part)].count("\n") + 1


BAD_VALUES = [
    ("<k>20000.00</k>", "<k>many</k>", "series/opt/k", "many"),
    ("<k>20000.00</k>", "<k></k>", "series/opt/k", ""),
    ("<k>20000.00</k>", "<k>nan</k>", "series/opt/k", "nan"),
    ("<k>20000.00</k>", "<k>2_0</k>", "series/opt/k", "2_0"),
    ("<k>20000.00</k>", "<k>1e13</k>", "opt/k", "1e+13"),
    ("<k>20000.00</k>", "<k>1e999</k>", "opt/k", "inf"),
    ("<k>20000.00</k>", "", "series/opt/k", ""),
    ("<k>20000.00</k>", "<k>1</k><k>2</k>", "series/opt/k", "2"),
    ("<p>450</p>", "", "series/opt/p", ""),
    ("<o>C</o><k>20000", "<o>X</o><k>20000", "series/opt/o", "X"),
    ("<cId>1</cId><o>C</o><k>20000", "<o>C</o><k>20000", "series/opt/cId", ""),
    ("<cId>1</cId><o>C</o><k>20000", f"<cId>{'9' * 30}</cId><o>C</o><k>20000", "series/opt/cId", "9" * 30),
    ("<a>102</a>", "", "fut/ra/a", "15"),
    ("<a>102</a>", "<a>1</a><a>2</a>", "fut/ra/a", "17"),
    ("<a>102</a>", "<a/>", "fut/ra/a", ""),
    ("<a>-2.5</a>", "<a>-2.5</a><a>1</a>", "opt/ra/a", "17"),
    ("<a>-2.5</a>", "<a>inf</a>", "opt/ra/a", "inf"),
    ("<a>-2.5</a>", "<a>1e500</a>", "opt/ra/a[4]", "inf"),
    ("<d>-0.49</d></ra>", "</ra>", "opt/ra/d", ""),
    ("<pe>20260129</pe><v>", "<pe>soon</pe><v>", "oopPf/series/pe", "soon"),
    ("<pe>20260129</pe><v>", "<v>", "oopPf/series/pe", ""),
    ("<cId>2</cId><pe>202602</pe>", "<cId>2</cId>", "futPf/fut/pe", ""),
    ("<pfCode>HSO</pfCode>", "", "oofPf/pfCode", ""),
    ("<valueMeth>FUTDA</valueMeth>", "<valueMeth>GIFT</valueMeth>", "oofPf/valueMeth", "GIFT"),
    ("<pfId>4</pfId><cId>2</cId>", "<pfId>4</pfId><cId>9</cId>", "series/undC", "XEX 4 9"),
    ("<somMeth>MAX</somMeth>", "<somMeth>MIN</somMeth>", "ccDef/somMeth", "MIN"),
    ("<wfprMeth>SCANRANGE_CAP</wfprMeth>", "<wfprMeth>?</wfprMeth>", "ccDef/wfprMeth", "?"),
    ("<spotMeth>NORMAL</spotMeth>", "<spotMeth>?</spotMeth>", "ccDef/spotMeth", "?"),
    ("<val>19650</val>", "<val>dear</val>", "ccDef/dSpread/rate/val", "dear"),
    ("<spread>2</spread>", "<spread>two</spread>", "ccDef/dSpread/spread", "two"),
    ("<chargeMeth>P</chargeMeth>", "<chargeMeth>X</chargeMeth>", "ccDef/dSpread/chargeMeth", "X"),
    ("<chargeMeth>P</chargeMeth>", "<chargeMeth>W</chargeMeth>", "ccDef/dSpread/chargeMeth", "W"),
    ("<psRate>0</psRate>", "<psRate>5</psRate>", "ccDef/dSpread/chargeMeth", "P"),
    ("<tn>2</tn><rs>B</rs><i>2</i>", "<tn>2</tn><rs>B</rs><i>0</i>", "dSpread/tLeg/i", "0.0"),
    ("<tn>2</tn><rs>B</rs><i>2</i>", "<tn>2</tn><rs>C</rs><i>2</i>", "dSpread/tLeg/rs", "C"),
    ("<tn>2</tn><rs>B</rs><i>2</i>", "<tn>7</tn><rs>B</rs><i>2</i>", "tLeg/tn", "7"),
    ("<cc>HSI</cc><tn>2</tn>", "<cc>CAL</cc><tn>2</tn>", "leg/cc", "CAL"),
    ("<cc>CAL</cc><tn>1</tn>", "<cc>NIX</cc><tn>1</tn>", "leg/cc", "NIX"),
    ("<cc>HSI</cc><tn>1</tn><rs>A</rs><i>1</i></tLeg>\n  <tLeg><cc>CAL", "<cc>HSI</cc><tn>5</tn><rs>A</rs><i>1</i></tLeg>\n  <tLeg><cc>CAL", "tLeg/tn", "5"),
    ("<factor>7.8</factor>", "<factor>-</factor>", "clearingOrg/curConv/factor", "-"),
    ("<point>3</point>", "<point>4</point>", "pointDef/scanPointDef", ""),
    ("<numerator>1</numerator><denominator>3<", "<numerator>1</numerator><denominator>0<", "priceScanDef/denominator", "0"),
    ("<date>20260105</date>", "<date>20260231</date>", "pointInTime/date", "20260231"),
    ("<isSetl>1</isSetl>", "<isSetl>2</isSetl>", "pointInTime/isSetl", "2"),
    ("<isSetl>1</isSetl>", "", "pointInTime/isSetl", ""),
    ("<ec>XCO</ec><name>Sample house", "<name>Sample house", "clearingOrg/ec", ""),
    ("<exch>XEX</exch><name>", "<name>", "exchange/exch", ""),
    ("<cc>HSI</cc><name>Index", "<name>Index", "ccDef/cc", ""),
    ("<superSpreads>", "<ccDef><cc>HSI</cc><currency>HKD</currency></ccDef><superSpreads>", "commodities: ", "HSI"),
    ("<pfId>7</pfId><sc>", "<pfId>4</pfId><pfType>FUT</pfType><sc>", "ccDef/pfLink", "XEX 4"),
    ("<cId>2</cId><pe>202602</pe>", "<cId>2</cId><pe>202601</pe>", "series: ", "XEX HSI FUT"),
    ("<r>2</r><pe>202601</pe>", "<r>1</r><pe>202601</pe>", "spot_charges: ", "HSI 202601"),
    ("<ePe>202612</ePe></tier></scanTiers>", "</tier><tier><tn>1</tn></tier></scanTiers>", "tiers: ", "HSI scan 1"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "field", "value"), BAD_VALUES)
def test_a_bad_value_is_refused_with_its_line_and_path(tmp_path, old, new, field, value):
    assert old in SAMPLE
    text = SAMPLE.replace(old, new, 1)
    record = next(found for found in refusal(tmp_path, text) if field in found.field)
    assert record.value.startswith(value)
    assert record.file == str(tmp_path / "sample.spn")
    assert 0 < record.line <= text.count("\n")
    assert record.rule


def test_the_line_is_that_of_the_element_in_a_long_file_too(tmp_path):
    text = SAMPLE.replace("<k>20000</k>", "\n" * 70_000 + "<k>low</k>").replace("<p>1.5</p>", "<p>high</p>")
    found = {(record.value, record.line) for record in refusal(tmp_path, text)}
    assert found == {("low", line_of(text, "<k>low")), ("high", line_of(text, "<p>high"))}


def test_every_bad_record_is_listed(tmp_path):
    """Each leg with a bad side, but for that of a spread by rolling periods, which is set aside."""
    text = SAMPLE.replace("<rs>A</rs>", "<rs>Q</rs>")
    lines = [
        number
        for number, line in enumerate(text.splitlines(), 1)
        for _ in range(line.count("<rs>Q</rs>"))
        if "<rpLeg>" not in line
    ]
    assert len(lines) == text.count("<rs>Q</rs>") - 1
    assert [(record.value, record.line) for record in refusal(tmp_path, text)] == [("Q", n) for n in lines]


@pytest.mark.parametrize(
    ("old", "new", "tag"),
    [
        ("<procMeth>NORMAL</procMeth>", "<opt/>", "opt"),
        ("<name>Cross</name>", "<series/>", "series"),
        ("<procMeth>NORMAL</procMeth>", "<pointInTime/>", "pointInTime"),
        ("<procMeth>NORMAL</procMeth>", "<spanFile/>", "spanFile"),
        ("<lookAheadDays>1</lookAheadDays>", "<fut/>", "fut"),
    ],
)
def test_an_element_in_the_wrong_place(tmp_path, old, new, tag):
    records = refusal(tmp_path, SAMPLE.replace(old, new))
    assert any(record.field.endswith(f"/{tag}") and "an element of" in record.rule for record in records)


def test_a_rate_class_behind_the_contracts_it_is_needed_for(tmp_path):
    text = SAMPLE.replace(RATE_CLASSES, "", 1).replace("<superSpreads>", RATE_CLASSES.replace("<r>1<", "<r>2<") + "<superSpreads>", 1)  # fmt: skip
    assert "before the exchanges" in str(refusal(tmp_path, text))


BOMB = """<?xml version="1.0"?>
<!DOCTYPE spanFile [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<spanFile><created>&c;</created></spanFile>
"""

NOT_SPAN_XML = [
    ("", 0, "well-formed"),
    ("not XML at all\n", 1, "well-formed"),
    (SAMPLE[: len(SAMPLE) // 2], None, "well-formed"),
    (SAMPLE.removesuffix("</spanFile>\n"), None, "well-formed"),
    (SAMPLE + "<more/>", None, "well-formed"),
    (SAMPLE.replace("</fut>", "</futt>", 1), None, "well-formed"),
    (SAMPLE.replace("Sample house", "A & B"), 9, "well-formed"),
    (SAMPLE.replace("Sample house", "&unknown;"), 9, "well-formed"),
    (SAMPLE.replace("Sample house", "\x01"), 9, "well-formed"),
    ("<html><body>maintenance</body></html>", 1, "root"),
    ('<spanFile xmlns="urn:x"><pointInTime/></spanFile>', 1, "root"),
    ("\n\n<pointInTime/>", 3, "root"),
    (BOMB, 2, "document type"),
    ("<!DOCTYPE spanFile SYSTEM 'file:///etc/hosts'><spanFile/>", 1, "document type"),
    ("<?xml version='1.0' encoding='nothing-such'?><spanFile/>", 1, "well-formed"),
]


@pytest.mark.parametrize(("text", "line", "rule"), NOT_SPAN_XML)
def test_what_is_no_span_xml_is_refused_at_one_place(tmp_path, text, line, rule):
    (record,) = refusal(tmp_path, text)
    assert rule in record.rule
    assert re.fullmatch(r"column \d+", record.field)
    assert line is None or record.line == line


def test_bytes_that_are_not_of_the_encoding(tmp_path):
    (record,) = refusal(tmp_path, b"<spanFile><created>\xff\xfe\xff</created></spanFile>")
    assert "well-formed" in record.rule


def test_a_file_without_a_point_in_time(tmp_path):
    assert "pointInTime" in str(refusal(tmp_path, "<spanFile/>"))


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (SAMPLE.encode(), True),
        (b"\xef\xbb\xbf<spanFile>", True),
        (b"<!-- a --><?b c?>\n<spanFile\n>", True),
        (b"<spanFiles>", False),
        (b"0 CME   20250707F", False),
        (b"", False),
        (b"PK\x03\x04", False),
    ],
)
def test_a_file_is_recognised_by_its_first_element(head, expected):
    assert is_spn(head) is expected


# --- writer ----------------------------------------------------------------------------------------


def test_the_sample_is_written_and_read_back(tmp_path, sample):
    path = tmp_path / "written.spn"
    write_spn(sample, path)
    assert is_spn(path.read_bytes()[:200])
    assert canonical(read_spn(path)) == canonical(sample)
    again = tmp_path / "again.spn"
    write_spn(read_spn(path), again)
    assert again.read_bytes() == path.read_bytes()


def test_a_large_file_is_the_same_for_the_same_seed(tmp_path):
    first, second, third = (tmp_path / name for name in "abc")
    write_large(first, 0.5, seed=3)
    write_large(second, 0.5, seed=3)
    write_large(third, 0.5, seed=4)
    assert first.read_bytes() == second.read_bytes() != third.read_bytes()
    assert 250_000 < first.stat().st_size < 900_000
    given = large_parameters(300)
    write_spn(given, first)
    assert canonical(read_spn(first)) == canonical(given)


COMMODITY = ("C", "X", "", "HKD", "futures", False, 0.0, "sum", "normal", "none", "none", *[1.0] * 6)
PRODUCT = ("X", "F", "FUT", "", "C", "HKD", 1.0, "futures")
SERIES = ("X", "F", "FUT", "C", "", "202601", "", "202601", 0.0, 1.0, 1.0, 1.0, "futures", *[None] * 5)


def changed(row, of_table, /, **values):
    columns = table(of_table).columns
    return tuple(values.get(column, value) for column, value in zip(columns, row, strict=True))


UNWRITABLE = [
    ({"commodities": [changed(COMMODITY, "commodities", name="a\tb")]}, "commodities", "name"),
    ({"commodities": [changed(COMMODITY, "commodities", currency="")]}, "commodities", "currency"),
    ({"commodities": [changed(COMMODITY, "commodities", exchange="Y")]}, "commodities", "exchange"),
    ({"commodities": [changed(COMMODITY, "commodities", option_style="premium")]}, "commodities", "option_style"),
    ({"commodities": [changed(COMMODITY, "commodities", intra_method="table")]}, "commodities", "intra_method"),
    ({"commodities": [changed(COMMODITY, "commodities", initial_member=float("nan"))]}, "commodities", "initial_member"),
    ({"commodities": [changed(COMMODITY, "commodities", som_method="min")]}, "commodities", "som_method"),
    ({"products": [changed(PRODUCT, "products", product_type="FWD")]}, "products", "product_type"),
    ({"products": [changed(PRODUCT, "products", option_style="odd")]}, "products", "option_style"),
    ({"series": [changed(SERIES, "series", future_month="202601")]}, "series", "future_month"),
    ({"series": [changed(SERIES, "series", delta_month="202602")]}, "series", "delta_month"),
    ({"series": [changed(SERIES, "series", expiry="26", delta_month="26")]}, "series", "expiry"),
    ({"series": [changed(SERIES, "series", product="G")]}, "series", "product"),
    ({"series": [changed(SERIES, "series", right="C")]}, "series", "right"),
    ({"series": [changed(SERIES, "series", strike=5.0)]}, "series", "strike"),
    ({"series": [changed(SERIES, "series", price=1e13)]}, "series", "price"),
    ({"series": [changed(SERIES, "series", composite_delta=None)]}, "series", "composite_delta"),
    ({"tiers": [("C", "inter", 1, "", "", 5.0)]}, "tiers", "rate"),
    ({"tiers": [("C", "som", 1, "", "", 5.0)]}, "tiers", "start"),
    ({"tiers": [("C", "odd", 1, "", "", None)]}, "tiers", "kind"),
    ({"intra_spreads": [(1, "C", "tier", 1, 5.0)]}, "intra_spreads", "spread"),
    ({"inter_spreads": [(1, "ALL", 1, "delta", "flat", 1.0, False, 0, "all")]}, "inter_spreads", "group"),
    ({"inter_spreads": [(1, "", 1, "delta", "flat", 1.0, False, 0, "house")]}, "inter_spreads", "eligibility"),
    ({"inter_spreads": [(1, "", 1, "tiered", "flat", 1.0, False, 0, "all")]}, "inter_spreads", "method"),
    ({"inter_spreads": [(1, "", 1, "scanning", "flat", 1.0, False, 0, "all")]}, "inter_spreads", "credit"),
    ({"inter_spreads": [(1, "", 1, "delta", "flat", 1.0, False, 2, "all")],
      "inter_legs": [(1, 1, "C", None, 1.0, "A", False, False, None)]}, "inter_legs", "required"),
    ({"inter_spreads": [(1, "", 1, "delta", "flat", 1.0, False, 1, "all")],
      "inter_legs": [(1, 1, "C", 4, 1.0, "A", True, False, None)]}, "inter_legs", "tier"),
    ({"currency_rates": [("", "HKD", 1.0)]}, "currency_rates", "currency"),
    ({"scan_points": scan_points(2, 0.3).head(15)}, "scan_points", "scenario"),
]  # fmt: skip


@pytest.mark.parametrize(("tables", "name", "field"), UNWRITABLE)
def test_what_the_format_does_not_hold_is_refused_and_nothing_written(tmp_path, tables, name, field):
    tables = {"commodities": [COMMODITY], "products": [PRODUCT], "series": [SERIES]} | tables
    given = parameters(losses=[[0.0] * 16] * len(tables["series"]), **tables)
    with pytest.raises(InputError) as caught:
        write_spn(given, tmp_path / "new.spn")
    assert (f"parameters.{name}", field) in {(record.file, record.field) for record in caught.value.records}
    assert not list(tmp_path.iterdir())


def test_empty_parameters_are_a_file_too(tmp_path):
    write_spn(parameters(), tmp_path / "empty.spn")
    found = read_spn(tmp_path / "empty.spn")
    assert canonical(found) == canonical(parameters())
    assert isinstance(found.series, pl.DataFrame)


@needs_nse
def test_a_real_future_goes_through_the_file_unchanged(tmp_path):
    source = json.loads(NSE.read_text())
    future = source["future"]
    values = "".join(f"<a>{value}</a>" for value in future["risk_array_long_1_unit_loss_positive"])
    period = future["expiry"].replace("-", "")
    text = f"""<spanFile><fileFormat>4.00</fileFormat><definitions/><pointInTime>
<date>{source["trade_date"]}</date><isSetl>0</isSetl><setlQualifier>early</setlQualifier>
<clearingOrg><ec>NSCCL</ec><name>NSE Clearing</name><isContractScale>1</isContractScale>
<exchange><exch>NSE</exch><futPf><pfId>491</pfId><pfCode>NIFTY</pfCode><currency>INR</currency>
<cvf>{future["cvf"]}</cvf><valueMeth>FUT</valueMeth><fut><cId>1</cId><pe>{period}</pe><p>{future["price"]}</p>
<d>{future["delta"]}</d><v>{future["vol"]}</v><t>{future["t_years"]}</t>
<scanRate><r>1</r><priceScan>{future["price_scan"]}</priceScan><volScan>{future["vol_scan"]}</volScan></scanRate>
<ra><r>1</r>{values}<d>{future["delta"]}</d></ra></fut></futPf></exchange>
<ccDef><cc>NIFTY</cc><currency>INR</currency>
<pfLink><exch>NSE</exch><pfId>491</pfId><pfType>FUT</pfType><sc>1.0</sc></pfLink></ccDef>
</clearingOrg></pointInTime></spanFile>"""
    found = read(tmp_path, text)
    row = found.series.row(0, named=True)
    assert (row["expiry"], row["price"], row["contract_size"]) == (period, future["price"], future["cvf"])
    assert row["price_scan_range"] == future["price_scan"]
    assert row["volatility_scan_range"] == future["vol_scan"]
    assert (row["implied_volatility"], row["years_to_expiry"]) == (future["vol"], future["t_years"])
    assert found.losses[0].tolist() == future["risk_array_long_1_unit_loss_positive"]
    assert (np.argmax(found.losses[0]) + 1, found.losses[0].max()) == (13, 2244.36)
    assert found.settlement == "intraday"
