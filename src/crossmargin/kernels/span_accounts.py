"""The SPAN calculation of many accounts, each in one pass: scan, spreads, delivery charge, minimum, cents.

Cost: positions × 16 products and additions, a row of losses of 128 bytes a position, and 88 bytes written a
portfolio. Accounts are worked on in blocks of neighbours, whose sums and deltas stay on a desk that fits a
near cache; an array that explains the result is nothing but a desk for all accounts. One thread owns an
account, so that the number of threads changes no bit.

The steps take a block each, not a portfolio: handing a tuple of arrays to a function costs more than the
arithmetic of a small portfolio.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64
from numba import njit, prange

from crossmargin.kernels.rounding import half_away
from crossmargin.kernels.span_scan import add_losses, scan_risk, worst_scenario
from crossmargin.kernels.span_spreads import (
    Deltas,
    InterSpreads,
    IntraSpreads,
    Legs,
    Risks,
    inter_credits,
    intra_charges,
)

__all__ = [
    "BEYOND",
    "COMPONENTS",
    "NET",
    "PER_CONTRACT",
    "PER_SIDE",
    "Commodities",
    "Contracts",
    "Desk",
    "Held",
    "PriceRisks",
    "Rules",
    "explain_accounts",
    "margin_accounts",
]

NET, PER_SIDE, PER_CONTRACT = 0, 1, 2

SCAN, INTRA, SPOT, CREDIT, MINIMUM, RISK, INITIAL, VALUE, LONG_VALUE = range(9)
COMPONENTS = 9
"""Rows of the result: scan risk, intra and spot charge, credit, minimum, risk and initial margin, option values."""

BEYOND = -(2**63)
"""Cents of an amount that 64 bits do not hold."""

SHARES, BLOCK_ACCOUNTS, BLOCK_PORTFOLIOS = 32, 128, 2048
"""Shares of the accounts that threads take, and the most that one block holds unless one account is larger."""

LIMIT = 9.2e18


class Held(NamedTuple):
    """Positions in order: see ``span_portfolios.Ordered``."""

    starts: Int64[np.ndarray, " portfolios+1"]
    series: Int32[np.ndarray, " positions"]
    long: Float64[np.ndarray, " positions"]
    short: Float64[np.ndarray, " positions"]
    commodity: Int64[np.ndarray, " portfolios"]
    account_starts: Int64[np.ndarray, " accounts+1"]


class Contracts(NamedTuple):
    """Numbers of one contract of each series.

    Parameters
    ----------
    losses : ndarray of float64, shape (series, 16)
        Loss-positive, of a long one.
    delta : ndarray of float64, shape (series,)
        Scaled composite delta of a long one.
    slot : ndarray of int64, shape (series,)
        Where it counts, from the first slot of the commodity.
    minimum, value : ndarray of float64, shape (series,)
        Short option minimum and option value.
    counts, is_call : ndarray of bool, shape (series,)
        Whether the option value counts, and whether it is a call.
    """

    losses: Float64[np.ndarray, "series 16"]
    delta: Float64[np.ndarray, " series"]
    slot: Int64[np.ndarray, " series"]
    minimum: Float64[np.ndarray, " series"]
    value: Float64[np.ndarray, " series"]
    counts: Bool[np.ndarray, " series"]
    is_call: Bool[np.ndarray, " series"]


class Commodities(NamedTuple):
    """What holds for each combined commodity.

    Parameters
    ----------
    slot_starts : ndarray of int64, shape (commodities + 1,)
        Slots of each.
    in_spreads, outright : ndarray of float64, shape (slots,)
        Delivery or spot month charges of one delta.
    charged : ndarray of bool, shape (commodities,)
        Whether any of them is above 0.
    larger : ndarray of bool, shape (commodities,)
        Whether the larger of calls' and puts' minimum counts, not their sum.
    adjustment, initial : ndarray of float64, shape (commodities,)
        Factors on the risk margin.
    floored : ndarray of bool, shape (commodities,)
        Whether risk margin less option value is at least 0.
    """

    slot_starts: Int64[np.ndarray, " commodities+1"]
    in_spreads: Float64[np.ndarray, " slots"]
    outright: Float64[np.ndarray, " slots"]
    charged: Bool[np.ndarray, " commodities"]
    larger: Bool[np.ndarray, " commodities"]
    adjustment: Float64[np.ndarray, " commodities"]
    initial: Float64[np.ndarray, " commodities"]
    floored: Bool[np.ndarray, " commodities"]


class PriceRisks(NamedTuple):
    """How the price risk of one delta is weighted: the fixed columns of ``span_spreads.Risks``."""

    paired: Int64[np.ndarray, " 16"]
    method: Int64[np.ndarray, " commodities"]
    scan_range: Float64[np.ndarray, " commodities"]


class Rules(NamedTuple):
    """Choices for all accounts.

    Parameters
    ----------
    basis : int
        ``NET``, or gross ``PER_SIDE`` or ``PER_CONTRACT``; only a net basis forms spreads.
    rounded : bool
        Round each component to a whole unit.
    intra, inter, tiered : bool
        Whether spreads within and between commodities are formed; whether one of the latter names a tier.
    super_spreads : int
        How many of the latter stand before all others.
    """

    basis: int
    rounded: bool
    intra: bool
    inter: bool
    tiered: bool
    super_spreads: int


class Desk(NamedTuple):
    """Room for the portfolios of a block of accounts; rows beyond those of the block say nothing.

    Parameters
    ----------
    slot_starts : ndarray of int64, shape (portfolios + 1,)
        Slots of each portfolio.
    whole, left : ndarray of float64, shape (slots,)
        Deltas before and after spreads; on a gross basis both sides added up.
    sums : ndarray of float64, shape (portfolios, 16)
        Scan sums; on a gross basis longs plus shorts.
    slot_sums : ndarray of float64, shape (slots, 16), or (0, 16)
        The same by month, where a spread names a tier.
    credit : ndarray of float64, shape (portfolios,)
        Of spreads between commodities, positive.
    used : ndarray of bool, shape (portfolios,)
        Whether a scanning-based spread has taken it whole.
    intra_starts, intra_counts
        Spreads formed within each portfolio.
    inter_counts, leg_credits : ndarray of float64, shape (accounts, spreads or 0) and (accounts, legs or 0)
        Spreads formed between portfolios, and what each leg earned.
    """

    slot_starts: Int64[np.ndarray, " portfolios+1"]
    whole: Float64[np.ndarray, " slots"]
    left: Float64[np.ndarray, " slots"]
    sums: Float64[np.ndarray, "portfolios 16"]
    slot_sums: Float64[np.ndarray, "slots_or_0 16"]
    credit: Float64[np.ndarray, " portfolios"]
    used: Bool[np.ndarray, " portfolios"]
    intra_starts: Int64[np.ndarray, " portfolios+1"]
    intra_counts: Float64[np.ndarray, " formed"]
    inter_counts: Float64[np.ndarray, "accounts spreads_or_0"]
    leg_credits: Float64[np.ndarray, "accounts legs_or_0"]


class Results(NamedTuple):
    """What ``margin_accounts`` returns, filled block by block."""

    components: Float64[np.ndarray, "9 portfolios"]
    active: Int64[np.ndarray, " portfolios"]
    cents: Int64[np.ndarray, " portfolios"]


@njit(cache=True)
def _new_desk(
    accounts: int, portfolios: int, sizes: tuple[int, int], tiered: bool, kept: tuple[int, int]
) -> Desk:
    """Return room for so many; ``sizes`` are the most slots and spreads of a portfolio, ``kept`` columns."""
    slots = portfolios * sizes[0]
    return Desk(
        np.zeros(portfolios + 1, np.int64),
        np.empty(slots),
        np.empty(slots),
        np.empty((portfolios, 16)),
        np.empty((slots if tiered else 0, 16)),
        np.empty(portfolios),
        np.empty(portfolios, np.bool_),
        np.zeros(portfolios + 1, np.int64),
        np.empty(portfolios * sizes[1]),
        np.zeros((accounts, kept[0])),
        np.zeros((accounts, kept[1])),
    )


@njit(cache=True)
def _lay_out(
    commodity: Int64[np.ndarray, " portfolios"],
    slot_starts: Int64[np.ndarray, " commodities+1"],
    spread_starts: Int64[np.ndarray, " commodities+1"],
    desk: Desk,
) -> None:
    """Clear the desk and mark where slots and spreads of each portfolio stand."""
    slots, spreads, count = desk.slot_starts, desk.intra_starts, commodity.size
    for portfolio in range(count):
        mine = commodity[portfolio]
        slots[portfolio + 1] = slots[portfolio] + slot_starts[mine + 1] - slot_starts[mine]
        spreads[portfolio + 1] = spreads[portfolio] + spread_starts[mine + 1] - spread_starts[mine]
    desk.whole[: slots[count]] = 0.0
    desk.slot_sums[: slots[count]] = 0.0
    desk.sums[:count], desk.credit[:count], desk.used[:count] = 0.0, 0.0, False
    desk.intra_counts[: spreads[count]] = 0.0


@njit(cache=True, error_model="numpy")
def _scan_net(held: Held, contracts: Contracts, first: int, desk: Desk, results: Results) -> None:
    """Scan the portfolios of a block, netted by series: sums, scan risk, active scenario."""
    starts, rows, long, short = held.starts, held.series, held.long, held.short
    all_sums, all_losses = desk.sums, contracts.losses
    risk, active = results.components[SCAN], results.active
    for portfolio in range(held.commodity.size):
        sums = all_sums[portfolio]
        for i in range(starts[portfolio], starts[portfolio + 1]):
            add_losses(sums, long[i] - short[i], all_losses[rows[i]])
        risk[first + portfolio] = scan_risk(sums)
        active[first + portfolio] = worst_scenario(sums)


@njit(cache=True, error_model="numpy")
def _scan_gross(
    held: Held, contracts: Contracts, basis: int, first: int, desk: Desk, results: Results
) -> None:
    """Do the same where nothing nets: all longs and all shorts at their worst, or every contract by itself."""
    starts, rows, longs, shorts = held.starts, held.series, held.long, held.short
    all_losses, minimum, sums = contracts.losses, contracts.minimum, desk.sums
    risk, active = results.components[SCAN], results.active
    gains, bought, sold = np.zeros(16), np.zeros(16), np.zeros(16)
    for portfolio in range(held.commodity.size):
        bought[:], sold[:], each = 0.0, 0.0, 0.0
        for i in range(starts[portfolio], starts[portfolio + 1]):
            losses, long, short = all_losses[rows[i]], longs[i], shorts[i]
            add_losses(bought, long, losses)
            add_losses(sold, -short, losses)
            gains[:] = 0.0
            add_losses(gains, -1.0, losses)
            short_risk = max(scan_risk(gains), minimum[rows[i]])
            each += long * scan_risk(losses) + short * max(short_risk, 0.0)
        add_losses(sums[portfolio], 1.0, bought)
        add_losses(sums[portfolio], 1.0, sold)
        by_side = scan_risk(bought) + scan_risk(sold)
        risk[first + portfolio] = each if basis == PER_CONTRACT else by_side
        active[first + portfolio] = -1


@njit(cache=True, error_model="numpy")
def _lay_deltas(held: Held, contracts: Contracts, gross: bool, desk: Desk) -> None:
    """Lay the deltas out by month; on a gross basis both sides add up, as nothing nets."""
    starts, rows, long, short = held.starts, held.series, held.long, held.short
    deltas, slots = contracts.delta, contracts.slot
    begin, whole, left = desk.slot_starts, desk.whole, desk.left
    for portfolio in range(held.commodity.size):
        for i in range(starts[portfolio], starts[portfolio + 1]):
            series = rows[i]
            if gross:
                delta = abs((long[i] + short[i]) * deltas[series])
            else:
                delta = (long[i] - short[i]) * deltas[series]
            whole[begin[portfolio] + slots[series]] += delta
    for slot in range(begin[held.commodity.size]):
        left[slot] = whole[slot]


@njit(cache=True, error_model="numpy")
def _lay_losses(held: Held, contracts: Contracts, desk: Desk) -> None:
    """Lay the scan sums out by month, for spreads that name a tier."""
    starts, rows, long, short = held.starts, held.series, held.long, held.short
    slots, losses, begin, slot_sums = contracts.slot, contracts.losses, desk.slot_starts, desk.slot_sums
    for portfolio in range(held.commodity.size):
        for i in range(starts[portfolio], starts[portfolio + 1]):
            slot = begin[portfolio] + slots[rows[i]]
            add_losses(slot_sums[slot], long[i] - short[i], losses[rows[i]])


@njit(cache=True, error_model="numpy")
def _value_options(
    held: Held,
    contracts: Contracts,
    larger: Bool[np.ndarray, " commodities"],
    basis: int,
    first: int,
    components: Float64[np.ndarray, "9 portfolios"],
) -> None:
    """Fill short option minimum, option value that counts, and value of long options.

    Amounts that do not count are added as 0, which costs less than a branch.
    """
    starts, rows, longs, shorts, commodity = held.starts, held.series, held.long, held.short, held.commodity
    minimums, values, counts, is_call = contracts[3:7]
    minimum, value, long_value = components[MINIMUM], components[VALUE], components[LONG_VALUE]
    for portfolio in range(commodity.size):
        calls, puts, counted, owned = 0.0, 0.0, 0.0, 0.0
        for i in range(starts[portfolio], starts[portfolio + 1]):
            series, long, short = rows[i], longs[i], shorts[i]
            net = long - short
            if basis == NET:
                long, short = max(net, 0.0), max(-net, 0.0)
            least = short * minimums[series]
            calls += least if is_call[series] else 0.0
            puts += 0.0 if is_call[series] else least
            counted += net * values[series] if counts[series] else 0.0
            owned += long * values[series] if long > 0 else 0.0
        least = max(calls, puts) if larger[commodity[portfolio]] else calls + puts
        minimum[first + portfolio] = 0.0 if basis == PER_CONTRACT else least
        value[first + portfolio], long_value[first + portfolio] = counted, owned


@njit(cache=True, error_model="numpy")
def _charge_spot(
    commodity: Int64[np.ndarray, " portfolios"],
    commodities: Commodities,
    desk: Desk,
    charge: Float64[np.ndarray, " portfolios"],
) -> None:
    """Charge deltas of delivery months, those in spreads and those left at their own rates."""
    charged, first, in_spreads, outright = commodities[3], commodities[0], commodities[1], commodities[2]
    starts, whole, left = desk.slot_starts, desk.whole, desk.left
    for portfolio in range(commodity.size):
        total, mine = 0.0, commodity[portfolio]
        if charged[mine]:
            for i in range(starts[portfolio + 1] - starts[portfolio]):
                slot = starts[portfolio] + i
                alone = abs(left[slot])
                spread = abs(whole[slot]) - alone
                total += spread * in_spreads[first[mine] + i] + alone * outright[first[mine] + i]
        charge[portfolio] = total


@njit(cache=True, error_model="numpy")
def _cents(amount: float) -> int:
    scaled = amount * 100.0
    return int(half_away(scaled)) if abs(scaled) < LIMIT else BEYOND


@njit(cache=True, error_model="numpy")
def _finish(
    commodity: Int64[np.ndarray, " portfolios"],
    commodities: Commodities,
    rounded: bool,
    first: int,
    earned: Float64[np.ndarray, " portfolios"],
    results: Results,
) -> None:
    """Bring the components together: risk margin, and in cents what it comes to less the option value."""
    components, cents = results.components, results.cents
    adjustment, initial, floored = commodities.adjustment, commodities.initial, commodities.floored
    for i in range(commodity.size):
        portfolio, mine = first + i, commodity[i]
        components[CREDIT, portfolio] = earned[i]
        if rounded:
            for component in (SCAN, INTRA, SPOT, CREDIT, MINIMUM):
                components[component, portfolio] = half_away(components[component, portfolio])
        before = components[SCAN, portfolio] + components[INTRA, portfolio] + components[SPOT, portfolio]
        credit = np.minimum(components[CREDIT, portfolio], before)
        risk = np.maximum(before - credit, components[MINIMUM, portfolio]) * adjustment[mine]
        if rounded:
            risk = half_away(risk)
        components[CREDIT, portfolio], components[RISK, portfolio] = credit, risk
        components[INITIAL, portfolio] = risk * initial[mine]
        amount = risk - components[VALUE, portfolio]
        cents[portfolio] = _cents(np.maximum(amount, 0.0) if floored[mine] else amount)


@njit(cache=True, error_model="numpy")
def _form_spreads(
    account_starts: Int64[np.ndarray, " accounts+1"],
    commodity: Int64[np.ndarray, " portfolios"],
    commodities: Commodities,
    intra: IntraSpreads,
    intra_legs: Legs,
    inter: InterSpreads,
    inter_legs: Legs,
    risks: PriceRisks,
    rules: Rules,
    desk: Desk,
    charges: Float64[np.ndarray, "2 portfolios"],
) -> None:
    """Form the spreads of a block in order: super spreads, within commodities, between them; and charge."""
    net = rules.basis == NET
    deltas = Deltas(commodity, desk.slot_starts, desk.whole, desk.left)
    weighted = Risks(desk.sums, desk.slot_sums, risks.paired, risks.method, risks.scan_range)
    kept, count = (desk.used, desk.inter_counts, desk.leg_credits, desk.credit), inter.method.size
    if net and rules.inter and rules.super_spreads:
        chosen = (0, rules.super_spreads)
        inter_credits(account_starts, deltas, inter_legs, inter, weighted, chosen, *kept)
    charges[0] = 0.0
    if net and rules.intra:
        intra_charges(deltas, intra_legs, intra, desk.intra_starts, desk.intra_counts, charges[0])
    _charge_spot(commodity, commodities, desk, charges[1])
    if net and rules.inter and rules.super_spreads < count:
        chosen = (rules.super_spreads, count)
        inter_credits(account_starts, deltas, inter_legs, inter, weighted, chosen, *kept)


@njit(cache=True, error_model="numpy")
def _margin_block(
    accounts: tuple[int, int],
    held: Held,
    contracts: Contracts,
    commodities: Commodities,
    intra: IntraSpreads,
    intra_legs: Legs,
    inter: InterSpreads,
    inter_legs: Legs,
    risks: PriceRisks,
    rules: Rules,
    desk: Desk,
    results: Results,
) -> None:
    """Margin the accounts from the first up to the second of ``accounts``; see ``margin_accounts``."""
    first, last = held.account_starts[accounts[0]], held.account_starts[accounts[1]]
    account_starts = held.account_starts[accounts[0] : accounts[1] + 1] - first
    commodity, components = held.commodity[first:last], results.components
    block = Held(held.starts[first : last + 1], held.series, held.long, held.short, commodity, account_starts)
    _lay_out(commodity, commodities.slot_starts, intra.starts, desk)
    if rules.basis == NET:
        _scan_net(block, contracts, first, desk, results)
    else:
        _scan_gross(block, contracts, rules.basis, first, desk, results)
    _lay_deltas(block, contracts, rules.basis != NET, desk)
    if rules.tiered:
        _lay_losses(block, contracts, desk)
    _value_options(block, contracts, commodities.larger, rules.basis, first, components)
    charges = components[INTRA : SPOT + 1, first:last]
    spreads = (intra, intra_legs, inter, inter_legs, risks)
    _form_spreads(account_starts, commodity, commodities, *spreads, rules, desk, charges)
    _finish(commodity, commodities, rules.rounded, first, desk.credit, results)


@njit(cache=True)
def _block_end(account_starts: Int64[np.ndarray, " accounts+1"], account: int, last: int) -> int:
    """Return up to which account a block from ``account`` goes."""
    end = account + 1
    limit = account_starts[account] + BLOCK_PORTFOLIOS
    while end < last and end - account < BLOCK_ACCOUNTS and account_starts[end + 1] <= limit:
        end += 1
    return end


@njit(cache=True)
def _largest(starts: Int64[np.ndarray, " n+1"]) -> int:
    largest = 0
    for i in range(starts.size - 1):
        largest = max(largest, starts[i + 1] - starts[i])
    return largest


@njit(cache=True, parallel=True, error_model="numpy")
def _margin_shares(
    held: Held,
    contracts: Contracts,
    commodities: Commodities,
    intra: IntraSpreads,
    intra_legs: Legs,
    inter: InterSpreads,
    inter_legs: Legs,
    risks: PriceRisks,
    rules: Rules,
    results: Results,
) -> None:
    """Fill the results of all accounts, a share of them a thread; see ``margin_accounts``."""
    portfolios, count = held.commodity.size, held.account_starts.size - 1
    room = max(_largest(held.account_starts), min(BLOCK_PORTFOLIOS, portfolios))
    sizes = _largest(commodities.slot_starts), _largest(intra.starts)
    for share in prange(min(SHARES, count)):
        desk = _new_desk(BLOCK_ACCOUNTS, room, sizes, rules.tiered, (0, 0))
        account, last = count * share // min(SHARES, count), count * (share + 1) // min(SHARES, count)
        spreads = (intra, intra_legs, inter, inter_legs, risks)
        while account < last:
            end = _block_end(held.account_starts, account, last)
            block = (account, end)
            _margin_block(block, held, contracts, commodities, *spreads, rules, desk, results)
            account = end


def margin_accounts(
    held: Held,
    contracts: Contracts,
    commodities: Commodities,
    intra: IntraSpreads,
    intra_legs: Legs,
    inter: InterSpreads,
    inter_legs: Legs,
    risks: PriceRisks,
    rules: Rules,
) -> Results:
    """Margin every account.

    The order is SPAN's: scan risk; super spreads; spreads within a commodity; delivery charge; the other
    spreads between commodities; risk margin as the larger of their sum and the short option minimum.

    Parameters
    ----------
    held, contracts, commodities, intra, intra_legs, inter, inter_legs, risks, rules
        See the classes. Money is in the combined commodity's currency.

    Returns
    -------
    components : ndarray of float64, shape (9, portfolios)
        Rows as ``COMPONENTS`` says; credits positive.
    active : ndarray of int64, shape (portfolios,)
        Active scenario from 0; −1 on a gross basis.
    cents : ndarray of int64, shape (portfolios,)
        Risk margin less option value; ``BEYOND`` where 64 bits do not hold it.
    """
    count = held.commodity.size
    # NumPy asks for large pages, numba does not: to touch small ones first costs more than to fill them
    results = Results(np.empty((COMPONENTS, count)), np.empty(count, np.int64), np.empty(count, np.int64))
    spreads = (intra, intra_legs, inter, inter_legs, risks)
    _margin_shares(held, contracts, commodities, *spreads, rules, results)
    return results


@njit(cache=True, error_model="numpy")
def explain_accounts(
    held: Held,
    contracts: Contracts,
    commodities: Commodities,
    intra: IntraSpreads,
    intra_legs: Legs,
    inter: InterSpreads,
    inter_legs: Legs,
    risks: PriceRisks,
    rules: Rules,
) -> Desk:
    """Return the desk on which all accounts were margined as one block; arguments as ``margin_accounts``."""
    count, portfolios = held.account_starts.size - 1, held.commodity.size
    sizes = _largest(commodities.slot_starts), _largest(intra.starts)
    kept = inter.method.size, inter_legs.commodity.size
    desk = _new_desk(count, portfolios, sizes, rules.tiered, kept)
    numbers = np.empty((2, portfolios), np.int64)
    results = Results(np.empty((COMPONENTS, portfolios)), numbers[0], numbers[1])
    spreads = (intra, intra_legs, inter, inter_legs, risks)
    _margin_block((0, count), held, contracts, commodities, *spreads, rules, desk, results)
    return desk
