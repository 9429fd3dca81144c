"""Write the pages of docs/reference, and the demo's output in the README, from the running code.

``python tools/generate_reference.py`` writes them; with ``--check`` it writes nothing, names the files
that differ from the code and exits 1 if there are any.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import os
import re
import sys
import tomllib
from importlib import import_module, resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

import crossmargin
from crossmargin import HksccParticipant, cli
from crossmargin.formats.hkscc import reports, rpf01_layout
from crossmargin.formats.hkscc.participant import HOUSE_KEYS
from crossmargin.formats.market import layout as market_layout
from crossmargin.formats.programme_files import TABLES as PROGRAMME_TABLES
from crossmargin.formats.records import NOUNS
from crossmargin.formats.scenario_settings import SECTIONS, TOP, PartChoices
from crossmargin.formats.span import positions as span_positions
from crossmargin.models.market import (
    MARKET_DEFAULTS,
    MARKET_KEYS,
    MARKET_NULLABLE,
    MARKET_SCHEMAS,
    market_rules,
)
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.scenarios.build import ScenarioSettings
from crossmargin.models.scenarios.filtered import FilteredHistorical
from crossmargin.models.scenarios.history_rules import HistoryRules
from crossmargin.models.scenarios.part_rules import AntiProcyclical
from crossmargin.models.scenarios.scenario_set import FACTOR_KINDS
from crossmargin.models.scenarios.selection import LookBack, WorstDays
from crossmargin.models.span.parameters import SPAN_KEYS, SPAN_SCHEMAS, SpanParameters
from crossmargin.models.span.settings import SpanSettings
from crossmargin.programmes.programme import Eligibility, Programme

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cyclopts import App

    from crossmargin.formats.records import Field

ROOT: Final = Path(__file__).parents[1]
NOTE: Final = "<!-- Written by tools/generate_reference.py: change the code, not this page. -->"
HELP_WIDTH: Final = 100
DEMO: Final = ("demo",)
DEMO_BLOCK: Final = re.compile(r"(<!-- demo -->\n```text\n).*?(```\n<!-- /demo -->)", re.DOTALL)

HEADER_MEANINGS: Final = {
    "Valuation_DT": "day whose close the parameters describe; it is the as-of date of the result",
    "HVaR_WGT": "weight of the historical measure in the blend",
    "SVaR_WGT": "weight of the stressed measure in the blend",
    "HVaR_Scen_Count": "scenarios of the historical measure",
    "SVaR_Scen_Count": "scenarios of the stressed measure",
    "STV_Count": "scenarios of the stress test; reserved by the house, carried and not used",
    "HVaR_CL": "confidence level of the historical measure",
    "SVaR_CL": "confidence level of the stressed measure",
    "HVaR_Measure": "code of the historical measure; 4 is expected shortfall over whole scenarios",
    "SVaR_Measure": "the same for the stressed measure",
    "Rounding": "the aggregate is rounded up to a multiple of this, HKD",
    "Holiday_Factor": "√H − 1, H being the number of consecutive holidays",
}
FIELD_TYPES: Final = {
    1: "historical scenario returns",
    2: "stressed scenario returns",
    3: "flat margin rate",
    4: "liquidation parameters of a stock or fund",
    5: "structured product and its underlying",
    6: "low-priced structured product",
    7: "corporate-action entitlement; a record for each benefit type of a stock",
}
SPAN_TABLES: Final = {
    "scan_points": "The sixteen scenarios.",
    "commodities": "A row a combined commodity.",
    "products": "A row a product family of an exchange.",
    "series": (
        "A row a series, in the order of `losses`, the array (series, 16) of what one long contract loses in each "
        "scenario, in the currency of its product."
    ),
    "tiers": "Ranges of months of a combined commodity.",
    "intra_spreads": "Spreads between months of one combined commodity.",
    "intra_legs": "Their legs; each names a tier or a month.",
    "spot_charges": "Delivery or spot month charges.",
    "inter_spreads": "Spreads between combined commodities.",
    "inter_legs": "Their legs.",
    "currency_rates": "Conversions that the file gives; no rule of margin uses them.",
    "skipped": "What the reader met and did not need.",
}
SPAN_COLUMNS: Final = {
    "scan_points": {
        "scenario": "number of the scenario, 1 to 16",
        "price_move": "price move in price scan ranges",
        "volatility_move": "volatility move in volatility scan ranges",
        "weight": "part of the loss that counts; already in the losses of a file",
        "paired": "scenario of the same price move and the opposite volatility move",
    },
    "commodities": {
        "commodity": "code of the combined commodity",
        "exchange": "exchange that it is listed under",
        "name": "name, empty where the file has none",
        "currency": "ISO code of the currency of all its amounts",
        "option_style": '"premium" (paid up front: option value counts) or "futures" (marked daily: it does not)',
        "cap_option_value": "whether option value counts only up to the risk of this combined commodity",
        "short_option_minimum": "money a short option of delta scaling 1, where no tier says otherwise",
        "som_method": 'short option minimum of calls and puts: "sum" or "max"',
        "price_risk_method": 'weighted price risk: "normal", "capped" (at the scan range) or "scan_range"',
        "intra_method": '"table", or "none": its spreads are not formed',
        "spot_method": '"table" or "none"; the charges themselves stand in `spot_charges`',
        "adjustment_member": "factor on the risk margin of a member",
        "adjustment_hedger": "the same of a hedger",
        "adjustment_speculator": "the same of a speculator",
        "initial_member": "initial ÷ maintenance margin of a member; carried, no rule uses it",
        "initial_hedger": "the same of a hedger",
        "initial_speculator": "the same of a speculator",
    },
    "products": {
        "exchange": "exchange",
        "product": "code",
        "product_type": (
            "FUT future, PHY physical, OOF option on a future, OOP on a physical, OOC on a combination, "
            "CMB combination, or the file's own word"
        ),
        "name": "name, empty where the file has none",
        "commodity": "combined commodity that it belongs to",
        "currency": "ISO code of the currency of its price",
        "contract_size": "money for one point of price",
        "option_style": '"premium" or "futures"',
    },
    "series": {
        "exchange": "exchange",
        "product": "code of the product",
        "product_type": "as in `products`",
        "commodity": "combined commodity",
        "right": '"C", "P", or "" for what is no option',
        "expiry": "option month of an option, else the month of the contract: YYYYMM, or with a day or week",
        "future_month": 'month of the future under an option on one, else ""',
        "delta_month": "month in which its delta counts: of the future for an option on one, else its own",
        "strike": "strike; 0 for what is no option",
        "composite_delta": "of one long contract",
        "delta_scaling": "factor on the delta: 0.2 for a mini of a fifth",
        "contract_size": "money for one point of price",
        "option_style": '"premium" or "futures"',
        "price": "settlement price, points; null where not given",
        "implied_volatility": "fraction a year; null where not given",
        "price_scan_range": "points; null where not given",
        "volatility_scan_range": "fraction; null where not given",
        "years_to_expiry": "years; null where not given",
    },
    "tiers": {
        "commodity": "combined commodity",
        "kind": '"intra", "scan", "inter" or "som"',
        "tier": "number",
        "start": "first month, empty for an open end",
        "end": "last month, included, empty for an open end",
        "rate": 'kind "som": money a short option of that tier',
    },
    "intra_spreads": {
        "spread": "number, in the order of the file",
        "commodity": "combined commodity",
        "kind": '"series" (legs name months; formed first) or "tier" (legs name tiers of kind "intra")',
        "priority": "order of forming, lowest first",
        "charge": "money for one spread",
    },
    "intra_legs": {
        "spread": "number of the spread",
        "leg": "number of the leg",
        "tier": "tier, null where the leg names a month",
        "month": "month, where the leg names one",
        "ratio": "deltas for one spread",
        "side": '"A" or "B"',
    },
    "spot_charges": {
        "commodity": "combined commodity",
        "month": "delivery month",
        "in_spreads": "money for one delta that a spread took",
        "outright": "money for one delta that is left",
    },
    "inter_spreads": {
        "spread": "number, in the order of the file",
        "group": "commodity group, where the file has one",
        "priority": "order of forming, lowest first",
        "method": '"delta", "scanning" or "tiered"',
        "credit": '"price_risk" or "flat"',
        "rate": "fraction of weighted price risk, share of gains that counts, or money for one spread where flat",
        "first": "whether it is a super spread, formed before spreads within a combined commodity",
        "minimum_legs": "legs that must be held",
        "eligibility": 'accounts that may form it: "all", "non_segregated" or "house"',
    },
    "inter_legs": {
        "spread": "number of the spread",
        "leg": "number of the leg",
        "commodity": "combined commodity",
        "tier": 'tier of kind "inter", null for the whole combined commodity',
        "ratio": "deltas for one spread",
        "side": '"A" or "B"',
        "required": "whether there is no spread without it",
        "target": "leg that the file names for a scanning-based credit; carried, no rule uses it",
        "rate": "credit rate of this leg, null where the spread's holds",
    },
    "currency_rates": {
        "currency": "ISO code",
        "to_currency": "ISO code",
        "multiplier": "amount × multiplier is in the other currency",
    },
    "skipped": {"record": "record type or element name", "count": "how many"},
}
MARKET_TABLES: Final = {
    "participants": "Clearing participants.",
    "accounts": "Accounts at the houses.",
    "underlyings": "What a price moves with.",
    "instruments": "What is cleared.",
    "positions": "What is held. Several rows of one account and instrument add up.",
    "prices": "Closing prices and levels.",
    "marks": "Settlement prices of futures and options.",
    "volatilities": "Implied volatilities at the money.",
    "dividends": "Cash dividends, announced ones among them. Several rows of one day add up.",
    "splits": "Splits and consolidations.",
    "rates": "Interest rates.",
    "weights": "What indices and funds consist of. Of each, the rows of its latest day hold.",
    "exchange_rates": "Exchange rates.",
}
MARKET_COLUMNS: Final = {
    "participants": {
        "participant": "code",
        "name": "any text without a comma",
        "group": "those under one control have the same, for concentration and default",
    },
    "accounts": {
        "account": "code",
        "participant": "who clears for it",
        "house": "where",
        "type": "type of a DCASS account",
        "basis": "whether long and short positions net",
        "owner": "whose risk it is; accounts of one owner may be margined together",
        "consent": "1 if the owner agreed to cross-margining, else 0",
    },
    "underlyings": {
        "underlying": "code",
        "kind": "what it is",
        "currency": "ISO code of the currency of its price",
        "dividend_yield": "continuous, a year; of an index. Cash dividends are a table of their own",
        "adjustment": "what the history is already adjusted for; total = splits and dividends",
        "listed": "first day of trading, empty where it is older than the history",
        "proxy": "underlying to regress on for the days before",
    },
    "instruments": {
        "instrument": "code",
        "house": "which house clears it",
        "kind": "what it is",
        "underlying": "what it moves with",
        "currency": "ISO code of the currency of its price",
        "multiplier": "money for one point of one contract; 1 for shares",
        "expiry": "last trading day",
        "right": "call or put",
        "strike": "in points",
        "style": "when it may be exercised",
        "settlement": "how the final price comes about: the close, or an average over the last day",
    },
    "positions": {
        "date": "empty holds always; of rows with a date, those of the latest day up to the one asked for count",
        "account": "whose",
        "instrument": "in what",
        "quantity": "contracts or shares, + long, − short",
    },
    "prices": {"date": "day", "underlying": "whose", "close": "close or level"},
    "marks": {"date": "day", "instrument": "whose", "price": "settlement price, points"},
    "volatilities": {
        "date": "day",
        "underlying": "whose",
        "days": "calendar days to expiry",
        "volatility": "a fraction a year",
    },
    "dividends": {
        "ex_date": "first day without the dividend",
        "underlying": "whose",
        "amount": "money for one share",
    },
    "splits": {
        "ex_date": "first day at the new price",
        "underlying": "whose",
        "ratio": "new shares for one old one",
    },
    "rates": {
        "date": "day",
        "currency": "ISO code",
        "days": "calendar days it holds for",
        "rate": "continuous, a fraction a year",
    },
    "weights": {
        "date": "day from which on they hold, until the next",
        "underlying": "index or fund",
        "constituent": "what it consists of; a fund on an index has the index as its one constituent",
        "weight": "part of its value; those of a day add up to at most 1",
    },
    "exchange_rates": {
        "date": "day",
        "currency": "ISO code",
        "rate": "units of the market's currency for one of this",
    },
}
NEEDED: Final = dict.fromkeys(("name", "mode"), "must be there")
EMPTY_DEFAULTS: Final = {
    "without_instruments": "none",
    "without_opinion": "none",
    "models": "the house's own",
}
ENGINE_TABLES: Final = {
    "history": (HistoryRules, "How histories are judged and mended."),
    "filtering": (FilteredHistorical, "How returns are scaled to today's volatility."),
    "look_back": (LookBack, "The scenarios that are the last days."),
    "stress": (WorstDays, "The scenarios that are stressed days: the worst of a factor, or periods."),
    "parts": (PartChoices, "Confidence levels, and weights of a blend."),
    "anti_procyclical": (
        AntiProcyclical,
        'What keeps margin from following the market too closely; "there" is EMIR RTS 153/2013, Article 28.',
    ),
    "revaluation": (RevaluationSettings, "How instruments are valued, today and in a scenario."),
}


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def commands(app: App, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every command as its words, parents first; a folder of commands only at the top."""
    names = [name for name in app if not name.startswith("-")]
    if not names or not path:
        yield path
    for name in names:
        yield from commands(app[name], (*path, name))


def cli_page() -> str:
    """Return the help of every command."""
    parts = [NOTE, "# Command line\n"]
    for command in commands(cli.app):
        stream = io.StringIO()
        cli.app.help_print(command, console=Console(file=stream, width=HELP_WIDTH, color_system=None))
        text = "\n".join(line.rstrip() for line in stream.getvalue().strip().split("\n"))
        parts.append(f"## `{' '.join(['crossmargin', *command])}`\n\n```text\n{text}\n```\n")
    exits = inspect.getdoc(cli) or ""
    parts.append("## Exit codes\n\n" + exits.split("Exit codes: ")[1].strip().capitalize() + "\n")
    return "\n".join(parts)


def range_of(field: Field) -> str:
    """Return the range of a field in words."""
    if field.low is not None and field.low == field.high:
        return f"{field.low:g} only"
    return field.range_rule.replace("1e+12", "10^12").replace(" -", " −")


def first_sentence(named: object) -> str:
    """Return the first paragraph of a docstring as Markdown."""
    return (inspect.getdoc(named) or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")


def field_rows(fields: Iterable[Field]) -> Iterator[tuple[str, ...]]:
    """Yield column, kind, range and whether it must be there."""
    for field in fields:
        needed = "may be left out" if field.omissible else "may be empty" if field.optional else "yes"
        yield f"`{field.title}`", field.kind, range_of(field), needed


def formats_page() -> str:
    """Return the tables of every file format."""
    heads = ("column", "kind", "range", "needed")
    kinds = table(("kind", "what stands there"), NOUNS.items())
    header = table(
        ("key", "kind", "range", "meaning"),
        (
            (f"`{field.title}`", field.kind, range_of(field), HEADER_MEANINGS[field.title])
            for field in rpf01_layout.HEADER
        ),
    )
    types = []
    for field_type, meaning in FIELD_TYPES.items():
        types.append(f"### FieldType {field_type}\n\n{meaning.capitalize()}.\n")
        if field_type in rpf01_layout.SCENARIO_MEASURES:
            key = rpf01_layout.HEADER[2 + field_type].title
            types.append(
                f"As many returns as `{key}` says, each a plain decimal from −{rpf01_layout.RETURN_MAX:.0f} to "
                f"{rpf01_layout.RETURN_MAX:.0f}. An instrument has both FieldTypes 1 and 2 or neither.\n"
            )
        else:
            types.append(table(heads, field_rows(rpf01_layout.FIELDS[field_type][2:])))
    return "\n".join(
        [
            NOTE,
            "# File formats\n",
            (
                "HKSCC's files and positions are comma-separated text in UTF-8 without quotes. CRLF line ends and a byte order mark are "
                "passed over. The last line must end with a line break. A file with a bad record is refused, and every "
                "bad record is listed with file, line, field, value and rule.\n"
            ),
            "## Kinds\n",
            kinds,
            "## Risk parameters (RPF01)\n",
            (
                "Header rows `key,value` in any order, the heading `InstrumentId,FieldType,1,2,…` as far as the larger "
                "scenario count, then records. Empty fields behind the last value of a record are passed over. Columns "
                "of FieldTypes 3 to 7 have no name in the file; the names here are those of the Python tables.\n"
            ),
            "### Header\n",
            header,
            *types,
            "## Marginable positions\n",
            "One header line; the columns may stand in any order.\n",
            table(heads, field_rows(reports.MARGINABLE_POSITIONS)),
            "## Corporate-action position adjustments\n",
            "One header line; the columns may stand in any order. An action that does not occur is empty.\n",
            table(heads, field_rows(reports.CORPORATE_ACTIONS)),
            "## Positions in futures and options\n",
            (
                "One header line; the columns may stand in any order. `Expiry` is the month or day as the risk parameter "
                "file has it, `Right` C or P, empty with `Strike` for what is no option; `Quantity` is contracts, + "
                "long, − short.\n"
            ),
            table(heads, field_rows(span_positions.FIELDS)),
            "## SPAN risk parameters\n",
            (
                "Read as they come from the house: the expanded unpacked positional format (U2, PA2) and SPAN XML "
                "(`.spn`), plain or compressed with zip or gzip, recognised by content. Both become the tables of "
                "[SPAN parameters](span-parameters.md).\n"
            ),
        ]
    )


def parameter_docs(described: type) -> dict[str, tuple[str, str]]:
    """Return name → (type, description) from the Parameters section of a docstring."""
    section = (inspect.getdoc(described) or "").split("Parameters\n----------\n")[1].split("\n\n")[0]
    documented: dict[str, tuple[str, str]] = {}
    for entry in re.split(r"\n(?=\S)", section):
        names, _, rest = entry.partition(" : ")
        kind, *lines = rest.split("\n")
        text = " ".join(line.strip() for line in lines).replace("``", "`")
        documented |= dict.fromkeys(names.split(", "), (kind.removesuffix(", optional"), text))
    return documented


def settings_page() -> str:
    """Return every participant setting, its default, and the house's dated sets."""
    documented = parameter_docs(HksccParticipant)
    house = tomllib.loads(
        resources.files("crossmargin.parameters").joinpath("hkscc.toml").read_text(encoding="utf-8")
    )["set"]
    rows = []
    for item in dataclasses.fields(HksccParticipant):
        if item.name == "parameter_set":
            continue
        kind, text = documented[item.name]
        if item.name in HOUSE_KEYS:
            default = "the house's"
        elif item.default_factory is not dataclasses.MISSING:
            default = "none"
        else:
            default = "none" if item.default in (None, "", ()) else f"`{str(item.default).lower()}`"
        rows.append((f"`{item.name}`", kind, default, text))
    parts = [
        NOTE,
        "# Participant settings\n",
        (
            "Keys of the participant file (TOML) and arguments of `hkscc_participant`. Money is HKD, rates are "
            "fractions. An unknown key is refused. `sub_margin_groups` is a table, `[sub_margin_groups]`, with a line "
            '`instrument = "group"` each.\n'
        ),
        table(("key", "type", "default", "meaning"), rows),
        "## Values of the house\n",
        "Taken from the latest set that is in force on the valuation date; a participant file may replace each.\n",
    ]
    for dated in house:
        parts.append(f"### {dated['id']}\n\nIn force from {dated['effective'].isoformat()}.\n")
        parts.append(
            table(
                ("key", "value", "source"),
                ((f"`{key}`", f"{dated[key]}", dated["source"][key]) for key in HOUSE_KEYS),
            )
        )
    return "\n".join(parts)


def prime_sets() -> str:
    """Return PRiME's dated sets."""
    text = resources.files("crossmargin.parameters").joinpath("prime.toml").read_text(encoding="utf-8")
    parts = []
    for dated in tomllib.loads(text)["set"]:
        parts.append(
            f"### {dated['id']}\n\nOf {dated['house']}, in force from {dated['effective'].isoformat()}.\n"
        )
        basis = ", ".join(f"{kind} {side}" for kind, side in dated["basis"].items())
        values = [(key, basis if key == "basis" else dated[key]) for key in dated["source"]]
        parts.append(
            table(
                ("key", "value", "source"),
                ((f"`{key}`", value, dated["source"][key]) for key, value in values),
            )
        )
    return "\n".join(parts)


def span_settings_page() -> str:
    """Return every setting of the SPAN calculation, and PRiME's dated sets."""
    documented = parameter_docs(SpanSettings)
    rows = []
    for item in dataclasses.fields(SpanSettings):
        kind, text = documented[item.name]
        rows.append((f"`{item.name}`", kind, f"`{str(item.default).lower()}`", text))
    return "\n".join(
        [
            NOTE,
            "# SPAN settings\n",
            (
                "Keys of the settings file (TOML, `crossmargin span --settings`) and arguments of `SpanSettings`. An "
                'unknown key is refused. "file" is what the risk parameter file says. On the command line the '
                "account type gives the `basis`, and another one is refused.\n"
            ),
            table(("key", "type", "default", "meaning"), rows),
            "## Values of PRiME\n",
            "Taken from the latest set that is in force on the business date of the risk parameters.\n",
            prime_sets(),
        ]
    )


def engine_rows(
    kind: type, *, only: Sequence[str] = (), without: Sequence[str] = ()
) -> Iterator[tuple[str, ...]]:
    """Yield key, type, default and meaning of the fields of a settings class."""
    documented = parameter_docs(kind)
    for item in dataclasses.fields(kind):
        if item.name in without or (only and item.name not in only):
            continue
        written, text = documented[item.name]
        if item.default is dataclasses.MISSING:
            default = NEEDED.get(item.name, "of the command")
        elif isinstance(item.default, tuple):
            default = ", ".join(f"`{value}`" for value in item.default) or EMPTY_DEFAULTS.get(
                item.name, "all"
            )
        else:
            default = (
                f"`{item.default!r}`".replace("'", '"').replace("True", "true").replace("False", "false")
            )
        if item.name == "kinds" and kind is not Eligibility:
            written = "array of " + ", ".join(f'"{kind}"' for kind in FACTOR_KINDS)
        yield f"`{item.name}`", re.sub(r"\bstr\b", "text", written), default, text


def engine_settings_page() -> str:
    """Return every table and key of the settings file of the scenario engine."""
    assert tuple(ENGINE_TABLES) == SECTIONS, "a table without a description, or in another order"
    heads = ("key", "type", "default", "meaning")
    parts = [
        NOTE,
        "# Engine settings\n",
        (
            "Keys of the settings file (TOML) of `crossmargin scenarios build`, `margin`, `whatif` and `rpf01 build`, and of the "
            "argument `given` of `engine_settings`. Every table and key may be left out; an unknown one is refused, and so is "
            "a value of another type: all of them are listed at once. Confidence levels are text, since a binary number "
            "cannot hold them. See [how to use one](../how-to/scenario-engine.md#settings).\n"
        ),
        "## Beside the tables\n",
        table(heads, engine_rows(ScenarioSettings, only=TOP)),
    ]
    for name, (kind, meaning) in ENGINE_TABLES.items():
        parts.append(f"## `[{name}]`\n\n{meaning}\n")
        parts.append(table(heads, engine_rows(kind, without=("stressed",))))
    stress = parts.index(next(part for part in parts if part.startswith("## `[stress]`"))) + 2
    parts.insert(
        stress,
        "Or `periods`, an array of `[name, first day, last day]`, beside which no other key may stand: every trading day of "
        "the periods.\n",
    )
    return "\n".join(parts)


def programme_settings_page() -> str:
    """Return every table and key of a programme file."""
    heads = ("key", "type", "default", "meaning")
    parts = [
        NOTE,
        "# Programme settings\n",
        (
            "Keys of a programme file (TOML), which `crossmargin compare --programme` and `read_programme` take. `name` and "
            "`mode` must be there; every other key may be left out, an unknown one is refused, and so is a value of another "
            "type or out of its range: all of them are listed at once. See [how to write one](../how-to/compare-designs.md).\n"
        ),
        "## Beside the tables\n",
        table(heads, engine_rows(Programme, without=tuple(PROGRAMME_TABLES))),
    ]
    for name, kind in PROGRAMME_TABLES.items():
        parts.append(f"## `[{name}]`\n\n{first_sentence(kind)}\n")
        parts.append(table(heads, engine_rows(kind)))
    return "\n".join(parts)


def span_parameters_page() -> str:
    """Return every table and column of ``SpanParameters``."""
    assert list(SPAN_TABLES) == list(SPAN_SCHEMAS), "a table without a description, or in another order"
    documented = parameter_docs(SpanParameters)
    head = [(f"`{name}`", documented[name][1]) for name in documented if name not in SPAN_SCHEMAS]
    parts = [
        NOTE,
        "# SPAN parameters\n",
        (
            "`SpanParameters` holds what a risk parameter file says, the same from every format. Losses are positive, "
            "of one long contract, final, in the currency of the product. Charges and minimums are money; "
            "credit rates are fractions. Each key column stands once, or all of them together.\n"
        ),
        table(("name", "meaning"), head),
    ]
    for name, schema in SPAN_SCHEMAS.items():
        described = SPAN_COLUMNS[name]
        assert list(described) == list(schema), f"{name}: a column without a description, or in another order"
        rows = (
            (f"`{column}`", str(kind).lower(), "key" if column in SPAN_KEYS[name] else "", described[column])
            for column, kind in schema.items()
        )
        parts.append(f"## {name}\n\n{SPAN_TABLES[name]}\n")
        parts.append(table(("column", "type", "", "meaning"), rows))
    return "\n".join(parts)


def market_column_rows(name: str) -> Iterator[tuple[str, ...]]:
    """Yield column, kind, whether it must be there, what may stand there and what it means."""
    defaults, nullable = MARKET_DEFAULTS.get(name, {}), MARKET_NULLABLE.get(name, ())
    rules = {column: rule for column, (_, rule) in market_rules(name).items()}
    for field in market_layout.table_fields(name):
        column = field.name
        kind = "any text" if isinstance(field, market_layout.FreeText) else field.kind
        default = defaults.get(column)
        needed = "yes" if column not in defaults else "no" if default is None else f"no: `{default}`"
        if column in nullable and column not in defaults:
            needed = "may be empty"
        key = "key" if column in MARKET_KEYS[name] else ""
        yield f"`{column}`", kind, key, needed, rules.get(column, ""), MARKET_COLUMNS[name][column]


def market_folder_page() -> str:
    """Return the layout of a market folder."""
    assert list(MARKET_TABLES) == list(MARKET_SCHEMAS), "a table without a description, or in another order"
    head = (
        (f"`{key}`", "no" if item.optional else "yes", item.rule, item.meaning)
        for key, item in market_layout.HEAD_KEYS.items()
    )
    parts = [
        NOTE,
        "# Market folder\n",
        (
            "Everything that is not a house's own file: who clears what for whom, instruments, positions and the histories "
            "behind. `market.toml` must be there; each table is one CSV or one Parquet file, or absent and then empty. "
            "Anything else in the folder is refused. See [how to use one](../how-to/market-folder.md).\n"
        ),
        "## Files\n",
        table(
            ("file", "what it holds"),
            [
                (f"`{market_layout.HEAD_FILE}`", "keys below"),
                *(
                    (f"`{market_layout.table_path(name, '')}` `.csv` or `.parquet`", described)
                    for name, described in MARKET_TABLES.items()
                ),
                (
                    "`houses/HKSCC.toml`",
                    "[participant settings](participant-settings.md) of HKSCC, read by `read_participant`",
                ),
                (
                    "`houses/HKCC.toml`, `houses/SEOCH.toml`",
                    "[SPAN settings](span-settings.md) of each, read by `read_span_settings`",
                ),
            ],
        ),
        (
            "The reader of the folder does not look into files of houses: what they hold does not belong to the market, nor "
            "to its content hash.\n"
        ),
        "## `market.toml`\n",
        table(("key", "needed", "value", "meaning"), head),
        (
            "A file whose SHA-256 stands there must have it. The writer puts down those of its Parquet files: a damaged "
            "one could ask for any amount of memory before anything is noticed. Take the line out when you replace a file.\n"
        ),
        "## Tables\n",
        (
            "CSV is as in [file formats](formats.md): one header line, columns in any order, no quotes. In Parquet, text is a "
            "string, `integer` a whole number, `decimal` a finite number, `date` a date; names and numbers may then be "
            "longer than CSV holds. A column that is not needed may be left out altogether, and has the value that stands "
            "there. The key columns of a table together stand once. Names must be in the table that they refer to. Prices are "
            "points in the instrument's currency; numbers keep within ±10^12.\n"
        ),
    ]
    for name, schema in MARKET_SCHEMAS.items():
        assert list(MARKET_COLUMNS[name]) == list(schema), f"{name}: a column without a description"
        parts.append(f"### {name}\n\n{MARKET_TABLES[name]}\n")
        head_line = ("column", "kind", "", "needed", "rule", "meaning")
        parts.append(table(head_line, market_column_rows(name)))
    parts.append(
        "An option has right, strike and style; a future and an option have an expiry; a position is in an instrument that "
        "the account's house clears.\n"
    )
    return "\n".join(parts)


def signature(named: object) -> str:
    """Return the call signature without quotes and shapes of annotations."""
    if isinstance(named, type) and named.__init__ is Exception.__init__:
        return "message"
    parts, keyword_only = [], False
    for parameter in inspect.signature(named).parameters.values():  # type: ignore[arg-type]
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            parts.append("*")
            keyword_only = True
        star = {parameter.VAR_KEYWORD: "**", parameter.VAR_POSITIONAL: "*"}.get(parameter.kind, "")
        kind = parameter.annotation if isinstance(parameter.annotation, str) else ""
        kind = re.sub(r"(?:Float64|Int64|Int32)\[np\.ndarray, ['\"]\s*([^'\"]*)['\"]\]", r"array[\1]", kind)
        text = f"{star}{parameter.name}: {kind}" if kind else f"{star}{parameter.name}"
        if parameter.default is not parameter.empty:
            shown = repr(parameter.default)
            text += " = …" if shown.startswith("<") else f" = {shown}"
        parts.append(text)
    return ", ".join(parts)


def members(named: object) -> Iterator[str]:
    """Yield a line for each documented method and property of a class."""
    for name, member in vars(named).items() if isinstance(named, type) else ():
        described = getattr(member, "fget", None) or getattr(member, "func", member)
        if name.startswith("_") or not inspect.isfunction(described):
            continue
        call = "" if described is not member else f"({signature(member).removeprefix('self').lstrip(', ')})"
        yield f"- `.{name}{call}`: {first_sentence(described)}\n"


def api_page() -> str:
    """Return every public name, by the module where it lives."""
    parts = [
        NOTE,
        "# Python interface\n",
        "Every public name, imported from `crossmargin`. `help(name)` has units, signs and sources.\n",
    ]
    homes: dict[str, list[str]] = {}
    for name in crossmargin.__all__:
        if not name.startswith("__"):
            homes.setdefault(getattr(crossmargin, name).__module__, []).append(name)
    for home in sorted(homes):
        title = home.removeprefix("crossmargin.")
        parts.append(f"## {title}\n\n{first_sentence(import_module(home))}\n")
        for name in homes[home]:
            named = getattr(crossmargin, name)
            returns = (
                getattr(named, "__annotations__", {}).get("return") if inspect.isfunction(named) else None
            )
            call = f"{name}({signature(named)})" + (f" -> {returns}" if returns else "")
            parts.append(f"### {name}\n\n```python\n{call}\n```\n\n{first_sentence(named)}\n")
            if lines := "".join(members(named)):
                parts.append(lines)
    return "\n".join(parts)


def demo_output() -> str:
    """Return what ``make demo`` prints."""
    captured = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n")
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(captured), contextlib.suppress(SystemExit):
        cli.main(DEMO)
    captured.flush()
    assert isinstance(captured.buffer, io.BytesIO)
    return captured.buffer.getvalue().decode()


def pages() -> dict[Path, str]:
    """Return the path and text of every generated file."""
    folder = ROOT / "docs" / "reference"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    demo = demo_output()
    assert DEMO_BLOCK.search(readme), "the README has no place for the demo's output"
    return {
        folder / "cli.md": cli_page(),
        folder / "engine-settings.md": engine_settings_page(),
        folder / "formats.md": formats_page(),
        folder / "market-folder.md": market_folder_page(),
        folder / "participant-settings.md": settings_page(),
        folder / "span-parameters.md": span_parameters_page(),
        folder / "span-settings.md": span_settings_page(),
        folder / "programme-settings.md": programme_settings_page(),
        folder / "python-api.md": api_page(),
        ROOT / "README.md": DEMO_BLOCK.sub(lambda found: found[1] + demo + found[2], readme),
    }


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with ``--check`` name those that differ."""
    if set(arguments) - {"--check"}:
        print(__doc__)
        return os.EX_USAGE
    made = pages()
    stale = [
        path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)} differs from the code: run python tools/generate_reference.py")
        return 1 if stale else 0
    for path, text in made.items():
        if path in stale:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
