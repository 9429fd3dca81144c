"""A participant's settings: a TOML file over the house's dated parameter set."""

from __future__ import annotations

import re
from datetime import date  # noqa: TC003  (pydantic reads the annotation)
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from crossmargin.core.files import whole_file
from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.toml_files import read_toml, shown
from crossmargin.models.hkscc.participant import HksccParticipant
from crossmargin.parameters.loading import set_in_force

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["hkscc_participant", "read_participant", "write_participant"]

HOUSE_KEYS = (
    "portfolio_margin_floor_rate",
    "margin_credit",
    "hedging_instrument",
    "minimum_tick",
    "guarantee_fund_predefined_limit",
)

NOT_LITERAL = re.compile(r'["\\\x00-\x1f\x7f\ufffd]')
"""Characters that a string of a settings file spells as an escape."""


class _ParticipantFile(BaseModel):
    """Keys of the file, all optional: what is absent comes from the house's set or the model's default."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    portfolio_margin_floor_rate: float | None = None
    margin_credit: float | None = None
    hedging_instrument: str | None = None
    minimum_tick: float | None = None
    guarantee_fund_predefined_limit: float | None = None
    data_note: str | None = None
    flat_rate_multiplier: float | None = None
    ipo_stocks: list[str] | None = None
    sub_margin_groups: dict[str, str] | None = None
    holiday_addon_in_force: bool | None = None
    gain_tail: Literal["absolute", "zero"] | None = None
    apportioned_liquid_capital: float | None = None
    liquid_capital_multiplier: float | None = None
    liquid_capital_cap: float | None = None
    liquid_capital_cap_in_force: bool | None = None
    position_limit_addon_rate: float | None = None
    position_limit_addon_reported: float | None = None
    credit_risk_addon: float | None = None
    adhoc_addon: float | None = None
    group_expected_uncollateralised_loss: float | None = None


def hkscc_participant(as_of: date, **settings: object) -> HksccParticipant:
    """Return settings over the house's set in force.

    Parameters
    ----------
    as_of : date
        Chooses the house's dated parameter set; the valuation date of the risk parameters.
    **settings
        Fields of ``HksccParticipant``; they replace the house's values, and ``parameter_set`` names those that
        they changed.

    Raises
    ------
    InputError
        Listing every unknown or bad setting, and every house value that is neither set nor given.

    Examples
    --------
    >>> from datetime import date
    >>> hkscc_participant(date(2026, 1, 5), flat_rate_multiplier=2.0).portfolio_margin_floor_rate
    0.032
    """
    return _participant(settings, as_of, "participant", ())


def read_participant(path: str | Path, as_of: date) -> HksccParticipant:
    """Read a participant file; arguments and errors as ``hkscc_participant``, with lines of the file."""
    settings, lines = read_toml(Path(path))
    return _participant(settings, as_of, str(path), lines)


def write_participant(participant: HksccParticipant, path: str | Path) -> None:
    """Write settings as a participant file that reads back as they are, but for ``parameter_set``.

    The set is chosen again when the file is read; what differs from its values is named then.
    """
    lines = [
        f"{key} = {_toml(value)}"
        for key in _ParticipantFile.model_fields
        if key != "sub_margin_groups" and (value := getattr(participant, key)) is not None
    ]
    if participant.sub_margin_groups:
        lines += ["", "[sub_margin_groups]"]
        lines += [
            f"{_toml(key)} = {_toml(group)}" for key, group in sorted(participant.sub_margin_groups.items())
        ]
    with whole_file(path) as stream:
        stream.write(("\n".join(lines) + "\n").encode())


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if isinstance(value, str):
        return '"' + NOT_LITERAL.sub(lambda found: f"\\u{ord(found[0]):04x}", value) + '"'
    return repr(value)


def _participant(
    settings: Mapping[str, object], as_of: date, file: str, lines: Iterable[str]
) -> HksccParticipant:
    lines = list(lines)
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()}
    try:
        given = _ParticipantFile.model_validate(plain).model_dump(exclude_none=True)
        house = _house_set(as_of, given, file)
        values: dict[str, Any] = house | given
        return HksccParticipant(**values | {"ipo_stocks": tuple(values.get("ipo_stocks", ()))})
    except ValidationError as error:
        bad = [
            _bad(file, lines, [str(part) for part in item["loc"]], item["input"], item["msg"])
            for item in error.errors()
        ]
        raise InputError(bad) from error
    except InputError as error:
        bad = [_bad(file, lines, [record.field], record.value, record.rule) for record in error.records]
        raise InputError(bad) from error


def _house_set(as_of: date, given: Mapping[str, object], file: str) -> dict[str, Any]:
    """Return the house's values in force, or refuse what is missing where there is no set yet."""
    latest = set_in_force("hkscc", as_of)
    if latest:
        house = {key: latest[key] for key in HOUSE_KEYS}
        own = [key for key in HOUSE_KEYS if given.get(key, house[key]) != house[key]]
        return house | {"parameter_set": " with own ".join(filter(None, [latest["id"], ", ".join(own)]))}
    rule = f"a value: no parameter set of the house is known for {as_of.isoformat()}"
    missing = [key for key in HOUSE_KEYS if key not in given]
    if missing:
        raise InputError(BadRecord(file=file, line=0, field=key, value="", rule=rule) for key in missing)
    return {}


def _bad(file: str, lines: list[str], place: list[str], value: object, rule: str) -> BadRecord:
    """Return a bad record with the line on which its key stands."""
    key = place[1] if len(place) > 1 and place[0] == "sub_margin_groups" else place[0]
    pattern = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=""")
    line = next((i for i, text in enumerate(lines, start=1) if pattern.match(text)), 0)
    return BadRecord(file=file, line=line, field=".".join(place), value=shown(value), rule=rule)
