"""The names that users may rely on."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import crossmargin

NAMES = sorted(crossmargin.__all__)
SOURCE = Path(crossmargin.__file__)


def test_all_is_sorted_and_without_repetition():
    assert list(crossmargin.__all__) == sorted(set(crossmargin.__all__))


@pytest.mark.parametrize("name", NAMES)
def test_every_name_resolves_to_what_bears_it(name):
    found = getattr(crossmargin, name)
    if name != "__version__":
        assert found.__name__ == name
        assert found.__module__.startswith("crossmargin.")
        assert name in sys.modules[found.__module__].__all__


@pytest.mark.parametrize("name", [name for name in NAMES if name != "__version__"])
def test_every_name_has_a_docstring(name):
    text = inspect.getdoc(getattr(crossmargin, name))
    assert text
    assert text.splitlines()[0].endswith((".", ":", "::"))
    assert not text.startswith(f"{name}(")  # what a dataclass without a docstring gets


def test_the_checker_and_the_loader_see_the_same_names():
    """Names imported for type checkers, names with a home, and ``__all__`` agree."""
    block = next(node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.If))
    imported = {
        (node.module.removeprefix("crossmargin."), alias.name) for node in block.body for alias in node.names
    }
    homes = {(home, name) for home, names in crossmargin._HOMES.items() for name in names}
    assert imported == homes
    assert {name for _, name in homes} | {"__version__"} == set(NAMES)


def test_dir_lists_the_face():
    assert dir(crossmargin) == NAMES


def test_an_unknown_attribute():
    with pytest.raises(AttributeError, match="module 'crossmargin' has no attribute 'hkscc_margins_'"):
        crossmargin.hkscc_margins_  # noqa: B018
    assert not hasattr(crossmargin, "nothing")


def test_importing_costs_nothing():
    code = (
        "import crossmargin, sys; print(sorted({'numpy', 'polars', 'numba', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    assert done.stdout.strip() == "[]"
