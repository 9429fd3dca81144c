"""SPAN margin as a careful analyst would write it with NumPy: one account at a time.

Independent of the package's models: it shares the rules and nothing else. For each account it goes through
its combined commodities: scan by a matrix product, deltas by month, calendar spread, delivery charge,
credits between commodities, short option minimum and option value. It knows what the synthetic market has:
one tier and one calendar spread in each commodity, and delta-based credits with one leg on each side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from crossmargin.models.span.parameters import SpanParameters

__all__ = ["Market", "account_margin", "make_market"]

NUDGE = 1 + 2.0**-50


@dataclass(frozen=True, kw_only=True)
class Commodity:
    """One combined commodity: its months, ascending, and its charges."""

    currency: str
    month_count: int
    calendar_charge: float
    in_spreads: np.ndarray
    outright: np.ndarray
    has_delivery: bool
    factor: float


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A credit between two commodities by number: ratio of each, and the share of price risk."""

    commodities: tuple[int, int]
    ratios: tuple[float, float]
    rate: float


@dataclass(frozen=True, kw_only=True)
class Market:
    """Risk parameters as an analyst would hold them: arrays by series, a list of commodities, spreads in order."""

    losses: np.ndarray
    commodity: np.ndarray
    month: np.ndarray
    delta: np.ndarray
    minimum: np.ndarray
    value: np.ndarray
    paired: np.ndarray
    commodities: list[Commodity]
    spreads: list[Spread]


def make_market(parameters: SpanParameters) -> Market:
    """Return the parameters in that form; made once, before the clock starts."""
    series = parameters.series
    table = parameters.commodities.to_dicts()
    number = {row["commodity"]: i for i, row in enumerate(table)}
    owner = np.array([number[code] for code in series["commodity"]])
    delta_months = np.array(series["delta_month"].to_list())
    months = [np.unique(delta_months[owner == i]) for i in range(len(table))]
    slot = np.empty(len(series), np.int64)
    for i, listed in enumerate(months):
        slot[owner == i] = np.searchsorted(listed, delta_months[owner == i])
    charges = dict(parameters.intra_spreads.select("commodity", "charge").iter_rows())
    scaling = series["delta_scaling"].to_numpy()
    is_option = series["right"].to_numpy() != ""
    paid = is_option & (series["option_style"].to_numpy() == "premium")
    minimum = np.array([row["short_option_minimum"] for row in table])[owner]
    commodities = []
    for i, row in enumerate(table):
        delivery = np.zeros((2, len(months[i])))
        for month, *rates in (
            parameters.spot_charges.filter(commodity=row["commodity"])
            .select("month", "in_spreads", "outright")
            .iter_rows()
        ):
            delivery[:, np.searchsorted(months[i], month)] = rates
        commodities.append(
            Commodity(
                currency=row["currency"],
                month_count=len(months[i]),
                calendar_charge=charges[row["commodity"]],
                in_spreads=delivery[0],
                outright=delivery[1],
                has_delivery=bool(delivery.any()),
                factor=row["adjustment_member"],
            )
        )
    spreads = []
    for spread in parameters.inter_spreads.sort("priority").iter_rows(named=True):
        legs = parameters.inter_legs.filter(spread=spread["spread"]).sort("side").to_dicts()
        pair = tuple(number[leg["commodity"]] for leg in legs)
        spreads.append(
            Spread(commodities=pair, ratios=tuple(leg["ratio"] for leg in legs), rate=spread["rate"])
        )
    return Market(
        losses=parameters.losses,
        commodity=owner,
        month=slot,
        delta=series["composite_delta"].to_numpy() * scaling,
        minimum=np.where(is_option, minimum * scaling, 0.0),
        value=np.where(paid, (series["price"] * series["contract_size"]).to_numpy(), 0.0),
        paired=parameters.scan_points.sort("scenario")["paired"].to_numpy() - 1,
        commodities=commodities,
        spreads=spreads,
    )


def take(left: np.ndarray, sign: float, amount: float) -> None:
    """Take deltas of one sign away, the nearest month first."""
    there = np.maximum(sign * left, 0.0)
    before = np.cumsum(there) - there
    left -= sign * np.clip(amount - before, 0.0, there)


def calendar_spreads(left: np.ndarray) -> float:
    """Pair long with short deltas of different months; return how many pairs."""
    count = min(left[left > 0].sum(), -left[left < 0].sum())
    if count > 0:
        take(left, 1.0, count)
        take(left, -1.0, count)
    return count


def weighted_price_risk(sums: np.ndarray, deltas: np.ndarray, paired: np.ndarray) -> float:
    """Return the price risk of one delta."""
    net = abs(deltas.sum())
    if net == 0:
        return 0.0
    active = sums.argmax()
    if sums[active] <= 0:
        return max(-sums[0], 0.0) / net
    return max((sums[active] + sums[paired[active]]) / 2 - (sums[0] + sums[1]) / 2, 0.0) / net


def inter_credits(
    market: Market,
    sums: dict[int, np.ndarray],
    deltas: dict[int, np.ndarray],
    left: dict[int, np.ndarray],
) -> dict[int, float]:
    """Form the credits between commodities in order; return what each commodity earns."""
    credit = dict.fromkeys(sums, 0.0)
    for spread in market.spreads:
        one, other = spread.commodities
        if one not in sums or other not in sums:
            continue
        nets = left[one].sum(), left[other].sum()
        for direction in (1.0, -1.0):
            sides = (direction, -direction)
            count = min(
                max(net * side, 0.0) / ratio
                for net, side, ratio in zip(nets, sides, spread.ratios, strict=True)
            )
            if count > 0:
                for code, side, ratio in zip(spread.commodities, sides, spread.ratios, strict=True):
                    risk = weighted_price_risk(sums[code], deltas[code], market.paired)
                    credit[code] += risk * count * ratio * spread.rate
                    take(left[code], side, count * ratio)
    return credit


def account_margin(rows: np.ndarray, quantities: np.ndarray, market: Market) -> dict[str, int]:
    """Return the requirement of one account by currency, in cents.

    Parameters
    ----------
    rows : ndarray of int
        Series of each position, each once.
    quantities : ndarray of float
        Contracts, + long, − short.
    """
    codes = market.commodity[rows]
    sums, deltas, left, charges, minimum, value = {}, {}, {}, {}, {}, {}
    for code in np.unique(codes).tolist():
        mine = codes == code
        held, contracts = rows[mine], quantities[mine]
        commodity = market.commodities[code]
        sums[code] = contracts @ market.losses[held]
        deltas[code] = np.bincount(
            market.month[held], contracts * market.delta[held], minlength=commodity.month_count
        )
        left[code] = deltas[code].copy()
        charges[code] = max(sums[code].max(), 0.0)
        charges[code] += calendar_spreads(left[code]) * commodity.calendar_charge
        if commodity.has_delivery:
            outright = np.abs(left[code])
            spread = np.abs(deltas[code]) - outright
            charges[code] += spread @ commodity.in_spreads + outright @ commodity.outright
        minimum[code] = np.maximum(-contracts, 0.0) @ market.minimum[held]
        value[code] = contracts @ market.value[held]
    credit = inter_credits(market, sums, deltas, left)
    totals: dict[str, int] = {}
    for code, charge in charges.items():
        commodity = market.commodities[code]
        risk = max(charge - min(credit[code], charge), minimum[code]) * commodity.factor
        totals[commodity.currency] = totals.get(commodity.currency, 0) + cents(risk - value[code])
    return {currency: max(total, 0) for currency, total in totals.items()}


def cents(amount: float) -> int:
    """Round to the cent, a half away from zero."""
    whole = int(abs(amount) * 100 * NUDGE + 0.5)
    return whole if amount >= 0 else -whole
