"""Spreads formed from deltas, in order: within a combined commodity, and between several.

A portfolio is one combined commodity of one account. Its deltas stand by month ("slots"), side by side
in one flat array: portfolio p has ``slot_starts[p]`` up to ``slot_starts[p + 1]``. A spread takes deltas
away, the nearest month first, and what is left stays for the spreads behind it.

The small steps are inlined before compilation: handed to a function, every array of a tuple would be counted
as in use and as free again, which two threads do on the same cache line. For the same reason nothing in them
can fail: no room is allocated and no slice assigned.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numba import njit

from crossmargin.kernels.span_scan import add_losses, price_risk, scan_risk

__all__ = ["Deltas", "InterSpreads", "IntraSpreads", "Legs", "Risks", "inter_credits", "intra_charges"]

CAPPED, SCAN_RANGE = 1, 2
FLAT, SCANNING = 1, 2


class Deltas(NamedTuple):
    """Deltas by month of many portfolios.

    Parameters
    ----------
    commodity : ndarray of int64, shape (portfolios,)
        Combined commodity of each portfolio.
    slot_starts : ndarray of int64, shape (portfolios + 1,)
        Slots of each portfolio: all months of its commodity, ascending.
    whole : ndarray of float64, shape (slots,)
        Deltas before any spread.
    left : ndarray of float64, shape (slots,)
        Deltas that no spread has taken; changed in place.
    """

    commodity: Int64[np.ndarray, " portfolios"]
    slot_starts: Int64[np.ndarray, " portfolios+1"]
    whole: Float64[np.ndarray, " slots"]
    left: Float64[np.ndarray, " slots"]


class Legs(NamedTuple):
    """Legs of many spreads, spread after spread.

    Parameters
    ----------
    starts : ndarray of int64, shape (spreads + 1,)
        Legs of each spread.
    commodity : ndarray of int64, shape (legs,)
        Combined commodity.
    low, high : ndarray of int64, shape (legs,)
        Slots from and up to, counted from the commodity's first; the whole commodity has −1 as ``low``.
    ratio, need : ndarray of float64, shape (legs,)
        Deltas of one spread, and those of all legs of the spread on the same slots and side together.
    side : ndarray of float64, shape (legs,)
        +1 for side A, −1 for side B.
    rate : ndarray of float64, shape (legs,)
        Credit rate of the leg.
    required : ndarray of bool, shape (legs,)
        Whether there is no spread without it.
    """

    starts: Int64[np.ndarray, " spreads+1"]
    commodity: Int64[np.ndarray, " legs"]
    low: Int64[np.ndarray, " legs"]
    high: Int64[np.ndarray, " legs"]
    ratio: Float64[np.ndarray, " legs"]
    need: Float64[np.ndarray, " legs"]
    side: Float64[np.ndarray, " legs"]
    rate: Float64[np.ndarray, " legs"]
    required: Bool[np.ndarray, " legs"]


class InterSpreads(NamedTuple):
    """Spreads between combined commodities, in the order in which they are formed.

    Parameters
    ----------
    method : ndarray of int64, shape (spreads,)
        0 delta-based on weighted price risk, 1 delta-based for a flat amount, 2 scanning-based.
    rate : ndarray of float64, shape (spreads,)
        Amount of a flat credit for one spread, or share of a gain that counts in a scanning-based one.
    minimum_legs : ndarray of int64, shape (spreads,)
        Legs that must be there.
    """

    method: Int64[np.ndarray, " spreads"]
    rate: Float64[np.ndarray, " spreads"]
    minimum_legs: Int64[np.ndarray, " spreads"]


class IntraSpreads(NamedTuple):
    """Spreads within combined commodities.

    Parameters
    ----------
    starts : ndarray of int64, shape (commodities + 1,)
        Spreads of each commodity, in the order in which they are formed.
    both_sides : ndarray of bool, shape (commodities,)
        Whether every one of them has legs on both sides, so that one-sided deltas form none.
    charges : ndarray of float64, shape (spreads,)
        Charge for one spread.
    """

    starts: Int64[np.ndarray, " commodities+1"]
    both_sides: Bool[np.ndarray, " commodities"]
    charges: Float64[np.ndarray, " spreads"]


class Risks(NamedTuple):
    """What a credit is a share of.

    Parameters
    ----------
    sums : ndarray of float64, shape (portfolios, 16)
        Scan sums, loss-positive.
    slot_sums : ndarray of float64, shape (slots, 16), or (0, 16)
        The same by month; needed where a leg names a tier.
    paired : ndarray of int64, shape (16,)
        Paired scenario of each, from 0.
    method : ndarray of int64, shape (commodities,)
        Weighted price risk: 0 as it is, 1 capped at the scan range, 2 the scan range.
    scan_range : ndarray of float64, shape (commodities,)
        Money for one delta.
    """

    sums: Float64[np.ndarray, "portfolios 16"]
    slot_sums: Float64[np.ndarray, "slots 16"]
    paired: Int64[np.ndarray, " 16"]
    method: Int64[np.ndarray, " commodities"]
    scan_range: Float64[np.ndarray, " commodities"]


class Room(NamedTuple):
    """Room for the legs of one spread.

    Parameters
    ----------
    held : ndarray of int64, shape (most_legs,)
        Portfolio of each leg, −1 where it is not held.
    earned : ndarray of float64, shape (most_legs,)
        What each leg earns.
    sums : ndarray of float64, shape (16,)
        Scan sums at hand.
    """

    held: Int64[np.ndarray, " most_legs"]
    earned: Float64[np.ndarray, " most_legs"]
    sums: Float64[np.ndarray, " 16"]


@njit(cache=True, error_model="numpy", inline="always")
def _take(left: Float64[np.ndarray, " slots"], span: tuple[int, int], sign: float, amount: float) -> None:
    """Take deltas of one sign away, the nearest slots first."""
    for slot in range(span[0], span[1]):
        taken = min(max(left[slot] * sign, 0.0), amount)
        left[slot] -= sign * taken
        amount -= taken


@njit(cache=True, error_model="numpy", inline="always")
def _one_sided(left: Float64[np.ndarray, " slots"], span: tuple[int, int], sign: float) -> float:
    """Sum the deltas of one sign."""
    total = 0.0
    for slot in range(span[0], span[1]):
        total += max(left[slot] * sign, 0.0)
    return total


@njit(cache=True, error_model="numpy", inline="always")
def _net(deltas: Float64[np.ndarray, " slots"], span: tuple[int, int]) -> float:
    total = 0.0
    for slot in range(span[0], span[1]):
        total += deltas[slot]
    return total


@njit(cache=True, error_model="numpy", inline="always")
def _span(deltas: Deltas, legs: Legs, leg: int, portfolio: int) -> tuple[int, int]:
    """Return the slots of a leg in a portfolio."""
    first, low = deltas.slot_starts[portfolio], legs.low[leg]
    last = deltas.slot_starts[portfolio + 1] if low < 0 else first + legs.high[leg]
    return first + max(low, 0), last


@njit(cache=True, error_model="numpy", inline="always")
def _form_intra(deltas: Deltas, legs: Legs, spread: int, portfolio: int, direction: float) -> float:
    """Form as many spreads as the deltas allow, side A in ``direction``; return how many."""
    count = np.inf
    for leg in range(legs.starts[spread], legs.starts[spread + 1]):
        span = _span(deltas, legs, leg, portfolio)
        count = min(count, _one_sided(deltas.left, span, legs.side[leg] * direction) / legs.need[leg])
    count = count if 0 < count < np.inf else 0.0
    if count > 0:
        for leg in range(legs.starts[spread], legs.starts[spread + 1]):
            span = _span(deltas, legs, leg, portfolio)
            _take(deltas.left, span, legs.side[leg] * direction, count * legs.ratio[leg])
    return count


@njit(cache=True, error_model="numpy", inline="always")
def _two_sided(left: Float64[np.ndarray, " slots"], first: int, last: int) -> bool:
    """Tell whether there are both long and short deltas left."""
    low, high = 0.0, 0.0
    for slot in range(first, last):
        low = min(low, left[slot])
        high = max(high, left[slot])
    return low < 0 < high


@njit(cache=True, error_model="numpy", inline="always")
def _form_all_intra(
    deltas: Deltas,
    legs: Legs,
    portfolio: int,
    first: int,
    charges: Float64[np.ndarray, " spreads"],
    counts: Float64[np.ndarray, " formed_or_0"],
) -> float:
    """Form the spreads of one portfolio, numbered from ``first``; fill how many and return what they cost."""
    total = 0.0
    for i in range(counts.size):
        formed = _form_intra(deltas, legs, first + i, portfolio, 1.0)
        formed += _form_intra(deltas, legs, first + i, portfolio, -1.0)
        counts[i] = formed
        total += formed * charges[first + i]
    return total


@njit(cache=True, error_model="numpy")
def intra_charges(
    deltas: Deltas,
    legs: Legs,
    intra: IntraSpreads,
    count_starts: Int64[np.ndarray, " portfolios+1"],
    counts: Float64[np.ndarray, " formed"],
    charge: Float64[np.ndarray, " portfolios"],
) -> None:
    """Form the spreads of each portfolio in order.

    Parameters
    ----------
    deltas : Deltas
        ``left`` is changed to what no spread took.
    legs, intra
        See the classes.
    count_starts, counts
        Filled: spreads formed by portfolio, in the order of its commodity's spreads.
    charge : ndarray of float64, shape (portfolios,)
        Filled: what they cost.
    """
    commodities, slot_starts, left = deltas.commodity, deltas.slot_starts, deltas.left
    starts, both_sides, charges = intra.starts, intra.both_sides, intra.charges
    for portfolio in range(commodities.size):
        charge[portfolio] = 0.0
        commodity = commodities[portfolio]
        own = counts[count_starts[portfolio] : count_starts[portfolio + 1]]
        own[:] = 0.0
        if not both_sides[commodity] or _two_sided(left, slot_starts[portfolio], slot_starts[portfolio + 1]):
            charge[portfolio] = _form_all_intra(deltas, legs, portfolio, starts[commodity], charges, own)


@njit(cache=True, error_model="numpy", inline="always")
def _formable(
    legs: Legs,
    spread: int,
    minimum: int,
    place: Int64[np.ndarray, " commodities"],
    used: Bool[np.ndarray, " portfolios"],
    held: Int64[np.ndarray, " most_legs"],
) -> int:
    """Fill the portfolio of each leg, −1 where it is not held; return how many are, 0 where not enough."""
    first, present, complete = legs.starts[spread], 0, True
    for leg in range(first, legs.starts[spread + 1]):
        portfolio = place[legs.commodity[leg]]
        if portfolio >= 0 and not used[portfolio]:
            held[leg - first] = portfolio
            present += 1
        else:
            held[leg - first] = -1
            complete = complete and not legs.required[leg]
    return present if complete and present >= minimum else 0


@njit(cache=True, error_model="numpy", inline="always")
def _scanning_saving(
    held: Int64[np.ndarray, " most_legs"],
    size: int,
    all_sums: Float64[np.ndarray, "portfolios 16"],
    rate: float,
    together: Float64[np.ndarray, " 16"],
) -> tuple[float, float]:
    """Return scan risk alone less together, and alone: together, losses count whole and gains at the rate."""
    alone = 0.0
    for scenario in range(16):
        together[scenario] = 0.0
    for i in range(size):
        if held[i] >= 0:
            sums = all_sums[held[i]]
            alone += scan_risk(sums)
            for scenario in range(16):
                loss = sums[scenario]
                together[scenario] += loss if loss > 0 else rate * loss
    return alone - scan_risk(together), alone


@njit(cache=True, error_model="numpy", inline="always")
def _weighted_price_risk(
    risks: Risks, deltas: Deltas, legs: Legs, leg: int, portfolio: int, sums: Float64[np.ndarray, " 16"]
) -> float:
    """Return the price risk of a leg's deltas for one delta; never negative. ``sums`` is room for its sums."""
    commodity = legs.commodity[leg]
    span, scan_range, method = _span(deltas, legs, leg, portfolio), risks.scan_range[commodity], risks.method
    delta = abs(_net(deltas.whole, span))
    for scenario in range(16):
        sums[scenario] = risks.sums[portfolio, scenario] if legs.low[leg] < 0 else 0.0
    if legs.low[leg] >= 0:
        for slot in range(span[0], span[1]):
            add_losses(sums, 1.0, risks.slot_sums[slot])
    risk = max(price_risk(sums, risks.paired) / delta, 0.0) if delta > 0 else 0.0
    risk = min(risk, scan_range) if method[commodity] == CAPPED else risk
    return scan_range if method[commodity] == SCAN_RANGE else risk


@njit(cache=True, error_model="numpy", inline="always")
def _inter_count(
    deltas: Deltas, legs: Legs, spread: int, held: Int64[np.ndarray, " most_legs"], direction: float
) -> float:
    """Return how many spreads the net deltas allow, side A in ``direction``."""
    count, first = np.inf, legs.starts[spread]
    for leg in range(first, legs.starts[spread + 1]):
        portfolio = held[leg - first]
        if portfolio >= 0:
            span = _span(deltas, legs, leg, portfolio)
            there = max(_net(deltas.left, span) * legs.side[leg] * direction, 0.0)
            count = min(count, there / legs.need[leg])
    return count if count < np.inf else 0.0


@njit(cache=True, error_model="numpy", inline="always")
def _give_scanning(
    deltas: Deltas,
    risks: Risks,
    rate: float,
    size: int,
    room: Room,
    used: Bool[np.ndarray, " portfolios"],
) -> float:
    """Fill what each of the legs earns from a scanning-based spread; return 1 where it saves anything."""
    held, earned = room.held, room.earned
    saved, alone = _scanning_saving(held, size, risks.sums, rate, room.sums)
    for i in range(size):
        if held[i] >= 0 and saved > 0:
            earned[i] = saved * scan_risk(risks.sums[held[i]]) / alone
            used[held[i]] = True
            for slot in range(deltas.slot_starts[held[i]], deltas.slot_starts[held[i] + 1]):
                deltas.left[slot] = 0.0
    return 1.0 if saved > 0 else 0.0


@njit(cache=True, error_model="numpy", inline="always")
def _give_delta(
    deltas: Deltas, legs: Legs, risks: Risks, flat: float, spread: int, present: int, room: Room
) -> float:
    """Fill what each leg earns from a delta-based spread; return how many were formed. ``flat`` < 0: none."""
    formed, first, held, earned = 0.0, legs.starts[spread], room.held, room.earned
    for turned in range(2):
        direction = 1.0 - 2.0 * turned
        count = _inter_count(deltas, legs, spread, held, direction)
        if count > 0:
            formed += count
            for leg in range(first, legs.starts[spread + 1]):
                portfolio = held[leg - first]
                if portfolio >= 0:
                    taken = count * legs.ratio[leg]
                    if flat >= 0:
                        earned[leg - first] += count * flat / present
                    else:
                        risk = _weighted_price_risk(risks, deltas, legs, leg, portfolio, room.sums)
                        earned[leg - first] += risk * taken * legs.rate[leg]
                    span = _span(deltas, legs, leg, portfolio)
                    _take(deltas.left, span, legs.side[leg] * direction, taken)
    return formed


@njit(cache=True, error_model="numpy", inline="always")
def _form_all_inter(
    deltas: Deltas,
    legs: Legs,
    spreads: InterSpreads,
    risks: Risks,
    chosen: tuple[int, int],
    place: Int64[np.ndarray, " commodities"],
    used: Bool[np.ndarray, " portfolios"],
    room: Room,
    counts: Float64[np.ndarray, " spreads_or_0"],
    leg_credits: Float64[np.ndarray, " legs_or_0"],
    credit: Float64[np.ndarray, " portfolios"],
) -> None:
    """Form the chosen spreads of one account, whose portfolio in each commodity ``place`` gives."""
    held, earned = room.held, room.earned
    for spread in range(chosen[0], chosen[1]):
        present = _formable(legs, spread, spreads.minimum_legs[spread], place, used, held)
        if present:
            first, rate = legs.starts[spread], spreads.rate[spread]
            size = legs.starts[spread + 1] - first
            for i in range(size):
                earned[i] = 0.0
            if spreads.method[spread] == SCANNING:
                formed = _give_scanning(deltas, risks, rate, size, room, used)
            else:
                flat = rate if spreads.method[spread] == FLAT else -1.0
                formed = _give_delta(deltas, legs, risks, flat, spread, present, room)
            for i in range(size):
                if held[i] >= 0:
                    credit[held[i]] += earned[i]
                if leg_credits.size:
                    leg_credits[first + i] = earned[i]
            if counts.size:
                counts[spread] = formed


@njit(cache=True, error_model="numpy")
def inter_credits(
    account_starts: Int64[np.ndarray, " accounts+1"],
    deltas: Deltas,
    legs: Legs,
    spreads: InterSpreads,
    risks: Risks,
    chosen: tuple[int, int],
    used: Bool[np.ndarray, " portfolios"],
    counts: Float64[np.ndarray, "accounts spreads_or_0"],
    leg_credits: Float64[np.ndarray, "accounts legs_or_0"],
    credit: Float64[np.ndarray, " portfolios"],
) -> None:
    """Form the spreads between combined commodities of each account in order.

    Parameters
    ----------
    account_starts : ndarray of int64, shape (accounts + 1,)
        Portfolios of each account.
    deltas : Deltas
        ``left`` is changed to what no spread took.
    legs, spreads, risks
        See the classes.
    chosen : tuple of int
        Spreads from and up to.
    used : ndarray of bool, shape (portfolios,)
        Changed: portfolios that a scanning-based spread has taken whole.
    counts, leg_credits : ndarray of float64
        Filled where they have columns: spreads formed, and the credit of each leg.
    credit : ndarray of float64, shape (portfolios,)
        Changed: credits are added to it, positive.
    """
    commodities = deltas.commodity
    place = np.full(risks.method.size, -1, np.int64)
    linked = np.zeros(risks.method.size, np.bool_)
    for leg in range(legs.starts[chosen[0]], legs.starts[chosen[1]]):
        linked[legs.commodity[leg]] = True
    room = Room(np.empty(legs.commodity.size, np.int64), np.empty(legs.commodity.size), np.empty(16))
    for account in range(account_starts.size - 1):
        begin, end, there = account_starts[account], account_starts[account + 1], 0
        for portfolio in range(begin, end):
            if linked[commodities[portfolio]]:
                place[commodities[portfolio]] = portfolio
                there += 1
        if there:
            own, earned = counts[account], leg_credits[account]
            _form_all_inter(deltas, legs, spreads, risks, chosen, place, used, room, own, earned, credit)
            for portfolio in range(begin, end):
                place[commodities[portfolio]] = -1
