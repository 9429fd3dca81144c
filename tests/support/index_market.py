"""A market small enough to check by hand: an index with futures and options, a stock, an ETF in dollars."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from crossmargin.kernels.black76 import black76_values_numpy
from crossmargin.models.market import make_market
from crossmargin.models.scenarios.scenario_set import RiskFactor, ScenarioPart, ScenarioSet

AS_OF = date(2024, 4, 26)
NEAR, FAR = AS_OF + timedelta(days=34), AS_OF + timedelta(days=97)
STRIKES = [15000.0, 16000.0, 17000.0, 17500.0, 18000.0, 19000.0, 21000.0]
RATE = 0.04
FORWARDS = {NEAR: 17600.0, FAR: 17450.0}


def smile(strike, expiry):
    """Volatility of the market: falls with the strike, less so at the far expiry."""
    moneyness = np.log(strike / FORWARDS[expiry])
    return 0.22 - (0.5 if expiry == NEAR else 0.25) * moneyness + 0.6 * moneyness**2


def option_price(right, strike, expiry):
    years = np.array([(expiry - AS_OF).days / 365])
    volatility = np.array([[smile(strike, expiry)]])
    side = np.array([1.0 if right == "C" else -1.0])
    forward = np.array([[FORWARDS[expiry]]])
    prices, _ = black76_values_numpy(side, np.array([strike]), years, np.array([RATE]), forward, volatility)
    return float(prices[0, 0])


def option_code(right, strike, expiry):
    return f"HSI.{right}.{strike:.0f}.{expiry}"


def options():
    return [(right, strike, expiry) for expiry in (NEAR, FAR) for strike in STRIKES for right in "CP"]


def tables(*, futures=True):
    """Tables of ``make_market``; without futures the forwards come from parity."""
    listed = options()
    rows = {
        "instrument": [option_code(*option) for option in listed],
        "house": ["HKCC"] * len(listed),
        "kind": ["option"] * len(listed),
        "underlying": ["HSI"] * len(listed),
        "currency": ["HKD"] * len(listed),
        "multiplier": [50.0] * len(listed),
        "expiry": [expiry for _, _, expiry in listed],
        "right": [right for right, _, _ in listed],
        "strike": [strike for _, strike, _ in listed],
        "style": ["european"] * len(listed),
        "settlement": ["close"] * len(listed),
    }
    marks = {code: option_price(*option) for code, option in zip(rows["instrument"], listed, strict=True)}
    others = [("0005", "HKSCC", "equity", "0005", "HKD", 1.0), ("USETF", "HKSCC", "etf", "USETF", "USD", 1.0)]
    for code, house, kind, underlying, currency, multiplier in others:
        terms = (code, house, kind, underlying, currency, multiplier, None, None, None, None, "close")
        for column, value in zip(rows, terms, strict=True):
            rows[column].append(value)
    if futures:
        for expiry, forward in FORWARDS.items():
            code = f"HSI.F.{expiry}"
            terms = (code, "HKCC", "future", "HSI", "HKD", 50.0, expiry, None, None, None, "close")
            for column, value in zip(rows, terms, strict=True):
                rows[column].append(value)
            marks[code] = forward
    return {
        "participants": {"participant": ["P1"], "group": ["G1"]},
        "accounts": {
            "account": ["A", "B"],
            "participant": ["P1", "P1"],
            "house": ["HKCC", "HKSCC"],
            "owner": ["P1", "P1"],
        },
        "underlyings": {
            "underlying": ["HSI", "0005", "USETF"],
            "kind": ["index", "stock", "etf"],
            "currency": ["HKD", "HKD", "USD"],
        },
        "instruments": rows,
        "prices": {
            "date": [AS_OF] * 3,
            "underlying": ["HSI", "0005", "USETF"],
            "close": [17651.15, 65.2, 40.0],
        },
        "marks": {"date": [AS_OF] * len(marks), "instrument": [*marks], "price": [*marks.values()]},
        "rates": {"date": [AS_OF], "currency": ["HKD"], "days": [30], "rate": [RATE]},
        "exchange_rates": {"date": [AS_OF], "currency": ["USD"], "rate": [7.8]},
    }


def index_market(*, futures=True, **changes):
    return make_market(tables(futures=futures) | changes, name="small", data_note="synthetic")


def scenario_set(seed=5, sizes=(60, 40), factors=None):
    """Two parts of random moves; factors: spots, a volatility curve of HSI, a rate and an exchange rate."""
    factors = factors or (
        RiskFactor("spot", "HSI"),
        RiskFactor("spot", "0005"),
        RiskFactor("spot", "USETF"),
        RiskFactor("volatility", "HSI", 30),
        RiskFactor("volatility", "HSI", 90),
        RiskFactor("rate", "HKD", 30),
        RiskFactor("exchange_rate", "USD"),
    )
    scale = np.array([{"spot": 0.03, "volatility": 0.1, "rate": 0.002}.get(f.kind, 0.003) for f in factors])
    moves = np.random.default_rng(seed).standard_normal((sum(sizes), len(factors))) * scale
    return ScenarioSet(
        as_of=AS_OF,
        horizon_days=1,
        factors=tuple(factors),
        moves=moves,
        labels=tuple(f"day {i}" for i in range(sum(sizes))),
        parts=(
            ScenarioPart("filtered historical", 0, sizes[0], 3, 0.75),
            ScenarioPart("stress", sizes[0], sum(sizes), 2, 0.25),
        ),
        method="random",
        settings=(("seed", str(seed)),),
        input_hash="none",
    )


def one_row(frame, **values):
    """The only row of a frame with these values."""
    found = frame.filter(**values)
    assert len(found) == 1, found
    return found.row(0, named=True)
