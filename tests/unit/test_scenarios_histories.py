"""Histories: trading days, corporate actions, what is found wrong and what is done about it."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import polars as pl
import pytest
from small_market import DAYS, price_table, small_market, walk, walks

from crossmargin.errors import InputError
from crossmargin.models.market import make_market
from crossmargin.models.scenarios.findings import FINDING_KINDS, FINDING_SCHEMA
from crossmargin.models.scenarios.histories import make_histories
from crossmargin.models.scenarios.history_rules import HistoryRules
from crossmargin.models.scenarios.proxies import regression

EXACT = 1e-12  # a few logarithms and exponentials


def found(histories, kind):
    rows = histories.findings.filter(pl.col("kind") == kind)
    return [row[:2] + row[3:] for row in rows.iter_rows()]


def kinds(histories):
    return set(histories.findings["kind"])


def one(closes, days=None, *, as_of=None, rules=None, tables=None, **described):
    """Return histories of a single stock with given closes."""
    days = days or DAYS[: len(closes)]
    market = small_market({"A": (days, closes)}, underlyings={"A": described}, **(tables or {}))
    return make_histories(market, as_of or days[-1], rules)


def test_returns_are_log_returns_on_trading_days():
    histories = one([100.0, 110.0, 99.0])
    assert histories.days.tolist() == DAYS[:3]
    assert histories.returns[:, 0] == pytest.approx([0, np.log(1.1), np.log(0.9)], abs=EXACT)
    assert histories.valid[:, 0].tolist() == [False, True, True]
    assert histories.levels[:, 0] == pytest.approx([100, 110, 99], rel=EXACT)
    assert histories.findings.is_empty()
    assert dict(histories.findings.schema) == FINDING_SCHEMA


def test_simple_returns():
    histories = one([100.0, 110.0, 99.0], rules=HistoryRules(returns="simple"))
    assert histories.returns[:, 0] == pytest.approx([0, 0.1, -0.1], abs=EXACT)
    assert histories.multiplies.tolist() == [1.0]


def test_nothing_after_the_day_is_looked_at():
    known = one([100.0, 110.0, 99.0])
    later = one([100.0, 110.0, 99.0, 500.0, 1.0], as_of=DAYS[2])
    assert later.content_hash == known.content_hash
    assert later.findings.equals(known.findings)


@pytest.mark.parametrize("as_of", [datetime(2014, 1, 6), "2014-01-06", None])  # noqa: DTZ001
def test_what_is_no_date_is_refused(as_of):
    with pytest.raises(InputError, match=r"as_of.*a date"):
        make_histories(small_market(walks("A", 3)), as_of)


# Trading days


def test_a_half_day_trades_and_a_typhoon_does_not():
    """2020-12-24 was a half day; on 2020-10-13 typhoon Nangka closed the exchange."""
    assert date(2020, 12, 24) in DAYS
    assert date(2020, 10, 13) not in DAYS
    days = [date(2020, 10, 12), date(2020, 10, 13), date(2020, 10, 14)]
    histories = one([100.0, 100.0, 105.0], days)
    assert histories.days.tolist() == [days[0], days[2]]
    assert found(histories, "no trading day") == [("spot:A", days[1], 100.0, "dropped")]


def test_a_closure_that_the_calendar_does_not_know():
    """Nothing has a price on a scheduled day, or no price of several changes."""
    days = DAYS[:10]
    series = {name: (days, walk(n, 10).tolist()) for n, name in enumerate("ABCDE")}
    gone = {name: (days[:4] + days[5:], closes[:4] + closes[5:]) for name, (_, closes) in series.items()}
    histories = make_histories(small_market(gone), days[-1])
    assert found(histories, "unscheduled closure") == [("calendar:XHKG", days[4], 0.0, "no trading day")]
    assert histories.days.tolist() == days[:4] + days[5:]
    copied = {name: (days, [*closes[:4], closes[3], *closes[5:]]) for name, (_, closes) in series.items()}
    histories = make_histories(small_market(copied), days[-1])
    assert found(histories, "unscheduled closure") == [("calendar:XHKG", days[4], 5.0, "no trading day")]
    assert len(found(histories, "no trading day")) == 5


def test_a_session_that_the_calendar_does_not_know():
    """Prices move on a holiday: it is a trading day after all. On a Saturday they never are."""
    days = [date(2020, 12, 24), date(2020, 12, 25), date(2020, 12, 26), date(2020, 12, 28)]
    histories = one([100.0, 101.0, 102.0, 103.0], days)
    assert histories.days.tolist() == [days[0], days[1], days[3]]
    assert found(histories, "unscheduled session") == [("calendar:XHKG", days[1], 1.0, "trading day")]
    assert found(histories, "no trading day") == [("spot:A", days[2], 102.0, "dropped")]


def test_before_the_calendar_prices_speak():
    """Christmas 2003 with copied prices is no trading day; a lone print on a half day is not enough, an index is."""
    days = [date(2003, 12, d) for d in (22, 23, 24, 25, 29)]
    series = {name: (days, [10.0, 11.0, 12.0, 12.0, 13.0]) for name in "ABC"}
    assert make_histories(small_market(series), days[-1]).days.tolist() == [
        days[0],
        days[1],
        days[2],
        days[4],
    ]
    lone = {name: ([days[0], days[1], days[4]], [10.0, 11.0, 13.0]) for name in "BC"} | {"A": series["A"]}
    assert make_histories(small_market(lone), days[-1]).days.tolist() == [days[0], days[1], days[4]]
    index = make_histories(small_market(lone, underlyings={"A": {"kind": "index"}}), days[-1])
    assert days[2] in index.days.tolist()


def test_a_day_that_looks_like_a_copy():
    series = {name: (days, list(closes)) for name, (days, closes) in walks("ABCDEFGHIJK", 20).items()}
    for name, (_, closes) in series.items():
        if name != "A":
            closes[7] = closes[6]
    histories = make_histories(small_market(series), DAYS[19])
    assert found(histories, "frozen day") == [("calendar:XHKG", DAYS[7], 1.0, "prices kept")]


def test_an_unknown_calendar_is_refused():
    with pytest.raises(InputError, match="NOWHERE"):
        make_histories(small_market({"A": (DAYS[:3], [1.0, 2.0, 3.0])}, calendar="NOWHERE"), DAYS[2])


# Corporate actions


def splits(*rows):
    return {"splits": pl.DataFrame(rows, schema=["ex_date", "underlying", "ratio"], orient="row")}


def dividends(*rows):
    return {"dividends": pl.DataFrame(rows, schema=["ex_date", "underlying", "amount"], orient="row")}


def test_a_split_and_a_dividend_of_raw_prices():
    """100 shares at 50; a dividend of 2; two for one; then 0.5 on each new share: holders made 10% and 4%."""
    histories = one(
        [50.0, 53.0, 26.5, 27.06],
        adjustment="none",
        tables=splits((DAYS[2], "A", 2.0)) | dividends((DAYS[1], "A", 2.0), (DAYS[3], "A", 0.5)),
    )
    assert np.expm1(histories.returns[1:, 0]) == pytest.approx([0.1, 0.0, 0.04], abs=EXACT)
    assert histories.levels[-1, 0] == pytest.approx(27.06, rel=EXACT)
    assert histories.levels[0, 0] == pytest.approx(27.06 / 1.04 / 1.1, rel=EXACT)
    assert kinds(histories) == {"zero returns"}


def test_prices_adjusted_for_splits_get_only_dividends():
    """The same story told in new shares: prices halve before the split, and so does the first dividend."""
    histories = one(
        [25.0, 26.5, 26.5, 27.06],
        adjustment="splits",
        tables=splits((DAYS[2], "A", 2.0)) | dividends((DAYS[1], "A", 2.0), (DAYS[3], "A", 0.5)),
    )
    assert np.expm1(histories.returns[1:, 0]) == pytest.approx([0.1, 0.0, 0.04], abs=EXACT)


def test_prices_adjusted_for_everything_are_left_alone():
    tables = splits((DAYS[2], "A", 2.0)) | dividends((DAYS[1], "A", 2.0))
    histories = one([50.0, 55.0, 55.0], adjustment="total", tables=tables)
    assert np.expm1(histories.returns[1:, 0]) == pytest.approx([0.1, 0.0], abs=EXACT)


def test_an_ex_day_without_a_price_counts_on_the_next():
    """Split, dividend and split again while suspended: 1 share → 2, each gets 1 → 4 at 12: 48 + 2 from 50."""
    days = [DAYS[0], DAYS[4]]
    tables = splits((DAYS[1], "A", 2.0), (DAYS[3], "A", 2.0)) | dividends((DAYS[2], "A", 1.0))
    market = small_market(
        {"A": (days, [50.0, 12.0]), "B": (DAYS[:5], walk(1, 5).tolist())},
        underlyings={"A": {"adjustment": "none"}},
        **tables,
    )
    histories = make_histories(market, DAYS[4])
    assert histories.returns[:, 0] == pytest.approx([0, 0, 0, 0, 0], abs=EXACT)


def test_actions_outside_the_history_change_nothing():
    tables = splits((date(2013, 1, 2), "A", 5.0), (DAYS[9], "A", 3.0)) | dividends((DAYS[8], "A", 1.0))
    for adjustment in ("none", "splits", "total"):
        histories = one([50.0, 55.0, 55.0], adjustment=adjustment, tables=tables)
        assert np.expm1(histories.returns[1:, 0]) == pytest.approx([0.1, 0.0], abs=EXACT)


# Findings


def with_peers(closes, **described):
    """Return a market in which A has given closes and five peers move little."""
    count = len(closes)
    series = {name: (DAYS[:count], walk(n, count, daily=0.003).tolist()) for n, name in enumerate("PQRST", 1)}
    return small_market({"A": (DAYS[:count], closes), **series}, underlyings={"A": described})


def steady(count=40):
    return walk(9, count, daily=0.003).tolist()


def test_missing_days_are_carried():
    series = walks("BC", 10) | {
        "A": (DAYS[:2] + DAYS[5:10], [100.0, 102.0, 110.0, 111.0, 112.0, 113.0, 114.0])
    }
    histories = make_histories(small_market(series), DAYS[9])
    column = histories.columns["spot:A"]
    assert found(histories, "missing days") == [("spot:A", DAYS[2], 3.0, "level carried")]
    assert np.expm1(histories.returns[1:6, column]) == pytest.approx(
        [0.02, 0, 0, 0, 110 / 102 - 1], abs=EXACT
    )
    assert histories.levels[1:6, column] == pytest.approx([102, 102, 102, 102, 110], rel=EXACT)
    assert histories.valid[1:, column].all()


def test_missing_days_are_left_out_where_the_rules_say_so():
    series = walks("BC", 10) | {
        "A": (DAYS[:2] + DAYS[5:10], [100.0, 102.0, 110.0, 111.0, 112.0, 113.0, 114.0])
    }
    histories = make_histories(small_market(series), DAYS[9], HistoryRules(missing_days="leave out"))
    column = histories.columns["spot:A"]
    assert histories.valid[:, column].tolist() == [False, True, *[False] * 4, *[True] * 4]
    assert (histories.returns[2:6, column] == 0).all()


def test_a_bad_print_is_dropped():
    closes = steady()
    closes[20] *= 1.5
    market = with_peers(closes)
    histories = make_histories(market, DAYS[39])
    [(factor, day, move, action)] = found(histories, "bad print")
    assert (factor, day, action) == ("spot:A", DAYS[20], "dropped")
    assert move == pytest.approx(closes[20] / closes[19] - 1, abs=EXACT)
    returns = histories.returns[:, histories.columns["spot:A"]]
    assert returns[20] == 0.0
    assert returns[21] == pytest.approx(np.log(closes[21] / closes[19]), abs=EXACT)
    assert found(histories, "missing days") == [("spot:A", DAYS[20], 1.0, "level carried")]
    kept = make_histories(market, DAYS[39], HistoryRules(bad_prints="keep"))
    assert found(kept, "bad print")[0][3] == "kept"
    assert len(found(kept, "jump")) == 2
    with pytest.raises(InputError, match=str(DAYS[20])):
        make_histories(market, DAYS[39], HistoryRules(bad_prints="refuse"))


def test_several_bad_prints_are_dropped_but_not_their_ways_back():
    closes = steady()
    for t in (20, 22, 24):
        closes[t] = closes[19] * 1.5
        closes[t + 1] = closes[19]
    histories = make_histories(with_peers(closes), DAYS[39])
    assert [row[1] for row in found(histories, "bad print")] == [DAYS[20], DAYS[22], DAYS[24]]
    returns = histories.returns[20:26, histories.columns["spot:A"]]
    assert returns == pytest.approx(np.zeros(6), abs=EXACT)


def test_a_crash_of_the_market_and_its_recovery_are_no_bad_prints():
    series = {name: (days, list(closes)) for name, (days, closes) in walks("ABCDEF", 40, daily=0.003).items()}
    for _, closes in series.values():
        closes[20] *= 0.6
    histories = make_histories(small_market(series), DAYS[39])
    assert found(histories, "bad print") == []
    assert len(found(histories, "jump")) == 12


def test_what_many_do_is_no_bad_print():
    series = {
        name: (days, list(closes)) for name, (days, closes) in walks("ABCDEFGH", 40, daily=0.003).items()
    }
    for name in "ABC":
        series[name][1][20] *= 0.6
    histories = make_histories(small_market(series), DAYS[39])
    assert found(histories, "bad print") == []
    assert len(found(histories, "jump")) == 6


@pytest.mark.parametrize("ratio", [2.0, 4.0, 25.0, 0.5, 0.1])
def test_an_unknown_split_is_taken_out(ratio):
    true = steady()
    closes = true[:25] + [price * ratio for price in true[25:]]
    market = with_peers(closes)
    histories = make_histories(market, DAYS[39], HistoryRules(possible_splits="take out"))
    [(factor, day, value, action)] = found(histories, "possible split")
    assert (factor, day, action) == ("spot:A", DAYS[25], "taken out")
    assert value == pytest.approx(closes[25] / closes[24], rel=EXACT)
    returns = histories.returns[1:, histories.columns["spot:A"]]
    assert returns == pytest.approx(np.diff(np.log(true)), abs=1e-10)
    assert not kinds(histories) & {"jump", "break"}
    with pytest.raises(InputError, match="possible split"):
        make_histories(market, DAYS[39], HistoryRules(possible_splits="refuse"))


@pytest.mark.parametrize("left", [1 / 2, 1 / 3, 1 / 4])
def test_a_loss_of_a_half_is_kept_unless_told_otherwise(left):
    """The price alone does not say whether it was a split: the move stays, and is reported twice."""
    closes = steady()
    closes[25:] = [price * left for price in closes[25:]]
    histories = make_histories(with_peers(closes), DAYS[39])
    ratio = closes[25] / closes[24]
    assert found(histories, "possible split") == [("spot:A", DAYS[25], pytest.approx(ratio), "kept")]
    assert found(histories, "jump") == [("spot:A", DAYS[25], pytest.approx(ratio - 1), "kept")]
    move = histories.returns[25, histories.columns["spot:A"]]
    assert move == pytest.approx(np.log(ratio), abs=EXACT)


def test_what_many_do_is_no_split():
    series = {
        name: (days, list(closes)) for name, (days, closes) in walks("ABCDEFGH", 40, daily=0.003).items()
    }
    for name in "ABC":
        series[name][1][20:] = [price / 2 for price in series[name][1][20:]]
    histories = make_histories(small_market(series), DAYS[39])
    assert found(histories, "possible split") == []
    assert len(found(histories, "jump")) == 3


def test_a_jump_is_kept():
    closes = steady()
    closes[25:] = [price * 0.6 for price in closes[25:]]
    histories = make_histories(with_peers(closes), DAYS[39])
    assert found(histories, "jump") == [
        ("spot:A", DAYS[25], pytest.approx(closes[25] / closes[24] - 1), "kept")
    ]
    assert histories.returns[25, histories.columns["spot:A"]] == pytest.approx(
        np.log(closes[25] / closes[24])
    )


def test_a_break_starts_the_history_anew():
    closes = steady()
    closes[:25] = [price / 1234.5 for price in closes[:25]]
    histories = make_histories(with_peers(closes), DAYS[39])
    assert [row[:2] for row in found(histories, "break")] == [("spot:A", DAYS[25])]
    column = histories.columns["spot:A"]
    assert np.flatnonzero(histories.valid[:, column]).tolist() == [*range(26, 40)]
    assert not histories.returns[:26, column].any()
    assert histories.levels[24:26, column] == pytest.approx([0.0, closes[25]], rel=EXACT)
    assert found(histories, "starts late") == [("spot:A", DAYS[25], 25.0, "not valid before")]


def test_a_flat_start_is_dropped_and_stale_prices_are_reported():
    closes = [50.0] * 12 + steady(40)
    closes[30:45] = [closes[30]] * 15
    histories = make_histories(with_peers(closes), DAYS[51])
    assert found(histories, "flat start") == [("spot:A", DAYS[12], 12.0, "dropped")]
    assert not histories.returns[:13, histories.columns["spot:A"]].any()
    assert ("spot:A", DAYS[31], 14.0, "kept") in found(histories, "stale")
    assert found(histories, "zero returns")[0] == ("spot:A", DAYS[44], 14.0, "kept")
    assert not histories.valid[:13, histories.columns["spot:A"]].any()


@pytest.mark.parametrize(("stood", "stale"), [(9, False), (10, True)])
def test_long_runs_of_unchanged_days_count_for_no_volatility(stood, stale):
    closes = steady(40)
    closes[20 : 20 + stood] = [closes[19]] * stood
    histories = make_histories(with_peers(closes), DAYS[39])
    column = histories.columns["spot:A"]
    assert histories.stale[:, column].tolist() == [stale and 20 <= t < 20 + stood for t in range(40)]
    assert histories.counted[1:, column].tolist() == [not s for s in histories.stale[1:, column]]
    assert not np.delete(histories.stale, column, axis=1).any()
    assert histories.valid[1:].all()


def test_days_without_a_price_count_for_no_volatility():
    """Nor do those in a run with unchanged ones: 4 without a price, 6 unchanged, and one more without."""
    closes = steady(40)
    closes[24:30] = [closes[19]] * 6
    prices = {t: price for t, price in enumerate(closes) if t not in {10, 20, 21, 22, 23, 35}}
    series = {"A": ([DAYS[t] for t in prices], [*prices.values()]), "B": (DAYS[:40], walk(2, 40).tolist())}
    histories = make_histories(small_market(series), DAYS[39])
    assert np.flatnonzero(histories.stale[:, 0]).tolist() == [10, *range(20, 30), 35]
    assert not histories.stale[:, 1].any()


def test_prices_before_listing_are_dropped():
    histories = make_histories(with_peers(steady(), listed=DAYS[10]), DAYS[39])
    assert found(histories, "before listing") == [("spot:A", DAYS[9], 10.0, "dropped")]
    assert found(histories, "starts late") == [("spot:A", DAYS[10], 10.0, "not valid before")]


def test_a_series_that_ended_is_left_out_or_refused():
    series = walks("AB", 40) | {"C": (DAYS[:30], walk(5, 30).tolist())}
    market = small_market(series)
    histories = make_histories(market, DAYS[39])
    assert found(histories, "ends early") == [("spot:C", DAYS[29], 10.0, "left out")]
    assert [factor.name for factor in histories.factors] == ["A", "B"]
    assert "spot:C" in make_histories(market, DAYS[34]).columns
    with pytest.raises(InputError, match="spot:C"):
        make_histories(market, DAYS[39], HistoryRules(ends_early="refuse"))


def test_a_market_that_ended_is_refused():
    market = small_market(walks("AB", 40))
    assert make_histories(market, DAYS[39]).days[-1].item() == DAYS[39]
    with pytest.raises(InputError, match="weekdays before"):
        make_histories(market, DAYS[60])
    with pytest.raises(InputError, match="prices up to"):
        make_histories(market, date(2000, 1, 3))


# Proxies


def proxied_market(beta=1.5, noise=0.002):
    index = walk(1, 600)
    moves = np.diff(np.log(index), prepend=np.log(index[0]))
    own = beta * moves + noise * np.random.default_rng(4).standard_normal(600)
    closes = np.round(20 * np.exp(np.cumsum(own)), 6)
    series = {"X": (DAYS[:600], index.tolist()), "A": (DAYS[300:600], closes[300:].tolist())}
    return small_market(series, underlyings={"X": {"kind": "index"}, "A": {"proxy": "X"}})


def test_days_before_listing_come_from_the_proxy():
    histories = make_histories(proxied_market(), DAYS[599])
    own, index = histories.columns["spot:A"], histories.columns["spot:X"]
    [(factor, day, beta, action)] = found(histories, "proxied")
    assert (factor, day, action) == ("spot:A", DAYS[301], "300 days from spot:X")
    assert beta == pytest.approx(1.5, abs=0.03)
    assert histories.valid[1:, own].all()
    assert histories.proxied[:, own].tolist() == [False, *[True] * 300, *[False] * 299]
    residual = histories.returns[1:301, own] - beta * histories.returns[1:301, index]
    _, seen = regression(histories.returns[301:551, own], histories.returns[301:551, index])
    assert np.abs(residual[:, None] - seen).min(axis=1).max() < 1e-9  # each is one of those observed
    assert len(set(np.round(residual, 12))) > 100


def test_draws_depend_on_the_seed_and_the_name_alone():
    market = proxied_market()
    first = make_histories(market, DAYS[599])
    again = make_histories(market, DAYS[599])
    assert again.content_hash == first.content_hash
    other = make_histories(market, DAYS[599], HistoryRules(seed=1))
    assert not np.array_equal(other.returns, first.returns)
    assert np.array_equal(other.returns[301:], first.returns[301:])


def residuals_on(last, market=None, rules=None):
    """Residuals of the first 300 days as they are seen on a later one."""
    histories = make_histories(market or proxied_market(), DAYS[last], rules)
    [(_, _, beta, _)] = found(histories, "proxied")
    own, index = histories.columns["spot:A"], histories.columns["spot:X"]
    return histories.returns[1:301, own] - beta * histories.returns[1:301, index]


def test_a_day_has_the_same_residual_whenever_it_is_asked_for():
    """From 250 common days on, that of DAYS[550]; until then the sample grows and what is drawn changes."""
    first = residuals_on(550)
    for last in (551, 575, 599):
        assert residuals_on(last) == pytest.approx(first, abs=1e-15)
    assert np.mean(np.isclose(residuals_on(549), first, rtol=0, atol=1e-9)) < 0.1
    small = HistoryRules(proxy_sample_days=100)
    assert residuals_on(599, rules=small) == pytest.approx(residuals_on(420, rules=small), abs=1e-15)


def test_a_draw_does_not_depend_on_the_days_before():
    """A market that begins a hundred days later has the same returns from then on."""
    market = proxied_market()
    prices = market["prices"].filter(pl.col("date") >= DAYS[100])
    later = make_market({"underlyings": market["underlyings"], "prices": prices}, name="small")
    whole, part = (make_histories(one, DAYS[599]) for one in (market, later))
    assert part.returns[1:].tobytes() == whole.returns[101:].tobytes()


def test_names_draw_different_days():
    index = walk(1, 400)
    moves = np.diff(np.log(index), prepend=np.log(index[0]))
    noise = 0.002 * np.random.default_rng(4).standard_normal(400)
    closes = np.round(20 * np.exp(np.cumsum(moves + noise)), 6)[200:].tolist()
    series = {"X": (DAYS[:400], index.tolist())} | dict.fromkeys("AB", (DAYS[200:400], closes))
    market = small_market(series, underlyings={name: {"proxy": "X"} for name in "AB"})
    histories = make_histories(market, DAYS[399])
    assert np.array_equal(histories.returns[201:, 0], histories.returns[201:, 1])
    assert np.mean(histories.returns[1:201, 0] == histories.returns[1:201, 1]) < 0.05


def test_a_proxy_without_the_days_that_are_missing_fills_nothing():
    """A and its proxy begin on the same day, three hundred days after the market."""
    series = walks("B", 600) | {"X": (DAYS[300:600], walk(2, 300).tolist())}
    series["A"] = (DAYS[300:600], walk(3, 300).tolist())
    histories = make_histories(small_market(series, underlyings={"A": {"proxy": "X"}}), DAYS[599])
    assert found(histories, "proxied") == []
    assert found(histories, "no proxy") == [("spot:A", DAYS[301], 299.0, "left short")]


def test_a_day_filled_from_a_proxy_that_stood_is_stale():
    market = proxied_market()
    stood = pl.col("date").is_between(DAYS[100], DAYS[120]) & (pl.col("underlying") == "X")
    prices = market["prices"].filter(~stood)
    peers = price_table(walks("B", 600))
    rows = small_market(walks("B", 2))["underlyings"]
    tables = {
        "underlyings": pl.concat([market["underlyings"], rows]),
        "prices": pl.concat([prices, peers.select(prices.columns)]),
    }
    histories = make_histories(make_market(tables, name="small"), DAYS[599])
    own = histories.columns["spot:A"]
    assert np.flatnonzero(histories.stale[:, own]).tolist() == [*range(100, 121)]
    assert histories.valid[1:, own].all()


def test_scaled_proxies_draw_nothing():
    histories = make_histories(proxied_market(), DAYS[599], HistoryRules(proxy_method="scaled"))
    own, index = histories.columns["spot:A"], histories.columns["spot:X"]
    ratio = histories.returns[301:, own].std() / histories.returns[301:, index].std()
    assert histories.returns[1:301, own] == pytest.approx(ratio * histories.returns[1:301, index], rel=1e-9)


@pytest.mark.parametrize("rules", [HistoryRules(proxy_method="none"), HistoryRules(proxy_days_min=300)])
def test_a_proxy_that_may_not_or_cannot_help(rules):
    histories = make_histories(proxied_market(), DAYS[599], rules)
    assert found(histories, "no proxy") == [("spot:A", DAYS[301], 299.0, "left short")]
    assert not histories.valid[:301, histories.columns["spot:A"]].any()
    assert not histories.proxied.any()


def test_volatilities_come_from_the_proxy_too():
    """Of the same days to expiry, with the same drawn days as the spot; where the proxy has none, not at all."""
    levels = np.round(walk(6, 600, daily=0.03, start=0.2), 6)
    rows = [
        {"date": DAYS[t], "underlying": name, "days": days, "volatility": level * scale}
        for name, scale, days, start in (("X", 1.0, 30, 0), ("A", 1.5, 30, 300), ("A", 1.6, 90, 300))
        for t, level in enumerate(levels.tolist())
        if t >= start
    ]
    prices = proxied_market().tables
    market = make_market(
        {name: prices[name] for name in ("underlyings", "prices")} | {"volatilities": pl.DataFrame(rows)},
        name="small",
    )
    histories = make_histories(market, DAYS[599])
    own, index = histories.columns["volatility:A:30"], histories.columns["volatility:X:30"]
    assert histories.valid[1:, own].all()
    assert histories.returns[1:, own] == pytest.approx(histories.returns[1:, index], abs=1e-9)  # β = 1
    assert ("volatility:A:90", DAYS[301], 0.0, "left short") in found(histories, "no proxy")
    assert not histories.valid[:301, histories.columns["volatility:A:90"]].any()


# Other kinds of factor


def test_other_histories_are_looked_at_on_trading_days():
    def table(name, column, values, **more):
        rows = {
            "date": DAYS[:4],
            name: ["HSI" if name == "underlying" else "USD"] * 4,
            column: values,
            **more,
        }
        return pl.DataFrame(rows)

    rates = pl.concat(
        [
            table("currency", "rate", [0.01, 0.012, 0.011, 0.011], days=[30] * 4),
            pl.DataFrame({"date": [date(2014, 1, 4)], "currency": ["USD"], "rate": [9e-1], "days": [30]}),
        ],
        how="diagonal",
    )
    market = small_market(
        {"HSI": (DAYS[:4], [100.0, 101.0, 102.0, 103.0])},
        volatilities=table("underlying", "volatility", [0.2, 0.25, 0.2, 0.2], days=[30] * 4),
        rates=rates,
        exchange_rates=pl.concat(
            [
                table("currency", "rate", [7.8, 7.8, 7.85, 7.75]),
                pl.DataFrame({"date": DAYS[:4], "currency": ["HKD"] * 4, "rate": [1.0] * 4}),
            ]
        ),
    )
    histories = make_histories(market, DAYS[3])
    assert [factor.code for factor in histories.factors] == [
        "spot:HSI",
        "volatility:HSI:30",
        "rate:USD:30",
        "exchange_rate:USD",
    ]
    assert histories.returns[1:, 1] == pytest.approx(np.log([1.25, 0.8, 1.0]), abs=EXACT)
    assert histories.returns[1:, 2] == pytest.approx([0.002, -0.001, 0.0], abs=EXACT)
    assert histories.returns[1:, 3] == pytest.approx(np.log([1.0, 7.85 / 7.8, 7.75 / 7.85]), abs=EXACT)
    assert histories.levels[:, 2] == pytest.approx([0.01, 0.012, 0.011, 0.011], abs=EXACT)
    only = make_histories(market, DAYS[3], HistoryRules(kinds=("spot", "rate")))
    assert [factor.kind for factor in only.factors] == ["spot", "rate"]


# Rules


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("returns", "percent"),
        ("kinds", ("spot", "mood")),
        ("missing_days", "guess"),
        ("bad_print_move", float("nan")),
        ("split_ratio_max", 1),
        ("break_ratio", 1.0),
        ("stale_days", 0),
        ("trading_share", 1.5),
        ("seed", -1),
        ("seed", True),
        ("stale_days", 10.5),
        ("stale_days", "10"),
        ("end_gap_days", None),
        ("jump_move", "0.3"),
        ("jump_move", None),
        ("jump_move", True),
        ("proxy_sample_days", 1),
    ],
)
def test_rules_out_of_range_are_refused(field, value):
    with pytest.raises(InputError, match=field):
        HistoryRules(**{field: value})


def test_every_kind_of_finding_has_its_words():
    assert all(text and "value" in text for text in FINDING_KINDS.values())
