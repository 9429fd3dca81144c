"""What holds for any positional SPAN file: the way there and back, and no number from a broken record."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from span_positional import CME_FILE, hsi_lines

from crossmargin.errors import InputError
from crossmargin.formats.span.positional import parse_positional
from crossmargin.formats.span.positional_fields import Column, parse_lines, render_lines, scaled, unscaled
from crossmargin.formats.span.positional_writer import write_positional
from crossmargin.models.span.parameters import SPAN_KEYS, SPAN_SCHEMAS, SpanParameters, scan_points

profile = settings(max_examples=12, deadline=None, derandomize=True)
fuzz = settings(max_examples=60, deadline=None, derandomize=True)

MONTHS = [f"{year}{month:02d}" for year in (2026, 2027) for month in (3, 6, 9, 12)]
FILES = [hsi_lines(1), CME_FILE]

month_texts = st.sampled_from([*MONTHS, *(month + "W1" for month in MONTHS)])
names = st.text("ABCXYZ019", min_size=1, max_size=6)


def decimal(digits: int, decimals: int, *, low: int = 0, signed: bool = False):
    """Numbers of so many digits, the last of them behind the point."""
    limit = 10**digits - 1
    return st.integers(-limit if signed else low, limit).map(lambda whole: whole / 10**decimals)


@st.composite
def commodity_tables(draw, commodity: str, first_spread: int):
    """Rows of one commodity: its own, products, series, tiers, charges and spreads inside it."""
    exponent = draw(st.sampled_from([0, 0, 2]))
    money = st.integers(0, 9_999_999).map(lambda whole: whole * 10.0**exponent)
    factor = decimal(3, 2, low=1)
    row = {
        "commodity": commodity,
        "exchange": draw(st.sampled_from(["HKF", "SEH"])),
        "name": "",
        "currency": draw(st.sampled_from(["HKD", "USD", "CNH"])),
        "option_style": draw(st.sampled_from(["premium", "futures"])),
        "cap_option_value": draw(st.booleans()),
        "short_option_minimum": draw(money),
        "som_method": draw(st.sampled_from(["sum", "max"])),
        "price_risk_method": draw(st.sampled_from(["normal", "capped", "scan_range"])),
        "intra_method": draw(st.sampled_from(["none", "table"])),
        "spot_method": draw(st.sampled_from(["none", "table"])),
        **{f"adjustment_{kind}": draw(factor) for kind in ("member", "hedger", "speculator")},
        **{f"initial_{kind}": draw(decimal(4, 3, low=1)) for kind in ("member", "hedger", "speculator")},
    }
    products, series, losses = [], [], []
    for product_type in sorted(draw(st.sets(st.sampled_from(["FUT", "PHY", "OOF", "OOP"]), min_size=1))):
        is_option = product_type.startswith("O")
        size = draw(st.none() | decimal(8, 3, low=1))
        product = {
            "exchange": row["exchange"],
            "product": commodity,
            "product_type": product_type,
            "name": draw(names),
            "commodity": commodity,
            "currency": row["currency"],
            "contract_size": size,
            "option_style": draw(st.sampled_from(["premium", "futures"])) if is_option else "futures",
        }
        products.append(product)
        decimals = draw(st.integers(0, 3))
        for month in draw(st.lists(month_texts, unique=True, max_size=3)):
            of_month = {
                "delta_scaling": draw(decimal(6, 4, low=1)),
                "price_scan_range": draw(st.none() | decimal(5, 1)),
                "volatility_scan_range": draw(st.none() | decimal(8, 6)),
                "years_to_expiry": draw(st.none() | decimal(7, 6)),
            }
            future_month = draw(st.sampled_from(MONTHS)) if product_type == "OOF" else ""
            for strike in (
                draw(st.lists(st.integers(-999, 9999), unique=True, max_size=2)) if is_option else [0]
            ):
                series.append(
                    {
                        "exchange": row["exchange"],
                        "product": commodity,
                        "product_type": product_type,
                        "commodity": commodity,
                        "right": draw(st.sampled_from("CP")) if is_option else "",
                        "expiry": month,
                        "future_month": future_month,
                        "delta_month": future_month or month,
                        "strike": strike / 10,
                        "composite_delta": draw(decimal(5, 4, signed=True)),
                        "contract_size": size,
                        "option_style": product["option_style"],
                        "price": draw(st.none() | decimal(9, decimals, signed=True)),
                        "implied_volatility": draw(st.none() | decimal(8, 6)),
                        **of_month,
                    }
                )
                whole = st.integers(-99_999_999, 99_999_999) | st.integers(-99_999, 99_999)
                values = draw(st.lists(whole, min_size=16, max_size=16))
                losses.append([value / 10**decimals for value in values])
    tiers = [
        {
            "commodity": commodity,
            "kind": kind,
            "tier": tier,
            "start": month,
            "end": month,
            "rate": draw(money) if kind == "som" else None,
        }
        for kind in sorted(draw(st.sets(st.sampled_from(["intra", "scan", "inter", "som"]))))
        for tier, month in enumerate(draw(st.lists(month_texts, min_size=1, max_size=6, unique=True)), 1)
    ]
    own = [tier["tier"] for tier in tiers if tier["kind"] == "intra"]
    spreads, legs = [], []
    for spread in range(first_spread, first_spread + draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["tier", "series"] if own else ["series"]))
        spreads.append(
            {
                "spread": spread,
                "commodity": commodity,
                "kind": kind,
                "priority": draw(st.integers(0, 99)),
                "charge": draw(money),
            }
        )
        legs += [
            {
                "spread": spread,
                "leg": leg,
                "tier": draw(st.sampled_from(own)) if kind == "tier" else None,
                "month": None if kind == "tier" else draw(month_texts),
                "ratio": float(draw(st.integers(1, 99))) if kind == "tier" else draw(decimal(6, 4, low=1)),
                "side": draw(st.sampled_from("AB")),
            }
            for leg in range(1, draw(st.integers(1, 4)) + 1)
        ]
    charges = [
        {"commodity": commodity, "month": month, "in_spreads": draw(money), "outright": draw(money)}
        for month in draw(st.lists(st.sampled_from(MONTHS), unique=True, max_size=3))
    ]
    return {
        "commodities": [row],
        "products": products,
        "series": series,
        "losses": losses,
        "tiers": tiers,
        "intra_spreads": spreads,
        "intra_legs": legs,
        "spot_charges": charges,
    }


@st.composite
def inter_spread(draw, spread: int, commodities: list[str], tiers: list[dict]):
    """One spread between commodities, with its legs."""
    method = draw(st.sampled_from(["delta", "tiered", "scanning"]))
    credit = draw(st.sampled_from(["price_risk", "flat"]))
    rate = decimal(7, 2 if credit == "flat" else 6)
    by_leg = draw(st.booleans())
    row = {
        "spread": spread,
        "group": draw(st.sampled_from(["", "HKF", "ALL"])),
        "priority": draw(st.integers(0, 9999)),
        "method": method,
        "credit": credit,
        "rate": draw(rate),
        "first": draw(st.booleans()),
        "minimum_legs": draw(st.integers(1, 9999)),
        "eligibility": draw(st.sampled_from(["all", "non_segregated", "house"])),
    }
    legs = []
    count = min(len(commodities), 4)
    target = draw(st.integers(0, count)) if method == "scanning" else 0
    for leg, commodity in enumerate(draw(st.permutations(commodities))[:count], 1):
        defined = [
            tier["tier"] for tier in tiers if (tier["commodity"], tier["kind"]) == (commodity, "inter")
        ]
        apart = leg == target == count
        legs.append(
            {
                "spread": spread,
                "leg": leg,
                "commodity": commodity,
                "tier": draw(st.sampled_from([None, *defined])),
                "ratio": draw(decimal(7, 4, low=1)),
                "side": draw(st.sampled_from("AB")),
                "required": draw(st.booleans()),
                "target": leg == target,
                "rate": draw(rate) if by_leg and not apart else None,
            }
        )
    if by_leg and legs[-1]["target"]:
        legs[-1] |= {"side": "A", "tier": None}
    return row, legs


@st.composite
def parameters(draw) -> SpanParameters:
    """Any parameters that the format holds."""
    tables: dict[str, list] = {name: [] for name in SPAN_SCHEMAS} | {"losses": []}
    commodities = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    for commodity in commodities:
        for name, rows in draw(commodity_tables(commodity, len(tables["intra_spreads"]) + 1)).items():
            tables[name] += rows
    keys = [tuple(row[column] for column in SPAN_KEYS["series"]) for row in tables["series"]]
    kept = [at for at, key in enumerate(keys) if key not in keys[:at]]
    tables["series"] = [tables["series"][at] for at in kept]
    losses = np.array([tables["losses"][at] for at in kept], np.float64).reshape(len(kept), 16)
    for spread in range(1, draw(st.integers(0, 3)) + 1):
        row, legs = draw(inter_spread(spread, commodities, tables["tiers"]))
        tables["inter_spreads"].append(row)
        tables["inter_legs"] += legs
    tables["currency_rates"] = [
        {"currency": currency, "to_currency": "HKD", "multiplier": draw(decimal(10, 6, low=1))}
        for currency in sorted(draw(st.sets(st.sampled_from(["USD", "CNH"]))))
    ]
    frames = {name: pl.DataFrame(tables[name], schema=schema) for name, schema in SPAN_SCHEMAS.items()}
    given_points = draw(st.sampled_from([(2.0, 0.35), (3.0, 0.33)])) if kept else (2.0, 0.35)
    return SpanParameters(
        organization="HKEX",
        business_date=date(2026, 11, 20),
        settlement=draw(st.sampled_from(["final", "early", "intraday"])),
        source_format="PA2",
        losses=losses,
        **(frames | {"scan_points": scan_points(*given_points)}),
    )


def written(values: SpanParameters) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "out.pa2"
        write_positional(values, path)
        return path.read_bytes()


@profile
@given(parameters())
def test_write_then_read_is_the_identity(values):
    content = written(values)
    read = parse_positional(content, "out.pa2")
    for name in SPAN_SCHEMAS:
        if name != "skipped":
            key = SPAN_KEYS[name]
            was, now = values.table(name), read.table(name)
            if name != "series":
                was, now = was.sort(key), now.sort(key)
            assert_frame_equal(was, now, check_exact=True)
    np.testing.assert_array_equal(values.losses, read.losses)
    assert (values.business_date, values.settlement) == (read.business_date, read.settlement)
    assert written(read) == content


def read_or_refused(content: bytes) -> SpanParameters | InputError:
    try:
        return parse_positional(content, "file")
    except InputError as error:
        return error


def mutations():
    """A file with some characters changed, put in or taken out, or lines moved, doubled or lost."""
    return st.lists(
        st.tuples(
            st.sampled_from(["set", "insert", "delete", "drop", "double", "swap", "cut"]),
            st.integers(0, 10**6),
            st.integers(0, 140),
            st.sampled_from(" 0129-+ACXN#\t\x00é"),
        ),
        min_size=1,
        max_size=4,
    )


def mutated(lines: list[str], steps) -> bytes:
    lines = list(lines)
    for step, at, place, character in steps:
        row = at % len(lines)
        line = lines[row]
        place %= len(line) + 1  # noqa: PLW2901
        match step:
            case "set":
                lines[row] = line[:place] + character + line[place + 1 :]
            case "insert":
                lines[row] = line[:place] + character + line[place:]
            case "delete":
                lines[row] = line[:place] + line[place + 1 :]
            case "cut":
                lines[row] = line[:place]
            case "drop":
                lines = lines[:row] + lines[row + 1 :] or [""]
            case "double":
                lines.insert(row, line)
            case "swap":
                lines[row], lines[0] = lines[0], lines[row]
    return "".join(line + "\n" for line in lines).encode("latin-1")


@fuzz
@given(st.sampled_from(FILES), mutations())
def test_mutated_file_gives_parameters_or_an_input_error(lines, steps):
    read = read_or_refused(mutated(lines, steps))
    if isinstance(read, InputError):
        assert read.records
        return
    assert np.isfinite(read.losses).all()
    assert not any(
        read.table(name)[column].is_nan().any()
        for name, schema in SPAN_SCHEMAS.items()
        for column, dtype in schema.items()
        if dtype == pl.Float64
    )


ARRAYS = [row for row, line in enumerate(hsi_lines(1)) if line[:2] in {"81", "82"}]


@fuzz
@given(st.sampled_from(ARRAYS), st.integers(54, 95), st.sampled_from("ABO.,#/:;"))
def test_no_number_comes_from_a_broken_array(row, place, character):
    lines = hsi_lines(1)
    lines[row] = lines[row][:place] + character + lines[row][place + 1 :]
    refused = read_or_refused("".join(line + "\n" for line in lines).encode())
    assert isinstance(refused, InputError), lines[row]
    assert [record.line for record in refused.records] == [row + 1]
    assert character in refused.records[0].value


@fuzz
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_by_name(content):
    refused = read_or_refused(b"0 HKEX  20130314" + content + b"\n")
    assert isinstance(refused, InputError)
    assert refused.records


@fuzz
@given(st.lists(st.integers(-99_999, 99_999), min_size=1), st.integers(0, 5))
def test_numbers_survive_their_columns(values, decimals):
    column = Column("value", 3, 7, "number", decimals, sign=8, required=True)
    numbers = pl.Series([value / 10**decimals for value in values])
    content, bad = render_lines("X ", [column], {"value": numbers}, len(values))
    assert bad == []
    lines = pl.Series(content.decode().splitlines())
    frame, bad = parse_lines([column], lines, pl.int_range(1, len(values) + 1, eager=True), "file")
    assert bad == []
    assert frame["value"].to_list() == numbers.to_list()


@fuzz
@given(st.lists(st.integers(-(10**14), 10**14), min_size=1), st.integers(-15, 9))
def test_scaling_is_undone_exactly(values, power):
    whole = np.array(values, np.int64)
    powers = np.full(len(values), power, np.int64)
    again, held = unscaled(scaled(whole, powers), powers)
    assert held.all()
    np.testing.assert_array_equal(again, whole)
