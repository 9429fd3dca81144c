"""HKSCC's model under a programme: today's margin again, conversion of other products, and its call."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hkscc_house_market import (
    CALL,
    FAR_FUTURE,
    FUND_PRICE,
    NEAR_FUTURE,
    PUT,
    STOCK_CALL,
    STOCK_FUTURE,
    STOCK_PRICE,
    STOCK_PUT,
    books_of,
    house_of,
    market_of,
    scenarios_of,
    tables,
)
from index_market import AS_OF, FORWARDS, NEAR, RATE, smile

from crossmargin.errors import InputError, RangeError
from crossmargin.formats.hkscc.participant import hkscc_participant
from crossmargin.kernels.black76 import black76_values_numpy
from crossmargin.kernels.tail_means import tail_mean_numpy
from crossmargin.models.hkscc.margin import hkscc_margins
from crossmargin.models.revaluation.deltas import cash_deltas
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.programmes.conversion import SCAN_STEPS, hkscc_conversion

OWN = [("0005", 40_000), ("0700", -3_000), ("2800", 90_000), ("USFUND", 700_000), ("9999", -5_000)]
OWN_BOOKS = (OWN, [("0700", 2_000), ("9999", 1_000)], [], [("2800", -1_000_000)])
NAMES = ("P1", "P2", "P3", "P4")


@pytest.fixture(scope="module")
def house():
    return house_of()


@pytest.fixture(scope="module")
def with_settings():
    """A house in which two participants have settings of their own."""
    own = {
        "P1": hkscc_participant(
            AS_OF, flat_rate_multiplier=1.7, ipo_stocks=("0005",), credit_risk_addon=12.34
        ),
        "P4": hkscc_participant(AS_OF, margin_credit=10_000.0, holiday_addon_in_force=True),
    }
    made = house_of()
    parameters = replace(made.parameters, holiday_factor=0.4142135624)
    return replace(made, own_settings=own, parameters=parameters)


def by_name(house, books, names=NAMES):
    """Margins from positions by name, as somebody would compute them who knows no books."""
    table = house.snapshot.instruments
    value = dict(
        table.select("instrument", pl.col("mark") * pl.col("multiplier") * pl.col("exchange_rate")).rows()
    )
    rows = [
        (name, code, quantity, quantity * value[code], quantity * value[code])
        for name, book in zip(names, books, strict=True)
        for code, quantity in book
    ]
    columns = ["participant", "instrument", "quantity", "contract_value", "market_value"]
    positions = pl.DataFrame(rows, schema=columns, orient="row")
    settings = {name: house.own_settings.get(name, house.settings) for name in names}
    return hkscc_margins(positions, house.parameters, settings)


def row_of(house, native):
    return house.conversion.table.row(by_predicate=pl.col("native") == native, named=True)


def records_of(error):
    return [(record.file, record.field, record.value) for record in error.value.records]


# Today.


def test_the_margin_of_participants_is_that_of_positions_by_name(with_settings):
    expected = by_name(with_settings, OWN_BOOKS)
    margins = with_settings.participants(books_of(with_settings, *OWN_BOOKS), NAMES)
    assert margins.to_frame().equals(expected.to_frame())
    assert [one.to_dict() for one in margins] == [one.to_dict() for one in expected]
    assert margins.requirement.mark_requirement.tolist() == [0] * 4
    assert margins.total[0] > 0


def test_market_risk_is_portfolio_and_flat_rate_margin(with_settings):
    expected = by_name(with_settings, OWN_BOOKS).charges
    risk = with_settings.market_risk(books_of(with_settings, *OWN_BOOKS), NAMES)
    assert risk.tolist() == (expected.portfolio_margin + expected.flat_rate_margin).tolist()
    assert risk[2] == 0


def test_settings_in_general_hold_where_no_participant_is_named(with_settings):
    book = books_of(with_settings, OWN)
    general = replace(with_settings, own_settings={}).market_risk(book)
    assert with_settings.market_risk(book) == general
    assert with_settings.market_risk(book, ["P3"]) == general
    assert with_settings.market_risk(book, ["P1"]) != general


def test_participants_are_netted_whatever_their_basis(house):
    margins = [
        house.participants(books_of(house, OWN, gross=[gross]), ["P1"]).to_frame() for gross in (False, True)
    ]
    assert margins[0].equals(margins[1])


def test_a_gross_book_is_margined_position_by_position(house):
    legs = [*OWN, (NEAR_FUTURE, -3), (CALL, 2)]
    alone = house.market_risk(books_of(house, *([leg] for leg in legs)))
    risk = house.market_risk(books_of(house, legs, legs, gross=[True, False]))
    assert risk[0] == alone.sum()
    assert risk[1] < risk[0]
    addon = house.liquidation(books_of(house, legs, gross=[True]))
    assert addon == house.liquidation(books_of(house, *([leg] for leg in legs))).sum()


# The call.


def test_the_call_with_the_market_risk_of_today_is_that_of_today(with_settings):
    margins = with_settings.participants(books_of(with_settings, *OWN_BOOKS), NAMES)
    risk = margins.charges.portfolio_margin + margins.charges.flat_rate_margin
    called = with_settings.calls(margins, risk)
    for item in fields(called):
        assert np.array_equal(getattr(called, item.name), getattr(margins.requirement, item.name)), item.name
    assert called.total.tolist() == margins.total.tolist()


def test_a_saving_enters_before_holidays_rounding_and_credit(with_settings):
    margins = with_settings.participants(books_of(with_settings, *OWN_BOOKS), NAMES)
    charges, today = margins.charges, margins.requirement
    risk = (charges.portfolio_margin + charges.flat_rate_margin) // 2
    called = with_settings.calls(margins, risk)
    others = charges.liquidation_addon + charges.structured_product_addon + charges.corporate_action_margin
    in_force = np.array([False, False, False, True])
    holiday = np.where(in_force, np.floor(risk / 100 * 0.4142135624 + 0.5).astype(np.int64) * 100, 0)
    step = 10_000 * 100
    aggregate = -(-(risk + others + holiday) // step) * step
    credit = np.array([5_000_000, 5_000_000, 5_000_000, 10_000]) * 100
    assert called.aggregate.tolist() == aggregate.tolist()
    own = np.array([1234, 0, 0, 0])  # credit-risk add-on of the first
    assert called.total.tolist() == (np.maximum(aggregate - credit, 0) + own).tolist()
    assert 0 < called.total[3] < today.total[3]


# Delta equivalents.


def test_an_index_future_becomes_the_fund_with_the_longest_history(house):
    row = row_of(house, NEAR_FUTURE)
    assert (row["proxy"], row["reason"]) == ("2801", "cash delta in the fund 2801 on HSI")
    assert row["factor"] == pytest.approx(FORWARDS[NEAR] * 50 / FUND_PRICE, rel=1e-12)
    assert (row["long_charge"], row["short_charge"]) == (0.0, 0.0)


def test_the_basis_charge_is_what_index_and_fund_came_apart(house):
    moves, columns = scenarios_of().moves[:60], scenarios_of().columns
    apart = moves[:, columns["spot:HSI"]] - moves[:, columns["spot:2801"]]
    expected = max(tail_mean_numpy(apart, 3), tail_mean_numpy(-apart, 3))
    assert row_of(house, NEAR_FUTURE)["basis_charge"] == pytest.approx(expected, rel=1e-12)
    assert 0.001 < expected < 0.01


def test_a_fund_in_dollars_moves_with_the_exchange_rate():
    weights = {"date": [AS_OF], "underlying": ["USFUND"], "constituent": ["HSI"], "weight": [1.0]}
    scenarios = scenarios_of()
    house = house_of(market_of(weights=weights), scenarios)
    index, fund, dollar = (
        scenarios.moves[:60, scenarios.columns[code]]
        for code in ("spot:HSI", "spot:USFUND", "exchange_rate:USD")
    )
    apart = index - ((1 + fund) * (1 + dollar) - 1)
    row = row_of(house, NEAR_FUTURE)
    assert row["proxy"] == "USFUND"
    assert row["factor"] == pytest.approx(FORWARDS[NEAR] * 50 / (2.25 * 7.8), rel=1e-12)
    assert row["basis_charge"] == pytest.approx(
        max(tail_mean_numpy(apart, 3), tail_mean_numpy(-apart, 3)), rel=1e-9
    )


def test_a_fund_of_several_constituents_stands_for_no_index():
    weights = {
        "date": [AS_OF] * 2,
        "underlying": ["2800"] * 2,
        "constituent": ["HSI", "0005"],
        "weight": [0.5] * 2,
    }
    house = house_of(market_of(weights=weights))
    missing = house.conversion.unconverted["instrument"].to_list()
    assert {NEAR_FUTURE, FAR_FUTURE, CALL, PUT, "HTI.F"} <= set(missing)
    assert STOCK_CALL not in missing


def test_a_fund_without_scenarios_stands_for_no_index():
    made = scenarios_of()
    kept = [i for i, factor in enumerate(made.factors) if factor.name != "2801"]
    scenarios = replace(made, factors=tuple(made.factors[i] for i in kept), moves=made.moves[:, kept])
    assert row_of(house_of(scenarios=scenarios), NEAR_FUTURE)["proxy"] == "2800"


def test_stock_products_become_the_stock(house):
    future, call, put = (row_of(house, code) for code in (STOCK_FUTURE, STOCK_CALL, STOCK_PUT))
    assert {row["proxy"] for row in (future, call, put)} == {"0005"}
    assert {row["basis_charge"] for row in (future, call, put)} == {0.0}
    assert future["factor"] == pytest.approx(65.4 * 1000 / STOCK_PRICE, rel=1e-12)
    assert 0 < call["factor"] < 400
    assert -400 < put["factor"] < 0


def test_a_future_on_a_stock_without_scenarios_has_its_flat_rate(house):
    future, stock = house.market_risk(books_of(house, [("9999.F", 1)], [("9999", 1010)]))
    assert future == stock == round(1010 * 10.0 * 0.55 * 100)


def test_given_deltas_are_used(house):
    snapshot = house.snapshot
    deltas = cash_deltas(snapshot)
    twice = hkscc_conversion(snapshot, market_of(), scenarios_of(), deltas=2 * deltas).table
    once = hkscc_conversion(snapshot, market_of(), scenarios_of(), deltas=deltas).table
    assert once.equals(house.conversion.table)
    assert np.allclose(twice["factor"], 2 * once["factor"], rtol=1e-12, atol=0.0)


@pytest.mark.parametrize(("code", "right"), [(CALL, "C"), (PUT, "P")])
def test_charges_of_an_option_are_what_its_delta_does_not_see(code, right):
    """With volatilities that stand still, against Black's formula written out here."""
    market, scenarios = market_of(), scenarios_of()
    snapshot = make_snapshot(market, AS_OF)
    still = RevaluationSettings(volatility_response=0.0)
    table = hkscc_conversion(snapshot, market, scenarios, revaluation=still).table
    row = table.row(by_predicate=pl.col("native") == code, named=True)
    moves = scenarios.moves[:, scenarios.columns["spot:HSI"]]
    up, down = (
        0.75 * tail_mean_numpy(side * moves[:60], 3) + 0.25 * tail_mean_numpy(side * moves[60:], 2)
        for side in (1, -1)
    )
    steps = np.array([*(SCAN_STEPS * max(up, down)), 0.01, -0.01, 0.0])
    side = np.full(steps.size, 1.0 if right == "C" else -1.0)
    years = np.array([(NEAR - AS_OF).days / 365])
    forwards = (FORWARDS[NEAR] * (1 + steps))[None, :]
    volatility = np.full((1, steps.size), smile(17500.0, NEAR))
    prices = np.array(
        [
            black76_values_numpy(
                side[:1], np.array([17500.0]), years, np.array([RATE]), forwards[:, [i]], volatility[:, [i]]
            )[0][0, 0]
            for i in range(steps.size)
        ]
    )
    pnl = 50 * (prices - prices[-1])
    delta = (pnl[-3] - pnl[-2]) / 0.02
    apart = delta * steps[:8] - pnl[:8]
    assert row["long_charge"] == pytest.approx(max(apart.max(), 0.0), abs=0.05)
    assert row["short_charge"] == pytest.approx(max(-apart.min(), 0.0), rel=1e-4)
    assert row["short_charge"] > 1000


def test_charges_are_added_line_by_line(house):
    """Long and short calls of nearly the same delta: what each is charged stays."""
    near, far = row_of(house, CALL), row_of(house, PUT)
    lines = [(CALL, 30), (PUT, -20)]
    with_charges = house.market_risk(books_of(house, lines))
    free = replace(
        house.conversion,
        table=house.conversion.table.with_columns(basis_charge=0.0, long_charge=0.0, short_charge=0.0),
    )
    without = replace(house, conversion=free).market_risk(books_of(house, lines))
    values = [abs(row["factor"]) * FUND_PRICE * row["basis_charge"] for row in (near, far)]
    expected = 30 * (values[0] + near["long_charge"]) + 20 * (values[1] + far["short_charge"])
    assert int((with_charges - without)[0]) == pytest.approx(expected * 100, abs=1.0)


def test_stock_and_futures_are_one_liquidation(house):
    """Each below its threshold of 1 million, together above it: 0.22% of what is above, at both levels."""
    stock, futures = [("0005", 10_000)], [(STOCK_FUTURE, 9)]
    alone = house.liquidation(books_of(house, stock, futures))
    joint = int(house.liquidation(books_of(house, [*stock, *futures]))[0])
    beta = house.parameters.liquidation.row(by_predicate=pl.col("instrument") == "0005", named=True)["beta"]
    value = 10_000 * STOCK_PRICE + 9 * 65.4 * 1000
    levels = [max(abs(amount) - 1e6, 0) * 0.0022 for amount in (value, value * beta)]
    assert alone.tolist() == [0, 0]
    assert joint == sum(round(level) for level in levels) * 100 > 0


# What is refused.


def test_what_has_no_equivalent_is_refused_by_name(house):
    with pytest.raises(InputError, match="no fund on the index") as error:
        house.market_risk(books_of(house, OWN, [("HTI.F", 2), (NEAR_FUTURE, 1)]))
    assert records_of(error) == [("positions", "instrument", "HTI.F")]
    names = house.snapshot.instruments["instrument"]
    assert names.filter(pl.Series(~house.can_margin)).to_list() == ["HTI.F"]


def test_today_only_products_of_the_house_are_margined(house):
    with pytest.raises(InputError) as error:
        house.participants(books_of(house, [(NEAR_FUTURE, 1), (CALL, 1), ("0005", 1)]), ["P1"])
    assert {value for *_, value in records_of(error)} == {NEAR_FUTURE, CALL}


def test_own_rows_replace_and_add(house):
    rows = {"native": ["HTI.F", NEAR_FUTURE], "proxy": ["2800", "2800"], "factor": [14_000.0, 49_000.0]}
    conversion = house.conversion.replaced(rows | {"basis_charge": [0.02, 0.0]})
    changed = replace(house, conversion=conversion)
    assert changed.can_margin.all()
    assert len(conversion.table) == len(house.conversion.table) + 1
    assert conversion.unconverted.is_empty()
    future, fund, index = changed.market_risk(
        books_of(changed, [(NEAR_FUTURE, 3)], [("2800", 3 * 49_000)], [("HTI.F", -1)])
    )
    assert future == fund
    fund = int(changed.market_risk(books_of(changed, [("2800", -14_000)]))[0])
    assert index == fund + round(14_000 * FUND_PRICE * 0.02 * 100)


def test_bad_rows_of_a_table_are_listed(house):
    rows = {"native": ["0005", NEAR_FUTURE, CALL], "proxy": ["2800"] * 3, "factor": [1.0] * 3}
    with pytest.raises(InputError) as error:
        house.conversion.replaced(rows | {"basis_charge": [0.0, 1.5, 0.0], "short_charge": [0.0, 0.0, -1.0]})
    assert [record[1:] for record in records_of(error)] == [("basis_charge", "1.5"), ("short_charge", "-1.0")]
    with pytest.raises(InputError, match="a product of another house"):
        house.conversion.replaced(rows)
    with pytest.raises(InputError, match="finite"):
        house.conversion.replaced(rows | {"factor": [1.0, float("nan"), 1.0]})


def test_a_proxy_is_of_the_house(house):
    conversion = house.conversion.replaced({"native": [CALL], "proxy": [NEAR_FUTURE], "factor": [0.5]})
    with pytest.raises(InputError) as error:
        replace(house, conversion=conversion)
    assert records_of(error) == [("conversion", "proxy", NEAR_FUTURE)]


def test_everything_is_of_one_day(house):
    later = replace(house.parameters, valuation_date=AS_OF + timedelta(days=1))
    with pytest.raises(InputError, match="the day of the marks"):
        replace(house, parameters=later)
    scenarios = replace(scenarios_of(), as_of=AS_OF + timedelta(days=1))
    with pytest.raises(InputError, match="the day of the marks"):
        hkscc_conversion(house.snapshot, market_of(), scenarios)


def test_a_market_value_beyond_the_range_is_refused(house):
    with pytest.raises(RangeError, match="beyond"):
        house.market_risk(books_of(house, [("0005", 10**11)]))


def test_a_market_of_shares_alone_has_nothing_to_convert():
    given = tables()
    rows = pl.DataFrame(given["instruments"]).filter(pl.col("house") == "HKSCC")
    house = house_of(market_of(instruments=rows, marks=pl.DataFrame(given["marks"]).head(0)))
    assert house.conversion.table.is_empty()
    assert house.can_margin.all()
    assert house.market_risk(books_of(house, [("0005", 100)])) > 0
    assert house.name == "hkscc_var"
