"""What is margined on a day, before and after a programme: books with their margins, as series of a backtest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float64, Int64

from crossmargin.core.apportionment import apportioned
from crossmargin.models.market import HOUSES
from crossmargin.programmes.books import Books, joined_books
from crossmargin.programmes.eligibility import HOUSE_COUNT

if TYPE_CHECKING:
    from crossmargin.programmes.evaluate import Evaluation

__all__ = ["JOINT", "KINDS", "NONE", "Units", "joint_distribution", "units_of"]

KINDS: Final = ("account", "leg", "rest", "joint account")
"""An account as its house margins it today, at HKSCC a participant's net; a house's leg of a joint account; what a
participant or account keeps outside joint accounts of which a part joined one; a joint account. Of an account on a gross
basis each position by itself: its clients' gains do not pay one another's losses."""

ACCOUNT, LEG, REST, JOINT_ACCOUNT = range(len(KINDS))
JOINT: Final = HOUSE_COUNT
"""Place of "all houses" behind those of ``HOUSES``."""

NONE: Final = -1
"""No margin: the unit is not margined so."""

HKSCC = HOUSES.index("HKSCC")


@dataclass(frozen=True, kw_only=True, eq=False)
class Units:
    """Books with the margins that they have on a day.

    Parameters
    ----------
    kind : ndarray of int64, shape (units,)
        A place in ``KINDS``.
    names : tuple of str
        Unique within kind and house.
    house : ndarray of int64, shape (units,)
        A place in ``HOUSES``, or ``JOINT``.
    books : Books
        What each holds.
    before, after : ndarray of int64, shape (units,)
        Market risk without the programme and with it, hundredths; ``NONE`` where the unit is not margined so: an
        account that joined has none after, what was left outside none before.
    """

    kind: Int64[np.ndarray, " units"]
    names: tuple[str, ...]
    house: Int64[np.ndarray, " units"]
    books: Books
    before: Int64[np.ndarray, " units"]
    after: Int64[np.ndarray, " units"]

    def select(self, at: Int64[np.ndarray, " chosen"]) -> Units:
        """Return some of the units, in the order asked for."""
        return Units(
            kind=self.kind[at],
            names=tuple(self.names[place] for place in at.tolist()),
            house=self.house[at],
            books=self.books.select(at),
            before=self.before[at],
            after=self.after[at],
        )


def units_of(done: Evaluation) -> Units:
    """Return everything that is margined on a day, before a programme or after it; books without a position are none."""
    found = _together([_participants(done), _accounts(done), *_rests(done), _legs(done), _joint(done)])
    held = found.select(np.flatnonzero(np.diff(found.books.starts) > 0))
    if not held.books.gross.any():
        return held
    # a joint account on a gross basis is one account at one house: its leg says all of it
    gross = held.books.gross & (held.kind != JOINT_ACCOUNT)
    return _together(
        [held.select(np.flatnonzero(~held.books.gross)), _apart(done, held.select(np.flatnonzero(gross)))]
    )


def _apart(done: Evaluation, units: Units) -> Units:
    """Return each position of units on a gross basis as a unit, with its part of the margin by what it is margined alone."""
    books, of_position = units.books, units.books.book
    alone = replace(
        books,
        starts=np.arange(books.rows.size + 1),
        gross=np.zeros(books.rows.size, bool),
    )
    house = units.house[of_position]
    weights = np.zeros(house.size, np.int64)
    for mine, model in ((house == HKSCC, "hkscc_var"), (house != HKSCC, "prime")):
        if mine.any():
            weights[mine] = done.houses.market_risk(model, alone.select(np.flatnonzero(mine)))
    instruments = done.houses.snapshot.instruments["instrument"].gather(books.rows).to_list()
    return Units(
        kind=units.kind[of_position],
        names=tuple(
            f"{units.names[at]} {name}" for at, name in zip(of_position.tolist(), instruments, strict=True)
        ),
        house=house,
        books=alone,
        before=_parts(units.before, weights, of_position),
        after=_parts(units.after, weights, of_position),
    )


def _parts(
    margin: Int64[np.ndarray, " units"],
    weights: Int64[np.ndarray, " positions"],
    of_position: Int64[np.ndarray, " positions"],
) -> Int64[np.ndarray, " positions"]:
    """Divide margins among positions, to the cent; what has none has none."""
    parts = apportioned(np.where(margin == NONE, 0, margin), weights, of_position)
    return np.where(margin[of_position] == NONE, NONE, parts)


def _participants(done: Evaluation) -> Units:
    """Return the nets of HKSCC's participants; those of which nothing joined are margined after as before."""
    houses, accounts = done.houses, done.houses.accounts
    risk = houses.hkscc_risk_today
    books = houses.by_participant(accounts.books)
    return _units(ACCOUNT, accounts.participants, HKSCC, books, risk, np.where(_joined(done), NONE, risk))


def _joined(done: Evaluation) -> np.ndarray:
    """Return of which participants something at HKSCC joined."""
    accounts = done.houses.accounts
    members = accounts.at("HKSCC") & (done.joint.of_account >= 0)
    return np.bincount(accounts.participant, members, len(accounts.participants)) > 0


def _accounts(done: Evaluation) -> Units:
    """Return the accounts of HKCC and SEOCH."""
    houses, accounts = done.houses, done.houses.accounts
    at = np.flatnonzero(~accounts.at("HKSCC"))
    risk = houses.account_risk[at]
    after = np.where(done.joint.of_account[at] >= 0, NONE, risk)
    names = accounts.table["account"].gather(at).to_list()
    return _units(ACCOUNT, names, accounts.house[at], accounts.books.select(at), risk, after)


def _rests(done: Evaluation) -> list[Units]:
    """Return what stays outside of that of which a part joined."""
    houses, accounts, joint = done.houses, done.houses.accounts, done.joint
    nets = houses.by_participant(joint.rest)
    nothing = np.full(nets.count, NONE)
    outside = np.where(_joined(done), done.margin.outside, NONE)
    found = [_units(REST, accounts.participants, HKSCC, nets, nothing, outside)]
    found[0] = found[0].select(np.flatnonzero(_joined(done)))
    at = np.flatnonzero(~accounts.at("HKSCC") & (joint.of_account >= 0) & (np.diff(joint.rest.starts) > 0))
    if at.size:
        rest = joint.rest.select(at)
        names = accounts.table["account"].gather(at).to_list()
        risk = houses.prime_model.accounts(rest).risk
        found.append(_units(REST, names, accounts.house[at], rest, np.full(at.size, NONE), risk))
    return found


def _legs(done: Evaluation) -> Units:
    """Return each house's own leg of each joint account."""
    outcome = done.margin.outcome
    names = [name for name in done.joint.names for _ in HOUSES]
    house = np.tile(np.arange(HOUSE_COUNT), done.joint.count)
    return _units(LEG, names, house, done.joint.legs, outcome.own.ravel(), outcome.reduced.ravel())


def _joint(done: Evaluation) -> Units:
    outcome = done.margin.outcome
    own, reduced = outcome.own.sum(axis=1), outcome.reduced.sum(axis=1)
    return _units(JOINT_ACCOUNT, done.joint.names, JOINT, done.joint.union, own, reduced)


def _units(
    kind: int,
    names: tuple[str, ...] | list[str],
    house: int | Int64[np.ndarray, " units"],
    books: Books,
    before: Int64[np.ndarray, " units"],
    after: Int64[np.ndarray, " units"],
) -> Units:
    count = books.count
    return Units(
        kind=np.full(count, kind),
        names=tuple(names),
        house=np.full(count, house) if isinstance(house, int) else house,
        books=books,
        before=before,
        after=after,
    )


def _together(parts: list[Units]) -> Units:
    """Return the units of several, one after the other."""
    return Units(
        kind=np.concatenate([part.kind for part in parts]),
        names=tuple(name for part in parts for name in part.names),
        house=np.concatenate([part.house for part in parts]),
        books=joined_books([part.books for part in parts]),
        before=np.concatenate([part.before for part in parts]),
        after=np.concatenate([part.after for part in parts]),
    )


def joint_distribution(
    results: Float64[np.ndarray, "units scenarios"], tail_count: int
) -> tuple[Float64[np.ndarray, " units"], Float64[np.ndarray, " units"]]:
    """Return value at risk and expected shortfall, loss-positive: the loss at the edge of the tail, and its mean.

    Parameters
    ----------
    results : ndarray of float64, shape (units, scenarios)
        Profit and loss in the scenarios of one part.
    tail_count : int
        How many of the worst are in the tail.
    """
    worst = np.sort(np.partition(results, tail_count - 1, axis=1)[:, :tail_count], axis=1)
    return -worst[:, -1], -worst.mean(axis=1)
