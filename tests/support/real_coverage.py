"""The tables of ``docs/concepts/coverage-on-real-data.md``, and the program that writes them.

``python tests/support/real_coverage.py`` writes every table and plot, or the tables named; tests compare them. All of
them take some minutes: most of it goes to baskets margined by both houses' models, and to switches turned on 30 stocks.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import real_offsets
import real_published
from real_books import MEMBERS
from real_evidence import lines
from real_history import TODAY, Switches
from real_margins import (
    BOTH_ALONE,
    CASH_AFTER,
    CASH_ALONE,
    FUTURES_AFTER,
    FUTURES_ALONE,
    MERGED,
    ONE_POT,
    TWO_POT,
    Line,
    basket_books,
    basket_two_pots,
    closed_out,
    fund_books,
    index_margins,
    joint_margins,
    stock_margins,
    two_pot_days,
)

from crossmargin.validation.backtest import backtest
from crossmargin.validation.coverage import ZONES

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "coverage-on-real-data.md"
ASKED = 0.99


def rate(share, digits=2):
    """Return a share as a percentage."""
    return f"{share:.{digits}%}"


def chance(p_value):
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def cell(exceeded, judged):
    """Return how many exceedances and how much coverage, in bold where it is below what is asked for."""
    covered = 1 - exceeded / judged
    text = f"{exceeded} ({rate(covered)})"
    return f"**{text}**" if covered < ASKED else text


def counts(those):
    """Return exceedances and judged days of lines together."""
    return sum(int(line.exceeded.sum()) for line in those), sum(int(line.judged.sum()) for line in those)


def years_of(those):
    return sorted({year for line in those for year in np.unique(line.years).tolist()})


def by_year(groups):
    """Return the table of exceedances and coverage by year of groups of lines, a column a group."""
    each = [line for those in groups.values() for line in those]
    body = []
    for year in years_of(each):
        found = [counts([line.only(year) for line in those]) for those in groups.values()]
        body.append([str(year), *(cell(*pair) if pair[1] else "" for pair in found)])
    body.append(["all", *(cell(*counts(those)) for those in groups.values())])
    return lines(["year", *groups], body)


def tested(line):
    """Return the backtest of a line."""
    held = line.judged[:, None]
    gain = np.nan_to_num(line.gain)[:, None]
    return backtest(line.margin[:, None], gain, confidence=ASKED, horizon_days=line.horizon, held=held)


def tests_of(those):
    """Return the table of statistics of lines, one a row."""
    head = ["book", "margin", "horizon", "mean margin", "observations", "exceedances", "coverage", "Kupiec p",
            "independence p", "conditional p", "zone", "average uncovered", "peak uncovered", "on"]  # fmt: skip
    body = []
    for line in those:
        found = tested(line)
        at = int(found.peak_at[0])
        exceeded = int(found.exceedances[0])
        body.append([
            line.book, line.what, f"{line.horizon} d", rate(float(line.margin.mean())),
            f"{int(found.observations[0]):,}", str(exceeded), rate(float(found.coverage[0])),
            *(chance(float(test.p_value[0])) for test in (found.kupiec, found.independence, found.conditional)),
            ZONES[int(found.zone[0])],
            *((rate(float(found.average_uncovered[0])), rate(float(found.peak_uncovered[0])), str(line.days[at]))
              if exceeded else ("", "", "")),
        ])  # fmt: skip
    return lines(head, body)


# Single instruments ----------------------------------------------------------------------------------------------


def index_lines():
    return [line for name in ("HSI", "HSCEI") for line in index_margins(name)]


def index_years():
    """Return coverage by year of both index futures."""
    head = {"PRiME": "PRiME, 1 d", "joint model": "joint, 2 d"}
    return by_year({f"{line.book}: {head[line.what]}": [line] for line in index_lines()})


def stock_years():
    """Return coverage by year of all stocks together, and how many are below what is asked for."""
    those = stock_margins()
    body = []
    for year in years_of(those):
        mine = [line.only(year) for line in those]
        mine = [line for line in mine if line.judged.any()]
        long, short = ([line for line in mine if line.book.startswith(way)] for way in ("long", "short"))
        below = [line for line in mine if below_asked(line)]
        worst = max(mine, key=lambda line: int(line.exceeded.sum()))
        peak = max(mine, key=lambda line: float(line.uncovered.max()))
        body.append([
            str(year), cell(*counts(long)), cell(*counts(short)), f"{len(below)} of {len(mine)}",
            f"{worst.book}: {cell(*counts([worst]))}",
            f"{rate(float(peak.uncovered.max()))} ({peak.book}, {peak.days[peak.uncovered.argmax()]})",
        ])  # fmt: skip
    body.append(["all", *(cell(*counts([line for line in those if line.book.startswith(way)])) for way in ("long", "short")),
                 f"{sum(below_asked(line) for line in those)} of {len(those)}", "", ""])  # fmt: skip
    return lines(
        ["year", "long", "short", "below 99% in the year", "most exceedances", "peak uncovered"], body
    )


def below_asked(line):
    return int(line.exceeded.sum()) > (1 - ASKED) * int(line.judged.sum())


def stock_list():
    """Return the statistics of each stock, long and short."""
    those = {line.book: line for line in stock_margins()}
    body = []
    for name in MEMBERS:
        row = [name]
        for way in ("long", "short"):
            line = those[f"{way} {name}"]
            found = tested(line)
            row += [
                cell(*counts([line])), chance(float(found.kupiec.p_value[0])),
                chance(float(found.independence.p_value[0])),
                f"{rate(float(found.peak_uncovered[0]))} ({line.days[int(found.peak_at[0])]})" if line.exceeded.any() else "",
            ]  # fmt: skip
        body.append(row)
    columns = ("coverage", "Kupiec p", "independence p", "peak uncovered")
    return lines(["stock", *(f"{way}: {column}" for way in ("long", "short") for column in columns)], body)


# Hedged books ----------------------------------------------------------------------------------------------------

BEFORE = (CASH_ALONE, FUTURES_ALONE, BOTH_ALONE)
AFTER = (TWO_POT, ONE_POT, MERGED, CASH_AFTER, FUTURES_AFTER)


def both_ways(those):
    """Return lines grouped by margin, both ways round of a book together."""
    return {what: [line for line in those if line.what == what] for what in (*BEFORE, *AFTER)
            if any(line.what == what for line in those)}  # fmt: skip


def lines_of(books):
    return [line for book in books for line in book.lines()]


@cache
def basket_exact(days=None):
    """Return the lines of baskets on every tenth day, or on some days."""
    return basket_two_pots(days or two_pot_days())


def hedged_lines():
    """Return the lines of every hedged book by daily margins."""
    return [*lines_of(fund_books()), *lines_of(basket_books()), *lines_of(basket_books(weighting="equal"))]


WHOLE = (BOTH_ALONE, TWO_POT, ONE_POT, MERGED)


def saving_table():
    """Return what the designs save on average, and the largest reduction of both margins alone that holds at 99%."""
    body = []
    for books in (fund_books(), basket_books(), basket_books(weighting="equal")):
        for book in books:
            found = {line.what: line for line in book.lines()}
            alone = found[BOTH_ALONE].margin.mean()
            saved = [
                rate(1 - found[what].margin.mean() / alone, 0) if what in found else ""
                for what in (TWO_POT, ONE_POT, MERGED)
            ]
            each = [largest_cut(found[what]) for what in (CASH_ALONE, FUTURES_ALONE, BOTH_ALONE)]
            body.append([book.name, *saved, *(rate(cut, 0) for cut in each)])
    return lines(["book", "two-pot saves", "one pot saves", "merged saves", "largest cut: cash leg by itself",
                  "futures leg by itself", "both for the whole"], body)  # fmt: skip


def largest_cut(line):
    """Return the largest share by which every margin of a line may be cut and still cover so much; below 0, a rise."""
    offset = real_offsets.Offset(line.book, line.horizon, line.days, line.margin[:, None], line.gain[:, None])
    return offset.break_even(ASKED)


# Where it was not enough, and what restores it -------------------------------------------------------------------


def short_years(those):
    """Return lines by year that cover less than asked for."""
    found = []
    for line in those:
        for year in years_of([line]):
            mine = line.only(year)
            if mine.judged.any() and below_asked(mine):
                found.append((year, mine))
    return sorted(found, key=lambda pair: (pair[0], pair[1].book, pair[1].what))


def short_table(those):
    """Return the table of years of lines below what is asked for, with the days of the exceedances."""
    body = [
        [
            str(year),
            line.book,
            line.what,
            cell(*counts([line])),
            rate(float(line.uncovered.max())),
            when(line),
        ]
        for year, line in short_years(those)
    ]
    return (
        lines(["year", "book", "margin", "exceedances", "peak uncovered", "days"], body) if body else "None."
    )


def when(line):
    """Return the days of the exceedances as month and day; of a horizon of two days, those on which it began."""
    return ", ".join(str(day)[5:] for day in line.days[line.exceeded])


SWITCHES = {
    "today": TODAY,
    "λ 0.94": Switches(decay=0.94),
    "λ 0.99": Switches(decay=0.99),
    "floor of ten years": Switches(floor_days=2500),
    "never scaled down": Switches(ratio_min=1.0),
    "stressed weight 0.5": Switches(stressed_weight=0.5),
    "confidence 0.998": Switches(confidence="0.998"),
    "buffer 25%": Switches(buffer=0.25),
    "ten years and buffer 25%": Switches(floor_days=2500, buffer=0.25),
}


def switch_table(make, cases):
    """Return coverage of some books and years under each switch, and what it costs.

    ``make`` returns lines under switches; ``cases`` maps a heading to a filter on (year, line).
    """
    body = []
    today = None
    for name, switches in SWITCHES.items():
        those = make(switches)
        mean = float(np.mean([line.margin.mean() for line in those]))
        today = today or mean
        row = [name, f"{mean / today:.2f}"]
        for chosen in cases.values():
            picked = [line.only(year) for line in those for year in years_of([line]) if chosen(year, line)]
            row.append(cell(*counts(picked)))
        body.append(row)
    return lines(["switch", "mean margin, today = 1", *cases], body)


def in_year(year, way=""):
    """Return a filter of lines in a year, of books whose name begins so."""
    return lambda at, line: at == year and line.book.startswith(way)


def everything(_year, _line):
    return True


ALL_YEARS = {"all years, both ways": everything}


def index_switches(switches):
    return [line for name in ("HSI", "HSCEI") for line in joint_margins(name, switches)]


INDEX_CASES = {
    "long HSI 2008": in_year(2008, "long HSI"), "short HSI 2008": in_year(2008, "short HSI"),
    "long HSCEI 2008": in_year(2008, "long HSCEI"), "short HSCEI 2008": in_year(2008, "short HSCEI"), **ALL_YEARS,
}  # fmt: skip

STOCK_CASES = {
    "long 2008": in_year(2008, "long"), "short 2008": in_year(2008, "short"), "long 2020": in_year(2020, "long"),
    "long 2022": in_year(2022, "long"), "short 2024": in_year(2024, "short"), **ALL_YEARS,
}  # fmt: skip


def equal_merged(switches):
    """Return the lines of the equal basket in a merged house."""
    return [line for book in basket_books(switches, "equal") for line in book.lines() if line.what == MERGED]


BASKET_CASES = {
    "short basket 2021": in_year(2021, "short"), "short basket 2022": in_year(2022, "short"),
    "long basket 2022": in_year(2022, "long"), **ALL_YEARS,
}  # fmt: skip

CAPS = (0.80, 0.70, 0.60, 0.50)


def cap_table():
    """Return what one pot covers of the equal basket with lower caps on the saving."""
    body = []
    today = None
    for cap in CAPS:
        those = [capped(book, cap) for book in basket_books(weighting="equal")]
        mean = float(np.mean([line.margin.mean() for line in those]))
        today = today or mean
        picked = [
            [line.only(year) for line in those for year in years_of([line]) if chosen(year, line)]
            for chosen in BASKET_CASES.values()
        ]
        body.append([rate(cap, 0), f"{mean / today:.2f}", *(cell(*counts(those)) for those in picked)])
    return lines(["cap", "mean margin, cap of 80% = 1", *BASKET_CASES], body)


def capped(book, cap):
    """Return the line of one pot of a book with another cap."""
    line = next(line for line in book.lines() if line.what == ONE_POT)
    return replace(line, margin=np.minimum(book.alone, np.maximum(book.joint, (1 - cap) * book.alone)))


LEG_CAPS = (0.80, 0.60, 0.40, 0.30, 0.25)


def leg_table():
    """Return what is left at each house against its own leg of the fund and the futures, by the cap of two pots."""
    body = []
    for cap in LEG_CAPS:
        row = [rate(cap, 0)]
        for what in (CASH_ALONE, FUTURES_ALONE):
            those = [
                replace(line, margin=line.margin * (1 - np.minimum(1 - book.kept, cap)))
                for book in fund_books() for line in book.lines() if line.what == what
            ]  # fmt: skip
            row += [cell(*counts(those)), rate(max(float(line.uncovered.max()) for line in those))]
        body.append(row)
    return lines(
        [
            "cap of two pots",
            "cash leg after, 2 d",
            "peak uncovered",
            "futures leg after, 1 d",
            "peak uncovered",
        ],
        body,
    )


def horizon_table():
    """Return what PRiME's scan range covers if closing out takes longer than its horizon."""
    body = []
    for margined in (1, 2):
        for closed in (1, 2):
            row = [f"{margined} d", f"{closed} d"]
            for name in ("HSI", "HSCEI"):
                those = closed_out(name, margined, closed)
                row += [cell(*counts([line.only(2008) for line in those])), cell(*counts(those))]
            body.append(row)
    return lines(
        ["margin over", "loss over", "HSI 2008", "HSI, all years", "HSCEI 2008", "HSCEI, all years"], body
    )


# Published reductions --------------------------------------------------------------------------------------------

PUBLISHED = {
    "JSCC, 50–60%": (0.60, [*real_offsets.JGBS]),
    "CME–FICC, up to 80%": (0.80, [*real_offsets.TREASURIES]),
    "none, for comparison at 80%": (0.80, [real_offsets.SPY]),
}
INDIA = {"basket by turnover, HSI futures": 0.75, "equal basket, HSI futures": 0.75, "Tracker Fund, HSI futures": 0.75,
         "HSI against HSCEI futures": 0.70}  # fmt: skip


def offset_cells(offset, reduction):
    """Return the columns of an offset under a reduction; of both ways round, the worse."""
    ways = [offset_line(offset, reduction, way) for way in (0, 1)]
    worse = max(ways, key=lambda line: int(line.exceeded.sum()))
    peak = max(ways, key=lambda line: float(line.uncovered.max()))
    size = float(peak.uncovered.max())
    return [
        f"{int(worse.judged.sum()):,}", cell(*counts([worse])), chance(float(tested(worse).kupiec.p_value[0])),
        f"{rate(size)} ({peak.days[peak.uncovered.argmax()]})" if size else "", rate(offset.break_even(), 0),
        rate(offset.break_even(0.999), 0), "**no**" if any(map(below_asked, ways)) else "yes",
    ]  # fmt: skip


def offset_brief(offset, reduction):
    """Return coverage, the worse way round, and the break-even reduction."""
    ways = [offset_line(offset, reduction, way) for way in (0, 1)]
    worse = max(ways, key=lambda line: int(line.exceeded.sum()))
    return [cell(*counts([worse])), rate(offset.break_even(), 0)]


def offset_line(offset, reduction, way):
    """Return one way round of a pair as a line whose margins are cut."""
    words = f"{('long', 'short')[way]} {offset.name}"
    margin = (1 - reduction) * offset.alone[:, way]
    return Line(
        words, f"cut by {rate(reduction, 0)}", offset.horizon, offset.days, margin, offset.gain[:, way]
    )


OFFSET_HEAD = [
    "published", "pair", "horizon", "days", "coverage at the published cut", "Kupiec p",
    "peak uncovered", "break-even cut, 99%", "99.9%", "covered?",
]  # fmt: skip


def abroad_table():
    """Return the pairs of Japan and America cut as published, and the cut that would have been covered."""
    body = []
    for published, (reduction, labels) in PUBLISHED.items():
        for label in labels:
            for horizon in (1, 2):
                offset = real_offsets.abroad(label, horizon)
                lower = real_offsets.abroad(label, horizon, real_offsets.CONFIDENCES[1])
                body.append([
                    published, label, f"{horizon} d", *offset_cells(offset, reduction),
                    *offset_brief(lower, reduction),
                ])  # fmt: skip
    return lines([*OFFSET_HEAD, "legs margined at 0.975: coverage", "break-even cut, 99%"], body)


def india_table():
    """Return the pairs of Hong Kong cut as India cuts."""
    body = []
    for label, reduction in INDIA.items():
        offset = real_offsets.hong_kong()[label]
        words = f"India, {rate(reduction, 0)}"
        body.append([words, label, f"{offset.horizon} d", *offset_cells(offset, reduction)])
    return lines(OFFSET_HEAD, body)


def every_offset():
    """Yield each pair with its published reduction."""
    for reduction, labels in PUBLISHED.values():
        yield from (
            (real_offsets.abroad(label, horizon), reduction) for label in labels for horizon in (1, 2)
        )
    yield from ((real_offsets.hong_kong()[label], reduction) for label, reduction in INDIA.items())


def offset_years():
    """Return the years in which a pair, cut as published, covered less than asked for; the worse way round."""
    body = []
    for offset, reduction in every_offset():
        ways = [offset_line(offset, reduction, way) for way in (0, 1)]
        for year in years_of(ways):
            worse = max((line.only(year) for line in ways), key=lambda line: int(line.exceeded.sum()))
            if worse.judged.any() and below_asked(worse):
                body.append([
                    worse.book, f"{worse.horizon} d", rate(reduction, 0), str(year), cell(*counts([worse])),
                    rate(float(worse.uncovered.max())),
                ])  # fmt: skip
    return lines(["pair", "horizon", "cut", "year", "coverage", "peak uncovered"], body)


# The page --------------------------------------------------------------------------------------------------------


def hedged_short():
    """Return the years of hedged books below what is asked for; legs after two pots, which are below in all, apart."""
    return short_table([line for line in hedged_lines() if line.what not in {CASH_AFTER, FUTURES_AFTER}])


TABLES = {
    "indices-by-year": index_years,
    "indices-tests": lambda: tests_of(index_lines()),
    "indices-below": lambda: short_table(index_lines()),
    "stocks-by-year": stock_years,
    "stocks-below": lambda: short_table(stock_margins()),
    "stocks": stock_list,
    "fund-by-year": lambda: by_year(both_ways(lines_of(fund_books()))),
    "basket-by-year": lambda: by_year(both_ways(lines_of(basket_books()))),
    "equal-by-year": lambda: by_year(both_ways(lines_of(basket_books(weighting="equal")))),
    "hedged-tests": lambda: tests_of(hedged_lines()),
    "hedged-below": hedged_short,
    "savings": saving_table,
    "legs": leg_table,
    "horizon": horizon_table,
    "caps": cap_table,
    "offsets-abroad": abroad_table,
    "offsets-india": india_table,
    "offsets-below": offset_years,
    "published-levels": real_published.levels_table,
    "published-gap": real_published.gap_table,
    "published-lag": real_published.lag_table,
    "published-correlation": real_published.correlation_line,
    "basket-two-pots": lambda: by_year({
        f"{name}: {what}": [line for line in basket_exact() if name in line.book and line.what == what]
        for name in ("turnover", "equal") for what in (TWO_POT, CASH_AFTER, FUTURES_AFTER)
    }),
    "switches-indices": lambda: switch_table(index_switches, INDEX_CASES),
    "switches-stocks": lambda: switch_table(stock_margins, STOCK_CASES),
    "switches-basket": lambda: switch_table(equal_merged, BASKET_CASES),
}  # fmt: skip
"""What the page shows between two comments with the name; the last four take longest."""


def shown(name, text=None):
    """Return what the page has under a name."""
    found = re.search(between(name), text or PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found, f"{PAGE.name} lacks the table {name}"
    return found[2].strip()


def between(name):
    return rf"(<!-- {name} -->\n)(.*?)(<!-- end -->)"


def write(names):
    """Write tables into the page."""
    for name in names:
        made = TABLES[name]()
        text = PAGE.read_text(encoding="utf-8")
        replaced = re.sub(
            between(name), lambda found, made=made: f"{found[1]}\n{made}\n\n{found[3]}", text, flags=re.DOTALL
        )
        PAGE.write_text(replaced, encoding="utf-8")


if __name__ == "__main__":
    write(sys.argv[1:] or TABLES)
    real_published.draw()
