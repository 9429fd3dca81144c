"""Inputs that are easy to get wrong: each is refused by name, or shown in the result."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from crossmargin import (
    InputError,
    SpanSettings,
    apply_corporate_actions,
    hkscc_margin,
    hkscc_margins,
    hkscc_participant,
    span_margin,
    span_margins,
    synthetic_parameters,
    synthetic_positions,
    what_if,
)
from crossmargin.cli import main
from crossmargin.models.hkscc.corporate_actions import ADJUSTMENT_SCHEMA
from span_market import future, future_losses, inter_spread, market, positions

DAY = date(2026, 1, 5)


@pytest.fixture(scope="module")
def parameters():
    return synthetic_parameters(3, stocks=4, structured_products=0, tier_n=1, valuation_date=DAY)


@pytest.fixture(scope="module")
def settings():
    return hkscc_participant(DAY)


def book(parameters, *rows) -> dict[str, list]:
    stock = parameters.liquidation["instrument"][0]
    quantity, value = zip(*rows, strict=True)
    return {
        "instrument": [stock] * len(rows),
        "quantity": list(quantity),
        "contract_value": [0.0] * len(rows),
        "market_value": list(value),
    }


def refusals(call) -> list[tuple[str, str]]:
    with pytest.raises(InputError) as refused:
        call()
    return [(record.field, record.value) for record in refused.value.records]


def test_rows_of_one_instrument_at_two_prices_are_refused(parameters, settings):
    contradictory = book(parameters, (100, 1000.0), (-100, -1100.0))
    assert refusals(lambda: hkscc_margin(contradictory, parameters, settings)) == [("market_value", "-100.0")]


def test_a_given_mark_is_in_the_provenance_and_in_the_tree(parameters, settings):
    held = book(parameters, (100, 1000.0))
    computed = hkscc_margin(held, parameters, settings)
    given = hkscc_margin(held, parameters, settings, mark_to_market=-5e6)
    assert given.amount("mark-to-market requirement") == 5_000_000
    assert given.breakdown.find("mark-to-market requirement").binding == "mark as given"
    assert dict(given.provenance.settings)["mark_to_market"] == "-5000000.0"
    assert given.provenance != computed.provenance


@pytest.mark.parametrize("marks", [{}, {"P0001": 1.0, "P0009": 2.0}, {"P0001": float("nan")}])
def test_marks_are_those_of_the_participants(parameters, settings, marks):
    held = synthetic_positions(3, parameters, participants=1, positions_per_participant=2)
    with pytest.raises(InputError):
        hkscc_margins(held, parameters, {"P0001": settings}, marks_to_market=marks)


def test_an_unknown_rounding_is_refused(parameters, settings):
    with pytest.raises(InputError, match="guide, none"):
        hkscc_margin(book(parameters, (1, 10.0)), parameters, settings, rounding="nearest")


def test_ipo_stocks_are_a_tuple_of_codes(settings):
    assert refusals(lambda: replace(settings, ipo_stocks="700")) == [("ipo_stocks", "700")]


def test_markup_in_a_group_name_is_shown_as_it_is(capsys, tmp_path):
    folder = tmp_path / "sample"
    assert main(["sample", "hkscc", "--out", str(folder)]) == 0
    lines = (folder / "RPF01.csv").read_text().splitlines()
    tier_n = [line.split(",")[0] for line in lines if line.split(",")[1] == "3" and line[0].isdigit()]
    participant = folder / "participant.toml"
    groups = "".join(f'"{name}" = "[/1]"\n' for name in tier_n)
    participant.write_text(participant.read_text() + f"\n[sub_margin_groups]\n{groups}")
    files = [
        "--rpf",
        folder / "RPF01.csv",
        "--positions",
        folder / "positions.csv",
        "--participant",
        participant,
    ]
    assert main(["hkscc", *map(str, files)]) == 0
    assert "sub-margin group [/1]" in capsys.readouterr().out


def test_a_scan_range_is_converted_like_the_losses():
    """Scan range and losses of 1,000 USD at 7.8: a credit of half of 7,800, capped or not."""
    series = [future(code, "202601", future_losses(1000), price_scan_range=1000.0) for code in ("AAA", "BBB")]
    product = {
        "exchange": "HKF",
        "product": "AAA",
        "product_type": "FUT",
        "commodity": "AAA",
        "currency": "USD",
    }
    rates = [{"currency": "USD", "to_currency": "HKD", "multiplier": 7.8}]
    spread = inter_spread([("AAA", 1.0, "A"), ("BBB", 1.0, "B")], 0.5)
    parameters = market(series, products=[product], currency_rates=rates, **spread)
    held = positions(("AAA", "202601", 1), ("BBB", "202601", -1))
    for method in ("normal", "capped", "scan_range"):
        frame = span_margins(held, parameters, SpanSettings(price_risk_method=method)).to_frame()
        assert frame["inter_credit"].to_list() == [3900, 500]


@pytest.fixture
def held():
    parameters = market([future("AAA", "202601", future_losses(1000))])
    rows = positions(("AAA", "202601", 10))
    return lambda *names: span_margins(
        pl.concat(rows.with_columns(account=pl.lit(name)) for name in names), parameters
    )


def test_a_trade_without_an_account_is_of_the_only_one(held):
    (row,) = what_if(held("A"), positions(("AAA", "202601", -10))).to_frame().iter_rows(named=True)
    assert (row["account"], row["before"], row["after"]) == ("A", 10_000, 0)


def test_a_trade_without_an_account_is_refused_where_there_are_several(held):
    assert refusals(lambda: what_if(held("A", "B"), positions(("AAA", "202601", -10)))) == [
        ("account", "absent")
    ]


def test_one_result_is_of_one_account(held):
    margins = held("A", "B")
    two = positions(("AAA", "202601", 1), ("AAA", "202601", 1)).with_columns(account=pl.Series(["A", "B"]))
    assert refusals(lambda: span_margin(two, margins.parameters)) == [("account", "2")]


@pytest.mark.parametrize(
    "arguments",
    [
        ("hkscc", "--positions", "1000"),
        ("hkscc", "--stocks", "0"),
        ("hkscc", "--seed", "-1"),
        ("span", "--months", "2"),
        ("span", "--strikes", "0"),
    ],
)
def test_a_sample_of_impossible_size_is_refused(capsys, tmp_path, arguments):
    kind, *sizes = arguments
    assert main(["sample", kind, "--out", str(tmp_path / "sample"), *sizes]) == 1
    assert "refused: 1 bad record" in capsys.readouterr().err


def test_a_strike_without_a_column_of_rights_is_refused(capsys, tmp_path):
    path = tmp_path / "positions.csv"
    path.write_text("Product,Expiry,Strike,Quantity\nAAA,202601,20000,5\n")
    assert main(["span", "--file", str(path), "--positions", str(path)]) == 1
    assert f"{path}:2: Strike" in capsys.readouterr().err


def test_a_report_of_several_participants_without_a_position_is_refused(capsys, tmp_path):
    folder = tmp_path / "sample"
    main(["sample", "hkscc", "--out", str(folder)])
    report = folder / "positions.csv"
    report.write_text("ParticipantID,InstrumentID,Quantity,ContractValueHKD,MarketValueHKD\n")
    assert (
        main(["hkscc", "--rpf", str(folder / "RPF01.csv"), "--positions", str(report), "--format", "csv"])
        == 1
    )
    assert "at least one position" in capsys.readouterr().err


def test_what_is_no_regular_file_keeps_its_kind(tmp_path):
    missing = tmp_path / "nowhere" / "x.json"
    assert main(["sample", "hkscc", "--out", str(tmp_path / "s")]) == 0
    files = ["--rpf", tmp_path / "s" / "RPF01.csv", "--positions", tmp_path / "s" / "positions.csv"]
    assert main(["hkscc", *map(str, files), "--out", str(missing)]) == 1
    link = tmp_path / "link.txt"
    link.symlink_to(tmp_path / "real.txt")
    assert main(["hkscc", *map(str, files), "--out", str(link)]) == 0
    assert link.is_symlink()
    assert (tmp_path / "real.txt").read_text().startswith("HKSCC margin")


def test_a_corporate_action_report_of_another_day_is_refused():
    held = {
        "instrument": ["5"],
        "currency": ["HKD"],
        "trade_date": [date(2026, 1, 2)],
        "quantity": [200],
        "contract_value": [1.0],
    }
    actions = {key: [None] for key in ADJUSTMENT_SCHEMA} | {
        "business_date": [date(2026, 1, 2)],
        "ex_date": [DAY],
        "market": ["MAIN"],
        "instrument": ["5"],
        "quantity_conversion_ratio": [2.0],
    }
    assert refusals(lambda: apply_corporate_actions(held, actions, DAY)) == [("business_date", "2026-01-02")]
    assert apply_corporate_actions(held, actions, date(2026, 1, 2))["quantity"].to_list() == [400]
