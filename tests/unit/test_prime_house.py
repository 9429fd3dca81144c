"""PRiME as a house's model: books of one house as SPAN has them, books of several, and the conversion."""

from __future__ import annotations

from dataclasses import replace

import numba
import numpy as np
import polars as pl
import pytest
from index_market import FORWARDS, NEAR, option_code, scenario_set
from prime_market import FUND, NO_WEIGHTS, SECOND, correlated_scenarios, fund_weights, linked_market

from crossmargin.errors import InputError
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.models.scenarios.build import ScenarioSettings, build_scenarios
from crossmargin.models.scenarios.part_rules import parts_of_method
from crossmargin.models.span.from_market import market_span
from crossmargin.models.span.from_market_rules import MarketSpanRules
from crossmargin.models.span.margin import span_margins
from crossmargin.models.span.settings import SpanSettings
from crossmargin.models.synthetic_market.market import synthetic_market
from crossmargin.models.synthetic_market.sizes import MarketSize
from crossmargin.programmes.books import make_books
from crossmargin.programmes.prime_house import PrimeHouse

FUTURE = f"HSI.F.{NEAR}"


@pytest.fixture(scope="module")
def linked():
    snapshot = linked_market()
    span = market_span(snapshot, correlated_scenarios(), fund_weights({FUND: "HSI"}))
    return snapshot, PrimeHouse(span=span)


@pytest.fixture(scope="module")
def synthetic():
    market = synthetic_market(seed=13, size=MarketSize(stocks=12, option_classes=4, years=5))
    day = market["prices"]["date"].max()
    scenarios = build_scenarios(market, day, ScenarioSettings(parts=parts_of_method("historical")))
    snapshot = make_snapshot(market, day)
    return snapshot, PrimeHouse(span=market_span(snapshot, scenarios, fund_weights({"2800": "HSI"})))


def books_of(snapshot, *held, gross=None):
    """Books of (instrument, quantity) each."""
    names = snapshot.instruments["instrument"].to_list()
    rows = [
        (number, names.index(name), quantity)
        for number, book in enumerate(held)
        for name, quantity in book.items()
    ]
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    return make_books(columns[0], columns[1].astype(np.int32), columns[2], count=len(held), gross=gross)


def random_books(snapshot, houses, count, *, gross=False, seed=4):
    rng = np.random.default_rng(seed)
    pool = np.flatnonzero(snapshot.instruments["house"].is_in(houses).to_numpy())
    size = 8 * count
    rows = rng.choice(pool, size).astype(np.int32)
    quantities = rng.integers(-60, 60, size)
    return make_books(
        rng.integers(0, count, size), rows, quantities, count=count, gross=np.full(count, gross)
    )


def by_name(span, books):
    """Return the positions of books as ``span_margins`` takes them, by the names of series."""
    series = span.own.series
    found = series[span.series[books.rows]]
    return found.select(
        pl.Series("account", books.book).cast(pl.String).str.zfill(6),
        "exchange",
        "product",
        "product_type",
        "expiry",
        pl.col("right").replace("", None),
        "strike",
        pl.Series("quantity", books.quantities),
    )


@pytest.mark.parametrize("gross", [False, True])
@pytest.mark.parametrize("house", ["HKCC", "SEOCH"])
def test_requirement_is_that_of_span_margins_to_the_cent(synthetic, house, gross):
    snapshot, prime = synthetic
    books = random_books(snapshot, [house], 300, gross=gross)
    settings = SpanSettings(basis="gross" if gross else "net")
    margins = span_margins(by_name(prime.span, books), prime.span.own, settings)
    expected = dict.fromkeys(range(books.count), 0)
    for account, currency, amount in margins.totals().iter_rows():
        assert currency == "HKD"
        expected[int(account)] = int(amount * 100)
    found = prime.accounts(books)
    assert found.requirement.tolist() == [*expected.values()]
    assert np.count_nonzero(found.requirement) > 100
    assert np.count_nonzero(found.option_value) > 200
    assert np.array_equal(prime.market_risk(books), found.risk)


def test_risk_is_the_sum_over_combined_commodities(synthetic):
    snapshot, prime = synthetic
    books = random_books(snapshot, ["HKCC"], 50)
    frame = span_margins(by_name(prime.span, books), prime.span.own).to_frame()
    summed = frame.group_by("account").agg(pl.col("risk_margin").sum()).sort("account")
    expected = np.zeros(books.count, np.int64)
    expected[summed["account"].cast(pl.Int64).to_numpy()] = [int(x * 100) for x in summed["risk_margin"]]
    assert np.array_equal(prime.market_risk(books), expected)


def test_a_saving_reduces_the_risk_and_leaves_the_option_value(synthetic):
    risk, value = np.array([1000, 1000, 0]), np.array([300, -300, 500])
    assert PrimeHouse.requirement(risk, value).tolist() == [700, 1300, 0]
    assert PrimeHouse.requirement(risk // 2, value).tolist() == [200, 800, 0]
    snapshot, prime = synthetic
    found = prime.accounts(random_books(snapshot, ["SEOCH"], 40))
    assert np.array_equal(found.requirement, np.maximum(found.risk - found.option_value, 0))


def test_a_book_of_one_house_has_no_credit_of_another(linked):
    """An index future against calls on a stock: nothing today, and a credit where the houses are linked."""
    snapshot, prime = linked
    index, stock, both = {FUTURE: 10}, {"0005.C": -4000}, {FUTURE: 10, "0005.C": -4000}
    risk = prime.market_risk(books_of(snapshot, index, stock, both))
    assert 0 < risk[2] < risk[0] + risk[1]
    same = PrimeHouse(span=replace(prime.span, linked=prime.span.own))
    today = same.market_risk(books_of(snapshot, index, stock, both))
    assert today[2] == today[0] + today[1]
    assert today[:2].tolist() == risk[:2].tolist()


def test_credits_between_indices_are_today_s_too(linked):
    snapshot, prime = linked
    risk = prime.market_risk(books_of(snapshot, {FUTURE: 10}, {"IDX2.F": -20}, {FUTURE: 10, "IDX2.F": -20}))
    assert risk[2] < 0.7 * (risk[0] + risk[1])


def test_a_fund_hedges_its_index_but_for_carry_and_basis(linked):
    """Tolerance: the future stands 0.3% below the index, so that deltas do not match to the last share."""
    snapshot, prime = linked
    shares = round(10 * 50 * FORWARDS[NEAR] / 17.9)
    risk = prime.market_risk(books_of(snapshot, {FUND: shares}, {FUTURE: -10}, {FUND: shares, FUTURE: -10}))
    basis = shares * 17.9 * conversion(prime, FUND)["basis_charge"]
    money = (
        10
        * prime.span.scan_ranges.filter(commodity="HSI")
        .select(pl.col("price_scan_range") * pl.col("delta_value"))
        .item()
    )
    assert risk[0] / 100 == pytest.approx(money + basis, rel=0.005)
    assert risk[2] / 100 == pytest.approx(0.05 * money + basis, rel=0.05)


def conversion(prime, instrument):
    return prime.span.conversion.filter(instrument=instrument).row(0, named=True)


def test_basis_charges_never_net(linked):
    snapshot, prime = linked
    none = replace(prime.span, conversion=prime.span.conversion.with_columns(basis_charge=0.0))
    books = books_of(snapshot, {FUND: 1_000_000}, {FUND: -1_000_000}, {FUND: 1_000_000, FUTURE: -20})
    charged = prime.market_risk(books) - PrimeHouse(span=none).market_risk(books)
    each = round(100 * 1_000_000 * 17.9 * conversion(prime, FUND)["basis_charge"])
    assert np.abs(charged - each).max() <= 1  # a cent of rounding


def test_stocks_hedge_their_class_where_houses_are_linked(linked):
    snapshot, prime = linked
    risk = prime.market_risk(
        books_of(snapshot, {"0005": 40_000}, {"0005.C": -100}, {"0005": 40_000, "0005.C": -100})
    )
    assert risk[2] < risk[0] < risk[0] + risk[1]
    assert conversion(prime, "0005")["basis_charge"] == 0.0


def test_a_gross_book_has_no_offset(linked):
    snapshot, prime = linked
    held = {
        FUTURE: 10,
        "IDX2.F": -20,
        option_code("C", 17500.0, NEAR): 5,
        option_code("C", 18000.0, NEAR): -5,
    }
    singles = [{name: quantity} for name, quantity in held.items()]
    books = books_of(snapshot, held, held, *singles, gross=np.array([True, False, *[True] * 4]))
    found = prime.accounts(books)
    assert found.risk[0] > found.risk[1]
    assert found.risk[0] == pytest.approx(found.risk[2:].sum(), abs=2)
    assert abs(found.option_value[0] - found.option_value[1]) <= 1  # the cent that its risk is rounded by


def test_empty_books_have_no_risk(linked):
    snapshot, prime = linked
    found = prime.accounts(books_of(snapshot, {}, {FUTURE: 1}, {}))
    assert found.risk[[0, 2]].tolist() == found.requirement[[0, 2]].tolist() == [0, 0]
    assert found.risk[1] > 0
    assert prime.market_risk(books_of(snapshot)).size == 0
    assert prime.market_risk(books_of(snapshot, {}, {})).tolist() == [0, 0]


def test_every_instrument_without_parameters_is_refused(linked):
    snapshot, _ = linked
    scenarios = scenario_set()
    span = market_span(snapshot, scenarios, NO_WEIGHTS)  # neither the fund nor the second index moves there
    with pytest.raises(InputError) as refused:
        PrimeHouse(span=span).market_risk(books_of(snapshot, {FUND: 1}, {FUTURE: 1, "IDX2.F": 2}, {FUND: 3}))
    assert {record.value for record in refused.value.records} == {FUND, "IDX2.F"}


def test_books_keep_their_order_whatever_they_hold(synthetic):
    snapshot, prime = synthetic
    books = random_books(snapshot, ["HKSCC", "HKCC", "SEOCH"], 120)
    books = replace(books, gross=np.arange(120) % 3 == 0)
    order = np.random.default_rng(2).permutation(120)
    whole, chosen = prime.accounts(books), prime.accounts(books.select(order))
    for name in ("risk", "option_value", "requirement"):
        assert np.array_equal(getattr(whole, name)[order], getattr(chosen, name))


def test_threads_do_not_change_a_cent(synthetic):
    snapshot, prime = synthetic
    books = random_books(snapshot, ["HKSCC", "HKCC", "SEOCH"], 500)
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        alone = prime.accounts(books)
    finally:
        numba.set_num_threads(threads)
    assert np.array_equal(alone.risk, prime.accounts(books).risk)


def test_futures_style_options_have_no_value(linked):
    snapshot, prime = linked
    rules = MarketSpanRules(marked_daily=("HKCC", "SEOCH"))
    span = market_span(snapshot, correlated_scenarios(), NO_WEIGHTS, rules=rules)
    books = books_of(snapshot, {option_code("C", 17500.0, NEAR): 5, SECOND + ".F": 1})
    assert prime.accounts(books).option_value[0] > 0
    assert PrimeHouse(span=span).accounts(books).option_value.tolist() == [0]


def test_its_name_is_that_of_a_programme(linked):
    assert linked[1].name == "prime"
