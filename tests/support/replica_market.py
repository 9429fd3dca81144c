"""The market for matching in PRiME: moves of indices, funds and shares, and a share with two counters.

A future is worth 500,000, a fund 20, a share 10; no fund has options, so that each stands in its index's commodity.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from matching_market import AS_OF, SHARES, WEIGHTS, Bench, matching_market

from crossmargin.models.market import make_market
from crossmargin.models.revaluation.deltas import cash_deltas
from crossmargin.models.revaluation.snapshot import make_snapshot
from crossmargin.models.scenarios.scenario_set import RiskFactor, ScenarioPart, ScenarioSet
from crossmargin.models.span.from_market import market_span
from crossmargin.programmes.look_through import make_look_through
from crossmargin.programmes.prime_house import PrimeHouse
from crossmargin.programmes.replicas import make_stand_ins

PARTS = (ScenarioPart("a", 0, 600, 2, 0.5), ScenarioPart("b", 600, 800, 2, 0.5))


def replica_market():
    market = matching_market()
    tables = dict(market.tables)
    for name in ("instruments", "marks"):
        tables[name] = tables[name].filter(pl.col("instrument") != "F1.call")
    second = tables["instruments"].filter(instrument="A").with_columns(instrument=pl.lit("A2"))
    tables["instruments"] = pl.concat([tables["instruments"], second])
    return make_market(tables, name="replicas", data_note="synthetic")


def moves():
    """Moves of a day: shares follow one factor, indices their shares, funds their index; each with some noise."""
    rng = np.random.default_rng(21)
    common = 0.015 * rng.standard_normal(800)
    found = {share: common + 0.01 * rng.standard_normal(800) for share in SHARES}
    for index in ("HSI", "HHI"):
        basket = sum(weight * found[share] for share, weight in WEIGHTS[index].items())
        found[index] = basket + 0.001 * rng.standard_normal(800)
    for fund, index in (("F1", "HSI"), ("F2", "HHI")):
        found[fund] = found[index] + 0.0004 * rng.standard_normal(800)
    return found


def scenarios(**others):
    """Scenarios of the market; ``others`` are moves of further factors by code, ``_`` for ``:``."""
    spots = {("spot", name): move for name, move in moves().items()}
    named = {tuple(code.rsplit("_", 1)): move for code, move in others.items()}
    columns = spots | named
    return ScenarioSet(
        as_of=AS_OF,
        horizon_days=1,
        factors=tuple(RiskFactor(*key) for key in columns),
        moves=np.stack([*columns.values()], axis=1),
        labels=tuple(str(number) for number in range(800)),
        parts=PARTS,
        method="invented",
        settings=(),
        input_hash="",
    )


class PrimeBench(Bench):
    """PRiME of the market, and what stands in it for replicas; books by names of instruments."""

    def __init__(self, without=()):
        market = replica_market()
        self.snapshot = make_snapshot(market, AS_OF)
        self.deltas = cash_deltas(self.snapshot)
        weights = market.weights_on(AS_OF)
        self.weights = weights.filter(~pl.col("underlying").is_in(list(without)))
        self.look = make_look_through(self.snapshot, self.weights, self.deltas)
        table = self.snapshot.instruments
        self.row = {name: at for at, name in enumerate(table["instrument"])}
        self.house = dict(zip(table["instrument"], table["house"], strict=True))
        self.span = market_span(self.snapshot, scenarios(), self.weights)
        self.prime = PrimeHouse(span=self.span)
        self.stand_ins = make_stand_ins(self.snapshot, self.span, self.look, scenarios())

    def through(self, *held, coverage=1.0, gross=None):
        return self.stand_ins.looked_through(self.books(*held, gross=gross), minimum_coverage=coverage)

    def risk(self, *held):
        """Plain risk margin of each book, and the lower of that and the one looked through."""
        books = self.books(*held)
        plain, found = self.prime.market_risk(books), self.stand_ins.looked_through(books)
        return plain, found.lower(plain, self.prime.market_risk(found.books))

    def held(self, books, number=0):
        """What a book holds, by name."""
        one = books.select(np.array([number]))
        names = self.snapshot.instruments["instrument"].gather(one.rows)
        return dict(zip(names, one.quantities.tolist(), strict=True))

    def fund_charge(self, fund):
        """PRiME's basis charge of one unit, in currency."""
        row = self.span.conversion.row(by_predicate=pl.col("instrument") == fund, named=True)
        return 20.0 * row["basis_charge"]
