"""Programmes from TOML files: what ships, what is read back, and everything that is refused."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace

import pytest

from crossmargin.errors import InputError
from crossmargin.formats.programme_files import DESIGNS, designs, programme_of_table, read_programme
from crossmargin.models.market import HOUSES
from crossmargin.programmes.programme import (
    Attribution,
    Default,
    Eligibility,
    Joint,
    Matching,
    Programme,
    Saving,
    Transfer,
)

ALL_OTHER = Programme(
    name="another of everything",
    mode="transfer_optimise",
    houses=("SEOCH", "HKCC", "HKSCC"),
    description='with "quotes" and\na line',
    legal_status="none",
    models=("prime", "expected_shortfall", "prime"),
    eligibility=Eligibility(
        account_types=("omnibus",),
        kinds=("future", "etf"),
        underlyings=("HSI",),
        without_instruments=("2800",),
        same_owner=False,
        consent=False,
        without_opinion=("HKCC-SEOCH",),
        hkscc_origin="participant",
    ),
    saving=Saving(minimum=0.25, cap=0.5, emir_share=0.75, allow_increase=True, enters="requirement"),
    joint=Joint(combine="min", horizon="per_house", concentration="joint", basis_charge=0.125),
    attribution=Attribution(rule="euler", floor=0.375),
    matching=Matching(index_charge=0.1, far_charge=0.2, stock_charge=0.3, minimum_coverage=0.4),
    transfer=Transfer(exact_futures=3, gap=0.01),
    default=Default(guarantee="pool", split="loss"),
    counterpart_missing="zero",
)


def plain(settings):
    """Settings as a table of what TOML holds."""
    table = {item.name: getattr(settings, item.name) for item in fields(settings)}
    return {
        name: plain(value) if is_dataclass(value) else [*value] if isinstance(value, tuple) else value
        for name, value in table.items()
    }


def written(table):
    """A table as TOML: JSON's texts, numbers and arrays are TOML's."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for name, part in table.items():
        if isinstance(part, dict):
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in part.items())]
    return "\n".join(lines) + "\n"


def refused(table):
    with pytest.raises(InputError) as error:
        programme_of_table(table, "x.toml")
    assert {one.file for one in error.value.records} == {"x.toml"}
    return [(one.field, one.value) for one in error.value.records]


def test_the_designs_that_ship():
    found = designs()
    assert [one.mode for one in found] == [
        "silo",
        "two_pot_lesser",
        "two_pot_lesser",
        "one_pot_joint",
        "merged_ccp",
    ]
    assert len({one.name for one in found}) == len(found) == len(DESIGNS)
    assert all(one.description for one in found)
    assert [one.houses for one in found] == [HOUSES, ("HKCC", "SEOCH"), *[HOUSES] * 3]
    assert [one.status.startswith("hypothetical") for one in found] == [False, *[True] * 4]


@pytest.mark.parametrize("programme", [*designs(), ALL_OTHER], ids=lambda one: one.name)
def test_what_is_written_is_read_back(tmp_path, programme):
    path = tmp_path / "programme.toml"
    path.write_text(written(plain(programme)), encoding="utf-8")
    assert read_programme(path) == programme
    assert read_programme(str(path)) == programme
    assert programme_of_table(plain(programme)) == programme


def test_every_choice_can_be_made_in_a_file():
    """No field is left out of the comparison above: each of these differs from its default."""
    default = plain(Programme(name="x", mode="silo"))
    other = plain(ALL_OTHER)
    for key, value in default.items():
        if isinstance(value, dict):
            assert value.keys() == other[key].keys()
            assert all(value[name] != other[key][name] for name in value)
        else:
            assert value != other[key]


def test_what_is_absent_keeps_its_default(tmp_path):
    path = tmp_path / "programme.toml"
    path.write_text('name = "mine"\nmode = "one_pot_joint"\n[saving]\ncap = 1\n', encoding="utf-8")
    expected = Programme(name="mine", mode="one_pot_joint", saving=Saving(cap=1.0))
    assert read_programme(path) == expected


def test_name_and_mode_must_be_there():
    assert refused({}) == [("mode", "absent"), ("name", "absent")]
    assert refused({"name": "x"}) == [("mode", "absent")]
    assert refused({"mode": "silo"}) == [("name", "absent")]
    assert refused({"name": "", "mode": "silo"}) == [("name", "")]


def test_every_bad_key_is_listed():
    table = {
        "name": "x",
        "mode": "two pots",
        "colour": "red",
        "houses": ["HKSCC", "HKSCC", "LME"],
        "models": ["span"],
        "counterpart_missing": "wait",
        "description": 3,
        "savings": {"cap": 0.5},
        "saving": {"cap": 1.5, "minimum": -0.1, "emir_share": "all", "allow_increase": 1, "most": 1},
        "joint": {"combine": "sum", "horizon": 5, "concentration": "none", "basis_charge": float("nan")},
        "attribution": {"rule": "equal", "floor": float("inf")},
        "eligibility": {
            "account_types": ["house", "house", "bank"],
            "kinds": "future",
            "same_owner": "yes",
            "without_opinion": ["SEOCH-HKSCC"],
            "hkscc_origin": "both",
            "underlyings": [1],
        },
        "matching": {"index_charge": True, "minimum_coverage": 0},
        "transfer": {"exact_futures": 2.5, "gap": "small"},
        "default": 1,
    }
    assert sorted(set(refused(table))) == [
        ("attribution.floor", "inf"),
        ("attribution.rule", "equal"),
        ("colour", "red"),
        ("counterpart_missing", "wait"),
        ("default", "1"),
        ("description", "3"),
        ("eligibility.account_types", "bank"),
        ("eligibility.account_types", "house"),
        ("eligibility.hkscc_origin", "both"),
        ("eligibility.kinds", "future"),
        ("eligibility.same_owner", "yes"),
        ("eligibility.underlyings", "[1]"),
        ("eligibility.without_opinion", "SEOCH-HKSCC"),
        ("houses", "HKSCC"),
        ("houses", "LME"),
        ("joint.basis_charge", "nan"),
        ("joint.combine", "sum"),
        ("joint.concentration", "none"),
        ("joint.horizon", "5"),
        ("matching.index_charge", "True"),
        ("matching.minimum_coverage", "0"),
        ("mode", "two pots"),
        ("models", "span"),
        ("saving.allow_increase", "1"),
        ("saving.cap", "1.5"),
        ("saving.emir_share", "all"),
        ("saving.minimum", "-0.1"),
        ("saving.most", "1"),
        ("savings", "{'cap': 0.5}"),
        ("transfer.exact_futures", "2.5"),
        ("transfer.gap", "small"),
    ]


@pytest.mark.parametrize("name", ["saving", "default", "joint", "eligibility"])
def test_a_table_that_is_none_is_refused(name):
    for value in (1, "x", [], [{}], None):
        assert [field for field, _ in refused({"name": "x", "mode": "silo", name: value})] == [name]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"houses": ()}, "houses"),
        ({"houses": ("HKSCC",)}, "houses"),
        ({"houses": ("HKSCC", "HKSCC")}, "houses"),
        ({"models": ("prime",)}, "models"),
        ({"models": ("prime", "prime", "var")}, "models"),
        ({"mode": ""}, "mode"),
        ({"name": ""}, "name"),
        ({"counterpart_missing": "none"}, "counterpart_missing"),
    ],
)
def test_programmes_refuse_in_code_what_files_do(changes, field):
    with pytest.raises(InputError) as error:
        replace(Programme(name="x", mode="two_pot_lesser"), **changes)
    assert {one.field for one in error.value.records} == {field}


def test_silo_may_have_any_houses():
    for houses in ((), ("HKCC",), HOUSES):
        assert Programme(name="x", mode="silo", houses=houses).houses == houses


def test_two_houses_and_a_model_of_each():
    table = {"name": "x", "mode": "two_pot_lesser", "houses": ["HKCC", "SEOCH"], "models": ["prime", "prime"]}
    assert programme_of_table(table).models == ("prime", "prime")


@pytest.mark.parametrize("key", ["saving.cap", "transfer.exact_futures"])
def test_a_number_of_more_digits_than_python_prints(tmp_path, key):
    """TOML's hexadecimal numbers may have any length."""
    path = tmp_path / "programme.toml"
    table, name = key.split(".")
    path.write_text(f'name = "x"\nmode = "silo"\n[{table}]\n{name} = 0x{"F" * 5000}\n', encoding="utf-8")
    with pytest.raises(InputError, match=key):
        read_programme(path)


def test_files_that_are_none(tmp_path):
    path = tmp_path / "programme.toml"
    path.write_text("name = \n", encoding="utf-8")
    with pytest.raises(InputError, match="TOML"):
        read_programme(path)
    with pytest.raises(FileNotFoundError):
        read_programme(tmp_path / "absent.toml")
    path.write_bytes(b"name = '\xff'\n")
    with pytest.raises(InputError):
        read_programme(path)


def test_an_error_names_the_file_and_is_the_same_each_time(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('mode = "x"\n[saving]\ncap = 2\nleast = 1\n', encoding="utf-8")
    texts = set()
    for _ in range(3):
        with pytest.raises(InputError) as error:
            read_programme(path)
        texts.add(str(error.value))
        assert all(one.file == str(path) for one in error.value.records)
    assert len(texts) == 1
    assert "saving.least" in texts.pop()


def test_a_model_of_a_house():
    chosen = Programme(
        name="x", mode="two_pot_lesser", houses=("HKCC", "HKSCC"), models=("hkscc_var", "prime")
    )
    assert [chosen.model_of(house) for house in HOUSES] == ["prime", "hkscc_var", "prime"]
    usual = Programme(name="x", mode="two_pot_lesser")
    assert [usual.model_of(house) for house in HOUSES] == ["hkscc_var", "prime", "prime"]
