"""A large text file in blocks of whole lines, the next one read while the last is worked on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Int64, UInt8

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["BLOCK_BYTES", "LineBlock", "line_blocks"]

BLOCK_BYTES: Final = 16 << 20
LINE_BREAK: Final = 10


@dataclass(frozen=True, slots=True, eq=False)
class LineBlock:
    """Bytes of whole lines, and where their line breaks stand; without one, the end of a file that has been cut.

    ``text`` is overwritten when the block after the next is asked for.
    """

    text: UInt8[np.ndarray, " bytes"]
    breaks: Int64[np.ndarray, " lines"]


def line_blocks(stream: IO[bytes], size: int = BLOCK_BYTES) -> Generator[LineBlock, None, None]:
    """Yield a file in blocks of whole lines.

    A last line without a line break, or a line longer than ``size``, comes as a block without a break and
    ends the iteration. Who stops before the end closes the generator: left to the garbage collector, its
    thread may be waited for within another thread's start, which never ends.
    """
    buffers = np.empty((2, size), np.uint8)
    with ThreadPoolExecutor(max_workers=1) as ahead:
        coming = ahead.submit(_fill, stream, buffers[0], b"")
        turn = 0
        while True:
            block, tail, ended = coming.result()
            if not ended:
                turn = 1 - turn
                coming = ahead.submit(_fill, stream, buffers[turn], tail)
            if block.breaks.size:
                yield block
            if ended:
                break
    if tail:
        yield LineBlock(np.frombuffer(tail, np.uint8), block.breaks[:0])


def _fill(
    stream: IO[bytes], buffer: UInt8[np.ndarray, " bytes"], tail: bytes
) -> tuple[LineBlock, bytes, bool]:
    """Read on behind ``tail``; return the whole lines, the new tail, and whether this was the last block."""
    kept = len(tail)
    buffer[:kept] = np.frombuffer(tail, np.uint8)
    count: int = stream.readinto(buffer[kept:].data)  # type: ignore[attr-defined]
    filled = kept + count
    breaks = np.flatnonzero(buffer[:filled] == LINE_BREAK)
    stop = int(breaks[-1]) + 1 if breaks.size else 0
    rest = buffer[stop:filled].tobytes()
    return LineBlock(buffer[:stop], breaks), rest, count == 0 or len(rest) == buffer.size
