"""Worst scenario losses of 6,852 BANKNIFTY options, from three SPAN files of NSE Clearing, 8 August 2025.

The extract gives per option the largest loss of one short unit, to the paisa, and a delta to four
decimals. It says neither the scan ranges nor the volatility, rate, time and lookahead behind them. They
follow from the numbers themselves:

- far in the money a worst loss is linear in the strike. Its slope is the interest on the strike over the
  lookahead, 0.00033; carried to a strike of 0 it is the scan range: 11.3% of spot, 17.7% for the one expiry
  beyond nine months (the raw values, 11.28% and 17.68%, still have that interest in them);
- the worst losses are smooth in the strike where the premiums are not, so that they do not come from
  volatilities implied by premiums. One volatility fits all strikes and expiries of a file;
- fitted to each of the 18 expiries by itself, every free parameter comes out the same: rate 6.09%,
  lookahead two days, volatility scan range five points absolute, time in calendar days from 7 August, the
  day before (with extremes at twice the range and 35%). Only the volatility differs from file to file.

The underlying is the spot, its forward grows at the interest rate. So the tolerance is not a percentage:
half a paisa of rounding in the file, and a tenth of that for the ninth decimal of the volatility and for
what the house may round on the way. The delta of the file is the plain delta of now, neither averaged
over the scan nor after the lookahead: it is checked against the kernel, to half its last digit.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from crossmargin.kernels.black76 import black76_values
from crossmargin.models.span.risk_arrays import ScanSettings, black76_losses

DATA = Path(os.environ.get("CROSSMARGIN_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
OPTIONS = DATA / "span" / "nse_banknifty_options_20250808_i1_i2_i3.csv"

pytestmark = pytest.mark.skipif(
    not OPTIONS.is_file(),
    reason="the BANKNIFTY extract of August 2025 is not here: set CROSSMARGIN_TEST_DATA to the data folder",
)

RATE = 0.0609
LOOKAHEAD_DAYS = 2
DAY_OF_PRICES = date(2025, 8, 7)
VOLATILITIES = {"20250808.i1": 0.18428349, "20250808.i2": 0.18400735, "20250808.i3": 0.18401821}
HALF_PAISA = 0.005
LAST_DIGITS = 0.0005


@pytest.fixture(scope="module")
def options():
    days = (pl.col("expiry") - DAY_OF_PRICES).dt.total_days()
    return pl.read_csv(OPTIONS, try_parse_dates=True).with_columns(
        years=days / 365,
        volatility=pl.col("snapshot").replace_strict(VOLATILITIES),
        scan_range=pl.col("spot_from_rpf") * pl.when(days > 274).then(0.177).otherwise(0.113),
    )


@pytest.fixture(scope="module")
def errors(options):
    column = {name: options[name].to_numpy() for name in options.columns}
    arrays = black76_losses(
        column["type"] == "C",
        column["strike"],
        column["spot_from_rpf"],
        column["volatility"],
        column["years"],
        column["scan_range"],
        0.05,
        1.0,
        rates=RATE,
        carry_rates=RATE,
        settings=ScanSettings(lookahead_years=LOOKAHEAD_DAYS / 365),
    )
    return np.abs((-arrays.losses).max(axis=1) - column["worst_RA_per_unit"])


def test_every_worst_loss_to_the_paisa_published(errors):
    assert errors.size == 6852
    assert errors.max() <= HALF_PAISA + LAST_DIGITS


def test_errors_are_those_of_rounding_alone_published(errors):
    """Rounding to a paisa spreads errors evenly up to half a paisa: median 0.0025, 95th percentile 0.00475."""
    assert np.median(errors) == pytest.approx(HALF_PAISA * 0.5, abs=2e-4)
    assert np.quantile(errors, 0.95) == pytest.approx(HALF_PAISA * 0.95, abs=2e-4)


def test_the_worst_loss_is_printed_alike_for_nearly_all_published(errors):
    """Those that round to another paisa are nearer to its edge than the last digits of the volatility."""
    assert (errors > HALF_PAISA).mean() < 0.005


def test_the_files_delta_is_the_plain_delta_of_now_published(options):
    spot, years = options["spot_from_rpf"].to_numpy(), options["years"].to_numpy()
    growth = np.exp(RATE * years)
    _, deltas = black76_values(
        np.where(options["type"].to_numpy() == "C", 1.0, -1.0),
        options["strike"].to_numpy(),
        years,
        np.full(len(options), RATE),
        (spot * growth)[:, None],
        options["volatility"].to_numpy()[:, None],
    )
    differences = np.abs(deltas[:, 0] * growth - options["delta_in_rpf"].to_numpy())
    assert differences.max() <= 0.00005 + 1e-9
