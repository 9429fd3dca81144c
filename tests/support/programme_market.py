"""Owners with accounts at the three houses, over the instruments of a small synthetic market.

The houses are opened once; other accounts are put into them, since models and scenarios stay what they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import polars as pl

from crossmargin.models.market import make_market
from crossmargin.models.synthetic_market.market import synthetic_market
from crossmargin.models.synthetic_market.sizes import MarketSize
from crossmargin.programmes.accounts import clearing_accounts
from crossmargin.programmes.opening import open_houses
from crossmargin.programmes.programme import Programme

SIZE = MarketSize(stocks=10, option_classes=2, strikes=3, futures_months=2, option_months=2, years=6)
FUND, OTHER_FUND, STOCK, LONE_STOCK = "2800", "2828", "241", "3096"
FUTURE, FAR_FUTURE, SMALL_FUTURE, OTHER_FUTURE = (
    "HSI.F.2026-01",
    "HSI.F.2026-02",
    "MHI.F.2026-01",
    "HHI.F.2026-01",
)
GROUPS = {"P1": "G1", "P2": "G1", "P3": "G3"}
LARGE = 20  # so that HKSCC's margin credit does not hide what it calls


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account and what it holds."""

    owner: str
    house: str
    held: dict[str, int]
    participant: str = "P1"
    type: str = "house"
    basis: str = "net"
    consent: int = 1
    name: str = ""

    @property
    def account(self):
        return self.name or f"{self.owner}.{self.house}"


def cash(owner, held, **terms):
    return Account(owner=owner, house="HKSCC", held=held, **terms)


def futures(owner, held, **terms):
    return Account(owner=owner, house="HKCC", held=held, **terms)


def options(owner, held, **terms):
    return Account(owner=owner, house="SEOCH", held=held, **terms)


@cache
def base_market():
    return synthetic_market(seed=13, size=SIZE)


@cache
def base_houses():
    market = base_market()
    return open_houses(market, market["prices"]["date"].max())


def option(right, underlying=STOCK, *, place=0):
    """One of the options on an underlying, in order of expiry and strike."""
    listed = base_houses().snapshot.instruments.filter(kind="option", right=right, underlying=underlying)
    return listed.sort("expiry", "strike")["instrument"][place]


def times(accounts, factor):
    """The same accounts, holding a multiple."""
    return tuple(
        replace(one, held={name: factor * quantity for name, quantity in one.held.items()})
        for one in accounts
    )


def sample():
    """Hedges across two and three houses, an outright book, and accounts that no switch lets in."""
    call, put, index_put = option("C", place=3), option("P", place=3), option("P", "HSI", place=3)
    other = {"participant": "P2"}
    clients = {"participant": "P3", "type": "omnibus", "basis": "gross", "consent": 0}
    accounts = (
        cash("arbitrage", {FUND: 500_000}),
        futures("arbitrage", {FUTURE: -10}),
        cash("cover", {STOCK: 90_000, LONE_STOCK: -20_000}),
        options("cover", {call: -120, put: 60}),
        cash("outright", {FUND: 300_000, STOCK: 10_000}),
        futures("outright", {FUTURE: 6, OTHER_FUTURE: 4}),
        cash("three", {FUND: 400_000, STOCK: -40_000}, **other),
        futures("three", {FAR_FUTURE: -6, index_put: 8}, **other),
        options("three", {call: 90}, **other),
        cash("silent", {FUND: 200_000}, participant="P3", consent=0),
        futures("silent", {FUTURE: -4}, participant="P3", consent=0),
        cash("clients", {FUND: 100_000, OTHER_FUND: -50_000}, **clients),
        futures("clients", {FUTURE: -7, FAR_FUTURE: 5}, **clients),
        options("clients", {call: -40, put: 25}, **clients),
        futures("lone", {FUTURE: -2}, participant="P3"),
        options("maker", {put: -50}, participant="P3", type="market-maker"),
        cash("maker", {STOCK: -12_000}, participant="P3", type="market-maker"),
    )
    return times(accounts, LARGE)


def market_of(*accounts, groups=None, lines=()):
    """The market with these accounts; ``lines`` are further positions: account, instrument, quantity."""
    groups = GROUPS if groups is None else groups
    columns = ("account", "participant", "house", "type", "basis", "owner", "consent")
    held = [(one.account, *position) for one in accounts for position in one.held.items()]
    participants = list(dict.fromkeys(one.participant for one in accounts))
    tables = {
        "participants": pl.DataFrame(
            {"participant": participants, "group": [groups.get(name, name) for name in participants]}
        ),
        "accounts": pl.DataFrame({name: [getattr(one, name) for one in accounts] for name in columns}),
        "positions": pl.DataFrame(
            [*held, *lines],
            schema={"account": pl.String, "instrument": pl.String, "quantity": pl.Int64},
            orient="row",
        ),
    }
    market = base_market()
    return make_market({**market.tables, **tables}, name="owners at three houses", data_note="synthetic")


def houses_of(*accounts, **terms):
    """The houses with these accounts in them."""
    houses, market = base_houses(), market_of(*accounts, **terms)
    return replace(houses, market=market, accounts=clearing_accounts(market, houses.snapshot))


@cache
def sample_houses():
    return houses_of(*sample())


def programme(mode="one_pot_joint", **choices):
    return Programme(name=mode, mode=mode, **choices)


FRAMES = ("accounts", "joint_accounts", "participants", "houses", "steps", "risen")


def frames_of(result):
    return {name: getattr(result, name) for name in FRAMES}


def cents(series):
    """Exact decimals as hundredths."""
    return [int(amount.scaleb(2)) for amount in series]
