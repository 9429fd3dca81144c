"""What holds for every SPAN portfolio, over random markets, and a second route to every component."""

from __future__ import annotations

from dataclasses import replace

import numba
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from span_reference import reference_margin

from crossmargin.models.span.margin import span_margin, span_margins
from crossmargin.models.span.risk_arrays import black76_losses
from crossmargin.models.span.settings import SpanSettings
from span_market import calendar_spread, future, future_losses, inter_spread, market, option

EXAMPLES = 30
CENT = 0.011
"""Each component is published to the cent, half a cent off at most; two of them may meet in a sum."""

GROSS = SpanSettings(basis="gross")
MONTHS = ("202601", "202602", "202603")
SCAN_RANGES = {"AAA": 1500.0, "BBB": 700.0}
COMPOSITE_DELTAS = {
    ("C", 19_000.0): 0.7,
    ("C", 21_000.0): 0.25,
    ("P", 19_000.0): -0.3,
    ("P", 21_000.0): -0.75,
}


def option_rows(code: str, month: str, months_ahead: int) -> list[dict]:
    """Four options of a month with Black-76 arrays."""
    keys = list(COMPOSITE_DELTAS)
    arrays = black76_losses(
        np.array([right == "C" for right, _ in keys]),
        strikes=np.array([strike for _, strike in keys]),
        prices=20_000.0,
        volatilities=0.2,
        years=30 / 365 * months_ahead,
        price_scan_ranges=SCAN_RANGES[code],
        volatility_scan_ranges=0.05,
        contract_sizes=1.0,
        rates=0.0,
    )
    return [
        option(
            code,
            month,
            right,
            strike,
            arrays.losses[i].tolist(),
            composite_delta=COMPOSITE_DELTAS[right, strike],
            price=100.0,
        )
        for i, (right, strike) in enumerate(keys)
    ]


def tables(rate: float, charge: float) -> dict[str, list[dict]]:
    joined: dict[str, list[dict]] = {}
    for number, code in enumerate(SCAN_RANGES, start=1):
        for name, rows in calendar_spread(code, charge, spread=number).items():
            joined.setdefault(name, []).extend(rows)
    return joined | inter_spread([("AAA", 1.0, "A"), ("BBB", 2.0, "B")], rate)


@pytest.fixture(scope="module")
def parameters():
    series = []
    for code, scan_range in SCAN_RANGES.items():
        for ahead, month in enumerate(MONTHS, start=1):
            series.append(future(code, month, future_losses(scan_range)))
            series += option_rows(code, month, ahead)
    minimums = {code: {"short_option_minimum": 40.0} for code in SCAN_RANGES}
    spot = [{"commodity": "AAA", "month": MONTHS[0], "in_spreads": 3.0, "outright": 11.0}]
    return market(series, minimums, spot_charges=spot, **tables(0.6, 60.0))


SERIES_COUNT = len(SCAN_RANGES) * len(MONTHS) * 5
BOOKS = st.lists(st.tuples(st.integers(0, SERIES_COUNT - 1), st.integers(-50, 50)), min_size=1, max_size=8)


def frame(parameters, book, account: str = "X") -> pl.DataFrame:
    rows = parameters.series[[row for row, _ in book]]
    named = rows.select("exchange", "product", "expiry", "right", "strike")
    return named.with_columns(
        pl.col("right").replace("", None),
        account=pl.lit(account),
        quantity=pl.Series([q for _, q in book], dtype=pl.Int64),
    )


def requirement(parameters, book, choices=None) -> float:
    return float(span_margins(frame(parameters, book), parameters, choices).totals()["requirement"].sum())


@settings(max_examples=EXAMPLES)
@given(book=BOOKS)
def test_every_component_equals_the_plain_reference(parameters, book):
    found = span_margins(frame(parameters, book), parameters).to_frame()
    expected = reference_margin(book, parameters)
    assert set(found["commodity"]) == set(expected)
    for row in found.iter_rows(named=True):
        parts = expected[row["commodity"]]
        named = {
            "scan_risk": "scan",
            "intra_charge": "intra",
            "spot_charge": "spot",
            "inter_credit": "credit",
            "short_option_minimum": "minimum",
            "risk_margin": "risk",
        }
        for column, part in named.items():
            assert float(row[column]) == pytest.approx(parts[part], abs=CENT), (column, row)


@settings(max_examples=EXAMPLES)
@given(row=st.integers(0, SERIES_COUNT - 1), quantity=st.integers(1, 1000))
def test_long_and_short_of_one_series_are_nothing_in_a_net_account(parameters, row, quantity):
    assert requirement(parameters, [(row, quantity), (row, -quantity)]) == 0


@settings(max_examples=EXAMPLES)
@given(book=BOOKS)
def test_gross_is_never_below_net(parameters, book):
    # a spread here costs less than the outright risk of the deltas it takes, as house tables have it
    assert requirement(parameters, book, GROSS) >= requirement(parameters, book) - CENT


@settings(max_examples=EXAMPLES)
@given(book=BOOKS, split=st.integers(-20, 20), seed=st.randoms(use_true_random=False))
def test_splitting_and_reordering_change_nothing(parameters, book, split, seed):
    (row, quantity), *rest = book
    pieces = [(row, quantity - split), (row, split), *rest]
    seed.shuffle(pieces)
    whole, shuffled = (span_margins(frame(parameters, rows), parameters) for rows in (book, pieces))
    assert whole.to_frame().equals(shuffled.to_frame())


@settings(max_examples=EXAMPLES)
@given(book=BOOKS)
def test_a_credit_never_exceeds_the_risk_of_its_leg(parameters, book):
    found = span_margins(frame(parameters, book), parameters).to_frame()
    risk = found["scan_risk"] + found["intra_charge"] + found["spot_charge"]
    assert (found["inter_credit"] <= risk).all()
    assert (found["risk_margin"] >= found["short_option_minimum"]).all()


@settings(max_examples=EXAMPLES)
@given(book=BOOKS)
def test_inter_commodity_spreads_never_raise_the_requirement(parameters, book):
    without = requirement(parameters, book, SpanSettings(inter_spreads=False))
    one = requirement(parameters, book)
    last = inter_spread([("BBB", 1.0, "A"), ("AAA", 0.4, "B")], 0.3, spread=2, priority=9)
    added = {
        name: pl.concat([parameters.table(name), pl.DataFrame(rows, schema=parameters.table(name).schema)])
        for name, rows in last.items()
    }
    more = replace(parameters, **added)
    assert one <= without + CENT
    assert requirement(more, book) <= one + CENT


@settings(max_examples=EXAMPLES)
@given(book=BOOKS, factor=st.integers(2, 9))
def test_the_requirement_scales_with_the_positions(parameters, book, factor):
    scaled = [(row, quantity * factor) for row, quantity in book]
    assert requirement(parameters, scaled) == pytest.approx(
        factor * requirement(parameters, book), abs=factor * CENT
    )


@settings(max_examples=EXAMPLES)
@given(books=st.lists(BOOKS, min_size=2, max_size=4))
def test_many_accounts_in_one_pass_are_each_alone(parameters, books):
    together = pl.concat([frame(parameters, book, f"A{i}") for i, book in enumerate(books)])
    found = span_margins(together, parameters).to_frame()
    for i, book in enumerate(books):
        alone = span_margins(frame(parameters, book, f"A{i}"), parameters).to_frame()
        assert found.filter(account=f"A{i}").equals(alone)


@settings(max_examples=EXAMPLES)
@given(book=BOOKS)
def test_the_tree_adds_up_and_equals_the_arrays(parameters, book):
    result = span_margin(frame(parameters, book), parameters)
    totals = span_margins(frame(parameters, book), parameters).totals()
    assert result.total == dict(zip(totals["currency"], totals["requirement"], strict=True))
    for tree in result.breakdowns.values():
        for _, node in tree.walk():
            assert not node.parts or sum(part.amount for part in node.parts) == node.amount


@settings(max_examples=EXAMPLES)
@given(book=BOOKS)
def test_one_and_two_threads_give_the_same_bytes(parameters, book):
    threads, frames = numba.get_num_threads(), []
    for count in (1, threads):
        numba.set_num_threads(count)
        frames.append(span_margins(frame(parameters, book), parameters).to_frame().write_csv())
    numba.set_num_threads(threads)
    assert frames[0] == frames[1]
