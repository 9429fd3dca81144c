"""What holds for the HKSCC margin of any positions under any settings."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal

import numba
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from crossmargin import (
    HksccParameters,
    InputError,
    RangeError,
    TailMeasure,
    hkscc_margin,
    hkscc_margins,
    hkscc_participant,
    synthetic_parameters,
    synthetic_positions,
)
from crossmargin.kernels.portfolio_tails import portfolio_tails
from crossmargin.models.hkscc.parameters import TABLE_SCHEMAS
from crossmargin.reports.documents import document

DAY = date(2026, 1, 5)
HALF_UNIT = Decimal("0.0000005")
"""With rounding "none" every published amount is rounded once, to 10^-6 HKD: half of that is its error."""

profile = settings(
    max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)

MARKET = synthetic_parameters(3, 12, 8, 4, DAY, 40, 50, holiday_factor=0.7320508075)
STOCKS = MARKET.liquidation["instrument"].to_list()
HELD = [
    *STOCKS,
    *MARKET.structured_product["instrument"],
    *MARKET.flat_rate["instrument"],
    *(
        {1: "DSP", 2: "SRI", 3: "DIV"}[kind] + code
        for code, kind in MARKET.benefit.select("instrument", "benefit_type").rows()
    ),
]
SCHEMA = {
    "instrument": pl.String,
    "quantity": pl.Int64,
    "contract_value": pl.Float64,
    "market_value": pl.Float64,
}


def frame_of(rows) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


sixty_fourths = st.integers(-(2**40), 2**40).map(lambda units: units / 64)  # dyadic: sums of parts are exact


@st.composite
def position(draw, code):
    quantity = 0 if code.startswith("DIV") else draw(st.integers(-(10**6), 10**6))
    price = draw(st.integers(1, 10**6)) / 64
    return (code, quantity, draw(sixty_fourths), quantity * price)


positions = st.lists(st.sampled_from(HELD), unique=True, max_size=10).flatmap(
    lambda names: st.tuples(*(position(code) for code in names)).map(frame_of)
)

amounts = st.integers(0, 10**9).map(lambda cents: cents / 100)
participants = st.fixed_dictionaries(
    {},
    optional={
        "portfolio_margin_floor_rate": st.sampled_from([0.0, 0.025, 0.032, 1.0]),
        "margin_credit": amounts,
        "flat_rate_multiplier": st.sampled_from([0.0, 1.0, 1.5, 2.0]),
        "ipo_stocks": st.lists(st.sampled_from(STOCKS), max_size=3, unique=True),
        "sub_margin_groups": st.dictionaries(st.sampled_from(HELD), st.sampled_from(["1", "2"]), max_size=3),
        "holiday_addon_in_force": st.booleans(),
        "gain_tail": st.sampled_from(["absolute", "zero"]),
        "apportioned_liquid_capital": amounts,
        "liquid_capital_cap": amounts,
        "position_limit_addon_rate": st.sampled_from([0.0, 0.25, 1.0]),
        "position_limit_addon_reported": amounts,
        "credit_risk_addon": amounts,
        "adhoc_addon": amounts,
        "group_expected_uncollateralised_loss": st.integers(0, 10**10).map(float),
    },
).map(lambda given_: hkscc_participant(DAY, **given_))
roundings = st.sampled_from(["guide", "none"])


def amounts_of(result) -> list[tuple[str, Decimal]]:
    """Every amount of the tree, without the facts and without the hash of the positions."""
    return [(node.name, node.value) for _, node in result.breakdown.walk()]


def margin(frame, participant, rounding="guide", parameters=MARKET):
    return hkscc_margin(frame, parameters, participant, rounding=rounding)


# Order, splitting, netting.


@profile
@given(positions, participants, roundings, st.data())
def test_splitting_and_reordering_change_nothing(frame, participant, rounding, data):
    whole = margin(frame, participant, rounding)
    parts = []
    for code, quantity, cost, value in frame.rows():
        sides = st.integers(0, quantity) if quantity >= 0 else st.integers(quantity, 0)
        first, part_cost = data.draw(sides), data.draw(sixty_fourths)
        part_value = first * (value / quantity) if quantity else 0.0
        parts += [
            (code, first, part_cost, part_value),
            (code, quantity - first, cost - part_cost, value - part_value),
        ]
    shuffled = frame_of(data.draw(st.permutations(parts)))
    assert margin(shuffled, participant, rounding).to_dict() == whole.to_dict()
    turned = frame.sample(fraction=1.0, shuffle=True, seed=len(frame))
    assert margin(turned, participant, rounding).to_dict() == whole.to_dict()


@profile
@given(positions, participants, st.data())
def test_splitting_to_the_cent_changes_no_amount(frame, participant, data):
    """Cents are no binary fractions: a sum may move by a unit in the last place, an amount may not."""
    rows = [(code, quantity, round(cost, 2), round(value, 2)) for code, quantity, cost, value in frame.rows()]
    parts = []
    for code, quantity, cost, value in rows:
        cents = round(value * 100)
        first = data.draw(st.integers(min(cents, 0), max(cents, 0)))
        half = quantity // 2
        assume(quantity == 0 or (half not in (0, quantity)) or first in (0, cents))
        if half in (0, quantity):
            parts.append((code, quantity, cost, value))
            continue
        parts += [(code, half, cost, first / 100), (code, quantity - half, 0.0, (cents - first) / 100)]
    assert amounts_of(margin(frame_of(parts), participant)) == amounts_of(margin(frame_of(rows), participant))


@profile
@given(positions, participants, roundings, st.sampled_from(HELD))
def test_a_zero_position_changes_no_amount(frame, participant, rounding, code):
    more = pl.concat([frame, frame_of([(code, 0, 0.0, 0.0)])])
    with_it, without = (margin(rows, participant, rounding) for rows in (more, frame))
    assert with_it.total == without.total
    for name in ("portfolio margin", "flat rate margin", "liquidation risk add-on", "position-limit add-on"):
        assert with_it.amount(name) == without.amount(name)


@profile
@given(st.lists(positions, min_size=2, max_size=3), participants, roundings)
def test_netting_by_hand_before_margining_agrees(frames, participant, rounding):
    rows = pl.concat(frames)
    netted: dict[str, list[float]] = {}
    for code, *numbers in rows.rows():
        netted[code] = [a + b for a, b in zip(netted.get(code, [0, 0, 0]), numbers, strict=True)]
    by_hand = [(code, *numbers) for code, numbers in netted.items()]
    try:
        expected = margin(frame_of(by_hand), participant, rounding)
    except (
        InputError
    ) as error:  # a long and a short at two prices can net to a value without the quantity's sign
        assert {record.field for record in error.records} == {"market_value"}  # noqa: PT017
        return
    assert margin(rows, participant, rounding).to_dict() == expected.to_dict()


# Scale.


@profile
@given(positions, st.sampled_from([2, 4, 8, 16]), st.sampled_from(["absolute", "zero"]))
def test_unrounded_margins_double_with_the_position(frame, factor, gain_tail):
    """Powers of two scale floats exactly; what is left is half a published unit a leaf, times the factor."""
    participant = hkscc_participant(DAY, gain_tail=gain_tail, flat_rate_multiplier=1.5)
    larger = frame.with_columns(pl.col("quantity", "contract_value", "market_value") * factor)
    one, many = (margin(rows, participant, "none") for rows in (frame, larger))
    for name in (
        "portfolio margin",
        "flat rate margin",
        "structured-product add-on",
        "corporate-action position margin",
    ):
        leaves = max(len(one.breakdown.find(name).parts), 1)
        assert abs(many.amount(name) - factor * one.amount(name)) <= (factor + 1) * leaves * HALF_UNIT


@profile
@given(positions, st.integers(3, 50))
def test_unrounded_margins_scale_with_any_factor(frame, factor):
    """Each term of a sum over n positions and k tail scenarios errs by at most a few units of 2^-53."""
    participant = hkscc_participant(DAY)
    larger = frame.with_columns(pl.col("quantity", "contract_value", "market_value") * factor)
    one, many = (margin(rows, participant, "none") for rows in (frame, larger))
    gross = Decimal(float(larger["market_value"].abs().sum()) * float(np.abs(MARKET.returns).max()))
    for name in ("portfolio margin", "flat rate margin"):
        published = (factor + 1) * max(len(one.breakdown.find(name).parts), 1) * HALF_UNIT
        assert abs(many.amount(name) - factor * one.amount(name)) <= published + gross * Decimal(2) ** -45


@profile
@given(
    st.lists(st.integers(-1000, 1000), min_size=1, max_size=30),
    st.integers(-1000, 1000),
    st.integers(1, 30),
)
def test_one_more_scenario_never_lowers_expected_shortfall(pnl, added, count):
    """At a fixed tail count; whole numbers, so that the sums are exact."""
    count = min(count, len(pnl))

    def loss(results):
        returns = np.array([[*results, 0]], dtype=np.float64)
        worst = (np.empty((1, count)), np.empty((1, 1)))
        ids = (np.empty((1, count), np.int32), np.empty((1, 1), np.int32))
        one, starts = np.zeros(1, np.int32), np.array([0, 1])
        portfolio_tails(starts, one, np.ones(1), returns, len(results), worst, ids, True)
        assert [results[place] for place in ids[0][0]] == worst[0][0].tolist()
        return -worst[0].sum()

    before, after = loss(pnl), loss([*pnl, added])
    assert before == -sum(sorted(pnl)[:count])
    assert after >= before


# The tree.


def check_node(node: dict) -> Decimal:
    """Add a node of the JSON up, and see that every number in it is finite."""
    amount = Decimal(node["amount"])
    assert amount.is_finite()
    if node["parts"]:
        assert sum(check_node(part) for part in node["parts"]) == amount
    return amount


def numbers_in(plain) -> list[float]:
    if isinstance(plain, dict):
        return [number for value in plain.values() for number in numbers_in(value)]
    if isinstance(plain, list):
        return [number for value in plain for number in numbers_in(value)]
    return [plain] if isinstance(plain, (int, float)) and not isinstance(plain, bool) else []


def refuse_constant(name):
    raise AssertionError(f"{name} is no JSON")


def check_result(result) -> None:
    text = document([result], "json")
    plain = json.loads(text, parse_constant=refuse_constant)["results"][0]
    assert Decimal(plain["total"]) == check_node(plain["breakdown"]) == result.total
    assert Decimal(plain["total"]) >= 0
    assert check_node(plain["guarantee_fund_collateral"]) >= 0
    assert all(math.isfinite(number) for number in numbers_in(plain))
    for _, node in result.breakdown.walk():
        assert not node.parts or sum(part.amount for part in node.parts) == node.amount
        assert {part.decimals for part in node.parts} <= {node.decimals}
    frame = result.to_frame()
    assert frame["amount"][0] == result.total
    assert frame.filter(pl.col("depth") == 1)["amount"].sum() == result.total


@profile
@given(positions, participants, roundings)
def test_parts_add_up_at_every_node(frame, participant, rounding):
    result = margin(frame, participant, rounding)
    check_result(result)
    credited = result.breakdown.find("net margin after credit")
    facts = {fact.label: fact.value for fact in credited.facts}
    assert facts["aggregate margin, rounded up, HKD"] % (MARKET.rounding if rounding == "guide" else 1e-6) < 1


limits = st.one_of(st.integers(-(10**12), 10**12), st.sampled_from([10**12, -(10**12), 1, -1]))


@st.composite
def extreme_position(draw, code):
    quantity = 0 if code.startswith("DIV") else draw(limits)
    size = float(draw(st.sampled_from([10**12, 10**11 + 1, 1, 0])))
    cost = float(draw(st.sampled_from([0, 10**12, -(10**12), 0.01])))
    return (code, quantity, cost, math.copysign(size, quantity) if quantity else 0.0)


extreme_positions = st.lists(st.sampled_from(HELD), unique=True, max_size=8).flatmap(
    lambda names: st.tuples(*(extreme_position(code) for code in names)).map(frame_of)
)
extreme = st.sampled_from([0.0, 0.01, 1.0, 1e6, 1e12])
NUMBERS = [
    "portfolio_margin_floor_rate",
    "margin_credit",
    "minimum_tick",
    "flat_rate_multiplier",
    "apportioned_liquid_capital",
    "liquid_capital_multiplier",
    "liquid_capital_cap",
    "position_limit_addon_rate",
    "position_limit_addon_reported",
    "credit_risk_addon",
    "adhoc_addon",
    "group_expected_uncollateralised_loss",
]
extreme_participants = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(NUMBERS, extreme) | {"holiday_addon_in_force": st.booleans()}
).map(lambda given_: hkscc_participant(DAY, **given_))


@settings(profile, max_examples=100)
@given(extreme_positions, extreme_participants, roundings)
def test_extreme_inputs_give_finite_numbers_or_a_typed_error(frame, participant, rounding):
    try:
        result = margin(frame, participant, rounding)
    except RangeError:
        return
    check_result(result)
    cents = sum(round(value * 100) - round(cost * 100) for _, _, cost, value in frame.rows())
    assert result.amount("mark-to-market requirement") == max(Decimal(-cents), Decimal(0)) / 100
    assert 0 <= -result.amount("favourable mark-to-market") * 100 <= max(cents, 0)


def test_a_sum_of_positions_beyond_64_bits_is_a_range_error():
    """Six marks of 2 × 10^12 HKD are 1.2 × 10^19 units of 10^-6 HKD, more than 2^63: no wrapped sum gets out."""
    frame = frame_of([(code, 10**6, -1e12, 1e12) for code in STOCKS[:6]])
    with pytest.raises(RangeError):
        margin(frame, hkscc_participant(DAY), "none")


def test_a_sum_of_charges_beyond_64_bits_is_a_range_error():
    """10^12 HKD × 60,000 and 10^12 × 12% × 500,000 are 6 × 10^18 cents each: either fits, the sum does not."""
    frame = frame_of([(STOCKS[0], 1, 0.0, 1e12), (MARKET.flat_rate["instrument"][0], 1, 0.0, 1e12)])
    rate = MARKET.flat_rate["rate"][0]
    floor = {"portfolio_margin_floor_rate": 6e4}
    multiplier = {"flat_rate_multiplier": 6e4 / rate}
    for more in (floor, multiplier):
        assert margin(frame, hkscc_participant(DAY, **more)).total > 5 * 10**16
    with pytest.raises(RangeError):
        margin(frame, hkscc_participant(DAY, **floor, **multiplier))


def test_both_levels_of_the_liquidation_addon_beyond_64_bits_are_a_range_error():
    """10^12 units of 6,000 HKD at 10 are 6 × 10^18 cents on each level: either fits, the sum does not."""
    columns = {"bucket_rate": 10.0, "beta": 1.0, "cash_delta": 6e3}
    liquidation = MARKET.liquidation.with_columns(
        threshold=pl.lit(0, pl.Int64), **{k: pl.lit(v) for k, v in columns.items()}
    )
    with pytest.raises(RangeError):
        margin(
            frame_of([("2800", 10**12, 0.0, 1.0)]),
            hkscc_participant(DAY),
            parameters=replace(MARKET, liquidation=liquidation),
        )


# Many participants, and forms of the input.


def owned(frame, names):
    return frame.with_columns(pl.Series("participant", names, dtype=pl.String))


@profile
@given(st.lists(st.tuples(positions, participants), min_size=1, max_size=4), roundings)
def test_many_at_once_are_each_alone(books, rounding):
    named = {f"P{i}": book for i, book in enumerate(books)}
    frame = pl.concat([owned(rows, [name] * len(rows)) for name, (rows, _) in named.items()])
    many = hkscc_margins(frame, MARKET, {name: one for name, (_, one) in named.items()}, rounding=rounding)
    assert many.participants == tuple(named)
    for place, (name, (rows, one)) in enumerate(named.items()):
        alone = margin(rows, one, rounding)
        assert replace(many.of(name), participant=alone.participant) == alone
        assert int(many.total[place]) == alone.breakdown.amount
        assert many.to_frame()["total"][place] == alone.total
    with pytest.raises(KeyError, match="no participant 'P9'"):
        many.of("P9")


@profile
@given(positions, participants)
def test_polars_pandas_and_mappings_agree(frame, participant):
    expected = margin(frame, participant).to_dict()
    plain = frame.to_dict(as_series=False)
    assert margin(plain, participant).to_dict() == expected
    assert margin(pd.DataFrame(plain), participant).to_dict() == expected
    arrays = {name: values.to_numpy() for name, values in frame.to_dict().items()}
    assert margin(arrays, participant).to_dict() == expected


@pytest.mark.parametrize("form", ["polars", "pandas", "mapping"])
def test_a_column_of_one_participant_names_the_result(form):
    frame = owned(frame_of([(STOCKS[0], 5, 1.0, 2.0)]), ["P7"])
    plain = frame.to_dict(as_series=False)
    given_ = {"polars": frame, "pandas": pd.DataFrame(plain), "mapping": plain}[form]
    assert margin(given_, hkscc_participant(DAY)).participant == "P7"


def test_a_mapping_of_lone_values_is_one_position():
    one = {
        "participant": "P7",
        "instrument": STOCKS[0],
        "quantity": 5,
        "contract_value": 1.0,
        "market_value": 2.0,
    }
    assert margin(one, hkscc_participant(DAY)).participant == "P7"


@pytest.mark.parametrize("frame", [None, "positions", [1, 2]])
def test_what_is_no_table_is_an_input_error(frame):
    with pytest.raises(InputError):
        margin(frame, hkscc_participant(DAY))


@pytest.mark.parametrize("rounding", ["guide", "none"])
def test_a_negative_zero_is_a_zero(rounding):
    plain = [(STOCKS[0], 0, 0.0, 0.0), (STOCKS[1], 5, 0.0, 10.0)]
    negative = [(STOCKS[0], 0, -0.0, -0.0), (STOCKS[1], 5, -0.0, 10.0)]
    found, expected = (margin(frame_of(rows), hkscc_participant(DAY), rounding) for rows in (negative, plain))
    assert found.to_dict() == expected.to_dict()


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="numba has one thread on this machine")
@pytest.mark.parametrize("rounding", ["guide", "none"])
def test_same_inputs_same_bytes_on_one_thread_or_two(rounding):
    names = [f"P{i + 1:04}" for i in range(8)]
    settings_ = dict.fromkeys(names, hkscc_participant(DAY, apportioned_liquid_capital=1e6))
    frame = synthetic_positions(4, MARKET, len(names), 20)
    found = []
    before = numba.get_num_threads()
    try:
        for threads in (1, 2, 2):
            numba.set_num_threads(threads)
            many = list(hkscc_margins(frame, MARKET, settings_, rounding=rounding))
            found.append([document(many, kind) for kind in ("json", "csv", "parquet")])
    finally:
        numba.set_num_threads(before)
    assert found[0] == found[1] == found[2]


# By hand: settings, groups, caps and tail counts.


def small_market(returns, *, flat=(), confidence="0.9", counts=(4, 6)) -> HksccParameters:
    """Stocks A, B, … with the given returns in every scenario, and Tier N stocks with the given rates."""
    empty = {name: pl.DataFrame(schema=schema) for name, schema in TABLE_SCHEMAS.items()}
    codes = [chr(ord("A") + i) for i in range(len(returns))]
    liquidation = [(code, 0.0, 0.0, 10**12, 1.0) for code in codes]
    measures = [
        TailMeasure(weight=0.5, confidence=Decimal(confidence), scenario_count=count) for count in counts
    ]
    return HksccParameters(
        valuation_date=DAY,
        historical=measures[0],
        stressed=measures[1],
        stress_test_count=0,
        rounding=1,
        holiday_factor=0.0,
        scenario_instruments=pl.Series("instrument", codes, dtype=pl.String),
        returns=np.array([[each] * sum(counts) for each in returns]).reshape(len(codes), sum(counts)),
        **empty
        | {
            "flat_rate": pl.DataFrame(flat, schema=TABLE_SCHEMAS["flat_rate"], orient="row"),
            "liquidation": pl.DataFrame(liquidation, schema=TABLE_SCHEMAS["liquidation"], orient="row"),
        },
    )


def held(*values: tuple[str, float]) -> pl.DataFrame:
    return frame_of([(code, int(math.copysign(10, value)), value, value) for code, value in values])


PLAIN = {"portfolio_margin_floor_rate": 0.0, "margin_credit": 0.0, "hedging_instrument": "A"}


@pytest.mark.parametrize(
    ("gain_tail", "values", "expected", "warning"),
    [
        # A falls 1%, so a short of 100,000 gains 1,000 in every scenario.
        (
            "absolute",
            [("A", -100_000)],
            1000,
            "of the other Tier P instruments is a gain; .* gain_tail = 'absolute'",
        ),
        ("zero", [("A", -100_000)], 0, "of the other Tier P instruments is a gain; .* gain_tail = 'zero'"),
        ("absolute", [("A", 100_000)], 1000, None),
        ("zero", [("A", 100_000)], 1000, None),
        # B is an IPO stock that falls 2%: a long of 80,000 loses 1,600, and A's gain of 1,000 is set against it.
        (
            "absolute",
            [("A", -100_000), ("B", 80_000)],
            600,
            "other Tier P .* is a gain; the gain reduces the loss",
        ),
        (
            "zero",
            [("A", -100_000), ("B", 80_000)],
            600,
            "other Tier P .* is a gain; the gain reduces the loss",
        ),
        # The other way round: a gain of 1,600 on B and a loss of 1,000 on A sum to a gain of 600.
        ("absolute", [("A", 100_000), ("B", -80_000)], 600, "blended tail of B is a gain; the sum over"),
        ("zero", [("A", 100_000), ("B", -80_000)], 0, "blended tail of B is a gain; the sum over"),
    ],
)
def test_gain_tail(gain_tail, values, expected, warning):
    participant = hkscc_participant(
        DAY, **PLAIN, gain_tail=gain_tail, ipo_stocks=["B"], position_limit_addon_reported=0.0
    )
    result = hkscc_margin(held(*values), small_market([-0.01, -0.02]), participant)
    assert result.amount("portfolio margin") == expected
    if warning is None:
        assert result.warnings == ()
    else:
        (found,) = result.warnings
        assert re.search(warning, found), found


def test_the_floor_binds_where_it_is_larger():
    """3.2% of the larger gross side, 100,000, is 3,200; the tail asks for 1,000 - 600 = 400."""
    values = [("A", 100_000), ("B", -30_000)]
    participant = hkscc_participant(DAY, **PLAIN | {"portfolio_margin_floor_rate": 0.032})
    result = hkscc_margin(held(*values), small_market([-0.01, -0.02]), participant)
    assert result.amount("portfolio margin") == 3200
    assert result.breakdown.find("portfolio margin").binding == "floor"
    assert result.amount("uplift to the floor") == 2800


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        # Long X 1,000 at 12%, short Y 600 at 12%, long Z 100 at 30%; multiplier 2.
        ({}, 2 * (120 + 30)),  # by rate: X and Y together, the long side is larger; Z alone
        ({"Y": "apart"}, 2 * (120 + 72 + 30)),
        (
            {"X": "one", "Y": "one", "Z": "one"},
            2 * (120 + 30),
        ),  # long 1,100 against 600: both longs at their rates
        ({"Y": "two", "Z": "two"}, 2 * (120 + 72)),  # short 600 against long 100
        ({"unheld": "two"}, 2 * (120 + 30)),
    ],
)
def test_sub_margin_groups(groups, expected):
    market = small_market([0.0], flat=[("X", 0.12), ("Y", 0.12), ("Z", 0.30)])
    participant = hkscc_participant(DAY, **PLAIN, flat_rate_multiplier=2.0, sub_margin_groups=groups)
    result = hkscc_margin(held(("X", 1000), ("Y", -600), ("Z", 100)), market, participant)
    assert result.amount("flat rate margin") == expected


@pytest.mark.parametrize(
    ("more", "expected", "binding"),
    [
        # 100,000 of A asks for 1,000; the limit's share of it x 25%.
        ({}, 0, "not computed: no liquid capital given"),
        ({"apportioned_liquid_capital": 60_000.0}, 100, "liquid capital"),  # 40% x 1,000 x 25%
        ({"apportioned_liquid_capital": 100_000.0}, 0, "within the capital"),
        ({"apportioned_liquid_capital": 30_000.0, "liquid_capital_multiplier": 2.0}, 100, "liquid capital"),
        ({"apportioned_liquid_capital": 90_000.0, "liquid_capital_cap": 20_000.0}, 25, "liquid capital"),
        (
            {
                "apportioned_liquid_capital": 90_000.0,
                "liquid_capital_cap": 20_000.0,
                "liquid_capital_cap_in_force": True,
            },
            200,
            "cap on liquid capital",
        ),
        (
            {"apportioned_liquid_capital": 60_000.0, "margin_credit": 5000.0},
            500,
            "liquid capital",
        ),  # 40% x 125%
        ({"apportioned_liquid_capital": 60_000.0, "position_limit_addon_reported": 7.0}, 7, "as reported"),
    ],
)
def test_the_position_limit_and_the_cap(more, expected, binding):
    participant = hkscc_participant(DAY, **PLAIN | {"position_limit_addon_rate": 0.25} | more)
    result = hkscc_margin(held(("A", 100_000)), small_market([-0.01]), participant)
    assert result.amount("position-limit add-on") == expected
    assert result.breakdown.find("position-limit add-on").binding == binding


@pytest.mark.parametrize(
    ("confidence", "of_1000", "of_1018"),
    [
        ("0.95", 50, 51),
        ("0.975", 25, 26),
        ("0.98", 20, 21),
        ("0.99", 10, 11),
        ("0.994", 6, 7),
        ("0.995", 5, 6),
    ],
)
def test_tail_counts(confidence, of_1000, of_1018):
    """By hand: (1 − c) × 1,000 is whole; × 1,018 is 50.9, 25.45, 20.36, 10.18, 6.108 and 5.09."""
    for count, expected in ((1000, of_1000), (1018, of_1018)):
        measure = TailMeasure(weight=1.0, confidence=Decimal(confidence), scenario_count=count)
        assert measure.tail_count == expected


@given(st.integers(5 * 10**9, 10**10 - 1), st.integers(1, 100_000))
def test_tail_count_is_the_smallest_that_reaches_the_tail(confidence, count):
    measure = TailMeasure(weight=1.0, confidence=Decimal(confidence).scaleb(-10), scenario_count=count)
    tail = (10**10 - confidence) * count  # in units of 10^-10 scenarios
    assert 1 <= measure.tail_count <= count
    assert (measure.tail_count - 1) * 10**10 < tail <= measure.tail_count * 10**10


def test_the_tail_is_the_worst_scenarios_of_each_measure():
    """Five of A's scenarios fall by 1% to 5%: at 90% the worst of 10 is -5%, and the worst two of 20 are -4.5%."""
    returns = np.zeros((1, 30))
    returns[0, 10:15] = [-0.01, -0.05, -0.03, -0.02, -0.04]
    returns[0, 3] = -0.05
    market = replace(small_market([0.0], counts=(10, 20)), returns=returns)
    result = hkscc_margin(held(("A", 100_000)), market, hkscc_participant(DAY, **PLAIN))
    assert result.amount("portfolio margin") == 5000 * 0.5 + 4500 * 0.5
    facts = {fact.label: fact.value for fact in result.breakdown.find("all other Tier P instruments").facts}
    assert facts["HVaR tail"] == ((4, -5000.0),)
    assert facts["SVaR tail"] == ((2, -5000.0), (5, -4000.0))
