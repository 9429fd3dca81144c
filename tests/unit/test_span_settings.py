"""SPAN settings and account types: what a type fills in, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from crossmargin import InputError, SpanSettings, read_span_settings
from crossmargin.formats.prime import prime_parameters

PRIME = prime_parameters(date(2026, 1, 5))


@pytest.mark.parametrize(("account_type", "basis"), [("house", "net"), ("omnibus", "gross")])
def test_an_account_type_gives_the_basis_and_keeps_the_rest(account_type, basis):
    given = replace(SpanSettings(), round_risk="unit")
    assert not given.basis_is_given
    settings = PRIME.settings(account_type, given)
    assert settings == SpanSettings(basis=basis, round_risk="unit", parameter_set=PRIME.parameter_set)
    assert settings.basis_is_given


@pytest.mark.parametrize(("account_type", "basis"), [("house", "gross"), ("omnibus", "net")])
def test_another_basis_than_the_account_type_has_is_refused(account_type, basis):
    with pytest.raises(InputError) as caught:
        PRIME.settings(account_type, SpanSettings(basis=basis))
    (record,) = caught.value.records
    assert (record.field, record.value) == ("basis", basis)
    assert f"accounts of type {account_type}" in record.rule


@pytest.mark.parametrize(("text", "given"), [('round_risk = "unit"\n', False), ('basis = "net"\n', True)])
def test_a_file_gives_the_basis_or_does_not(tmp_path, text, given):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    settings = read_span_settings(path)
    assert (settings.basis, settings.basis_is_given) == ("net", given)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("basis = true\n", "a str"),
        ("intra_spreads = 1\n", "a bool"),
        ('inter_spreads = "true"\n', "a bool"),
        ('account_origin = "client"\n', "one of house, non_segregated, segregated"),
    ],
)
def test_a_value_of_another_type_or_word(tmp_path, text, rule):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_span_settings(path)
    assert [record.rule for record in caught.value.records] == [rule]
