"""The SPAN kernels against their readable twins, and against what they promise of order and threads."""

from __future__ import annotations

import numba
import numpy as np
import polars as pl
import pytest

from crossmargin import InputError, SpanSettings, span_margins
from crossmargin.core import rounding
from crossmargin.kernels.hash_lookup import (
    find_hashes,
    find_hashes_numpy,
    number_hashes,
    number_hashes_numpy,
)
from crossmargin.kernels.rounding import half_away
from crossmargin.kernels.span_accounts import BLOCK_ACCOUNTS
from crossmargin.kernels.span_portfolios import FEW, Places, order_positions, order_positions_numpy
from crossmargin.kernels.span_scan import scan_risk, scan_sums_numpy, worst_scenario
from crossmargin.models.span.book import locate, make_book
from crossmargin.models.span.synthetic import synthetic_span_parameters, synthetic_span_positions
from span_market import future, future_losses, market, option, positions

SIZES = {"index_families": 3, "stock_futures": 4, "stock_classes": 5, "months": 4, "strikes": 7}


@pytest.mark.parametrize("rows", [0, 1, 5000])
def test_hashes_are_found_as_in_a_dictionary(rows):
    rng = np.random.default_rng(rows)
    keys = rng.choice(2**20, 1000, replace=False).astype(np.uint64) << np.uint64(3)
    asked = np.concatenate([rng.choice(keys, rows), rng.integers(0, 2**63, rows).astype(np.uint64)])
    assert find_hashes(keys, asked).tobytes() == find_hashes_numpy(keys, asked).tobytes()


@pytest.mark.parametrize(("rows", "keys"), [(0, 1), (1, 1), (5000, 3), (5000, 511), (9000, 5000)])
def test_hashes_are_numbered_as_by_the_twin(rows, keys):
    rng = np.random.default_rng(rows + keys)
    asked = rng.choice(rng.integers(0, 2**63, keys).astype(np.uint64), rows)
    for one, other in zip(number_hashes(asked), number_hashes_numpy(asked), strict=True):
        assert one.tobytes() == other.tobytes()


def test_accounts_that_share_a_hash_stay_apart(monkeypatch, synthetic, held):
    shuffled = held.sample(fraction=1.0, shuffle=True, seed=2)
    expected = span_margins(shuffled, synthetic).book
    monkeypatch.setattr(
        "crossmargin.models.span.book.number_hashes", lambda asked: number_hashes(asked % np.uint64(7))
    )
    assert span_margins(shuffled, synthetic).book.content_hash == expected.content_hash


def test_a_number_is_rounded_as_an_array_is():
    rng = np.random.default_rng(1)
    ties = np.arange(-500, 500) / 2
    numbers = np.concatenate(
        [ties, ties * (1 + 2**-51), ties * (1 - 2**-51), 1e12 * rng.standard_normal(1000)]
    )
    one_by_one = np.array([half_away(number) for number in numbers])
    assert one_by_one.tobytes() == rounding.half_away(numbers).tobytes()


def test_scan_risk_is_the_largest_loss_and_the_first_of_equal_scenarios_is_active():
    sums = np.zeros(16)
    sums[[3, 9]] = 5.0
    assert (scan_risk(sums), worst_scenario(sums)) == (5.0, 3)
    assert scan_risk(-sums - 1) == 0.0
    assert np.isnan(scan_risk(np.array([np.inf, -np.inf, *[0.0] * 14])))


def random_runs(seed: int, accounts: int, runs: int, longest: int, series: int):
    rng = np.random.default_rng(seed)
    starts = np.concatenate([[0], np.cumsum(rng.integers(1, longest + 1, runs))]).astype(np.int64)
    owner = rng.permutation(np.concatenate([np.arange(accounts), rng.integers(0, accounts, runs - accounts)]))
    rows = rng.integers(0, series, starts[-1]).astype(np.int32)
    quantity = rng.integers(-9, 10, starts[-1])
    commodity = rng.integers(0, 1 + series // 5, series)
    order = np.argsort(commodity, kind="stable")
    place = np.empty(series, np.int32)
    place[order] = np.arange(series)
    places = Places(place, order.astype(np.int32), commodity[order])
    return starts, owner.astype(np.int32), accounts, rows, quantity, places


@pytest.mark.parametrize(
    ("accounts", "runs", "longest", "series"),
    [(1, 1, 1, 1), (7, 40, 5, 12), (3, 9, 3 * FEW, 500), (300, 300, 4, 30)],
)
def test_positions_are_put_in_order_as_by_the_twin(accounts, runs, longest, series):
    given = random_runs(runs, accounts, runs, longest, series)
    compiled, reference = order_positions(*given), order_positions_numpy(*given)
    for name, one, other in zip(compiled._fields, compiled, reference, strict=True):
        assert one.tobytes() == other.tobytes(), name


@pytest.fixture(scope="module")
def synthetic():
    return synthetic_span_parameters(3, **SIZES)


@pytest.fixture(scope="module")
def held(synthetic):
    return synthetic_span_positions(4, synthetic, 3 * BLOCK_ACCOUNTS + 5, 12)


def test_scan_sums_are_those_of_the_twin_bit_for_bit(synthetic, held):
    margins = span_margins(held, synthetic)
    book = margins.book
    sums = scan_sums_numpy(book.starts, book.series, book.net, margins.tables.losses)
    assert margins.risk.sums.tobytes() == sums.tobytes()
    assert margins.risk.scan_risk.tobytes() == np.maximum(sums.max(axis=1), 0.0).tobytes()
    assert margins.risk.active.tobytes() == sums.argmax(axis=1).tobytes()


@pytest.mark.parametrize(
    "settings",
    [SpanSettings(), SpanSettings(basis="gross"), SpanSettings(basis="gross", gross_scan="per_side")],
)
def test_neither_threads_nor_the_order_of_rows_change_a_byte(synthetic, held, settings):
    threads = numba.get_num_threads()
    shuffled = held.sample(fraction=1.0, shuffle=True, seed=1)
    found = []
    for count, rows in ((1, held), (threads, held), (threads, shuffled)):
        numba.set_num_threads(count)
        risk = span_margins(rows, synthetic, settings).risk
        found.append([risk.requirement.tobytes(), risk.risk_margin.tobytes(), risk.sums.tobytes()])
    numba.set_num_threads(threads)
    assert found[0] == found[1] == found[2]


def plain_gross(book, losses, minimum, gross_scan) -> np.ndarray:
    """Scan risk on a gross basis with loops over portfolios and NumPy rows."""
    found = np.empty(book.account.size)
    for portfolio, (first, last) in enumerate(zip(book.starts[:-1], book.starts[1:], strict=True)):
        rows, long, short = (column[first:last] for column in (book.series, book.long, book.short))
        if gross_scan == "per_side":
            sides = long @ losses[rows], -short @ losses[rows]
            found[portfolio] = sum(max(side.max(), 0.0) for side in sides)
        else:
            bought = np.maximum(losses[rows].max(axis=1), 0.0)
            sold = np.maximum((-losses[rows]).max(axis=1), np.maximum(minimum[rows], 0.0))
            found[portfolio] = long @ bought + short @ sold
    return found


@pytest.mark.parametrize("gross_scan", ["per_side", "per_contract"])
def test_gross_scan_risk_is_that_of_the_plain_twin(synthetic, held, gross_scan):
    margins = span_margins(held, synthetic, SpanSettings(basis="gross", gross_scan=gross_scan))
    tables = margins.tables
    expected = plain_gross(margins.book, tables.losses, tables.series_minimum, gross_scan)
    np.testing.assert_allclose(margins.risk.scan_risk, expected, rtol=1e-13, atol=1e-9)
    assert (margins.risk.active == -1).all()


@pytest.mark.parametrize("basis", ["net", "gross"])
def test_option_values_and_minimum_are_those_of_the_plain_twin(synthetic, held, basis):
    settings = SpanSettings(basis=basis, gross_scan="per_side", som_method="max")
    margins = span_margins(held, synthetic, settings)
    tables, book, risk = margins.tables, margins.book, margins.risk
    long, short = (book.long, book.short) if basis == "gross" else (book.net.clip(0), (-book.net).clip(0))
    is_call = (synthetic.series["right"] == "C").to_numpy()[book.series]
    count, least = book.account.size, short * tables.series_minimum[book.series]
    sides = [np.bincount(book.portfolio, least * chosen, count) for chosen in (is_call, ~is_call)]
    counted = np.where(tables.value_counts[book.series], book.net * tables.series_value[book.series], 0.0)
    owned = np.where(long > 0, long * tables.series_value[book.series], 0.0)
    assert risk.short_option_minimum.tobytes() == np.maximum(*sides).tobytes()
    assert risk.option_value.tobytes() == np.bincount(book.portfolio, counted, count).tobytes()
    assert risk.long_option_value.tobytes() == np.bincount(book.portfolio, owned, count).tobytes()
    assert (risk.short_option_minimum > 0).any()


@pytest.mark.parametrize("basis", ["net", "gross"])
def test_an_account_in_blocks_is_that_account_alone(synthetic, held, basis):
    settings = SpanSettings(basis=basis)
    together = span_margins(held, synthetic, settings).to_frame()
    for account in ("A000001", f"A{BLOCK_ACCOUNTS + 1:06}", f"A{3 * BLOCK_ACCOUNTS + 5:06}"):
        alone = span_margins(held.filter(account=account), synthetic, settings).to_frame()
        assert together.filter(account=account).equals(alone)


def test_no_position_is_no_portfolio(synthetic, held):
    margins = span_margins(held.clear(), synthetic)
    assert (margins.accounts, len(margins.to_frame()), margins.risk.sums.shape) == ((), 0, (0, 16))


def test_pandas_categories_and_whole_number_strikes_find_the_same_series(synthetic, held):
    expected = locate(held, synthetic)
    texts = ["account", "exchange", "product", "expiry", "right"]
    assert locate(held.with_columns(pl.col(texts).cast(pl.Categorical)), synthetic).equals(expected)
    assert locate(held.with_columns(pl.col("quantity").cast(pl.Float32)), synthetic).equals(expected)


FLAT = [-1.0] * 16


@pytest.fixture(scope="module")
def ambiguous():
    """One option month on futures of two months, and a future that is listed as two product types."""
    options = [
        option("AAA", "202601", "C", 90.0, FLAT, product_type="OOF", future_month=month)
        for month in ("202603", "202606")
    ]
    futures = [
        future("AAA", "202603", future_losses(scan), product_type=kind)
        for kind, scan in (("FUT", 1000), ("PHY", 500))
    ]
    return market([*options, *futures])


def refused(held, parameters) -> list[tuple]:
    with pytest.raises(InputError) as caught:
        locate(held, parameters)
    return [(record.line, record.value, record.rule) for record in caught.value.records]


def test_an_error_names_the_columns_that_would_tell_series_apart(ambiguous):
    held = positions(("AAA", "202601", "C", 90.0, 1), ("AAA", "202603", 1), ("AAA", "202609", 1))
    assert refused(held, ambiguous) == [
        (1, "AAA C 202601 90.0", "one series only; name its future_month"),
        (2, "AAA 202603", "one series only; name its product_type"),
        (3, "AAA 202609", "a series of the parameter file"),
    ]


def test_month_of_the_future_and_product_type_tell_series_apart(ambiguous):
    held = positions(("AAA", "202601", "C", 90.0, 1), ("AAA", "202603", 1)).with_columns(
        future_month=pl.Series(["202606", None]), product_type=pl.Series([None, "PHY"])
    )
    assert locate(held, ambiguous)["series"].to_list() == [1, 3]
    wrong = held.with_columns(future_month=pl.Series(["202612", None]))
    assert refused(wrong, ambiguous) == [(1, "AAA C 202601 90.0 202612", "a series of the parameter file")]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("account", "A "),
        ("account", ""),
        ("account", None),
        ("product", " AAA"),
        ("right", ""),
        ("expiry", None),
    ],
)
def test_a_bad_text_is_refused_by_line(ambiguous, column, value):
    held = positions(("AAA", "202603", 1), ("AAA", "202603", 2)).with_columns(
        account=pl.lit("A"), product_type=pl.lit("FUT")
    )
    assert len(locate(held, ambiguous)) == 2
    broken = held.with_columns(pl.Series(column, [held[column][0], value], dtype=pl.String))
    ((line, shown, _),) = refused(broken, ambiguous)
    assert (line, shown) == (2, "null" if value is None else value)


@pytest.mark.parametrize(
    ("column", "value"), [("strike", float("nan")), ("strike", 2e12), ("quantity", 2 * 10**12)]
)
def test_a_bad_number_is_refused_even_where_it_says_nothing(ambiguous, column, value):
    held = positions(("AAA", "202603", 1)).with_columns(product_type=pl.lit("FUT"))
    dtype = held.schema[column]
    ((line, _, _),) = refused(held.with_columns(pl.Series(column, [value], dtype=dtype)), ambiguous)
    assert line == 1


def test_longs_and_shorts_of_a_series_stay_apart_in_the_book(ambiguous):
    held = positions(*(("AAA", "202603", quantity) for quantity in (5, -2, -1, 4))).with_columns(
        product_type=pl.lit("FUT")
    )
    margins = span_margins(held, ambiguous)
    book = make_book(locate(held, ambiguous), margins.tables)
    assert (book.long.tolist(), book.short.tolist(), book.net.tolist()) == ([9.0], [3.0], [6.0])
