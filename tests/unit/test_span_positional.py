"""Positional SPAN files: what they say, what is refused and how it is named, and the way back."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from span_positional import (
    CME_FILE,
    CME_LINES,
    SCAN_RANGE,
    SIZE,
    gzipped,
    hsi_lines,
    place,
    write,
    zipped,
)

from crossmargin.errors import InputError
from crossmargin.formats.span.compressed import open_compressed
from crossmargin.formats.span.layout import COMMODITY_LAYOUTS
from crossmargin.formats.span.layout_series import SERIES_LAYOUTS
from crossmargin.formats.span.positional import is_positional, read_positional
from crossmargin.formats.span.positional_records import LAYOUTS
from crossmargin.formats.span.positional_writer import write_positional
from crossmargin.models.span.parameters import SPAN_SCHEMAS, scan_points

TABLES = [name for name in SPAN_SCHEMAS if name != "skipped"]


def refusal(path, lines, **options) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_positional(write(path / "bad.lis", lines, **options))
    return [str(record).removeprefix(str(path / "bad.lis")) for record in caught.value.records]


def assert_same(one, other):
    for name in TABLES:
        assert_frame_equal(one.table(name), other.table(name), check_exact=True)
    np.testing.assert_array_equal(one.losses, other.losses)


@pytest.fixture
def hsi(tmp_path):
    return write(tmp_path / "rpf.lis", hsi_lines())


# -- layout


@pytest.mark.parametrize("record", LAYOUTS)
def test_fields_of_a_record_do_not_overlap(record):
    taken = set()
    for column in LAYOUTS[record]:
        places = set(range(column.first, column.last + 1)) | ({column.sign} if column.sign else set())
        if column.name != "key":
            assert not taken & places, (record, column)
            taken |= places
        assert min(places) >= 3


@pytest.mark.parametrize(
    ("record", "last"),
    [("81", 123), ("82", 171), ("83", 150), ("84", 192), ("B", 173), ("P", 164), ("S", 138), ("6", 151)],
)
def test_last_column_of_a_record(record, last):
    layout = (SERIES_LAYOUTS | COMMODITY_LAYOUTS)[record]
    assert max(max(column.last, column.sign) for column in layout) == last


# -- meaning


def test_scenario_13_of_a_future_is_scan_range_times_size(hsi):
    read = read_positional(hsi)
    futures = ~read.is_option.to_numpy()
    assert futures.sum() == 3
    np.testing.assert_array_equal(read.losses[futures, 12], SCAN_RANGE * SIZE)
    assert read.series.filter(right="")["price_scan_range"].to_list() == [SCAN_RANGE] * 3


def test_hsi_file(hsi):
    read = read_positional(hsi)
    (commodity,) = read.commodities.rows(named=True)
    assert commodity["currency"] == "HKD"
    assert commodity["option_style"] == "futures"
    assert commodity["short_option_minimum"] == 1500.0
    assert commodity["initial_speculator"] == 1.25
    assert (commodity["intra_method"], commodity["spot_method"], commodity["som_method"]) == (
        "table",
        "none",
        "sum",
    )
    assert read.intra_spreads.rows() == [(1, "HSI", "tier", 1, 12800.0)]
    assert read.intra_legs.select("tier", "ratio", "side").rows() == [(1, 1.0, "A"), (1, 1.0, "B")]
    assert_frame_equal(read.scan_points, scan_points(2.0, 0.35))
    put = read.series.filter(right="P").row(0, named=True)
    assert (put["expiry"], put["future_month"], put["delta_month"]) == ("201303", "", "201303")
    assert (put["composite_delta"], put["delta_scaling"], put["implied_volatility"]) == (-0.5, 1.0, 0.22)
    assert put["volatility_scan_range"] == 0.05
    assert read.series["contract_size"].null_count() == len(read.series)
    assert read.series["option_style"].unique().to_list() == ["futures"]
    assert read.skipped.is_empty()


@pytest.mark.parametrize(
    ("locator", "exponent", "scale"), [("0+", "0", 1), ("2+", "0", 0.01), ("2-", "0", 100), ("2 ", "3", 10)]
)
def test_locator_and_risk_exponent_scale_arrays_and_money(tmp_path, locator, exponent, scale):
    lines = [line.replace("HSI   0HKD", f"HSI   {exponent}HKD") for line in hsi_lines()]
    lines = [line.replace("FUT0+", f"FUT{locator}") for line in lines]
    read = read_positional(write(tmp_path / "rpf.lis", lines))
    money = 10.0 ** int(exponent)
    assert read.losses[0, 12] == SCAN_RANGE * SIZE * scale
    assert read.commodities["short_option_minimum"].item() == 1500 * money
    assert read.intra_spreads["charge"].item() == 12800 * money


def test_what_blank_means(tmp_path):
    lines = [line for line in hsi_lines() if line[:2] not in {"4 ", "B ", "3 ", "C "}]
    lines[3] = lines[3].replace("HKDHFN", "   H  ")
    read = read_positional(write(tmp_path / "rpf.lis", lines))
    (commodity,) = read.commodities.rows(named=True)
    assert commodity["currency"] == "HKD"
    assert commodity["option_style"] == "premium"
    assert not commodity["cap_option_value"]
    assert (commodity["intra_method"], commodity["adjustment_member"], commodity["initial_hedger"]) == (
        "none",
        1.0,
        1.0,
    )
    assert commodity["short_option_minimum"] == 0.0
    assert read.series["delta_scaling"].unique().to_list() == [1.0]
    assert read.series["price_scan_range"].null_count() == len(read.series)


def test_record_p_overrides_the_option_style(tmp_path):
    record = place((1, "P HKFHSI"), (16, "OOP"), (34, "001001"), (42, "00000500000000"), (117, "EQTY"))
    read = read_positional(write(tmp_path / "rpf.lis", [*hsi_lines(), record]))
    option = read.series.filter(right="C").row(0, named=True)
    assert option["option_style"] == "premium"
    assert option["contract_size"] == 50.0
    assert option["strike"] == 2180.0
    assert read.source_format == "PA2"


def test_mini_counts_by_its_delta_scaling(tmp_path):
    lines = [line[:85] + "002000" if line.startswith("B ") else line for line in hsi_lines()]
    read = read_positional(write(tmp_path / "rpf.lis", lines))
    assert read.series["delta_scaling"].unique().to_list() == [0.2]


def test_tier_without_a_record_3_is_all_months(tmp_path):
    lines = [line for line in hsi_lines() if not line.startswith("3 ")]
    read = read_positional(write(tmp_path / "rpf.lis", lines))
    assert read.tiers.rows() == [("HSI", "intra", 1, "", "", None)]
    assert read.commodities["intra_method"].item() == "table"


def test_scanning_method_02_makes_each_month_a_tier(tmp_path):
    read = read_positional(write(tmp_path / "rpf.lis", [*hsi_lines(), "S HSI   02"]))
    tiers = read.tiers.filter(kind="scan")
    assert tiers.select("tier", "start", "end").rows() == [
        (1, "201303", "201303"),
        (2, "201304", "201304"),
        (3, "201306", "201306"),
    ]
    assert read.tiers.filter(kind="inter").height == 3


def test_short_option_minimum_by_tier(tmp_path):
    record = place((1, "S HSI   300201201303201303"), (27, "02201304000000"), (104, "00001000000200"))
    read = read_positional(write(tmp_path / "rpf.lis", [*hsi_lines(), record]))
    assert read.tiers.filter(kind="som").select("tier", "start", "end", "rate").rows() == [
        (1, "201303", "201303", 100.0),
        (2, "201304", "", 200.0),
    ]


def test_flat_credit_rates_by_leg_and_tiers(tmp_path):
    legs = "   {}HSI   0010000A   NMHI   0050000B"
    other = place((1, "2 HKF MHI   0HKDHFN"), (23, "MHI       FUT0+"))
    inter = place((1, "S MHI   200201201303201303"), (27, "02201304000000"))
    flat = place((1, "6 HKF00020012345" + legs.format(" ")), (89, "20"), (101, "F"), (104, "02"))
    by_leg = place((1, "6 HKF00010500000" + legs.format(" ")), (89, "01"), (122, "Y05000000600000"))
    read = read_positional(write(tmp_path / "rpf.lis", [*hsi_lines(), other, inter, flat, by_leg]))
    assert read.inter_spreads.rows() == [
        (1, "HKF", 2, "tiered", "flat", 123.45, False, 2, "all"),
        (2, "HKF", 1, "delta", "price_risk", 0.5, False, 2, "all"),
    ]
    assert read.inter_legs.rows() == [
        (1, 1, "HSI", None, 1.0, "A", True, False, None),
        (1, 2, "MHI", 2, 5.0, "B", False, False, None),
        (2, 1, "HSI", None, 1.0, "A", True, False, 0.5),
        (2, 2, "MHI", None, 5.0, "B", False, False, 0.6),
    ]


def test_accounts_that_may_form_a_spread(tmp_path):
    """Column 151; a spread of a code that is not known is passed over, and others keep their order."""
    legs = "    HSI   0010000A    MHI   0050000B"
    other = place((1, "2 HKF MHI   0HKDHFN"), (23, "MHI       FUT0+"))
    spreads = [place((1, f"6 HKF000{n}0500000{legs}"), (151, code)) for n, code in enumerate(" NXH", 1)]
    read = read_positional(write(tmp_path / "rpf.lis", [*hsi_lines(), other, *spreads]))
    found = read.inter_spreads.select("spread", "priority", "eligibility").rows()
    assert found == [(1, 1, "all"), (2, 2, "non_segregated"), (3, 4, "house")]
    assert read.inter_legs["spread"].to_list() == [1, 1, 2, 2, 3, 3]
    assert read.skipped.rows() == [("6 with an unknown eligibility", 1)]
    write_positional(read, tmp_path / "again.lis")
    assert_same(read, read_positional(tmp_path / "again.lis"))


def test_an_eligibility_that_no_code_says_is_not_written(tmp_path):
    legs = "    HSI   0010000A    MHI   0050000B"
    other = place((1, "2 HKF MHI   0HKDHFN"), (23, "MHI       FUT0+"))
    lines = [*hsi_lines(), other, place((1, "6 HKF00010500000" + legs))]
    read = read_positional(write(tmp_path / "rpf.lis", lines))
    odd = replace(read, inter_spreads=read.inter_spreads.with_columns(eligibility=pl.lit("clients")))
    with pytest.raises(InputError, match="eligibility"):
        write_positional(odd, tmp_path / "odd.lis")
    assert not (tmp_path / "odd.lis").exists()


def test_weekly_options_keep_their_week(tmp_path):
    lines = hsi_lines()
    weekly = [
        line[:44] + "W1" + line[46:] for line in lines if line[:2] in {"81", "82"} and line[25:28] == "OOP"
    ]
    read = read_positional(write(tmp_path / "rpf.lis", [*lines, *weekly]))
    assert "201303W1" in read.series["expiry"].to_list()


def test_strikes_of_both_signs_pair_in_order(tmp_path):
    first, second = hsi_lines()[-2:]
    second = place((1, second[:118]), (119, "+"))
    lines = [*hsi_lines()[:-2], first, second, first, second[:118] + "-"]
    read = read_positional(write(tmp_path / "rpf.lis", lines))
    assert sorted(read.series["strike"][-2:]) == [-22400.0, 22400.0]


def test_price_that_only_the_precise_field_holds(tmp_path):
    first, second = hsi_lines()[-2:]
    lines = [*hsi_lines()[:-2], place((1, first), (109, "00012345678901Y")), second[:110] + "0000000-"]
    read = read_positional(write(tmp_path / "rpf.lis", lines))
    assert read.series["price"][-1] == -12345678901.0


def test_unknown_and_unused_records_are_counted(tmp_path):
    unused = [
        "V CMEGA        202506  202506200000000000000+P0000000000000+P 100100Y100100Y100100GSCIER",
        "X M31        0000000",
        "Y 31        31 ",
        "Z CBT31        I/C  202507         001B010S         FUT202507  0000NL 0000000+",
        "R CBT06        06    CBT07        07",
        place(
            (1, "B CBTZSC       OOC202507   202507   99999999250000000060003000033000000000000000000000"),
            (86, "01000020250620ZSC       BC00000000Y0000035-0005000000000000 00 00 010000000000P 00"),
        ),
        "91...",
        "9",
        "9 twice",
    ]
    read = read_positional(write(tmp_path / "rpf.lis", [*hsi_lines(), *unused]))
    assert read.skipped.rows() == [
        ("9", 2),
        ("91", 1),
        ("B without a product", 1),
        ("R", 1),
        ("V", 1),
        ("X", 1),
        ("Y", 1),
        ("Z", 1),
    ]


# -- refusals


def checked_fields(record: str) -> list[tuple[str, int, str]]:
    return [
        (record, column.first, column.title)
        for column in LAYOUTS[record]
        if (column.kind != "text" or column.choices) and column.name != "business_date"
    ]


FIELDS = [
    case for record in ("2", "3", "4", "C", "T", "81", "82", "B", "0") for case in checked_fields(record)
]


@pytest.mark.parametrize(("record", "first", "title"), FIELDS, ids=[f"{r}:{f}" for r, f, _ in FIELDS])
def test_every_malformed_field_is_named_with_its_columns(tmp_path, record, first, title):
    lines = hsi_lines(1)
    at = next(i for i, line in enumerate(lines) if line[:2].strip() == record)
    lines[at] = place((1, lines[at]), (first, "#"))
    (found,) = [text for text in refusal(tmp_path, lines) if f" {title} " in text]
    assert found.startswith(f":{at + 1}: ")
    assert "columns " in title or "column " in title


def test_all_bad_records_are_listed(tmp_path):
    lines = [line.replace("0000000", "00O0000", 1) if line[:2] == "81" else line for line in hsi_lines()]
    lines[1] = "T USD$HKDH000775000"
    found = refusal(tmp_path, lines)
    assert len(found) == 4
    assert found[0] == ":2: multiplier (columns 11-20) '000775000 ': 10 digits, the last 6 behind the point"
    assert all("strike (columns 48-54)" in text for text in found[1:])


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        (lambda lines: lines[:-1], "followed by the record 82 or 84 of the same contract"),
        (lambda lines: [*lines[:-2], lines[-1]], "preceded by the record 81 or 83 of the same contract"),
        (lambda lines: [*lines, *lines[-2:]], "contract (columns 3-54)"),
        (lambda lines: [line for line in lines if line[:2] != "2 "], "a combined commodity of a record 2"),
        (lambda lines: [*lines, lines[0]], "one record 0"),
        (lambda lines: lines[1:], "a record 0 with complex and business date, before any other"),
        (lambda lines: [*lines, lines[5].replace("0101", "0102", 1)], "a tier of a record 3"),
        (lambda lines: [*lines, "3 HSI   1002201304201303"], "not behind the end of the tier"),
        (lambda lines: [*lines, "3 HSI   1002201304"], "six digits CCYYMM, zeros for an open end"),
        (lambda lines: [*lines, "3 HSI   1001201304201304"], "stands once"),
        (lambda lines: [*lines, place((1, "4 HSI"), (63, "0002000"))], "the same in every record 4"),
        (lambda lines: [*lines, place((1, "4 HSI   01"), (13, "01201303"))], "7 digits beside a month"),
        (lambda lines: [*lines, "2 HKF HSI   0USD$"], "the same in every record 2"),
        (lambda lines: [*lines, lines[1]], "stands once"),
        (lambda lines: [*lines, "6 HKF00010500000"], "at least one leg"),
        (lambda lines: [*lines, "6 HKF00010500000HKF MHI   0010000A"], "a combined commodity of a record 2"),
        (lambda lines: [*lines, "E HSI   0000100001001313   010000A"], "a month YYMM"),
        (lambda lines: [*lines, "C HSI   1003030012800010101A020101B"], "the number of its legs"),
        (lambda lines: [*lines, "C HSI   1003020012800010101A020100B"], "above 0"),
        (lambda lines: [*lines, "4 HSI   11"], "method (columns 9-10)"),
        (lambda lines: [*lines, "2 HKF XYZ   0   ?"], "a currency"),
        (lambda lines: [*lines, place((1, "P HKFHSI"), (16, "FUT"), (34, "-99"))], "from -9 to 15"),
    ],
)
def test_records_that_do_not_go_together_are_refused(tmp_path, changed, rule):
    found = refusal(tmp_path, changed(hsi_lines()))
    assert any(rule in text for text in found), found


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"\x00\x01\x02\x03" * 40,
        b"0 HKEX  20130314II20843201303140843U2\x00\n",
        b"0 HKEX  20130314II20843201303140843U2\r\r\n",
        b"0 HKEX  20130314II20843201303140843U2",
        b"0 HKEX  20130314II20843201303140843U2\n" + b"T" * 600 + b"\n",
        b"0 HKEX  20130314II20843201303140843UP\n",
        b"<spanFile>\n",
        b"\xff\xfe0\n",
    ],
)
def test_files_that_are_something_else_are_refused(tmp_path, content):
    path = tmp_path / "odd.lis"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_positional(path)


def test_truncated_file_is_refused(tmp_path, hsi):
    content = hsi.read_bytes()
    path = tmp_path / "cut.lis"
    path.write_bytes(content[:-20])
    with pytest.raises(InputError, match="cut off"):
        read_positional(path)


def test_line_ends_padding_and_end_mark_do_not_matter(tmp_path, hsi):
    expected = read_positional(hsi)
    padded = [line.ljust(132) for line in hsi_lines()]
    assert_same(expected, read_positional(write(tmp_path / "a.lis", padded, "\r\n")))
    marked = write(tmp_path / "b.lis", [*hsi_lines(), ""])
    marked.write_bytes(marked.read_bytes() + b"\x1a")
    assert_same(expected, read_positional(marked))


def test_recognised_from_content():
    assert is_positional(b"0 CME   20250620SE")
    assert not is_positional(b"<?xml version='1.0'?>")
    assert not is_positional(b"0 CME   2025O620")
    assert not is_positional(b"")


# -- compression


def test_gzip_and_zip_read_as_the_plain_file(hsi):
    expected = read_positional(hsi)
    assert_same(expected, read_positional(gzipped(hsi)))
    assert_same(expected, read_positional(zipped(hsi, "rpf.lis")))


@pytest.mark.parametrize("names", [(), ("a", "b")])
def test_zip_must_hold_one_file(hsi, names):
    with pytest.raises(InputError, match="exactly one file"):
        read_positional(zipped(hsi, *names))


def test_decompression_is_bounded(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"0" * 1_000_000))
    with open_compressed(path, bytes_max=10_000) as stream, pytest.raises(InputError, match="limit"):
        stream.read()


@pytest.mark.parametrize("kind", [gzipped, lambda path: zipped(path, "a")])
@pytest.mark.parametrize("keep", [4, 30, 0.5, 0.98])
def test_broken_compressed_file_is_refused(tmp_path, hsi, kind, keep):
    content = kind(hsi).read_bytes()
    path = tmp_path / "cut"
    path.write_bytes(content[: keep if keep > 1 else int(len(content) * keep)])
    with pytest.raises(InputError):
        read_positional(path)


# -- writer


@pytest.mark.parametrize("lines", [hsi_lines(), CME_FILE], ids=["HKEX", "CME"])
def test_write_then_read_is_the_identity(tmp_path, lines):
    read = read_positional(write(tmp_path / "in.lis", lines))
    write_positional(read, tmp_path / "out.pa2")
    again = read_positional(tmp_path / "out.pa2")
    assert_same(read, again)
    write_positional(again, tmp_path / "twice.pa2")
    assert (tmp_path / "out.pa2").read_bytes() == (tmp_path / "twice.pa2").read_bytes()


def test_real_lines_are_written_as_they_are(tmp_path):
    write_positional(read_positional(write(tmp_path / "in.lis", CME_FILE)), tmp_path / "out.pa2")
    written = (tmp_path / "out.pa2").read_text().splitlines()
    for record in ("3", "C", "6", "S"):
        assert CME_LINES[record] in written, record


def test_wide_values_take_records_83_and_84(tmp_path, hsi):
    read = read_positional(hsi)
    wide = replace(read, losses=read.losses * np.where(np.arange(len(read.losses)) == 0, 100.0, 1.0)[:, None])
    write_positional(wide, tmp_path / "out.pa2")
    ids = [line[:2] for line in (tmp_path / "out.pa2").read_text().splitlines()]
    assert (ids.count("83"), ids.count("84")) == (1, 1)
    assert_same(wide, read_positional(tmp_path / "out.pa2"))


def changed(read, table, column, value, row=0):
    frame = read.table(table)
    values = [value if at == row else old for at, old in enumerate(frame[column])]
    return replace(read, **{table: frame.with_columns(pl.Series(column, values, dtype=frame.schema[column]))})


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("commodities", "short_option_minimum", 0.5),
        ("commodities", "short_option_minimum", float("nan")),
        ("commodities", "adjustment_member", 0.0),
        ("commodities", "adjustment_member", 1.005),
        ("commodities", "som_method", "other"),
        ("commodities", "option_style", "odd"),
        ("commodities", "currency", "TOOLONG"),
        ("products", "product_type", "LONG"),
        ("products", "name", "x" * 36),
        ("products", "contract_size", 1 / 3),
        ("products", "currency", ""),
        ("series", "delta_month", "201399"),
        ("series", "composite_delta", 12.0),
        ("series", "composite_delta", 0.00005),
        ("series", "delta_scaling", 0.0),
        ("series", "price", 1 / 3),
        ("series", "price", float("inf")),
        ("series", "expiry", "2013"),
        ("series", "implied_volatility", 1 / 3),
        ("series", "price_scan_range", 123456.0),
        ("series", "years_to_expiry", 1 / 3),
        ("tiers", "rate", 1.0),
        ("tiers", "start", "2013"),
        ("intra_spreads", "charge", 1e17),
        ("intra_spreads", "priority", 100),
        ("intra_spreads", "kind", "other"),
        ("intra_legs", "ratio", 1.5),
        ("intra_legs", "side", "C"),
        ("currency_rates", "multiplier", 1e-9),
        ("scan_points", "weight", 0.5),
    ],
)
def test_value_that_the_format_cannot_hold_is_refused(tmp_path, hsi, table, column, value):
    read = read_positional(hsi)
    with pytest.raises(InputError):
        write_positional(changed(read, table, column, value), tmp_path / "out.pa2")
    assert not (tmp_path / "out.pa2").exists()


@pytest.mark.parametrize(("name", "value"), [("settlement", "late"), ("organization", "TOO LONG")])
def test_header_that_the_format_cannot_hold_is_refused(tmp_path, hsi, name, value):
    with pytest.raises(InputError):
        write_positional(replace(read_positional(hsi), **{name: value}), tmp_path / "out.pa2")


def test_losses_that_the_format_cannot_hold_are_refused(tmp_path, hsi):
    read = read_positional(hsi)
    losses = read.losses.copy()
    losses[2, 3] = 1 / 3
    with pytest.raises(InputError, match="scenario 4"):
        write_positional(replace(read, losses=losses), tmp_path / "out.pa2")


def test_business_date_and_kind_of_run_are_kept(tmp_path, hsi):
    for settlement in ("final", "early", "intraday"):
        written = replace(read_positional(hsi), settlement=settlement, business_date=date(2026, 11, 20))
        write_positional(written, tmp_path / "out.pa2")
        read = read_positional(tmp_path / "out.pa2")
        assert (read.settlement, read.business_date) == (settlement, date(2026, 11, 20))
