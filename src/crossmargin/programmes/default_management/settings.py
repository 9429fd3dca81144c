"""What a close-out assumes: days, scenarios, liquidity, costs, hedging instruments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from jaxtyping import Float64

from crossmargin.core.columns import require_columns, require_within
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.market import HOUSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from crossmargin.core.columns import FrameInput
    from crossmargin.models.scenarios.build import ScenarioSettings

__all__ = ["DAILY_SHARES", "HALF_SPREADS", "ByKind", "CloseOutSettings"]

CAP_SCHEMA: Final[dict[str, pl.DataType]] = {"instrument": pl.String(), "units": pl.Float64()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ByKind:
    """A number for each kind of instrument, from 0 to 1,000.

    Parameters
    ----------
    equity, etf, future, option : float
        The numbers.
    """

    equity: float
    etf: float
    future: float
    option: float

    def __post_init__(self) -> None:
        require_within(self, dict.fromkeys(self.__slots__, (0.0, 1000.0)))

    def of(self, kinds: pl.Series) -> Float64[np.ndarray, " instruments"]:
        """Return the number of each kind."""
        return np.array([getattr(self, kind) for kind in kinds], np.float64)


DAILY_SHARES: Final = ByKind(equity=0.25, etf=0.5, future=1.0, option=0.25)
"""Of what all participants hold of an instrument: what can be traded in a day. An assumption of ours."""
HALF_SPREADS: Final = ByKind(equity=0.001, etf=0.0005, future=0.0001, option=0.02)
"""Of the instrument's mark: what trading one unit costs. An assumption of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseOutSettings:
    """How a defaulter's positions are closed out.

    A market's tables tell nothing of volumes or spreads: what can be traded in a day, and what that costs, are
    assumptions to be replaced where better is known.

    Parameters
    ----------
    days : int
        Trading days over which positions are closed.
    scenarios : ScenarioSettings, optional
        Parts and rules of the historical windows; the houses' own unless given. Its horizon is not looked at.
    daily_shares : ByKind
        Of what all participants are long, or short where that is more, of an instrument: what the close-out can
        trade of it each day.
    caps : Polars or pandas frame, or mapping of columns, optional
        ``instrument`` and ``units`` a day, at least 0; instead of the share for those that it names.
    first_days : mapping of str to int
        House → first day on which its positions can be closed, from 1; 1 unless given.
    half_spreads : ByKind
        Paid for each unit traded, of the instrument's mark.
    hedges : tuple of str, optional
        Hedging instruments; of each index the future that is held most by value, if it lives beyond the days,
        unless given. None at all: nothing is hedged.
    account_types : tuple of str, optional
        Types of a defaulter's accounts that are closed out; all unless given.

    Raises
    ------
    InputError
        Listing every value out of range.
    """

    days: int = 5
    scenarios: ScenarioSettings | None = None
    daily_shares: ByKind = DAILY_SHARES
    caps: FrameInput | None = None
    first_days: Mapping[str, int] = field(default_factory=dict)
    half_spreads: ByKind = HALF_SPREADS
    hedges: tuple[str, ...] | None = None
    account_types: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        require_within(self, {"days": (1, 60)})
        if bad := [*self._bad_first_days()]:
            raise InputError(bad)
        self.checked_caps()

    def _bad_first_days(self) -> Iterator[BadRecord]:
        for house, day in self.first_days.items():
            rule = f"one of {', '.join(HOUSES)}, with a day from 1 to {self.days}"
            whole = isinstance(day, int) and not isinstance(day, bool)
            if house not in HOUSES or not whole or not 1 <= day <= self.days:
                value = f"{house}: {day}"
                yield BadRecord(file="CloseOutSettings", line=0, field="first_days", value=value, rule=rule)

    def checked_caps(self) -> pl.DataFrame:
        """Return the table of caps, without rows where none is given."""
        if self.caps is None:
            return pl.DataFrame(schema=CAP_SCHEMA)
        rules = {"units": (pl.col("units") >= 0, "at least 0")}
        return require_columns(self.caps, "caps", CAP_SCHEMA, key=["instrument"], rules=rules)
