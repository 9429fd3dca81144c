"""Participants of a synthetic market, their desks, and what the desks hold.

A desk is one risk: the same owner in an account at each house where it holds something. What it holds
follows from what it does, so that books have hedges across houses, or have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from crossmargin.models.synthetic_market.contracts import FUTURE_SIZE, FUTURES
from crossmargin.models.synthetic_market.underlyings import (
    CHINA_FUND,
    CHINA_INDEX,
    MARKET_FUND,
    MARKET_INDEX,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from crossmargin.models.synthetic_market.contracts import Contracts
    from crossmargin.models.synthetic_market.histories import Histories

__all__ = ["DESKS", "Desk", "synthetic_desks"]

HKSCC, HKCC, SEOCH = "HKSCC", "HKCC", "SEOCH"
FUNDS: Final = {MARKET_INDEX: MARKET_FUND, CHINA_INDEX: CHINA_FUND}
FUND_LOT, STOCK_LOT = 500, 100
MARKET_SHARE, EVEN, FAR_DELTA = 0.7, 0.5, 0.4
"""Part of arbitrage in the first index; a coin; an option with less delta is far from the money."""

ONE_GROUP: Final = 2
"""The first participants, as many as this, are under one control."""

ACCOUNT_SCHEMA: Final = {
    "account": pl.String,
    "participant": pl.String,
    "house": pl.String,
    "type": pl.String,
    "basis": pl.String,
    "owner": pl.String,
    "consent": pl.Int64,
}
POSITION_SCHEMA: Final = {"account": pl.String, "instrument": pl.String, "quantity": pl.Int64}

Holdings = list[tuple[str, str, float]]
"""House, instrument, quantity."""


class OptionSeries(NamedTuple):
    """An option as a desk sees it; ``delta`` is of one point of its underlying."""

    instrument: str
    right: str
    strike: float
    multiplier: float
    delta: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Catalogue:
    """What desks choose from.

    Spots by underlying, futures by product (nearest first), options by underlying, codes of all stock options.
    """

    spots: dict[str, float]
    futures: dict[str, list[str]]
    options: dict[str, list[OptionSeries]]
    stock_options: list[str]
    shares: list[str]


@dataclass(frozen=True, slots=True)
class Desk:
    """A kind of desk: DCASS type and basis of its accounts, its consent to cross-margining, its book."""

    account_type: str
    basis: str
    consent: int
    holdings: Callable[[np.random.Generator, Catalogue], Holdings]


def _index_arbitrage(rng: np.random.Generator, catalogue: Catalogue) -> Holdings:
    """Return a fund held against futures sold for as much."""
    index = MARKET_INDEX if rng.random() < MARKET_SHARE else CHINA_INDEX
    contracts = _size(rng, 150)
    fund = FUNDS[index]
    units = contracts * FUTURE_SIZE * catalogue.spots[index] / catalogue.spots[fund]
    future = catalogue.futures[index][int(rng.integers(0, min(2, len(catalogue.futures[index]))))]
    return [(HKSCC, fund, _lots(units, FUND_LOT)), (HKCC, future, -contracts)]


def _market_maker(rng: np.random.Generator, catalogue: Catalogue) -> Holdings:
    """Return a book of options of one underlying, its delta hedged where the underlying trades."""
    underlyings = [*catalogue.options]
    underlying = underlyings[int(rng.integers(0, len(underlyings)))]
    series = catalogue.options[underlying]
    chosen = rng.choice(len(series), min(14, len(series)), replace=False).tolist()
    quantities = np.rint(rng.normal(-10.0, 60.0, len(chosen))).tolist()
    is_index = underlying in FUNDS
    book: Holdings = [
        (HKCC if is_index else SEOCH, series[i].instrument, quantity)
        for i, quantity in zip(chosen, quantities, strict=True)
    ]
    delta = sum(q * series[i].multiplier * series[i].delta for i, q in zip(chosen, quantities, strict=True))
    if not is_index:
        return [*book, (HKSCC, underlying, _lots(-delta, STOCK_LOT))]
    futures = round(-0.6 * delta / FUTURE_SIZE)
    fund, rest = FUNDS[underlying], -delta - futures * FUTURE_SIZE
    units = rest * catalogue.spots[underlying] / catalogue.spots[fund]
    return [*book, (HKCC, catalogue.futures[underlying][0], futures), (HKSCC, fund, _lots(units, FUND_LOT))]


def _covered_writer(rng: np.random.Generator, catalogue: Catalogue) -> Holdings:
    """Return calls out of the money sold on shares that are held."""
    stocks = [code for code in catalogue.options if code not in FUNDS]
    stock = stocks[int(rng.integers(0, len(stocks)))]
    calls = [item for item in catalogue.options[stock] if item.right == "C"]
    calls = [item for item in calls if item.strike >= catalogue.spots[stock]] or calls[-1:]
    written = [calls[i] for i in rng.choice(len(calls), min(3, len(calls)), replace=False).tolist()]
    contracts = [_size(rng, 80) for _ in written]
    held = sum(count * item.multiplier for count, item in zip(contracts, written, strict=True))
    short: Holdings = [
        (SEOCH, item.instrument, -count) for count, item in zip(contracts, written, strict=True)
    ]
    return [*short, (HKSCC, stock, held)]


def _retail_clients(rng: np.random.Generator, catalogue: Catalogue) -> Holdings:
    """Return what many clients hold together: shares, mini futures both ways, options bought and written."""
    held = rng.choice(len(catalogue.shares), min(12, len(catalogue.shares)), replace=False).tolist()
    book: Holdings = [
        (HKSCC, catalogue.shares[i], _lots(_size(rng, 3e6) / catalogue.spots[catalogue.shares[i]], STOCK_LOT))
        for i in held
    ]
    minis = [code for product in ("MHI", "MCH") for code in catalogue.futures[product][:2]]
    book += [(HKCC, code, round(rng.normal(40.0, 150.0))) for code in minis]
    every = catalogue.stock_options
    chosen = rng.choice(len(every), min(10, len(every)), replace=False).tolist()
    return [*book, *((SEOCH, every[i], round(rng.normal(8.0, 25.0))) for i in chosen)]


def _directional(rng: np.random.Generator, catalogue: Catalogue) -> Holdings:
    """Return futures and shares one way, with index options bought against a turn."""
    side = 1 if rng.random() < EVEN else -1
    index = MARKET_INDEX if rng.random() < EVEN else CHINA_INDEX
    contracts = side * _size(rng, 100)
    shares = rng.choice(len(catalogue.shares), 3, replace=False).tolist()
    hedges = [
        item for item in catalogue.options[index] if item.delta * side < 0 and abs(item.delta) < FAR_DELTA
    ]
    book: Holdings = [(HKCC, catalogue.futures[index][0], contracts)]
    book += [(HKCC, item.instrument, abs(contracts) // 2) for item in hedges[:1]]
    worth = [side * _size(rng, 8e6) / catalogue.spots[catalogue.shares[i]] for i in shares]
    return [
        *book,
        *(
            (HKSCC, catalogue.shares[i], _lots(units, STOCK_LOT))
            for i, units in zip(shares, worth, strict=True)
        ),
    ]


DESKS: Final[Mapping[str, Desk]] = {
    "arbitrage": Desk("house", "net", 1, _index_arbitrage),
    "maker": Desk("market-maker", "net", 1, _market_maker),
    "covered": Desk("individual", "net", 1, _covered_writer),
    "clients": Desk("omnibus", "gross", 0, _retail_clients),
    "directional": Desk("house", "net", 1, _directional),
}
"""Kinds of desks; a participant's first desk is of the kind of its number, its next of the next kind."""


def _size(rng: np.random.Generator, median: float) -> int:
    """Return a log-normal size around a median, at least 1."""
    return max(round(median * float(np.exp(rng.normal(0.0, 0.7)))), 1)


def _lots(units: float, lot: int) -> float:
    return round(units / lot) * float(lot)


def synthetic_desks(
    seed: int, histories: Histories, contracts: Contracts, participants: int, desks: int
) -> dict[str, pl.DataFrame]:
    """Invent the tables participants, accounts and positions.

    Each desk has random numbers of its own, by its number and its participant's.
    """
    catalogue = _catalogue(histories, contracts)
    kinds = [*DESKS.items()]
    accounts: dict[str, tuple[object, ...]] = {}
    positions: list[tuple[str, str, int]] = []
    for member in range(participants):
        for number in range(desks):
            name, desk = kinds[(member + number) % len(kinds)]
            owner = f"{_participant(member)}.{name}-{number + 1}"
            rng = np.random.default_rng([seed, member, number])
            for house, instrument, quantity in desk.holdings(rng, catalogue):
                if quantity:
                    account = f"{owner}.{house}"
                    described = (desk.account_type, desk.basis, owner, desk.consent)
                    accounts[account] = (account, _participant(member), house, *described)
                    positions.append((account, instrument, int(quantity)))
    return {
        "participants": _participants(participants),
        "accounts": pl.DataFrame([*accounts.values()], schema=ACCOUNT_SCHEMA, orient="row"),
        "positions": pl.DataFrame(positions, schema=POSITION_SCHEMA, orient="row"),
    }


def _participant(number: int) -> str:
    return f"P{number + 1:04d}"


def _participants(count: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "participant": [_participant(number) for number in range(count)],
            "name": [f"Synthetic participant {number + 1}" for number in range(count)],
            "group": [f"G{max(number, ONE_GROUP - 1) - ONE_GROUP + 2:04d}" for number in range(count)],
        }
    )


def _catalogue(histories: Histories, contracts: Contracts) -> Catalogue:
    options = contracts.instruments.filter(pl.col("kind") == "option").join(contracts.deltas, on="instrument")
    futures = contracts.instruments.filter(pl.col("kind") == "future").sort("expiry")["instrument"].to_list()
    columns = ("instrument", "right", "strike", "multiplier", "delta")
    return Catalogue(
        spots={code: histories.spot(code) for code in histories.codes},
        futures={
            product: [code for code in futures if code.startswith(f"{product}.")] for product in FUTURES
        },
        stock_options=options.filter(pl.col("house") == SEOCH)["instrument"].sort().to_list(),
        options={
            str(name): [OptionSeries(*row) for row in group.select(columns).iter_rows()]
            for (name,), group in options.sort("instrument").group_by("underlying", maintain_order=True)
        },
        shares=histories.shares,
    )
