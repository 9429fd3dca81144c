"""Work shared by processes, in the order of the tasks whatever their number."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, TypeVar

from crossmargin.core.columns import require_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["in_processes"]

Task = TypeVar("Task")
Done = TypeVar("Done")


def in_processes(work: Callable[[Task], Done], tasks: Sequence[Task], jobs: int) -> list[Done]:
    """Return what is done of each task, in their order.

    Parameters
    ----------
    work : callable
        A function of a module: processes are started afresh and import it.
    tasks : sequence
        Each is pickled.
    jobs : int
        Processes, from 1 to 256; 1 works in this one.

    Raises
    ------
    InputError
        If ``jobs`` is out of range, and as ``work`` does.
    """
    require_size(jobs, "jobs", 1, 256)
    if jobs == 1 or len(tasks) < 2:  # noqa: PLR2004
        return [work(task) for task in tasks]
    with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=get_context("spawn")) as pool:
        return list(pool.map(work, tasks))
