"""A progress bar on standard error, so that standard output has results alone."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(stages: int | None) -> Iterator[Callable[[str], None]]:
    """Show a bar over so many stages, or without an end; yield what is told the name of each stage as it begins.

    Where standard error is no terminal, nothing moves: the bar is written once, when all is done.
    """
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("begin", total=stages)
        begun = False

        def note(name: str) -> None:
            nonlocal begun
            bar.update(task, description=name, advance=1 if begun else 0)
            begun = True

        yield note
        bar.update(task, description="done", completed=stages)
