"""Published reductions of margin on real pairs of Japan, America and Hong Kong."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
import real_coverage
from real_books import closing_prices
from real_history import FILTERED, Switches, both_shortfalls, scenarios_by_day
from real_market import requires_real_data
from real_offsets import (
    CONFIDENCES,
    Offset,
    abroad,
    hedge_ratios,
    jgb_span,
    roll_days,
    treasury_span,
    without_jumps,
)

pytestmark = requires_real_data

CHECKED = ("JGB 20-year point, 7-year point", "2-year Treasury, ZT futures", "10-year Treasury, ZN futures")


def made_row(published, reduction, label, horizon):
    offset, lower = (abroad(label, horizon, confidence) for confidence in CONFIDENCES)
    cells = [
        published, label, f"{horizon} d", *real_coverage.offset_cells(offset, reduction),
        *real_coverage.offset_brief(lower, reduction),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("horizon", [1, 2])
@pytest.mark.parametrize("label", CHECKED)
def test_the_page_shows_what_is_computed_of_some_pairs(label, horizon):
    shown = real_coverage.shown("offsets-abroad").splitlines()
    published, reduction = next(
        (name, reduction) for name, (reduction, labels) in real_coverage.PUBLISHED.items() if label in labels
    )
    assert made_row(published, reduction, label, horizon) in shown


def test_the_page_shows_what_is_computed_of_india_s_rule():
    assert real_coverage.shown("offsets-india") == real_coverage.india_table()


def test_break_even_is_the_largest_cut_with_the_coverage():
    rng = np.random.default_rng(5)
    alone, gain = rng.uniform(1.0, 2.0, (1000, 2)), rng.normal(0.0, 0.3, (1000, 2))
    offset = Offset("drawn", 1, np.arange("2000-01-01", 1000, dtype="datetime64[D]"), alone, gain)
    cut = offset.break_even(0.99)

    def most(reduction):
        return int((-gain > (1 - reduction) * alone).sum(axis=0).max())

    assert most(cut - 1e-9) <= 10
    assert most(cut + 1e-6) == 11


def test_margins_of_a_pair_are_expected_shortfalls_of_its_legs():
    span, names = jgb_span(CHECKED[0])
    row = span.start + 1234
    ((moves, parts),) = scenarios_by_day(span, Switches(parts=FILTERED), 2, [row])
    ratio = hedge_ratios(span, *names)[row]
    own, hedge = (moves[0][span.column(name)] for name in names)
    worst = [-np.sort(side)[:6].mean() for side in (own, -own, hedge, -hedge)]
    offset = abroad(CHECKED[0], 2)
    at = row - span.start
    assert parts[0].tail_count == 6
    assert both_shortfalls([own], parts) == pytest.approx(worst[:2])
    assert offset.alone[at] == pytest.approx([worst[0] + ratio * worst[3], worst[1] + ratio * worst[2]])
    prices = span.closes[[row, row + 2]]
    gains = prices[1] / prices[0] - 1
    gain = gains[span.column(names[0])] - ratio * gains[span.column(names[1])]
    assert offset.gain[at] == pytest.approx([gain, -gain])


def test_the_ratio_is_the_slope_of_the_days_before():
    span, names = jgb_span(CHECKED[0])
    row = span.start + 500
    own, hedge = (span.histories.returns[row - 249 : row + 1, span.column(name)] for name in names)
    assert hedge_ratios(span, *names)[row] == pytest.approx((own @ hedge) / (hedge @ hedge), rel=1e-6)


def test_rolls_are_left_out_of_gains_and_of_histories():
    table = closing_prices("us_jp/zb_futures_2000_2024.csv", "ZB").sort("date")
    days = table["date"].to_numpy().astype("datetime64[D]")
    rolls = roll_days(days, at_month_end=False)
    changed = np.datetime64(date(2015, 3, 23))  # a new basket of deliverable bonds: +10.4%
    assert changed in rolls
    assert 0.01 < rolls.size / days.size < 0.02
    levels = without_jumps(table, "ZB", rolls)["close"].to_numpy()
    at = int(np.searchsorted(days, changed))
    assert levels[at] == pytest.approx(levels[at - 1])
    assert levels[at + 1] / levels[at] == pytest.approx(table["close"][at + 1] / table["close"][at])
    span, _ = treasury_span("20-year Treasury, ZB futures")
    ahead = span.moves_after(2)[:, span.column("ZB")]
    place = int(np.searchsorted(span.days, changed))
    assert np.isnan(ahead[[place - 2, place - 1]]).all()
    assert not np.isnan(ahead[[place - 3, place]]).any()
