"""The synthetic market is what it says: reproducible, readable, marginable and of realistic size."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from crossmargin.formats.hkscc.rpf01 import read_rpf01
from crossmargin.formats.hkscc.rpf01_writer import write_rpf01
from crossmargin.models.hkscc.margin import hkscc_margins
from crossmargin.models.hkscc.parameters import TABLE_SCHEMAS
from crossmargin.models.hkscc.participant import HksccParticipant
from crossmargin.models.hkscc.synthetic import (
    PERIODS_A_YEAR,
    STRESS_WIDTH,
    synthetic_parameters,
    synthetic_positions,
)

DAY = date(2026, 6, 30)
STOCKS = 300
SETTINGS = HksccParticipant(
    portfolio_margin_floor_rate=0.032,
    margin_credit=5e6,
    hedging_instrument="2800",
    minimum_tick=0.001,
    guarantee_fund_predefined_limit=3.65e9,
)


def make_market(seed=11):
    return synthetic_parameters(seed, STOCKS, 500, 60, DAY, 400, 300)


@pytest.fixture(scope="module")
def market():
    return make_market()


@pytest.fixture(scope="module")
def positions(market):
    return synthetic_positions(5, market, 20, 120)


def test_same_seed_same_bytes(market, positions):
    again = make_market()
    assert again.content_hash == market.content_hash
    assert again.returns.tobytes() == market.returns.tobytes()
    assert_frame_equal(synthetic_positions(5, again, 20, 120), positions, check_exact=True)


def test_another_seed_is_another_market(market, positions):
    other = make_market(12)
    assert other.content_hash != market.content_hash
    assert not np.array_equal(other.returns, market.returns)
    assert not synthetic_positions(6, market, 20, 120).equals(positions)


@pytest.mark.parametrize("size", [(STOCKS, 500, 60, 400, 300), (2, 0, 0, 10, 7), (3, 5, 1, 1, 1)])
def test_writing_and_reading_change_nothing(tmp_path, size):
    stocks, products, tier_n, *counts = size
    made = synthetic_parameters(3, stocks, products, tier_n, DAY, *counts, holiday_factor=0.4142135624)
    write_rpf01(made, tmp_path / "RPF01.csv")
    read = read_rpf01(tmp_path / "RPF01.csv")
    assert read.content_hash == made.content_hash
    assert read.returns.tobytes() == made.returns.tobytes()
    for name in TABLE_SCHEMAS:
        assert_frame_equal(read.table(name), made.table(name), check_exact=True)


def test_every_position_is_margined(market, positions):
    names = positions["participant"].unique(maintain_order=True)
    margins = hkscc_margins(positions, market, dict.fromkeys(names, SETTINGS))
    assert len(margins.book.owner) == len(positions) == 20 * 120
    for component in (
        "portfolio_margin",
        "flat_rate_margin",
        "structured_product_addon",
        "corporate_action_margin",
        "total",
    ):
        assert margins.amount(component).sum() > 0, component
    assert (margins.amount("portfolio_margin") > 0).all()


def test_everything_that_can_be_held_is_margined(market):
    count = sum(len(market.table(name)) for name in TABLE_SCHEMAS if name != "tick")
    positions = synthetic_positions(1, market, 1, count)
    assert positions["instrument"].is_unique().all()
    margins = hkscc_margins(positions, market, {"P0001": SETTINGS})
    assert len(margins.book.owner) == count
    assert margins.of("P0001").total > 0


def test_positions_are_whole_lots_at_one_price(positions):
    held = positions.filter(pl.col("quantity") != 0)
    assert (held["quantity"] % 100 == 0).all()
    prices = held.with_columns(price=pl.col("market_value") / pl.col("quantity"))
    spread = prices.group_by("instrument").agg(pl.col("price").max() - pl.col("price").min())["price"]
    assert spread.max() < 1e-4  # half a cent on a lot of 100
    bought = held.filter(~pl.col("instrument").str.contains("^(DSP|SRI)"))
    assert ((bought["contract_value"] / bought["market_value"] - 1).abs() < 0.0501).all()
    assert (positions["market_value"] == positions["market_value"].round(2)).all()
    assert {"DSP", "SRI", "DIV"} <= set(positions["instrument"].str.head(3))
    assert positions.filter(pl.col("instrument").str.starts_with("DIV"))["quantity"].eq(0).all()


def test_sizes_have_heavy_tails_on_both_sides(positions):
    size = positions["market_value"].abs()
    assert size.sort(descending=True).head(len(size) // 10).sum() > 0.5 * size.sum()
    short_share = (positions["quantity"] < 0).mean()
    assert 0.3 < short_share < 0.6


def test_the_hedging_instrument_is_the_market(market):
    funds = market.liquidation.filter(pl.col("instrument").is_in(["2800", "2828"]))
    assert len(funds) == 2
    assert funds.filter(pl.col("instrument") == "2800")["beta"].item() == 1.0


def test_volatility_and_correlation(market):
    historical, stressed = np.split(market.returns[:STOCKS], [market.historical.scenario_count], axis=1)
    volatility = historical.std(axis=1) * np.sqrt(PERIODS_A_YEAR)
    assert 0.30 < np.median(volatility) < 0.40
    correlation = np.corrcoef(historical)
    assert 0.28 < (correlation.sum() - STOCKS) / (STOCKS * (STOCKS - 1)) < 0.42
    width = np.median(stressed.std(axis=1) / historical.std(axis=1))
    assert width == pytest.approx(STRESS_WIDTH, rel=0.15)
    fourth = ((historical - historical.mean(axis=1, keepdims=True)) ** 4).mean(axis=1)
    assert np.median(fourth / historical.var(axis=1) ** 2) > 3.5  # a normal has 3


def test_a_structured_product_loses_no_more_than_all(market):
    products = market.returns[STOCKS:]
    assert products.min() >= -1
    assert (products == -1).any()


def test_a_warrant_moves_with_its_underlying(market):
    rows = market.rows(market.structured_product["underlying"])["returns"]
    products, underlyings = market.returns[STOCKS:, :400], market.returns[rows, :400]
    sides = np.sign(market.structured_product["delta"].to_numpy())
    correlations = [
        side * np.corrcoef(*pair)[0, 1] for side, *pair in zip(sides, products, underlyings, strict=True)
    ]
    assert np.median(correlations) > 0.8
