"""A library of stress scenarios on a market: every target found, every size a move of a risk factor."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float64

from crossmargin.errors import BadRecord, InputError
from crossmargin.models.revaluation.factors import FactorMoves
from crossmargin.models.scenarios.scenario_set import ScenarioPart, ScenarioSet
from crossmargin.programmes.stress.library import IndexExtremes, MoveRow, StressScenario, parse_target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crossmargin.models.revaluation.settings import RevaluationSettings
    from crossmargin.programmes.stress.universe import StressUniverse

__all__ = ["StressMoves", "as_scenario_set", "stress_moves"]

FLOOR: Final = -0.95
"""No price, volatility or exchange rate loses more, whatever beta or multiple a size is taken by."""

INDEX_MOVE_SLACK: Final = 0.02
"""By how much the histories' move of the main index may differ from what a source says of a day."""

Finding = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class StressMoves:
    """Scenarios as moves of a market's factors.

    Parameters
    ----------
    labels : tuple of str
        Names; of the days of one library entry, its name and the day.
    scenarios : tuple of StressScenario
        Entry of the library that each comes from.
    moves : ndarray of float64, shape (scenarios, factors)
        As in ``ScenarioSet``; NaN for a volatility that the scenario does not speak of.
    basis : ndarray of float64, shape (scenarios, names)
        Move of futures against their underlying, a fraction of the future's price.
    findings : tuple of (str, str, str)
        Subject, kind, action.
    """

    labels: tuple[str, ...]
    scenarios: tuple[StressScenario, ...]
    moves: Float64[np.ndarray, "scenarios factors"]
    basis: Float64[np.ndarray, "scenarios names"]
    findings: tuple[Finding, ...]

    def times(self, multiples: Float64[np.ndarray, " multiples"]) -> StressMoves:
        """Return each scenario at each multiple of its moves, scenario by scenario."""
        count = multiples.size
        factor = np.tile(multiples, len(self.labels))[:, None]
        return StressMoves(
            labels=tuple(f"{label} × {k!r}" for label in self.labels for k in multiples.tolist()),
            scenarios=tuple(one for one in self.scenarios for _ in range(count)),
            moves=np.repeat(self.moves, count, axis=0) * factor,
            basis=np.maximum(np.repeat(self.basis, count, axis=0) * factor, FLOOR),
            findings=(),
        )

    def only(self, chosen: Sequence[int]) -> StressMoves:
        """Return some of the scenarios."""
        return replace(
            self,
            labels=tuple(self.labels[at] for at in chosen),
            scenarios=tuple(self.scenarios[at] for at in chosen),
            moves=self.moves[list(chosen)],
            basis=self.basis[list(chosen)],
        )


def stress_moves(library: Sequence[StressScenario], universe: StressUniverse) -> StressMoves:
    """Find the targets of every scenario in a market.

    Rows hold in their order, later ones over earlier ones; baskets are made after all other rows, in theirs. A
    historical scenario takes the histories' own moves over the horizon that ended on its day; a spot that was not
    priced then moves by its beta × the main index's move, other factors do not move. What a scenario does not speak of
    does not move, but for volatilities, which follow the rule of the revaluation (``as_scenario_set``).

    Raises
    ------
    InputError
        If no scenario is left.
    """
    made = [row for one in library for row in _applied(one, universe)]
    kept = [row for row in made if row.moves is not None]
    if not kept:
        rule = "at least one scenario whose days or targets the market has"
        raise InputError([BadRecord(file="scenarios", line=0, field="", value="none", rule=rule)])
    short = int((universe.beta_days == 0).sum())
    said = [finding for row in made for finding in row.findings]
    if short:
        said.append(("betas", f"{short} underlyings with too short a history", "a beta of 1 is used"))
    return StressMoves(
        labels=tuple(row.label for row in kept),
        scenarios=tuple(row.scenario for row in kept),
        moves=np.stack([row.moves for row in kept if row.moves is not None]),
        basis=np.stack([row.basis for row in kept]),
        findings=tuple(said),
    )


def as_scenario_set(
    moves: StressMoves,
    universe: StressUniverse,
    as_of: date,
    revaluation: RevaluationSettings,
    input_hash: str,
) -> ScenarioSet:
    """Return the moves as scenarios for a cube: bounded, and with every volatility.

    A volatility that a scenario does not speak of follows from the move of the spot by the rule of the revaluation's
    settings (``volatility_response``).
    """
    spots = len(universe.names)
    bounded = np.where(_is_rate(universe), moves.moves, np.maximum(moves.moves, FLOOR))
    digest = hashlib.sha256(repr((input_hash, universe.factors, moves.labels)).encode())
    digest.update(np.ascontiguousarray(moves.basis).data)
    whole = ScenarioSet(
        as_of=as_of,
        horizon_days=universe.horizon_days,
        factors=universe.factors,
        moves=np.nan_to_num(bounded),
        labels=moves.labels,
        parts=(ScenarioPart(name="stress", start=0, stop=len(moves.labels), tail_count=1, weight=1.0),),
        method="stress scenarios",
        settings=(("horizon_days", str(universe.horizon_days)), ("index of betas", universe.index)),
        input_hash=digest.hexdigest(),
    )
    alone = replace(whole, factors=universe.factors[:spots], moves=whole.moves[:, :spots])
    rule = FactorMoves.of(alone, revaluation)
    for column in universe.of_kind.get("volatility", np.zeros(0, np.int64)).tolist():
        factor, unsaid = universe.factors[column], np.isnan(bounded[:, column])
        follows = rule.volatility(factor.name, factor.days)[rule.layout.columns] - 1
        bounded[unsaid, column] = follows[unsaid]
    return replace(
        whole, moves=np.ascontiguousarray(np.maximum(bounded, np.where(_is_rate(universe), -1.0, FLOOR)))
    )


def _is_rate(universe: StressUniverse) -> np.ndarray:
    return np.array([factor.kind == "rate" for factor in universe.factors])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Applied:
    """One scenario on a market; without moves where it is left out."""

    label: str
    scenario: StressScenario
    moves: Float64[np.ndarray, " factors"] | None
    basis: Float64[np.ndarray, " names"]
    findings: tuple[Finding, ...] = ()


def _applied(one: StressScenario, universe: StressUniverse) -> Iterator[_Applied]:
    if isinstance(one.past, IndexExtremes):
        yield from _extremes(one, one.past, universe)
    elif isinstance(one.past, date):
        yield _of_day(one, one.name, np.datetime64(one.past, "D"), universe)
    else:
        yield _stated(one, universe)


def _stated(one: StressScenario, universe: StressUniverse) -> _Applied:
    moves = np.zeros(len(universe.factors))
    moves[universe.of_kind.get("volatility", np.zeros(0, np.int64))] = np.nan
    basis = np.zeros(len(universe.names))
    said = list(_sector_findings(one, universe))
    reached = False
    for baskets in (False, True):
        for row in one.moves:
            if (row.how == "basket") == baskets:
                reach = {text: _move(row, text, one, universe, moves, basis) for text in row.targets}
                reached |= any(reach.values())
                missed = [text for text, count in reach.items() if not count and ":sector:" not in text]
                said += [(one.name, f"nothing in the market for {text}", "passed over") for text in missed]
    if not reached:
        said.append((one.name, "no target in the market", "left out"))
    return _Applied(
        label=one.name,
        scenario=one,
        moves=moves if reached else None,
        basis=np.maximum(basis, FLOOR),
        findings=tuple(said),
    )


def _sector_findings(one: StressScenario, universe: StressUniverse) -> Iterator[Finding]:
    """Say how many companies of its sectors a market has."""
    sectors = one.codes()
    found = {name: sum(code in universe.by_code for code in codes) for name, codes in sectors.items()}
    if sectors and not any(found.values()):
        yield one.name, "no company of its sectors in the market", "only its other moves apply"
    elif sectors:
        counts = ", ".join(f"{count} of {len(sectors[name])} {name}" for name, count in found.items())
        yield f"{one.name}: {counts}", "companies of its sectors in the market", "moved by their rows"


def _move(
    row: MoveRow,
    text: str,
    one: StressScenario,
    universe: StressUniverse,
    moves: Float64[np.ndarray, " factors"],
    basis: Float64[np.ndarray, " names"],
) -> int:
    """Apply a row to one of its targets; return how much in this market that is."""
    target = parse_target(text)
    assert target is not None, "checked by the scenario"
    if target.kind in {"rate", "exchange_rate"}:
        at = universe.currencies(target)
        moves[at] = row.size
    else:
        at = universe.underlyings(target, one.sectors)
        _move_named(row, target.kind, np.array(at, np.int64), universe, moves, basis)
    return len(at)


def _move_named(
    row: MoveRow,
    kind: str,
    at: np.ndarray,
    universe: StressUniverse,
    moves: Float64[np.ndarray, " factors"],
    basis: Float64[np.ndarray, " names"],
) -> None:
    if kind == "basis":
        basis[at] = row.size
    elif kind == "volatility":
        columns = universe.of_kind.get("volatility", np.zeros(0, np.int64))
        moves[columns[np.isin(universe.named[columns], at)]] = row.size
    elif row.how == "basket":
        for place in at.tolist():
            moves[place] = _basket(universe, universe.names[place], moves, row.size)
    else:
        moves[at] = np.maximum(_sizes(row, universe)[at], FLOOR)


def _sizes(row: MoveRow, universe: StressUniverse) -> Float64[np.ndarray, " names"]:
    """Return by how much a row moves each spot, were it one of its targets."""
    names = len(universe.names)
    if row.how == "beta":
        return universe.beta * row.size
    if row.how == "worst":
        return universe.worst(fall=row.size < 0) * abs(row.size)
    return np.full(names, row.size)


def _basket(
    universe: StressUniverse, name: str, moves: Float64[np.ndarray, " factors"], rest: float
) -> float:
    """Return the weighted move of what an index or fund holds; what is not in the market moves by ``rest``."""
    held = [
        (universe.place[part], weight)
        for part, weight in universe.weights.get(name, ())
        if part in universe.place
    ]
    total = sum(weight for _, weight in held)
    return sum(weight * float(moves[at]) for at, weight in held) + (1.0 - total) * rest


def _extremes(one: StressScenario, past: IndexExtremes, universe: StressUniverse) -> Iterator[_Applied]:
    """Yield the days on which the main index moved most, windows apart from each other."""
    sign = -1.0 if past.direction == "fall" else 1.0
    size = np.nan_to_num(sign * universe.index_past, nan=-np.inf)
    chosen: list[int] = []
    for day in np.argsort(-size, kind="stable").tolist():
        if len(chosen) == past.count or size[day] <= 0:
            break
        if all(abs(day - other) >= universe.horizon_days for other in chosen):
            chosen.append(day)
    if len(chosen) < past.count:
        yield _left_out(one.name, one, f"only {len(chosen)} of {past.count} such days", universe)
    for day in chosen:
        yield _of_day(one, f"{one.name}: {universe.days[day]}", universe.days[day], universe)


def _of_day(one: StressScenario, label: str, day: np.datetime64, universe: StressUniverse) -> _Applied:
    """Take the moves of the window that ended on a day."""
    row = int(np.searchsorted(universe.days, day))
    there = row < universe.days.size and universe.days[row] == day
    if not there or np.isnan(universe.index_past[row]):
        return _left_out(label, one, "the histories have no move of the main index then", universe)
    if one.index_move is not None and not abs(universe.index_moves[row] - one.index_move) <= INDEX_MOVE_SLACK:
        subject = f"{label} ({universe.index} {universe.index_moves[row]:+.1%}, not {one.index_move:+.1%})"
        return _left_out(subject, one, "the main index moved otherwise on that day", universe)
    known, moves = universe.known[row], np.where(universe.known[row], universe.past[row], 0.0)
    names = len(universe.names)
    moves[:names] = np.where(known[:names], moves[:names], universe.beta * universe.index_past[row])
    volatilities = universe.of_kind.get("volatility", np.zeros(0, np.int64))
    moves[volatilities] = np.where(known[volatilities], moves[volatilities], np.nan)
    unpriced = int((~known[:names]).sum())
    said = [(label, f"{unpriced} underlyings without prices then", "move by their betas")] if unpriced else []
    return _Applied(label=label, scenario=one, moves=moves, basis=np.zeros(names), findings=tuple(said))


def _left_out(label: str, one: StressScenario, why: str, universe: StressUniverse) -> _Applied:
    return _Applied(
        label=label,
        scenario=one,
        moves=None,
        basis=np.zeros(len(universe.names)),
        findings=((label, why, "left out"),),
    )
