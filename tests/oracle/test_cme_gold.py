"""CME's published margins of COMEX gold, 12 September 2025, from the array of its risk parameter file.

Published: maintenance margin 16,000 of one contract, long or short; calendar spreads 300 and 1,000.
The data are read where they are and skipped elsewhere; they are not part of this project.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from crossmargin.models.span.margin import span_margins
from span_market import future, market, positions

DATA = Path(os.environ.get("CROSSMARGIN_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILE = DATA / "span" / "cme_gc_20250912.json"

pytestmark = pytest.mark.skipif(
    not FILE.is_file(), reason="CME's gold figures are not here: set CROSSMARGIN_TEST_DATA to the data folder"
)

NEAR, NEXT, FAR = "202509", "202510", "202606"


@pytest.fixture(scope="module")
def published():
    return json.loads(FILE.read_text())


@pytest.fixture(scope="module")
def parameters(published):
    losses = published["gc_202509_future"]["risk_array_long_1_contract_usd_loss_positive"]
    answers = published["answers"]
    charges = [
        answers["calendar_202509_vs_202510"]["intra_commodity_spread_charge_usd"],
        answers["calendar_202509_vs_202606"]["intra_commodity_spread_charge_usd"],
    ]
    months = (NEAR, NEXT, FAR)
    tier = {"commodity": "GC", "kind": "intra"}
    return market(
        [future("GC", month, losses) for month in months],
        {"GC": {"currency": "USD", "short_option_minimum": 35.0}},
        tiers=[tier | {"tier": i, "start": month, "end": month} for i, month in enumerate(months, start=1)],
        intra_spreads=[
            {"spread": i, "commodity": "GC", "kind": "tier", "priority": i, "charge": charge}
            for i, charge in enumerate(charges, start=1)
        ],
        intra_legs=[
            {"spread": spread, "leg": leg, "tier": tier_, "ratio": 1.0, "side": side}
            for spread, far in ((1, 2), (2, 3))
            for leg, (tier_, side) in enumerate([(1, "A"), (far, "B")], start=1)
        ],
    )


@pytest.mark.parametrize(("quantity", "answer"), [(1, "long"), (-1, "short")])
def test_published_outright_margin(published, parameters, quantity, answer):
    (row,) = span_margins(positions(("GC", NEAR, quantity)), parameters).to_frame().iter_rows(named=True)
    assert row["requirement"] == published["answers"][f"published_maintenance_{answer}_usd"] == 16_000


@pytest.mark.parametrize(("far", "charge"), [(NEXT, 300), (FAR, 1000)])
@pytest.mark.parametrize("side", [1, -1])
def test_published_spread_margin(parameters, far, charge, side):
    held = positions(("GC", NEAR, side), ("GC", far, -side))
    (row,) = span_margins(held, parameters).to_frame().iter_rows(named=True)
    assert (row["scan_risk"], row["intra_charge"], row["requirement"]) == (0, charge, charge)


def test_published_extreme_loss_is_a_third_of_three_scan_ranges(published):
    losses = published["gc_202509_future"]["risk_array_long_1_contract_usd_loss_positive"]
    assert losses[15] == pytest.approx(0.33 * 3 * 16_000)
