"""One joint account of a programme, explained: the steps to its requirement, its worst scenarios, its hedges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from crossmargin.core.breakdown import Component, Fact
from crossmargin.core.rounding import to_minor
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.market import HOUSES
from crossmargin.programmes.books import make_books
from crossmargin.programmes.eligibility import HOUSE_COUNT
from crossmargin.programmes.frames import DECIMALS, money
from crossmargin.programmes.houses import models_of
from crossmargin.programmes.joint.explained import JointExplanation, explain_unit
from crossmargin.programmes.outcome import BINDINGS
from crossmargin.programmes.result import JointAccount
from crossmargin.programmes.uncovered import shared_tail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crossmargin.programmes.books import Books
    from crossmargin.programmes.evaluate import Evaluation
    from crossmargin.programmes.joint.model import JointModel

__all__ = ["explained"]

NAMES_SHOWN: Final = 10
TO_RISK: Final = "to market risk alone: without option value, credits, net"
TO_CALL: Final = "to what is called: option value, credits, rest"


def explained(done: Evaluation, name: str) -> JointAccount:
    """Return a joint account by its name.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in done.joint.names:
        known = ", ".join(done.joint.names[:NAMES_SHOWN])
        rule = f"one of the {done.joint.count:,} joint accounts of {done.programme.name}: {known} …"
        raise InputError([BadRecord(file="joint account", line=0, field="", value=name, rule=rule)])
    unit = done.joint.names.index(name)
    rows = _rows(done, unit)
    requirement = sum(amount for _, amount in rows)
    shown = [*rows, ("requirement", requirement)]
    scenarios = _scenarios(done, unit)
    return JointAccount(
        name=name,
        breakdown=_breakdown(done, unit, rows, requirement),
        steps=pl.DataFrame(
            {"step": [step for step, _ in shown], "amount": money(np.array([amount for _, amount in shown]))}
        ),
        tail=scenarios.tail,
        correlations=scenarios.correlations,
        positions=scenarios.positions,
        default=_default(done, unit, scenarios.tail),
    )


def _default(done: Evaluation, unit: int, tail: pl.DataFrame) -> pl.DataFrame:
    """Return who of the houses with a leg bears the worst scenario; nothing where there is no scenario."""
    worst = tail.sort("joint").head(1)
    held = done.joint.has_leg[unit]
    names = [house for house, present in zip(HOUSES, held.tolist(), strict=True) if present]
    lost = [-float(worst[house][0]) if len(worst) and house in worst.columns else 0.0 for house in names]
    loss = to_minor(np.array(lost), DECIMALS)
    own, left = done.margin.outcome.own[unit, held], done.margin.outcome.reduced[unit, held]
    shares = shared_tail(done.programme, own, left, loss)
    parts = ("net", "paid", "received", "own_fund_loss", "returned")
    amounts = {"margin": left, "loss": loss, **{name: getattr(shares, name)[0] for name in parts}}
    table = pl.DataFrame({"house": pl.Series(names, dtype=pl.String)}).with_columns(
        money(values).alias(name) for name, values in amounts.items()
    )
    return table if len(worst) else table.clear()


def _rows(done: Evaluation, unit: int) -> list[tuple[str, int]]:
    """Return what each house calls of the accounts today, and the steps from there; steps of nothing are left out."""
    mine, house = done.joint.of_account == unit, done.houses.accounts.house
    today, called = done.houses.today.accounts, done.calls.accounts
    outcome, present = done.margin.outcome, done.joint.has_leg[unit]
    rows = [
        (f"{name} today", int(today[mine & (house == place)].sum()))
        for place, name in enumerate(HOUSES)
        if present[place]
    ]
    before = int(outcome.own[unit].sum()) - sum(amount for _, amount in rows)
    steps = [(name, int(amounts[unit])) for name, amounts in done.margin.steps]
    after = int(called[mine].sum()) - int(outcome.reduced[unit].sum())
    between = [(TO_RISK, before), *steps, (TO_CALL, after)]
    return rows + [(name, amount) for name, amount in between if amount]


def _breakdown(done: Evaluation, unit: int, rows: list[tuple[str, int]], requirement: int) -> Component:
    outcome = done.margin.outcome
    left = tuple(
        (house, int(outcome.reduced[unit, place]) / 10**DECIMALS) for place, house in enumerate(HOUSES)
    )
    found = zip(outcome.models, outcome.model_savings[unit].tolist(), strict=True)
    facts = (
        Fact("saving, share of the stand-alone sum", float(outcome.share[unit])),
        *(Fact(f"saving that {model} finds, share", share) for model, share in found),
        Fact("market risk left to each house", left, ("house", "market risk")),
        Fact("attribution", done.programme.attribution.rule),
        *_offsets(done, unit),
    )
    return Component(
        name="requirement",
        amount=requirement,
        decimals=DECIMALS,
        rule=done.programme.mode,
        binding=BINDINGS[int(outcome.binding[unit])],
        facts=facts,
        parts=tuple(Component(name=name, amount=amount, decimals=DECIMALS) for name, amount in rows),
    )


def _offsets(done: Evaluation, unit: int) -> Iterator[Fact]:
    """Say what offsets what across kinds of instruments, and which replicas of indices PRiME recognises."""
    houses, coverage = done.houses, done.programme.matching.minimum_coverage
    currency = houses.market.currency
    legs = done.joint.legs.select(unit * HOUSE_COUNT + np.arange(HOUSE_COUNT))
    book = legs.regrouped(np.zeros(HOUSE_COUNT, np.int64), 1)
    matched = houses.look_through.matched(book, minimum_coverage=coverage).frame()
    if len(matched):
        yield _table_of(f"offsets, {currency}", matched.select("reason", "matched"))
    if "prime" not in models_of(done.programme):
        return
    replicas = houses.stand_ins.looked_through(book, minimum_coverage=coverage)
    if replicas.number.size:
        told = houses.stand_ins.frame(replicas).select("index", "stands_as", "matched", "charge")
        plain, by_prime = (houses.prime_model.market_risk(books) for books in (book, replicas.books))
        yield _table_of(f"replicas of indices in PRiME and their basis charge, {currency}", told)
        yield Fact(f"PRiME with shares as such, {currency}", int(plain[0]) / 10**DECIMALS)
        through = int(replicas.risk(by_prime)[0])
        yield Fact(f"PRiME with replicas looked through, {currency}", through / 10**DECIMALS)


def _table_of(label: str, table: pl.DataFrame) -> Fact:
    rows = table.cast({pl.Decimal: pl.Float64}).rows()
    return Fact(label, tuple(rows), tuple(table.columns))


def _scenarios(done: Evaluation, unit: int) -> JointExplanation:
    """Return what the joint model says of the legs; of an account on a gross basis, which has no joint tail, nothing."""
    model = done.houses.joint_model(done.programme.joint.horizon)
    legs = done.joint.legs.select(unit * HOUSE_COUNT + np.arange(HOUSE_COUNT))
    said = explain_unit(model, _with_scenarios(legs, model), 0, HOUSES)
    if not legs.gross.any():
        return said
    frames = {name: getattr(said, name).clear() for name in ("tail", "correlations", "positions")}
    return JointExplanation(pnl=said.pnl, **frames)


def _with_scenarios(legs: Books, model: JointModel) -> Books:
    """Return the positions that the joint model has scenarios of; other models may margin more."""
    held = model.can_margin[legs.rows]
    return make_books(legs.book[held], legs.rows[held], legs.quantities[held], count=legs.count)
