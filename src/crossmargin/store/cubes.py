"""A scenario cube as a folder: rows in a file that is mapped into memory, and what describes them.

``cube.json`` says what the cube is and is the first to be read; ``pnl.rows`` holds the rows,
``scales.rows`` their scales where they have sixteen bits, ``instruments.parquet`` says what each is of,
``findings.parquet`` what was left out. The rows bear the hash of
``cube.json``, and that bears the hashes of the tables; a folder in which one differs is refused.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
from dataclasses import asdict
from datetime import date  # noqa: TC003  (pydantic reads the annotation)
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from jaxtyping import Shaped
from pydantic import BaseModel, ConfigDict, ValidationError

from crossmargin.core.files import whole_file
from crossmargin.errors import BadRecord, InputError
from crossmargin.models.revaluation.cube import ScenarioCube
from crossmargin.models.revaluation.settings import RevaluationSettings
from crossmargin.models.scenarios.scenario_set import ScenarioPart
from crossmargin.store.row_blocks import open_rows, verify_rows, write_rows

__all__ = ["is_replaceable", "open_cube", "stored_key", "write_cube"]

FORMAT: Final = "crossmargin-cube"
VERSION: Final = 1
TABLES: Final = ("instruments", "findings")
FILES: Final = {"cube.json", "pnl.rows", "scales.rows", *(f"{name}.parquet" for name in TABLES)}


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    name: str
    start: int
    stop: int
    tail_count: int
    weight: float


class _Description(BaseModel):
    """What ``cube.json`` holds."""

    model_config = ConfigDict(strict=True, extra="forbid")

    format: str
    version: int
    key: str
    as_of: date
    currency: str
    parts: list[_Part]
    labels: list[str]
    settings: dict[str, str | float | int]
    scenario_settings: list[tuple[str, str]]
    input_hashes: list[tuple[str, str]]
    data_note: str
    tables: dict[str, str]


def write_cube(cube: ScenarioCube, folder: str | Path) -> None:
    """Write a cube into a folder of its own, which takes its name when all of it is written.

    Raises
    ------
    InputError
        If something else than a cube stands there.
    """
    target = Path(folder).resolve()
    if not is_replaceable(target):
        rule = "nothing yet, or a folder with a cube and nothing else"
        raise _refused(target, "", target.name, rule)
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        _write_into(cube, made)
        made.chmod(0o755)
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
            target.replace(old / "cube")
            made.replace(target)
            shutil.rmtree(old)
        else:
            made.replace(target)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def is_replaceable(folder: Path) -> bool:
    """Say whether a cube may take the place of what stands there: nothing, or no file but those of a cube."""
    if not folder.is_dir():
        return not folder.exists()
    return {entry.name for entry in folder.iterdir()} <= FILES


def _write_into(cube: ScenarioCube, folder: Path) -> None:
    tables = {name: _parquet(getattr(cube, name)) for name in TABLES}
    for name, content in tables.items():
        (folder / f"{name}.parquet").write_bytes(content)
    said = _Description(
        format=FORMAT,
        version=VERSION,
        key=cube.key,
        as_of=cube.as_of,
        currency=cube.currency,
        parts=[_Part(**asdict(part)) for part in cube.parts],
        labels=list(cube.labels),
        settings=asdict(cube.settings),
        scenario_settings=list(cube.scenario_settings),
        input_hashes=list(cube.input_hashes),
        data_note=cube.data_note,
        tables={name: hashlib.sha256(content).hexdigest() for name, content in tables.items()},
    )
    description = (said.model_dump_json(indent=1) + "\n").encode()
    belongs = {"key": cube.key, "description": hashlib.sha256(description).hexdigest()}
    write_rows(folder / "pnl.rows", cube.pnl, belongs)
    if cube.scales is not None:
        write_rows(folder / "scales.rows", cube.scales, belongs)
    with whole_file(folder / "cube.json") as stream:
        stream.write(description)


def _parquet(table: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    table.write_parquet(stream)
    return stream.getvalue()


def stored_key(folder: str | Path) -> str:
    """Return the key of the cube in a folder, empty where there is none that can be read."""
    try:
        return _described(Path(folder)).key
    except (InputError, OSError):
        return ""


def open_cube(folder: str | Path, *, verify: bool = False) -> ScenarioCube:
    """Open a cube; its rows stay on disk until they are read.

    Parameters
    ----------
    folder : path
        As ``write_cube`` made it.
    verify : bool
        Read all rows and compare their hash with the one written.

    Raises
    ------
    InputError
        If the folder holds no cube, one of another version, or parts that do not belong together.
    """
    folder = Path(folder)
    said = _described(folder)
    pnl = _rows(folder, "pnl.rows", verify=verify)
    scales = _rows(folder, "scales.rows", verify=verify) if pnl.dtype == np.int16 else None
    tables = {name: _table(folder / f"{name}.parquet", said.tables.get(name, "")) for name in TABLES}
    if any(len(tables["instruments"]) != rows.shape[0] for rows in (pnl, scales) if rows is not None):
        raise _refused(folder, "instruments", str(len(tables["instruments"])), "one row of each instrument")
    return ScenarioCube(
        as_of=said.as_of,
        currency=said.currency,
        instruments=tables["instruments"],
        pnl=pnl,
        scales=scales,
        parts=tuple(ScenarioPart(**part.model_dump()) for part in said.parts),
        labels=tuple(said.labels),
        key=said.key,
        settings=_settings(folder, said.settings),
        scenario_settings=tuple(said.scenario_settings),
        input_hashes=tuple(said.input_hashes),
        data_note=said.data_note,
        findings=tables["findings"],
    )


def _rows(folder: Path, name: str, *, verify: bool) -> Shaped[np.ndarray, "instruments columns"]:
    block = open_rows(folder / name)
    digest = hashlib.sha256((folder / "cube.json").read_bytes()).hexdigest()
    if block.description.get("description") != digest:
        rule = "the rows that cube.json was written with"
        raise _refused(folder / name, "description", "another hash", rule)
    if verify:
        verify_rows(block)
    return block.rows


def _settings(folder: Path, said: dict[str, str | float | int]) -> RevaluationSettings:
    try:
        return RevaluationSettings(**said)  # type: ignore[arg-type]
    except TypeError as error:
        raise _refused(folder / "cube.json", "settings", str(error), "settings of this version") from error


def _described(folder: Path) -> _Description:
    path = folder / "cube.json"
    try:
        said = _Description.model_validate_json(path.read_bytes())
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = ".".join(map(str, problem["loc"]))
        raise _refused(
            path, field, problem["type"], f"the description of a cube; {problem['msg']}"
        ) from error
    if (said.format, said.version) != (FORMAT, VERSION):
        raise _refused(path, "format, version", f"{said.format} {said.version}", f"{FORMAT} {VERSION}")
    return said


def _table(path: Path, digest: str) -> pl.DataFrame:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise _refused(path, "", "another hash", "the table that cube.json names")
    return pl.read_parquet(io.BytesIO(content))


def _refused(path: Path, field: str, value: str, rule: str) -> InputError:
    return InputError([BadRecord(file=str(path), line=0, field=field, value=value, rule=rule)])
