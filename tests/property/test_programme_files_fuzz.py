"""Programme files of any content: read or refused by name, never another exception."""

from __future__ import annotations

from datetime import date, time
from importlib import resources

from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InputError
from crossmargin.formats.programme_files import DESIGNS, TABLES, programme_of_table, read_programme
from crossmargin.models.market import HOUSES
from crossmargin.programmes.programme import (
    ACCOUNT_TYPES,
    ATTRIBUTIONS,
    KINDS,
    MISSING,
    MODELS,
    MODES,
    PAIRS,
    Programme,
)

WORDS = (*MODES, *HOUSES, *MODELS, *ACCOUNT_TYPES, *ATTRIBUTIONS, *KINDS, *MISSING, *PAIRS, "split", "joint")
KEYS = sorted({name for kind in (Programme, *TABLES.values()) for name in kind.__dataclass_fields__})

texts = st.one_of(st.sampled_from(WORDS), st.text(max_size=5))
numbers = st.one_of(
    st.floats(), st.integers(-2, 3), st.floats(0, 1), st.integers(), st.sampled_from([10**400, -(10**400)])
)
values = st.recursive(
    st.one_of(texts, numbers, st.booleans(), st.dates(), st.times(), st.datetimes()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
keys = st.one_of(st.sampled_from(KEYS), st.text(max_size=5))
tables = st.dictionaries(keys, values, max_size=6)


@st.composite
def designs_of(draw):
    """A table that is nearly a programme."""
    table = draw(tables) | {"name": draw(texts), "mode": draw(st.sampled_from(MODES))}
    for name in draw(st.lists(st.sampled_from(sorted(TABLES)), unique=True, max_size=4)):
        known = sorted(TABLES[name].__dataclass_fields__)
        table[name] = draw(st.dictionaries(st.sampled_from(known), values, max_size=3))
    return table


def outcome(read):
    try:
        found = read()
    except InputError as error:
        return error.records
    assert isinstance(found, Programme)
    return found


@given(st.one_of(tables, designs_of()))
def test_any_table_is_read_or_refused(table):
    first = outcome(lambda: programme_of_table(table, "x.toml"))
    assert outcome(lambda: programme_of_table(table, "x.toml")) == first


@given(st.sampled_from(DESIGNS), st.data())
def test_altered_files_are_read_or_refused(tmp_path_factory, name, data):
    source = resources.files("crossmargin.parameters").joinpath("programmes", f"{name}.toml")
    content = bytearray(source.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        until = min(at + data.draw(st.integers(0, 6)), len(content))
        content[at:until] = data.draw(st.one_of(st.binary(max_size=4), st.sampled_from([b"\n[", b"=", b'"'])))
    path = tmp_path_factory.getbasetemp() / "altered.toml"
    path.write_bytes(content)
    outcome(lambda: read_programme(path))


def test_dates_and_times_are_no_settings():
    for value in (date(2026, 1, 2), time(9, 30)):
        records = outcome(
            lambda value=value: programme_of_table({"name": "x", "mode": "silo", "houses": value})
        )
        assert [one.field for one in records] == ["houses"]
