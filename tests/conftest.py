"""What all tests share: the path of their support modules, a quiet hypothesis, and golden files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent / "support"))

settings.register_profile(
    "crossmargin", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("crossmargin")


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite the golden files; review the difference"
    )


@pytest.fixture
def golden(request):
    """Compare bytes with a file beside the test, or rewrite it where ``--update-golden`` asks for that."""

    def compare(name: str, content: bytes) -> None:
        path = request.path.parent / name
        if request.config.getoption("--update-golden"):
            path.write_bytes(content)
        assert path.exists(), (
            f"no golden file {name}: run pytest {request.path} --update-golden and review it"
        )
        assert content == path.read_bytes(), (
            f"{name} differs: if that is meant, run --update-golden and review"
        )

    return compare
