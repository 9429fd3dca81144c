"""The command line: thin commands over the same functions that Python users call.

Exit codes: 0 done, 1 bad input or an unreadable file, 2 wrong usage.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError

from crossmargin._version import __version__
from crossmargin.cli import backtest, compare, engine, houses, rpf01, samples, stress, validate
from crossmargin.errors import CrossMarginError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["app", "main"]

EXIT_INPUT, EXIT_USAGE = 1, 2

app = App(name="crossmargin", version=__version__, help="Clearing-house margin for Hong Kong.")
app.command(compare.compare)
app.command(compare.demo)
app.command(backtest.backtest)
app.command(stress.stress)
app.command(backtest.procyclicality)
app.command(validate.validate)
app.command(houses.hkscc)
app.command(houses.span)
app.command(engine.app)
app.command(engine.margin)
app.command(engine.whatif)
app.command(rpf01.app)
app.command(samples.app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    try:
        app(arguments, exit_on_error=False, result_action="return_value")
    except CycloptsError:
        return EXIT_USAGE
    except CrossMarginError as error:
        print(f"crossmargin: refused: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_INPUT
    except OSError as error:
        print(f"crossmargin: {error.strerror}: {error.filename}", file=sys.stderr)  # noqa: T201
        return EXIT_INPUT
    return 0
