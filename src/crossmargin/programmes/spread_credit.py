"""Spread credit: matched parts of two houses' margins pay a fixed share, whatever the scenarios say.

The stand-alone margin of the matched part of a leg is the leg's own margin times matched exposure ÷ gross
exposure of the leg. Gross exposure takes every line at its absolute value, an option at no less than the value
of its underlying; so parts never add up to more than the leg's margin, and an option's margin that does not
come from delta is not credited to a future's match.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int64

from crossmargin.core.amounts import exact_decimals
from crossmargin.core.proportions import pro_rata
from crossmargin.core.rounding import to_minor, toward_zero
from crossmargin.errors import BadRecord, InputError
from crossmargin.programmes.limits import BINDING, limited
from crossmargin.programmes.look_through import DERIVATIVE, PAIRS, SMALLEST_MATCH
from crossmargin.programmes.outcome import Outcome

if TYPE_CHECKING:
    from crossmargin.programmes.books import Books
    from crossmargin.programmes.look_through import LookThrough, Matches
    from crossmargin.programmes.programme import Matching, Saving

__all__ = ["SpreadCredit", "spread_credit"]

BASKET, FUNDS_BASKET, FUNDS = range(len(PAIRS))


@dataclass(frozen=True, kw_only=True, eq=False)
class SpreadCredit:
    """What matched legs save.

    Parameters
    ----------
    outcome : Outcome
        Requirements by account and house.
    matches : DataFrame
        A row a match: ``account`` (its number), ``underlying``, ``pair`` in words, ``expiry`` ("nearest",
        "later" or empty), ``house`` (number of the derivatives' house, or of the only one), ``matched``,
        ``charge`` (share of stand-alone margin that the matched parts pay), ``saving`` before limits: the sum
        over rows is up to a cent a house above what the account is granted, since that is rounded down.
    """

    outcome: Outcome
    matches: pl.DataFrame


@dataclass(frozen=True, kw_only=True, eq=False)
class _Parts:
    """Matches of one pair, by entry, expiry and the derivatives' house.

    Parameters
    ----------
    account, root, pair, house : ndarray of int64, shape (parts,)
        Which they are.
    near : ndarray of bool, shape (parts,)
        Of derivatives of the nearest expiry; false where there are none.
    amount : ndarray of float64, shape (parts,)
        Matched exposure, above 0.
    """

    account: Int64[np.ndarray, " parts"]
    root: Int64[np.ndarray, " parts"]
    pair: Int64[np.ndarray, " parts"]
    house: Int64[np.ndarray, " parts"]
    near: Bool[np.ndarray, " parts"]
    amount: Float64[np.ndarray, " parts"]


def spread_credit(
    own: Int64[np.ndarray, "accounts houses"],
    legs: Books,
    look: LookThrough,
    matching: Matching,
    saving: Saving,
) -> SpreadCredit:
    """Let matched parts of legs pay a share of their stand-alone margin, the rest in full.

    Both legs of a match are reduced, each by its matched part. The nearest expiry is matched first. What offsets
    within one house (funds against baskets) is taken out of what can be matched with another house's, and is
    given no credit: that house's own margin has seen it. A leg without margin brings none to the other.

    Parameters
    ----------
    own : ndarray of int64, shape (accounts, houses)
        Stand-alone market risk of each leg, in hundredths of the market's currency, at least 0.
    legs : Books
        Positions; number = account × houses + house.
    look : LookThrough
        Exposures.
    matching : Matching
        Charges and the least coverage of a replica.
    saving : Saving
        Limits, applied to each account's credits.

    Raises
    ------
    InputError
        If shares or funds are held at more than one house.

    Notes
    -----
    NSE Clearing's spread margin in cash and derivatives; the charges of April 2024 are 25% and 35%.
    """
    accounts, houses = own.shape
    assert legs.count == own.size, (legs.count, own.shape)
    cash = _cash_house(legs, look, houses)
    merged = legs.regrouped(np.arange(legs.count) // houses, accounts)
    assert merged.rows.size == legs.rows.size, "an instrument at two houses"
    matched = look.matched(merged, minimum_coverage=matching.minimum_coverage)
    parts = _parts(matched, legs, look, houses, cash)
    charges = _charges(parts, matched.single, matching, cash)
    relief = _relief(own, _rates(own, legs, look), parts, charges, cash)
    found = toward_zero(_by_leg(relief, parts, cash, own.shape)).astype(np.int64)
    joint = own.sum(axis=1) - found.sum(axis=1)
    requirement, binding = limited(own, joint, saving)
    outcome = Outcome(
        own=own,
        reduced=own - pro_rata(own.sum(axis=1) - requirement, found),
        joint=joint,
        binding=np.where(binding == BINDING["joint margin"], BINDING["matched positions"], binding),
        model_savings=np.zeros((accounts, 0)),
        models=(),
    )
    return SpreadCredit(outcome=outcome, matches=_frame(matched, parts, charges, relief.sum(axis=0)))


def _cash_house(legs: Books, look: LookThrough, houses: int) -> int:
    """Return the house at which shares and funds are held; −1 where none are."""
    held = look.kind[legs.rows] != DERIVATIVE
    found = np.unique(legs.book[held] % houses).tolist()
    if len(found) > 1:
        rule = "shares and funds at one house"
        value = ", ".join(str(house) for house in found)
        raise InputError([BadRecord(file="legs", line=0, field="house", value=value, rule=rule)])
    return found[0] if found else -1


def _sides(
    matched: Matches,
    entries: Int64[np.ndarray, " entries"],
    legs: Books,
    look: LookThrough,
    houses: int,
) -> Float64[np.ndarray, "entries expiries houses"]:
    """Return derivatives of some entries by expiry (nearest, later) and house, signed like their sum."""
    own = matched.exposures
    keys = own.book[entries] * len(look.names) + own.root[entries]
    wanted = look.entries_of(legs.book // houses, legs.rows)
    entry = np.searchsorted(keys, wanted)
    found = np.append(keys, -1)[entry] == wanted
    at = np.flatnonzero(found & (look.kind[legs.rows] == DERIVATIVE))
    rows = legs.rows[at]
    slot = (entry[at] * 2 + ~look.near[rows]) * houses + legs.book[at] % houses
    total = np.bincount(slot, legs.quantities[at] * look.unit[rows], entries.size * 2 * houses)
    return total.reshape(-1, 2, houses) * np.sign(own.derivative[entries])[:, None, None]


def _parts(matched: Matches, legs: Books, look: LookThrough, houses: int, cash: int) -> _Parts:
    """Split what each entry has matched by expiry, the nearest first, and by house, pro rata."""
    entries = np.flatnonzero(matched.amounts.any(axis=1))
    amounts, total = matched.amounts[entries], np.abs(matched.exposures.derivative[entries])
    sides = _sides(matched, entries, legs, look, houses)
    nearest = _nearest(amounts, np.clip(sides[:, 0].sum(axis=1), 0.0, total))
    room = np.maximum(sides, 0.0)[:, None]
    share = np.divide(room, room.sum(axis=3, keepdims=True), out=np.zeros_like(room), where=room > 0)
    split = np.stack([nearest, amounts - nearest], axis=2)[:, :, :, None] * share
    split[:, FUNDS_BASKET] = 0.0
    split[:, FUNDS_BASKET, 1, cash] = amounts[:, FUNDS_BASKET]
    entry, pair, later, house = np.nonzero(split >= SMALLEST_MATCH)
    return _Parts(
        account=matched.exposures.book[entries[entry]],
        root=matched.exposures.root[entries[entry]],
        pair=pair,
        house=house,
        near=later == 0,
        amount=split[entry, pair, later, house],
    )


def _nearest(
    amounts: Float64[np.ndarray, "entries pairs"], near: Float64[np.ndarray, " entries"]
) -> Float64[np.ndarray, "entries pairs"]:
    """Return what of each pair's match falls on derivatives of the nearest expiry: as much as there is."""
    nearest = np.zeros_like(amounts)
    nearest[:, BASKET] = np.minimum(amounts[:, BASKET], near)
    nearest[:, FUNDS] = np.minimum(amounts[:, FUNDS], near - nearest[:, BASKET])
    return nearest


def _charges(
    parts: _Parts, single: Bool[np.ndarray, " underlyings"], matching: Matching, cash: int
) -> Float64[np.ndarray, " parts"]:
    """Return the share of its stand-alone margin that each matched part pays; all of it within one house."""
    index = np.where(parts.near, matching.index_charge, matching.far_charge)
    across = np.where(single[parts.root], matching.stock_charge, index)
    return np.where(parts.house == cash, 1.0, across)


def _rates(
    own: Int64[np.ndarray, "accounts houses"], legs: Books, look: LookThrough
) -> Float64[np.ndarray, "accounts houses"]:
    """Return each leg's stand-alone margin for a unit of gross exposure; 0 where it has none."""
    gross = np.bincount(legs.book, np.abs(legs.quantities) * look.whole[legs.rows], legs.count)
    shape = own.shape
    return np.divide(own, gross.reshape(shape), out=np.zeros(shape), where=gross.reshape(shape) > 0)


def _relief(
    own: Int64[np.ndarray, "accounts houses"],
    rates: Float64[np.ndarray, "accounts houses"],
    parts: _Parts,
    charges: Float64[np.ndarray, " parts"],
    cash: int,
) -> Float64[np.ndarray, "2 parts"]:
    """Return what each match takes off the derivatives' leg, and off the cash leg; hundredths."""
    both = (own[parts.account, parts.house] > 0) & (own[parts.account, cash] > 0)
    freed = np.where(both, 1.0 - charges, 0.0) * parts.amount
    return np.stack([freed * rates[parts.account, parts.house], freed * rates[parts.account, cash]])


def _by_leg(
    relief: Float64[np.ndarray, "2 parts"], parts: _Parts, cash: int, shape: tuple[int, int]
) -> Float64[np.ndarray, "accounts houses"]:
    """Add up by account and house."""
    legs = np.concatenate([parts.account * shape[1] + parts.house, parts.account * shape[1] + cash])
    return np.bincount(legs, relief.ravel(), shape[0] * shape[1]).reshape(shape)


def _frame(
    matched: Matches,
    parts: _Parts,
    charges: Float64[np.ndarray, " parts"],
    saved: Float64[np.ndarray, " parts"],
) -> pl.DataFrame:
    expiry = np.where(parts.near, "nearest", np.where(parts.pair == FUNDS_BASKET, "", "later"))
    pairs = zip(parts.root.tolist(), parts.pair.tolist(), strict=True)
    return pl.DataFrame(
        {
            "account": parts.account,
            "underlying": [matched.names[root] for root in parts.root],
            "pair": [matched.reason(*pair) for pair in pairs],
            "expiry": expiry.tolist(),
            "house": parts.house,
            "matched": exact_decimals(to_minor(parts.amount, 2), 2),
            "charge": charges,
            "saving": exact_decimals(to_minor(saved, 0), 2),
        },
        schema_overrides=dict.fromkeys(("underlying", "pair", "expiry"), pl.String),
    )
