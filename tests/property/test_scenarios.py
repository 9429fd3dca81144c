"""Histories and scenarios of any prices: what must hold whatever they are."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from small_market import DAYS, small_market, walk

from crossmargin.formats.scenario_files import read_scenarios, write_scenarios
from crossmargin.models.scenarios.build import ScenarioSettings, build_scenarios
from crossmargin.models.scenarios.filtered import FilteredHistorical, filtered_returns
from crossmargin.models.scenarios.histories import make_histories
from crossmargin.models.scenarios.history_rules import HistoryRules
from crossmargin.models.scenarios.part_rules import parts_of_method
from crossmargin.models.scenarios.selection import LookBack

COUNT = 30
FEW = 25  # examples: each makes a market or three
RELAXED = HistoryRules(possible_splits="keep", bad_prints="keep", break_ratio=1e9)

# Log returns in whole hundredths, so that prices are far from each other or equal
RETURNS = st.lists(st.integers(-20, 20), min_size=COUNT - 1, max_size=COUNT - 1)
PLACES = st.integers(1, COUNT - 1)
SPLITS = st.dictionaries(PLACES, st.sampled_from([2.0, 5.0, 10.0, 0.5, 1.5]), max_size=3)
DIVIDENDS = st.dictionaries(PLACES, st.integers(1, 10), max_size=3)


def closes_of(returns, start=100.0):
    return start * np.exp(np.concatenate([[0.0], np.cumsum(returns) / 100]))


def history(closes, *, rules=RELAXED, peers=None, **tables):
    described = tables.pop("described", {})
    series = {"A": (DAYS[: len(closes)], list(closes))}
    for name, prices in (peers or {}).items():
        series[name] = (DAYS[: len(prices)], list(prices))
    market = small_market(series, underlyings={"A": described}, **tables)
    return make_histories(market, DAYS[len(closes) - 1], rules)


@profile(max_examples=FEW)
@given(returns=RETURNS, splits=SPLITS, dividends=DIVIDENDS)
def test_corporate_actions_change_no_return(returns, splits, dividends):
    """Prices made from returns, splits and dividends (a share of the price before) give the returns back."""
    prices = [100.0]
    paid = {}
    for t, log_return in enumerate(returns, 1):
        worth = prices[-1] * np.exp(log_return / 100) / splits.get(t, 1.0)  # of one share of that day
        paid[t] = worth * dividends.get(t, 0) / 100
        prices.append(worth - paid[t])
    tables = {
        "splits": pl.DataFrame(
            {
                "ex_date": [DAYS[t] for t in splits],
                "underlying": ["A"] * len(splits),
                "ratio": [*splits.values()],
            },
            schema={"ex_date": pl.Date, "underlying": pl.String, "ratio": pl.Float64},
        ),
        "dividends": pl.DataFrame(
            {
                "ex_date": [DAYS[t] for t in dividends],
                "underlying": ["A"] * len(dividends),
                "amount": [paid[t] for t in dividends],
            },
            schema={"ex_date": pl.Date, "underlying": pl.String, "amount": pl.Float64},
        ),
    }
    histories = history(prices, described={"adjustment": "none"}, **tables)
    np.testing.assert_allclose(histories.returns[1:, 0], np.array(returns) / 100, atol=1e-12)
    shares = np.array([np.prod([ratio for at, ratio in splits.items() if at > t]) for t in range(COUNT)])
    adjusted = history(np.array(prices) / shares, described={"adjustment": "splits"}, **tables)
    np.testing.assert_allclose(adjusted.returns[1:, 0], np.array(returns) / 100, atol=1e-12)


@profile(max_examples=FEW)
@given(returns=RETURNS, factor=st.floats(1e-3, 1e3))
def test_the_unit_of_a_price_does_not_matter(returns, factor):
    plain = history(closes_of(returns))
    scaled = history(closes_of(returns) * factor)
    np.testing.assert_allclose(scaled.returns, plain.returns, atol=1e-12)
    np.testing.assert_allclose(scaled.levels, plain.levels * factor, rtol=1e-12)


@profile(max_examples=FEW)
@given(returns=RETURNS, other=RETURNS, stop=st.integers(2, COUNT))
def test_neither_others_nor_the_future_change_a_history(returns, other, stop):
    """With rules that judge each series alone; a day without any change still trades while others move."""
    closes, peer = closes_of(returns), closes_of(other, 50.0)
    alone = history(closes[:stop])
    later = history(closes, peers={"B": peer})
    first = make_histories(
        small_market({"A": (DAYS[:COUNT], closes.tolist()), "B": (DAYS[:COUNT], peer.tolist())}),
        DAYS[stop - 1],
        RELAXED,
    )
    assert first.returns[:, 0].tobytes() == alone.returns[:, 0].tobytes()
    assert first.returns[:, 0].tobytes() == later.returns[:stop, 0].tobytes()


@profile(max_examples=FEW)
@given(returns=RETURNS, missing=st.sets(st.integers(1, COUNT - 2), max_size=10))
def test_carried_days_lose_no_move(returns, missing):
    closes = closes_of(returns)
    kept = [t for t in range(COUNT) if t not in missing]
    series = {
        "A": ([DAYS[t] for t in kept], closes[kept].tolist()),
        "B": (DAYS[:COUNT], closes_of(returns).tolist()),
    }
    histories = make_histories(small_market(series), DAYS[COUNT - 1], RELAXED)
    assert histories.days.size == COUNT
    assert histories.valid[1:].all()
    np.testing.assert_allclose(histories.returns[:, 0].sum(), np.log(closes[-1] / closes[0]), atol=1e-12)
    assert (histories.returns[sorted(missing), 0] == 0).all()


@profile(max_examples=FEW)
@given(
    returns=RETURNS,
    decay=st.floats(0.01, 0.999),
    low=st.floats(0, 1),
    high=st.floats(1, 10),
    warm_up=st.integers(1, COUNT),
)
def test_filtering_keeps_signs_and_bounds(returns, decay, low, high, warm_up):
    histories = history(closes_of(returns))
    filtering = FilteredHistorical(decay=decay, warm_up_days=warm_up, ratio_min=low, ratio_max=high)
    filtered = filtered_returns(histories, filtering)
    size = np.abs(histories.returns)
    assert (filtered * histories.returns >= 0).all()
    assert (np.abs(filtered) <= high * size * (1 + 1e-15)).all()
    assert (np.abs(filtered) >= low * size * (1 - 1e-15)).all()


@profile(max_examples=FEW)
@given(
    moves=st.lists(
        st.integers(-20, 20).filter(lambda size: size != 0), min_size=COUNT - 1, max_size=COUNT - 1
    ),
    place=PLACES,
    stood=st.integers(RELAXED.stale_days, 3 * RELAXED.stale_days),
    priced=st.booleans(),
    floor_days=st.sampled_from([0, 10]),
)
def test_a_suspension_changes_no_filtered_return(moves, place, stood, priced, floor_days):
    """Days on which a price stands, or is not there until the last of them, are as if they had not been."""
    closes = closes_of(moves).tolist()
    longer = [*closes[: place + 1], *[closes[place]] * stood, *closes[place + 1 :]]
    inserted = np.arange(place + 1, place + 1 + stood)
    gone = set() if priced else set(inserted[:-1].tolist())
    filtered = []
    for prices, missing in ((closes, set()), (longer, gone)):
        count = len(prices)
        kept = [t for t in range(count) if t not in missing]
        series = {
            "A": ([DAYS[t] for t in kept], [prices[t] for t in kept]),
            "B": (DAYS[:count], walk(1, count).tolist()),
        }
        histories = make_histories(small_market(series), DAYS[count - 1], RELAXED)
        filtering = FilteredHistorical(warm_up_days=5, floor_days=floor_days)
        filtered.append(filtered_returns(histories, filtering)[:, 0])
    assert np.delete(filtered[1], inserted).tobytes() == filtered[0].tobytes()
    assert not filtered[1][inserted].any()


@profile(max_examples=FEW)
@given(
    returns=RETURNS, horizon_days=st.integers(1, 5), method=st.sampled_from(["overlapping", "square root"])
)
def test_sets_are_whole_and_come_back_from_files(returns, horizon_days, method, tmp_path_factory):
    market = small_market({"A": (DAYS[:COUNT], closes_of(returns).tolist())})
    settings = ScenarioSettings(
        parts=parts_of_method("historical", selection=LookBack(scenarios=20), confidence="0.95"),
        rules=RELAXED,
        horizon_days=horizon_days,
        horizon_method=method,
    )
    scenarios = build_scenarios(market, DAYS[COUNT - 1], settings)
    assert scenarios.moves.shape == (20, 1)
    assert (scenarios.moves > -1).all()
    path = tmp_path_factory.mktemp("sets") / "a.scenarios"
    write_scenarios(scenarios, path)
    assert read_scenarios(path).content_hash == scenarios.content_hash
