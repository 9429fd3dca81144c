"""A market for PRiME: two indices with futures, options on one and on a stock, a fund on the index."""

from __future__ import annotations

from datetime import date

import numpy as np
from index_market import AS_OF, tables

from crossmargin.models.market import make_market
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.models.scenarios.scenario_set import RiskFactor, ScenarioPart, ScenarioSet

NO_WEIGHTS = {"underlying": [], "constituent": [], "weight": []}
TWO_PARTS = (ScenarioPart("a", 0, 600, 2, 0.5), ScenarioPart("b", 600, 800, 2, 0.5))
FUND, SECOND = "FUND", "IDX2"


def fund_weights(funds):
    return {"underlying": [*funds], "constituent": [*funds.values()], "weight": [1.0] * len(funds)}


def linked_market(*, fund_options=False):
    """A market with a second index, its future, a fund on HSI and options on the stock."""
    given = tables()
    expiry = date(2024, 5, 30)
    added = [
        ("IDX2.F", "HKCC", "future", SECOND, "HKD", 50.0, expiry, None, None, None, "close"),
        (FUND, "HKSCC", "etf", FUND, "HKD", 1.0, None, None, None, None, "close"),
        ("0005.C", "SEOCH", "option", "0005", "HKD", 400.0, expiry, "C", 65.0, "american", "close"),
    ]
    if fund_options:
        added.append(
            ("FUND.C", "SEOCH", "option", FUND, "HKD", 500.0, expiry, "C", 18.0, "american", "close")
        )
    for terms in added:
        for column, value in zip(given["instruments"].values(), terms, strict=True):
            column.append(value)
    for name, price in (("IDX2.F", 7500.0), ("0005.C", 2.5), ("FUND.C", 0.5))[: 3 if fund_options else 2]:
        given["marks"]["instrument"].append(name)
        given["marks"]["price"].append(price)
        given["marks"]["date"].append(AS_OF)
    for name, kind, price in ((SECOND, "index", 7480.0), (FUND, "etf", 17.9)):
        for column, value in zip(given["underlyings"].values(), (name, kind, "HKD"), strict=True):
            column.append(value)
        for column, value in zip(given["prices"].values(), (AS_OF, name, price), strict=True):
            column.append(value)
    return make_snapshot(make_market(given, name="linked"), AS_OF)


def correlated_scenarios(*, fund_noise=0.002, stock_noise=0.015):
    """Moves of HSI and, with noise, of the other underlyings, in a part of 600 and one of 200."""
    rng = np.random.default_rng(8)
    names = ("HSI", SECOND, FUND, "0005", "USETF")
    noise = np.array([0.0, 0.004, fund_noise, stock_noise, 0.03])
    moves = 0.02 * rng.standard_normal((800, 1)) + rng.standard_normal((800, len(names))) * noise
    return ScenarioSet(
        as_of=AS_OF,
        horizon_days=1,
        factors=tuple(RiskFactor("spot", name) for name in names),
        moves=moves,
        labels=tuple(str(i) for i in range(800)),
        parts=TWO_PARTS,
        method="invented",
        settings=(),
        input_hash="",
    )
