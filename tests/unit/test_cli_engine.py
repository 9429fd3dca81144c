"""The scenario engine's commands, from a market folder to margins, what-ifs and risk parameters."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from crossmargin.cli import main
from crossmargin.cli.pipeline import margins_by
from crossmargin.formats.hkscc.rpf01 import read_rpf01
from crossmargin.formats.market.folder_reader import read_market
from crossmargin.formats.market.folder_writer import write_market
from crossmargin.formats.scenario_files import read_scenarios
from crossmargin.models.market import make_market
from crossmargin.models.synthetic_market.market import synthetic_market
from crossmargin.models.synthetic_market.sizes import MarketSize
from crossmargin.store.cubes import open_cube

AS_OF = date(2026, 1, 5)
SIZE = MarketSize(
    stocks=10,
    option_classes=1,
    futures_months=2,
    option_months=1,
    strikes=2,
    years=2,
    mark_days=2,
    participants=2,
    desks=5,
)
SETTINGS = """
[filtering]
warm_up_days = 60

[look_back]
scenarios = 150

[stress]
scenarios = 60
skip_days = 60
"""
GROUPINGS = ("account", "owner", "participant")
FUTURE, LATER, STOCK = "HSI.F.2026-01", "HSI.F.2026-02", "2800"
UNLISTED = "HSI/2026-02-20/20050/P"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a market, settings, and the scenarios and cube made from them."""
    folder = tmp_path_factory.mktemp("engine")
    write_market(synthetic_market(seed=3, size=SIZE), folder / "market")
    (folder / "engine.toml").write_text(SETTINGS)
    arguments = ["--settings", folder / "engine.toml", "--out", folder / "set"]
    assert main(["scenarios", "build", "--market", *map(str, [folder / "market", *arguments])]) == 0
    return folder


@pytest.fixture(scope="module")
def market(place):
    return read_market(place / "market")


@pytest.fixture(scope="module")
def cube(place):
    return open_cube(place / "set" / "cube")


@pytest.fixture
def copy(place, tmp_path):
    """The same folder, to be spoilt."""
    return Path(shutil.copytree(place, tmp_path / "copy"))


@pytest.fixture
def run(capsysbinary):
    """Run a command; return exit code, output and errors."""

    def command(*words):
        code = main([str(word) for word in words])
        shown = capsysbinary.readouterr()
        return code, shown.out.decode(), shown.err.decode()

    return command


@pytest.fixture
def done(run):
    """Run a command that must succeed without a word of error; return what it prints."""

    def command(*words):
        code, out, err = run(*words)
        assert (code, err) == (0, "")
        return out

    return command


@pytest.fixture
def refused(run):
    """Run a command that must refuse its input; return the lines of the one error."""

    def command(*words):
        code, out, err = run(*words)
        assert (code, out) == (1, "")
        heading, *lines = err.splitlines()
        assert heading == f"crossmargin: refused: {len(lines)} bad record{'s' if len(lines) > 1 else ''}"
        return [line.strip() for line in lines]

    return command


def build(place, *more):
    return ["scenarios", "build", "--market", place / "market", *more]


def margin(place, *more, cube="set"):
    return ["margin", "--market", place / "market", "--cube", place / cube, *more]


def whatif(place, *more, cube="set"):
    return ["whatif", "--market", place / "market", "--cube", place / cube, *more]


def cells(text, title):
    """Rows of a printed table, the heads first."""
    lines = text.splitlines()
    rows = []
    for line in lines[lines.index(title) + 1 :]:
        if line[:1] in "│┃":
            rows.append([cell.strip() for cell in re.split("[│┃]", line)[1:-1]])
        elif line[:1] not in {"┏", "┡", "├", "└"}:
            break
    return rows


def amount(cell):
    return Decimal(cell.replace(",", ""))


def snapshot(folder):
    """Content of every file below a folder."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Sample, scenarios and cube.


@pytest.mark.parametrize("histories", ["parquet", "csv"])
def test_a_sample_market_is_the_synthetic_one(done, tmp_path, histories):
    out = tmp_path / "market"
    assert done("sample", "market", "--out", out, "--seed", "7", "--histories", histories) == ""
    assert (out / "histories" / f"prices.{histories}").is_file()
    assert read_market(out).content_hash == synthetic_market(seed=7).content_hash


def test_a_sample_market_ends_on_the_day_asked_for(done, tmp_path):
    done("sample", "market", "--out", tmp_path / "market", "--as-of", "2025-06-30")
    assert read_market(tmp_path / "market")["prices"]["date"].max() == date(2025, 6, 30)


def test_building_tells_stages_parts_and_findings(done, place, tmp_path, market):
    out = tmp_path / "set"
    text = done(*build(place, "--settings", place / "engine.toml", "--out", out))
    assert text.startswith("SYNTHETIC sample data (seed 3): ")
    heads, *stages = cells(text, "Stages")
    assert heads == ["stage", "made", "seconds", "bytes"]
    assert [row[0] for row in stages] == [
        "read market",
        "check histories",
        "make scenarios",
        "take marks",
        "revalue",
        "write scenarios",
        "write cube",
        "total",
    ]
    made = {row[0]: row[1] for row in stages}
    rows = sum(len(table) for table in market.tables.values())
    assert made["read market"] == f"{rows:,} rows in {len(market.tables)} tables"
    assert made["make scenarios"].startswith("210 scenarios × ")
    assert made["revalue"] == f"{len(market['instruments'])} instruments × 256 columns, float32"
    sizes = {row[0]: amount(row[3]) for row in stages}
    assert sizes["write scenarios"] == (out / "scenarios.set").stat().st_size
    assert sizes["write cube"] == sum(file.stat().st_size for file in (out / "cube").iterdir())
    assert sizes["total"] == sum(size for name, size in sizes.items() if name != "total")
    parts = cells(text, "Parts of the scenario set")
    assert parts[0] == ["part", "scenarios", "in the tail", "weight", "first", "last"]
    assert [row[:4] for row in parts[1:]] == [
        ["filtered historical", "150", "1", "0.75"],
        ["stress", "60", "2", "0.25"],
    ]
    assert cells(text, "Found in the histories")[0] == ["kind", "action", "times", "factors", "example"]
    assert f"cube {open_cube(out / 'cube').key[:12]}." in text.splitlines()[-1]
    assert max(map(len, text.splitlines())) <= 140


def test_the_same_command_makes_the_same_files(done, place, tmp_path):
    done(*build(place, "--settings", place / "engine.toml", "--out", tmp_path / "again"))
    assert snapshot(tmp_path / "again") == snapshot(place / "set")


def test_findings_are_written_one_a_row(done, place, tmp_path):
    text = done(*build(place, "--settings", place / "engine.toml", "--findings", tmp_path / "found.csv"))
    found = pl.read_csv(tmp_path / "found.csv")
    assert found.columns == ["factor", "date", "kind", "value", "action"]
    of_histories = found.filter(pl.col("date").is_not_null())
    counted = {(row[0], row[1]): int(row[2]) for row in cells(text, "Found in the histories")[1:]}
    assert sum(counted.values()) == len(of_histories) > 0
    kinds = dict(of_histories.group_by("kind").len().iter_rows())
    for kind, times in kinds.items():
        assert sum(count for (name, _), count in counted.items() if name == kind) == times


def without(market, **rows):
    """The same market without some rows of its tables."""
    tables = {
        name: table.filter(~rows[name]) if name in rows else table for name, table in market.tables.items()
    }
    head = {"name": market.name, "calendar": market.calendar, "data_note": market.data_note}
    return make_market(tables, currency=market.currency, **head)


def test_findings_of_marks_and_factors_left_out_are_told(done, copy, market):
    share = market["instruments"].filter(kind="equity")["underlying"].sort()[0]
    early = (pl.col("underlying") == share) & (pl.col("date") < date(2025, 12, 1))
    proxied = market["underlyings"].with_columns(
        proxy=pl.when(underlying=share).then(None).otherwise(pl.col("proxy"))
    )
    spoilt = without(market, marks=pl.col("instrument") == FUTURE, prices=early)
    head = {"name": market.name, "calendar": market.calendar, "data_note": market.data_note}
    spoilt = make_market({**spoilt.tables, "underlyings": proxied}, currency=market.currency, **head)
    write_market(spoilt, copy / "market")
    given = ("--settings", copy / "engine.toml", "--out", copy / "set", "--findings", copy / "found.csv")
    text = done(*build(copy, *given))
    assert f"Risk factors left out for short histories: 1 (spot:{share})" in text.splitlines()
    assert f"Risk factors left out for short histories: 1 (spot:{share})" in done(
        "scenarios", "show", copy / "set"
    )
    stored = open_cube(copy / "set" / "cube").findings
    assert {FUTURE, share} <= set(stored["subject"])
    found = pl.read_csv(copy / "found.csv")
    assert found.columns == ["factor", "date", "kind", "value", "action"]
    last = found.tail(len(stored))
    assert last["factor"].equals(stored["subject"].alias("factor"))
    assert last.select("kind", "action").equals(stored.select("kind", "action"))
    assert last["date"].is_null().all()
    assert last["value"].is_null().all()
    assert found.head(-len(stored))["date"].is_not_null().all()


def test_nothing_left_out_is_told_too(done, place):
    lines = done(*build(place, "--settings", place / "engine.toml")).splitlines()
    assert "Risk factors left out for short histories: none" in lines


def test_the_index_of_the_stress_has_most_prices_up_to_the_day(done, copy, market, tmp_path):
    day = date(2025, 12, 1)
    early = (pl.col("underlying") == "HHI") & (pl.col("date") == market["prices"]["date"].min())
    late = (pl.col("underlying") == "HSI") & (pl.col("date") > day)
    write_market(without(market, prices=early | late), copy / "market")
    counts = dict(read_market(copy / "market")["prices"].group_by("underlying").len().iter_rows())
    assert counts["HHI"] > counts["HSI"]
    given = ("--method", "stress", "--settings", copy / "engine.toml")
    for name, asked in (("then", ("--as-of", day)), ("now", ())):
        done(*build(copy, *given, *asked, "--out", tmp_path / name))
    factors = {
        name: dict(read_scenarios(tmp_path / name / "scenarios.set").settings)["stress.selection.factor"]
        for name in ("then", "now")
    }
    assert factors == {"then": "spot:HSI", "now": "spot:HHI"}


def test_without_a_folder_nothing_is_kept(done, copy, monkeypatch):
    monkeypatch.chdir(copy)
    before = snapshot(copy)
    text = done(*build(copy, "--settings", copy / "engine.toml"))
    assert "write cube" not in text
    assert snapshot(copy) == before


def test_an_unchanged_cube_is_opened_and_another_replaces_it(done, copy):
    before = snapshot(copy / "set")
    again = [*build(copy, "--settings", copy / "engine.toml", "--out", copy / "set")]
    stages = [row[0] for row in cells(done(*again), "Stages")]
    assert "verify stored cube" in stages
    assert not {"revalue", "write cube"} & set(stages)
    assert snapshot(copy / "set") == before
    (copy / "engine.toml").write_text(f'{SETTINGS}[revaluation]\nsmile = "delta"\n')
    stages = [row[0] for row in cells(done(*again), "Stages")]
    assert {"revalue", "write cube"} <= set(stages)
    assert open_cube(copy / "set" / "cube", verify=True).settings.smile == "delta"
    assert (
        read_scenarios(copy / "set" / "scenarios.set").content_hash
        in dict(open_cube(copy / "set" / "cube").input_hashes).values()
    )


def zeroed(content):
    return content[:5000] + bytes(200) + content[5200:]


def cut(content):
    return content[:-9]


@pytest.mark.parametrize(
    ("file", "spoil"),
    [
        ("cube.json", lambda _: b"{"),
        ("cube.json", None),
        ("pnl.rows", zeroed),
        ("pnl.rows", cut),
        ("pnl.rows", None),
        ("instruments.parquet", cut),
        ("instruments.parquet", None),
        ("findings.parquet", None),
        ("../scenarios.set", cut),
    ],
)
def test_a_damaged_cube_is_built_anew(done, copy, file, spoil):
    whole = snapshot(copy / "set")
    path = copy / "set" / "cube" / file
    content = path.read_bytes()
    path.unlink()
    if spoil:
        assert spoil(content) != content
        path.write_bytes(spoil(content))
    text = done(*build(copy, "--settings", copy / "engine.toml", "--out", copy / "set"))
    stages = {row[0]: row[1] for row in cells(text, "Stages")}
    if file == "../scenarios.set":
        assert "revalue" not in stages
    else:
        assert {"revalue", "write cube"} <= stages.keys()
        assert stages.get("verify stored cube", "damaged: is made anew") == "damaged: is made anew"
        assert ("verify stored cube" in stages) == (file != "cube.json")
    assert snapshot(copy / "set") == whole
    done(*margin(copy))


@pytest.mark.parametrize(
    ("method", "parts"),
    [
        ("fhs", ["filtered historical"]),
        ("historical", ["historical"]),
        ("stress", ["stress"]),
        ("blend", ["filtered historical", "stress"]),
    ],
)
def test_every_method_has_its_parts(done, place, method, parts):
    text = done(*build(place, "--method", method, "--settings", place / "engine.toml"))
    assert [row[0] for row in cells(text, "Parts of the scenario set")[1:]] == parts


def test_the_stressed_days_are_those_of_the_factor(done, place, tmp_path):
    for factor in ("spot:HSI", "spot:HHI"):
        done(
            *build(place, "--method", "stress", "--settings", place / "engine.toml"),
            *("--stress-factor", factor, "--out", tmp_path / factor[5:]),
        )
    index, other = (read_scenarios(tmp_path / name / "scenarios.set") for name in ("HSI", "HHI"))
    assert index.labels != other.labels
    assert ("stress.selection.factor", "spot:HHI") in other.settings


def test_an_earlier_day_takes_its_own_marks(done, place, tmp_path, market):
    day = market["marks"]["date"].min()
    done(*build(place, "--as-of", day, "--settings", place / "engine.toml", "--out", tmp_path / "set"))
    assert open_cube(tmp_path / "set" / "cube").as_of == day < AS_OF


def test_showing_a_stored_cube(done, place, cube):
    text = done("scenarios", "show", place / "set")
    stages = cells(text, "Stages")
    assert [row[0] for row in stages[1:]] == ["read scenarios", "open cube", "total"]
    assert stages[2][1] == f"{cube.pnl.shape[0]} instruments × 256 columns, float32"
    assert cells(text, "Found in the histories")[0] == ["kind", "times"]
    assert f"as of 2026-01-05; cube {cube.key[:12]}." in text
    assert "open and verify cube" in done("scenarios", "show", place / "set", "--verify")


# Margin.


def plain_requirement(cube, positions):
    """Requirement in cents of one book, by sorting."""
    pnl = np.zeros(cube.layout.stride, np.float32)
    for instrument, quantity in sorted(positions, key=lambda held: cube.row_of[held[0]]):
        pnl += np.float32(quantity) * cube.row(instrument)
    total = 0.0
    for (start, stop), part in zip(cube.layout.bounds, cube.parts, strict=True):
        total -= part.weight * np.sort(pnl[start:stop])[: part.tail_count].mean(dtype=np.float64)
    return max(total, 0.0)


@pytest.mark.parametrize("by", GROUPINGS)
def test_every_format_holds_the_same_requirements(done, place, market, cube, by):
    expected = dict(margins_by(market, cube, by).to_frame().select("account", "requirement").iter_rows())
    held = market.positions_on(AS_OF).join(market["accounts"], on="account")
    for name, requirement in expected.items():
        book = held.filter(pl.col(by) == name).group_by("instrument").agg(pl.col("quantity").sum())
        assert float(requirement) == pytest.approx(plain_requirement(cube, book.iter_rows()), abs=0.02)
    arguments = margin(place, "--by", by)
    rows = list(csv.DictReader(io.StringIO(done(*arguments, "--format", "csv"))))
    assert list(rows[0]) == [by, "currency", "requirement", "filtered_historical", "stress"]
    assert {row[by]: Decimal(row["requirement"]) for row in rows} == expected
    document = json.loads(done(*arguments, "--format", "json"))
    assert document["by"] == by
    assert {one["account"]: Decimal(one["total"]) for one in document["results"]} == expected
    for one in document["results"]:
        parts = one["breakdown"]["parts"]
        assert sum(Decimal(part["amount"]) for part in parts) == Decimal(one["total"])
    table = cells(done(*arguments), shown_title(by, len(expected)))
    assert table[0] == [by, "currency", "requirement", "filtered historical", "stress"]
    shown = {row[0]: amount(row[2]) for row in table[1:]}
    assert shown.items() <= expected.items()
    assert [*shown.values()] == sorted(expected.values(), reverse=True)[:20]


def shown_title(by, count):
    return f"Expected-shortfall margin: {f'the largest 20 of {count} ' if count > 20 else ''}{by}s"


def test_the_sum_of_all_requirements(done, place, market, cube):
    total = margins_by(market, cube, "owner").to_frame()["requirement"].sum()
    assert f"Sum of all requirements: {total:,} HKD" in done(*margin(place, "--by", "owner"))


def test_margined_together_is_no_dearer_than_apart(market, cube):
    apart, by_owner, by_participant = (
        margins_by(market, cube, by).to_frame()["requirement"].sum() for by in GROUPINGS
    )
    assert by_participant < by_owner < apart


def test_a_parquet_file_has_exact_decimals(done, place, tmp_path, market, cube):
    assert done(*margin(place, "--format", "parquet", "--out", tmp_path / "margin.parquet")) == ""
    assert pl.read_parquet(tmp_path / "margin.parquet").equals(margins_by(market, cube, "account").to_frame())


@pytest.mark.parametrize("form", ["table", "json", "csv", "parquet"])
def test_a_file_holds_what_would_be_printed_and_a_second_run_the_same_bytes(
    place, capsysbinary, tmp_path, form
):
    arguments = [str(word) for word in margin(place, "--by", "owner", "--format", form)]
    assert main(arguments) == 0
    printed = capsysbinary.readouterr().out
    for name in ("first", "second"):
        assert main([*arguments, "--out", str(tmp_path / name)]) == 0
        assert capsysbinary.readouterr().out == b""
        assert (tmp_path / name).read_bytes() == printed


def test_a_cube_made_anew_gives_what_the_stored_one_gives(done, place):
    stored = done(*margin(place, "--format", "json"))
    anew = done(
        *("margin", "--market", place / "market", "--model", "expected-shortfall"),
        *("--settings", place / "engine.toml", "--format", "json"),
    )
    assert anew == stored


def test_the_breakdown_of_chosen_accounts(done, place, market):
    first, second = market.positions_on(AS_OF)["account"].unique().sort()[:2]
    text = done(*margin(place, "--account", first, second))
    for name in (first, second):
        tree = cells(text, f"Expected-shortfall margin of {name}, HKD")
        assert tree[0] == ["component", "amount", "decided by"]
        names = [row[0] for row in tree[1:]]
        assert names[0] == "requirement"
        assert {"filtered historical scenarios", "stress scenarios"} <= set(names)
    assert "worst scenarios" not in text
    rows = pl.read_csv(io.StringIO(done(*margin(place, "--account", first, "--format", "csv"))))
    assert rows.columns == ["account", "currency", "depth", "component", "amount", "rule", "binding"]
    assert set(rows["account"]) == {first}


def test_explain_shows_scenarios_and_contributions(done, place, market):
    owner = market["accounts"]["owner"].min()
    text = done(*margin(place, "--by", "owner", "--account", owner, "--explain"))
    for words in (
        "worst scenarios (scenario, profit and loss):",
        "contributions, before weights (instrument, quantity, contribution):",
        "scenarios in the tail: 1",
        "scenarios in all: 150",
        "weight: 0.75",
        "Legal status: hypothetical: no clearing house calls margin by this method.",
    ):
        assert words in text
    everyone = done(*margin(place, "--by", "owner", "--explain"))
    assert re.sub("(?m)^Note: .*\n", "", text.split("\n", 1)[1]) in everyone
    assert everyone.count("worst scenarios (") == 2 * market["accounts"]["owner"].n_unique()


def test_positions_of_a_future_stay_within_a_house(done, place, market):
    owner = market.positions_on(AS_OF).join(market["accounts"], on="account")["owner"].min()
    (result,) = json.loads(done(*margin(place, "--by", "owner", "--account", owner, "--format", "json")))[
        "results"
    ]
    houses = {part["name"] for scenarios in result["breakdown"]["parts"] for part in scenarios["parts"]}
    held = market["accounts"].filter(owner=owner)["house"]
    assert houses - {"rounding"} <= set(held)
    assert result["provenance"]["data_note"].startswith("SYNTHETIC")


def test_the_buffer_of_the_settings_is_in_the_margin(done, copy, market):
    account = market.positions_on(AS_OF)["account"].min()
    arguments = margin(copy, "--account", account, "--format", "json")
    (plain,) = json.loads(done(*arguments))["results"]
    given = "[anti_procyclical]\nbuffer_rate = 0.25\nbuffer_drawn = 0.4\n"
    (copy / "engine.toml").write_text(SETTINGS + given)
    done(*build(copy, "--settings", copy / "engine.toml", "--out", copy / "set"))
    (buffered,) = json.loads(done(*arguments))["results"]
    parts = {part["name"]: Decimal(part["amount"]) for part in buffered["breakdown"]["parts"]}
    assert float(buffered["total"]) == pytest.approx(1.15 * float(plain["total"]), abs=0.02)
    assert float(parts["anti-procyclical buffer"]) == pytest.approx(0.15 * float(plain["total"]), abs=0.03)
    assert sum(parts.values()) == Decimal(buffered["total"])


def test_rows_of_32_bits_are_near_those_of_64(done, copy, market):
    fine = pl.read_csv(io.StringIO(done(*margin(copy, "--format", "csv"))))
    (copy / "engine.toml").write_text(f'{SETTINGS}[revaluation]\nprecision = "float64"\n')
    done(*build(copy, "--settings", copy / "engine.toml", "--out", copy / "set"))
    assert open_cube(copy / "set" / "cube").pnl.dtype == np.float64
    exact = pl.read_csv(io.StringIO(done(*margin(copy, "--format", "csv"))))
    prices = market.latest("prices", AS_OF, "underlying").select("underlying", "close")
    exposure = pl.col("quantity").abs() * pl.col("multiplier") * pl.col("close")
    gross = (
        market.positions_on(AS_OF)
        .join(market["instruments"], on="instrument")
        .join(prices, on="underlying")
        .group_by("account")
        .agg(exposure.sum())
        .sort("account")
    )
    assert gross["account"].equals(exact["account"])
    off = np.abs(fine["requirement"].to_numpy() - exact["requirement"].to_numpy())
    assert (off <= 1e-7 * gross["quantity"].to_numpy() + 0.01).all()
    assert off.any()


def test_rows_of_sixteen_bits(done, copy, market, cube, held):
    arguments = margin(copy, "--format", "csv")
    fine = pl.read_csv(io.StringIO(done(*arguments)))
    (copy / "engine.toml").write_text(f'{SETTINGS}[revaluation]\nprecision = "int16"\n')
    text = done(*build(copy, "--settings", copy / "engine.toml", "--out", copy / "set"))
    (made,) = [row for row in cells(text, "Stages") if row[0] == "revalue"]
    assert made[1].endswith(", int16")
    stored = open_cube(copy / "set" / "cube", verify=True)
    assert amount(made[3]) == stored.pnl.nbytes + stored.scales.nbytes
    rounded = pl.read_csv(io.StringIO(done(*arguments)))
    assert not rounded.equals(fine)
    # each result is within 1/65,534 of the largest of its row; to that come a cent and the sums in 32 bits
    largest = pl.DataFrame(
        {"instrument": cube.instruments["instrument"], "largest": np.abs(cube.pnl).max(axis=1)}
    )
    bounds = (
        market.positions_on(AS_OF)
        .join(largest, on="instrument")
        .group_by("account")
        .agg((pl.col("quantity").abs() * pl.col("largest").cast(pl.Float64)).sum().alias("bound"))
        .sort("account")
    )
    off = np.abs(rounded["requirement"].to_numpy() - fine["requirement"].to_numpy())
    assert bounds["account"].equals(fine["account"])
    assert (off <= bounds["bound"].to_numpy() * 1.05 / 65_534 + 0.02).all()
    changed = ("--account", held[0], "--trade", f"{FUTURE}:1", f"{UNLISTED}:1")
    assert FUTURE in done(*whatif(copy, *changed))


GROSS = "margined gross by their house, each of them net in this model"


def test_gross_accounts_and_missing_consent_are_told(done, copy, market):
    accounts = market["accounts"].sort("owner", "account")
    several = accounts.filter(pl.len().over("owner") > 1)["owner"].unique().sort()
    first, second = several[:2]
    changed = accounts.with_columns(
        basis=pl.when(owner=first).then(pl.lit("gross")).otherwise(pl.lit("net")),
        consent=pl.when(owner=second).then(0).otherwise(1),
    )
    head = {"name": market.name, "calendar": market.calendar, "data_note": market.data_note}
    tables = {**market.tables, "accounts": changed}
    write_market(make_market(tables, currency=market.currency, **head), copy / "market")
    held = changed.join(market.positions_on(AS_OF), on="account", how="semi")
    gross, apart = (len(held.filter(owner=owner)) for owner in (first, second))
    assert min(gross, apart) > 1
    consent = (
        "without consent to cross-margining, margined with others of the {} nevertheless; "
        "programmes of cross-margining decide who may be"
    )
    by_house = f"{gross} accounts {GROSS}"
    expected = {
        "account": [by_house],
        "owner": [by_house, f"{apart} accounts {consent.format('owner')}"],
        "participant": [by_house, f"{apart} accounts {consent.format('participant')}"],
    }
    for by, notes in expected.items():
        assert json.loads(done(*margin(copy, "--by", by, "--format", "json")))["notes"] == notes
        lines = done(*margin(copy, "--by", by)).splitlines()
        assert [line for line in lines if line.startswith("Note: ")] == [f"Note: {note}." for note in notes]
    named = ("--by", "owner", "--account", second, "--format", "json")
    assert json.loads(done(*margin(copy, *named)))["notes"] == expected["owner"][1:]
    tried = ("--by", "owner", "--account", first, "--trade", f"{STOCK}:100", "--format", "json")
    assert json.loads(done(*whatif(copy, *tried)))["notes"] == [by_house]
    one = held.filter(owner=second)["account"][0]
    assert json.loads(done(*margin(copy, "--account", one, "--format", "json")))["notes"] == []


# What-if.


@pytest.fixture(scope="module")
def held(market):
    """An account of HKCC that holds the future, and how many."""
    row = market.positions_on(AS_OF).filter(instrument=FUTURE).sort("account").row(0, named=True)
    return row["account"], row["quantity"]


def test_trades_in_what_is_listed(done, place, market, cube, held):
    account, quantity = held
    arguments = whatif(place, "--account", account, "--trade", f"{FUTURE}:{-quantity}", f"{LATER}:+30")
    change = json.loads(done(*arguments, "--format", "json"))
    book = market.positions_on(AS_OF).filter(account=account)
    before = plain_requirement(cube, book.select("instrument", "quantity").iter_rows())
    rest = book.filter(pl.col("instrument") != FUTURE).select("instrument", "quantity")
    added = [*rest.iter_rows(), (LATER, 30)]
    net = {code: sum(units for name, units in added if name == code) for code, _ in added}
    after = plain_requirement(cube, net.items())
    assert float(change["before"]) == pytest.approx(before, abs=0.02)
    assert float(change["after"]) == pytest.approx(after, rel=1e-5, abs=0.02)  # float32, in another order
    assert Decimal(change["difference"]) == Decimal(change["after"]) - Decimal(change["before"])
    assert change["trades"] == [
        {"instrument": FUTURE, "quantity": -quantity},
        {"instrument": LATER, "quantity": 30},
    ]
    assert (change["by"], change["account"], change["currency"]) == ("account", account, "HKD")
    assert (change["as_of"], change["cube"]) == ("2026-01-05", cube.key)
    assert change["data_note"].startswith("SYNTHETIC")
    assert {row["status"] for row in change["tail_scenarios"]} <= {"stays", "enters", "leaves"}
    assert done(*arguments, "--format", "json") == json.dumps(change, indent=2, ensure_ascii=False) + "\n"


def test_what_a_table_shows(done, place, held):
    account, quantity = held
    text = done(*whatif(place, "--account", account, "--trade", f"{FUTURE}:{quantity}"))
    assert text.startswith("SYNTHETIC")
    title = f"Margin of {account} with {quantity:+,} {FUTURE}, HKD"
    assert cells(text, title)[0] == ["before", "after", "difference"]
    assert cells(text, "Expected shortfalls, before weights")[0] == ["part", "weight", "before", "after"]
    tails = cells(text, "Scenarios of the tails, profit and loss")
    assert tails[0] == ["part", "scenario", "before", "after", "status"]
    assert max(len(line) for line in text.splitlines() if line[0] in "┏┃┡│└") <= 120
    assert "Legal status: hypothetical" in text


def test_an_option_that_nobody_lists(done, place, held):
    account, _ = held
    arguments = whatif(place, "--account", account, "--trade", f"{UNLISTED}:-4", "--format", "json")
    change = json.loads(done(*arguments))
    assert change["trades"] == [{"instrument": UNLISTED, "quantity": -4}]
    assert Decimal(change["after"]) != Decimal(change["before"])


def test_an_option_by_its_terms_is_the_listed_one(done, place, market, held):
    listed = market["instruments"].filter(kind="option", underlying="HSI").sort("instrument")
    row = listed.filter(pl.col("multiplier") == listed["multiplier"].max()).row(0, named=True)
    by_terms = f"{row['underlying']}/{row['expiry']}/{row['strike']:g}/{row['right']}"
    changes = [
        json.loads(done(*whatif(place, "--account", held[0], "--trade", f"{code}:50", "--format", "json")))
        for code in (row["instrument"], by_terms)
    ]
    assert float(changes[1]["after"]) == pytest.approx(float(changes[0]["after"]), rel=1e-6)


def test_a_hedge_in_another_house_counts_for_the_owner(done, place, market, held):
    account, quantity = held
    owner = market["accounts"].filter(account=account)["owner"][0]
    trade = f"{STOCK}:{-quantity * 50_000}"
    arguments = ("--by", "owner", "--account", owner, "--trade", trade, "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(done(*whatif(place, *arguments))))
    assert list(row) == ["owner", "currency", "before", "after", "difference"]
    assert row["owner"] == owner
    assert Decimal(row["after"]) - Decimal(row["before"]) == Decimal(row["difference"])


def test_an_account_without_positions_starts_from_nothing(done, copy):
    given = read_market(copy / "market")
    accounts = given["accounts"]
    empty = accounts.filter(house="HKSCC").head(1)
    empty = empty.with_columns(account=pl.lit("EMPTY"), owner=pl.lit("EMPTY"), basis=pl.lit("gross"))
    tables = {**given.tables, "accounts": pl.concat([accounts, empty])}
    changed = make_market(
        tables,
        name=given.name,
        currency=given.currency,
        calendar=given.calendar,
        data_note=given.data_note,
    )
    write_market(changed, copy / "market")
    arguments = ("--account", "EMPTY", "--trade", f"{STOCK}:100", "--format", "json")
    change = json.loads(done(*whatif(copy, *arguments)))
    assert Decimal(change["before"]) == 0 < Decimal(change["after"])
    assert change["notes"] == [f"1 account {GROSS}"]
    table = done(*whatif(copy, "--account", "EMPTY", "--trade", f"{STOCK}:100"))
    assert f"Note: 1 account {GROSS}." in table.splitlines()


# Risk parameters of one's own.


def test_an_rpf01_file_that_the_hkscc_command_reads(done, place, tmp_path, market):
    out = tmp_path / "RPF01.csv"
    settings = ("--settings", place / "engine.toml")
    text = done("rpf01", "build", "--market", place / "market", *settings, "--out", out)
    parameters = read_rpf01(out)
    assert_rpf01_told(text, parameters, out)
    assert parameters.valuation_date == AS_OF
    assert (parameters.historical.scenario_count, parameters.stressed.scenario_count) == (150, 60)
    instruments = market["instruments"].filter(house="HKSCC").select("instrument", "underlying")
    spots = market.latest("prices", AS_OF, "underlying").select("underlying", "close")
    marked = (
        market.positions_on(AS_OF)
        .join(market["accounts"], on="account")
        .join(instruments, on="instrument")
        .join(spots, on="underlying")
        .filter(house="HKSCC", instrument=STOCK)
        .group_by("participant")
        .agg(pl.col("quantity").sum(), pl.col("close").first())
        .sort("participant")
    )
    lines = [
        f"{STOCK},{quantity},{quantity * close:.2f},{quantity * close:.2f},{name}"
        for name, quantity, close in marked.iter_rows()
    ]
    heading = "InstrumentID,Quantity,ContractValueHKD,MarketValueHKD,ParticipantID"
    (tmp_path / "positions.csv").write_text("\n".join([heading, *lines, ""]))
    text = done("hkscc", "--rpf", out, "--positions", tmp_path / "positions.csv", "--format", "json")
    results = {one["participant"]: one for one in json.loads(text)["results"]}
    row = parameters.scenario_instruments.index_of(STOCK)
    for name, quantity, close in marked.iter_rows():
        returns = parameters.returns[row] * quantity * close
        blended = sum(
            measure.weight * -np.sort(results_of)[: measure.tail_count].mean()
            for measure, results_of in (
                (parameters.historical, returns[:150]),
                (parameters.stressed, returns[150:]),
            )
        )
        nodes = {node["name"]: Decimal(node["amount"]) for node in flat(results[name]["breakdown"])}
        assert float(nodes["all other Tier P instruments"]) == pytest.approx(blended, abs=1)


def assert_rpf01_told(text, parameters, out):
    assert text.startswith("SYNTHETIC")
    made = {row[0]: row[1:] for row in cells(text, "Stages")}
    stages = ["read market", "check histories", "make scenarios", "make parameters", "write file", "total"]
    assert list(made) == ["stage", *stages]
    count, rated = len(parameters.scenario_instruments), parameters.flat_rate["instrument"].to_list()
    assert made["make parameters"][0] == f"{count} instruments with scenarios, {len(rated)} with a flat rate"
    assert (made["write file"][0], amount(made["write file"][2])) == (out.name, out.stat().st_size)
    assert cells(text, "Parts of the scenario set")[0][0] == "part"
    assert cells(text, "Found in the histories")[0] == ["kind", "action", "times", "factors", "example"]
    first = ", ".join(rated[:5]) + (", …" if len(rated) > 5 else "")
    told = f"{len(rated)} ({first})" if rated else "none"
    assert f"Instruments with a flat rate: {told}" in text.splitlines()


def test_instruments_without_scenarios_are_named(done, copy, market):
    shares = market["instruments"].filter(kind="equity")["underlying"].sort()[:7].to_list()
    early = pl.col("underlying").is_in(shares) & (pl.col("date") < date(2025, 12, 1))
    alone = market["underlyings"].with_columns(proxy=pl.lit(None, pl.String))
    head = {"name": market.name, "calendar": market.calendar, "data_note": market.data_note}
    tables = {**without(market, prices=early).tables, "underlyings": alone}
    write_market(make_market(tables, currency=market.currency, **head), copy / "market")
    given = ("--settings", copy / "engine.toml", "--out", copy / "RPF01.csv")
    text = done("rpf01", "build", "--market", copy / "market", *given)
    parameters = read_rpf01(copy / "RPF01.csv")
    assert_rpf01_told(text, parameters, copy / "RPF01.csv")
    young = market["underlyings"].filter(pl.col("proxy").is_not_null())["underlying"]
    rated = sorted({*shares, *young})
    assert parameters.flat_rate["instrument"].to_list() == rated
    (line,) = [line for line in text.splitlines() if line.startswith("Instruments with a flat rate")]
    assert line == f"Instruments with a flat rate: {len(rated)} ({', '.join(rated[:5])}, …)"


def test_a_buffer_that_a_risk_parameter_file_cannot_carry(refused, done, copy):
    path, out = copy / "engine.toml", copy / "RPF01.csv"
    words = ["rpf01", "build", "--market", copy / "market", "--settings", path, "--out", out]
    path.write_text(f"{SETTINGS}[anti_procyclical]\nbuffer_rate = 0.25\n")
    rule = "0, or all of it drawn: a risk parameter file has no place for a buffer"
    assert refused(*words) == [f"{path}: anti_procyclical.buffer_rate '0.25': {rule}"]
    assert not out.exists()
    path.write_text(f"{SETTINGS}[anti_procyclical]\nbuffer_rate = 0.25\nbuffer_drawn = 1.0\n")
    done(*words)
    assert out.is_file()


def flat(node):
    yield node
    for part in node["parts"]:
        yield from flat(part)


# What is refused.


@pytest.mark.parametrize(
    "words",
    [
        ["scenarios", "build", "--market", "none"],
        ["margin", "--market", "none"],
        ["whatif", "--market", "none", "--account", "A", "--trade", "B:1"],
        ["rpf01", "build", "--market", "none", "--out", "RPF01.csv"],
        ["scenarios", "show", "none"],
    ],
)
def test_a_folder_that_is_not_there(run, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*words)
    assert (code, out) == (1, "")
    assert re.fullmatch(r"crossmargin: No such file or directory: none/(market\.toml|scenarios\.set)\n", err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [margin, whatif])
@pytest.mark.parametrize(
    "file", ["scenarios.set", "cube/cube.json", "cube/pnl.rows", "cube/findings.parquet"]
)
def test_a_cube_with_a_part_missing(run, copy, command, file):
    (copy / "set" / file).unlink()
    more = ("--account", "A", "--trade", "B:1") if command is whatif else ()
    code, out, err = run(*command(copy, *more))
    assert (code, out, err) == (1, "", f"crossmargin: No such file or directory: {copy / 'set' / file}\n")


@pytest.mark.parametrize(
    ("file", "rule"),
    [
        ("scenarios.set", "to the last byte"),
        ("cube/cube.json", "the description of a cube"),
        ("cube/pnl.rows", "it may be torn"),
        ("cube/instruments.parquet", "the table that cube.json names"),
    ],
)
def test_a_torn_cube(refused, copy, file, rule):
    path = copy / "set" / file
    path.write_bytes(path.read_bytes()[:-9])
    for words in (margin(copy), ["scenarios", "show", copy / "set"]):
        (line,) = refused(*words)
        assert line.startswith(f"{path}")
        assert rule in line


def test_altered_rows_are_found_before_they_are_used(done, refused, copy):
    path = copy / "set" / "cube" / "pnl.rows"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    done("scenarios", "show", copy / "set")
    trade = ("--account", "A", "--trade", "B:1")
    for words in (["scenarios", "show", copy / "set", "--verify"], margin(copy), whatif(copy, *trade)):
        (line,) = refused(*words)
        assert line == f"{path}: 'another hash': rows as they were written"


def test_scenarios_of_another_cube(refused, done, copy, tmp_path):
    other = ("--method", "fhs", "--settings", copy / "engine.toml", "--out", tmp_path / "other")
    done(*build(copy, *other))
    shutil.copy(tmp_path / "other" / "scenarios.set", copy / "set" / "scenarios.set")
    for words in (margin(copy), ["scenarios", "show", copy / "set"]):
        (line,) = refused(*words)
        assert "the scenarios that the cube beside it was made from" in line


@pytest.mark.parametrize("command", [margin, whatif])
def test_a_cube_of_another_market(refused, copy, command):
    write_market(synthetic_market(seed=4, size=SIZE), copy / "market")
    more = ("--account", "A", "--trade", "B:1") if command is whatif else ()
    (line,) = refused(*command(copy, *more))
    assert line.startswith(f"{copy / 'set'}: 'other marks': ")
    assert "the marks of synthetic market 4 on 2026-01-05; build it again" in line


def described(copy, **changes):
    """Change what the cube of a folder says of itself."""
    path = copy / "set" / "cube" / "cube.json"
    said = json.loads(path.read_text())
    for key, value in changes.items():
        said[key] = value(said[key])
    path.write_text(json.dumps(said))


@pytest.mark.parametrize(
    "changes",
    [
        {"parts": lambda parts: [{**part, "weight": 0.5} for part in parts]},
        {"parts": lambda parts: [{**part, "tail_count": 1} for part in parts]},
        {"labels": lambda labels: labels[::-1]},
        {"scenario_settings": lambda settings: settings[1:]},
        {"input_hashes": lambda hashes: hashes[:1]},
    ],
)
def test_a_description_of_other_scenarios(refused, copy, changes):
    described(copy, **changes)
    for words in (margin(copy), ["scenarios", "show", copy / "set"]):
        (line,) = refused(*words)
        assert line.endswith("'another hash': the rows that cube.json was written with")


def test_a_description_of_other_settings(refused, copy):
    described(copy, settings=lambda settings: {**settings, "smile": "delta"})
    (line,) = refused(*margin(copy))
    assert line.endswith("'another hash': the rows that cube.json was written with")


def test_whole_numbers_in_the_settings_do_not_part_a_cube_from_its_key(done, copy):
    (copy / "engine.toml").write_text(f"{SETTINGS}[revaluation]\ndecay_days = 1\nvolatility_rise_limit = 2\n")
    again = build(copy, "--settings", copy / "engine.toml", "--out", copy / "set")
    done(*again)
    assert "HKD" in done(*margin(copy))
    assert "verify stored cube" in done(*again)
    assert "revalue" not in done(*again)


@pytest.mark.parametrize("command", [margin, whatif])
def test_a_cube_of_another_day(refused, place, command):
    more = ("--account", "A", "--trade", "B:1") if command is whatif else ()
    lines = refused(*command(place, "--as-of", "2026-01-02", *more))
    assert lines == ["--as-of: '2026-01-02': 2026-01-05, the day of the cube"]


@pytest.mark.parametrize("command", [margin, whatif])
def test_settings_beside_a_stored_cube(refused, place, command):
    more = ("--account", "A", "--trade", "B:1") if command is whatif else ()
    given = ("--method", "fhs", "--settings", "engine.toml", "--stress-factor", "spot:HSI")
    rule = "nothing beside --cube, which has its own"
    assert refused(*command(place, *given, *more)) == [
        f"--method: 'fhs': {rule}",
        f"--settings: 'engine.toml': {rule}",
        f"--stress-factor: 'spot:HSI': {rule}",
    ]


@pytest.mark.parametrize("by", GROUPINGS)
def test_every_unknown_account_is_listed(refused, place, market, cube, by):
    count = len(margins_by(market, cube, by).accounts)
    rule = f"one of the {count} {by}s with positions"
    assert refused(*margin(place, "--by", by, "--account", "X", "Y")) == [
        f"--account: 'X': {rule}",
        f"--account: 'Y': {rule}",
    ]
    count = market["accounts"][by].n_unique()
    lines = refused(*whatif(place, "--by", by, "--account", "X", "--trade", f"{FUTURE}:1"))
    assert lines == [f"--account: 'X': one of the {count} {by}s of the market"]


def test_every_text_that_is_no_trade_is_listed(refused, place, held):
    texts = ["HSI", f"{FUTURE}:1.5", f"{FUTURE}:", f"{FUTURE}:{10**12}0", f"{FUTURE}:١"]
    strikes = [f"HSI/2026-02-20/{strike}/C:1" for strike in ("1" * 13, "1.1234567")]
    strikes.append(f"HSI/2026-02-20/{10**30}/C:1")
    no_day = "HSI/2026-02-30/1/C:1"
    given = [*texts, *strikes, no_day, f"{FUTURE}:1"]
    lines = refused(*whatif(place, "--account", held[0], "--trade", *given))
    rule = "CODE:QTY, with a whole number of at most 12 digits"
    digits = "a strike of at most 12 digits before the point and 6 behind it"
    expected = [f"--trade: {text!r}: {rule}" for text in texts]
    expected += [f"--trade: {text!r}: {digits}" for text in strikes]
    assert sorted(lines) == sorted([*expected, f"--trade: {no_day!r}: an expiry that is a day"])


def test_a_strike_of_47_digits(refused, place, held):
    (line,) = refused(*whatif(place, "--account", held[0], "--trade", f"HSI/2026-02-20/{'9' * 47}/C:1"))
    assert line.endswith("a strike of at most 12 digits before the point and 6 behind it")


@pytest.mark.parametrize("strike", ["999999999999", "999999999999.999999", "0.000001"])
def test_strikes_at_the_ends_of_what_is_taken(done, place, held, strike):
    trade = f"HSI/2026-02-20/{strike}/P:1"
    change = json.loads(done(*whatif(place, "--account", held[0], "--trade", trade, "--format", "json")))
    assert Decimal(change["after"]).is_finite()


def test_every_trade_of_another_house_is_listed(refused, done, place, market, held):
    share = market["instruments"].filter(kind="option", house="SEOCH")["underlying"][0]
    stock_option = f"{share}/2026-02-20/100/C"
    lines = refused(
        *whatif(place, "--account", held[0]),
        *("--trade", f"{STOCK}:100", f"{FUTURE}:1", f"{stock_option}:1", f"{UNLISTED}:1", "9999:1"),
    )
    assert sorted(lines) == sorted(
        [
            f"--trade: {STOCK!r}: cleared by the account's house, HKCC",
            f"--trade: {stock_option!r}: cleared by the account's house, HKCC",
            "trade: instrument '9999': an instrument of the cube",
        ]
    )
    owner = market["accounts"].filter(account=held[0])["owner"][0]
    trades = ("--trade", f"{STOCK}:100", f"{stock_option}:1")
    done(*whatif(place, "--by", "owner", "--account", owner, *trades))


def test_every_trade_in_what_is_not_there_is_listed(refused, place, held):
    texts = ["9999:1", f"{FUTURE}:1", "8888:2", "XXX/2026-02-20/100/C:1", "HSI/2020-01-01/0/C:1"]
    lines = refused(*whatif(place, "--account", held[0], "--trade", *texts))
    assert lines == [
        "trade: expiry '2020-01-01': after the day of the marks",
        "trade: instrument '8888': an instrument of the cube",
        "trade: instrument '9999': an instrument of the cube",
        "trade: strike '0.0': above 0, at most 10^12",
        "trade: underlying 'XXX': an underlying with options that have a volatility",
    ]


@pytest.mark.parametrize("command", ["scenarios build", "margin", "whatif", "rpf01 build"])
def test_everything_that_is_wrong_with_settings_is_listed(refused, copy, command):
    path = copy / "engine.toml"
    path.write_text("[history]\nsede = 1\nseed = -1\n[look_back]\nscenarios = 0\n[historie]\n")
    more = {
        "whatif": ("--account", "A", "--trade", "B:1"),
        "rpf01 build": ("--out", copy / "RPF01.csv"),
    }.get(command, ())
    lines = refused(*command.split(), "--market", copy / "market", "--settings", path, *more)
    fields = [line.removeprefix(f"{path}: ").split(" ")[0] for line in lines]
    assert fields == ["historie", "history.sede", "history.seed", "look_back.scenarios"]
    assert not (copy / "RPF01.csv").exists()


@pytest.mark.parametrize("command", ["scenarios build", "margin", "rpf01 build"])
def test_a_day_before_any_price(refused, place, tmp_path, command):
    more = ("--out", tmp_path / "out") if command != "margin" else ()
    (line,) = refused(*command.split(), "--market", place / "market", "--as-of", "1990-01-01", *more)
    assert line == "market: prices 'none': prices up to 1990-01-01"
    assert list(tmp_path.iterdir()) == []


def test_a_market_without_prices(refused, tmp_path):
    write_market(make_market({}, name="empty", calendar="XHKG"), tmp_path / "market")
    (line,) = refused("scenarios", "build", "--market", tmp_path / "market")
    assert line == "market: prices 'none': at least one price"


def test_a_market_without_positions(refused, copy):
    given = read_market(copy / "market")
    tables = {name: table for name, table in given.tables.items() if name != "positions"}
    head = {"name": given.name, "calendar": given.calendar, "data_note": given.data_note}
    write_market(make_market(tables, currency=given.currency, **head), copy / "market")
    (line,) = refused(*margin(copy))
    assert line == "market: positions 'none': at least one position on 2026-01-05"


@pytest.mark.parametrize(
    "given",
    [
        ("--method", "fhs", "--stress-factor", "spot:HSI"),
        ("--settings", "periods.toml", "--stress-factor", "spot:HSI"),
        ("--settings", "factor.toml", "--stress-factor", "spot:HSI"),
    ],
)
def test_a_stress_factor_that_would_not_be_used(refused, place, tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    Path("periods.toml").write_text('[stress]\nperiods = [["a", 2025-03-03, 2025-03-31]]\n')
    Path("factor.toml").write_text('[stress]\nfactor = "spot:HHI"\n')
    (line,) = refused(*build(place, *given))
    assert line.startswith("--stress-factor: 'spot:HSI': a method with stressed days")


def test_a_stress_factor_that_is_none(refused, place):
    (line,) = refused(*build(place, "--settings", place / "engine.toml", "--stress-factor", "spot:XXX"))
    assert line.endswith("factor 'spot:XXX': a risk factor of the histories")


def test_histories_that_are_too_short(refused, place):
    (line,) = refused(*build(place))
    assert "scenarios '1,000': at most the " in line


def test_places_are_looked_at_before_anything_is_made(refused, copy, monkeypatch):
    monkeypatch.chdir(copy)
    before = snapshot(copy)
    given = ("scenarios", "build", "--market", "market", "--settings", "engine.toml")
    assert refused(*given, "--out", "engine.toml", "--findings", "no/found.csv") == [
        "--findings: 'no/found.csv': a file in a folder that is there",
        "--out: 'engine.toml': a folder, or nothing yet",
    ]
    rule = "outside of the market folder, which holds nothing else"
    assert refused(*given, "--out", "market/set", "--findings", "market/found.csv") == [
        f"--findings: 'market/found.csv': {rule}",
        f"--out: 'market/set': {rule}",
    ]
    assert snapshot(copy) == before


@pytest.mark.parametrize("command", ["margin", "whatif", "rpf01 build"])
def test_a_file_in_the_market_folder(refused, copy, command, monkeypatch):
    monkeypatch.chdir(copy)
    more = {"rpf01 build": ("--settings", "engine.toml")}.get(command, ("--cube", "set"))
    if command == "whatif":
        more += ("--account", "A", "--trade", "B:1")
    before = snapshot(copy)
    inside = "outside of the market folder, which holds nothing else"
    nowhere = "a file in a folder that is there"
    for place, rule in (
        ("market/out.csv", inside),
        ("set/../market/histories/out.csv", inside),
        ("set", nowhere),
        ("none/out.csv", nowhere),
    ):
        words = [*command.split(), "--market", copy / "market", *more, "--out", place]
        assert refused(*words) == [f"--out: '{place}': {rule}"]
    assert snapshot(copy) == before
    assert read_market(copy / "market")


def test_a_cube_takes_the_place_of_nothing_but_a_cube(refused, copy, monkeypatch):
    monkeypatch.chdir(copy)
    rule = "a folder in which cube is free, or holds a cube and nothing else"
    Path("market").rename("cube")
    Path("set/cube/notes.txt").write_text("mine")
    before = snapshot(copy)
    words = ("scenarios", "build", "--market", "cube", "--settings", "engine.toml")
    for out in (".", "set"):
        assert refused(*words, "--out", out) == [f"--out: '{out}': {rule}"]
    assert snapshot(copy) == before


def test_findings_may_stand_beside_the_cube_that_is_made(done, place, tmp_path):
    out = tmp_path / "set"
    done(*build(place, "--settings", place / "engine.toml", "--out", out, "--findings", out / "found.csv"))
    assert {path.name for path in out.iterdir()} == {"scenarios.set", "cube", "found.csv"}


@pytest.mark.parametrize(
    "words",
    [
        lambda place: margin(place, "--account", "X", "--format", "json"),
        lambda place: whatif(place, "--account", "X", "--trade", "9999:1", "--format", "json"),
        lambda place: ["rpf01", "build", "--market", place / "market"],
    ],
)
def test_an_error_leaves_the_file_that_stood_there(refused, copy, words):
    out = copy / "kept"
    out.write_bytes(b"what stood here before")
    before = snapshot(copy)
    assert refused(*words(copy), "--out", out)
    assert snapshot(copy) == before


def test_an_error_leaves_the_cube_that_stood_there(refused, copy):
    (copy / "engine.toml").write_text("[look_back]\nscenarios = 0\n")
    before = snapshot(copy)
    assert refused(*build(copy, "--settings", copy / "engine.toml", "--out", copy / "set"))
    assert snapshot(copy) == before


def test_a_sample_does_not_replace_what_is_no_market(refused, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    assert refused("sample", "market", "--out", tmp_path / "notes")
    assert snapshot(tmp_path) == {Path("notes/mine.txt"): b"mine"}


@pytest.mark.parametrize(
    "words",
    [
        ["sample", "market"],
        ["sample", "market", "--out", "x", "--size", "huge"],
        ["sample", "market", "--out", "x", "--histories", "xml"],
        ["scenarios"],
        ["scenarios", "build"],
        ["scenarios", "build", "--market", "x", "--method", "guess"],
        ["scenarios", "build", "--market", "x", "--as-of", "yesterday"],
        ["scenarios", "show"],
        ["margin"],
        ["margin", "--market", "x", "--by", "desk"],
        ["margin", "--market", "x", "--model", "parametric"],
        ["margin", "--market", "x", "--format", "xml"],
        ["whatif", "--market", "x", "--account", "a"],
        ["whatif", "--market", "x", "--trade", "a:1"],
        ["whatif", "--market", "x", "--account", "a", "--trade", "b:1", "--format", "parquet"],
        ["rpf01", "build", "--market", "x"],
    ],
)
def test_wrong_usage(run, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*words)
    if words == ["scenarios"]:  # lists its commands
        assert (code, err) == (0, "")
        assert "build" in out
        return
    assert (code, out) == (2, "")
    assert "Error" in err
    assert list(tmp_path.iterdir()) == []


# Help.


@pytest.mark.parametrize("command", ["scenarios build", "scenarios show", "margin", "whatif", "rpf01 build"])
def test_help_says_something_of_every_option(done, command):
    lines = [line.strip("│ *") for line in done(*command.split(), "--help").splitlines() if "│" in line]
    options = [line.split(maxsplit=2) for line in lines if line.startswith("--")]
    assert len(options) >= 1
    assert all(len(words) == 3 and not words[2].startswith("[") for words in options), options
    assert not any(words[0].startswith("--empty") for words in options)


def test_a_cube_of_another_version(refused, place, monkeypatch):
    monkeypatch.setattr("crossmargin.models.revaluation.cube.__version__", "0.0.0")
    (line,) = refused(*margin(place))
    assert line.endswith(
        "'another key': a cube made by this version with the settings that it names; build it again"
    )
