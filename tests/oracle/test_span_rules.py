"""Rules of SPAN that the published examples do not reach, on constructed markets worked by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from crossmargin import InputError, SpanSettings, span_margin, span_margins
from span_market import calendar_spread, future, future_losses, inter_spread, market, option, positions

MONTH, NEXT = "202601", "202602"


def amounts(held, parameters, settings=None) -> dict[str, dict]:
    frame = span_margins(positions(*held), parameters, settings).to_frame()
    return {row["commodity"]: row for row in frame.iter_rows(named=True)}


def two(rate: float, **more):
    """Two futures of scan range 1,000 and 600, and a spread of one against one."""
    series = [future("AAA", MONTH, future_losses(1000)), future("BBB", MONTH, future_losses(600))]
    return market(series, **inter_spread([("AAA", 1.0, "A"), ("BBB", 1.0, "B")], rate, **more))


def test_constructed_gross_by_side_scans_all_longs_and_all_shorts():
    # long 3 and short 2 of the same family, months apart: 3 × 1,000 + 2 × 1,000
    parameters = market([future("AAA", month, future_losses(1000)) for month in (MONTH, NEXT)])
    row = amounts(
        [("AAA", MONTH, 3), ("AAA", NEXT, -2)], parameters, SpanSettings(basis="gross", gross_scan="per_side")
    )
    assert row["AAA"]["risk_margin"] == 5000
    # a call that gains 400 where the future loses 1,000: longs together lose 600, contract by contract 1,000 + 100
    gains = [-loss * 0.4 if loss > 0 else 100.0 for loss in future_losses(1000)]
    hedged = market([future("AAA", MONTH, future_losses(1000)), option("AAA", MONTH, "P", 90.0, gains)])
    held = [("AAA", MONTH, 1), ("AAA", MONTH, "P", 90.0, 1)]
    by_side = amounts(held, hedged, SpanSettings(basis="gross", gross_scan="per_side"))
    by_contract = amounts(held, hedged, SpanSettings(basis="gross"))
    assert (by_side["AAA"]["risk_margin"], by_contract["AAA"]["risk_margin"]) == (600, 1100)


def test_constructed_legs_on_the_same_months_share_their_deltas():
    """A butterfly of 1 : 2 : 1 whose wings are one tier: four long wings make two of them, not four."""
    series = [future("AAA", month, future_losses(1000)) for month in (MONTH, NEXT)]
    tier = {"commodity": "AAA", "kind": "intra"}
    parameters = market(
        series,
        tiers=[
            tier | {"tier": i, "start": month, "end": month} for i, month in enumerate((MONTH, NEXT), start=1)
        ],
        intra_spreads=[{"spread": 1, "commodity": "AAA", "kind": "tier", "priority": 1, "charge": 70.0}],
        intra_legs=[
            {"spread": 1, "leg": leg, "tier": tier_, "ratio": ratio, "side": side}
            for leg, (tier_, ratio, side) in enumerate([(1, 1.0, "A"), (2, 2.0, "B"), (1, 1.0, "A")], start=1)
        ],
    )
    row = amounts([("AAA", MONTH, 4), ("AAA", NEXT, -9)], parameters)["AAA"]
    assert row["intra_charge"] == 2 * 70


def test_constructed_series_spreads_are_formed_before_tier_spreads():
    series = [future("AAA", month, future_losses(1000)) for month in (MONTH, NEXT)]
    tables = calendar_spread("AAA", 50.0)
    tables["intra_spreads"].append(
        {"spread": 2, "commodity": "AAA", "kind": "series", "priority": 9, "charge": 20.0}
    )
    tables["intra_legs"] += [
        {"spread": 2, "leg": leg, "month": month, "ratio": 1.0, "side": side}
        for leg, (month, side) in enumerate([(MONTH, "A"), (NEXT, "B")], start=1)
    ]
    row = amounts([("AAA", MONTH, 5), ("AAA", NEXT, -3)], market(series, **tables))["AAA"]
    assert row["intra_charge"] == 3 * 20  # nothing is left for the tier spread, though its priority is 1


def test_constructed_delivery_charge_in_spreads_and_outright():
    series = [future("AAA", month, future_losses(1000)) for month in (MONTH, NEXT)]
    spot = [{"commodity": "AAA", "month": MONTH, "in_spreads": 7.0, "outright": 30.0}]
    held = [("AAA", MONTH, 5), ("AAA", NEXT, -3)]
    parameters = market(series, spot_charges=spot, **calendar_spread("AAA", 50.0))
    assert amounts(held, parameters)["AAA"]["spot_charge"] == 3 * 7 + 2 * 30
    # gross: both sides of the delivery month at the outright rate, nothing nets
    both = [("AAA", MONTH, 5), ("AAA", MONTH, -2)]
    assert amounts(both, parameters, SpanSettings(basis="gross"))["AAA"]["spot_charge"] == 7 * 30
    without = market(
        series, {"AAA": {"spot_method": "none"}}, spot_charges=spot, **calendar_spread("AAA", 50.0)
    )
    assert amounts(held, without)["AAA"]["spot_charge"] == 0


def test_constructed_flat_credit_is_shared_by_the_legs():
    found = amounts([("AAA", MONTH, 4), ("BBB", MONTH, -3)], two(200.0, credit="flat"))
    assert [row["inter_credit"] for row in found.values()] == [300, 300]  # 3 spreads × 200 / 2


def test_constructed_tiered_spread_takes_the_price_risk_of_its_tier():
    """AAA's later month moves half as much: a spread on the near tier alone earns by the near month's risk."""
    series = [
        future("AAA", MONTH, future_losses(1000)),
        future("AAA", NEXT, future_losses(500)),
        future("BBB", MONTH, future_losses(600)),
    ]
    tables = inter_spread([("AAA", 1.0, "A"), ("BBB", 1.0, "B")], 0.5, method="tiered")
    tables["inter_legs"][0]["tier"] = 1
    tier = {"commodity": "AAA", "kind": "inter", "tier": 1, "start": MONTH, "end": MONTH}
    found = amounts(
        [("AAA", MONTH, 2), ("AAA", NEXT, 6), ("BBB", MONTH, -4)], market(series, tiers=[tier], **tables)
    )
    assert found["AAA"]["inter_credit"] == 2 * 1000 * Decimal(
        "0.5"
    )  # two near deltas, not eight of mean risk
    assert found["BBB"]["inter_credit"] == 2 * 600 * Decimal("0.5")


def test_constructed_per_leg_rates():
    tables = inter_spread([("AAA", 1.0, "A"), ("BBB", 1.0, "B")], 0.0)
    for leg, rate in zip(tables["inter_legs"], (0.8, 0.3), strict=True):
        leg["rate"] = rate
    series = [future("AAA", MONTH, future_losses(1000)), future("BBB", MONTH, future_losses(600))]
    found = amounts([("AAA", MONTH, 1), ("BBB", MONTH, -1)], market(series, **tables))
    assert [row["inter_credit"] for row in found.values()] == [800, 180]


@pytest.mark.parametrize(
    ("eligibility", "allowed"),
    [
        ("all", {"house", "non_segregated", "segregated"}),
        ("non_segregated", {"house", "non_segregated"}),
        ("house", {"house"}),
    ],
)
@pytest.mark.parametrize("origin", ["house", "non_segregated", "segregated"])
@pytest.mark.parametrize("method", ["delta", "scanning"])
def test_constructed_a_spread_forms_only_in_accounts_that_may(eligibility, allowed, origin, method):
    """Of two spreads the first has the higher rate and the eligibility; without it the second forms."""
    first = inter_spread([("AAA", 1.0, "A"), ("BBB", 1.0, "B")], 0.5, method=method, eligibility=eligibility)
    second = inter_spread([("AAA", 1.0, "A"), ("BBB", 1.0, "B")], 0.2, spread=2, priority=2)
    series = [future("AAA", MONTH, future_losses(1000)), future("BBB", MONTH, future_losses(600))]
    parameters = market(series, **{name: first[name] + second[name] for name in first})
    found = amounts([("AAA", MONTH, 1), ("BBB", MONTH, -1)], parameters, SpanSettings(account_origin=origin))
    # Flat gains at 0.5: 1,000 + 600 − (1,000 − 0.5 × 600) = 900, shared 1,000 : 600
    formed = [562.5, 337.5] if method == "scanning" else [500, 300]
    assert [row["inter_credit"] for row in found.values()] == (formed if origin in allowed else [200, 120])


def test_constructed_a_scanning_based_spread_uses_its_commodities_up():
    tables = inter_spread([("AAA", 1.0, "A"), ("BBB", 1.0, "B")], 1.0, method="scanning")
    later = inter_spread([("BBB", 1.0, "B"), ("CCC", 1.0, "A")], 0.9, spread=2, priority=2)
    joined = {name: tables[name] + later[name] for name in tables}
    series = [
        future(code, MONTH, future_losses(scan)) for code, scan in (("AAA", 1000), ("BBB", 600), ("CCC", 600))
    ]
    found = amounts([("AAA", MONTH, 1), ("BBB", MONTH, -1), ("CCC", MONTH, 1)], market(series, **joined))
    # 1,000 and 600 against each other at full gains leave 400: a saving of 1,200, shared 1,000 : 600
    assert [row["inter_credit"] for row in found.values()] == [750, 450, 0]


@pytest.mark.parametrize(("first", "charge", "credit"), [(True, 0, 2 * 500), (False, 2 * 50, 0)])
def test_constructed_a_super_spread_comes_before_the_calendar_spread(first, charge, credit):
    """Two short of the next month: whichever spread comes first has them. Price risk 1,000, rate 50%."""
    series = [
        *(future("AAA", month, future_losses(1000)) for month in (MONTH, NEXT)),
        future("BBB", MONTH, future_losses(600)),
    ]
    tables = inter_spread([("AAA", 1.0, "A"), ("BBB", 1.0, "B")], 0.5, method="tiered", first=first)
    tables["inter_legs"][0]["tier"] = 1
    calendar = calendar_spread("AAA", 50.0)
    calendar["tiers"].append({"commodity": "AAA", "kind": "inter", "tier": 1, "start": NEXT, "end": NEXT})
    held = [("AAA", MONTH, 5), ("AAA", NEXT, -2), ("BBB", MONTH, 2)]
    row = amounts(held, market(series, **tables, **calendar))["AAA"]
    assert (row["intra_charge"], row["inter_credit"]) == (charge, credit)


@pytest.mark.parametrize(("method", "minimum"), [("sum", 500), ("max", 300)])
def test_constructed_short_option_minimum_of_calls_and_puts(method, minimum):
    flat = [-1.0] * 16
    series = [option("AAA", MONTH, "C", 100.0, flat), option("AAA", MONTH, "P", 100.0, flat)]
    settings = {"AAA": {"short_option_minimum": 100.0, "som_method": method}}
    held = [("AAA", MONTH, "C", 100.0, -3), ("AAA", MONTH, "P", 100.0, -2)]
    assert amounts(held, market(series, settings))["AAA"]["risk_margin"] == minimum
    opposite = {"sum": "max", "max": "sum"}[method]
    chosen = amounts(held, market(series, settings), SpanSettings(som_method=opposite))
    assert chosen["AAA"]["risk_margin"] == {500: 300, 300: 500}[minimum]


def test_constructed_short_option_minimum_of_a_tier():
    flat = [-1.0] * 16
    series = [option("AAA", month, "C", 100.0, flat) for month in (MONTH, NEXT)]
    tier = {"commodity": "AAA", "kind": "som", "tier": 1, "start": NEXT, "end": NEXT, "rate": 40.0}
    parameters = market(series, {"AAA": {"short_option_minimum": 100.0}}, tiers=[tier])
    held = [("AAA", MONTH, "C", 100.0, -1), ("AAA", NEXT, "C", 100.0, -1)]
    assert amounts(held, parameters)["AAA"]["short_option_minimum"] == 140


@pytest.mark.parametrize(
    ("commodity", "settings", "totals"),
    [
        ({}, SpanSettings(), 400),  # 1,000 − 600: the surplus of one commodity helps the other
        ({"cap_option_value": True}, SpanSettings(), 1000),
        ({}, SpanSettings(total_floor="commodity"), 1000),
        ({}, SpanSettings(option_value="none"), 1100),
    ],
)
def test_constructed_floors_of_the_option_value(commodity, settings, totals):
    """Long options worth 700 with a risk of 100, beside a future with a risk of 1,000."""
    long = option(
        "OPT", MONTH, "C", 100.0, [100.0] * 16, price=7.0, contract_size=100.0, option_style="premium"
    )
    parameters = market([future("AAA", MONTH, future_losses(1000)), long], {"OPT": commodity})
    held = positions(("AAA", MONTH, 1), ("OPT", MONTH, "C", 100.0, 1))
    assert span_margin(held, parameters, settings).total == {"HKD": totals}


def test_constructed_adjustment_factor_and_initial_ratio_by_risk_class():
    factors = {"adjustment_speculator": 1.1, "initial_speculator": 1.35}
    parameters = market([future("AAA", MONTH, future_losses(1000))], {"AAA": factors})
    row = amounts([("AAA", MONTH, 1)], parameters, SpanSettings(risk_class="speculator"))["AAA"]
    assert (row["risk_margin"], row["initial_risk_margin"]) == (1100, 1485)


def test_constructed_arrays_in_another_currency_are_converted():
    product = {"exchange": "HKF", "product": "CUS", "product_type": "FUT", "name": "", "commodity": "CUS", "currency": "CNH", "contract_size": 1.0, "option_style": "futures"}  # fmt: skip
    rates = [{"currency": "CNH", "to_currency": "HKD", "multiplier": 1.1}]
    series = [future("CUS", MONTH, future_losses(1000))]
    converted = market(series, products=[product], currency_rates=rates)
    assert amounts([("CUS", MONTH, 1)], converted)["CUS"]["risk_margin"] == 1100
    with pytest.raises(InputError, match="CNH to HKD"):
        amounts([("CUS", MONTH, 1)], replace(converted, currency_rates=converted.currency_rates.clear()))


def test_constructed_price_risk_bounded_by_the_scan_range():
    """The future's price risk is 1,000 for one delta; a scan range of 250 bounds what a spread can earn."""
    ranges = {"AAA": 250.0, "BBB": 600.0}
    series = [
        future(code, MONTH, future_losses(scan), price_scan_range=ranges[code])
        for code, scan in (("AAA", 1000), ("BBB", 600))
    ]
    parameters = market(series, **inter_spread([("AAA", 1.0, "A"), ("BBB", 1.0, "B")], 0.5))
    held = [("AAA", MONTH, 1), ("BBB", MONTH, -1)]
    capped = amounts(held, parameters, SpanSettings(price_risk_method="capped"))
    assert [row["inter_credit"] for row in capped.values()] == [125, 300]
    with pytest.raises(InputError, match="scan range"):
        amounts(held, two(0.5), SpanSettings(price_risk_method="capped"))


def test_constructed_rounding_of_components_to_whole_units():
    parameters = market([future("AAA", MONTH, future_losses(1000.6))])
    row = amounts([("AAA", MONTH, 1)], parameters, SpanSettings(round_risk="unit"))["AAA"]
    assert (row["scan_risk"], row["risk_margin"]) == (1001, 1001)


def test_an_account_without_positions_owes_nothing():
    result = span_margin(positions(), two(0.5))
    assert result.total == {}
    assert result.to_frame()["amount"].to_list() == [0]
