"""Margins with each anti-procyclical tool, and histories in which volatility jumps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from crossmargin.models.scenarios.part_rules import AntiProcyclical

if TYPE_CHECKING:
    from jaxtyping import Float64

    from crossmargin.models.scenarios.build import ScenarioSettings
    from crossmargin.models.scenarios.histories import Histories

__all__ = [
    "AS_SET",
    "BUFFER",
    "FLOOR",
    "FLOOR_DAYS",
    "NONE",
    "STRESS",
    "TOOLS",
    "Jump",
    "jumped",
    "with_tool",
]

AS_SET, NONE = "as set", "none"
BUFFER, STRESS, FLOOR = "25% buffer", "25% stress weight", "10-year floor"
TOOLS: Final = (AS_SET, NONE, BUFFER, STRESS, FLOOR)
"""As the houses' settings have it; none; and EMIR RTS 153/2013, Art. 28 (1) (a), (b) and (c), each alone."""

STRESS_WEIGHT: Final = 0.25
FLOOR_DAYS: Final = 2_500


def with_tool(scenarios: ScenarioSettings, tool: str) -> ScenarioSettings:
    """Return scenario settings as they are, or with one tool and no other.

    Without stress weight the second of two parts has none; the buffer is one of margins over time, not of
    scenarios, and starts from settings without a tool.
    """
    if tool == AS_SET:
        return scenarios
    weight = STRESS_WEIGHT if tool == STRESS else 0.0
    floor = FLOOR_DAYS if tool == FLOOR else 0
    return replace(_weighted(scenarios, weight), anti_procyclical=AntiProcyclical(floor_days=floor))


def _weighted(scenarios: ScenarioSettings, weight: float) -> ScenarioSettings:
    """Return settings in which the second of two parts has a weight; of another number of parts they stay."""
    if len(scenarios.parts) != 2:  # noqa: PLR2004
        return scenarios
    first, second = scenarios.parts
    return replace(scenarios, parts=(replace(first, weight=1.0 - weight), replace(second, weight=weight)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """A jump of volatility after the last day, which stays: the response is that to a step.

    Parameters
    ----------
    multiple : float
        Moves after it, as a multiple of those before.
    days : tuple of int
        Days after the jump on which margins are looked at, ascending; 0 is the first day of larger moves.
    repeated_days : int
        The last so many days of the histories come again, see ``jumped``.
    """

    multiple: float = 2.0
    days: tuple[int, ...] = (0, 5, 20, 40)
    repeated_days: int = 60


def jumped(histories: Histories, jump: Jump, count: int) -> Histories:
    """Return histories that go on for ``count`` days after the jump.

    The last days come again, each made as large as the others, so that nothing jumps but the size of all moves: a day's
    moves, in standard deviations of each price over these days, have the mean square ``multiple``².
    """
    last = histories.returns[-jump.repeated_days :]
    sizes = _sizes(last, histories)
    rows = np.flatnonzero(sizes > 0)[np.arange(count) % np.count_nonzero(sizes > 0)]
    added = last[rows] * (jump.multiple / sizes[rows])[:, None]
    days = np.busday_offset(histories.days[-1], np.arange(1, count + 1), roll="backward")
    at = histories.days.size - last.shape[0] + rows
    return replace(
        histories,
        days=np.concatenate([histories.days, days.astype(histories.days.dtype)]),
        returns=np.concatenate([histories.returns, added]),
        levels=np.concatenate([histories.levels, np.repeat(histories.levels[-1:], count, axis=0)]),
        valid=np.concatenate([histories.valid, histories.valid[at]]),
        proxied=np.concatenate([histories.proxied, histories.proxied[at]]),
        stale=np.concatenate([histories.stale, histories.stale[at]]),
    )


def _sizes(
    returns: Float64[np.ndarray, "days factors"], histories: Histories
) -> Float64[np.ndarray, " days"]:
    """Return the root mean square of each day's moves of prices, in standard deviations of each over these days."""
    spots = np.array([factor.kind == "spot" for factor in histories.factors])
    moves = returns[:, spots]
    deviation = np.sqrt((moves**2).mean(axis=0))
    moving = deviation > 0
    return np.sqrt(((moves[:, moving] / deviation[moving]) ** 2).mean(axis=1))
