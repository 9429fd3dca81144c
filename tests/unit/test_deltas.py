"""Cash deltas against Black's formula, and against what a holding is worth."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from index_market import (
    AS_OF,
    FORWARDS,
    NEAR,
    RATE,
    index_market,
    option_code,
    options,
    smile,
    tables,
)
from scipy.stats import norm

from crossmargin.errors import InputError
from crossmargin.models.revaluation.deltas import cash_deltas
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.models.synthetic_market.market import synthetic_market


def named_deltas(market, **arguments):
    snapshot = make_snapshot(market, AS_OF)
    deltas = cash_deltas(snapshot, **arguments)
    return dict(zip(snapshot.instruments["instrument"], deltas.tolist(), strict=True))


def black_cash_delta(right, strike, expiry, multiplier=50.0):
    """e^(−rT) · N(±d₁) · forward · multiplier: a forward moves by as much, relatively, as its spot."""
    years, forward, volatility = (expiry - AS_OF).days / 365, FORWARDS[expiry], smile(strike, expiry)
    spread = volatility * math.sqrt(years)
    d1 = math.log(forward / strike) / spread + spread / 2
    sign = 1 if right == "C" else -1
    return math.exp(-RATE * years) * sign * norm.cdf(sign * d1) * forward * multiplier


def test_options_have_blacks_delta():
    deltas = named_deltas(index_market(), move=1e-4)
    for option in options():
        assert deltas[option_code(*option)] == pytest.approx(black_cash_delta(*option), rel=1e-5, abs=1e-3)


def test_the_usual_move_is_near_blacks_delta():
    deltas = named_deltas(index_market())
    scale = 50 * FORWARDS[NEAR]
    for option in options():
        assert abs(deltas[option_code(*option)] - black_cash_delta(*option)) < 0.005 * scale


def test_linear_instruments_have_their_value():
    deltas = named_deltas(index_market())
    for expiry, forward in FORWARDS.items():
        assert deltas[f"HSI.F.{expiry}"] == pytest.approx(50 * forward, rel=1e-12)
    assert deltas["0005"] == pytest.approx(65.2, rel=1e-12)
    assert deltas["USETF"] == pytest.approx(40 * 7.8, rel=1e-12)


def test_what_the_revaluation_leaves_out_has_none():
    marks = pl.DataFrame(tables()["marks"])
    unknown = [option_code(*option) for option in options()]
    impossible = pl.when(pl.col("instrument").is_in(unknown)).then(1e9).otherwise(pl.col("price"))
    deltas = named_deltas(index_market(marks=marks.with_columns(impossible.alias("price"))))
    assert sorted(name for name, delta in deltas.items() if delta == 0) == sorted(unknown)
    assert deltas["0005"] == pytest.approx(65.2)
    assert deltas["USETF"] == pytest.approx(312.0)


@pytest.mark.parametrize("move", [0.0, -0.01, 0.6, float("nan")])
def test_moves_that_are_no_moves_are_refused(move):
    with pytest.raises(InputError, match=r"from 1e-05 to 0\.5"):
        named_deltas(index_market(), move=move)


def test_american_options_and_the_same_bytes_again():
    market = synthetic_market(seed=1)
    day = market["prices"]["date"].max()
    snapshot = make_snapshot(market, day)
    deltas = cash_deltas(snapshot)
    assert deltas.tobytes() == cash_deltas(snapshot).tobytes()
    worth = pl.col("spot") * pl.col("multiplier") * pl.col("exchange_rate")
    table = snapshot.instruments.with_columns(share=pl.Series(deltas) / worth)
    share = table.filter(kind="option", style="american")
    assert len(share) > 100
    calls, puts = (share.filter(right=right)["share"].to_numpy() for right in "CP")
    assert np.all((calls > -1e-6) & (calls < 1.05))
    assert np.all((puts < 1e-6) & (puts > -1.05))
