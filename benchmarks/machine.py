"""What the run was made on, and how fast that machine reads its memory."""

from __future__ import annotations

import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numba import njit, prange

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "describe",
    "in_fresh_process",
    "peak_bytes",
    "read_bandwidth",
    "resident_bytes",
    "seconds",
    "share_of_bandwidth",
]

Result = TypeVar("Result")

BANDWIDTH_BYTES = 1 << 30
RUNS = 9


def describe() -> list[str]:
    """Return lines on processor, memory and versions."""
    cores = len(os.sched_getaffinity(0))
    packages = ("numpy", "numba", "polars", "pandas", "lxml")
    versions = ", ".join(
        [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)]
    )
    return [
        f"processor: {_field('cpuinfo', 'model name')}, {cores} cores",
        f"memory: {int(_field('meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        versions,
    ]


def _field(file: str, name: str) -> str:
    for line in Path("/proc", file).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def resident_bytes() -> int:
    """Return the memory that this process holds now."""
    return _status_bytes("VmRSS")


def peak_bytes() -> int:
    """Return the most memory that this process has held.

    The same high-water mark as ``ru_maxrss``, without what a child process inherits of its parent's.
    """
    return _status_bytes("VmHWM")


def _status_bytes(name: str) -> int:
    return int(_field("self/status", name).split()[0]) * 1024


def in_fresh_process(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function in a new Python process, which ends afterwards."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_with_byte_code, function, *arguments).result()


def _with_byte_code(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function where byte code is stored: else each process compiles what it imports late again."""
    sys.dont_write_bytecode = False
    return function(*arguments)


def seconds(function: Callable[[], object], runs: int) -> list[float]:
    """Return the time of each of several calls; each result is dropped before the next call."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
        del result
    return times


def share_of_bandwidth(byte_count: float, bandwidth: float, measured: float) -> str:
    """Return what part of a measured time it would take only to read so many bytes once."""
    least = byte_count / bandwidth
    return f"{100 * least / measured:.1f}% ({byte_count / 1e6:,.0f} MB, {1e3 * least:,.1f} ms)"


def read_bandwidth() -> float:
    """Return bytes a second at which all cores together read an array far larger than the caches."""
    array = np.ones(BANDWIDTH_BYTES // 8)
    _total(array)
    return BANDWIDTH_BYTES / median(seconds(lambda: _total(array), RUNS))


@njit(parallel=True, fastmath=True, cache=True)
def _total(array: np.ndarray) -> float:
    total = 0.0
    for i in prange(array.size):
        total += array[i]
    return total
