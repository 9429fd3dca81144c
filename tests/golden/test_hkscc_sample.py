"""The sample that ships with the project, from its files to the report, byte for byte.

The golden files are the code's own output, reviewed on change: ``pytest tests/golden --update-golden``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from crossmargin.cli import main

EXAMPLE = Path(__file__).parents[2] / "examples" / "hkscc"
FILES = ("RPF01.csv", "participant.toml", "positions.csv")
SHOWN = {"json": "json", "table": "txt", "csv": "csv"}


@pytest.mark.parametrize("form", SHOWN)
def test_the_margin_of_the_sample(golden, tmp_path, form):
    out = tmp_path / "margin"
    files = [
        "--rpf",
        EXAMPLE / FILES[0],
        "--participant",
        EXAMPLE / FILES[1],
        "--positions",
        EXAMPLE / FILES[2],
    ]
    arguments = ["hkscc", *files, "--format", form, "--out", out, *(["--explain"] if form == "table" else [])]
    assert main([str(argument) for argument in arguments]) == 0
    golden(f"hkscc_sample.{SHOWN[form]}", out.read_bytes())


def test_the_sample_command_writes_the_example(tmp_path):
    assert main(["sample", "hkscc", "--out", str(tmp_path / "new" / "sample")]) == 0
    written = tmp_path / "new" / "sample"
    assert sorted(path.name for path in written.iterdir()) == sorted(FILES)
    for name in FILES:
        assert (written / name).read_bytes() == (EXAMPLE / name).read_bytes(), name


def test_another_seed_is_another_sample(tmp_path):
    assert main(["sample", "hkscc", "--out", str(tmp_path), "--seed", "12"]) == 0
    assert (tmp_path / "positions.csv").read_bytes() != (EXAMPLE / "positions.csv").read_bytes()
