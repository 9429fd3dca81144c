"""The documentation: its examples run, its links lead somewhere, its tables are complete."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest
from programme_market import FUND, FUTURE, OTHER_FUTURE, STOCK, cash, futures, houses_of

import crossmargin
from crossmargin import cli
from crossmargin.formats.span.positions import read_span_positions
from crossmargin.formats.span.recognition import read_span_parameters
from crossmargin.models.span.margin import span_margin
from crossmargin.programmes.programme import MODES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TOP = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
PAGES = [*TOP, *sorted(DOCS.rglob("*.md"))]
RUN = [ROOT / "README.md", *sorted((DOCS / "how-to").glob("*.md"))]

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
RULE_IDS = {
    "hkscc-margin": r"HKSCC-[A-Z]+-\d+",
    "span-margin": r"SPAN-[A-Z]+-\d+",
    "expected-shortfall": r"ES-[A-Z]+-\d+",
    "revaluation": r"REV-[A-Z]+-\d+",
    "cross-margining": r"XM-\d+",
    "prime-from-a-market": r"PRM-\d+",
    "backtests": r"BT-[A-Z]+-\d+",
    "default-resources": r"DR-\d+",
    "default-management": r"CO-\d+",
    "stress-tests": r"ST-\d+",
}
SOURCES = {"hkscc-margin": "§[^|]+", "span-margin": "(?:Components|PRiME|HKEX|layout|NSE|choice)[^|]*"}
HOMES = {
    "hkscc-margin": "hkscc",
    "span-margin": "span",
    "expected-shortfall": "expected_shortfall",
    "prime-from-a-market": "span",
}


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return what a link may name: headings in lower case, spaces as hyphens, without punctuation."""
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(prose(page))]
    return {heading.replace(" ", "-") for heading in plain}


@dataclass(frozen=True)
class Block:
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in BLOCK.findall(page.read_text(encoding="utf-8"))]


def run_commands(text: str) -> None:
    for line in text.replace("\\\n", " ").splitlines():
        program, *arguments = shlex.split(line)
        assert program == "crossmargin", line
        try:
            code = cli.main(arguments)
        except SystemExit as stop:
            code = stop.code
        assert not code, line


@pytest.mark.parametrize("page", RUN, ids=named)
def test_examples_run_and_print_what_the_page_says(page, tmp_path, monkeypatch, capsys):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    before = Block("", "")
    printed = ""
    for block in blocks(page):
        if block.language == "text" and before.language in {"python", "sh"}:
            assert printed == block.text, f"{named(page)}: what\n{before.text}\nprints"
        elif block.language == "python":
            exec(compile(block.text, named(page), "exec"), names)  # noqa: S102
        elif block.language == "sh":
            run_commands(block.text)
        printed = capsys.readouterr().out
        before = block


def test_examples_are_ours_to_run():
    """Every block has a language that this module knows, so that none is passed over by a slip."""
    for page in PAGES:
        assert {block.language for block in blocks(page)} <= {"python", "sh", "text"}, named(page)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page):
    for target in LINK.findall(prose(page)):
        path, _, anchor = target.partition("#")
        assert not path.startswith(("http:", "https:")), (
            f"{target}: the documentation works without a network"
        )
        place = (page.parent / path).resolve() if path else page
        assert place.is_file(), target
        assert page in TOP or place.is_relative_to(DOCS), f"{target} is not in the built site"
        assert not anchor or anchor in anchors(place), target


def test_the_site_has_every_page():
    def files(item):
        if isinstance(item, str):
            yield item
        else:
            for part in item.values() if isinstance(item, dict) else item:
                yield from files(part)

    site = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    assert sorted(files(site["nav"])) == sorted(p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md"))
    assert site["theme"]["font"] is False, "a font would be fetched from a network"


def rules(page: str) -> list[tuple[str, str, str]]:
    """Return id, module and test of every rule in the page of a method."""
    source = SOURCES.get(page, "[^|]+")
    row = rf"^\| ({RULE_IDS[page]}) \| .+ \| {source} \| `([^`]+)` \| (?:`(\w+)`|—) \|$"
    return re.findall(row, (DOCS / "concepts" / f"{page}.md").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("page", RULE_IDS)
def test_every_rule_is_in_the_table_once(page):
    text = (DOCS / "concepts" / f"{page}.md").read_text(encoding="utf-8")
    ids = [rule for rule, _, _ in rules(page)]
    assert ids == re.findall(RULE_IDS[page], text), "an id outside its row, or a row that does not parse"
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("page", "rule", "module", "test"), [(page, *rule) for page in RULE_IDS for rule in rules(page)]
)
def test_every_rule_has_its_module_and_its_test(page, rule, module, test):
    home = "crossmargin" + (module if module.startswith(".") else f".models.{HOMES.get(page, page)}.{module}")
    assert (ROOT / "src" / home.replace(".", "/")).with_suffix(".py").is_file(), module
    if not test:
        pytest.skip(f"{rule} has no test of its own")
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert any(f"\ndef {test}(" in source for source in sources), test


def glossary_terms() -> set[str]:
    """Return the headings, and the terms of those that have several."""
    headings = HEADING.findall(prose(DOCS / "glossary.md"))
    return {*headings, *(term for heading in headings for term in heading.split(", "))}


def test_every_component_of_a_result_is_in_the_glossary():
    folder = ROOT / "examples" / "hkscc"
    parameters = crossmargin.read_rpf01(folder / "RPF01.csv")
    positions = crossmargin.read_marginable_positions(folder / "positions.csv")
    terms = glossary_terms()
    for given in ({}, {"portfolio_margin_floor_rate": 0.9}, {"gain_tail": "zero"}):
        participant = crossmargin.hkscc_participant(parameters.valuation_date, ipo_stocks=["3106"], **given)
        margin = crossmargin.hkscc_margin(positions, parameters, participant)
        nodes = [*margin.breakdown.walk(), *margin.guarantee_fund_collateral.walk()]
        names = {re.sub(r" \S*\d\S*$", "", node.name) for _, node in nodes}
        assert names <= terms


def test_every_component_of_a_span_result_is_in_the_glossary():
    parameters = read_span_parameters(ROOT / "examples" / "span" / "rpf.spn")
    commodities = parameters.commodities.with_columns(
        short_option_minimum=pl.lit(1e6), cap_option_value=pl.col("commodity") == "S0004"
    )
    demanding = replace(parameters, commodities=commodities)
    book = read_span_positions(ROOT / "examples" / "span" / "positions.csv")
    bought = book.filter(pl.col("exchange") == "SYO", pl.col("quantity") > 0)
    names = {
        re.sub(r"^(combined commodity) .*", r"\1", node.name)
        for held, given in ((book, parameters), (book, demanding), (bought, demanding))
        for tree in span_margin(held, given).breakdowns.values()
        for _, node in tree.walk()
    }
    assert names <= glossary_terms()
    assert {"uplift to the short option minimum", "option value not counted, and rounding"} <= names
    assert "option value beyond the risk, not paid out" in names


def test_every_component_of_an_expected_shortfall_result_is_in_the_glossary():
    size = crossmargin.MarketSize(
        stocks=10, option_classes=1, option_months=1, strikes=2, years=2, participants=1
    )
    market = crossmargin.synthetic_market(seed=3, size=size)
    given = {"look_back": {"scenarios": 150}, "stress": {"scenarios": 60}, "filtering": {"warm_up_days": 60}}
    day = market["prices"]["date"].max()
    positions = market.positions_on(day)
    snapshot = crossmargin.make_snapshot(market, day)
    names = set()
    for method, table in (
        ("blend", given),
        ("historical", {**given, "anti_procyclical": {"buffer_rate": 0.25}}),
    ):
        settings = crossmargin.engine_settings(method, "spot:HSI", table)
        scenarios = crossmargin.build_scenarios(market, day, settings.scenarios)
        rises = {"label": ["up"], "factor": ["spot:*"], "move": [0.1]}
        for used in (scenarios, crossmargin.hypothetical_scenarios(rises, scenarios.factors, day)):
            cube = crossmargin.make_cube(snapshot, used, settings.revaluation)
            trees = [result.breakdown for result in crossmargin.es_margins(positions, cube)]
            names |= {node.name for tree in trees for _, node in tree.walk()}
    assert names <= glossary_terms()
    assert {"gain in the tail, not paid out", "anti-procyclical buffer", "rounding", "HKCC"} <= names
    assert {"filtered historical scenarios", "historical scenarios", "stress scenarios"} <= names


def test_every_step_of_a_programme_is_in_the_glossary():
    owners = ["A", "B"]
    hedged = {"A": ({FUND: 900_000}, {FUTURE: -17}), "B": ({STOCK: 400_000}, {OTHER_FUTURE: 9})}
    houses = houses_of(
        *(
            account
            for name in owners
            for account in (cash(name, hedged[name][0]), futures(name, hedged[name][1]))
        )
    )
    one_name = crossmargin.Joint(concentration="joint", basis_charge=0.002)
    names = set()
    for mode in MODES[1:]:
        chosen = crossmargin.Programme(name=mode, mode=mode, joint=one_name)
        result = crossmargin.evaluate(chosen, houses)
        without = crossmargin.evaluate(chosen, houses, missing=["HKCC"], last_good=result)
        names |= {*result.steps["step"], *without.steps["step"]}
        for name in result.joint_accounts["joint_account"]:
            names |= {node.name for _, node in result.of(name).breakdown.walk()}
    assert names <= glossary_terms()
    assert {"offset between houses", "basis charge", "a house's file is missing"} <= names
    assert {"credit of matched positions", "futures moved to the longer pot"} <= names


def test_terms_stand_in_order_and_name_their_source():
    headings = HEADING.findall(prose(DOCS / "glossary.md"))[1:]
    assert headings == sorted(headings, key=lambda term: term.lower().replace("-", " "))
    for section in prose(DOCS / "glossary.md").split("\n## ")[1:]:
        assert re.search(r"(Guide §|This project|CPMI-IOSCO|CME, |HKEX, )[^\n]*\.$", section.strip()), section


def test_generated_pages_are_what_the_code_says():
    tool = [sys.executable, str(ROOT / "tools" / "generate_reference.py"), "--check"]
    done = subprocess.run(tool, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_changelog_opens_with_results_that_changed():
    versions = prose(ROOT / "CHANGELOG.md").split("\n## ")[1:]
    assert all(HEADING.findall(version)[0] == "Results that changed" for version in versions)
    assert versions[0].startswith(crossmargin.__version__)


def test_decisions_are_numbered():
    numbers = [int(path.name[:4]) for path in sorted((DOCS / "decisions").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = [project["project"]["dependencies"], *project["dependency-groups"].values()]
    names = {re.split(r"[<>=~! \[;]", item)[0] for group in groups for item in group if isinstance(item, str)}
    rows = (DOCS / "decisions" / "0004-dependencies.md").read_text(encoding="utf-8").split("\n| ")
    named_ones = {name for row in rows for name in row.split(" | ")[0].split(", ")}
    assert names <= named_ones
