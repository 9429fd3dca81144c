"""The best transfer of one account: exact where its futures are few, otherwise with a proven gap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float64, Int64

from crossmargin.kernels.transfer_pairs import pair_transfers
from crossmargin.kernels.transfer_search import line_search, search_memory
from crossmargin.programmes.transfer.cuts import ACCURACY, CuttingPlanes
from crossmargin.programmes.transfer.problem import TIE, TransferProblem, TransferResult

if TYPE_CHECKING:
    from crossmargin.programmes.programme import Transfer

__all__ = ["PAIR", "best_transfer"]

PAIR: Final = 2
"""Up to so many futures are searched by the kernels, without a solver."""
ROUNDS: Final = 100
"""Of the relaxation; what it has not found by then costs gap, not correctness."""
SWEEPS: Final = 50

Taken = Int64[np.ndarray, " futures"]
Found = tuple[Taken, float, bool]
"""Contracts, what no transfer is below, and whether no better one is left within the gap asked for."""


def best_transfer(problem: TransferProblem, settings: Transfer) -> TransferResult:
    """Choose how many contracts of each future move so that both pots together ask for least.

    Of transfers that ask for the same (see ``TIE``) the one with fewest contracts is taken, then the one
    whose futures stand first; so nothing moves for nothing. One or two futures are searched by the kernels,
    up to ``settings.exact_futures`` by mixed-integer programs whose rows are the tails met on the way, more by
    rounding the best fractions and searching one future, then two, at a time.

    Parameters
    ----------
    problem : TransferProblem
        The account.
    settings : Transfer
        Of the programme.
    """
    nothing = np.zeros(problem.quantities.size, np.int64)
    before = problem.pots(nothing)
    asked, futures = sum(before), problem.quantities.size
    if futures == 0 or asked <= 0:
        taken, lower, exact = nothing, asked, True
    elif futures <= PAIR:
        taken, lower, exact = _searched(problem, asked)
    elif futures <= settings.exact_futures:
        taken, lower, exact = _exact(problem, asked, settings.gap)
    else:
        taken, lower, exact = _approximate(problem, asked)
    if problem.requirement(taken) > asked - TIE * asked:
        taken = nothing
    after = problem.pots(taken)
    return TransferResult(
        moved=problem.sides * taken,
        before=before,
        after=after,
        lower_bound=min(lower, sum(after)),
        exact=exact,
    )


def _searched(problem: TransferProblem, asked: float) -> Found:
    """Search one or two futures."""
    futures = problem.quantities.size
    at, held = np.zeros((1, PAIR), np.int64), np.zeros((1, PAIR), np.int64)
    at[0, :futures], held[0, :futures] = np.arange(futures), problem.quantities
    scanned = problem.scanned(np.zeros(futures))[problem.commodity]
    moved, long = np.zeros((1, PAIR), np.int64), np.zeros(1)
    pair_transfers(
        problem.base[None],
        problem.gains,
        at,
        held,
        scanned[at],
        problem.losses,
        problem.commodity[at[:, 0]] == problem.commodity[at[:, 1]],
        problem.measure.arrays,
        np.array([TIE * asked]),
        moved,
        long,
    )
    taken = np.abs(moved[0, :futures])
    return taken, problem.requirement(taken), True


def _relaxed(
    problem: TransferProblem, asked: float
) -> tuple[CuttingPlanes, Float64[np.ndarray, " f"], float]:
    """Return the cuts that describe the best fractions of contracts, these, and the bound that they prove."""
    cuts = CuttingPlanes(problem, asked)
    for start in (np.zeros(problem.quantities.size), problem.contracts.astype(np.float64)):
        cuts.learn(start)
    lower = 0.0
    for _ in range(ROUNDS):
        fractions, bound = cuts.relaxed()
        lower = max(lower, bound)
        if problem.requirement(fractions) - lower <= TIE * asked or not cuts.learn(fractions):
            break
    return cuts, fractions, lower


def _exact(problem: TransferProblem, asked: float, gap: float) -> Found:
    """Solve mixed-integer programs until one's solution is known to be as good as its bound."""
    cuts, fractions, lower = _relaxed(problem, asked)
    best = np.rint(fractions).astype(np.int64)
    least, new = problem.requirement(best), True
    cuts.learn(best)
    while new and least - lower > gap * least and (found := cuts.whole(gap)):
        lower, value = max(lower, found[1]), problem.requirement(found[0])
        if value < least:
            best, least = found[0], value
        new = cuts.learn(found[0])  # where all is known the solution is as good as its bound
    proven = least - lower <= max(gap * least, ACCURACY * asked)
    return _fewest(problem, cuts, best, least + TIE * asked), min(lower, least), proven


def _fewest(problem: TransferProblem, cuts: CuttingPlanes, best: Taken, ceiling: float) -> Taken:
    """Return the fewest contracts that ask for no more than the ceiling; the best known where none are found."""
    while (taken := cuts.fewest(ceiling)) is not None:
        if problem.requirement(taken) <= ceiling:
            return taken
        if not cuts.learn(taken):
            break
    return best


def _approximate(problem: TransferProblem, asked: float) -> Found:
    """Round the best fractions, and improve that and nothing moved; the bound is that of the fractions."""
    _, fractions, lower = _relaxed(problem, asked)
    starts = [np.zeros(problem.quantities.size, np.int64), np.rint(fractions).astype(np.int64)]
    ends = [_improved(problem, start, TIE * asked) for start in starts]
    return min(ends, key=lambda taken: (problem.requirement(taken), int(taken.sum()))), lower, False


def _improved(problem: TransferProblem, taken: Taken, tie: float) -> Taken:
    """Search along one future after the other, then exchange single contracts, until neither helps."""
    value = problem.requirement(taken)
    for _ in range(SWEEPS):
        for future in range(taken.size):
            taken = _along(problem, taken, future, tie)
        taken = _exchanged(problem, taken, tie)
        last, value = value, problem.requirement(taken)
        if value > last - tie:
            break
    return taken


def _along(problem: TransferProblem, taken: Taken, future: int, tie: float) -> Taken:
    """Return the best contracts of one future, the others as they are."""
    others = taken.copy()
    others[future] = 0
    commodity = problem.commodity[future]
    measure = problem.measure.arrays
    line = (
        problem.scanned(others)[commodity],
        problem.lost[future],
        problem.results(others),
        problem.gained[future],
    )
    memory = search_memory(problem.base.size, problem.measure.tail_counts)
    others[future], _, _ = line_search(line, int(problem.contracts[future]), measure, memory, tie)
    return others


def _exchanged(problem: TransferProblem, taken: Taken, tie: float) -> Taken:
    """Return the transfer after each exchange of a contract of one future for one of another that helps."""
    value = problem.requirement(taken)
    for more, less in np.argwhere(~np.eye(taken.size, dtype=bool)):
        if taken[more] < problem.contracts[more] and taken[less] > 0:
            trial = taken.copy()
            trial[more] += 1
            trial[less] -= 1
            if (found := problem.requirement(trial)) < value - tie:
                taken, value = trial, found
    return taken
