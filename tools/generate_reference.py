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
from crossmargin.formats.records import NOUNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cyclopts import App

    from crossmargin.formats.records import Field

ROOT: Final = Path(__file__).parents[1]
NOTE: Final = "<!-- Written by tools/generate_reference.py: change the code, not this page. -->"
HELP_WIDTH: Final = 100
DEMO: Final = (
    *("hkscc", "--rpf", "examples/hkscc/RPF01.csv", "--positions", "examples/hkscc/positions.csv"),
    *("--participant", "examples/hkscc/participant.toml"),
)
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
                "All files are comma-separated text in UTF-8 without quotes. CRLF line ends and a byte order mark are "
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
        folder / "formats.md": formats_page(),
        folder / "participant-settings.md": settings_page(),
        folder / "python-api.md": api_page(),
        ROOT / "README.md": DEMO_BLOCK.sub(lambda found: found[1] + demo + found[2], readme),
    }


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with ``--check`` name those that differ."""
    if set(arguments) - {"--check"}:
        print(__doc__)
        return os.EX_USAGE
    stale = [
        path
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)} differs from the code: run python tools/generate_reference.py")
        return 1 if stale else 0
    for path, text in pages().items():
        if path in stale:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
