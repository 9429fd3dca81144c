"""What the participant file refuses, and what stands in where it is silent."""

from __future__ import annotations

from datetime import date

import pytest

from crossmargin import HksccParticipant, InputError, hkscc_participant, read_participant, write_participant

DAY = date(2026, 1, 5)
FIRST_SET = date(2023, 8, 14)
RANGE_RULE = "a finite number from 0 to 1e+12"
NUMBER_RULE = "Input should be a valid number"
UNKNOWN = "Extra inputs are not permitted"
CUT_RULE = "a last line that ends with a line break; without one the file may be cut off"
NUMBERS = [
    "portfolio_margin_floor_rate",
    "margin_credit",
    "minimum_tick",
    "guarantee_fund_predefined_limit",
    "flat_rate_multiplier",
    "apportioned_liquid_capital",
    "liquid_capital_multiplier",
    "liquid_capital_cap",
    "position_limit_addon_rate",
    "position_limit_addon_reported",
    "credit_risk_addon",
    "adhoc_addon",
    "group_expected_uncollateralised_loss",
]


def write(folder, text: str | bytes):
    path = folder / "participant.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(folder, text, as_of=DAY):
    path = write(folder, text)
    with pytest.raises(InputError) as caught:
        read_participant(path, as_of)
    assert {record.file for record in caught.value.records} == {str(path)}
    return [(record.line, record.field, record.value, record.rule) for record in caught.value.records]


def test_what_the_file_does_not_say_comes_from_the_dated_set(tmp_path):
    """Values and their sources: src/crossmargin/parameters/hkscc.toml (HKEX margin page, guide §3.2 and §4.2)."""
    settings = read_participant(write(tmp_path, "# nothing\n"), DAY)
    assert settings == HksccParticipant(
        portfolio_margin_floor_rate=0.032,
        margin_credit=5_000_000.0,
        hedging_instrument="2800",
        minimum_tick=0.001,
        guarantee_fund_predefined_limit=3_650_000_000.0,
        parameter_set="hkscc-2023-08-14",
    )
    assert (settings.flat_rate_multiplier, settings.gain_tail, settings.ipo_stocks) == (1.0, "absolute", ())
    assert settings.usable_liquid_capital is None


def test_the_file_replaces_the_dated_set(tmp_path):
    text = 'portfolio_margin_floor_rate = 0.025\nhedging_instrument = "2828"\nadhoc_addon = 600_000\n'
    settings = read_participant(write(tmp_path, text), DAY)
    assert (settings.portfolio_margin_floor_rate, settings.hedging_instrument) == (0.025, "2828")
    assert (settings.adhoc_addon, settings.margin_credit) == (600_000, 5_000_000)
    assert (
        settings.parameter_set == "hkscc-2023-08-14 with own portfolio_margin_floor_rate, hedging_instrument"
    )


def test_a_value_of_the_house_given_again_is_not_an_own_one():
    assert hkscc_participant(DAY, margin_credit=5_000_000).parameter_set == "hkscc-2023-08-14"
    assert hkscc_participant(DAY, margin_credit=1).parameter_set == "hkscc-2023-08-14 with own margin_credit"


def test_the_set_holds_from_its_day():
    assert hkscc_participant(FIRST_SET).parameter_set == "hkscc-2023-08-14"
    with pytest.raises(InputError):
        hkscc_participant(date(2023, 8, 13))


def test_before_the_first_set_every_house_value_must_be_given(tmp_path):
    rule = "a value: no parameter set of the house is known for 2020-01-02"
    missing = [
        "guarantee_fund_predefined_limit",
        "hedging_instrument",
        "minimum_tick",
        "portfolio_margin_floor_rate",
    ]
    day = date(2020, 1, 2)
    assert refused(tmp_path, "margin_credit = 1\n", day) == [(0, name, "", rule) for name in missing]
    text = "margin_credit = 1\nguarantee_fund_predefined_limit = 2\nminimum_tick = 3\nportfolio_margin_floor_rate = 4\n"
    settings = read_participant(write(tmp_path, text + 'hedging_instrument = "5"\n'), day)
    assert (settings.parameter_set, settings.hedging_instrument) == ("", "5")


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize(
    ("text", "value", "rule"),
    [
        ('"5"', "5", NUMBER_RULE),
        ("true", "True", NUMBER_RULE),
        ("2026-01-05", "2026-01-05", NUMBER_RULE),
        ("[1]", "[1]", NUMBER_RULE),
        ("nan", "nan", "Input should be a finite number"),
        ("inf", "inf", "Input should be a finite number"),
        ("1e400", "inf", "Input should be a finite number"),
        ("-1", "-1.0", RANGE_RULE),
        ("-1e-9", "-1e-09", RANGE_RULE),
        ("1.0000001e12", "1000000100000.0", RANGE_RULE),
    ],
)
def test_a_bad_number(tmp_path, key, text, value, rule):
    assert refused(tmp_path, f"# settings\n{key} = {text}\n") == [(2, key, value, rule)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hedging_instrument = 2800\n", (1, "hedging_instrument", "2800", "Input should be a valid string")),
        (
            "holiday_addon_in_force = 1\n",
            (1, "holiday_addon_in_force", "1", "Input should be a valid boolean"),
        ),
        ('ipo_stocks = "700"\n', (1, "ipo_stocks", "700", "Input should be a valid list")),
        ('ipo_stocks = ["700", 5]\n', (1, "ipo_stocks.1", "5", "Input should be a valid string")),
        ('gain_tail = "one"\n', (1, "gain_tail", "one", "Input should be 'absolute' or 'zero'")),
        (
            '\n[sub_margin_groups]\n"8001" = 3\n',
            (3, "sub_margin_groups.8001", "3", "Input should be a valid string"),
        ),
        ("sub_margin_groups = 5\n", (1, "sub_margin_groups", "5", "Input should be a valid dictionary")),
        (
            "liquid_capital_cap_in_force = true\n",
            (0, "liquid_capital_cap", "None", "needed while liquid_capital_cap_in_force is true"),
        ),
        ("margin_credits = 5\n", (1, "margin_credits", "5", UNKNOWN)),
        ("Margin_Credit = 5\n", (1, "Margin_Credit", "5", UNKNOWN)),
        ('parameter_set = "mine"\n', (1, "parameter_set", "mine", UNKNOWN)),
        ("[group]\na = 1\n", (0, "group", "{'a': 1}", UNKNOWN)),
    ],
)
def test_a_bad_setting(tmp_path, text, expected):
    assert refused(tmp_path, text) == [expected]


def test_every_bad_setting_of_a_kind_is_listed(tmp_path):
    text = 'a = 1\nmargin_credit = "x"\nadhoc_addon = 5\nminimum_tick = nan\ngain_tail = "?"\n'
    assert refused(tmp_path, text) == [
        (1, "a", "1", UNKNOWN),
        (2, "margin_credit", "x", NUMBER_RULE),
        (4, "minimum_tick", "nan", "Input should be a finite number"),
        (5, "gain_tail", "?", "Input should be 'absolute' or 'zero'"),
    ]
    text = "margin_credit = -1\nminimum_tick = 2e12\n"
    assert refused(tmp_path, text) == [
        (1, "margin_credit", "-1.0", RANGE_RULE),
        (2, "minimum_tick", "2000000000000.0", RANGE_RULE),
    ]


@pytest.mark.parametrize(
    ("text", "line", "value", "rule"),
    [
        ("margin_credit = \n", 1, "margin_credit = ", "TOML; Invalid value"),
        ("a = 1\nb = 1\na = 2\n", 3, "a = 2", "TOML; Cannot overwrite a value"),
        ("# x\nmargin_credit: 5\n", 2, "margin_credit: 5", "TOML; Expected '=' after a key"),
        ("margin_credit = 1,000\n", 1, "margin_credit = 1,000", "TOML; Expected newline"),
        ("ipo_stocks = [\n", 0, "", "TOML; "),
        ("margin_credit = 1" + "0" * 5000 + "\n", 0, "", "TOML; Exceeds the limit"),
        ("a = " + "[" * 100_000 + "\n", 0, "", "TOML; "),
    ],
    ids=["no value", "twice", "colon", "comma", "open", "digits", "depth"],
)
def test_bad_toml(tmp_path, text, line, value, rule):
    ((found_line, field, found_value, found_rule),) = refused(tmp_path, text)
    assert (found_line, field, found_value) == (line, "", value)
    assert found_rule.startswith(rule)


def test_a_number_of_thousands_of_digits(tmp_path):
    text = "margin_credit = 0x" + "f" * 5000 + "\n"
    assert refused(tmp_path, text) == [(1, "margin_credit", "a number of too many digits", NUMBER_RULE)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", (1, "", "", "a file with records in it")),
        (b"margin_credit = 5", (1, "", "margin_credit = 5", CUT_RULE)),
        (b"# x\nmargin_credit = 5\0\n", (2, "", "margin_credit = 5\0", "a text file in UTF-8")),
        (
            b'# x\n\nhedging_instrument = "\xff"\n',
            (3, "", 'hedging_instrument = "\ufffd"', "a text file in UTF-8"),
        ),
    ],
)
def test_a_file_that_is_no_text(tmp_path, content, expected):
    assert refused(tmp_path, content) == [expected]


def test_crlf_and_a_byte_order_mark(tmp_path):
    plain = read_participant(write(tmp_path, "margin_credit = 7\nadhoc_addon = 3\n"), DAY)
    marked = b"\xef\xbb\xbfmargin_credit = 7\r\nadhoc_addon = 3\r\n"
    assert read_participant(write(tmp_path, marked), DAY) == plain


def test_settings_given_in_python_are_judged_alike():
    with pytest.raises(InputError) as caught:
        hkscc_participant(DAY, margin_credit="5", nothing=1, gain_tail="?")
    found = [(record.file, record.line, record.field, record.value) for record in caught.value.records]
    assert found == [
        ("participant", 0, "gain_tail", "?"),
        ("participant", 0, "margin_credit", "5"),
        ("participant", 0, "nothing", "1"),
    ]


def test_numbers_given_past_the_reader_are_judged_too():
    given = {"hedging_instrument": "2800", "minimum_tick": 0.001, "guarantee_fund_predefined_limit": 0.0}
    with pytest.raises(InputError) as caught:
        HksccParticipant(portfolio_margin_floor_rate=float("nan"), margin_credit=-1.0, gain_tail="x", **given)
    found = [(record.field, record.value) for record in caught.value.records]
    assert found == [("gain_tail", "x"), ("margin_credit", "-1.0"), ("portfolio_margin_floor_rate", "nan")]


def test_text_of_any_kind_is_written_and_read(tmp_path):
    note = 'SYNTHETIC "x" \\ \t \n \r\n \0 \x7f 腾讯 \ufffd \U0001f600 # = [a]'
    settings = hkscc_participant(DAY, data_note=note, ipo_stocks=["7'0\"0"], sub_margin_groups={'a."b': "ü"})
    write_participant(settings, tmp_path / "again.toml")
    assert read_participant(tmp_path / "again.toml", DAY) == settings


def test_the_usable_liquid_capital():
    """By hand: 100 × 2 = 200; a cap of 150 counts only where it is in force."""
    given = {
        "apportioned_liquid_capital": 100.0,
        "liquid_capital_multiplier": 2.0,
        "liquid_capital_cap": 150.0,
    }
    assert hkscc_participant(DAY, **given).usable_liquid_capital == 200
    assert hkscc_participant(DAY, **given, liquid_capital_cap_in_force=True).usable_liquid_capital == 150
