"""The synthetic market is what it says: reproducible, hedged where it says so, with the marks of its model."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from crossmargin.core.exchange_days import exchange_days
from crossmargin.errors import InputError
from crossmargin.formats.market.folder_reader import read_market
from crossmargin.formats.market.folder_writer import write_market
from crossmargin.kernels.implied_volatility import VolatilityStatus, implied_volatilities
from crossmargin.models.market import HOUSES
from crossmargin.models.synthetic_market.contracts import contract_months, synthetic_contracts
from crossmargin.models.synthetic_market.histories import synthetic_histories
from crossmargin.models.synthetic_market.market import synthetic_market
from crossmargin.models.synthetic_market.sizes import MarketSize
from crossmargin.models.synthetic_market.underlyings import on_ticks

AS_OF = date(2026, 1, 5)
TINY = MarketSize(
    stocks=10, option_classes=2, option_months=2, strikes=3, years=2, mark_days=2, participants=2, desks=5
)


@pytest.fixture(scope="module")
def market():
    return synthetic_market(seed=1)


@pytest.fixture(scope="module")
def closes(market):
    """Closes as a table of days × underlyings."""
    return market["prices"].pivot("underlying", index="date", values="close").sort("date")


@pytest.fixture(scope="module")
def returns(closes):
    """Log returns of what never paid, split or was listed late: the two indices."""
    return {code: np.diff(np.log(closes[code].to_numpy())) for code in ("HSI", "HHI")}


@pytest.fixture(scope="module")
def spots(market):
    return dict(market.latest("prices", AS_OF, "underlying").select("underlying", "close").rows())


@pytest.fixture(scope="module")
def marked(market):
    """Options with mark, forward (the future's mark), years and rate on the last day."""
    marks = market.latest("marks", AS_OF, "instrument").select("instrument", mark="price")
    series = market["instruments"].join(marks, on="instrument")
    futures = series.filter(kind="future", multiplier=50.0).select("underlying", "expiry", future="mark")
    curve = market.latest("rates", AS_OF, "currency", "days").filter(currency="HKD").sort("days")
    days = (pl.col("expiry") - AS_OF).dt.total_days()
    options = series.filter(kind="option").join(futures, on=["underlying", "expiry"], how="left")
    options = options.with_columns(days.alias("days"), years=days / 365)
    rate = np.interp(options["days"], curve["days"], curve["rate"])
    return options.with_columns(rate=pl.Series(rate))


def held(market, kind: str) -> pl.DataFrame:
    """Return the positions of the desks of a kind, with owner and terms."""
    return (
        market["positions"]
        .filter(pl.col("account").str.contains(f".{kind}-", literal=True))
        .join(market["accounts"].select("account", "owner"), on="account")
        .join(market["instruments"], on="instrument")
    )


# As a whole.


def test_same_seed_same_market(market):
    assert synthetic_market(seed=1).content_hash == market.content_hash
    other = synthetic_market(seed=2)
    assert other.content_hash != market.content_hash
    assert set(other["prices"]["close"]) != set(market["prices"]["close"])


def test_it_says_that_it_is_synthetic(market):
    assert "SYNTHETIC" in market.data_note
    assert "seed 1" in market.data_note


@pytest.mark.parametrize("histories", ["parquet", "csv"])
def test_a_folder_holds_all_of_it(tmp_path, market, histories):
    write_market(market, tmp_path / "m", histories=histories)
    assert read_market(tmp_path / "m").content_hash == market.content_hash


def test_every_house_has_accounts_of_several_types(market):
    assert set(market["accounts"]["house"]) == set(HOUSES)
    assert set(market["accounts"]["type"]) == {"house", "omnibus", "individual", "market-maker"}
    assert set(market["accounts"]["consent"]) == {0, 1}
    groups = market["participants"]["group"]
    assert len(groups) == 6
    assert groups.n_unique() == 5
    assert all(len(market[table]) for table in market.tables)


def test_sizes_are_counted(market):
    small = synthetic_market(seed=1, size=TINY)
    kinds = dict(small["instruments"]["kind"].value_counts().rows())
    assert kinds == {"equity": 10, "etf": 3, "future": 4 * 4, "option": 2 * 4 * 7 * 2 + 2 * 2 * 7 * 2}
    assert small["marks"]["date"].n_unique() == 2
    assert len(small["participants"]) == 2
    assert market["prices"]["date"].n_unique() > 10 * 240


def test_more_participants_leave_the_others_as_they_are():
    few = synthetic_market(seed=1, size=TINY)
    more = synthetic_market(
        seed=1,
        size=MarketSize(**{name: getattr(TINY, name) for name in TINY.__slots__} | {"participants": 4}),
    )
    known = pl.col("account").is_in(few["accounts"]["account"].implode())
    assert_frame_equal(more["positions"].filter(known), few["positions"])
    assert len(more["positions"]) > 1.5 * len(few["positions"])


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 1, "size": "huge"}, "huge"),
        ({"seed": 1, "as_of": "2026-01-05"}, "as_of"),
    ],
)
def test_bad_arguments_are_named(given, named):
    with pytest.raises(InputError, match=named):
        synthetic_market(**given)


@pytest.mark.parametrize(
    "given", [{"stocks": 9}, {"years": 1}, {"stocks": 10, "option_classes": 11}, {"desks": 0}]
)
def test_impossible_sizes_are_refused(given):
    with pytest.raises(InputError):
        MarketSize(**given)


# Histories.


def test_histories_stand_on_business_days_and_ticks(market, closes):
    days = closes["date"].to_list()
    assert days == exchange_days(days[0], AS_OF)
    weekend = synthetic_market(seed=1, size=TINY, as_of=date(2026, 1, 4))
    assert weekend["prices"]["date"].max() == date(2026, 1, 2)
    prices = market["prices"].filter(~pl.col("underlying").is_in(["HSI", "HHI"]))["close"].to_numpy()
    assert (prices > 0).all()
    assert np.array_equal(on_ticks(prices), prices)


def test_ticks_follow_the_price():
    prices = np.array([0.2491, 0.2511, 9.996, 15.013, 99.97, 100.04, 0.0001, 6000.0])
    assert on_ticks(prices).tolist() == [0.249, 0.25, 10.0, 15.02, 99.95, 100.0, 0.001, 6000.0]


def test_returns_have_heavy_tails_and_volatility_clusters(returns):
    for moves in returns.values():
        standard = (moves - moves.mean()) / moves.std()
        assert 0.12 < moves.std() * np.sqrt(247) < 0.35
        assert (standard**4).mean() > 4.0
        size = np.abs(standard)
        assert np.mean([np.corrcoef(size[lag:], size[:-lag])[0, 1] for lag in range(1, 11)]) > 0.08


def test_volatilities_rise_when_prices_fall(market, returns):
    for code, moves in returns.items():
        level = market["volatilities"].filter(underlying=code, days=30).sort("date")["volatility"]
        assert np.corrcoef(np.diff(np.log(level.to_numpy())), moves)[0, 1] < -0.4
    near, far = (market["volatilities"].filter(days=days)["volatility"] for days in (30, 90))
    assert near.std() > far.std()
    assert near.min() >= 0.03


def test_a_fund_moves_with_its_index(market, closes):
    paid = market["dividends"].filter(underlying="2800")["ex_date"].to_list()
    usual = ~closes["date"][1:].is_in(paid)
    fund, index = (np.diff(np.log(closes[code].to_numpy()))[usual.to_numpy()] for code in ("2800", "HSI"))
    assert np.corrcoef(fund, index)[0, 1] > 0.99
    dollar = market["exchange_rates"].sort("date")["rate"].to_numpy()
    assert np.abs(closes["9800"].to_numpy() * dollar / closes["2800"].to_numpy() - 1).max() < 0.01
    assert ((dollar >= 7.75) & (dollar <= 7.85)).all()


def test_a_split_halves_the_price_and_a_dividend_comes_off(market, closes):
    ((ex_date, code, ratio),) = market["splits"].rows()
    row = closes["date"].to_list().index(ex_date)
    assert closes[code][row] * ratio / closes[code][row - 1] == pytest.approx(1.0, abs=0.15)
    stocks = market["underlyings"].filter(kind="stock")["underlying"]
    drops = []
    for ex_date, code, amount in market["dividends"].rows():
        if code in stocks and ex_date <= AS_OF:
            row = closes["date"].to_list().index(ex_date)
            before, after = closes[code][row - 1], closes[code][row]
            drops.append((after - before, after + amount - before))
    plain, repaired = (np.array(values) for values in zip(*drops, strict=True))
    assert len(drops) > 100
    assert abs(np.median(repaired)) < abs(np.median(plain)) / 2
    assert market["dividends"]["ex_date"].max() > AS_OF


def test_one_share_was_listed_late_and_has_a_proxy(market):
    late = market["underlyings"].filter(pl.col("listed").is_not_null())
    assert late["proxy"].to_list() == ["HSI"]
    first = market["prices"].filter(underlying=late["underlying"][0])["date"].min()
    assert first == late["listed"][0]
    assert first > market["prices"]["date"].min()


# Contracts.


def test_months_are_the_next_two_and_then_quarter_months():
    assert [month for month, _ in contract_months(AS_OF, 4)] == ["2026-01", "2026-02", "2026-03", "2026-06"]
    assert [month for month, _ in contract_months(date(2026, 1, 29), 3)] == ["2026-02", "2026-03", "2026-06"]
    assert contract_months(AS_OF, 1) == [("2026-01", date(2026, 1, 29))]


def test_index_options_keep_parity_with_their_future(marked):
    pairs = marked.filter(style="european").pivot(
        "right", index=["underlying", "expiry", "strike", "future", "years", "rate"], values="mark"
    )
    parity = (pl.col("future") - pl.col("strike")) * (-pl.col("rate") * pl.col("years")).exp()
    gap = pairs.filter((pl.col("C") > 1) & (pl.col("P") > 1)).select(pl.col("C") - pl.col("P") - parity)
    assert len(gap) > 50
    assert gap.to_series().abs().max() <= 1.0 + 1e-9


def test_marks_give_the_volatility_of_the_history_at_the_money(market, marked):
    atm = market.latest("volatilities", AS_OF, "underlying", "days").select(
        "underlying", "days", "volatility"
    )
    node = {row[:2]: row[2] for row in atm.rows()}
    near = marked.filter(pl.col("right") == "C", style="european").sort(
        (pl.col("strike") - pl.col("future")).abs()
    )
    near = near.group_by("underlying", "expiry", maintain_order=True).first()
    columns = (near[name].to_numpy() for name in ("mark", "future", "strike", "years", "rate"))
    volatility, status = implied_volatilities(np.ones(len(near)), *columns)
    assert (status == VolatilityStatus.FOUND).all()
    expected = [
        np.interp(days, (30, 90), (node[code, 30], node[code, 90]))
        for code, days in near.select("underlying", "days").rows()
    ]
    assert np.abs(volatility / np.array(expected) - 1).max() < 0.04


def test_american_marks_are_worth_exercise_and_ordered_by_strike(marked, spots):
    stock = marked.filter(style="american")
    spot = stock["underlying"].replace_strict(spots)
    side = stock["right"].replace_strict({"C": 1.0, "P": -1.0})
    assert (stock["mark"] >= side * (spot - stock["strike"]) - 0.0051).all()
    steps = stock.sort("strike").select(
        (pl.col("mark").diff() * pl.when(pl.col("right") == "C").then(-1).otherwise(1)).over(
            "underlying", "expiry", "right"
        )
    )
    assert (steps.to_series().drop_nulls() >= -1e-9).all()


# Desks.


def test_an_arbitrage_desk_is_hedged(market, spots):
    worth = pl.col("quantity") * pl.col("multiplier") * pl.col("underlying").replace_strict(spots)
    books = (
        held(market, "arbitrage")
        .group_by("owner")
        .agg(worth.sum().alias("net"), worth.abs().sum().alias("gross"))
    )
    assert len(books) == 6
    assert (books["net"].abs() / books["gross"] < 0.01).all()


def test_a_writer_holds_what_he_may_have_to_deliver(market):
    books = held(market, "covered").with_columns(units=pl.col("quantity") * pl.col("multiplier"))
    assert set(books["right"]) == {"C", None}
    assert (books.group_by("owner").agg(pl.col("units").sum())["units"] == 0).all()


def test_a_market_maker_is_hedged_to_a_lot(market, spots):
    size = MarketSize()
    histories = synthetic_histories(np.random.default_rng(1), size.stocks, size.years, AS_OF)
    deltas = synthetic_contracts(histories, size).deltas
    book = held(market, "maker").join(deltas, on="instrument", how="left")
    for (owner,), rows in book.group_by("owner"):
        of_options = rows.filter(kind="option")
        (underlying,) = set(of_options["underlying"])
        units = rows["underlying"].replace_strict(spots) / spots[underlying]  # of the underlying, for a fund
        delta = rows["quantity"] * rows["multiplier"] * rows["delta"].fill_null(1.0) * units
        lot = 50 if underlying not in {"HSI", "HHI"} else 250 * units.min()
        assert abs(delta.sum()) <= lot + 1e-6, owner
        assert delta.abs().sum() > 1_000


def test_every_desk_holds_something_at_its_houses(market):
    assert set(market["positions"]["account"]) == set(market["accounts"]["account"])
    assert market["positions"]["date"].is_null().all()
    assert (market["positions"]["quantity"] != 0).all()
    assert market["accounts"].group_by("owner").len()["len"].min() >= 2
