"""A scenario set in one file: a heading in JSON, then the moves as they stand in memory.

========  ============================================================================================
line 1    ``crossmargin scenarios 1``
line 2    a JSON object: everything of the set but its moves, its size and its content hash
the rest  the moves, float64, little endian, scenario by scenario
========  ============================================================================================

Equal sets make equal bytes, and reading a file checks the hash: what comes back is what was written.
"""

from __future__ import annotations

import json
from datetime import date  # noqa: TC003  (pydantic reads the annotation)
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crossmargin.core.files import whole_file
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.scenarios.scenario_set import RiskFactor, ScenarioPart, ScenarioSet

if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["read_scenarios", "write_scenarios"]

MAGIC: Final = b"crossmargin scenarios 1"
MOVE_TYPE: Final = np.dtype("<f8")


class _Heading(BaseModel):
    """Line 2 of the file."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    as_of: date
    horizon_days: int
    factors: list[tuple[str, str, int, bool]]
    labels: list[str]
    parts: list[tuple[str, int, int, int, float]]
    method: str
    settings: list[tuple[str, str]]
    input_hash: str
    content_hash: str = Field(pattern="^[0-9a-f]{64}$")


def write_scenarios(scenarios: ScenarioSet, path: str | Path) -> None:
    """Write a scenario set; the file takes its name when it is whole."""
    heading = {
        "as_of": scenarios.as_of.isoformat(),
        "horizon_days": scenarios.horizon_days,
        "factors": [(one.kind, one.name, one.days, one.proxied) for one in scenarios.factors],
        "labels": scenarios.labels,
        "parts": [
            (part.name, part.start, part.stop, part.tail_count, part.weight) for part in scenarios.parts
        ],
        "method": scenarios.method,
        "settings": scenarios.settings,
        "input_hash": scenarios.input_hash,
        "content_hash": scenarios.content_hash,
    }
    with whole_file(path) as stream:
        stream.write(MAGIC + b"\n" + json.dumps(heading, ensure_ascii=False).encode() + b"\n")
        stream.write(np.ascontiguousarray(scenarios.moves, MOVE_TYPE).data)


def read_scenarios(path: str | Path) -> ScenarioSet:
    """Read a scenario set that ``write_scenarios`` wrote.

    Raises
    ------
    InputError
        If the file is of another kind or version, torn, or not what was written.
    """
    magic, _, rest = Path(path).read_bytes().partition(b"\n")
    if magic != MAGIC:
        _refuse(path, 1, "", magic[:40].decode(errors="replace"), f"the line '{MAGIC.decode()}'")
    line, _, moves = rest.partition(b"\n")
    heading = _heading(path, line)
    shape = len(heading.labels), len(heading.factors)
    if len(moves) != shape[0] * shape[1] * MOVE_TYPE.itemsize:
        rule = f"{shape[0]:,} × {shape[1]:,} moves of {MOVE_TYPE.itemsize} bytes, to the last byte"
        _refuse(path, 3, "moves", f"{len(moves):,} bytes", rule)
    scenarios = ScenarioSet(
        as_of=heading.as_of,
        horizon_days=heading.horizon_days,
        factors=tuple(RiskFactor(*fields) for fields in heading.factors),
        moves=np.frombuffer(moves, MOVE_TYPE).astype(np.float64).reshape(shape),
        labels=tuple(heading.labels),
        parts=tuple(ScenarioPart(*fields) for fields in heading.parts),
        method=heading.method,
        settings=tuple(heading.settings),
        input_hash=heading.input_hash,
    )
    if scenarios.content_hash != heading.content_hash:
        _refuse(path, 2, "content_hash", heading.content_hash, "the hash of what the file holds")
    return scenarios


def _heading(path: str | Path, line: bytes) -> _Heading:
    try:
        return _Heading.model_validate_json(line)
    except ValidationError as error:
        records = [
            BadRecord(
                file=str(path),
                line=2,
                field=".".join(map(str, problem["loc"])),
                value=str(problem.get("input", ""))[:60],
                rule=problem["msg"],
            )
            for problem in error.errors(include_url=False)
        ]
        raise InputError(records) from error


def _refuse(path: str | Path, line: int, field: str, value: str, rule: str) -> NoReturn:
    raise InputError([BadRecord(file=str(path), line=line, field=field, value=value, rule=rule)])
