"""The span command: the constructed Hang Seng calendar example through files, in every form."""

from __future__ import annotations

import gzip
import io
import json
import zipfile

import polars as pl
import pytest

from crossmargin.cli import main
from crossmargin.formats.span.positional_writer import write_positional
from crossmargin.formats.span.xml_writer import write_spn
from span_market import calendar_spread, future, future_losses, market

HELD = "Account,Product,Expiry,Quantity\nA,HSI,201907,10\nA,HSI,201908,-7\nB,HSI,201907,1\n"
SCAN, SPREAD, BOTH = 85_300, 19_650, 393_450


@pytest.fixture
def parameters():
    product = {
        "exchange": "HKF",
        "product": "HSI",
        "product_type": "FUT",
        "name": "HSI",
        "commodity": "HSI",
        "currency": "HKD",
        "contract_size": 50.0,
        "option_style": "futures",
    }
    losses = [float(round(loss)) for loss in future_losses(SCAN)]
    series = [
        future("HSI", month, losses, contract_size=50.0, price=28_000.0) for month in ("201907", "201908")
    ]
    return market(series, products=[product], **calendar_spread("HSI", SPREAD))


@pytest.fixture
def positions(tmp_path):
    path = tmp_path / "positions.csv"
    path.write_text(HELD)
    return path


def run(capsys, *arguments) -> tuple[int, str, str]:
    code = main(["span", *map(str, arguments)])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


@pytest.fixture(params=["positional", "xml", "gzip", "zip"])
def file(request, tmp_path, parameters):
    path = tmp_path / "parameters.dat"
    (write_positional if request.param == "positional" else write_spn)(parameters, path)
    content = path.read_bytes()
    if request.param == "gzip":
        path.write_bytes(gzip.compress(content))
    if request.param == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("rpf.spn", content)
    return path


def test_the_kind_of_file_is_recognised_from_its_content(capsys, file, positions):
    code, out, _ = run(capsys, "--file", file, "--positions", positions, "--format", "json")
    assert code == 0
    totals = {entry["account"]: entry["totals"] for entry in json.loads(out)["results"]}
    assert totals == {"A": {"HKD": f"{BOTH}.00"}, "B": {"HKD": f"{SCAN}.00"}}


@pytest.fixture
def spn(tmp_path, parameters):
    path = tmp_path / "parameters.spn"
    write_spn(parameters, path)
    return path


def test_an_omnibus_account_is_margined_gross(capsys, spn, positions):
    arguments = ("--file", spn, "--positions", positions, "--account-type", "omnibus", "--format", "csv")
    code, out, _ = run(capsys, *arguments)
    frame = pl.read_csv(io.StringIO(out))
    assert code == 0
    assert frame.filter(component="requirement")["amount"].to_list() == [17 * SCAN, SCAN]


def test_client_margin_is_added(capsys, spn, positions):
    arguments = ("--file", spn, "--positions", positions, "--client", "--format", "json")
    _, out, _ = run(capsys, *arguments)
    first = json.loads(out)["results"][0]["client_margin"][0]
    assert first["initial"] == "523288.50"  # 393,450 × 1.33
    assert first["maintenance"] == "418630.80"  # × 0.8


def test_explain_shows_scenario_deltas_and_spreads(capsys, spn, positions):
    code, out, _ = run(capsys, "--file", spn, "--positions", positions, "--explain")
    assert code == 0
    for text in ("active scenario: 13", "201907  10  3", "201908  -7  0", "1  tier  7  19,650"):
        assert text in out


def test_settings_change_the_method(capsys, tmp_path, spn, positions):
    chosen = tmp_path / "settings.toml"
    chosen.write_text("intra_spreads = false\n")
    arguments = ("--file", spn, "--positions", positions, "--settings", chosen, "--format", "json")
    _, out, _ = run(capsys, *arguments)
    assert json.loads(out)["results"][0]["totals"] == {"HKD": f"{3 * SCAN}.00"}


@pytest.mark.parametrize(
    ("account_type", "basis", "agrees"),
    [
        ("house", "net", True),
        ("house", "gross", False),
        ("omnibus", "gross", True),
        ("omnibus", "net", False),
    ],
)
def test_a_basis_in_the_settings_is_that_of_the_account_type(
    capsys, tmp_path, spn, positions, account_type, basis, agrees
):
    chosen = tmp_path / "settings.toml"
    chosen.write_text(f'basis = "{basis}"\n')
    arguments = (
        "--file",
        spn,
        "--positions",
        positions,
        "--settings",
        chosen,
        "--account-type",
        account_type,
    )
    code, out, err = run(capsys, *arguments, "--format", "json")
    if agrees:
        assert code == 0
        assert json.loads(out)["results"][0]["provenance"]["settings"]["basis"] == basis
    else:
        assert (code, out) == (1, "")
        assert f"basis '{basis}'" in err
        assert account_type in err


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("intra_spread = false\n", ["intra_spread"]),
        ('basis = "nett"\n', ["basis"]),
        ('basis = 1\nround_risk = "up"\nwrong = 2\n', ["basis", "wrong"]),
        ("basis = \n", [":1"]),
    ],
)
def test_bad_settings_are_listed(capsys, tmp_path, spn, positions, text, rules):
    chosen = tmp_path / "settings.toml"
    chosen.write_text(text)
    code, out, err = run(capsys, "--file", spn, "--positions", positions, "--settings", chosen)
    assert (code, out) == (1, "")
    assert all(rule in err for rule in rules)


def test_every_bad_position_is_listed_with_its_line(capsys, spn, positions):
    positions.write_text(HELD + "A,HSI,201909,1\nA,XXX,201907,1\n")
    code, out, err = run(capsys, "--file", spn, "--positions", positions)
    assert (code, out) == (1, "")
    assert f"{positions}:5: series 'HSI 201909'" in err
    assert f"{positions}:6: series 'XXX 201907'" in err


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("HSI,201907,C,,1", "Strike"),
        ("HSI,201907,,20000,1", "Strike"),
        ("HSI,201907,X,20000,1", "Right"),
        ("HSI,201907,,,1.5", "Quantity"),
        ("HSI,201907,,,9999999999999", "Quantity"),
        (",201907,,,1", "Product"),
    ],
)
def test_bad_records_of_positions(capsys, spn, positions, line, field):
    positions.write_text(f"Product,Expiry,Right,Strike,Quantity\n{line}\n")
    code, out, err = run(capsys, "--file", spn, "--positions", positions)
    assert (code, out) == (1, "")
    assert f"{positions}:2: {field}" in err


def test_a_file_of_no_known_kind_is_refused(capsys, positions):
    code, out, err = run(capsys, "--file", positions, "--positions", positions)
    assert (code, out) == (1, "")
    assert "expanded positional records (U2, PA2) or SPAN XML" in err


def test_nothing_is_half_written(capsys, tmp_path, spn, positions):
    out_file = tmp_path / "out.json"
    out_file.write_text("kept")
    positions.write_text(HELD + "A,HSI,201909,1\n")
    code, _, _ = run(capsys, "--file", spn, "--positions", positions, "--format", "json", "--out", out_file)
    assert (code, out_file.read_text()) == (1, "kept")
    assert {path.name for path in tmp_path.iterdir()} == {"out.json", "parameters.spn", "positions.csv"}


def test_all_files_are_read_before_any_is_refused(capsys, tmp_path, spn, positions):
    spn.write_text("neither\n")
    positions.write_text("Product,Expiry,Quantity\nHSI,201907,x\n")
    chosen = tmp_path / "settings.toml"
    chosen.write_text("wrong = 1\n")
    code, _, err = run(capsys, "--file", spn, "--positions", positions, "--settings", chosen)
    assert code == 1
    assert all(str(path) in err for path in (spn, positions, chosen))
