"""Stress scenarios as data: which prices, volatilities, rates and bases move by how much, and why.

A scenario is a table of rows that hold in their order: where two speak of one thing, the later holds. A row says
what moves (``Target``) and by how much (``MoveRow.how``), so that one library fits every market; which of its
targets a market has is found when the two meet (``stress_scenarios``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Final, TypeAlias

from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "CONFIDENCES",
    "FAMILIES",
    "HOW",
    "IndexExtremes",
    "MoveRow",
    "StressScenario",
    "Target",
    "parse_target",
    "require_scenarios",
]

FAMILIES: Final = ("historical", "hypothetical", "theme")
CONFIDENCES: Final = ("high", "medium", "low")
HOW: Final = ("move", "beta", "basket", "worst")
TARGET_KINDS: Final = ("spot", "volatility", "rate", "exchange_rate", "basis")
SELECTORS: Final = ("index", "stock", "etf", "funds", "constituents", "sector", "rank")
KINDS_OF_UNDERLYINGS: Final = ("index", "stock", "etf")
DIRECTIONS: Final = ("fall", "rise")

EVERY: Final = "*"
SIZE_MAX: Final = 10.0
RANK_MAX: Final = 1_000
COUNT_MAX: Final = 250
TARGET_RULE: Final = (
    "spot, volatility or basis, then '*', a name, or 'index:*', 'stock:*', 'etf:*', 'funds:' or 'constituents:' "
    "and an index or '*', 'sector:' and one of the file's sectors, 'rank:' and a place from 1; or rate or "
    "exchange_rate, then '*' or a currency"
)
SIZE_RULE: Final = (
    "a number above -1 and at most 10; of a rate from -1 to 1; a worst move is times 0 to 10 or -10"
)


@dataclass(frozen=True, slots=True)
class Target:
    """What a row moves.

    Parameters
    ----------
    kind : {"spot", "volatility", "rate", "exchange_rate", "basis"}
        A basis is the price of futures against their underlying.
    selector : str
        How ``name`` is meant: "" an underlying or currency; "index", "stock", "etf" every underlying of that kind;
        "funds" on an index; "constituents" of an index; "sector" of the scenario; "rank" among the constituents of
        the main index by weight.
    name : str
        "*" for all.
    """

    kind: str
    selector: str
    name: str


def parse_target(text: str) -> Target | None:
    """Return what a target's text means, None where it means nothing; see ``TARGET_RULE``."""
    kind, _, rest = text.partition(":")
    selector, parted, name = rest.rpartition(":")
    if kind not in TARGET_KINDS or not name or name != name.strip() or (parted and not selector):
        return None
    if kind in {"rate", "exchange_rate"}:
        return None if selector else Target(kind, "", name)
    return Target(kind, selector, name) if _means(selector, name) else None


def _means(selector: str, name: str) -> bool:
    if selector in KINDS_OF_UNDERLYINGS:
        return name == EVERY
    if selector == "rank":
        return re.fullmatch(r"[1-9]\d{0,3}", name, re.ASCII) is not None and int(name) <= RANK_MAX
    return selector in {"", "funds", "constituents"} or (selector == "sector" and name != EVERY)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRow:
    """One row of a scenario.

    Parameters
    ----------
    targets : tuple of str
        See ``parse_target``.
    how : {"move", "beta", "basket", "worst"}
        "move": by ``size``, a fraction (of a rate additive, a fraction a year; of a basis a fraction of the
        future's price). The others are of spots. "beta": by ``size`` × the spot's beta to the main index.
        "basket": as the constituents move, by the weights of the day; what has no weight moves by ``size``.
        "worst": by the size of ``size`` × its own largest fall (``size`` below 0) or rise over the horizon.
    size : float
        See there.
    """

    targets: tuple[str, ...]
    how: str
    size: float

    def bad(self, at: str, sectors: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, str]]:
        """Yield field, value and rule of everything that is wrong with it; ``at`` is where it stands."""
        if self.how not in HOW:
            yield f"{at}.how", self.how, f"one of {', '.join(HOW)}"
        if not self.targets:
            yield f"{at}.targets", "none", "at least one target"
        for text in self.targets:
            target = parse_target(text)
            if target is None:
                yield f"{at}.targets", text, TARGET_RULE
                continue
            if target.selector == "sector" and target.name not in sectors:
                yield (
                    f"{at}.targets",
                    text,
                    f"one of the sectors {', '.join(sectors) or '(the file has none)'}",
                )
            if self.how != "move" and target.kind != "spot":
                yield f"{at}.{self.how}", text, "a spot: the rest moves by a stated size"
            if not self._within(target.kind):
                yield f"{at}.{self.how}", str(self.size), SIZE_RULE

    def _within(self, kind: str) -> bool:
        if kind == "rate":
            return -1.0 <= self.size <= 1.0
        if self.how == "worst":
            return -SIZE_MAX <= self.size <= SIZE_MAX
        return -1.0 < self.size <= SIZE_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexExtremes:
    """The days on which the main index moved most, each a scenario; windows do not overlap.

    Parameters
    ----------
    direction : {"fall", "rise"}
        Which way.
    count : int
        How many days.
    """

    direction: str
    count: int

    def __post_init__(self) -> None:
        bad = []
        if self.direction not in DIRECTIONS:
            bad.append(("direction", self.direction, f"one of {', '.join(DIRECTIONS)}"))
        if not 1 <= self.count <= COUNT_MAX:
            bad.append(("count", str(self.count), f"from 1 to {COUNT_MAX}"))
        if bad:
            raise InputError(
                BadRecord(file="scenario", line=0, field=f"extremes.{name}", value=value, rule=rule)
                for name, value, rule in bad
            )


Past: TypeAlias = date | IndexExtremes


@dataclass(frozen=True, slots=True, kw_only=True)
class StressScenario:
    """One scenario, or the days of one kind; either ``moves`` or ``past`` says what happens.

    Parameters
    ----------
    name : str
        Each once in a library.
    family : {"historical", "hypothetical", "theme"}
        Historical scenarios take the market's own moves of ``past``; the others state theirs.
    source : str
        Where the sizes come from.
    rationale : str
        What happens, and why these sizes.
    confidence : {"high", "medium", "low"}
        Of what the source says; low where the sizes are a judgement.
    moves : tuple of MoveRow
        In order; of hypothetical scenarios and themes.
    past : date or IndexExtremes, optional
        Of historical ones.
    index_move : float, optional
        What the source says that the main index did on that one day, a simple return: where a market's histories
        say another thing, as those of a synthetic market do, they are not of that day, and it is left out.
    sectors : mapping of str to tuple of str
        Sector → codes of its companies, for targets.

    Raises
    ------
    InputError
        Listing everything that is wrong.
    """

    name: str
    family: str
    source: str
    rationale: str
    confidence: str = "low"
    moves: tuple[MoveRow, ...] = ()
    past: Past | None = None
    index_move: float | None = None
    sectors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bad := [
            BadRecord(file="scenario", line=0, field=where, value=value, rule=rule)
            for where, value, rule in self._bad()
        ]:
            raise InputError(bad)

    def _bad(self) -> Iterator[tuple[str, str, str]]:
        for where in ("name", "source", "rationale"):
            text = getattr(self, where)
            if not text.strip() or text != text.strip():
                yield where, text, "text, not empty and without blanks around it"
        for where, choices in (("family", FAMILIES), ("confidence", CONFIDENCES)):
            if getattr(self, where) not in choices:
                yield where, getattr(self, where), f"one of {', '.join(choices)}"
        historical = self.family == "historical"
        if historical != (self.past is not None) or historical == bool(self.moves):
            yield "family", self.family, "historical with a day or extremes, the others with moves"
        if self.index_move is not None and (
            not isinstance(self.past, date) or not -1 < self.index_move <= SIZE_MAX
        ):
            yield "index_move", str(self.index_move), "a number above -1 and at most 10, beside a day"
        for place, row in enumerate(self.moves):
            yield from row.bad(f"moves.{place}", self.sectors)

    def codes(self) -> dict[str, tuple[str, ...]]:
        """Return the sectors that its rows speak of, with their codes."""
        spoken = [parse_target(text) for row in self.moves for text in row.targets]
        names = [one.name for one in spoken if one is not None and one.selector == "sector"]
        return {name: self.sectors[name] for name in dict.fromkeys(names)}


def require_scenarios(scenarios: Sequence[StressScenario]) -> tuple[StressScenario, ...]:
    """Return scenarios, at least one, each name once.

    Raises
    ------
    InputError
        If there is none, or listing every name that stands again.
    """
    seen: set[str] = set()
    bad = [("", "none", "at least one scenario")] if not scenarios else []
    for one in scenarios:
        if one.name in seen:
            bad.append(("name", one.name, "stands once among the scenarios"))
        seen.add(one.name)
    if bad:
        raise InputError(
            BadRecord(file="scenarios", line=0, field=name, value=value, rule=rule)
            for name, value, rule in bad
        )
    return tuple(scenarios)
