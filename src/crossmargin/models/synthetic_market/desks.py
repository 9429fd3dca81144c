"""Kinds of desks in a synthetic market, and what each holds.

A desk is one risk. What it holds follows from what it does, so that books have hedges across houses, or have
none. Sizes have heavy tails: a Pareto scale for the whole book, and a log-normal factor for each leg that is
not a hedge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from crossmargin.models.synthetic_market.contracts import FUTURE_SIZE
from crossmargin.models.synthetic_market.underlyings import (
    CHINA_FUND,
    CHINA_INDEX,
    MARKET_FUND,
    MARKET_INDEX,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from crossmargin.models.synthetic_market.catalogue import Catalogue, OptionSeries

__all__ = ["DESKS", "FIRST_KINDS", "SCHEDULE", "Desk", "Leg", "draw_scale"]

HKSCC, HKCC, SEOCH = "HKSCC", "HKCC", "SEOCH"
FUNDS: Final = {MARKET_INDEX: MARKET_FUND, CHINA_INDEX: CHINA_FUND}
MINIS: Final = {MARKET_INDEX: "MHI", CHINA_INDEX: "MCH"}
FUND_LOT, STOCK_LOT = 500, 100
MARKET_SHARE, REVERSE_SHARE, INDEX_MAKER_SHARE, EVEN = 0.7, 0.3, 0.3, 0.5
"""Parts of arbitrage in the first index, and with the future bought; of market makers in index options; a coin."""

INDEX_MAKER_PART: Final = 0.3
"""Contracts of an index option to one of a share's, which is worth far less."""

FAR_DELTA: Final = 0.4
"""An option with less is far from the money."""

PARETO, SCALE_LIMIT, SPREAD = 1.5, 30.0, 0.7
"""Tail exponent of the scale of a book, its largest value, and log-deviation of a leg."""

PROXY_HEDGE_SHARE: Final = 0.35
"""Part of the makers in stock options who hedge in index futures."""

BASKET_MINIMUM: Final = 30e6
"""HKD of the smallest replica of an index: a lot of every constituent fits in."""

MAKER_SERIES, OPTION_LEGS, DISPERSION_STOCKS = 14, 10, 5


class Leg(NamedTuple):
    """A position to be: an instrument, cleared where, + long or − short units."""

    house: str
    instrument: str
    quantity: float


@dataclass(frozen=True, slots=True)
class Desk:
    """A kind of desk.

    Parameters
    ----------
    account_type, basis : str
        DCASS type and basis of its accounts.
    consent : float
        Part of the owners that agreed to cross-margining.
    needs : tuple of str
        Houses without which there is no such desk.
    holdings : callable
        What it holds, from random numbers, the catalogue and the scale of the book.
    """

    account_type: str
    basis: str
    consent: float
    needs: tuple[str, ...]
    holdings: Callable[[np.random.Generator, Catalogue, float], list[Leg]]


def draw_scale(rng: np.random.Generator) -> float:
    """Return the scale of a book: Pareto from 1, cut so that no freak dominates."""
    return min((1.0 - rng.random()) ** (-1.0 / PARETO), SCALE_LIMIT)


def _index_arbitrage(rng: np.random.Generator, catalogue: Catalogue, scale: float) -> list[Leg]:
    """Return a fund against futures for as much."""
    index = _arbitraged_index(rng)
    contracts = _side(rng) * _size(rng, 12.0 * scale)
    fund = FUNDS[index]
    units = contracts * FUTURE_SIZE * catalogue.spots[index] / catalogue.spots[fund]
    future = _near_future(rng, catalogue, index)
    return [Leg(HKSCC, fund, _lots(units, FUND_LOT)), Leg(HKCC, future, -contracts)]


def _basket_arbitrage(rng: np.random.Generator, catalogue: Catalogue, scale: float) -> list[Leg]:
    """Return every share of an index in proportion to its weight, against futures for as much."""
    index = _arbitraged_index(rng)
    worth = FUTURE_SIZE * catalogue.spots[index]
    size = max(_size(rng, 12.0 * scale), math.ceil(BASKET_MINIMUM / worth))
    side = _side(rng)
    basket = [
        Leg(HKSCC, code, side * max(_shares_for(catalogue, code, size * worth * weight), STOCK_LOT))
        for code, weight in catalogue.weights[index].items()
    ]
    return [*basket, Leg(HKCC, _near_future(rng, catalogue, index), -side * size)]


def _dispersion(rng: np.random.Generator, catalogue: Catalogue, scale: float) -> list[Leg]:
    """Return straddles sold on an index and bought on its shares, each hedged for its delta."""
    count = _size(rng, 8.0 * scale)
    listed = [code for code in catalogue.classes if code in catalogue.weights[MARKET_INDEX]]
    chosen = rng.choice(len(listed), min(DISPERSION_STOCKS, len(listed)), replace=False).tolist()
    delta, book = _straddles(catalogue, HKCC, MARKET_INDEX, -count)
    book.append(Leg(HKCC, catalogue.futures[MARKET_INDEX][0], round(-delta / FUTURE_SIZE)))
    each = count * FUTURE_SIZE * catalogue.spots[MARKET_INDEX] / len(chosen)
    for code in (listed[i] for i in chosen):
        contract = catalogue.options[code][0].multiplier * catalogue.spots[code]
        delta, legs = _straddles(catalogue, SEOCH, code, max(round(each / contract), 1))
        book += [*legs, Leg(HKSCC, code, _lots(-delta, STOCK_LOT))]
    return book


def _straddles(catalogue: Catalogue, house: str, code: str, count: int) -> tuple[float, list[Leg]]:
    """Return the delta of straddles, in units of the underlying, and their legs."""
    pair = catalogue.straddle(code)
    return _delta(pair, [count, count]), [Leg(house, item.instrument, count) for item in pair]


def _market_maker(rng: np.random.Generator, catalogue: Catalogue, scale: float) -> list[Leg]:
    """Return a book of options of one underlying, its delta hedged where the underlying trades.

    Some makers in stock options, who cannot borrow the share, hedge in index futures for as much.
    """
    is_index = rng.random() < INDEX_MAKER_SHARE
    underlyings = [*FUNDS] if is_index else catalogue.classes
    underlying = underlyings[int(rng.integers(0, len(underlyings)))]
    series = catalogue.options[underlying]
    at = rng.choice(len(series), min(MAKER_SERIES, len(series)), replace=False).tolist()
    chosen = [series[i] for i in at]
    scale *= INDEX_MAKER_PART if is_index else 1.0
    quantities = [round(scale * number) for number in rng.normal(-10.0, 40.0, len(chosen)).tolist()]
    house = HKCC if is_index else SEOCH
    book = [Leg(house, item.instrument, quantity) for item, quantity in zip(chosen, quantities, strict=True)]
    delta = _delta(chosen, quantities)
    if not is_index:
        return [*book, _stock_hedge(rng, catalogue, underlying, -delta)]
    futures = round(-0.6 * delta / FUTURE_SIZE)
    fund, rest = FUNDS[underlying], -delta - futures * FUTURE_SIZE
    units = _lots(rest * catalogue.spots[underlying] / catalogue.spots[fund], FUND_LOT)
    return [*book, Leg(HKCC, catalogue.futures[underlying][0], futures), Leg(HKSCC, fund, units)]


def _stock_hedge(rng: np.random.Generator, catalogue: Catalogue, stock: str, delta: float) -> Leg:
    """Return shares of a delta, or sometimes index futures of the same value."""
    if rng.random() < PROXY_HEDGE_SHARE:
        contracts = delta * catalogue.spots[stock] / (FUTURE_SIZE * catalogue.spots[MARKET_INDEX])
        return Leg(HKCC, catalogue.futures[MARKET_INDEX][0], round(contracts))
    return Leg(HKSCC, stock, _lots(delta, STOCK_LOT))


def _covered_writer(rng: np.random.Generator, catalogue: Catalogue, scale: float) -> list[Leg]:
    """Return calls out of the money sold on shares that are held."""
    stock = catalogue.classes[int(rng.integers(0, len(catalogue.classes)))]
    calls = [item for item in catalogue.options[stock] if item.right == "C"]
    calls = [item for item in calls if item.strike >= catalogue.spots[stock]] or calls[-1:]
    written = [calls[i] for i in rng.choice(len(calls), min(3, len(calls)), replace=False).tolist()]
    contracts = [_size(rng, 5.0 * scale) for _ in written]
    held = sum(count * item.multiplier for count, item in zip(contracts, written, strict=True))
    short = [Leg(SEOCH, item.instrument, -count) for count, item in zip(contracts, written, strict=True)]
    return [*short, Leg(HKSCC, stock, held)]


def _retail_clients(rng: np.random.Generator, catalogue: Catalogue, scale: float) -> list[Leg]:
    """Return what many clients hold together: shares, mini futures both ways, options bought and written."""
    book = [
        Leg(HKSCC, code, _shares_for(catalogue, code, _size(rng, 1.8e5 * scale)))
        for code in _some_shares(rng, catalogue, 12)
    ]
    minis = [code for product in MINIS.values() for code in catalogue.futures[product][:2]]
    book += [Leg(HKCC, code, round(scale * rng.normal(1.0, 5.0))) for code in minis]
    every = catalogue.stock_options
    chosen = rng.choice(len(every), min(OPTION_LEGS, len(every)), replace=False).tolist()
    return [*book, *(Leg(SEOCH, every[i], round(scale * rng.normal(1.0, 8.0))) for i in chosen)]


def _directional(rng: np.random.Generator, catalogue: Catalogue, scale: float) -> list[Leg]:
    """Return futures and shares one way, with index options bought against a turn."""
    side = 1 if rng.random() < EVEN else -1
    index = MARKET_INDEX if rng.random() < EVEN else CHINA_INDEX
    product = index if rng.random() < EVEN else MINIS[index]
    contracts = side * _size(rng, scale)
    hedges = [
        item for item in catalogue.options[index] if item.delta * side < 0 and abs(item.delta) < FAR_DELTA
    ]
    book = [Leg(HKCC, catalogue.futures[product][0], contracts)]
    book += [Leg(HKCC, item.instrument, abs(contracts) // 2) for item in hedges[:1]]
    shares = _some_shares(rng, catalogue, int(rng.integers(1, 6)))
    worth = [side * _size(rng, 2.4e5 * scale) for _ in shares]
    return [
        *book,
        *(Leg(HKSCC, code, _shares_for(catalogue, code, w)) for code, w in zip(shares, worth, strict=True)),
    ]


DESKS: Final[Mapping[str, Desk]] = {
    "arbitrage": Desk("house", "net", 0.9, (HKSCC, HKCC), _index_arbitrage),
    "maker": Desk("market-maker", "net", 0.9, (HKSCC, HKCC, SEOCH), _market_maker),
    "covered": Desk("individual", "net", 0.7, (HKSCC, SEOCH), _covered_writer),
    "clients": Desk("omnibus", "gross", 0.0, (), _retail_clients),
    "directional": Desk("individual", "net", 0.7, (), _directional),
    "basket": Desk("house", "net", 0.9, (HKSCC, HKCC), _basket_arbitrage),
    "dispersion": Desk("house", "net", 0.9, (HKSCC, HKCC, SEOCH), _dispersion),
}
"""Kinds of desks; of those that need no house, a book has what its participant can clear."""

FIRST_KINDS: Final = 5
TAIL: Final = ("directional", "covered", "directional", "clients", "directional", "covered", "directional")
SCHEDULE: Final = (*tuple(DESKS)[:FIRST_KINDS], "arbitrage", "basket", "dispersion", *TAIL * 8)
"""Kinds of a participant's desks one after the other: the first few are of every kind, most of many are clients'."""


def _delta(series: tuple[OptionSeries, ...] | list[OptionSeries], quantities: list[int]) -> float:
    """Return the delta of options in units of their underlying."""
    return sum(q * item.multiplier * item.delta for item, q in zip(series, quantities, strict=True))


def _arbitraged_index(rng: np.random.Generator) -> str:
    return MARKET_INDEX if rng.random() < MARKET_SHARE else CHINA_INDEX


def _side(rng: np.random.Generator) -> int:
    """Return +1 for the cash side bought, which is the usual way round, or −1."""
    return -1 if rng.random() < REVERSE_SHARE else 1


def _near_future(rng: np.random.Generator, catalogue: Catalogue, product: str) -> str:
    futures = catalogue.futures[product]
    return futures[int(rng.integers(0, min(2, len(futures))))]


def _some_shares(rng: np.random.Generator, catalogue: Catalogue, count: int) -> list[str]:
    chosen = rng.choice(len(catalogue.shares), min(count, len(catalogue.shares)), replace=False)
    return [catalogue.shares[i] for i in chosen.tolist()]


def _shares_for(catalogue: Catalogue, code: str, worth: float) -> float:
    """Return the whole lots that an amount of HKD buys, or sells if it is below 0."""
    return _lots(worth / catalogue.spots[code], STOCK_LOT)


def _size(rng: np.random.Generator, median: float) -> int:
    """Return a log-normal size around a median, at least 1."""
    return max(round(median * math.exp(rng.normal(0.0, SPREAD))), 1)


def _lots(units: float, lot: int) -> float:
    return round(units / lot) * float(lot)
