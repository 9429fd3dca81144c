"""What programmes ask for real books, beside what the books lost; and the tables of ``docs/concepts/evidence.md``.

``python tests/support/real_evidence.py`` writes the tables into the page, or only those named; tests compare them.
Amounts in tables are thousands; a gain is positive.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import real_books

from crossmargin.formats.programme_files import designs
from crossmargin.models.hkscc.participant import HksccParticipant
from crossmargin.models.market import HOUSES
from crossmargin.models.scenarios.build import ScenarioSettings
from crossmargin.models.scenarios.filtered import FilteredHistorical
from crossmargin.models.scenarios.history_rules import HistoryRules
from crossmargin.models.scenarios.part_rules import PartRules, hkscc_parts
from crossmargin.models.scenarios.selection import LookBack, WorstDays
from crossmargin.parameters.loading import set_in_force
from crossmargin.programmes.evaluate import evaluate
from crossmargin.programmes.houses import HouseSettings
from crossmargin.programmes.opening import open_houses
from crossmargin.programmes.programme import Matching, Programme

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "evidence.md"
DAYS = [
    date(2008, 10, 15), date(2008, 10, 24), date(2011, 8, 5), date(2013, 5, 15), date(2015, 8, 21),
    date(2017, 6, 15), date(2020, 3, 6), date(2020, 3, 16),
]  # fmt: skip
MONTHS = [(2008, 10), (2011, 8), (2015, 8), (2020, 3)]
FIRST_SET = date(2023, 8, 14)
HOUSE_VALUES = (
    "portfolio_margin_floor_rate", "margin_credit", "hedging_instrument", "minimum_tick",
    "guarantee_fund_predefined_limit",
)  # fmt: skip

LINKED, DERIVATIVES, POT, MERGED = "all three linked", "HKCC and SEOCH linked", "one pot", "merged house"
SPREAD = Programme(
    name="spread credit", mode="spread_credit", houses=("HKSCC", "HKCC"), matching=Matching(minimum_coverage=0.99)
)
SHORT_NAMES = {LINKED: "two-pot", DERIVATIVES: "two-pot", POT: "one pot", MERGED: "merged", SPREAD.name: "spread credit"}
THOUSAND = 1_000


@dataclass(frozen=True)
class Outcome:
    """One book under one programme. Amounts in the market's currency; ``alone`` and ``held`` by house."""

    as_of: date
    book: str
    programme: str
    alone: dict[str, float]
    held: dict[str, float]
    found: dict[str, float]
    called: float
    gains: tuple[float, ...]
    legs: dict[str, tuple[float, ...]]

    @property
    def requirement(self):
        """Margin of the book under the programme, before HKSCC's credit."""
        return sum(self.held.values())

    @property
    def together(self):
        """Margin of the legs, each by itself."""
        return sum(self.alone.values())

    @property
    def saving(self):
        return 1 - self.requirement / self.together

    @property
    def loss(self):
        """Larger loss of the whole book after one day and after two, at least 0."""
        return max(0.0, -min(self.gains))

    @property
    def short(self):
        """By how much the loss exceeded the margin."""
        return max(0.0, self.loss - self.requirement)

    def leg_loss(self, house):
        """Loss of a leg over its house's horizon: HKSCC's worse of one and two days, the others' first day."""
        gains = self.legs[house]
        return max(0.0, -min(gains if house == "HKSCC" else gains[:1]))


def settings(hedging_instrument="2800", floor=None, scenarios=None):
    """Return settings of the houses with HKSCC's values of 2023 on whatever day; a floor of its own if given."""
    known = set_in_force("hkscc", FIRST_SET)
    values = {name: known[name] for name in HOUSE_VALUES} | {"hedging_instrument": hedging_instrument}
    if floor is not None:
        values["portfolio_margin_floor_rate"] = floor
    participant = HksccParticipant(**values, parameter_set=known["id"])
    return HouseSettings(participant=participant, hedging_instrument=hedging_instrument, scenarios=scenarios)


def chosen(*names, houses=None):
    """Return designs by name, with other houses if given."""
    found = {programme.name: programme for programme in designs()}
    picked = [found[name] for name in names]
    return [replace(programme, houses=houses) for programme in picked] if houses else picked


def outcomes(books, programmes, house_settings):
    """Return what each programme asks for each book, and what the book made; by book, then by programme."""
    houses = open_houses(books.market, books.as_of, house_settings)
    rows = [row for programme in programmes for row in under(programme, books, houses)]
    order = list(books.books)
    return sorted(rows, key=lambda row: order.index(row.book))


def under(programme, books, houses):
    """Return the outcome of each book under a programme."""
    result = evaluate(programme, houses)
    joined = {row["owner"]: row for row in result.joint_accounts.iter_rows(named=True)}
    called = dict(result.participants.group_by("participant").agg(requirement=result.participants["requirement"].sum()).iter_rows()) if False else {}
    for name, house, amount in result.participants.select("participant", "house", "requirement").iter_rows():
        called[name, house] = float(amount)
    own = account_risk(houses)
    for book in books.books:
        alone = own[book]
        row = joined.get(book)
        held = {house: float(row[f"requirement:{house}"]) for house in alone} if row else alone
        found = {key.removeprefix("found:"): value for key, value in (row or {}).items() if key.startswith("found:")}
        yield Outcome(
            as_of=books.as_of,
            book=book,
            programme=programme.name,
            alone=alone,
            held=held,
            found=found,
            called=sum(called.get((book, house), 0.0) for house in HOUSES),
            gains=tuple(books.gain(book, days) for days in (1, 2)),
            legs={house: tuple(books.gain(book, days, house) for days in (1, 2)) for house in alone},
        )
