"""SPAN parameters made from a market: scan ranges, arrays, spreads, and what stands in for what."""

from __future__ import annotations

from datetime import timedelta

import numba
import numpy as np
import polars as pl
import pytest
from index_market import AS_OF, FORWARDS, NEAR, RATE, index_market, one_row, option_code, scenario_set, tables
from prime_market import (
    FUND,
    NO_WEIGHTS,
    SECOND,
    TWO_PARTS,
    correlated_scenarios,
    fund_weights,
    linked_market,
)

from crossmargin.errors import InputError
from crossmargin.models.market import make_market
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.revaluation.snapshot import interest_rates, make_snapshot
from crossmargin.models.scenarios.build import ScenarioSettings, build_scenarios
from crossmargin.models.scenarios.part_rules import parts_of_method
from crossmargin.models.scenarios.scenario_set import RiskFactor, ScenarioSet
from crossmargin.models.span.from_market import market_span
from crossmargin.models.span.from_market_rules import (
    MarketSpanRules,
    credit_rate,
    lowest_correlations,
    residual_shortfall,
    scan_range,
)
from crossmargin.models.span.margin import span_margin
from crossmargin.models.span.risk_arrays import ScanSettings, american_losses, black76_losses
from crossmargin.models.synthetic_market.market import synthetic_market
from crossmargin.models.synthetic_market.sizes import MarketSize

RULES = MarketSpanRules()
ROUNDED = 5e-9
"""Of an option's losses, as a share of what its underlying is worth: the table rounds the volatility and its range
to 8 digits (5e-9 each), and a vega is at most 0.4 √T, here below one half. Losses are rounded to 6 digits, 1e-11."""
QUIET = {"extreme_multiplier": 3.0, "covered_fraction": 0.33}


# --- rules -------------------------------------------------------------------------------------------


def test_every_bad_rule_is_named():
    with pytest.raises(InputError) as refused:
        MarketSpanRules(step=0.0, correlation_block=5, lookahead_days=float("nan"))
    assert {record.field for record in refused.value.records} == {
        "step",
        "lookahead_days",
        "correlation_block",
    }
    with pytest.raises(InputError) as refused:
        MarketSpanRules(confidence="high", marked_daily=("HKCC", "LME"))
    assert {record.field for record in refused.value.records} == {"confidence", "marked_daily"}


def test_rules_describe_themselves(small_span):
    described = dict(MarketSpanRules(step=0.002).described())
    assert described["step"] == "0.002"
    assert described.keys() == MarketSpanRules.__dataclass_fields__.keys()
    assert small_span.rules == RULES


def test_scan_range_is_the_kth_largest_move_of_either_sign_rounded_up():
    moves = np.full(1000, 0.001)
    moves[[5, 50, 500, 900]] = [-0.0612, 0.0701, -0.0533, 0.0502]
    assert scan_range(moves, RULES) == pytest.approx(0.054, abs=1e-15)  # third of 1,000 at 0.997
    assert scan_range(moves, MarketSpanRules(scale=1.5, step=0.01)) == pytest.approx(0.08, abs=1e-15)
    assert scan_range(moves, MarketSpanRules(confidence="0.999")) == pytest.approx(0.071, abs=1e-15)


def test_scan_range_is_a_step_at_least_and_leaves_something_of_the_price():
    assert scan_range(np.zeros(100), RULES) == RULES.step
    assert scan_range(np.full(100, -0.97), RULES) == 0.9


def test_residual_is_the_larger_shortfall_of_both_sides_where_it_is_highest():
    own, proxy = np.zeros(800), np.zeros(800)
    own[[3, 10]] = -0.02, -0.01  # first part: a tail of 2 of 600
    proxy[700] = -0.04  # second part, of 1 of 200: own gains on it
    assert residual_shortfall(own, proxy, TWO_PARTS, "0.997") == pytest.approx(0.04)
    assert residual_shortfall(own, proxy, TWO_PARTS[:1], "0.997") == pytest.approx(0.015)
    assert residual_shortfall(proxy, proxy, TWO_PARTS, "0.997") == 0.0


def test_correlation_is_the_lowest_of_blocks_and_of_each_other_part():
    rng = np.random.default_rng(1)
    own = rng.standard_normal(800)
    others = 0.7 * own[:, None] + rng.standard_normal((800, 3))
    others[250:600, 1] += 3 * rng.standard_normal(350)  # the second block takes what is left over
    others[600:, 2] = 0.0  # never moves in the other part
    blocks = ((0, 250), (250, 600), (600, 800))
    expected = [min(np.corrcoef(own[a:b], others[a:b, column])[0, 1] for a, b in blocks) for column in (0, 1)]
    found = lowest_correlations(own, others, TWO_PARTS, 250)
    np.testing.assert_allclose(found[:2], expected, rtol=1e-12)
    assert found[2] == 0.0


@pytest.mark.parametrize(
    ("correlation", "rate"), [(1.0, 1.0), (0.98, 0.9), (0.92, 0.8), (0.9199, 0.75), (0.5, 0.5), (0.4999, 0.0)]
)
def test_credit_rate_is_rounded_down_and_needs_a_correlation(correlation, rate):
    assert credit_rate(np.array([correlation]), RULES)[0] == rate


# --- arrays ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    return make_snapshot(index_market(), AS_OF)


@pytest.fixture(scope="module")
def small_span(small):
    return market_span(small, scenario_set(), NO_WEIGHTS)


def row_of(snapshot, span, instrument):
    """Row of an instrument in the parameters' series."""
    return int(span.series[snapshot.instruments["instrument"].to_list().index(instrument)])


def range_of(span, commodity):
    return one_row(span.scan_ranges, commodity=commodity)["price_scan_range"]


def test_index_options_are_those_of_black76(small, small_span):
    """Tolerance: ``ROUNDED`` of the value of the underlying; else both are float64 formulas of one price."""
    check_options(small, small_span, "european", ROUNDED, 2e-5)


def check_options(snapshot, span, style, loss_tolerance, delta_tolerance, *, every=1, **terms_of_method):
    """Compare losses, as a share of what the underlying is worth, and deltas with ``risk_arrays``."""
    series = span.own.series.with_columns(
        pl.Series("at", np.argsort(span.series)[(span.series < 0).sum() :])
    ).with_row_index("row")
    terms = snapshot.instruments.with_row_index("at").cast({"at": pl.Int64})
    chosen = series.filter(pl.col("right") != "").join(
        terms.select("at", "style", "days", "multiplier"), on="at", maintain_order="left"
    )
    chosen = chosen.filter(style=style).gather_every(every)
    assert len(chosen) > 20
    ranges = chosen["commodity"].replace_strict(
        dict(span.scan_ranges.select("commodity", "price_scan_range").iter_rows())
    )
    price = (chosen["price_scan_range"] / ranges).to_numpy()
    volatility = chosen["implied_volatility"].to_numpy()
    days = chosen["days"].to_numpy().astype(float)
    sizes = chosen["multiplier"].to_numpy()
    method = black76_losses if style == "european" else american_losses
    expected = method(
        (chosen["right"] == "C").to_numpy(),
        chosen["strike"].to_numpy(),
        price,
        volatility,
        days / 365,
        chosen["price_scan_range"].to_numpy(),
        chosen["volatility_scan_range"].to_numpy() / volatility,
        sizes,
        rates=interest_rates(snapshot.rates, "HKD", days),
        settings=ScanSettings(volatility_scan="relative", points=span.own.scan_points),
        **terms_of_method,
    )
    found = span.own.losses[chosen["row"].to_numpy()]
    apart = np.abs(found - expected.losses) / (price * sizes)[:, None]
    assert apart.max() < loss_tolerance
    assert np.abs(chosen["composite_delta"].to_numpy() - expected.composite_delta).max() < delta_tolerance


def test_futures_of_every_month_lose_the_same_share(small, small_span):
    share = range_of(small_span, "HSI")
    for expiry, forward in FORWARDS.items():
        row = row_of(small, small_span, f"HSI.F.{expiry}")
        moves = np.array([0, 1 / 3, -1 / 3, 2 / 3, -2 / 3, 1, -1]).repeat(2)
        expected = np.append(moves, [0.7, -0.7]) * -share * forward * 50
        np.testing.assert_allclose(small_span.own.losses[row], expected, atol=1e-6)
        assert small_span.own.series["composite_delta"][row] == 1.0


def test_put_call_parity_holds_at_every_scan_point(small, small_span):
    strike, years = 17500.0, (NEAR - AS_OF).days / 365
    call, put = (row_of(small, small_span, option_code(right, strike, NEAR)) for right in "CP")
    share, weight = range_of(small_span, "HSI"), small_span.own.scan_points["weight"].to_numpy()
    moved = FORWARDS[NEAR] * (1 + share * small_span.own.scan_points["price_move"].to_numpy())
    now = np.exp(-RATE * years) * (FORWARDS[NEAR] - strike)
    later = np.exp(-RATE * (years - 1 / 365)) * (moved - strike)
    losses = small_span.own.losses[call] - small_span.own.losses[put]
    np.testing.assert_allclose(losses, 50 * weight * (now - later), atol=1e-6)


def test_extreme_points_follow_the_rules(small):
    span = market_span(small, scenario_set(), NO_WEIGHTS, rules=MarketSpanRules(**QUIET))
    losses = span.own.losses[row_of(small, span, f"HSI.F.{NEAR}")]
    np.testing.assert_allclose(losses[14:], losses[[10, 12]] * 0.99, rtol=1e-12)


def test_decay_and_precision_are_spans_own_and_the_smile_is_the_users(small, small_span):
    same = RevaluationSettings(precision="float32", decay_days=9.0, volatility_response=5.0)
    again = market_span(small, scenario_set(), NO_WEIGHTS, revaluation=same)
    assert again.own.content_hash == small_span.own.content_hash
    delta = market_span(small, scenario_set(), NO_WEIGHTS, revaluation=RevaluationSettings(smile="delta"))
    assert delta.own.content_hash != small_span.own.content_hash


def test_any_number_of_threads_gives_the_same_bytes(small, small_span):
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        alone = market_span(small, scenario_set(), NO_WEIGHTS)
    finally:
        numba.set_num_threads(threads)
    assert alone.linked.content_hash == small_span.linked.content_hash
    assert alone.own.losses.tobytes() == small_span.own.losses.tobytes()


@pytest.fixture(scope="module")
def synthetic():
    market = synthetic_market(seed=13, size=MarketSize(stocks=12, option_classes=4, years=5))
    day = market["prices"]["date"].max()
    parts = (*parts_of_method("historical"),)
    scenarios = build_scenarios(market, day, ScenarioSettings(parts=parts))
    return make_snapshot(market, day), scenarios


@pytest.fixture(scope="module")
def synthetic_span(synthetic):
    return market_span(*synthetic, fund_weights({"2800": "HSI", "2828": "HHI", "9800": "HSI"}))


def test_index_options_of_the_synthetic_market_are_those_of_black76(synthetic, synthetic_span):
    check_options(synthetic[0], synthetic_span, "european", ROUNDED, 2e-5)


def test_stock_options_are_those_of_a_tree(synthetic, synthetic_span):
    """Tolerance: the tree is within 1e-5 of the spot without dividends, and none is paid before these expire.

    Of deltas: 1e-4 as ``DELTA_BUMP`` says, and as much again that the tree of 900 steps misses at the boundary
    of early exercise (one of 200 misses 4e-4 there).
    """
    snapshot = synthetic[0]
    classes = snapshot.instruments.filter(pl.col("style") == "american")
    assert not snapshot.dividends.filter(
        pl.col("underlying").is_in(classes["underlying"].implode()),
        pl.col("ex_date") <= classes["expiry"].max(),
    ).height
    check_options(snapshot, synthetic_span, "american", 1e-5, 2e-4, every=10, steps=900)


# --- series, products, currencies --------------------------------------------------------------------


def test_a_mini_contract_counts_a_fifth(synthetic_span):
    series = synthetic_span.own.series
    large, mini = (one_row_of(series, "HSI", size)["delta_scaling"] for size in (50.0, 10.0))
    assert (large, mini) == (1.0, 0.2)


def one_row_of(series, commodity, size):
    futures = series.filter(commodity=commodity, product_type="FUT", contract_size=size)
    return futures.row(0, named=True)


def test_every_instrument_has_a_series_or_a_finding(synthetic, synthetic_span):
    snapshot = synthetic[0]
    out = snapshot.instruments["instrument"].filter(pl.Series(synthetic_span.series < 0))
    assert set(out) <= set(synthetic_span.findings["subject"])
    held = synthetic_span.series[synthetic_span.series >= 0]
    assert np.array_equal(np.sort(held), np.arange(len(synthetic_span.own.series)))


def test_what_cannot_be_margined_is_found_and_not_lost(small):
    factors = (RiskFactor("spot", "0005"), RiskFactor("spot", "USETF"))
    span = market_span(small, scenario_set(factors=factors), NO_WEIGHTS)
    assert (span.series >= 0).sum() == 2
    found = span.findings.filter(kind="no scenarios of the underlying")
    assert len(found) == len(small.instruments) - 2
    assert one_row(span.findings, subject="USETF")["kind"] == "no scenarios of the exchange rate"


def test_an_option_of_the_cash_house_is_no_product_of_it():
    given = tables()
    given["instruments"]["house"][0] = "HKSCC"
    snapshot = make_snapshot(make_market(given, name="small"), AS_OF)
    span = market_span(snapshot, scenario_set(), NO_WEIGHTS)
    assert (
        one_row(span.findings, kind="not a product of its house")["subject"]
        == given["instruments"]["instrument"][0]
    )


def test_two_instruments_of_equal_terms_are_two_series():
    given = tables()
    at = given["instruments"]["instrument"].index(f"HSI.F.{NEAR}")
    for column in given["instruments"].values():
        column.append(column[at])
    given["instruments"]["instrument"][-1] = "AGAIN"
    given["marks"]["date"].append(AS_OF)
    given["marks"]["instrument"].append("AGAIN")
    given["marks"]["price"].append(FORWARDS[NEAR])
    snapshot = make_snapshot(make_market(given, name="small"), AS_OF)
    span = market_span(snapshot, scenario_set(), NO_WEIGHTS)
    rows = [row_of(snapshot, span, name) for name in ("AGAIN", f"HSI.F.{NEAR}")]
    assert span.own.series["product"][rows[0]] != span.own.series["product"][rows[1]]
    assert np.array_equal(*span.own.losses[rows])


def test_a_share_in_dollars_moves_with_its_exchange_rate_and_is_called_in_the_markets_currency(
    small_span,
):
    scenarios = scenario_set()
    spot, exchange = (
        scenarios.moves[:60, scenarios.columns[code]] for code in ("spot:USETF", "exchange_rate:USD")
    )
    share = scan_range((1 + spot) * (1 + exchange) - 1, RULES)
    assert range_of(small_span, "USETF") == share
    positions = {"product": ["USETF"], "expiry": [""], "quantity": [300], "product_type": ["PHY"]}
    positions = pl.DataFrame(positions)
    total = span_margin(positions, small_span.own).total
    assert set(total) == {"HKD"}
    assert float(total["HKD"]) == pytest.approx(300 * 40.0 * 7.8 * share, abs=0.006)


def test_options_are_paid_up_front_unless_the_rules_say_so(small, small_span):
    assert set(small_span.own.series.filter(pl.col("right") != "")["option_style"]) == {"premium"}
    daily = market_span(small, scenario_set(), NO_WEIGHTS, rules=MarketSpanRules(marked_daily=("HKCC",)))
    assert set(daily.own.series["option_style"]) == {"futures"}
    assert one_row(daily.own.commodities, commodity="HSI")["option_style"] == "futures"


def test_short_option_minimum_and_charges_are_shares_of_the_scan_range(small_span):
    money = range_of(small_span, "HSI") * 17651.15 * 50
    commodity = one_row(small_span.own.commodities, commodity="HSI")
    assert commodity["short_option_minimum"] == pytest.approx(0.05 * money)
    charges = small_span.own.intra_spreads.filter(commodity="HSI")["charge"]
    assert charges.to_list() == pytest.approx([0.05 * money, 0.25 * money])


def test_scenarios_of_another_day_or_horizon_are_refused(small):
    scenarios = scenario_set()
    fields = {
        name: getattr(scenarios, name)
        for name in ("factors", "moves", "labels", "parts", "method", "settings", "input_hash")
    }
    other = ScenarioSet(as_of=AS_OF + timedelta(days=1), horizon_days=2, **fields)
    with pytest.raises(InputError) as refused:
        market_span(small, other, NO_WEIGHTS)
    assert {record.field for record in refused.value.records} == {"as_of", "horizon_days"}
    two_days = ScenarioSet(as_of=AS_OF, horizon_days=2, **fields)
    assert (
        market_span(small, two_days, NO_WEIGHTS, rules=MarketSpanRules(horizon_days=2)).own.business_date
        == AS_OF
    )


def test_a_market_of_which_nothing_moves_is_refused(small):
    with pytest.raises(InputError, match="at least one instrument"):
        market_span(small, scenario_set(factors=(RiskFactor("spot", "0006"),)), NO_WEIGHTS)


@pytest.mark.parametrize("kinds", [("equity", "etf"), ("future",), ("option",)])
def test_a_market_of_some_kinds_only(kinds):
    """No options: no revaluation; no derivatives: no spreads; no futures: forwards from parity."""
    given = tables()
    instruments = pl.DataFrame(given["instruments"]).filter(pl.col("kind").is_in(kinds))
    marks = pl.DataFrame(given["marks"]).filter(
        pl.col("instrument").is_in(instruments["instrument"].implode())
    )
    market = make_market(given | {"instruments": instruments, "marks": marks}, name="some")
    span = market_span(make_snapshot(market, AS_OF), scenario_set(), NO_WEIGHTS)
    assert len(span.own.series) == len(instruments)
    assert len(span.own.intra_spreads) == (0 if "equity" in kinds else 2)
    assert len(span.conversion) == (2 if "equity" in kinds else 0)


def test_options_without_any_volatility_are_left_out():
    given = tables(futures=False)
    given["marks"]["price"] = [0.0] * len(given["marks"]["price"])  # no price gives a volatility
    snapshot = make_snapshot(make_market(given, name="small"), AS_OF)
    span = market_span(snapshot, scenario_set(), NO_WEIGHTS)
    assert span.own.series["product_type"].unique().to_list() == ["PHY"]
    found = span.findings.filter(kind="neither volatility nor forward")
    assert len(found) == len(given["marks"]["price"])


# --- proxies, spreads --------------------------------------------------------------------------------


def test_a_fund_stands_in_its_index_and_pays_for_what_they_come_apart():
    scenarios = correlated_scenarios()
    span = market_span(linked_market(), scenarios, fund_weights({FUND: "HSI"}))
    fund, stock = (one_row(span.conversion, instrument=name) for name in (FUND, "0005"))
    own, index = (scenarios.moves[:, scenarios.columns[f"spot:{name}"]] for name in (FUND, "HSI"))
    assert (fund["commodity"], stock["commodity"]) == ("HSI", "0005")
    assert fund["basis_charge"] == residual_shortfall(own, index, TWO_PARTS, "0.997") > 0.003
    assert fund["factor"] == pytest.approx(17.9 / (17651.15 * 50), rel=1e-12)
    assert (stock["basis_charge"], stock["factor"]) == (0.0, 1 / 400)


@pytest.mark.parametrize("weights", [NO_WEIGHTS, fund_weights({FUND: "0006"})])
def test_a_fund_without_an_index_stands_by_itself(weights):
    span = market_span(linked_market(), correlated_scenarios(), weights)
    assert one_row(span.conversion, instrument=FUND)["commodity"] == FUND


def test_a_fund_that_moves_unlike_its_index_stands_by_itself_and_is_found():
    span = market_span(linked_market(), correlated_scenarios(fund_noise=0.05), fund_weights({FUND: "HSI"}))
    assert one_row(span.conversion, instrument=FUND)["commodity"] == FUND
    assert one_row(span.findings, subject=FUND)["action"] == "a commodity of its own"


def test_a_fund_with_options_stands_in_its_own_class():
    span = market_span(linked_market(fund_options=True), correlated_scenarios(), fund_weights({FUND: "HSI"}))
    fund = one_row(span.conversion, instrument=FUND)
    assert (fund["commodity"], fund["basis_charge"]) == (FUND, 0.0)
    assert one_row(span.credits, other=FUND, commodity="HSI")["rate"] >= 0.85


def test_today_one_house_credits_its_indices_and_linked_houses_the_stocks_too():
    span = market_span(linked_market(), correlated_scenarios(), NO_WEIGHTS)
    pairs = span.credits.select("commodity", "other", "own").rows()
    assert pairs == [("HSI", SECOND, True), ("HSI", "0005", False), (SECOND, "0005", False)]
    assert len(span.own.inter_spreads) == 1
    assert span.linked.inter_spreads["rate"].to_list() == span.credits["rate"].to_list()


def test_legs_of_a_credit_have_equal_scan_ranges():
    span = market_span(linked_market(), correlated_scenarios(), NO_WEIGHTS)
    ranges = span.scan_ranges.with_columns(money=pl.col("price_scan_range") * pl.col("delta_value"))
    legs = span.linked.inter_legs.join(ranges, on="commodity")
    sides = legs.sort("spread", "leg").select(pl.col("ratio") * pl.col("money")).to_series().to_numpy()
    np.testing.assert_allclose(sides[0::2], sides[1::2], rtol=1e-9)


def test_no_credit_where_the_correlation_fails_in_one_part():
    scenarios = correlated_scenarios()
    moves = scenarios.moves.copy()
    moves[600:, scenarios.columns["spot:0005"]] *= -1.0
    turned = ScenarioSet(
        **{
            name: getattr(scenarios, name) for name in ("as_of", "horizon_days", "factors", "labels", "parts")
        },
        moves=moves,
        method="",
        settings=(),
        input_hash="",
    )
    span = market_span(linked_market(), turned, NO_WEIGHTS)
    assert span.credits["other"].to_list() == [SECOND]


def test_a_fully_matched_spread_earns_its_rate_on_both_legs():
    """One delta of HSI against so many of the second index that their scan ranges are equal."""
    span = market_span(linked_market(), correlated_scenarios(), NO_WEIGHTS)
    rate, ratio = span.own.inter_spreads["rate"][0], span.own.inter_legs["ratio"][1]
    parts = span.own.inter_legs.to_dicts()
    assert [leg["commodity"] for leg in parts] == ["HSI", SECOND]
    risks = {
        row["commodity"]: row["price_scan_range"] * row["delta_value"] for row in span.scan_ranges.to_dicts()
    }
    count = 1000
    short = round(count * ratio)
    positions = pl.DataFrame(
        {
            "product": ["HSI", SECOND],
            "expiry": [NEAR.strftime("%Y%m%d")] * 2,
            "product_type": ["FUT"] * 2,
            "quantity": [count, -short],
        }
    )
    total = float(span_margin(positions, span.own).total["HKD"])
    # the marks of the futures are up to 0.3% off the spots from which a delta's range is taken
    expected = (count * risks["HSI"] + short * risks[SECOND]) * (1 - rate)
    assert total == pytest.approx(expected, rel=0.02)
