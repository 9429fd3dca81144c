"""Positions that cannot be margined are refused together, each with its row."""

from __future__ import annotations

from functools import partial

import polars as pl
import pytest
from rpf01_text import rpf01_lines, write_lines

from crossmargin import InputError, hkscc_margin, hkscc_margins, hkscc_participant, read_rpf01

KNOWN = "an instrument with records of FieldTypes 1 and 2, of 3, or of 7"
LIQUID = "a record of FieldType 4 or 5 beside 1 and 2"
UNDERLYING = "a record of FieldType 4 for the underlying of FieldType 5"
HEDGING = "an instrument with a record of FieldType 4, for the portfolio-level liquidation add-on"
SIGN = "the sign of the quantity, and 0 for no quantity"
NAMED = "a participant with settings"


def positions(*rows: tuple[str, int, float, float]) -> pl.DataFrame:
    columns = ("instrument", "quantity", "contract_value", "market_value")
    return pl.DataFrame(rows, schema=columns, orient="row")


def market(folder, *, without=(), more=()):
    return read_rpf01(write_lines(folder, [*rpf01_lines(without=without), *more]))


def refused(frame, parameters, *, many=None, **settings):
    participant = hkscc_participant(parameters.valuation_date, **settings)
    call = partial(hkscc_margins, participants=dict.fromkeys(many or [], participant))
    if not many:
        call = partial(hkscc_margin, participant=participant)
    with pytest.raises(InputError) as caught:
        call(frame, parameters=parameters)
    return [(bad.file, bad.line, bad.field, bad.value, bad.rule) for bad in caught.value.records]


GOOD = ("700", 10, 4000.0, 4100.0)


def test_the_market_margins_what_it_knows(tmp_path):
    rows = [
        GOOD,
        ("26883", -5, -1.0, -2.0),
        ("8001", 1, 2.0, 3.0),
        ("DSP700", 1, 0.0, 12.5),
        ("DIV700", 0, -5.0, 0.0),
    ]
    parameters = market(tmp_path)
    assert hkscc_margin(positions(*rows), parameters, hkscc_participant(parameters.valuation_date)).total >= 0


def test_instruments_without_parameters(tmp_path):
    """A stock that has only an entitlement or a liquidation record counts as unknown; so does SRI700."""
    parameters = market(tmp_path, more=["9999,4,0.1,1,1,1", "5,7,3,1,0,0"])
    rows = [
        ("1", 1, 0.0, 1.0),
        GOOD,
        ("SRI700", 1, 0.0, 1.0),
        ("9999", 1, 0.0, 1.0),
        GOOD,
        ("5", 1, 0.0, 1.0),
    ]
    assert refused(positions(*rows), parameters) == [
        ("positions", 1, "instrument", "1", KNOWN),
        ("positions", 3, "instrument", "SRI700", KNOWN),
        ("positions", 4, "instrument", "9999", KNOWN),
        ("positions", 6, "instrument", "5", KNOWN),
    ]


def test_a_zero_position_in_an_unknown_instrument_is_refused_too(tmp_path):
    rows = [("1", 0, 0.0, 0.0)]
    assert refused(positions(*rows), market(tmp_path)) == [("positions", 1, "instrument", "1", KNOWN)]


def test_returns_without_a_liquidation_record(tmp_path):
    parameters = market(tmp_path, without=("2800 liquidation", "26883 product"))
    rows = [("2800", 1, 0.0, 1.0), ("26883", 1, 0.0, 1.0), GOOD]
    assert refused(positions(*rows), parameters) == [
        ("positions", 1, "instrument", "2800", LIQUID),
        ("positions", 2, "instrument", "26883", LIQUID),
    ]


def test_an_underlying_without_a_liquidation_record(tmp_path):
    parameters = market(tmp_path, without=("700 HVaR", "700 SVaR", "700 liquidation"))
    rows = [("2800", 1, 0.0, 1.0), ("26883", 1, 0.0, 1.0)]
    assert refused(positions(*rows), parameters) == [("positions", 2, "instrument", "26883", UNDERLYING)]


def test_a_missing_hedging_instrument(tmp_path):
    parameters = market(tmp_path, without=("2800 liquidation", "2800 HVaR", "2800 SVaR"))
    assert refused(positions(GOOD), parameters) == [("participant", 0, "hedging_instrument", "2800", HEDGING)]
    rows = positions(GOOD)
    expected = [("participant", 0, "hedging_instrument", "none", HEDGING)]
    assert refused(rows, market(tmp_path), hedging_instrument="none") == expected


def test_the_hedging_instrument_is_needed_only_by_who_has_a_group(tmp_path):
    parameters = market(tmp_path)
    settings = hkscc_participant(parameters.valuation_date, hedging_instrument="none")
    assert hkscc_margin(positions(("8001", 1, 2.0, 3.0)), parameters, settings).total == 0


@pytest.mark.parametrize(
    ("quantity", "market_value", "bad"),
    [
        (1, -1.0, True),
        (-1, 1.0, True),
        (0, 1.0, True),
        (0, -1.0, True),
        (1, 0.0, False),
        (0, 0.0, False),
        (-1, -1.0, False),
    ],
)
def test_the_sign_of_the_market_value(tmp_path, quantity, market_value, bad):
    frame = positions(GOOD, ("2800", quantity, 0.0, market_value))
    parameters = market(tmp_path)
    if bad:
        assert refused(frame, parameters) == [("positions", 2, "market_value", str(market_value), SIGN)]
    else:
        assert hkscc_margin(frame, parameters, hkscc_participant(parameters.valuation_date)).total >= 0


def test_every_bad_position_is_listed_with_its_row(tmp_path):
    parameters = market(tmp_path, without=("2800 liquidation",))
    rows = [("2800", 1, 0.0, -1.0), ("1", -1, 0.0, -1.0), GOOD, ("700", 0, 0.0, 2.5), ("1", 1, 0.0, 1.0)]
    frame = positions(*rows).with_columns(participant=pl.Series(["A", "B", "A", "B", "C"]))
    assert refused(frame, parameters, many=["B", "A"]) == [
        ("positions", 1, "instrument", "2800", LIQUID),
        ("positions", 1, "market_value", "-1.0", SIGN),
        ("positions", 2, "instrument", "1", KNOWN),
        ("positions", 4, "market_value", "2.5", SIGN),
        ("positions", 5, "instrument", "1", KNOWN),
        ("positions", 5, "participant", "C", NAMED),
    ]


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("quantity", 1.5, "1.5"),
        ("market_value", float("nan"), "nan"),
        ("contract_value", float("inf"), "inf"),
        ("quantity", 10**12 + 1, "1000000000001"),
        ("market_value", 1100000000000.0, "1100000000000.0"),
    ],
)
def test_a_bad_number_in_a_frame(tmp_path, column, value, shown):
    frame = positions(GOOD, GOOD).to_dict(as_series=False)
    frame[column] = [frame[column][0], value]
    ((file, line, field, found, _),) = refused(frame, market(tmp_path))
    assert (file, line, field, found) == ("positions", 2, column, shown)


def test_missing_columns_and_no_participant_column(tmp_path):
    parameters = market(tmp_path)
    found = refused(positions(GOOD).drop("quantity", "market_value"), parameters)
    assert [record[:4] for record in found] == [
        ("positions", 0, "market_value", "absent or repeated"),
        ("positions", 0, "quantity", "absent or repeated"),
    ]
    found = refused(positions(GOOD), parameters, many=["A", "B"])
    assert [record[:4] for record in found] == [("positions", 0, "participant", "absent or repeated")]


def test_positions_of_two_participants_are_not_one(tmp_path):
    frame = positions(GOOD, GOOD).with_columns(participant=pl.Series(["A", "B"]))
    assert refused(frame, market(tmp_path)) == [("positions", 2, "participant", "B", NAMED)]
