"""Constructed option arrays: a hand-made case, worked outside this project with Black's formula.

The case: future at 20,000, thirty days, volatility 20%, scan ranges of 1,500 points and 5 volatility points,
lookahead one day, no interest, extremes of twice the range at 35%, HK$50 a point. Arrays are compared to
the dollar, prices and deltas to the four decimals that the table prints: no tolerance but the rounding.
"""

from __future__ import annotations

import numpy as np
import pytest

from crossmargin.kernels.black76 import black76_price_delta
from crossmargin.models.span.risk_arrays import black76_losses, futures_losses

TERMS = {
    "prices": 20_000.0,
    "volatilities": 0.20,
    "years": 30 / 365,
    "price_scan_ranges": 1500.0,
    "volatility_scan_ranges": 0.05,
    "contract_sizes": 50.0,
}
IS_CALL = np.array([True, True, False, True])
STRIKES = np.array([20_000.0, 21_000.0, 19_000.0, 24_000.0])
PRICES = [457.4301, 128.9808, 113.3468, 0.2507]
DELTAS = [0.5067, 0.2373, -0.2167]

# future, C20000, C21000, P19000
TABLE = np.array(
    [
        [0, -5235, -3998, -3688],
        [0, 6005, 3780, 3417],
        [-25000, -19815, -11900, 689],
        [-25000, -9537, -1317, 5068],
        [25000, 5844, 1072, -10702],
        [25000, 15817, 5762, -1037],
        [-50000, -37576, -23063, 3201],
        [-50000, -29797, -11261, 5541],
        [50000, 13517, 3982, -21034],
        [50000, 20622, 6322, -10356],
        [-75000, -57915, -37563, 4528],
        [-75000, -52910, -26677, 5646],
        [75000, 18281, 5455, -35047],
        [75000, 22352, 6433, -25689],
        [-52500, -44540, -33231, 1982],
        [52500, 7995, 2257, -33178],
    ]
)
FAR_CALL = [-105, 12, -331, 11, -23, 13, -873, 2, 4, 13, -2025, -57, 11, 13, -3009, 4]


@pytest.fixture(scope="module")
def options():
    return black76_losses(IS_CALL, STRIKES, **TERMS, rates=0.0)


def test_sixteen_losses_of_the_future_to_the_dollar_constructed():
    arrays = futures_losses(1500.0, 50.0)
    assert np.rint(arrays.losses[0]).tolist() == TABLE[:, 0].tolist()
    assert arrays.composite_delta.tolist() == [1.0]


@pytest.mark.parametrize("option", [0, 1, 2])
def test_sixteen_losses_of_the_options_to_the_dollar_constructed(options, option):
    assert np.rint(options.losses[option]).tolist() == TABLE[:, option + 1].tolist()


def test_sixteen_losses_of_the_far_call_to_the_dollar_constructed(options):
    assert np.rint(options.losses[3]).tolist() == FAR_CALL


def test_an_extreme_scenario_is_the_worst_of_a_short_far_call_constructed(options):
    assert int(np.argmax(-options.losses[3])) + 1 == 15


@pytest.mark.parametrize("option", range(4))
def test_prices_to_four_decimals_constructed(option):
    side = 1.0 if IS_CALL[option] else -1.0
    price, _ = black76_price_delta(side, 20_000.0, STRIKES[option], 0.20, 30 / 365, 0.0)
    assert round(price, 4) == PRICES[option]


def test_composite_deltas_to_four_decimals_constructed(options):
    assert [round(delta, 4) for delta in options.composite_delta[:3].tolist()] == DELTAS


def test_scan_risks_of_small_books_constructed(options):
    future = futures_losses(1500.0, 50.0).losses[0]
    call, further, put, _ = options.losses
    books = {"short call": -call, "long call": call, "strangle": -further - put, "covered": future - further}
    found = {name: (round(float(book.max())), int(book.argmax()) + 1) for name, book in books.items()}
    assert found == {
        "short call": (57_915, 11),
        "long call": (22_352, 14),
        "strangle": (33_035, 11),
        "covered": (69_545, 13),
    }
