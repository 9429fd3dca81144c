"""The command line: what it prints, what it writes, how it ends."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from decimal import Decimal
from importlib.metadata import version

import polars as pl
import pytest
from rpf01_text import LINE, rpf01_lines, write_lines

from crossmargin import hkscc_margin, hkscc_participant, read_marginable_positions, read_rpf01
from crossmargin.cli import main

HEADING = "InstrumentID,Quantity,ContractValueHKD,MarketValueHKD"
ROWS = ["700,1000,380000,400000", "2800,-400,-10000,-10000", "8001,500,900,1000"]
SETTINGS = "adhoc_addon = 12345.67\nmargin_credit = 0\n"
OUTPUTS = ("table", "json", "csv", "parquet")


@pytest.fixture
def folder(tmp_path):
    write_lines(tmp_path, rpf01_lines())
    (tmp_path / "positions.csv").write_text("\n".join([HEADING, *ROWS, ""]))
    (tmp_path / "participant.toml").write_text(SETTINGS)
    return tmp_path


@pytest.fixture
def several(folder):
    """Two participants, each with a settings file."""
    rows = [f"{ROWS[0]},P2", f"{ROWS[1]},P1", f"{ROWS[2]},P2"]
    (folder / "several.csv").write_text("\n".join([f"{HEADING},ParticipantID", *rows, ""]))
    (folder / "all").mkdir()
    (folder / "all" / "P1.toml").write_text("adhoc_addon = 1\n")
    (folder / "all" / "P2.toml").write_text("adhoc_addon = 2\n")
    return folder


def run(folder, *more, rpf="RPF01.csv", positions="positions.csv", participant="participant.toml"):
    files = {"--rpf": rpf, "--positions": positions, "--participant": participant}
    given = [text for flag, name in files.items() if name for text in (flag, str(folder / name))]
    return main(["hkscc", *given, *map(str, more)])


def expected_total(folder, **more) -> Decimal:
    """What the functions that Python users call give for the same files."""
    parameters = read_rpf01(folder / "RPF01.csv")
    participant = hkscc_participant(parameters.valuation_date, adhoc_addon=12345.67, margin_credit=0.0)
    return hkscc_margin(
        read_marginable_positions(folder / "positions.csv"), parameters, participant, **more
    ).total


def total_in(form: str, content: bytes) -> Decimal:
    if form == "json":
        (result,) = json.loads(content)["results"]
        assert sum(Decimal(part["amount"]) for part in result["breakdown"]["parts"]) == Decimal(
            result["total"]
        )
        return Decimal(result["total"])
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        assert list(rows[0]) == ["participant", "depth", "component", "amount", "rule", "binding"]
        return Decimal(rows[0]["amount"])
    if form == "parquet":
        return pl.read_parquet(io.BytesIO(content))["amount"][0]
    line = next(line for line in content.decode().splitlines() if "total MTM and margin requirement" in line)
    return Decimal(line.split("│")[2].strip().replace(",", ""))


# What is shown.


@pytest.mark.parametrize("form", OUTPUTS)
def test_every_format_shows_the_same_total(folder, capsysbinary, form):
    assert run(folder, "--format", form) == 0
    captured = capsysbinary.readouterr()
    assert captured.err == b""
    assert total_in(form, captured.out) == expected_total(folder)


@pytest.mark.parametrize("form", OUTPUTS)
def test_a_file_holds_what_would_be_printed(folder, capsysbinary, form):
    assert run(folder, "--format", form) == 0
    printed = capsysbinary.readouterr().out
    assert run(folder, "--format", form, "--out", folder / "margin") == 0
    assert capsysbinary.readouterr().out == b""
    assert (folder / "margin").read_bytes() == printed


def test_without_settings_the_house_values_hold(folder, capsysbinary):
    assert run(folder, "--format", "json", participant=None) == 0
    (result,) = json.loads(capsysbinary.readouterr().out)["results"]
    assert Decimal(result["total"]) == 0  # within the normal credit of 5,000,000
    assert result["provenance"]["parameter_sets"] == ["hkscc-2023-08-14"]
    assert result["participant"] == "unnamed"


def test_rounding_none(folder, capsysbinary):
    assert run(folder, "--format", "json", "--rounding", "none") == 0
    total = total_in("json", capsysbinary.readouterr().out)
    assert total == expected_total(folder, rounding="none")
    assert total != expected_total(folder)


def test_explain_shows_tails_and_bindings(folder, capsysbinary):
    assert run(folder) == 0
    plain = capsysbinary.readouterr().out.decode()
    assert run(folder, "--explain") == 0
    explained = capsysbinary.readouterr().out.decode()
    for text in (
        "HVaR tail (scenario, profit and loss, HKD):",
        "SVaR, mean of the 3 worst of 21, HKD:",
        "floor rate: 0.032",
        "underlying groups (group, delta-equivalent market value, HKD, threshold, HKD):",
        "multiple, HKD: 10,000",
    ):
        assert text in explained
        assert text not in plain
    for text in ("long side", "expected shortfall", "0 of 2 groups above their threshold"):
        assert text in plain
        assert text in explained


def test_several_participants(several, capsysbinary):
    assert run(several, "--format", "json", positions="several.csv", participant="all") == 0
    results = json.loads(capsysbinary.readouterr().out)["results"]
    found = {result["participant"]: result["breakdown"] for result in results}
    added = {name: tree["parts"][-1] for name, tree in found.items()}
    assert {name: (part["name"], part["amount"]) for name, part in added.items()} == {
        "P1": ("ad-hoc add-on", "1.00"),
        "P2": ("ad-hoc add-on", "2.00"),
    }
    assert run(several, positions="several.csv", participant="all") == 0
    table = capsysbinary.readouterr().out.decode()
    assert [line.split("│")[1].strip() for line in table.splitlines() if "│ P" in line] == ["P1", "P2"]
    assert run(several, "--format", "csv", positions="several.csv", participant="all") == 0
    rows = list(csv.DictReader(io.StringIO(capsysbinary.readouterr().out.decode())))
    assert {row["participant"] for row in rows} == {"P1", "P2"}


def test_one_settings_file_for_all(several, capsysbinary):
    assert run(several, "--format", "json", positions="several.csv") == 0
    results = json.loads(capsysbinary.readouterr().out)["results"]
    assert [result["breakdown"]["parts"][-1]["amount"] for result in results] == ["12345.67"] * 2


# What is refused.


def refused(capsysbinary) -> list[str]:
    """Lines of the one error, with nothing on standard output."""
    captured = capsysbinary.readouterr()
    assert captured.out == b""
    heading, *lines = captured.err.decode().splitlines()
    assert heading == f"crossmargin: refused: {len(lines)} bad record{'s' if len(lines) > 1 else ''}"
    return [line.strip() for line in lines]


def test_every_bad_record_of_the_positions(folder, capsysbinary):
    path = folder / "positions.csv"
    path.write_text("\n".join([HEADING, "700,1.5,1,1", ROWS[1], "7 00,1,NaN,1", ""]))
    assert run(folder) == 1
    assert refused(capsysbinary) == [
        f"{path}:2: Quantity '1.5': a whole number of at most 15 digits",
        f"{path}:4: ContractValueHKD 'NaN': a plain decimal of at most 15 digits, 10 of them behind the point",
        f"{path}:4: InstrumentID '7 00': a code of letters, digits, '.', '_' or '-', at most 32",
    ]


def test_every_bad_record_of_the_risk_parameters(folder, capsysbinary):
    lines = rpf01_lines()
    lines[LINE["8001 rate"] - 1] = "8001,3,x"
    path = write_lines(folder, [*lines, "1,9,1"])
    assert run(folder) == 1
    assert refused(capsysbinary) == [
        f"{path}:{LINE['8001 rate']}: rate 'x': a plain decimal of at most 15 digits, 10 of them behind the point",
        f"{path}:{len(lines) + 1}: FieldType '9': a record with a FieldType from 1 to 7",
    ]


def test_positions_that_cannot_be_margined_are_named_by_their_line(folder, capsysbinary):
    path = folder / "positions.csv"
    path.write_text("\n".join([HEADING, ROWS[0], "1,1,1,1", "2800,1,1,-1", ""]))
    assert run(folder) == 1
    assert refused(capsysbinary) == [
        f"{path}:3: instrument '1': an instrument with records of FieldTypes 1 and 2, of 3, or of 7",
        f"{path}:4: market_value '-1.0': the sign of the quantity, and 0 for no quantity",
    ]


def test_every_bad_file_of_settings(several, capsysbinary):
    folder = several / "all"
    (folder / "P1.toml").write_text("margin_credit = -1\n")
    (folder / "P2.toml").unlink()
    assert run(several, positions="several.csv", participant="all") == 1
    assert refused(capsysbinary) == [
        f"{folder / 'P1.toml'}:1: margin_credit '-1.0': a finite number from 0 to 1e+12",
        f"{folder / 'P2.toml'}: 'no such file': a file of settings for participant P2",
    ]


@pytest.mark.parametrize("missing", ["rpf", "positions", "participant"])
def test_a_missing_file(folder, capsysbinary, missing):
    assert run(folder, **{missing: "nothing.here"}) == 1
    captured = capsysbinary.readouterr()
    assert captured.out == b""
    assert captured.err.decode() == f"crossmargin: No such file or directory: {folder / 'nothing.here'}\n"


@pytest.mark.parametrize("form", OUTPUTS)
def test_an_error_leaves_what_stood_there(folder, capsysbinary, form):
    out = folder / "margin"
    out.write_bytes(b"what stood here before")
    (folder / "positions.csv").write_text(f"{HEADING}\n1,1,1,1\n")
    before = sorted(path.name for path in folder.iterdir())
    assert run(folder, "--format", form, "--out", out) == 1
    assert len(refused(capsysbinary)) == 1
    assert out.read_bytes() == b"what stood here before"
    assert sorted(path.name for path in folder.iterdir()) == before


def test_an_error_writes_no_new_file(folder, capsysbinary):
    (folder / "positions.csv").write_text("")
    assert run(folder, "--out", folder / "margin") == 1
    assert len(refused(capsysbinary)) == 1
    assert not (folder / "margin").exists()


def test_an_output_folder_that_is_not_there(folder, capsysbinary):
    assert run(folder, "--out", folder / "no" / "margin") == 1
    captured = capsysbinary.readouterr()
    assert captured.out == b""
    assert captured.err.startswith(b"crossmargin: No such file or directory: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["hkscc"],
        ["hkscc", "--rpf", "x"],
        ["hkscc", "--rpf", "x", "--positions", "y", "--format", "xml"],
        ["hkscc", "--rpf", "x", "--positions", "y", "--rounding", "up"],
        ["hkscc", "--rpf", "x", "--positions", "y", "--colour"],
        ["nothing"],
        ["sample", "hkscc"],
        ["sample", "hkscc", "--out", "x", "--seed", "one"],
    ],
)
def test_wrong_usage(capsysbinary, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsysbinary.readouterr()
    assert captured.out == b""
    assert b"Error" in captured.err
    assert list(tmp_path.iterdir()) == []


# Help.


def test_help_lists_the_commands(capsysbinary):
    assert main(["--help"]) == 0
    text = capsysbinary.readouterr().out.decode()
    for command in ("hkscc", "sample", "--version"):
        assert f"│ {command}" in text


def test_help_of_a_command_lists_its_options(capsysbinary):
    assert main(["hkscc", "--help"]) == 0
    text = capsysbinary.readouterr().out.decode()
    for option in ("--rpf", "--positions", "--participant", "--explain", "--format", "--rounding", "--out"):
        assert option in text


def test_version(capsysbinary):
    assert main(["--version"]) == 0
    assert capsysbinary.readouterr().out.decode().strip() == version("crossmargin")


def test_help_loads_neither_polars_nor_numba():
    code = (
        "import sys; from crossmargin.cli import main; assert main(['--help']) == 0;"
        "print(sorted({'polars', 'numba', 'numpy', 'pydantic', 'pandas'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    assert done.stderr.strip() == "[]"
    assert "hkscc" in done.stdout


def test_the_installed_command_ends_with_the_exit_code(folder):
    code = "import sys; from crossmargin.cli import main; sys.exit(main())"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, "hkscc", "--rpf", "nothing", "--positions", "nothing"],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert (done.returncode, done.stdout) == (1, "")
