"""A programme under stress from end to end: what the frames of the result say of one another."""

from __future__ import annotations

import datetime as dt
from dataclasses import fields, replace
from decimal import Decimal
from functools import cache

import numpy as np
import polars as pl
import pytest
from programme_market import futures, houses_of, programme, sample_houses

from crossmargin.clearing.waterfall import LAYERS
from crossmargin.errors import InputError
from crossmargin.formats.programme_files import designs
from crossmargin.formats.stress_files import stress_library
from crossmargin.programmes.default_management.settings import CloseOutSettings
from crossmargin.programmes.stress.costs import costs
from crossmargin.programmes.stress.library import MoveRow, StressScenario
from crossmargin.programmes.stress.run import run_stress, stress_houses
from crossmargin.programmes.stress.settings import StressSettings

KEYS = ["arrangement", "house"]
LINKED = designs()[2]
QUICK = CloseOutSettings(days=2)


def settings(**choices):
    return StressSettings(scenarios=stress_library(), close_out=QUICK, **choices)


@cache
def result(**choices):
    return stress_houses(sample_houses(), choices.pop("design", LINKED), settings(**choices))


def frames(found):
    tables = {field.name: getattr(found, field.name) for field in fields(found)}
    return {name: table for name, table in tables.items() if isinstance(table, pl.DataFrame)}


def test_the_same_question_has_the_same_answer():
    again = stress_houses(sample_houses(), LINKED, settings())
    assert all(table.equals(frames(again)[name]) for name, table in frames(result()).items())
    assert again.provenance == result().provenance


def test_cover_is_the_largest_loss_over_margin_of_one_and_of_two():
    found = result()
    for house, cover in (("HKSCC", 1), ("HKSCC", 2), ("HKCC", 2), ("SEOCH", 1), (None, 2)):
        arrangement = "linked" if house else "merged"
        told = found.cover.filter(
            pl.col("house").eq_missing(house), arrangement=arrangement, cover=cover, guarantee="none"
        ).row(0, named=True)
        losses = found.losses.filter(pl.col("house").eq_missing(house), arrangement=arrangement)
        by_scenario = losses.group_by("scenario", maintain_order=True).agg(
            pl.col("over_margin").sort(descending=True).head(cover).sum()
        )
        assert told["over_margin"] == by_scenario["over_margin"].max() > 0
        mine = losses.filter(scenario=told["scenario"]).sort("over_margin", descending=True)
        assert (
            sum(mine.filter(pl.col("group").is_in(told["groups"].split(" + ")))["over_margin"])
            == told["over_margin"]
        )


def test_losses_have_every_group_and_house_in_every_scenario():
    found = result()
    counts = found.losses.group_by("arrangement", "group", "house").len()["len"]
    assert set(counts) == {len(found.scenarios)}
    today, linked = (found.losses.filter(arrangement=name) for name in ("today", "linked"))
    assert today["loss"].to_list() == linked["loss"].to_list(), "margins change, losses do not"
    assert sum(linked["margin"]) < sum(today["margin"])


def test_funds_cover_what_they_are_sized_for_and_their_parts_add_up():
    found = result()
    needed = found.cover.filter(cover=2, guarantee="none")
    for row in found.funds.iter_rows(named=True):
        key = (pl.col("house").eq_missing(row["house"]), pl.col("arrangement") == row["arrangement"])
        assert row["size"] >= needed.filter(*key)["over_margin"][0]
        assert row["size"] == row["house_share"] + row["members_share"]
        parts = found.contributions.filter(*key)
        assert sum(parts["contribution"]) == row["members_share"]
        assert sum(parts["additional_margin"]) == row["beyond_limit"]
    assert found.funds.select(KEYS).is_unique().all()


def test_the_waterfall_pays_what_is_owed_layer_by_layer():
    found = result()
    runs = found.waterfall.partition_by("arrangement", "guarantee", "house", maintain_order=True)
    assert len(runs) == 3 + 3 + 3 + 1
    for run in runs:
        assert run["layer"].to_list() == list(LAYERS)
        used, available = run["used"].to_list(), run["available"].to_list()
        assert all(0 <= one <= other for one, other in zip(used[:-1], available[:-1], strict=True))
        spent = [one == other for one, other in zip(used, available, strict=True)]
        last = max((at for at, one in enumerate(used) if one), default=0)
        assert all(spent[2:last]), "a layer begins where the one before ends"
        assert used[-1] == 0


def test_defaulters_may_be_named():
    groups = sample_houses().accounts.groups
    found = stress_houses(sample_houses(), LINKED, settings(defaulters=(groups[-1],)))
    assert set(found.waterfall["defaulters"]) == {groups[-1]}
    assert set(found.close_out["group"]) == {groups[-1]}
    with pytest.raises(InputError) as caught:
        stress_houses(sample_houses(), LINKED, settings(defaulters=("G?", groups[0], groups[0])))
    assert [one.value for one in caught.value.records] == [groups[0], "G?"]


def test_the_scenario_that_sizes_a_fund_exhausts_it_at_its_own_size():
    found = result()
    needed = found.cover.filter(cover=2, guarantee="none", arrangement="linked")
    stated = found.reverse.filter(layer="survivors' contributions", arrangement="linked")
    for row in needed.iter_rows(named=True):
        mine = stated.filter(scenario=row["scenario"], house=row["house"])
        if len(mine):  # a past day has no multiples
            fund = found.funds.filter(arrangement="linked", house=row["house"])["size"][0]
            exact = fund == row["over_margin"]
            assert mine["multiple"][0] == pytest.approx(1.0, abs=0.0011) if exact else mine["multiple"][0] > 1


def test_layers_are_exhausted_in_their_order():
    wide = result().reverse.pivot("layer", index=[*KEYS, "scenario"], values="multiple").fill_null(np.inf)
    own, survivors, further = (
        wide[name] for name in ("own resources", "survivors' contributions", "assessments")
    )
    assert (own <= survivors).all()
    assert (survivors <= further).all()
    assert wide["margin of a first account"].is_finite().any()


def test_costs_stand_beside_savings():
    table = costs(result())
    assert table["arrangement"].to_list() == ["today", "linked", "merged", "linked"]
    assert table["guarantee"].to_list() == ["none", "none", "none", "surplus_transfer"]
    assert table.row(0)[3] == table.row(0)[5] == table.row(0)[6] == 0
    for row in table.iter_rows(named=True):
        assert row["saved_in_all"] == row["margin_saved"] - row["cover_growth"]
    linked = table.row(1, named=True)
    assert linked["margin_saved"] > 0
    needed = result().cover.filter(arrangement="linked", guarantee="none", cover=2)["over_margin"]
    assert linked["cover"] == sum(needed)
    said = result().findings.filter(kind="cost beside the saving")
    assert str(linked["margin_saved"]) in said["action"][0]


def test_a_silo_costs_and_saves_nothing():
    table = costs(result(design=designs()[0]))
    linked = table.filter(arrangement="linked").row(0, named=True)
    assert linked["margin_saved"] == linked["cover_growth"] == Decimal(0)
    assert len(table) == 3


def test_what_a_result_says_of_itself():
    found = result()
    provenance = found.provenance
    assert any(name.startswith("hkcc-reserve-fund") for name in provenance.parameter_sets)
    assert dict(provenance.settings)["stress.horizon_days"] == "2"
    other = stress_houses(sample_houses(), LINKED, replace(settings(), scenarios=stress_library()[:3]))
    hashes = [dict(one.provenance.input_hashes)["stress scenarios"] for one in (found, other)]
    assert hashes[0] != hashes[1]
    assert found.scenarios["scenario"].is_unique().all()
    assert set(found.losses["scenario"]) == set(found.scenarios["scenario"])


def test_funds_for_one_group_are_smaller():
    one = result(cover=1)
    sizes = {
        name: sum(found.funds.filter(arrangement="today")["size"])
        for name, found in (("one", one), ("two", result()))
    }
    assert sizes["one"] < sizes["two"]
    assert set(one.funds["standard"]) == {1}
    assert {names.count(" + ") for names in one.waterfall["defaulters"]} == {0}


def test_rules_of_a_day_before_any_are_refused():
    with pytest.raises(InputError, match="rules of the default fund"):
        stress_houses(sample_houses(), LINKED, settings(rules_day=dt.date(2015, 1, 5)))


def test_settings_are_checked():
    with pytest.raises(InputError, match="1 or 2"):
        settings(cover=3)
    with pytest.raises(InputError, match="horizon_days"):
        settings(horizon_days=0)
    with pytest.raises(InputError, match="at least one scenario"):
        StressSettings(scenarios=())


def test_nobody_in_default_where_nothing_is_lost():
    calm = StressScenario(
        name="calm",
        family="hypothetical",
        source="s",
        rationale="r",
        moves=(
            MoveRow(targets=("spot:*",), how="move", size=0.0),
            MoveRow(targets=("volatility:*",), how="move", size=0.0),
        ),
    )
    houses = houses_of(futures("a", {"HSI.F.2026-01": 3}))
    found = stress_houses(houses, programme("silo"), StressSettings(scenarios=(calm,), close_out=QUICK))
    assert found.cover["over_margin"].to_list() == [0] * len(found.cover)
    assert found.cover["scenario"].null_count() == len(found.cover)
    assert set(found.losses["house"].drop_nulls()) == {"HKCC"}
    assert set(found.waterfall["used"]) == {0}
    assert found.reverse["multiple"].null_count() == len(found.reverse)


def test_run_stress_opens_the_houses():
    houses = sample_houses()
    noted = []
    found = run_stress(houses.market, LINKED, houses.as_of, settings(), noted.append)
    assert noted[0] == "marks and positions"
    assert noted[-1] == "close-out"
    assert found.losses.equals(result().losses)


def test_a_book_too_large_to_close_out_is_left_out_and_said(monkeypatch):
    monkeypatch.setattr("crossmargin.programmes.stress.run.CLOSE_OUT_MAX", 1)
    groups = sample_houses().accounts.groups
    found = stress_houses(sample_houses(), LINKED, settings(defaulters=(groups[0],)))
    assert found.close_out.is_empty()
    assert found.findings.filter(kind="not closed out")["subject"].to_list() == [groups[0]]
