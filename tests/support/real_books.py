"""Books on real histories, Hong Kong, American and Japanese, with what they made over the next two days.

A book is a quantity by instrument; each has a participant, an owner and accounts of its own, so that one market
holds many books that do not net. Nothing after the day is in the market; prices of the next days stand beside it.

What the histories do not have, and what stands for it:

* Futures of Hong Kong before 2024: the price is the index level, today and after. Futures and index do not come apart.
* Weights of the Hang Seng Index: equal, or by turnover of the last 60 days, over the members that have prices.
* Options before 2024, and all stock options: Black's price at 1.1 times the standard deviation of the last 60
  daily log moves, a year of 252 days, without interest; on the next days by the same rule. Shares are
  adjusted for dividends and rates are 0, so early exercise is worth nothing.
* Bonds: from constant-maturity yields, see ``bond_levels``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np
import polars as pl
from real_market import DATA, NEW_STOCKS, OLD_STOCKS, TRACKER_FUND, index_levels

from crossmargin.kernels.black76 import black76_price_delta
from crossmargin.models.market import Market, make_market

AMOUNT = 100_000_000.0  # of each leg, in the market's currency
DAYS_AFTER = 2
INDEX_MULTIPLIER = 50.0
FUTURE = "HSI.F"
EXPIRY_DAYS = 30
LONG_AGO = date(1980, 1, 1)
NEW_STOCKS_FROM = date(2013, 1, 1)

MEMBERS = [
    "0001.HK", "0002.HK", "0003.HK", "0005.HK", "0006.HK", "0011.HK", "0012.HK", "0016.HK", "0017.HK", "0019.HK",
    "0066.HK", "0083.HK", "0101.HK", "0267.HK", "0386.HK", "0388.HK", "0700.HK", "0762.HK", "0857.HK", "0883.HK",
    "0939.HK", "0941.HK", "1038.HK", "1088.HK", "1398.HK", "2318.HK", "2388.HK", "2628.HK", "3328.HK", "3988.HK",
]  # fmt: skip
"""Members of the Hang Seng Index for all or most of 2008 to 2020: common knowledge, not a list of the day."""

OPTION_STOCKS = ["0005.HK", "0388.HK", "0700.HK", "0939.HK", "0941.HK", "1398.HK"]
VOLATILITY_DAYS, VOLATILITY_FACTOR, DAYS_A_YEAR = 60, 1.1, 252
TURNOVER_DAYS = 60
OPTIONS_FILE = "hk_derivatives/hsi_options_settlement_2024-04-24_26.csv"
FUTURES_FILE = "hk_derivatives/hsi_futures_settlement_2024-04-24_26.csv"
CHAIN_MONTH = date(2024, 5, 30)
STRIKE_STEP = 200.0

PRICE_SCHEMA = {"date": pl.Date, "underlying": pl.String, "close": pl.Float64}


@dataclass(frozen=True, eq=False)
class RealBooks:
    """Books in a market on a day.

    ``prices`` has for each instrument that is held the price of the day and of the next trading days;
    ``terms`` its house and multiplier.
    """

    market: Market
    as_of: date
    books: dict[str, dict[str, int]]
    prices: dict[str, tuple[float, ...]]
    terms: dict[str, tuple[str, float]]

    def gain(self, book: str, days: int, house: str | None = None) -> float:
        """Profit and loss of a book, or of its leg at a house, so many trading days later."""
        held = self.books[book].items()
        return sum(
            quantity * self.terms[name][1] * (self.prices[name][days] - self.prices[name][0])
            for name, quantity in held
            if house is None or self.terms[name][0] == house
        )


def with_books(tables, books, prices, *, as_of, **names) -> RealBooks:
    """Put books into the tables of a market, each with a participant and an owner of its own."""
    instruments = tables["instruments"]
    terms = {name: (house, multiplier) for name, house, multiplier in
             instruments.select("instrument", "house", "multiplier").iter_rows()}  # fmt: skip
    legs = [
        (book, terms[name][0], name, quantity)
        for book, held in books.items()
        for name, quantity in held.items()
    ]
    accounts = sorted({(book, house) for book, house, _, _ in legs})
    held = {name for _, _, name, _ in legs}
    market = make_market(
        {
            **tables,
            "participants": {"participant": list(books), "group": list(books)},
            "accounts": {
                "account": [f"{book}, {house}" for book, house in accounts],
                "participant": [book for book, _ in accounts],
                "house": [house for _, house in accounts],
                "owner": [book for book, _ in accounts],
                "consent": [1] * len(accounts),
            },
            "positions": {
                "account": [f"{book}, {house}" for book, house, _, _ in legs],
                "instrument": [name for _, _, name, _ in legs],
                "quantity": [quantity for *_, quantity in legs],
            },
        },
        data_note="Real prices of public sources; for tests only.",
        **names,
    )
    return RealBooks(market, as_of, books, {name: prices[name] for name in held}, terms)


def both_ways(name, reverse, held):
    """Return a book and its opposite under two names."""
    return {name: held, reverse: {instrument: -quantity for instrument, quantity in held.items()}}


def underlyings(kinds, currency="HKD", proxy=None):
    """Return the table of underlyings of a mapping of name to kind; all but the proxy lean on it."""
    names = list(kinds)
    return pl.DataFrame(
        {
            "underlying": names,
            "kind": list(kinds.values()),
            "currency": [currency] * len(names),
            "adjustment": ["none" if kind == "index" else "total" for kind in kinds.values()],
            "proxy": [None if kind == "index" else proxy for kind in kinds.values()],
        },
        schema_overrides={"proxy": pl.String},
    )


INSTRUMENT_SCHEMA = {
    "instrument": pl.String, "house": pl.String, "kind": pl.String, "underlying": pl.String, "currency": pl.String,
    "multiplier": pl.Float64, "expiry": pl.Date, "right": pl.String, "strike": pl.Float64, "style": pl.String,
}  # fmt: skip


def instruments(rows):
    return pl.DataFrame(rows, schema=INSTRUMENT_SCHEMA, orient="row")


def code(stock):
    """Exchange code of a stock: 700 for 0700.HK."""
    return stock.removesuffix(".HK").lstrip("0")


def cash(stock, kind="equity", currency="HKD", name=None):
    return (name or code(stock), "HKSCC", kind, stock, currency, 1.0, None, None, None, None)


def future(name, underlying, multiplier, day, currency="HKD"):
    return (
        name, "HKCC", "future", underlying, currency, multiplier, day + timedelta(days=EXPIRY_DAYS), None, None, None,
    )  # fmt: skip


def trading_days(prices, underlying, day, count=DAYS_AFTER):
    """Return the day and the next ones on which an underlying has a price; the day itself must have one."""
    days = prices.filter(pl.col("underlying") == underlying, pl.col("date") >= day)["date"].sort()[
        : count + 1
    ]
    assert len(days) == count + 1, f"{underlying} ends before {count} days after {day}"
    assert days[0] == day, f"{underlying} has no price on {day}"
    return days.to_list()


def closes(prices, underlying, days):
    """Return the price of each of some days, all of which must be there: a price carried over is no gain."""
    known = dict(prices.filter(underlying=underlying).select("date", "close").iter_rows())
    return tuple(known[day] for day in days)


def whole(amount, price):
    """Return the nearest whole number of units worth an amount."""
    return round(amount / price)


# Hong Kong ------------------------------------------------------------------------------------------------------


@cache
def fund_prices():
    """Return adjusted closes of the Tracker Fund on days on which it traded.

    On the others (volume 0; five of them in March 2020) the source repeats the opening price.
    """
    table = pl.read_csv(DATA / TRACKER_FUND, try_parse_dates=True).filter(pl.col("Volume") > 0)
    return table.select(
        date=pl.col("Date"), underlying=pl.lit("2800.HK"), close=pl.col("Adj Close").cast(pl.Float64)
    )  # fmt: skip


def index_and_fund():
    return pl.concat([index_levels().filter(underlying="HSI"), fund_prices()])


def fund_days(year, month):
    """Return the days of a month on which the fund traded, as it did on the next two days of the index."""
    levels = index_levels().filter(underlying="HSI")["date"].sort().to_list()
    traded = set(fund_prices()["date"])
    runs = zip(levels, levels[1:], levels[2:], strict=False)
    return [run[0] for run in runs if (run[0].year, run[0].month) == (year, month) and traded.issuperset(run)]


def fund_weights(fund, index):
    return pl.DataFrame({"date": [LONG_AGO], "underlying": [fund], "constituent": [index], "weight": [1.0]})


def marks_of(day, prices):
    """Return the table of marks of futures and options by name."""
    return pl.DataFrame(
        {"date": [day] * len(prices), "instrument": list(prices), "price": list(prices.values())},
        schema={"date": pl.Date, "instrument": pl.String, "price": pl.Float64},
    )


def etf_futures_books(day, *, since=None) -> RealBooks:
    """Return the Tracker Fund against Hang Seng Index futures, bought and sold; prices since a day, or all."""
    history = index_and_fund()
    days = trading_days(history, "HSI", day)
    level, fund = closes(history, "HSI", days), closes(history, "2800.HK", days)
    known = history.filter(pl.col("date") <= day, pl.col("date") >= (since or LONG_AGO))
    held = {"2800": whole(AMOUNT, fund[0]), FUTURE: -whole(AMOUNT, level[0] * INDEX_MULTIPLIER)}
    tables = {
        "underlyings": underlyings({"HSI": "index", "2800.HK": "etf"}, proxy="HSI"),
        "prices": known,
        "instruments": instruments([cash("2800.HK", "etf"), future(FUTURE, "HSI", INDEX_MULTIPLIER, day)]),
        "marks": marks_of(day, {FUTURE: level[0]}),
        "weights": fund_weights("2800.HK", "HSI"),
    }
    books = both_ways("long fund", "short fund", held)
    return with_books(tables, books, {"2800": fund, FUTURE: level}, as_of=day, name=f"2800 and HSI, {day}")


@cache
def traded_stocks(file):
    """Return fully adjusted closes and turnover of stocks on days on which they traded.

    On some days (one of March 2020 in the older file) the source has yesterday's price and no volume.
    """
    table = pl.read_parquet(DATA / file).filter(pl.col("Volume") > 0)
    close = "Adj Close" if "Adj Close" in table.columns else "Close"
    return table.select(
        date=pl.col("Date").cast(pl.Date), underlying=pl.col("ticker"), close=pl.col(close).cast(pl.Float64),
        turnover=pl.col("Close").cast(pl.Float64) * pl.col("Volume"),
    )  # fmt: skip


def stock_file(day):
    """Return the file for a day: until 2012 the one from 2000 on, since then the one from 2009 on."""
    return OLD_STOCKS if day < NEW_STOCKS_FROM else NEW_STOCKS


def stocks(day, names):
    """Return the table of prices of some stocks."""
    table = traded_stocks(stock_file(day)).filter(pl.col("underlying").is_in(names))
    return table.select("date", "underlying", "close")


def turnover_weights(day, members):
    """Return each member's share of turnover, price × volume, over its last 60 days of trading."""
    table = traded_stocks(stock_file(day)).filter(pl.col("date") <= day).sort("date")
    means = {
        name: float(np.mean(table.filter(underlying=name)["turnover"].to_numpy()[-TURNOVER_DAYS:]))
        for name in members
    }
    total = sum(means.values())
    return {name: value / total for name, value in means.items()}


def members_on(days):
    """Return the members that traded on each of some days."""
    priced = stocks(days[0], MEMBERS).filter(pl.col("date").is_in(days)).group_by("underlying").len()
    return sorted(priced.filter(len=len(days))["underlying"])


def basket_books(day) -> RealBooks:
    """Return baskets of members against futures, by turnover and equal, bought and sold."""
    days = trading_days(index_and_fund(), "HSI", day)
    members = members_on(days)
    history = pl.concat([index_and_fund(), stocks(day, members)])
    level = closes(history, "HSI", days)
    after = {code(name): closes(history, name, days) for name in members}
    by_turnover = turnover_weights(day, members)
    short = {FUTURE: -whole(AMOUNT, level[0] * INDEX_MULTIPLIER)}
    books = {}
    for name, shares in (("turnover", by_turnover), ("equal", dict.fromkeys(members, 1 / len(members)))):
        basket = {
            code(stock): whole(AMOUNT * share, after[code(stock)][0]) for stock, share in shares.items()
        }
        books |= both_ways(f"long basket, {name}", f"short basket, {name}", basket | short)
    weights = pl.DataFrame(
        {"date": [LONG_AGO] * len(members), "underlying": ["HSI"] * len(members),
         "constituent": list(by_turnover), "weight": list(by_turnover.values())}
    )  # fmt: skip
    tables = {
        "underlyings": underlyings(
            {"HSI": "index", "2800.HK": "etf", **dict.fromkeys(members, "stock")}, proxy="HSI"
        ),
        "prices": history.filter(pl.col("date") <= day),
        "instruments": instruments(
            [cash("2800.HK", "etf"), *map(cash, members), future(FUTURE, "HSI", INDEX_MULTIPLIER, day)]
        ),
        "marks": marks_of(day, {FUTURE: level[0]}),
        "weights": pl.concat([fund_weights("2800.HK", "HSI"), weights]),
    }
    return with_books(tables, books, after | {FUTURE: level}, as_of=day, name=f"members and HSI, {day}")


def volatility(prices, underlying, day):
    """Return the stated volatility of an underlying on a day: 1.1 × that of its last 60 log moves."""
    known = prices.filter(pl.col("underlying") == underlying, pl.col("date") <= day).sort("date")["close"]
    moves = np.diff(np.log(known.to_numpy()[-VOLATILITY_DAYS - 1 :]))
    return float(VOLATILITY_FACTOR * np.std(moves, ddof=1) * np.sqrt(DAYS_A_YEAR))


def option_prices(prices, underlying, right, strike, expiry, days):
    """Return the price of an option on each of some days, at that day's stated volatility."""
    side = 1.0 if right == "C" else -1.0
    spots = closes(prices, underlying, days)
    return tuple(
        black76_price_delta(
            side, spot, strike, volatility(prices, underlying, day), (expiry - day).days / 365, 0.0
        )[0]
        for spot, day in zip(spots, days, strict=True)
    )


def at_the_money(prices, names, days, house):
    """Return rows of instruments and prices of a call and a put on each underlying, struck at today's price."""
    rows, after = [], {}
    for name in names:
        strike, expiry = closes(prices, name, days[:1])[0], days[0] + timedelta(days=EXPIRY_DAYS)
        short, style, multiplier = (
            (code(name), "american", 1.0) if house == "SEOCH" else (name, "european", INDEX_MULTIPLIER)
        )
        for right in "CP":
            option = f"{short}.{right}"
            rows.append((option, house, "option", name, "HKD", multiplier, expiry, right, strike, style))
            after[option] = option_prices(prices, name, right, strike, expiry, days)
    return rows, after


def option_books(day) -> RealBooks:
    """Return books of HKCC and SEOCH on modelled options: stock puts against futures, straddles against straddles."""
    history = pl.concat([index_levels().filter(underlying="HSI"), stocks(day, OPTION_STOCKS)])
    days = trading_days(history, "HSI", day)
    level = closes(history, "HSI", days)
    stock_rows, stock_after = at_the_money(history, OPTION_STOCKS, days, "SEOCH")
    index_rows, index_after = at_the_money(history, ["HSI"], days, "HKCC")
    after = {FUTURE: level, **stock_after, **index_after}
    each = {
        name: whole(AMOUNT / len(OPTION_STOCKS), closes(history, name, days[:1])[0]) for name in OPTION_STOCKS
    }
    books = hedged_options(each, whole(AMOUNT, level[0] * INDEX_MULTIPLIER), ("HSI.C", "HSI.P"), FUTURE)
    tables = {
        "underlyings": underlyings({"HSI": "index", **dict.fromkeys(OPTION_STOCKS, "stock")}, proxy="HSI"),
        "prices": history.filter(pl.col("date") <= day),
        "instruments": instruments([future(FUTURE, "HSI", INDEX_MULTIPLIER, day), *stock_rows, *index_rows]),
        "marks": marks_of(day, {name: path[0] for name, path in after.items()}),
    }
    return with_books(tables, books, after, as_of=day, name=f"options on stocks and HSI, {day}")


def hedged_options(each, contracts, straddle, front):
    """Return books of stock options and index products of the same size.

    Short puts on the stocks are hedged by half as much in short futures, their delta; a short straddle on the index by
    long straddles on the stocks.
    """
    puts = {f"{code(name)}.P": -quantity for name, quantity in each.items()}
    stock_straddles = {f"{code(name)}.{right}": quantity for name, quantity in each.items() for right in "CP"}
    index_straddle = dict.fromkeys(straddle, -contracts)
    return both_ways("short stock puts, short futures", "long stock puts, long futures",
                     {**puts, front: -round(contracts / 2)}) | both_ways(
        "long stock straddles, short index", "short stock straddles, long index",
        {**stock_straddles, **index_straddle},
    )  # fmt: skip


def settlements():
    """Return the published settlement prices of the May 2024 HSI future and options, by name, oldest first."""
    futures = pl.read_csv(DATA / FUTURES_FILE, try_parse_dates=True).select(
        "trade_date", "last_trading_day", right=pl.lit("F"), strike=pl.lit(0.0),
        price=pl.col("DAY_SettlementPrice").cast(pl.Float64),
    )  # fmt: skip
    options = pl.read_csv(DATA / OPTIONS_FILE, try_parse_dates=True).select(
        "trade_date", "last_trading_day", "right", pl.col("strike").cast(pl.Float64),
        price=pl.col("settlement").cast(pl.Float64),
    )  # fmt: skip
    return pl.concat([futures, options]).filter(last_trading_day=CHAIN_MONTH).sort("trade_date")


def chain_books(day=date(2024, 4, 24)) -> RealBooks:
    """Return the same books on published HSI settlement prices; only the stock options are modelled."""
    table = settlements()
    days = sorted(table["trade_date"].unique())
    assert days[0] == day, "two days of settlement prices after"
    assert len(days) == DAYS_AFTER + 1, "two days of settlement prices after"
    front = table.filter(right="F")["price"].to_list()
    strike = round(front[0] / STRIKE_STEP) * STRIKE_STEP
    series = table.filter(strike=strike)
    index_after = {
        f"HSI.{right}": tuple(series.filter(right=right)["price"]) for right in "CP"
    } | {FUTURE: tuple(front)}  # fmt: skip
    history = pl.concat([index_levels().filter(underlying="HSI"), stocks(day, OPTION_STOCKS)])
    stock_rows, stock_after = at_the_money(history, OPTION_STOCKS, days, "SEOCH")
    index_rows = [
        (
            f"HSI.{right}",
            "HKCC",
            "option",
            "HSI",
            "HKD",
            INDEX_MULTIPLIER,
            CHAIN_MONTH,
            right,
            strike,
            "european",
        )
        for right in "CP"
    ]
    after = {**stock_after, **index_after}
    each = {
        name: whole(AMOUNT / len(OPTION_STOCKS), closes(history, name, days[:1])[0]) for name in OPTION_STOCKS
    }
    books = hedged_options(each, whole(AMOUNT, front[0] * INDEX_MULTIPLIER), ("HSI.C", "HSI.P"), FUTURE)
    tables = {
        "underlyings": underlyings({"HSI": "index", **dict.fromkeys(OPTION_STOCKS, "stock")}, proxy="HSI"),
        "prices": history.filter(pl.col("date") <= day),
        "instruments": instruments([
            (FUTURE, "HKCC", "future", "HSI", "HKD", INDEX_MULTIPLIER, CHAIN_MONTH, None, None, None),
            *stock_rows, *index_rows,
        ]),
        "marks": marks_of(day, {name: path[0] for name, path in after.items()}),
    }  # fmt: skip
    return with_books(
        tables, books, after, as_of=day, name=f"options on stocks and published HSI settlements, {day}"
    )


# America and Japan: HKSCC's and HKCC's methods on other markets' prices ------------------------------------------


@cache
def closing_prices(file, name):
    """Return a file of daily closes as a table of prices under a name."""
    table = pl.read_csv(DATA / file, try_parse_dates=True, infer_schema_length=None)
    return table.select(
        date=pl.col("Date"), underlying=pl.lit(name), close=pl.col("Close").cast(pl.Float64)
    ).drop_nulls()  # fmt: skip


def bond_levels(file, column, years, name):
    """Return the level of a rolled par bond made from constant-maturity yields, 100 on the first day.

    Each day a bond of so many years is bought at par with the yield y of the day as its coupon, paid twice a
    year, and sold the next day at the yield z then: its price is Σ (y/2) ÷ (1 + z/2)^i + 1 ÷ (1 + z/2)^n over
    i = 1 … n, n = 2 × years. Interest accrued, its financing and the day that passes are left out.
    """
    table = pl.read_csv(DATA / file, try_parse_dates=True, infer_schema_length=None)
    table = table.select("Date", pl.col(column).cast(pl.Float64)).drop_nulls().sort("Date")
    rates = table[column].to_numpy() / 100
    before, after, periods = rates[:-1], rates[1:], 2 * years
    discount = (1 + after[:, None] / 2) ** -np.arange(1, periods + 1)
    relative = before / 2 * discount.sum(axis=1) + discount[:, -1]
    levels = 100 * np.concatenate([[1.0], np.cumprod(relative)])
    return pl.DataFrame(
        {"date": table["Date"], "underlying": [name] * levels.size, "close": levels}, schema=PRICE_SCHEMA
    )


def hedge_ratio(history, held, hedge, day, count=250):
    """Return the slope of the moves of what is held on those of its hedge over the last common days."""
    wide = (
        history.filter(pl.col("date") <= day).pivot("underlying", index="date", values="close").sort("date")
    )
    wide = wide.drop_nulls().tail(count + 1)
    own, other = (np.diff(np.log(wide[name].to_numpy())) for name in (held, hedge))
    return float(np.cov(own, other)[0, 1] / np.var(other, ddof=1))


def hedged_fund_books(day, history, fund, index, *, multiplier, currency, calendar, ratio=None) -> RealBooks:
    """Return something held against a future, bought and sold.

    What is held stands as a fund on what the future moves with, since the houses' models know cash against futures as
    funds against indices. Without a ratio, the future is sold for as much as moves alike.
    """
    both = history.filter(pl.col("date").len().over("date") == 2)
    days = trading_days(both, index, day)
    own, hedge = closes(both, fund, days), closes(both, index, days)
    share = hedge_ratio(both, fund, index, day) if ratio is None else ratio
    held = {fund: whole(AMOUNT, own[0]), f"{index}.F": -whole(AMOUNT * share, hedge[0] * multiplier)}
    tables = {
        "underlyings": underlyings({index: "index", fund: "etf"}, currency),
        "prices": both.filter(pl.col("date") <= day),
        "instruments": instruments([
            cash(fund, "etf", currency, name=fund), future(f"{index}.F", index, multiplier, day, currency),
        ]),
        "marks": marks_of(day, {f"{index}.F": hedge[0]}),
        "weights": fund_weights(fund, index),
    }  # fmt: skip
    books = both_ways(f"long {fund}", f"short {fund}", held)
    names = {"name": f"{fund} and {index}, {day}", "currency": currency, "calendar": calendar}
    return with_books(tables, books, {fund: own, f"{index}.F": hedge}, as_of=day, **names)


def spy_books(day, *, futures=True) -> RealBooks:
    """Return SPY against E-mini futures with their own prices; or with the index in place of them."""
    file, name = ("es_futures_2000_2024", "ES") if futures else ("spx_1985_2024", "SPX")
    history = pl.concat([
        closing_prices(f"us_jp/{file}.csv", name), closing_prices("us_jp/spy_fully_adjusted_1993_2024.csv", "SPY"),
    ])  # fmt: skip
    es_only = closing_prices("us_jp/es_futures_2000_2024.csv", "ES")["date"]
    history = history.filter(pl.col("date").is_in(es_only.implode()))
    return hedged_fund_books(
        day, history, "SPY", name, multiplier=50.0, currency="USD", calendar="XNYS", ratio=1.0
    )


def treasury_books(day, years) -> RealBooks:
    """Return Treasuries of so many years, made from yields, against ten-year note futures with their own prices."""
    name = f"UST{years}"
    history = pl.concat([
        closing_prices("us_jp/zn_futures_2000_2024.csv", "ZN"),
        bond_levels("us_jp/ust_cmt_yields_fred_1980_2024.csv", f"DGS{years}", years, name),
    ])  # fmt: skip
    return hedged_fund_books(day, history, name, "ZN", multiplier=1000.0, currency="USD", calendar="XNYS")


def jgb_books(day) -> RealBooks:
    """Return the ten-year point, for a swap, against the seven-year point, for the future: both made from yields."""
    file = "us_jp/jgb_cmt_yields_mof_1990_2024.csv"
    history = pl.concat([bond_levels(file, "7Y", 7, "JGB7"), bond_levels(file, "10Y", 10, "JGB10")])
    return hedged_fund_books(
        day, history, "JGB10", "JGB7", multiplier=1000.0, currency="JPY", calendar="XJPX"
    )
