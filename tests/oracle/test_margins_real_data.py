"""Margins of real Hong Kong books on four days of stress and calm, and how often the next year exceeded them.

Nothing is asked of the number of exceedances: it is printed. What is asserted is that it is counted from
the same prices by a second route, and that margins stand in the order that their books have.
"""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from real_market import DATA, index_levels, real_market, requires_real_data, stock_prices

from crossmargin.formats.scenario_settings import engine_settings
from crossmargin.models.expected_shortfall.margin import es_margins
from crossmargin.models.market import make_market
from crossmargin.models.revaluation.cube import make_cube
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.models.revaluation.surface import arbitrage_findings, option_pairs
from crossmargin.models.scenarios.build import build_scenarios
from crossmargin.models.scenarios.scenario_set import RiskFactor, ScenarioPart, ScenarioSet

pytestmark = requires_real_data

DAYS = [date(2008, 10, 24), date(2015, 8, 24), date(2020, 3, 16), date(2024, 4, 26)]
BASKET = [
    "0001.HK", "0002.HK", "0003.HK", "0005.HK", "0006.HK", "0011.HK", "0012.HK", "0016.HK", "0017.HK", "0019.HK",
    "0066.HK", "0083.HK", "0101.HK", "0151.HK", "0267.HK", "0386.HK", "0388.HK", "0700.HK", "0762.HK", "0823.HK",
    "0857.HK", "0883.HK", "0939.HK", "0941.HK", "0992.HK", "1038.HK", "1044.HK", "1088.HK", "1398.HK", "2318.HK",
]  # fmt: skip
OPTIONS = "hk_derivatives/hsi_options_settlement_2024-04-24_26.csv"
FUTURES = "hk_derivatives/hsi_futures_settlement_2024-04-24_26.csv"
INDEX_MULTIPLIER = 50.0
STOCK_NOTIONAL = 1_000_000


def contracts():
    """The Hang Seng Index futures and options of the daily report, as instruments and marks."""
    futures = pl.read_csv(DATA / FUTURES, try_parse_dates=True).with_columns(
        kind=pl.lit("future"), right=pl.lit(None, pl.String), strike=pl.lit(None, pl.Float64),
        price=pl.col("DAY_SettlementPrice").cast(pl.Float64),
        instrument=pl.format("HSI.F.{}", "last_trading_day"),
    )  # fmt: skip
    options = pl.read_csv(DATA / OPTIONS, try_parse_dates=True).with_columns(
        kind=pl.lit("option"), strike=pl.col("strike").cast(pl.Float64),
        price=pl.col("settlement").cast(pl.Float64),
        instrument=pl.format("HSI.{}.{}.{}", "right", "strike", "last_trading_day"),
    )  # fmt: skip
    columns = ["trade_date", "instrument", "kind", "last_trading_day", "right", "strike", "price"]
    return pl.concat([futures.select(columns), options.select(columns)])


def index_market(day):
    """Stocks and indices of ``real_market`` with the listed contracts of that day, or a front future."""
    market = real_market(day)
    tables = dict(market.tables)
    listed = contracts().filter(trade_date=day)
    if listed.is_empty():
        level = index_levels().filter(underlying="HSI", date=day)["close"][0]
        listed = pl.DataFrame(
            {"trade_date": [day], "instrument": ["HSI.F"], "kind": ["future"], "price": [level],
             "last_trading_day": [day + timedelta(days=30)], "right": [None], "strike": [None]},
            schema=listed.schema,
        )  # fmt: skip
    series = listed.select(
        "instrument", house=pl.lit("HKCC"), kind="kind", underlying=pl.lit("HSI"), currency=pl.lit("HKD"),
        multiplier=pl.lit(INDEX_MULTIPLIER), expiry="last_trading_day", right="right", strike="strike",
        style=pl.when(pl.col("kind") == "option").then(pl.lit("european")), settlement=pl.lit("average"),
    )  # fmt: skip
    tables["instruments"] = pl.concat([tables["instruments"], series])
    tables["marks"] = listed.select(date="trade_date", instrument="instrument", price="price")
    return make_market(tables, name=f"Hong Kong, {day}", data_note="Real prices; for tests only.")


@pytest.fixture(scope="module")
def cube_on():
    made = {}

    def on(day):
        if day not in made:
            market = index_market(day)
            settings = engine_settings("blend", "spot:HSI")
            scenarios = build_scenarios(market, day, settings.scenarios)
            made[day] = market, make_cube(make_snapshot(market, day), scenarios, settings.revaluation)
        return made[day]

    return on


def basket(market, day):
    """A million dollars of each of thirty large stocks that have a price on the day."""
    closes = market.latest("prices", day, "underlying").filter(pl.col("date") == day)
    prices = dict(closes.select("underlying", "close").iter_rows())
    names = {code: code.removesuffix(".HK").lstrip("0") for code in BASKET if code in prices}
    return {name: round(STOCK_NOTIONAL / prices[code]) for code, name in names.items()}


def year_after(prices, day):
    """Daily relative moves of the next 365 days, a row a day, of the underlyings with a price throughout."""
    wide = prices.filter(
        pl.col("date").is_between(day, day + timedelta(days=365))
    ).pivot("underlying", index="date", values="close").sort("date")  # fmt: skip
    return wide.fill_null(strategy="forward")


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_margins_and_exceedances_of_the_year_after(day, cube_on, capsys):
    market, cube = cube_on(day)
    future = cube.instruments.filter(kind="future").sort("expiry")["instrument"][0]
    shares = basket(market, day)
    held = [("future", future, 10), *(("basket", code, quantity) for code, quantity in shares.items())]
    book = pl.DataFrame(held, schema=["account", "instrument", "quantity"], orient="row")
    margins = es_margins(book, cube).to_frame()
    margin = dict(margins.select("account", pl.col("requirement").cast(pl.Float64)).iter_rows())
    level = cube.instruments.filter(instrument=future)
    assert len(level) == 1

    index = year_after(index_levels().filter(underlying="HSI"), day)["HSI"].to_numpy()
    moves = np.diff(index) / index[:-1]
    mark = market["marks"].filter(instrument=future)["price"][0]
    rate = margin["future"] / (10 * INDEX_MULTIPLIER * mark)
    exceeded = int((moves < -rate).sum())
    assert exceeded == sum(after / before - 1 < -rate for before, after in pairwise(index))

    file = "hk_stocks/yahoo_fully_adjusted_2009_2024.parquet" if day.year > 2008 else None
    stocks = stock_prices(file or "hk_stocks/yahoo_ohlc_and_adj_2000_2020-07.parquet")
    codes = [code for code in BASKET if code.removesuffix(".HK").lstrip("0") in shares]
    paths = year_after(stocks.filter(pl.col("underlying").is_in(codes)), day).drop("date").drop_nulls()
    values = (paths.to_numpy() / paths.to_numpy()[0]).sum(axis=1) * STOCK_NOTIONAL
    basket_rate = margin["basket"] / (len(shares) * STOCK_NOTIONAL)
    basket_exceeded = int((np.diff(values) / values[:-1] < -basket_rate).sum())

    assert 0.01 < rate < 0.35
    assert 0.01 < basket_rate < 0.35
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{day}: 10 HSI futures {margin['future']:,.0f} HKD ({rate:.2%}), exceeded on {exceeded} of "
            f"{moves.size} days; basket of {len(shares)} stocks {margin['basket']:,.0f} HKD ({basket_rate:.2%}), "
            f"exceeded on {basket_exceeded} of {values.size - 1} days"
        )


def losses_of_the_year_after(market, day, codes):
    """Profit and loss of one of each option for every daily move of the index in the year after, each from
    the marks of the day, volatilities by the rule of the settings."""
    index = year_after(index_levels().filter(underlying="HSI"), day)["HSI"].to_numpy()
    moves = np.diff(index) / index[:-1]
    scenarios = ScenarioSet(
        as_of=day, horizon_days=1, factors=(RiskFactor("spot", "HSI"),), moves=moves[:, None],
        labels=tuple(f"move {i}" for i in range(moves.size)),
        parts=(ScenarioPart("the year after", 0, moves.size, 1, 1.0),), method="moves as they came", settings=(),
        input_hash="",
    )  # fmt: skip
    cube = make_cube(make_snapshot(market, day), scenarios)
    rows = [cube.row_of[code] for code in codes]
    return cube.pnl[rows].astype(np.float64).sum(axis=0)[cube.layout.columns], moves.size


def owed_long(codes, cube):
    held = {"account": ["chain"] * len(codes), "instrument": codes, "quantity": [1] * len(codes)}
    return es_margins(held, cube).requirement[0] / 100


def test_margins_of_the_option_chain_of_2024_04_26(cube_on, capsys):
    """Short and long each option once: a short strangle owes more than its hedge; long options owe at most their value."""
    day = DAYS[-1]
    market, cube = cube_on(day)
    chain = cube.instruments.filter(kind="option")
    assert len(chain) == contracts().filter(trade_date=day, kind="option").height
    codes = chain["instrument"]
    rows = [("long " + code, code, 1) for code in codes] + [("short " + code, code, -1) for code in codes]
    margins = es_margins(pl.DataFrame(rows, schema=["account", "instrument", "quantity"], orient="row"), cube)
    owed = dict(zip(margins.accounts, margins.requirement / 100, strict=True))
    values = dict(chain.select("instrument", "value").iter_rows())
    for code in codes:
        assert owed["long " + code] <= values[code] + 1.0  # a long option loses what it is worth, at most
    pairs = option_pairs(make_snapshot(market, day), RevaluationSettings())
    found = arbitrage_findings(pairs, 1.0 / 17_651.15)
    nearest = chain["expiry"].unique().sort()[1]
    whole = es_margins(
        {"account": ["chain"] * len(codes), "instrument": codes, "quantity": [-1] * len(codes)}, cube
    )
    counted = dict(found["kind"].value_counts().sort("kind").iter_rows())
    lines = [f"\n{day}: {len(chain)} options; arbitrage beyond a tick: {counted}"]
    lines.append(f"  one short of each: {whole.requirement[0] / 100:,.0f} HKD")
    for code in (f"HSI.{right}.{strike}.{nearest}" for strike in (17000, 17600, 18200) for right in "CP"):
        long, short = owed["long " + code], owed["short " + code]
        lines.append(f"  {code}: value {values[code]:,.0f}, long {long:,.0f}, short {short:,.0f} HKD")
    later, days = losses_of_the_year_after(market, day, codes)
    exceeded = {
        name: int((-sign * later > margin).sum())
        for name, sign, margin in (
            ("one short of each", -1.0, whole.requirement[0] / 100),
            ("one long of each", 1.0, owed_long(codes, cube)),
        )
    }
    lines.append(f"  exceeded by the moves of the next {days} days: {exceeded}")
    with capsys.disabled():
        print("\n".join(lines))  # noqa: T201
    assert 0 <= max(exceeded.values()) <= days
    assert whole.requirement[0] > 0
