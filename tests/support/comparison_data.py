"""A comparison of programmes with invented numbers that add up as a real one's do, to the cent."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from crossmargin.core.amounts import exact_decimals
from crossmargin.core.breakdown import Component, Fact
from crossmargin.core.provenance import Provenance
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.market import HOUSES
from crossmargin.programmes.outcome import BINDINGS
from crossmargin.programmes.programme import Programme, Saving
from crossmargin.programmes.result import Comparison, JointAccount, ProgrammeResult

AS_OF = date(2026, 1, 5)
LEGAL_STATUS = "hypothetical: no such arrangement is in force"

# name, mode, share of a joint account's margin that is saved, binding of most accounts
DESIGNS = (
    ("spread credit", "spread_credit", 0.12, "matched positions"),
    ("two pots, lesser saving", "two_pot_lesser", 0.27, "lesser of the houses' savings"),
    ("one pot", "one_pot_joint", 0.41, "joint margin"),
    ("transfer", "transfer_optimise", 0.19, "joint margin"),
    ("merged house", "merged_ccp", 0.46, "joint margin"),
)
HIGHER = 2
"""Joint account, by number, whose joint margin is above the sum of the stand-alone ones."""


def amounts(values):
    return exact_decimals(np.asarray(values, np.int64), 2)


def shares(saving, today):
    return [s / t if t else 0.0 for s, t in zip(saving, today, strict=True)]


def names(count, hostile=""):
    """Names of participants; the first may be text that a page must not take for markup."""
    return [hostile or "Invented Securities 000", *(f"Invented Securities {i:03d}" for i in range(1, count))]


def margins_today(participants):
    """Cents at each house, participants × houses × (market risk of the joint account, the rest)."""
    p = np.arange(participants)[:, None, None]
    h = np.arange(3)[None, :, None]
    part = np.arange(2)[None, None, :]
    seed = (p * 7919 + h * 104729 + part * 1299709 + 17) % 9973
    return (seed * 1_234_567 + 98_765_432) // (1 + p) + seed


def comparison(participants=24, *, hostile="", designs=DESIGNS, higher_called=True):
    """Return a comparison of several programmes of so many participants."""
    return Comparison(
        market="Invented market",
        data_note="Synthetic market: every participant, position and price is invented.",
        results=tuple(
            result(participants, *design, hostile=hostile, higher_called=higher_called) for design in designs
        ),
        findings=pl.DataFrame(
            {
                "subject": ["0005", "0011", "HSI.C.17000"],
                "kind": ["no history", "no history", "no replica"],
                "action": ["flat rate of its house", "flat rate of its house", "not matched"],
            }
        ),
    )


def savings_of(joint, design_share, number):
    """Cents saved at each house by one joint account; the higher one costs a tenth more, the last nothing."""
    if number == HIGHER:
        return -(joint // 10)
    return (joint * (design_share * (1 - 0.5 * (number % 5) / 4))).astype(np.int64)


def result(participants, name, mode, share, usual, *, hostile="", higher_called=True):
    who = names(participants, hostile)
    today = margins_today(participants)
    joint_today = today[:, :, 0]
    found = np.stack([savings_of(joint_today[i], share, i) for i in range(participants)])
    saved = found.copy()
    if not higher_called:
        saved[HIGHER] = 0
    left = joint_today - saved
    everything = today.sum(axis=2)
    requirement = everything - saved
    return ProgrammeResult(
        programme=Programme(
            name=name,
            mode=mode,
            description=f"Invented design: {name}.",
            saving=Saving(cap=round(1 - share, 2)),
        ),
        as_of=AS_OF,
        currency="HKD",
        accounts=account_frame(who, today, saved),
        joint_accounts=joint_frame(who, joint_today, found, left, usual, higher_called),
        participants=participant_frame(who, everything, requirement),
        houses=pl.DataFrame(
            {
                "house": HOUSES,
                "today": amounts(everything.sum(axis=0)),
                "requirement": amounts(requirement.sum(axis=0)),
                "saving": amounts(saved.sum(axis=0)),
                "share": shares(saved.sum(axis=0), everything.sum(axis=0)),
                "joint_accounts": [participants] * 3,
            }
        ),
        steps=system_steps(everything, saved),
        risen=risen_frame(who, joint_today, found, called=higher_called),
        provenance=provenance(name, mode),
        explain=lambda chosen: explained(who, joint_today, saved, chosen, name),
    )


def account_frame(who, today, saved):
    rows = []
    for i, participant in enumerate(who):
        for h, house in enumerate(HOUSES):
            for part, kind in enumerate(("house", "omnibus")):
                margin, less = int(today[i, h, part]), int(saved[i, h]) if part == 0 else 0
                rows.append(
                    {
                        "account": f"{participant} {house} {kind}",
                        "participant": participant,
                        "group": f"Group {i // 2}",
                        "owner": f"owner {i}",
                        "house": house,
                        "type": kind,
                        "joint_account": joint_name(participant) if part == 0 else None,
                        "why_not": "" if part == 0 else "account type omnibus",
                        "today": margin,
                        "requirement": margin - less,
                        "saving": less,
                        "share": less / margin,
                    }
                )
    frame = pl.DataFrame(rows)
    return frame.with_columns(
        amounts(frame[c].to_numpy()).alias(c) for c in ("today", "requirement", "saving")
    )


def joint_name(participant):
    return f"{participant} / own"


def joint_frame(who, own, found, left, usual, higher_called):
    total, kept = own.sum(axis=1), left.sum(axis=1)
    binding = [usual] * len(who)
    binding[HIGHER] = BINDINGS[8] if higher_called else BINDINGS[6]
    binding[-1] = "supervisory cap on the sum"
    return pl.DataFrame(
        {
            "joint_account": [joint_name(name) for name in who],
            "participant": who,
            "owner": [f"owner {i}" for i in range(len(who))],
            "houses": [" + ".join(HOUSES)] * len(who),
            "stand_alone": amounts(total),
            "joint": amounts(total - found.sum(axis=1)),
            "left": amounts(kept),
            "saving": amounts(total - kept),
            "share": shares(total - kept, total),
            "binding": binding,
            **{f"stand_alone:{house}": amounts(own[:, h]) for h, house in enumerate(HOUSES)},
            **{f"left:{house}": amounts(left[:, h]) for h, house in enumerate(HOUSES)},
            "found:prime": shares(found.sum(axis=1), total),
            "found:hkscc_var": shares(found.sum(axis=1) // 2, total),
            "uncovered_before": amounts(total // 50),
            "uncovered_apart": amounts(total // 3),
            "uncovered_together": amounts(total // 40),
        }
    )


def participant_frame(who, everything, requirement):
    count = len(who)
    today, then = everything.reshape(-1), requirement.reshape(-1)
    return pl.DataFrame(
        {
            "participant": [name for name in who for _ in HOUSES],
            "group": [f"Group {i // 2}" for i in range(count) for _ in HOUSES],
            "house": list(HOUSES) * count,
            "today": amounts(today),
            "requirement": amounts(then),
            "saving": amounts(today - then),
            "share": shares(today - then, today),
        }
    )


def system_steps(everything, saved):
    lowered, risen = np.clip(saved, 0, None).sum(axis=0), np.clip(saved, None, 0).sum()
    steps = [
        ("today", everything.sum()),
        *((f"saving at {house}", -lowered[h]) for h, house in enumerate(HOUSES)),
        *([("joint margin higher", -risen)] if risen else []),
        ("requirement", everything.sum() - saved.sum()),
    ]
    return step_frame(steps)


def step_frame(steps):
    return pl.DataFrame({"step": [name for name, _ in steps], "amount": amounts([v for _, v in steps])})


def risen_frame(who, own, found, *, called):
    total, rise = own.sum(axis=1), -found.sum(axis=1)
    at = np.flatnonzero(rise > 0)
    return pl.DataFrame(
        {
            "subject": [joint_name(who[i]) for i in at],
            "stand_alone": amounts(total[at]),
            "joint": amounts((total + rise)[at]),
            "rise": amounts(rise[at]),
            "called": [called] * at.size,
            "why": ["one name held at several houses is one liquidation"] * at.size,
        },
        schema_overrides={"subject": pl.String, "why": pl.String, "called": pl.Boolean},
    )


def provenance(name, mode):
    return Provenance(
        method=f"Cross-margining programme {name}",
        as_of=AS_OF,
        parameter_sets=("hkscc-2025-10", "prime-2025-10"),
        settings=(("mode", mode),),
        input_hashes=(("market", "ab" * 32), ("cube", "cd" * 32)),
        legal_status=LEGAL_STATUS,
        data_note="Synthetic market: every participant, position and price is invented.",
    )


def explained(who, own, saved, chosen, programme):
    if chosen not in [joint_name(name) for name in who]:
        raise InputError(
            [BadRecord(file="joint account", line=0, field="", value=chosen, rule="one of them")]
        )
    i = [joint_name(name) for name in who].index(chosen)
    steps = [
        *((f"{house} stand-alone", int(own[i, h])) for h, house in enumerate(HOUSES)),
        *((f"less at {house}", -int(saved[i, h])) for h, house in enumerate(HOUSES)),
    ]
    total = sum(amount for _, amount in steps)
    parts = tuple(Component(name=label, amount=amount, decimals=2) for label, amount in steps)
    tree = Component(
        name="requirement",
        amount=total,
        decimals=2,
        binding=f"joint margin of {programme}",
        facts=(Fact("scenarios in the tail", 10), Fact("worst", (("1", 2.5),), ("scenario", "loss"))),
        parts=parts,
    )
    return JointAccount(
        name=chosen,
        breakdown=tree,
        steps=step_frame([*steps, ("requirement", total)]),
        tail=tail_frame(),
        correlations=pl.DataFrame(
            {
                "house": ["HKSCC", "HKSCC", "HKCC"],
                "other": ["HKCC", "SEOCH", "SEOCH"],
                "part": ["look-back"] * 3,
                "correlation": [-0.91, -0.44, 0.37],
                "in_tail": [-0.82, -0.51, 0.29],
                "lowest": [-0.55, 0.12, -0.08],
            }
        ),
        positions=pl.DataFrame(
            {
                "house": ["HKSCC", "HKCC", "SEOCH"],
                "instrument": ["0005", "HSI.2026-01", "HKB.C.65.2026-01"],
                "quantity": [400_000, -12, -150],
                "contribution": [2_345_678.9, -1_234_567.8, 98_765.4],
            }
        ),
        default=pl.DataFrame(
            {
                "house": HOUSES,
                "margin": amounts(own[i] - saved[i]),
                "loss": amounts(own[i]),
                "net": amounts(-saved[i]),
                "paid": amounts(saved[i] * 0),
                "received": amounts(saved[i] * 0),
                "own_fund_loss": amounts(saved[i]),
                "returned": amounts(saved[i] * 0),
            }
        ),
    )


def tail_frame(count=10):
    k = np.arange(count)
    legs = {
        "HKSCC": -9_400_000.0 + 310_000.0 * k,
        "HKCC": 6_100_000.0 - 420_000.0 * (k % 4),
        "SEOCH": -800_000.0 + 260_000.0 * (k % 5),
    }
    scenario = [f"2020-03-{i + 9:02d}" for i in k]
    frame = pl.DataFrame({"part": ["look-back"] * count, "scenario": scenario, **legs})
    return frame.with_columns(joint=pl.sum_horizontal(HOUSES)).sort("joint")
