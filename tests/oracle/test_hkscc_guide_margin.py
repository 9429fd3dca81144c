"""The worked example of the HKSCC guide, from files to the total, to the dollar.

Source: HKEX, HKSCC – VaR Platform, Initial Margin Calculation Guide, version 1.4, October 2025, §3.2 and §4.1.
Every expected number is printed there; amounts to the dollar, tail means to two decimals.
"""

from __future__ import annotations

from decimal import Decimal

import hkscc_guide
import numpy as np
import polars as pl
import pytest
from hkscc_guide import needs_guide

from crossmargin import HksccMargin, hkscc_margin, read_marginable_positions, read_participant, read_rpf01
from crossmargin.kernels.portfolio_tails import scenario_pnl

pytestmark = needs_guide


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return hkscc_guide.write_files(tmp_path_factory.mktemp("guide"))


@pytest.fixture(scope="module")
def parameters(files):
    return read_rpf01(files["rpf"])


def margin(files, parameters, extra: str = "") -> HksccMargin:
    files["participant"].write_text(hkscc_guide.PARTICIPANT + extra)
    participant = read_participant(files["participant"], parameters.valuation_date)
    return hkscc_margin(read_marginable_positions(files["positions"]), parameters, participant)


@pytest.fixture(scope="module")
def computed(files, parameters):
    return margin(files, parameters)


@pytest.mark.parametrize(
    ("field_type", "portfolio", "printed"),
    [
        (1, "1876", 33_384),
        (1, "3690", 85_687),
        (1, "700", -5_085_118),  # one table of the guide prints -5,805,118: a slip
        (2, "1876", 121_848),
        (2, "3690", 312_746),
        (2, "700", -15_321_092),
    ],
)
def test_scenario_1_profit_and_loss_3_2_1(parameters, field_type, portfolio, printed):
    names = hkscc_guide.PORTFOLIOS[portfolio]
    values = np.array([float(hkscc_guide.market_values()[name]) for name in names])
    pnl = scenario_pnl(parameters.rows(pl.Series(names))["returns"], values, parameters.returns, True)
    first = 0 if field_type == 1 else parameters.historical.scenario_count
    assert pnl[first] == printed
    assert pnl[first : first + 10].tolist() == hkscc_guide.excerpt_pnl(field_type, portfolio)


@pytest.mark.parametrize(
    ("portfolio", "name"),
    [("1876", "IPO stock 1876"), ("3690", "IPO stock 3690"), ("700", "all other Tier P instruments")],
)
def test_tail_means_3_2_1(computed, portfolio, name):
    facts = {fact.label: fact.value for fact in computed.breakdown.find(name).facts}
    historical = facts["HVaR, mean of the 6 worst of 1,000, HKD"]
    stressed = facts["SVaR, mean of the 21 worst of 1,018, HKD"]
    cent = Decimal("0.01")
    assert Decimal(historical).quantize(cent) == Decimal(hkscc_guide.TAIL_MEANS[1][portfolio])
    assert Decimal(stressed).quantize(cent) == Decimal(hkscc_guide.TAIL_MEANS[2][portfolio])
    assert len(facts["HVaR tail"]) == 6
    assert len(facts["SVaR tail"]) == 21


@pytest.mark.parametrize(
    ("component", "printed"),
    [
        ("IPO stock 1876", "11543.70"),
        ("IPO stock 3690", "29628.67"),
        ("all other Tier P instruments", "7632410.58"),  # the guide cut its means first and prints .59
        ("portfolio margin", 10_000_000),
        ("flat rate margin", 15_180_000),
        ("instrument-level liquidation add-on", 176_827),
        ("portfolio-level liquidation add-on", 90_038),
        ("liquidation risk add-on", 266_865),
        ("structured-product add-on", 550_000),
        ("corporate-action position margin", 2_500_000),
        ("position DSP700", 2_000_000),
        ("position DIV1299", 0),
        ("position SRI3606", 500_000),
        ("holiday add-on", 18_433_039),
        ("rounding up", 96),
        ("favourable mark-to-market", 0),
        ("margin credit", -5_000_000),
        ("net margin after credit", 41_930_000),
        ("mark-to-market requirement", 12_700_000),
        ("position-limit add-on", 487_169),  # §4.1 prints 487,332, which its own factors do not make
        ("credit-risk add-on", 12_000_000),
        ("ad-hoc add-on", 600_000),
        ("total MTM and margin requirement", 67_717_169),
    ],
)
def test_components_3_2(computed, component, printed):
    assert computed.amount(component) == Decimal(printed)


@pytest.mark.parametrize(
    ("component", "label", "printed"),
    [
        ("portfolio margin", "gross short market value, HKD", 400_000_000),
        ("portfolio margin", "floor, HKD", 10_000_000),
        (
            "portfolio-level liquidation add-on",
            "sum of delta-equivalent market value × beta, HKD",
            -295_018_840,
        ),
        ("group 700", "delta-equivalent market value, HKD", -380_376_000),
        ("net margin after credit", "aggregate margin, rounded up, HKD", 46_930_000),
        ("position-limit add-on", "net market value, HKD", 300_550_000),
        ("position-limit add-on", "charges rounded up, HKD", 28_500_000),
    ],
)
def test_intermediate_numbers_3_2(computed, component, label, printed):
    facts = {fact.label: fact.value for fact in computed.breakdown.find(component).facts}
    assert facts[label] == pytest.approx(printed, abs=0.005)  # the guide prints whole dollars


def test_delta_equivalent_market_values_3_2_3(computed):
    (fact,) = computed.breakdown.find("instrument-level liquidation add-on").facts
    printed = {
        "700": -380_376_000,
        "1299": 4_199_600,
        "1876": 3_000_000,
        "2823": 30_000_000,
        "3690": 7_000_000,
    }
    assert {row[0]: round(row[1]) for row in fact.value} == printed


def test_what_was_binding_3_2(computed):
    found = {
        name: computed.breakdown.find(name).binding for name in ("portfolio margin", "sub-margin group 0.12")
    }
    assert found == {"portfolio margin": "floor", "sub-margin group 0.12": "short side"}


def test_total_with_the_reported_position_limit_addon_3_2_7(files, parameters):
    reported = margin(files, parameters, "position_limit_addon_reported = 487_332\n")
    assert reported.total == 67_717_332
    assert reported.amount("position-limit add-on") == 487_332


def test_guarantee_fund_collateral_is_outside_the_total_4_2(files, parameters, computed):
    text = hkscc_guide.PARTICIPANT.replace(
        "uncollateralised_loss = 0", "uncollateralised_loss = 3_750_000_000"
    )
    files["participant"].write_text(text)
    participant = read_participant(files["participant"], parameters.valuation_date)
    result = hkscc_margin(read_marginable_positions(files["positions"]), parameters, participant)
    assert result.guarantee_fund_collateral.value == 100_000_000
    assert result.total == computed.total


def test_the_cap_on_liquid_capital_binds_where_it_is_in_force_4_1(files, parameters):
    capped = margin(
        files, parameters, "liquid_capital_cap = 270_000_000\nliquid_capital_cap_in_force = true\n"
    )
    # 30,550,000 / 300,550,000 x 28,500,000 x 25%, by hand: 724,234.7
    assert capped.amount("position-limit add-on") == 724_235
    assert capped.breakdown.find("position-limit add-on").binding == "cap on liquid capital"


def changed(files, parameters, old: str, new: str) -> HksccMargin:
    """Margin the worked example with one setting changed."""
    assert old in hkscc_guide.PARTICIPANT
    files["participant"].write_text(hkscc_guide.PARTICIPANT.replace(old, new))
    participant = read_participant(files["participant"], parameters.valuation_date)
    return hkscc_margin(read_marginable_positions(files["positions"]), parameters, participant)


def test_portfolio_margin_is_rounded_to_the_nearest_integer_3_2_1(files, parameters):
    # without the floor: 11,543.70 + 29,628.67 + 7,632,410.58 = 7,673,582.95
    unfloored = changed(
        files, parameters, "portfolio_margin_floor_rate = 0.025", "portfolio_margin_floor_rate = 0"
    )
    assert unfloored.amount("portfolio margin") == 7_673_583
    assert unfloored.breakdown.find("portfolio margin").binding == "expected shortfall"


def test_position_limit_rate_is_one_more_where_no_net_margin_is_left_4_1(files, parameters):
    # 20,550,000 / 300,550,000 x 28,500,000 x 125%, by hand: 2,435,846.8
    covered = changed(files, parameters, "margin_credit = 5_000_000", "margin_credit = 60_000_000")
    assert covered.amount("net margin after credit") == 0
    assert covered.amount("position-limit add-on") == 2_435_847
