"""Files of stress scenarios of any content: read or refused by name, never another exception."""

from __future__ import annotations

from importlib import resources

from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InputError
from crossmargin.formats.stress_files import (
    LIBRARY_FILES,
    read_stress_scenarios,
    stress_scenarios_of_table,
)
from crossmargin.programmes.stress.library import CONFIDENCES, FAMILIES, HOW, StressScenario, parse_target

KEYS = ("name", "family", "source", "rationale", "confidence", "moves", "day", "extremes", "index_move")
TARGETS = ("spot:*", "spot:index:*", "spot:rank:1", "spot:700", "basis:*", "rate:HKD", "volatility:stock:*")

texts = st.one_of(st.sampled_from([*FAMILIES, *CONFIDENCES, *TARGETS, *HOW]), st.text(max_size=5))
numbers = st.one_of(st.floats(), st.integers(-2, 3), st.integers(), st.sampled_from([10**400, -(10**400)]))
values = st.recursive(
    st.one_of(texts, numbers, st.booleans(), st.dates(), st.times(), st.datetimes()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
rows = st.fixed_dictionaries(
    {"targets": st.lists(texts, max_size=2)},
    optional={how: st.one_of(numbers, st.floats(-1, 1)) for how in HOW},
)
named = {
    "name": texts,
    "family": st.sampled_from(FAMILIES),
    "source": texts,
    "rationale": texts,
    "confidence": texts,
}
scenarios = st.fixed_dictionaries(
    named,
    optional={"moves": st.lists(rows, max_size=3), "day": values, "extremes": values, "index_move": values},
)
files = st.one_of(
    st.dictionaries(st.one_of(st.sampled_from(["scenario", "sectors"]), texts), values, max_size=4),
    st.fixed_dictionaries({"scenario": st.lists(scenarios, max_size=3)}, optional={"sectors": values}),
)


def outcome(read):
    try:
        found = read()
    except InputError as error:
        return error.records
    assert all(isinstance(one, StressScenario) for one in found)
    return found


@given(files)
def test_any_table_is_read_or_refused(table):
    first = outcome(lambda: stress_scenarios_of_table(table, "x.toml"))
    assert outcome(lambda: stress_scenarios_of_table(table, "x.toml")) == first


@given(st.text(max_size=20))
def test_any_target_means_something_or_nothing(text):
    target = parse_target(text)
    if target is not None:
        parts = (target.kind, target.selector, target.name)
        assert ":".join(part for part in parts if part) == text


@given(st.sampled_from(LIBRARY_FILES), st.data())
def test_altered_files_are_read_or_refused(tmp_path_factory, name, data):
    source = resources.files("crossmargin.parameters").joinpath("stress", f"{name}.toml")
    content = bytearray(source.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        until = min(at + data.draw(st.integers(0, 6)), len(content))
        content[at:until] = data.draw(st.one_of(st.binary(max_size=4), st.sampled_from([b"\n[", b"=", b'"'])))
    path = tmp_path_factory.getbasetemp() / "altered.toml"
    path.write_bytes(content)
    outcome(lambda: read_stress_scenarios([path]))
