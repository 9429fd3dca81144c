"""The synthetic market is what it says: reproducible, hedged where it says so, with the marks of its model."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from crossmargin.core.exchange_days import exchange_days
from crossmargin.errors import InputError
from crossmargin.formats.hkscc.participant import hkscc_participant
from crossmargin.formats.market.folder_reader import read_market
from crossmargin.formats.market.folder_writer import write_market
from crossmargin.formats.scenario_settings import engine_settings
from crossmargin.kernels.implied_volatility import VolatilityStatus, implied_volatilities
from crossmargin.models.hkscc.from_scenarios import rpf01_parameters
from crossmargin.models.hkscc.margin import hkscc_margins
from crossmargin.models.market import HOUSES
from crossmargin.models.scenarios.build import build_scenarios
from crossmargin.models.synthetic_market.contracts import contract_months, synthetic_contracts
from crossmargin.models.synthetic_market.histories import synthetic_histories
from crossmargin.models.synthetic_market.market import synthetic_market
from crossmargin.models.synthetic_market.sizes import SIZES, MarketSize
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


@pytest.fixture(scope="module")
def deltas():
    size = SIZES["small"]
    histories = synthetic_histories(np.random.default_rng(1), size.stocks, size.years, AS_OF)
    return synthetic_contracts(histories, size).deltas


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
    assert all(len(market[table]) for table in market.tables)


def participants_by_house(market):
    return dict(market["accounts"].group_by("house").agg(pl.col("participant").n_unique()).rows())


def test_houses_have_members_of_their_own_and_groups_span_them(market):
    assert participants_by_house(market) == {"HKSCC": 8, "HKCC": 6, "SEOCH": 4}
    groups = market["participants"].group_by("group").agg("participant")
    several = groups.filter(pl.col("participant").list.len() > 1).sort("group")["participant"]
    assert several.to_list() == [["P0001", "P0002"], ["P0006", "P0007"]]
    houses = market["accounts"].group_by("participant").agg(pl.col("house").unique().sort())
    held = dict(houses.rows())
    assert (held["P0001"], held["P0005"]) == (["HKCC", "HKSCC", "SEOCH"], ["HKCC", "HKSCC"])
    assert (held["P0006"], held["P0007"]) == (["HKCC"], ["HKSCC"])


def test_a_derivatives_arm_has_its_shares_in_the_books_of_its_securities_arm(market):
    group = pl.col("participant").replace_strict(
        dict(market["participants"].select("participant", "group").rows())
    )
    owners = (
        market["accounts"]
        .with_columns(group=group)
        .group_by("owner")
        .agg(pl.col("participant").n_unique(), pl.col("group").n_unique())
    )
    assert (owners["group"] == 1).all()
    across = owners.filter(participant=2)["owner"].sort().to_list()
    assert "P0006.arbitrage-1" in across
    assert all(owner.startswith("P0006.") for owner in across)
    assert set(market["accounts"].filter(pl.col("owner").is_in(across), house="HKSCC")["participant"]) == {
        "P0007"
    }


def test_owners_agree_or_do_not(market):
    accounts = market["accounts"].group_by("owner").agg(pl.col("consent").unique(), pl.col("basis").first())
    assert (accounts["consent"].list.len() == 1).all()
    asked = accounts.filter(basis="net")["consent"].list.first()
    assert 0.6 < asked.mean() < 1.0
    assert accounts.filter(basis="gross")["consent"].list.first().sum() == 0


def test_a_participants_desks_hold_opposite_positions(market):
    held = market["positions"].join(market["accounts"].filter(house="HKSCC"), on="account")
    sides = held.group_by("participant", "instrument").agg(
        long=(pl.col("quantity") > 0).any(), short=(pl.col("quantity") < 0).any()
    )
    assert len(sides.filter("long", "short")) > 5


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


BROAD = replace(
    TINY, participants=40, hkscc_participants=38, hkcc_participants=12, seoch_participants=6, accounts=1_000
)


@pytest.fixture(scope="module")
def broad():
    """A market with a number of accounts."""
    return synthetic_market(seed=1, size=BROAD)


def test_accounts_are_as_many_as_asked_for_a_few_participants_have_most(broad):
    assert len(broad["accounts"]) == 1_000
    assert participants_by_house(broad) == {"HKSCC": 38, "HKCC": 12, "SEOCH": 6}
    each = broad["accounts"].group_by("participant").len()["len"].sort(descending=True)
    assert each[0] > 10 * each.median()
    assert each[:8].sum() > 500
    assert each.min() >= 3


def test_more_accounts_leave_the_others_as_they_are(broad):
    more = synthetic_market(seed=1, size=replace(BROAD, accounts=1_300))
    kept = broad["positions"].join(more["accounts"], on="account", how="semi")
    known = broad["positions"]["account"].implode()
    assert_frame_equal(more["positions"].filter(pl.col("account").is_in(known)), kept)
    gone = broad["accounts"].join(more["accounts"], on="account", how="anti")
    assert gone["owner"].n_unique() <= 40  # the last desk of each participant, at most


@pytest.mark.parametrize("accounts", [120, 121, 122])
def test_the_fewest_accounts_are_exact_too(accounts):
    market = synthetic_market(seed=1, size=replace(BROAD, accounts=accounts))
    assert len(market["accounts"]) == accounts
    assert market["accounts"]["participant"].n_unique() == 40
    cut = market["accounts"].filter(~pl.col("owner").str.contains("clients|directional"))
    assert (cut.group_by("owner").len()["len"] >= 2).all()  # no hedge without what it hedges


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
    "given",
    [
        {"stocks": 9},
        {"years": 1},
        {"stocks": 10, "option_classes": 11},
        {"desks": 0},
        {"desks": None},
        {"accounts": 17},
        {"hkscc_participants": 7},
        {"hkscc_participants": 5, "hkcc_participants": 6},
        {"hkscc_participants": 2, "hkcc_participants": 2},
        {"hkcc_participants": 3, "seoch_participants": 4},
    ],
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


def test_weights_are_those_of_the_indices(market, closes):
    day = market["prices"]["date"].min()
    weights = market.weights_on(day)
    sums = weights.group_by("underlying").agg((pl.col("weight") * 1e6).round().cast(pl.Int64).sum())
    assert dict(sums.rows()) == dict.fromkeys(("HSI", "HHI", "2800", "2828", "9800"), 1_000_000)
    funds = weights.filter(pl.col("underlying").is_in(["2800", "2828", "9800"]))
    assert funds["constituent"].to_list() == ["HSI", "HHI", "HSI"]
    late = market["underlyings"].filter(pl.col("listed").is_not_null())["underlying"][0]
    assert late not in weights["constituent"]
    changes = market["dividends"]["ex_date"].to_list() + market["splits"]["ex_date"].to_list()
    usual = ~closes["date"][1:].is_in(changes).to_numpy()
    for index in ("HSI", "HHI"):
        codes, parts = weights.filter(underlying=index).select("constituent", "weight")
        prices = closes.select(codes.to_list()).to_numpy()
        basket = (prices[1:] / prices[:-1] - 1) @ parts.to_numpy()
        level = closes[index].to_numpy()
        gap = (level[1:] / level[:-1] - 1 - basket)[usual]
        assert usual.sum() > 1_500
        assert np.abs(gap).max() < 1e-3  # prices stand on ticks
        assert abs(gap.mean()) < 1e-5


def test_a_large_market_has_an_index_of_some_of_its_shares():
    market = synthetic_market(seed=1, size=replace(TINY, stocks=120))
    counts = dict(market["weights"]["underlying"].value_counts().rows())
    assert (counts["HSI"], counts["HHI"]) == (80, 40)


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


def test_a_basket_desk_replicates_its_index(market, spots):
    books = held(market, "basket")
    assert books["owner"].n_unique() == 4
    for (owner,), rows in books.group_by("owner"):
        (future,) = rows.filter(kind="future").select("underlying", "quantity", "multiplier").rows()
        weights = dict(market["weights"].filter(underlying=future[0]).select("constituent", "weight").rows())
        basket = dict(rows.filter(kind="equity").select("instrument", "quantity").rows())
        worth = -future[1] * future[2] * spots[future[0]]
        assert basket.keys() == weights.keys(), owner
        assert abs(worth) >= 30e6
        for code, quantity in basket.items():
            exact = worth * weights[code] / spots[code]
            assert abs(quantity - exact) <= 50 or (abs(quantity) == 100 and abs(exact) < 100), code


def test_a_dispersion_desk_is_short_the_index_and_long_its_shares(market, spots, deltas):
    book = held(market, "dispersion").join(deltas, on="instrument", how="left")
    assert book["owner"].n_unique() == 1
    options = book.filter(kind="option")
    assert set(options["house"]) == {"HKCC", "SEOCH"}
    assert (options.filter(house="HKCC")["quantity"] < 0).all()
    assert (options.filter(house="SEOCH")["quantity"] > 0).all()
    worth = options["quantity"] * options["multiplier"] * options["underlying"].replace_strict(spots)
    assert abs(worth.sum()) < 0.05 * worth.abs().sum()
    for (underlying,), rows in book.group_by("underlying"):
        delta = (rows["quantity"] * rows["multiplier"] * rows["delta"].fill_null(1.0)).sum()
        assert abs(delta) <= (25 if underlying == "HSI" else 50) + 1e-6, underlying


def test_a_writer_holds_what_he_may_have_to_deliver(market):
    books = held(market, "covered").with_columns(units=pl.col("quantity") * pl.col("multiplier"))
    assert set(books["right"]) == {"C", None}
    assert (books.group_by("owner").agg(pl.col("units").sum())["units"] == 0).all()


def test_a_market_maker_is_hedged_to_a_lot(market, spots, deltas):
    book = held(market, "maker").join(deltas, on="instrument", how="left")
    for (owner,), rows in book.group_by("owner"):
        of_options = rows.filter(kind="option")
        (underlying,) = set(of_options["underlying"])
        units = rows["underlying"].replace_strict(spots) / spots[underlying]  # of the underlying, for a fund
        delta = rows["quantity"] * rows["multiplier"] * rows["delta"].fill_null(1.0) * units
        by_future = "future" in set(rows["kind"])
        of_share = (
            25 * spots["HSI"] / spots[underlying] if by_future else 50
        )  # half a contract, or half a lot
        lot = of_share if underlying not in {"HSI", "HHI"} else 250 * units.min()
        assert abs(delta.sum()) <= lot + 1e-6, owner
        assert delta.abs().sum() > 1_000


def test_every_desk_holds_something_at_its_houses(market):
    assert set(market["positions"]["account"]) == set(market["accounts"]["account"])
    assert market["positions"]["date"].is_null().all()
    assert (market["positions"]["quantity"] != 0).all()
    houses = market["accounts"].group_by("owner").len()
    hedged = ~pl.col("owner").str.contains("clients|directional")
    assert (houses.filter(hedged)["len"] >= 2).all()
    assert len(houses) == 9 * 5


# The full size.


@pytest.fixture(scope="module")
def full():
    return synthetic_market(seed=13, size="full")


def test_the_full_market_has_the_counts_of_the_houses(full):
    assert len(full["accounts"]) == 100_000
    assert len(full["participants"]) == 620
    assert participants_by_house(full) == {"HKSCC": 600, "HKCC": 170, "SEOCH": 70}
    assert full["participants"]["group"].n_unique() == 599  # the first two are one, and 20 have another arm
    assert set(full["positions"]["account"]) == set(full["accounts"]["account"])
    owners = full["accounts"]["owner"].str.extract(r"\.([a-z]+)-")
    assert set(owners) == {
        "arbitrage",
        "basket",
        "clients",
        "covered",
        "directional",
        "dispersion",
        "maker",
    }
    positions = full["positions"].group_by("account").len()["len"]
    assert positions.quantile(0.99) <= 30
    assert positions.max() == 80  # a basket of all shares of the index


def test_books_of_the_full_market_have_heavy_tails_and_no_freak(full):
    closes = full.latest("prices", AS_OF, "underlying").select("underlying", "close")
    rows = full["positions"].join(full["instruments"], on="instrument").join(closes, on="underlying")
    worth = (pl.col("quantity").abs() * pl.col("multiplier") * pl.col("close")).sum()
    for (house,), held_there in rows.group_by("house"):
        gross = np.sort(held_there.group_by("account").agg(worth=worth)["worth"].to_numpy())[::-1]
        assert gross[: len(gross) // 100].sum() > 0.1 * gross.sum(), house
        assert gross[0] < 0.02 * gross.sum(), house


def test_the_full_market_has_the_margin_that_the_cash_house_publishes(full):
    scenarios = build_scenarios(full, AS_OF, engine_settings("blend", "spot:HSI").scenarios)
    cash = full["accounts"].filter(house="HKSCC").select("account", "participant")
    closes = full.latest("prices", AS_OF, "underlying").select(instrument="underlying", close="close")
    book = full["positions"].join(cash, on="account").join(closes, on="instrument")
    book = book.group_by("participant", "instrument").agg(
        pl.col("quantity").sum(), market_value=(pl.col("quantity") * pl.col("close")).sum().round(2)
    )
    book = book.with_columns(contract_value="market_value").sort("participant", "instrument")
    names = book["participant"].unique().sort()
    settings = hkscc_participant(AS_OF, data_note="SYNTHETIC")
    margins = hkscc_margins(book, rpf01_parameters(scenarios, full), dict.fromkeys(names, settings))
    assert 1.9e9 < margins.total.sum() / 100 < 5.3e9  # HKD; months of 2023 and 2024 lie from 1.9bn to 5.3bn
