"""What holds for any positions on their way to a margin number."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from crossmargin.models.hkscc.collateral_cover import (
    CASH_KEY,
    STOCK_KEY,
    cover_with_specific_cash,
    cover_with_specific_stock,
)
from crossmargin.models.hkscc.corporate_actions import ADJUSTMENT_SCHEMA, apply_corporate_actions
from crossmargin.models.hkscc.marginable_positions import marginable_positions
from crossmargin.models.hkscc.mark_to_market import intraday_mark, mark_to_market
from crossmargin.models.hkscc.multi_counter import combine_counters
from crossmargin.models.hkscc.netting import net, net_across_days

MONDAY = date(2019, 11, 4)
CENTS = 1e-6
RATES = {"currency": ["CNY", "USD"], "rate": [1.1, 7.8], "haircut": [0.03, 0.01]}
CODES = ["5", "388", "700"]
COUNTERS = {
    "counter": [*CODES, *(f"80{code}" for code in CODES)],
    "instrument": CODES * 2,
    "currency": ["HKD"] * 6,
}
PRICES = {
    "instrument": [*CODES, *(f"{kind}{code}" for kind in ("DSP", "SRI") for code in CODES)],
    "price": [60.0, 240.0, 300.0, *[1.25] * 6],
}
KEY = ["instrument", "settlement_counter", "currency", "trade_date", "settlement_date"]

profile = settings(max_examples=40, deadline=None, derandomize=True)

quantities = st.integers(-5000, 5000)
amounts = st.integers(-64_000_000, 64_000_000).map(lambda whole: whole / 64)  # dyadic: a split is exact
days = st.integers(0, 3).map(lambda days: MONDAY + timedelta(days=days))


@st.composite
def settlement_rows(draw):
    code, is_cny = draw(st.sampled_from(CODES)), draw(st.booleans())
    traded = draw(days)
    return {
        "instrument": f"80{code}" if is_cny else code,
        "settlement_counter": code,
        "currency": "CNY" if is_cny else "HKD",
        "trade_date": traded,
        "settlement_date": traded + timedelta(days=2),
        "quantity": draw(quantities),
        "amount": draw(amounts),
    }


SETTLEMENT_SCHEMA = {
    **dict.fromkeys(KEY[:3], pl.String()),
    "trade_date": pl.Date(),
    "settlement_date": pl.Date(),
    "quantity": pl.Int64(),
    "amount": pl.Float64(),
}
settlement_positions = st.lists(settlement_rows(), max_size=12).map(
    lambda rows: pl.DataFrame(rows, schema=SETTLEMENT_SCHEMA)
)


def pledges(rows, column, key):
    """Generate pledges on the keys of the given positions."""
    found = rows.select(key).unique().sort(key)
    values = st.lists(st.integers(0, 400_000), min_size=len(found), max_size=len(found))
    return values.map(lambda pledged: found.with_columns(pl.Series(column, pledged, dtype=pl.Int64)))


@st.composite
def pledged_positions(draw):
    rows = draw(settlement_positions)
    return rows, draw(pledges(rows, "quantity", STOCK_KEY)), draw(pledges(rows, "amount", CASH_KEY))


WEDNESDAY = MONDAY + timedelta(days=2)
ADJUSTMENTS = pl.DataFrame(
    [
        dict.fromkeys(ADJUSTMENT_SCHEMA)
        | {"business_date": WEDNESDAY, "ex_date": day, "market": "HK", "instrument": code}
        | {
            "quantity_conversion_ratio": ratio,
            "cash_dividend_instrument": f"DIV{code}",
            "cash_dividend_amount": -0.75,
        }
        | {"stock_dividend_instrument": f"DSP{code}", "entitled_stock_quantity": 0.13}
        | {"rights_instrument": f"SRI{code}", "rights_quantity": 1.5}
        for code, day, ratio in (
            ("5", date(2019, 11, 5), 2.0),
            ("5", date(2019, 11, 6), 0.3),
            ("700", date(2019, 11, 6), 1.1),
        )
    ],
    schema=ADJUSTMENT_SCHEMA,
)


def split(frame, data):
    """Cut every row in two, in quantity and in money, and shuffle."""
    cuts = st.lists(quantities, min_size=len(frame), max_size=len(frame))
    parts = st.lists(amounts, min_size=len(frame), max_size=len(frame))
    money = [name for name, dtype in frame.schema.items() if dtype == pl.Float64]
    first = frame.with_columns(pl.Series("quantity", data.draw(cuts), dtype=pl.Int64))
    first = first.with_columns(pl.Series(name, data.draw(parts), dtype=pl.Float64) for name in money)
    numbers = ["quantity", *money]
    second = frame.with_columns(frame[name] - first[name] for name in numbers)
    return pl.concat([first, second]).sample(fraction=1.0, shuffle=True, seed=len(frame))


def through_every_step(frame, stock, cash):
    return marginable_positions(
        frame,
        business_date=WEDNESDAY,
        stock_pledges=stock,
        cash_pledges=cash,
        counters=COUNTERS,
        rates=RATES,
        adjustments=ADJUSTMENTS,
        prices=PRICES,
    )


@profile
@given(pledged_positions(), st.data())
def test_order_and_splitting_change_nothing_from_end_to_end(given_positions, data):
    rows, stock, cash = given_positions
    shuffled = data.draw(st.permutations(range(len(rows))))
    expected = through_every_step(rows, stock, cash)
    assert through_every_step(rows[shuffled], stock, cash).equals(expected)
    assert through_every_step(split(rows, data), stock, cash).equals(expected)
    assert through_every_step(net(rows, KEY, ["amount"]), stock, cash).equals(expected)


@profile
@given(
    st.lists(st.floats(-1e12, 1e12, allow_subnormal=False), max_size=20), st.randoms(use_true_random=False)
)
def test_order_changes_no_bit_of_a_sum(values, random):
    def total(amounts):
        rows = {"instrument": ["5"] * len(amounts), "quantity": [0] * len(amounts), "amount": amounts}
        frame = pl.DataFrame(
            rows, schema={"instrument": pl.String, "quantity": pl.Int64, "amount": pl.Float64}
        )
        return net(frame.with_columns(pl.col("amount") / 32), ["instrument"], ["amount"])

    shuffled = random.sample(values, len(values))
    assert total(shuffled).equals(total(values))


@profile
@given(pledged_positions())
def test_stock_cover_shrinks_shorts_within_the_pledge(given_positions):
    rows, stock, _ = given_positions
    before = net(rows, KEY, ["amount"])
    after = cover_with_specific_stock(rows, stock, MONDAY + timedelta(days=2), RATES)
    assert after.select(KEY).equals(before.select(KEY))
    taken = after.select(*KEY, covered=after["quantity"] - before["quantity"], quantity=before["quantity"])
    touched = taken.filter(pl.col("covered") != 0)
    assert (touched["quantity"] < 0).all()
    assert (touched["covered"] > 0).all()
    assert (touched["covered"] <= -touched["quantity"]).all()
    assert (touched["settlement_date"] > MONDAY + timedelta(days=2)).all()
    assert (after["amount"].abs() <= before["amount"].abs()).all()
    assert (after["amount"] * before["amount"] >= 0).all()
    used = touched.group_by(STOCK_KEY).agg(pl.col("covered").sum()).join(stock, on=STOCK_KEY)
    assert (used["covered"] <= used["quantity"]).all()


@profile
@given(pledged_positions())
def test_cash_cover_shrinks_longs_within_the_pledge(given_positions):
    rows, _, cash = given_positions
    before = net(rows, KEY, ["amount"])
    after = cover_with_specific_cash(rows, cash, MONDAY + timedelta(days=2))
    assert after.select(KEY).equals(before.select(KEY))
    taken = before.with_columns(covered=before["amount"] - after["amount"], left=after["quantity"])
    touched = taken.filter(pl.col("covered") != 0)
    assert (touched["covered"] > 0).all()
    assert (touched["covered"] <= touched["amount"]).all()
    assert touched["left"].is_between(0, touched["quantity"]).all()
    assert (touched["settlement_date"] > MONDAY + timedelta(days=2)).all()
    untouched = taken.filter(pl.col("covered") == 0)
    assert untouched["left"].equals(untouched["quantity"])
    used = touched.group_by(CASH_KEY).agg(pl.col("covered").sum()).join(cash, on=CASH_KEY)
    assert (used["covered"] <= used["amount"] + CENTS).all()


@profile
@given(settlement_positions)
def test_without_pledges_nothing_is_covered(rows):
    before = net(rows, KEY, ["amount"])
    no_stock = {"settlement_counter": [], "settlement_date": [], "quantity": []}
    no_cash = {"settlement_counter": [], "currency": [], "trade_date": [], "amount": []}
    assert cover_with_specific_stock(rows, no_stock, MONDAY, RATES).equals(
        before.select(SETTLEMENT_SCHEMA.keys())
    )
    assert cover_with_specific_cash(rows, no_cash, MONDAY).equals(before.select(SETTLEMENT_SCHEMA.keys()))


@profile
@given(settlement_positions)
def test_corporate_actions_that_do_nothing_change_nothing(rows):
    combined = combine_counters(rows, COUNTERS, RATES)
    nothing = pl.col("cash_dividend_amount", "entitled_stock_quantity", "rights_quantity")
    codes = pl.col("cash_dividend_instrument", "stock_dividend_instrument", "rights_instrument")
    neutral = ADJUSTMENTS.with_columns(
        nothing * None,
        codes.replace_strict({}, default=None, return_dtype=pl.String),
        quantity_conversion_ratio=1.0,
    )
    assert_frame_equal(apply_corporate_actions(combined, neutral), combined, check_exact=True)


@st.composite
def valued_rows(draw):
    return {
        "instrument": draw(st.sampled_from(CODES)),
        "currency": draw(st.sampled_from(["HKD", "CNY", "USD"])),
        "quantity": draw(quantities),
        "contract_value": draw(amounts),
        "market_value": draw(amounts),
        "settlement_date": draw(days),
    }


VALUED_SCHEMA = {
    "instrument": pl.String(),
    "currency": pl.String(),
    "quantity": pl.Int64(),
    "contract_value": pl.Float64(),
    "market_value": pl.Float64(),
    "settlement_date": pl.Date(),
}
valued_positions = st.lists(valued_rows(), max_size=8).map(
    lambda rows: pl.DataFrame(rows, schema=VALUED_SCHEMA)
)
roundings = st.sampled_from(["guide", "none"])


def same_mark(one, other):
    return (one.requirement, one.favourable) == (
        other.requirement,
        other.favourable,
    ) and one.by_currency.equals(other.by_currency)


@profile
@given(valued_positions, roundings)
def test_one_side_owes_at_least_what_the_other_is_owed(rows, rounding):
    mirror = rows.with_columns(-pl.col("quantity", "contract_value", "market_value"))
    one, other = mark_to_market(rows, RATES, rounding), mark_to_market(mirror, RATES, rounding)
    assert one.requirement >= other.favourable
    assert other.requirement >= one.favourable


@profile
@given(valued_positions, roundings, st.data())
def test_marks_do_not_depend_on_order_or_splitting(rows, rounding, data):
    cut = split(rows, data)
    assert same_mark(mark_to_market(cut, RATES, rounding), mark_to_market(rows, RATES, rounding))
    for cycle in ("11:00", "14:00"):
        arguments = {
            "business_date": MONDAY + timedelta(days=1),
            "cash_prepayment": 1e5,
            "rounding": rounding,
        }
        assert same_mark(
            intraday_mark(cut, RATES, cycle, **arguments), intraday_mark(rows, RATES, cycle, **arguments)
        )


@profile
@given(valued_positions, roundings)
def test_a_mark_adds_up(rows, rounding):
    mark = intraday_mark(rows, RATES, "11:00", business_date=MONDAY, cash_prepayment=1e5, rounding=rounding)
    assert abs(mark.favourable - mark.requirement - mark.by_currency["pnl_hkd"].sum()) <= CENTS
    assert min(mark.favourable, mark.requirement) == 0
    for currency, pnl in mark.by_currency.select("currency", "pnl").iter_rows():
        assert abs(mark.by_position.filter(pl.col("currency") == currency)["pnl"].sum() - pnl) <= CENTS


@profile
@given(valued_positions, st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_prepayment_never_reverses_a_long_due(rows, less, more):
    """With everything due and owed, the requirement falls as the prepayment grows."""
    owed = rows.with_columns(
        pl.col("quantity").abs() + 1, contract_value=pl.col("contract_value").abs(), market_value=pl.lit(0.0)
    )

    def requirement(prepayment):
        return intraday_mark(
            owed,
            RATES,
            "11:00",
            business_date=date(2019, 11, 29),
            cash_prepayment=prepayment,
            rounding="none",
        ).requirement

    assert requirement(less + more) <= requirement(less)


@profile
@given(settlement_positions)
def test_netting_before_or_after_conversion_agree(rows):
    combined = combine_counters(rows, COUNTERS, RATES)
    again = combined.rename({"contract_value": "amount"})
    assert combine_counters(again, COUNTERS, RATES).equals(combined)
    netted = net_across_days(combined, PRICES)
    rest = netted.drop("market_value")
    assert net_across_days(rest, PRICES).equals(netted)
