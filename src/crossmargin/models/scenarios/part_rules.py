"""What goes into a scenario set: its parts, and what keeps margin from following the market too closely."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from crossmargin.core.columns import require_within
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.scenarios.filtered import FilteredHistorical
from crossmargin.models.scenarios.scenario_set import bad_part_names
from crossmargin.models.scenarios.selection import LookBack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crossmargin.models.scenarios.selection import Selection

__all__ = ["AntiProcyclical", "PartRules", "anti_procyclical_of", "hkscc_parts", "parts_of_method"]

BUFFER: Final = "anti_procyclical.buffer_rate"
DRAWN: Final = "anti_procyclical.buffer_drawn"

CONFIDENCE: Final = re.compile(r"0?\.(?=[0-9]*[1-9])[0-9]{1,28}")
"""Plain digits: ``Decimal`` would take "0.9_9" and digits of other scripts too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRules:
    """How one part of a scenario set is made and judged.

    Parameters
    ----------
    name : str
        Of the part; see ``bad_part_names``.
    selection : LookBack, StressPeriods or WorstDays
        Which days.
    confidence : str
        Confidence level as a decimal, such as "0.994"; the tail holds ⌈(1 − confidence) × scenarios⌉ of
        them, in exact arithmetic.
    weight : float
        Share of the margin.
    filtering : FilteredHistorical or None
        How returns are scaled to today's volatility; None leaves them as they were.

    Raises
    ------
    InputError
        Listing a name, a confidence level or a weight that is none.
    """

    name: str
    selection: Selection
    confidence: str = "0.994"
    weight: float = 1.0
    filtering: FilteredHistorical | None = None

    def __post_init__(self) -> None:
        require_within(self, {"weight": (0.0, 1.0)})
        broken = [("name", name, rule) for name, rule in bad_part_names([self.name])]
        if not (isinstance(self.confidence, str) and CONFIDENCE.fullmatch(self.confidence)):
            rule = "a decimal text above 0 and below 1, of few digits"
            broken.append(("confidence", str(self.confidence)[:40], rule))
        if broken:
            raise InputError(
                BadRecord(file=str(self.name), line=0, field=field, value=value, rule=rule)
                for field, value, rule in broken
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class AntiProcyclical:
    """The three measures of which a European clearing house takes at least one (EMIR RTS 153/2013, Art. 28).

    Parameters
    ----------
    buffer_rate : float
        Added to the margin, 0.25 there; it may be drawn down when margin rises sharply.
    buffer_drawn : float
        Share of the buffer that has been drawn, 0 to 1.
    stressed : PartRules or None
        One more part, of stressed days, with its weight (0.25 there); the other parts share the rest.
    floor_days : int
        Volatility is at least that of so many last returns, 2,500 for ten years; 0 for no floor.
    """

    buffer_rate: float = 0.0
    buffer_drawn: float = 0.0
    stressed: PartRules | None = None
    floor_days: int = 0

    def __post_init__(self) -> None:
        ranges = {"buffer_rate": (0.0, 10.0), "buffer_drawn": (0.0, 1.0), "floor_days": (0, 100_000)}
        require_within(self, ranges)

    @property
    def buffer(self) -> float:
        """What is added, as a fraction of the margin: 0.25 for a buffer of 0.25 of which nothing is drawn."""
        return self.buffer_rate * (1.0 - self.buffer_drawn)

    @property
    def multiplier(self) -> float:
        """What the expected shortfall is multiplied with: 1 + ``buffer``."""
        return 1.0 + self.buffer

    def applied(self, parts: tuple[PartRules, ...]) -> tuple[PartRules, ...]:
        """Return the parts with the floor in their filters and the stressed part at the end."""
        rest = 1.0 - self.stressed.weight if self.stressed else 1.0
        floored = [self._floored(replace(part, weight=part.weight * rest)) for part in parts]
        return (*floored, self._floored(self.stressed)) if self.stressed else tuple(floored)

    def _floored(self, part: PartRules) -> PartRules:
        if part.filtering is None or part.filtering.floor_days >= self.floor_days:
            return part
        return replace(part, filtering=replace(part.filtering, floor_days=self.floor_days))

    def settings(self) -> tuple[tuple[str, str], ...]:
        """Return what a scenario set carries of it; the rest shows in its parts."""
        return (BUFFER, str(self.buffer_rate)), (DRAWN, str(self.buffer_drawn))


def anti_procyclical_of(settings: Iterable[tuple[str, str]]) -> AntiProcyclical:
    """Return the buffer that the settings of a scenario set carry; none where they carry none.

    The margin is ``anti_procyclical_of(scenarios.settings).multiplier`` × the weighted expected shortfall.
    """
    found = dict(settings)
    return AntiProcyclical(
        buffer_rate=float(found.get(BUFFER, "0")), buffer_drawn=float(found.get(DRAWN, "0"))
    )


def parts_of_method(
    method: str,
    *,
    selection: Selection | None = None,
    confidence: str = "0.994",
    filtering: FilteredHistorical | None = None,
) -> tuple[PartRules, ...]:
    """Return the one part of a method by its short name.

    Parameters
    ----------
    method : {"fhs", "historical", "stress"}
        Filtered historical simulation, plain historical simulation, or plain returns of stressed days.
    selection : LookBack, StressPeriods or WorstDays, optional
        The last 1,000 days unless given; needed for "stress".
    confidence : str
        See ``PartRules``.
    filtering : FilteredHistorical, optional
        Of "fhs"; the defaults unless given.

    Raises
    ------
    InputError
        If the method is not one of these, or "stress" comes without a selection.
    """
    names = {"fhs": "filtered historical", "historical": "historical", "stress": "stress"}
    if method not in names or (method == "stress" and selection is None):
        rule = f"one of {', '.join(names)}; stress with a selection of days"
        raise InputError([BadRecord(file="scenarios", line=0, field="method", value=method, rule=rule)])
    used = (filtering or FilteredHistorical()) if method == "fhs" else None
    chosen = selection or LookBack()
    return (PartRules(name=names[method], selection=chosen, confidence=confidence, filtering=used),)


def hkscc_parts(
    stressed: Selection,
    *,
    filtering: FilteredHistorical | None = None,
    filter_stressed: bool = False,
) -> tuple[PartRules, ...]:
    """Return two parts with HKSCC's published numbers: 1,000 scenarios at 0.994 and stressed ones at 0.98.

    Weights 0.75 and 0.25. Source: HKEX, HKSCC VaR Platform, Initial Margin Calculation Guide, version 1.4,
    §2. The file names both measures "FHS ES (Discrete)" and has 1,018 stressed scenarios; which days these
    are, the decay, the bounds and whether stressed returns are scaled, the house does not publish.

    Parameters
    ----------
    stressed : LookBack, StressPeriods or WorstDays
        The stressed days.
    filtering : FilteredHistorical, optional
        The defaults unless given.
    filter_stressed : bool
        Whether stressed returns are scaled too.
    """
    used = filtering or FilteredHistorical()
    return (
        PartRules(name="HVaR", selection=LookBack(), confidence="0.994", weight=0.75, filtering=used),
        PartRules(
            name="SVaR",
            selection=stressed,
            confidence="0.98",
            weight=0.25,
            filtering=used if filter_stressed else None,
        ),
    )
