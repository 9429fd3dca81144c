"""A market of three houses for HKSCC's model: an index with funds, a stock with derivatives, and what has no proxy."""

from __future__ import annotations

from dataclasses import replace

import index_market
import numpy as np
import polars as pl
from index_market import AS_OF, FAR, NEAR, RATE, option_code, scenario_set

from crossmargin.formats.hkscc.participant import hkscc_participant
from crossmargin.kernels.black76 import black76_values_numpy
from crossmargin.models.hkscc.from_scenarios import Rpf01Rules, rpf01_parameters
from crossmargin.models.market import make_market
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.models.scenarios.scenario_set import RiskFactor
from crossmargin.programmes.books import make_books
from crossmargin.programmes.conversion import hkscc_conversion
from crossmargin.programmes.hkscc_house import HksccHouse

STOCK_PRICE, STOCK_LOT, FUND_PRICE = 65.2, 400.0, 17.6
NEAR_FUTURE, FAR_FUTURE = f"HSI.F.{NEAR}", f"HSI.F.{FAR}"
CALL, PUT = option_code("C", 17500.0, NEAR), option_code("P", 17500.0, NEAR)
STOCK_CALL, STOCK_PUT, STOCK_FUTURE = "0005.C", "0005.P", "0005.F"
FACTORS = (
    *(RiskFactor("spot", name) for name in ("HSI", "0005", "2800", "2801", "USFUND", "0700")),
    RiskFactor("exchange_rate", "USD"),
)
RULES = Rpf01Rules(threshold=1_000_000)

COLUMNS = (
    "instrument",
    "house",
    "kind",
    "underlying",
    "currency",
    "multiplier",
    "expiry",
    "right",
    "strike",
    "style",
    "settlement",
)


def stock_option(right):
    years, forward = (NEAR - AS_OF).days / 365, STOCK_PRICE * np.exp(RATE * (NEAR - AS_OF).days / 365)
    side = np.array([1.0 if right == "C" else -1.0])
    prices, _ = black76_values_numpy(
        side, np.array([65.0]), np.array([years]), np.array([RATE]), np.array([[forward]]), np.array([[0.3]])
    )
    return float(prices[0, 0])


def cash(code, kind="equity", currency="HKD"):
    return (code, "HKSCC", kind, code, currency, 1.0, None, None, None, None, "close")


def derivative(code, house, underlying, multiplier, right=None):
    terms = (None, None, None) if right is None else (right, 65.0, "american")
    kind = "future" if right is None else "option"
    return (code, house, kind, underlying, "HKD", multiplier, NEAR, *terms, "close")


def tables():
    given = index_market.tables()
    rows = [row for row in zip(*given["instruments"].values(), strict=True) if row[0] != "USETF"]
    rows += [
        cash("2800", "etf"),
        cash("2801", "etf"),
        cash("USFUND", "etf", "USD"),
        cash("0700"),
        cash("9999"),
    ]
    rows += [
        derivative(STOCK_FUTURE, "HKCC", "0005", 1000.0),
        derivative(STOCK_CALL, "SEOCH", "0005", STOCK_LOT, "C"),
        derivative(STOCK_PUT, "SEOCH", "0005", STOCK_LOT, "P"),
        derivative("9999.F", "HKCC", "9999", 1000.0),
        derivative("HTI.F", "HKCC", "HTI", 50.0),
    ]
    marks = dict(zip(given["marks"]["instrument"], given["marks"]["price"], strict=True))
    marks |= {STOCK_FUTURE: 65.4, "9999.F": 10.1, "HTI.F": 5000.0}
    marks |= {STOCK_CALL: stock_option("C"), STOCK_PUT: stock_option("P")}
    closes = {"HSI": 17651.15, "HTI": 5010.0, "0005": STOCK_PRICE, "0700": 350.0, "9999": 10.0}
    closes |= {"2800": FUND_PRICE, "2801": FUND_PRICE, "USFUND": 2.25}
    earlier = {"2801": AS_OF.replace(day=25), "USFUND": AS_OF.replace(day=25)}
    return given | {
        "underlyings": {
            "underlying": [*closes],
            "kind": ["index", "index", *["stock"] * 3, *["etf"] * 3],
            "currency": [*["HKD"] * 7, "USD"],
        },
        "instruments": pl.DataFrame(rows, schema=COLUMNS, orient="row", infer_schema_length=None),
        "prices": {
            "date": [*[AS_OF] * len(closes), *earlier.values()],
            "underlying": [*closes, *earlier],
            "close": [*closes.values(), FUND_PRICE, 2.25],
        },
        "marks": {"date": [AS_OF] * len(marks), "instrument": [*marks], "price": [*marks.values()]},
        "weights": {
            "date": [AS_OF] * 5,
            "underlying": ["2800", "2801", "USFUND", "HSI", "HSI"],
            "constituent": ["HSI", "HSI", "HSI", "0005", "0700"],
            "weight": [1.0, 1.0, 1.0, 0.4, 0.6],
        },
    }


def market_of(**changes):
    return make_market(tables() | changes, name="HKSCC's view", data_note="synthetic")


def scenarios_of(*, tracking=0.002, seed=5, sizes=(60, 40)):
    """Moves in which the funds follow the index, each with its own error."""
    made = scenario_set(seed=seed, sizes=sizes, factors=FACTORS)
    moves = made.moves.copy()
    error = np.random.default_rng(seed + 1).standard_normal((sum(sizes), 3)) * tracking
    moves[:, 2:5] = moves[:, :1] + error
    return replace(made, moves=moves)


def house_of(market=None, scenarios=None, *, conversion=None, **settings):
    market, scenarios = market or market_of(), scenarios or scenarios_of()
    snapshot = make_snapshot(market, AS_OF)
    return HksccHouse(
        snapshot=snapshot,
        parameters=rpf01_parameters(scenarios, market, rules=RULES),
        settings=hkscc_participant(AS_OF, **settings),
        conversion=conversion or hkscc_conversion(snapshot, market, scenarios),
    )


def books_of(house, *books, gross=None):
    """Books from pairs of instrument and quantity."""
    names = house.snapshot.instruments["instrument"].to_list()
    held = [
        (place, names.index(code), quantity) for place, book in enumerate(books) for code, quantity in book
    ]
    owner, rows, quantities = np.array(held, np.int64).reshape(-1, 3).T
    flags = None if gross is None else np.array(gross)
    return make_books(owner, rows.astype(np.int32), quantities, count=len(books), gross=flags)
