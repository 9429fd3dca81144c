"""What a stress test is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float64

from crossmargin.core.columns import require_within
from crossmargin.errors import BadRecord, InputError
from crossmargin.programmes.houses import HouseSettings
from crossmargin.programmes.stress.library import require_scenarios

if TYPE_CHECKING:
    from datetime import date

    from crossmargin.programmes.default_management.settings import CloseOutSettings
    from crossmargin.programmes.stress.library import StressScenario

__all__ = ["StressSettings"]

STANDARDS: Final = (1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class StressSettings:
    """How a stress test is made.

    Parameters
    ----------
    scenarios : tuple of StressScenario
        See ``formats.stress_files.stress_library``.
    horizon_days : int
        Trading days over which past moves are taken, of all houses alike: HKSCC's trades settle after two, PRiME
        looks one day ahead. Stated moves are taken as they are, whatever the horizon.
    cover : {1, 2}, optional
        Groups that default together; each fund's own standard unless given (2 for the waterfall and reverse stress).
    defaulters : tuple of str
        Groups whose default runs down the waterfall; unless given those that lose most over margin, by ``cover``.
    client_gains : bool
        Whether gains and margin of one unit of a group may pay another's losses, see ``loss_units``.
    multiples_max, multiples_step : float
        Largest multiple of a scenario's moves that reverse stress tries, and the steps to it.
    rules_day : date, optional
        Day of the rules of default funds; the day of the stress test unless given.
    houses : HouseSettings
        How the houses' models are made.
    closes_out : bool
        Whether the books of the groups in default are closed out too; of very large books that takes longest.
    close_out : CloseOutSettings, optional
        How defaulters' books are closed out; the defaults unless given.

    Raises
    ------
    InputError
        Listing every value out of range.
    """

    scenarios: tuple[StressScenario, ...]
    horizon_days: int = 2
    cover: int | None = None
    defaulters: tuple[str, ...] = ()
    client_gains: bool = False
    multiples_max: float = 5.0
    multiples_step: float = 0.25
    rules_day: date | None = None
    houses: HouseSettings = field(default_factory=HouseSettings)
    closes_out: bool = True
    close_out: CloseOutSettings | None = None

    def __post_init__(self) -> None:
        require_scenarios(self.scenarios)
        ranges = {"horizon_days": (1, 250), "multiples_max": (1.0, 100.0), "multiples_step": (0.01, 1.0)}
        require_within(self, ranges)
        if self.cover is not None and self.cover not in STANDARDS:
            record = BadRecord(file="stress", line=0, field="cover", value=str(self.cover), rule="1 or 2")
            raise InputError([record])

    @property
    def standard(self) -> int:
        """Groups that default together in waterfall and reverse stress."""
        return self.cover or STANDARDS[-1]

    @property
    def multiples(self) -> Float64[np.ndarray, " multiples"]:
        """Multiples that reverse stress tries, from 0."""
        return np.arange(round(self.multiples_max / self.multiples_step) + 1) * self.multiples_step

    def described(self) -> tuple[tuple[str, str], ...]:
        """Return every choice as text, for the provenance of a result."""
        own = (
            "horizon_days",
            "cover",
            "client_gains",
            "closes_out",
            "multiples_max",
            "multiples_step",
            "rules_day",
        )
        chosen = [(name, str(getattr(self, name))) for name in own]
        return (*chosen, ("defaulters", ", ".join(self.defaulters)))
