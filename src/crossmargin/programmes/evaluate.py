"""A programme on the houses of a day: who joins, what each house is left with, and what it then calls."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Bool, Int64

from crossmargin.core.provenance import Provenance
from crossmargin.models.market import HOUSES
from crossmargin.programmes.absence import Absence
from crossmargin.programmes.calls import Calls, calls_of_programme
from crossmargin.programmes.eligibility import JointAccounts, joint_accounts, without_opinion
from crossmargin.programmes.explain import explained
from crossmargin.programmes.frames import (
    accounts_frame,
    houses_frame,
    joint_accounts_frame,
    money,
    participants_frame,
)
from crossmargin.programmes.joint_margin import JointMargin, joint_margin, pieces_of
from crossmargin.programmes.result import ProgrammeResult
from crossmargin.programmes.uncovered import uncovered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crossmargin.programmes.houses import Houses
    from crossmargin.programmes.programme import Programme

__all__ = ["Evaluation", "evaluate"]

METHOD: Final = "cross-margining of HKSCC, HKCC and SEOCH by a programme of this engine"
IN_NET, TODAY = 1, 2
"""Choices of a group that does not join with all it can."""

LEAST_RISE: Final = 100
WAITING: Final = "another house's file is missing: as today"
DEARER: Final = "joining costs more than it saves"


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Everything that an evaluation computed, in arrays.

    ``risen`` are participants that would have been called more had their group joined with all it can, with what
    they are called today and would have been called.
    """

    programme: Programme
    houses: Houses
    joint: JointAccounts
    margin: JointMargin
    calls: Calls
    risen: tuple[tuple[str, int, int], ...]


def evaluate(
    programme: Programme,
    houses: Houses,
    *,
    missing: Sequence[str] = (),
    last_good: ProgrammeResult | None = None,
) -> ProgrammeResult:
    """Evaluate a programme.

    Parameters
    ----------
    programme : Programme
        The design.
    houses : Houses
        The houses on a day, see ``open_houses``.
    missing : sequence of str
        Houses whose positions are not known today, since their file is missing: nothing is margined there, and
        joint accounts with a leg there follow ``programme.counterpart_missing``.
    last_good : ProgrammeResult, optional
        Result of the last day with every file, for ``last_good``; a joint account that it lacks saves nothing.

    Returns
    -------
    ProgrammeResult
        For the system, each house, participant, account and joint account.

    Raises
    ------
    InputError
        If a model of the programme cannot be used, or a missing house is none.
    """
    absence = Absence.of(houses, missing, programme, last_good)
    houses = absence.known(houses)
    done = evaluation(programme, houses, absence)
    today = houses.today
    return ProgrammeResult(
        programme=programme,
        as_of=houses.as_of,
        currency=houses.market.currency,
        accounts=accounts_frame(houses.accounts, done.joint, today, done.calls),
        joint_accounts=joint_accounts_frame(
            houses.accounts,
            done.joint,
            done.margin,
            uncovered(houses, done.joint, done.margin),
        ),
        participants=participants_frame(houses.accounts, today, done.calls),
        houses=houses_frame(done.joint, today, done.calls),
        steps=_steps(done),
        risen=_risen(done),
        provenance=provenance_of(programme, houses),
        explain=lambda name: explained(done, name),
        missing=tuple(missing),
    )


def evaluation(programme: Programme, houses: Houses, absence: Absence | None = None) -> Evaluation:
    """Evaluate; unless the programme calls increases, each group takes what is called least and raises nobody's call.

    A group of participants joins with all it can, or keeps its accounts at HKSCC in HKSCC's net, or stays as it
    is today; of equal calls the first. A choice by which one of its participants is called more than today is none.
    """
    absence = absence or Absence.of(houses, ())
    refused = _without_file(programme, houses, absence)
    done = _evaluated(programme, houses, absence, refused, ())
    if programme.saving.allow_increase or not done.joint.count:
        return done
    # where HKSCC's file is missing there is no net to keep anything in, and its legs are still waited for
    group, cash = houses.accounts.group, houses.accounts.at("HKSCC") & ~absence.accounts
    in_net = _evaluated(programme, houses, absence, _also(refused, cash), ())
    totals = [_group_totals(one, houses) for one in (done.calls, in_net.calls, houses.today)]
    choice = np.argmin(np.stack(totals), axis=0)
    if not choice.any():
        return done
    out = (choice[group] == TODAY) | ((choice[group] == IN_NET) & cash)
    return _evaluated(programme, houses, absence, _also(refused, out), _rises(done))


def _group_totals(calls: Calls, houses: Houses) -> Int64[np.ndarray, " groups"]:
    """Return what each group is called; more than anything where one of its participants is called more than today."""
    accounts = houses.accounts
    called, today = calls.participants.sum(axis=1), houses.today.participants.sum(axis=1)
    total = np.zeros(len(accounts.groups), np.int64)
    np.add.at(total, accounts.group_of_participant, called)
    total[accounts.group_of_participant[called > today]] = np.iinfo(np.int64).max
    return total


def _also(refused: Sequence[str], out: Bool[np.ndarray, " accounts"]) -> list[str]:
    """Return why accounts are kept out, with more of them out since joining is dearer."""
    return [why or (DEARER if gone else "") for why, gone in zip(refused, out.tolist(), strict=True)]


def _evaluated(
    programme: Programme,
    houses: Houses,
    absence: Absence,
    refused: Sequence[str],
    risen: tuple[tuple[str, int, int], ...],
) -> Evaluation:
    joint = _joined(programme, houses, refused, absence)
    margin = joint_margin(programme, houses, joint, absence.kept(programme, joint))
    return Evaluation(
        programme=programme,
        houses=houses,
        joint=joint,
        margin=margin,
        calls=calls_of_programme(programme, houses, joint, margin),
        risen=risen,
    )


def _without_file(programme: Programme, houses: Houses, absence: Absence) -> list[str]:
    """Say which accounts go back to the books of today as another of their houses' files is missing."""
    if programme.counterpart_missing != "silo" or not absence.accounts.any():
        return [""] * len(houses.accounts)
    joint = _joined(programme, houses, [""] * len(houses.accounts), absence)
    number = joint.of_account
    waiting = np.append(absence.waiting(joint), False)[number]
    return [WAITING if back else "" for back in waiting.tolist()]


def _joined(programme: Programme, houses: Houses, refused: Sequence[str], absence: Absence) -> JointAccounts:
    """Join accounts; where netting is not enforceable between some houses, only across the others."""
    can_margin, unknown = houses.can_margin(programme), absence.accounts
    joint = joint_accounts(programme, houses.accounts, houses.snapshot, can_margin, refused, unknown)
    pairs = programme.eligibility.without_opinion
    if not pairs or not joint.count or programme.mode == "merged_ccp":
        return joint
    pieces = pieces_of(houses, joint)
    own = pieces.by_leg(pieces.risk, joint)
    barred = without_opinion(joint, own, pairs, houses.accounts)
    both = [first or second for first, second in zip(refused, barred, strict=True)]
    return joint_accounts(programme, houses.accounts, houses.snapshot, can_margin, both, unknown)


def _rises(done: Evaluation) -> tuple[tuple[str, int, int], ...]:
    """Return participants that are called more than today, with both calls."""
    today, now = (calls.participants.sum(axis=1) for calls in (done.houses.today, done.calls))
    names = done.houses.accounts.participants
    return tuple((names[i], int(today[i]), int(now[i])) for i in np.flatnonzero(now > today).tolist())


def _steps(done: Evaluation) -> pl.DataFrame:
    """Return the waterfall of the system: what each step from today's calls to the programme's adds."""
    today, calls = done.houses.today, done.calls
    before, after = int(today.market_risk.sum()), int(calls.market_risk.sum())
    own = int(done.margin.outcome.own.sum())
    left = int(done.margin.outcome.reduced.sum())
    rows = [(f"{house} today", int(today.houses[place])) for place, house in enumerate(HOUSES)]
    rows.append(("split of each house's net", after - left + own - before))
    rows += [(name, int(amounts.sum())) for name, amounts in done.margin.steps]
    rest = int(calls.houses.sum()) - int(today.houses.sum()) - (after - before)
    rows.append(("rounding, marks, credits and add-ons", rest))
    rows.append(("requirement", int(calls.houses.sum())))
    return pl.DataFrame(
        {"step": [name for name, _ in rows], "amount": money(np.array([amount for _, amount in rows]))}
    )


def _risen(done: Evaluation) -> pl.DataFrame:
    """Return where joining is dearer, whether or not it is called.

    HKSCC rounds to whole units of currency: less than one is no rise.
    """
    outcome, allowed = done.margin.outcome, done.programme.saving.allow_increase
    own = outcome.own.sum(axis=1)
    higher = np.flatnonzero(outcome.joint - own >= LEAST_RISE)
    rows = [
        (done.joint.names[i], int(own[i]), int(outcome.joint[i]), "the joint margin is higher")
        for i in higher.tolist()
    ]
    called = (
        outcome.saving[higher] < 0
    ).tolist()  # not where limits or the mode keep a rise from being called
    dearer = _rises(done) if allowed else done.risen
    rows += [(f"participant {name}", today, now, DEARER) for name, today, now in dearer]
    amounts = np.array([row[1:3] for row in rows], np.int64).reshape(-1, 2)
    return pl.DataFrame(
        {
            "subject": pl.Series([row[0] for row in rows], dtype=pl.String),
            "stand_alone": money(amounts[:, 0]),
            "joint": money(amounts[:, 1]),
            "rise": money(amounts[:, 1] - amounts[:, 0]),
            "called": pl.Series([*called, *([allowed] * len(dearer))], dtype=pl.Boolean),
            "why": pl.Series([row[3] for row in rows], dtype=pl.String),
        }
    )


def provenance_of(programme: Programme, houses: Houses, method: str = METHOD) -> Provenance:
    """Return what it takes to make a result of a programme on houses again."""
    return Provenance(
        method=method,
        as_of=houses.as_of,
        parameter_sets=houses.parameter_sets,
        settings=(*_described(programme, ""), *houses.described()),
        input_hashes=houses.input_hashes,
        legal_status=programme.status,
        data_note=houses.market.data_note,
    )


def _described(settings: object, prefix: str) -> list[tuple[str, str]]:
    """Return every choice as two texts, those of nested settings after a dot."""
    found: list[tuple[str, str]] = []
    for item in fields(settings):  # type: ignore[arg-type]
        value = getattr(settings, item.name)
        name = f"{prefix}{item.name}"
        if is_dataclass(value):
            found += _described(value, f"{name}.")
        else:
            found.append((name, ", ".join(value) if isinstance(value, tuple) else str(value)))
    return found
