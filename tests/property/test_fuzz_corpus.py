"""What fuzzing has found worth keeping, held to the contract of the readers in every run of the tests.

An input is named after what becomes of it: "read", "refused" or, where its writer has no place for it,
"unwritable". docs/how-to/fuzz-the-readers.md tells how the inputs come about.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from rpf01_text import HEADER, heading

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))

from fuzz_readers import NAMES
from reader_contract import CORPUS, TARGETS, finite, lines, outcome

STORED = sorted(path for path in CORPUS.rglob("*") if path.is_file())
FILES_MAX = 50
BYTES_MAX = 60_000


@pytest.mark.parametrize("path", STORED, ids=lambda path: f"{path.parent.name} {path.name}")
def test_a_stored_input_ends_as_it_did(path, tmp_path):
    assert outcome(TARGETS[path.parent.name], path.read_bytes(), tmp_path) == path.name.split("-")[0]


@pytest.mark.parametrize("name", TARGETS)
def test_the_first_seed_is_read(name, tmp_path):
    target = TARGETS[name]
    first, *others = target.seeds()
    assert outcome(target, first, tmp_path) == "read"
    for other in others:
        assert outcome(target, other, tmp_path, write=False) in {"read", "refused"}


def test_the_corpus_stays_small_and_of_known_targets():
    assert tuple(TARGETS) == NAMES
    assert {path.parent.name for path in STORED} == set(TARGETS)
    assert len(STORED) <= FILES_MAX
    assert sum(path.stat().st_size for path in STORED) <= BYTES_MAX


@pytest.mark.parametrize("name", ["participant", "span_settings"])
@pytest.mark.parametrize(
    "text", ["basis = 0x" + "f" * 4000, "basis = [0x" + "f" * 4000 + "]", "a" + ".a" * 2000 + " = 1"]
)
def test_settings_too_large_to_print_are_refused(name, text, tmp_path):
    assert outcome(TARGETS[name], lines(text), tmp_path) == "refused"


def test_a_choice_that_is_none_is_refused_by_the_name_of_the_file(tmp_path):
    assert outcome(TARGETS["span_settings"], lines('som_method = "+"'), tmp_path) == "refused"


@pytest.mark.parametrize("instruments", [1, 500])
def test_unequal_scenario_counts_take_no_memory_that_the_file_does_not_fill(instruments, tmp_path):
    """A file of half a megabyte once asked for 200 GB, as if all of it were records of one return."""
    header = HEADER | {"HVaR_Scen_Count": "1", "SVaR_Scen_Count": "100000"}
    records = [f"A{number},1,1" for number in range(instruments)]
    content = lines(*(f"{key},{value}" for key, value in header.items()), heading(100_000), *records)
    assert outcome(TARGETS["rpf01"], content, tmp_path) == "refused"


# The contract itself.


def raises(path):
    raise ValueError(path)


def warns(path):
    warnings.warn(str(path), stacklevel=1)


def test_another_exception_is_no_refusal(tmp_path):
    with pytest.raises(ValueError, match="input"):
        outcome(replace(TARGETS["positions"], read=raises), b"", tmp_path)


def test_a_warning_is_no_value(tmp_path):
    with pytest.raises(UserWarning, match="input"):
        outcome(replace(TARGETS["positions"], read=warns), b"", tmp_path)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_no_value_has_a_hole(value):
    frame = pl.DataFrame({"x": [1.0, value]}, schema={"x": pl.Float64})
    with pytest.raises(AssertionError, match="in x"):
        finite(frame)


def test_a_value_that_does_not_read_back_is_found(tmp_path):
    target = TARGETS["positions"]
    more = replace(target, read=lambda path: target.read(path).with_columns(owner=pl.lit("P1")))
    with pytest.raises(AssertionError, match="owner"):
        outcome(more, target.seeds()[0], tmp_path)
