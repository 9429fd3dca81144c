"""What several commands do: read files together, show results."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from crossmargin.models.hkscc.result import HksccMargin
    from crossmargin.models.span.result import SpanMargin

__all__ = [
    "Format",
    "all_read",
    "deliver",
    "in_file",
    "printed",
    "require_file",
    "show",
    "solver_output_to_error",
    "some",
]

Format = Literal["table", "json", "csv", "parquet"]


def some(results: list[Any], positions: Path) -> list[Any]:
    """Refuse a file of positions with nothing to margin in it."""
    if not results:
        rule = "at least one position"
        raise InputError([BadRecord(file=str(positions), line=0, field="", value="", rule=rule)])
    return results


def all_read(*reads: Callable[[], Any]) -> list[Any]:
    """Read several files and list what is wrong with any of them."""
    contents: list[Any] = []
    bad: list[BadRecord] = []
    for read in reads:
        try:
            contents.append(read())
        except InputError as error:
            bad += error.records
    if bad:
        raise InputError(bad)
    return contents


def in_file(record: BadRecord, positions: Path) -> BadRecord:
    """Say a row of the positions as the line of their file, which has one header line."""
    return (
        replace(record, file=str(positions), line=record.line + 1) if record.file == "positions" else record
    )


def show(
    results: Sequence[HksccMargin] | Sequence[SpanMargin], form: Format, out: Path | None, *, explain: bool
) -> None:
    """Print results, or write them to a file as a whole."""
    from crossmargin.reports.documents import document  # noqa: PLC0415
    from crossmargin.reports.terminal import report, totals_table  # noqa: PLC0415

    if form == "table":
        shown: list[RenderableType] = [totals_table(results)] if len(results) > 1 else []
        if len(results) == 1 or explain:
            shown += [report(result, explain=explain) for result in results]
        deliver(printed(*shown, plain=out is not None), out)
    else:
        require_file(form, out)
        deliver(document(results, form), out)


def require_file(form: Format, out: Path | None) -> None:
    """Refuse to print what is binary."""
    if form == "parquet" and out is None and sys.stdout.isatty():
        rule = "a file for Parquet, which is binary"
        raise InputError([BadRecord(file="--out", line=0, field="", value="", rule=rule)])


def deliver(content: bytes, out: Path | None) -> None:
    """Print, or write to a file as a whole."""
    from crossmargin.core.files import whole_file  # noqa: PLC0415

    if out is None:
        sys.stdout.buffer.write(content)
    else:
        with whole_file(out) as stream:
            stream.write(content)


@contextmanager
def solver_output_to_error() -> Iterator[None]:
    """Send what compiled code writes to standard output to standard error, so that it is no part of a result.

    HiGHS prints a line now and then even when it is told to be silent.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def printed(*shown: RenderableType, plain: bool = False) -> bytes:
    """Return what a terminal shows; without colours, and of one width, where it is none."""
    from rich.console import Console  # noqa: PLC0415

    terminal = sys.stdout.isatty() and not plain
    console = Console(
        force_terminal=terminal, width=None if terminal else 120, soft_wrap=not terminal, markup=False
    )
    with console.capture() as captured:
        for one in shown:
            console.print(one)
    return captured.get().encode()
