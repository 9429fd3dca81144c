"""SPAN XML on generated parameters and on damaged files."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from span_xml import MONTHS, SAMPLE, canonical, parameters

from crossmargin.errors import InputError
from crossmargin.formats.span.xml_reader import read_spn
from crossmargin.formats.span.xml_writer import write_spn
from crossmargin.models.span.parameters import SpanParameters, scan_points

NUMBERS = st.floats(-1e12, 1e12).map(lambda value: value + 0.0)
AMOUNTS = st.floats(0, 1e9)
RATIOS = st.floats(1e-6, 1e6)
FRACTIONS = st.floats(0, 1)
MAYBE = st.none() | NUMBERS
SMALL = st.integers(0, 99)
NAMES = st.text("ABCxyz é<&>\"'0129", max_size=9).map(str.strip)
CODES = ["A", "B&", "C<"]
STYLES = st.sampled_from(["premium", "futures"])
SIDES = st.sampled_from("AB")


def series_of(draw, code, styles):
    """Series of one commodity: a physical, futures, and options on both."""
    terms = st.tuples(MAYBE, MAYBE, MAYBE, MAYBE)
    months = draw(st.lists(st.sampled_from(MONTHS), unique=True, max_size=3))
    rows = []

    def add(kind, right, expiry, future, strike, *, price=MAYBE, years=MAYBE):
        rows.append(
            ("X", code, kind, code, right, expiry, future, future or expiry, strike, draw(NUMBERS), draw(RATIOS), draw(RATIOS), styles[kind], draw(price), *draw(terms)[:3], draw(years))
        )  # fmt: skip

    add("PHY", "", draw(st.sampled_from(["", "000000"])), "", 0.0, years=st.none())
    for month in months:
        add("FUT", "", month, "", 0.0)
    for kind, future in [("OOP", ""), *(("OOF", month) for month in months)]:
        keys = st.tuples(st.sampled_from("CP"), st.sampled_from(["202601", "202601W2", "20260131X"]), NUMBERS)
        for right, expiry, strike in draw(st.lists(keys, unique=True, max_size=3)):
            add(kind, right, expiry, future, strike, price=NUMBERS)
    return rows


def tiers_of(draw, code):
    rows = []
    for kind in ("scan", "intra", "inter", "som"):
        numbers = draw(st.lists(st.integers(1, 9), unique=True, max_size=3))
        for number in numbers:
            start = draw(st.sampled_from(MONTHS if kind == "som" else ["", *MONTHS]))
            rate = draw(AMOUNTS) if kind == "som" else None
            rows.append((code, kind, number, start, draw(st.sampled_from(["", *MONTHS])), rate))
    return rows


def intra_of(draw, code, tiers, first):
    spreads, legs = [], []
    numbers = [row[2] for row in tiers if row[1] == "intra"]
    for number in range(first, first + draw(st.integers(0, 2))):
        kind = draw(st.sampled_from(["tier", "series"] if numbers else ["series"]))
        spreads.append((number, code, kind, draw(SMALL), draw(AMOUNTS)))
        for leg in range(1, draw(st.integers(1, 3)) + 1):
            tier = draw(st.sampled_from(numbers)) if kind == "tier" else None
            month = None if kind == "tier" else draw(st.sampled_from(MONTHS))
            legs.append((number, leg, tier, month, draw(RATIOS), draw(SIDES)))
    return spreads, legs


def inter(draw, codes, tiers):
    spreads, legs = [], []
    for number in range(1, draw(st.integers(0, 3)) + 1):
        count = draw(st.integers(1, 3))
        scanning = draw(st.booleans())
        credit = "price_risk" if scanning else draw(st.sampled_from(["price_risk", "flat"]))
        minimum = draw(SMALL) if scanning else count
        method = "scanning" if scanning else "delta"
        spreads.append(
            (number, "", draw(SMALL), method, credit, draw(AMOUNTS), draw(st.booleans()), minimum, "all")
        )
        for leg in range(1, count + 1):
            code = draw(st.sampled_from(codes))
            known = [row[2] for row in tiers if row[:2] == (code, "inter")]
            tier = None if scanning else draw(st.sampled_from([None, *known]))
            switches = (draw(st.booleans()), draw(st.booleans())) if scanning else (True, False)
            side = "A" if scanning else draw(SIDES)
            legs.append((number, leg, code, tier, draw(RATIOS), side, *switches, draw(st.none() | FRACTIONS)))
    return spreads, legs


@st.composite
def generated(draw):
    codes = draw(st.lists(st.sampled_from(CODES), unique=True, min_size=1))
    tables = {name: [] for name in ("commodities", "products", "tiers", "intra_spreads", "intra_legs")}
    series = []
    spot = []
    for code in codes:
        styles = {kind: draw(STYLES) for kind in ("PHY", "FUT", "OOP", "OOF")}
        for kind, style in styles.items():
            tables["products"].append(("X", code, kind, draw(NAMES), code, "HKD", draw(RATIOS), style))
        series += series_of(draw, code, styles)
        tiers = tiers_of(draw, code)
        tables["tiers"] += tiers
        spreads, legs = intra_of(draw, code, tiers, len(tables["intra_spreads"]) + 1)
        tables["intra_spreads"] += spreads
        tables["intra_legs"] += legs
        has_som = any(row[1] == "som" for row in tiers)
        style = "premium" if "premium" in (styles["OOP"], styles["OOF"]) else "futures"
        tables["commodities"].append(
            (
                *(code, "X", draw(NAMES), "HKD", style, draw(st.booleans())),
                0.0 if has_som else draw(AMOUNTS),
                draw(st.sampled_from(["sum", "max"])),
                draw(st.sampled_from(["normal", "capped", "scan_range"])),
                "table" if spreads else "none",
                draw(st.sampled_from(["table", "none"])),
                *(draw(AMOUNTS) for _ in range(6)),
            )
        )
        months = draw(st.lists(st.sampled_from(MONTHS), unique=True, max_size=2))
        spot += [(code, month, draw(AMOUNTS), draw(AMOUNTS)) for month in months]
    spreads, legs = inter(draw, codes, tables["tiers"])
    seed = draw(st.integers(0, 2**32))
    losses = np.random.default_rng(seed).normal(0, 10 ** draw(st.integers(-3, 9)), (len(series), 16))
    return parameters(
        series,
        losses,
        **tables,
        spot_charges=spot,
        inter_spreads=spreads,
        inter_legs=legs,
        currency_rates=[("USD", "HKD", draw(RATIOS))],
        scan_points=scan_points(draw(RATIOS), draw(FRACTIONS)),
    )


@settings(max_examples=150)
@given(generated())
def test_parameters_that_are_written_are_read_back(given_parameters):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "written.spn"
        write_spn(given_parameters, path)
        assert canonical(read_spn(path)) == canonical(given_parameters)


SHREDS = ["<", ">", "/", "<ra>", "</ra>", "&", "nan", "-", "9" * 20, " ", "é", "\x00", "<opt>", "</series>", "<a>", "1e400", "_", "<!--", "]]>", "<r>2</r>"]  # fmt: skip


def damaged(chance: random.Random) -> bytes:
    """Return the sample with a few elements dropped, doubled, moved or changed, or a few bytes of it."""
    lines = SAMPLE.splitlines(keepends=True)
    kind = chance.randrange(4)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(lines))
        if kind == 0:
            lines[place] = chance.choice(["", lines[place] * 2, lines[chance.randrange(len(lines))]])
        else:
            line = lines[place]
            cut = chance.randrange(len(line))
            end = min(cut + chance.randint(0, 6), len(line))
            shred = chance.choice(SHREDS) if kind == 1 else chance.choice(lines)[:20] if kind == 2 else ""
            lines[place] = line[:cut] + shred + line[end:]
    text = "".join(lines).encode("latin-1", errors="replace")
    return text[: chance.randrange(len(text))] if chance.random() < 0.05 else text


TEXTS = [">1<", ">0<", ">X<", "><", ">-1<", ">HSI<", ">202601<", ">1e13<"]


def revalued(chance: random.Random) -> bytes:
    """Return the sample, still well formed, with a few values or tags changed."""
    text = SAMPLE
    for _ in range(chance.randint(1, 3)):
        start = chance.randrange(300, len(text) - 20)
        here = text.find(">", start)
        end = text.find("<", here)
        if chance.random() < 0.8:
            text = text[:here] + chance.choice(TEXTS)[:-1] + text[end:]
        else:
            tag = text[text.rfind("<", 0, here) + 1 : here].strip("/")
            if tag.isalnum():
                text = text.replace(f"<{tag}>", "<novel>").replace(f"</{tag}>", "</novel>")
    return text.encode("latin-1")


@pytest.mark.parametrize("damage", [damaged, revalued])
@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_file_is_read_or_refused(tmp_path, damage, seed):
    chance = random.Random(seed)  # noqa: S311
    path = tmp_path / "damaged.spn"
    outcomes = {"read": 0, "refused": 0}
    for _ in range(60):
        path.write_bytes(damage(chance))
        outcomes[outcome(path)] += 1
    assert min(outcomes.values()) > 0


def outcome(path: Path) -> str:
    try:
        assert isinstance(read_spn(path), SpanParameters)
    except InputError:
        return "refused"
    return "read"
