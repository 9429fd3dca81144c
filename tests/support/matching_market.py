"""A market for matching: two indices, funds on them, five shares, options on one; round values.

A future is worth 500,000, a fund 20, a share 10: exposures can be read off the quantities.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from crossmargin.kernels.black76 import black76_values_numpy
from crossmargin.models.market import make_market
from crossmargin.models.revaluation.deltas import cash_deltas
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.programmes.books import make_books
from crossmargin.programmes.look_through import make_look_through

AS_OF = date(2024, 4, 26)
NEAR, FAR = AS_OF + timedelta(days=34), AS_OF + timedelta(days=97)
WEIGHTS = {
    "HSI": {"A": 0.4, "B": 0.3, "C": 0.2, "D": 0.1},
    "HHI": {"A": 0.5, "E": 0.5},
    "F1": {"HSI": 1.0},
    "F2": {"HHI": 0.98},
}
SHARES = "ABCDE"
HOUSES = ("HKSCC", "HKCC", "SEOCH")


def _option_mark(spot, strike):
    columns = [np.array([value]) for value in (1.0, strike, 34 / 365, 0.0)]
    prices, _ = black76_values_numpy(*columns, np.array([[spot]]), np.array([[0.3]]))
    return float(prices[0, 0])


def _instruments():
    rows = [(share, "HKSCC", "equity", share, 1.0) for share in SHARES]
    rows += [(fund, "HKSCC", "etf", fund, 1.0) for fund in ("F1", "F2")]
    rows = [(*row, None, None, None, None) for row in rows]
    for index in ("HSI", "HHI"):
        for name, expiry in (("near", NEAR), ("far", FAR)):
            rows.append((f"{index}.{name}", "HKCC", "future", index, 50.0, expiry, None, None, None))
    rows.append(("A.future", "HKCC", "future", "A", 1000.0, NEAR, None, None, None))
    rows.append(("A.call", "SEOCH", "option", "A", 1000.0, NEAR, "C", 10.0, "european"))
    rows.append(("A.high", "SEOCH", "option", "A", 1000.0, NEAR, "C", 14.0, "european"))
    rows.append(("F1.call", "SEOCH", "option", "F1", 1000.0, NEAR, "C", 20.0, "european"))
    columns = (
        "instrument",
        "house",
        "kind",
        "underlying",
        "multiplier",
        "expiry",
        "right",
        "strike",
        "style",
    )
    table = {column: [row[at] for row in rows] for at, column in enumerate(columns)}
    return table | {"currency": ["HKD"] * len(rows)}


def matching_market():
    indices, funds = ["HSI", "HHI"], ["F1", "F2"]
    names = [*indices, *funds, *SHARES]
    closes = [10_000.0] * 2 + [20.0] * 2 + [10.0] * 5
    marks = {f"{index}.{name}": 10_000.0 for index in indices for name in ("near", "far")}
    marks |= {"A.future": 10.0, "A.call": _option_mark(10.0, 10.0), "F1.call": _option_mark(20.0, 20.0)}
    marks["A.high"] = _option_mark(10.0, 14.0)
    weights = [(u, c, w) for u, parts in WEIGHTS.items() for c, w in parts.items()]
    return make_market(
        {
            "underlyings": {
                "underlying": names,
                "kind": ["index"] * 2 + ["etf"] * 2 + ["stock"] * 5,
                "currency": ["HKD"] * len(names),
            },
            "instruments": _instruments(),
            "prices": {"date": [AS_OF] * len(names), "underlying": names, "close": closes},
            "marks": {"date": [AS_OF] * len(marks), "instrument": [*marks], "price": [*marks.values()]},
            "rates": {"date": [AS_OF], "currency": ["HKD"], "days": [30], "rate": [0.0]},
            "weights": {
                "date": [AS_OF] * len(weights),
                "underlying": [row[0] for row in weights],
                "constituent": [row[1] for row in weights],
                "weight": [row[2] for row in weights],
            },
        },
        name="matching",
        data_note="synthetic",
    )


class Bench:
    """Snapshot and look-through of the market, and books by names of instruments."""

    def __init__(self, weights=None):
        market = matching_market()
        self.snapshot = make_snapshot(market, AS_OF)
        self.deltas = cash_deltas(self.snapshot)
        self.weights = market.weights_on(AS_OF) if weights is None else weights
        self.look = make_look_through(self.snapshot, self.weights, self.deltas)
        table = self.snapshot.instruments
        self.row = {name: at for at, name in enumerate(table["instrument"])}
        self.house = dict(zip(table["instrument"], table["house"], strict=True))

    def books(self, *held, gross=None):
        """A book of each mapping of instrument → quantity."""
        lines = [(book, self.row[name], q) for book, lines in enumerate(held) for name, q in lines.items()]
        return self._books(lines, len(held), gross)

    def legs(self, *held, gross=None):
        """A leg of each house and account."""
        lines = [
            (account * 3 + HOUSES.index(self.house[name]), self.row[name], q)
            for account, lines in enumerate(held)
            for name, q in lines.items()
        ]
        return self._books(lines, 3 * len(held), gross)

    def _books(self, lines, count, gross):
        book, rows, quantities = np.array(lines, np.int64).reshape(-1, 3).T
        flags = None if gross is None else np.array(gross)
        return make_books(book, rows, quantities, count=count, gross=flags)


def replica(size, **factors):
    """Shares of HSI worth ``size``; a factor for a share makes it more or less of that one."""
    parts = WEIGHTS["HSI"].items()
    return {share: round(size * weight * factors.get(share, 1.0) / 10) for share, weight in parts}
