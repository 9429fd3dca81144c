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
    date(2017, 6, 15), date(2020, 3, 6), date(2020, 3, 19),
]  # fmt: skip
MONTHS = [(2008, 10), (2011, 8), (2015, 8), (2020, 3)]
FIRST_SET = date(2023, 8, 14)
HOUSE_VALUES = (
    "portfolio_margin_floor_rate", "margin_credit", "hedging_instrument", "minimum_tick",
    "guarantee_fund_predefined_limit",
)  # fmt: skip

LINKED, DERIVATIVES, POT, MERGED = "all three linked", "HKCC and SEOCH linked", "one pot", "merged house"
SPREAD = Programme(
    name="spread credit",
    mode="spread_credit",
    houses=("HKSCC", "HKCC"),
    matching=Matching(minimum_coverage=0.99),
)
SHORT_NAMES = {
    LINKED: "two-pot",
    DERIVATIVES: "two-pot",
    POT: "one pot",
    MERGED: "merged",
    SPREAD.name: "spread credit",
}
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
    own = zip(
        *(houses.accounts.table[column] for column in ("owner", "house")),
        houses.account_risk.tolist(),
        strict=True,
    )
    alone = {(owner, house): hundredths / 100 for owner, house, hundredths in own}
    called = dict.fromkeys(books.books, 0.0)
    for participant, amount in result.participants.select("participant", "requirement").iter_rows():
        called[participant] += float(amount)
    for book in books.books:
        mine = {house: alone[book, house] for house in HOUSES if (book, house) in alone}
        row = joined.get(book, {})
        yield Outcome(
            as_of=books.as_of,
            book=book,
            programme=programme.name,
            alone=mine,
            held={house: float(row.get(f"left:{house}", amount)) for house, amount in mine.items()},
            found={key[6:]: value for key, value in row.items() if key.startswith("found:")},
            called=called[book],
            gains=tuple(books.gain(book, days) for days in (1, 2)),
            legs={house: tuple(books.gain(book, days, house) for days in (1, 2)) for house in mine},
        )


# Cases ----------------------------------------------------------------------------------------------------------


@cache
def etf_futures():
    """Return the fund against futures on every day."""
    programmes = chosen(LINKED, POT, MERGED)
    return [
        row for day in DAYS for row in outcomes(real_books.etf_futures_books(day), programmes, settings())
    ]


@cache
def month(year, number):
    """Return the same on every day of a month with two days of trading after it, under two programmes."""
    days = real_books.fund_days(year, number)
    programmes = chosen(LINKED, MERGED)
    return [
        row for day in days for row in outcomes(real_books.etf_futures_books(day), programmes, settings())
    ]


PROXY_DAYS = [date(2008, 10, 24), date(2008, 10, 29)]
OWN_DAYS = date(2007, 12, 31)


def own_days_only():
    """Return scenarios of the fund's own days of 2008: 120 after a warm-up of 60, and the 60 worst."""
    used = FilteredHistorical(warm_up_days=60)
    return ScenarioSettings(
        parts=(
            PartRules(name="HVaR", selection=LookBack(scenarios=120), weight=0.75, filtering=used),
            PartRules(
                name="SVaR", selection=WorstDays(factor="spot:HSI", scenarios=60, skip_days=60), confidence="0.98",
                weight=0.25,
            ),
        ),
        rules=HistoryRules(proxy_method="none"),
    )  # fmt: skip


def filled(method):
    """Return HKSCC's published parts, with days before the fund's first price filled by a method."""
    return ScenarioSettings(
        parts=hkscc_parts(WorstDays(factor="spot:HSI")), rules=HistoryRules(proxy_method=method)
    )


@cache
def proxies():
    """Return the fund against futures in 2008 by three ways to make its missing history."""
    ways = {
        "β × index + a drawn residual": (filled("residual"), None),
        "the index, scaled: no residual": (filled("scaled"), None),
        "own days of 2008 only": (own_days_only(), OWN_DAYS),
    }
    return {
        (way, day): outcomes(
            real_books.etf_futures_books(day, since=since),
            chosen(LINKED, MERGED),
            settings(scenarios=scenarios),
        )
        for day in PROXY_DAYS
        for way, (scenarios, since) in ways.items()
    }


@cache
def baskets():
    """Return baskets of members against futures on every day."""
    programmes = [*chosen(LINKED, POT, MERGED), SPREAD]
    return [row for day in DAYS for row in outcomes(real_books.basket_books(day), programmes, settings())]


def derivative_designs():
    return [*chosen(DERIVATIVES), *chosen(POT, MERGED, houses=("HKCC", "SEOCH"))]


@cache
def options():
    """Return books of HKCC and SEOCH with modelled options on every day."""
    programmes = derivative_designs()
    return [row for day in DAYS for row in outcomes(real_books.option_books(day), programmes, settings())]


@cache
def chain():
    """Return the same on the published settlement prices of April 2024."""
    return outcomes(real_books.chain_books(), derivative_designs(), settings())


ABROAD = {
    "SPY against ES futures": (real_books.spy_books, "SPY"),
    "SPY against the index": (lambda day: real_books.spy_books(day, futures=False), "SPY"),
    "7-year Treasury against ZN futures": (lambda day: real_books.treasury_books(day, 7), "UST7"),
    "10-year Treasury against ZN futures": (lambda day: real_books.treasury_books(day, 10), "UST10"),
    "JGB 10-year point against 7-year point": (real_books.jgb_books, "JGB10"),
}
FLOORED = "SPY"  # a floor of HKSCC for shares says nothing of bonds


@cache
def abroad(pair):
    """Return one pair of America or Japan on every day."""
    make, fund = ABROAD[pair]
    used = settings(fund, floor=None if fund == FLOORED else 0.0)
    return [row for day in DAYS for row in outcomes(make(day), chosen(LINKED, POT, MERGED), used)]


# Tables ---------------------------------------------------------------------------------------------------------


def thousands(amount):
    return f"{round(amount / THOUSAND):,}".replace("-", "−")


def percent(share):
    return f"{share:.0%}".replace("-", "−")


def cell(row):
    """Return margin and saving under a programme, and what was missing in bold."""
    text = f"{thousands(row.requirement)} ({percent(row.saving)})"
    return f"{text} **short {thousands(row.short)}**" if row.short else text


def leg_cell(row, house):
    """Return the stand-alone margin of a leg, and what was missing over its own horizon in bold."""
    missing = row.leg_loss(house) - row.alone[house]
    text = thousands(row.alone[house])
    return f"{text} **short {thousands(missing)}**" if missing > 0 else text


def lines(head, rows):
    return "\n".join([f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows)])


def by_book(rows):
    """Return the outcomes of each day and book, by programme."""
    found = {}
    for row in rows:
        found.setdefault((row.as_of, row.book), {})[row.programme] = row
    return found


def table(rows):
    """Return the table of outcomes, a line a day and book, and a line on what was not covered."""
    programmes = list(dict.fromkeys(row.programme for row in rows))
    houses = list(rows[0].alone)
    head = [
        "day", "book", *(f"{house} alone" for house in houses), *(SHORT_NAMES[name] for name in programmes),
        "gain in 1 day", "in 2 days", *(f"{house} leg in 2 days" for house in houses),
    ]  # fmt: skip
    body = []
    for (day, book), under_each in by_book(rows).items():
        first = next(iter(under_each.values()))
        body.append([
            str(day), book, *(leg_cell(first, house) for house in houses),
            *(cell(under_each[name]) for name in programmes), *map(thousands, first.gains),
            *(thousands(first.legs[house][-1]) for house in houses),
        ])  # fmt: skip
    return f"{lines(head, body)}\n\n{summary(rows)}"


def summary(rows):
    """Return in words how often each programme's margin was not enough."""
    programmes = list(dict.fromkeys(row.programme for row in rows))
    said = []
    for name in programmes:
        mine = [row for row in rows if row.programme == name]
        missed = [row for row in mine if row.short]
        worst = max(mine, key=lambda row: row.short)
        text = f"{SHORT_NAMES[name]} not enough in {len(missed)} of {len(mine)} cases"
        if missed:
            text += f", at worst by {thousands(worst.short)} thousand ({worst.as_of}, {worst.book})"
        said.append(text)
    legs = [(row, house) for row in rows if row.programme == programmes[0] for house in row.alone]
    single = sum(row.leg_loss(house) > row.alone[house] for row, house in legs)
    said.append(f"stand-alone margins not enough for {single} of {len(legs)} legs")
    return "; ".join(said) + "."


def held_line(rows):
    """Return in words how often a house held less than its own leg lost, and calls less than the loss."""
    said = []
    for name in dict.fromkeys(row.programme for row in rows):
        mine = [row for row in rows if row.programme == name]
        losing = [(row, house) for row in mine for house in row.held if row.leg_loss(house) > 0]
        less = sum(row.leg_loss(house) > row.held[house] for row, house in losing)
        called = sum(row.loss > row.called for row in mine)
        said.append(
            f"{SHORT_NAMES[name]}: {less} of {len(losing)} losing legs; called less than the book lost in {called} of "
            f"{len(mine)} cases"
        )
    return "; ".join(said) + "."


def month_table(months):
    """Return how often each programme's margin was not enough in each month."""
    head = ["month", "cases", "stand-alone legs short"]
    names = [LINKED, MERGED]
    for name in names:
        head += [f"{SHORT_NAMES[name]}: mean saving", "not enough", "largest shortfall"]
    body = []
    for (year, number), rows in months.items():
        first = [row for row in rows if row.programme == LINKED]
        single = sum(row.leg_loss(house) > row.alone[house] for row in first for house in row.alone)
        line = [f"{year}-{number:02}", str(len(first)), f"{single} of {2 * len(first)}"]
        for name in names:
            mine = [row for row in rows if row.programme == name]
            mean = sum(row.saving for row in mine) / len(mine)
            worst = max(mine, key=lambda row: row.short)
            told = f"{thousands(worst.short)} ({worst.as_of}, {worst.book})" if worst.short else "none"
            line += [percent(mean), str(sum(row.short > 0 for row in mine)), told]
        body.append(line)
    return lines(head, body)


def proxy_table(found):
    """Return margins and losses of both books by each way to make the fund's missing history."""
    head = ["day", "book", "history of the fund before 2008", "two-pot", "merged", "loss"]
    body = [
        [str(day), linked.book, way, cell(linked), cell(merged), thousands(linked.loss)]
        for (way, day), rows in found.items()
        for linked, merged in (under_each.values() for under_each in by_book(rows).values())
    ]
    return lines(head, body)


PUBLISHED = [
    ("index futures against all constituents, India, same expiry", "75% (65% other expiries)", "baskets"),
    ("Treasuries against Treasury futures, CME and FICC", "up to 80%", "7-year Treasury against ZN futures"),
    ("the same", "up to 80%", "10-year Treasury against ZN futures"),
    ("10-year Treasury future against swap, CME", "79%", "7-year Treasury against ZN futures"),
    ("JGB futures, TONA futures and swaps, JSCC", "50–60%", "JGB 10-year point against 7-year point"),
    ("S&P 500 futures against SPY", "none in the data", "SPY against ES futures"),
    ("the same", "none in the data", "SPY against the index"),
]


def span_of(values):
    low, high = min(values), max(values)
    return f"{percent(low)}–{percent(high)}" if percent(low) != percent(high) else percent(low)


def published_table():
    """Return published reductions beside ours over all days and both ways round."""
    head = ["published for", "reduction", "our book", "two-pot: given", "HKSCC's method finds", "PRiME finds",
            "one pot: given", "merged, no cap", "loss above two-pot", "above merged"]  # fmt: skip
    body = []
    for what, reduction, pair in PUBLISHED:
        rows = baskets() if pair == "baskets" else abroad(pair)
        linked, pot, merged = (
            [row for row in rows if row.programme == name] for name in (LINKED, POT, MERGED)
        )
        body.append([
            what, reduction, "basket of members against HSI futures" if pair == "baskets" else pair,
            span_of([row.saving for row in linked]), span_of([row.found["hkscc_var"] for row in linked]),
            span_of([row.found["prime"] for row in linked]), span_of([row.saving for row in pot]),
            span_of([row.saving for row in merged]),
            f"{sum(row.short > 0 for row in linked)} of {len(linked)}",
            f"{sum(row.short > 0 for row in merged)} of {len(merged)}",
        ])  # fmt: skip
    return lines(head, body)


TABLES = {
    "etf-futures": lambda: table(etf_futures()),
    "etf-futures-held": lambda: held_line(etf_futures()),
    "etf-futures-months": lambda: month_table({key: month(*key) for key in MONTHS}),
    "etf-futures-history": lambda: proxy_table(proxies()),
    "baskets": lambda: table(baskets()),
    "options": lambda: table(options()),
    "options-2024": lambda: table(chain()),
    "published": published_table,
    "spy": lambda: table(abroad("SPY against ES futures")),
    "treasuries": lambda: table(abroad("7-year Treasury against ZN futures")),
    "treasuries-10": lambda: table(abroad("10-year Treasury against ZN futures")),
    "jgb": lambda: table(abroad("JGB 10-year point against 7-year point")),
}
"""What the page shows between two comments with the name."""


def shown(name, text=None):
    """Return what the page has under a name."""
    found = re.search(_between(name), text or PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found, f"{PAGE.name} lacks the table {name}"
    return found[2].strip()


def _between(name):
    return rf"(<!-- {name} -->\n)(.*?)(<!-- end -->)"


def write(names):
    """Write tables into the page."""
    text = PAGE.read_text(encoding="utf-8")
    for name in names:
        made = TABLES[name]()
        text = re.sub(
            _between(name),
            lambda found, made=made: f"{found[1]}\n{made}\n\n{found[3]}",
            text,
            flags=re.DOTALL,
        )
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(sys.argv[1:] or TABLES)
