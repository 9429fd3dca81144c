"""Files of rows that are read in place: a header, the rows as they stand in memory, a footer.

=========  ===========================================================================================
bytes      content
=========  ===========================================================================================
0 to 4095  the magic word, the length and SHA-256 of the description, the description (JSON), zeros
4096 on    the rows, C order, little endian; beyond the last row zeros up to a multiple of 4096
last 4096  SHA-256 of each 16 MiB of rows, hashed together; the magic word again
=========  ===========================================================================================

The footer is written last, so that a file without one was torn. Opening checks the description and the
size; ``verify`` reads all rows and checks their hash. A file takes its name when it is whole.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np
from jaxtyping import Shaped

from crossmargin.core.files import whole_file
from crossmargin.errors import BadRecord, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["RowBlock", "open_rows", "verify_rows", "write_rows"]

MAGIC: Final = b"CROSSMARGIN-ROWS"
VERSION: Final = 1
PAGE: Final = 4096
CHUNK: Final = 16 * 2**20
HEAD: Final = struct.Struct("<16sI32s")
TYPES: Final = ("float32", "float64", "int16")


@dataclass(frozen=True, slots=True, eq=False)
class RowBlock:
    """Rows of a file, mapped into memory and read only.

    Parameters
    ----------
    rows : ndarray, shape (rows, columns)
        float32, float64 or int16.
    description : mapping of str to value
        What the writer said of them, and ``version``, ``dtype``, ``shape``.
    path : Path
        The file.
    """

    rows: Shaped[np.ndarray, "rows columns"]
    description: Mapping[str, Any]
    path: Path


def write_rows(
    path: str | Path, rows: Shaped[np.ndarray, "rows columns"], description: Mapping[str, Any]
) -> None:
    """Write rows with a description of plain values; the same rows, the same bytes.

    Raises
    ------
    InputError
        If the description does not fit into the header.
    """
    assert rows.dtype.name in TYPES, rows.dtype
    assert rows.ndim == 2, rows.shape  # noqa: PLR2004
    said = {**description, "version": VERSION, "dtype": rows.dtype.name, "shape": list(rows.shape)}
    text = json.dumps(said, sort_keys=True, ensure_ascii=False).encode()
    if len(text) > PAGE - HEAD.size:
        raise _refused(path, f"{len(text)} bytes", f"a description of at most {PAGE - HEAD.size} bytes")
    stored = np.ascontiguousarray(rows).astype(rows.dtype.newbyteorder("<"), copy=False)
    with whole_file(path) as stream:
        stream.write((HEAD.pack(MAGIC, len(text), hashlib.sha256(text).digest()) + text).ljust(PAGE, b"\0"))
        digest = hashlib.sha256()
        for chunk in _chunks(stored):
            stream.write(chunk)
            digest.update(hashlib.sha256(chunk).digest())
        stream.write(bytes(-stored.nbytes % PAGE))
        stream.write((digest.digest() + MAGIC).rjust(PAGE, b"\0"))


def _chunks(rows: Shaped[np.ndarray, "rows columns"]) -> Iterator[memoryview]:
    content = rows.reshape(-1).view(np.uint8)
    return (content[at : at + CHUNK].data for at in range(0, content.size, CHUNK))


def open_rows(path: str | Path) -> RowBlock:
    """Map the rows of a file into memory.

    Raises
    ------
    InputError
        If the file is foreign, of another version, torn, or does not have the size it speaks of.
    """
    path = Path(path)
    with path.open("rb") as stream:
        description = _described(path, stream)
        shape, dtype = tuple(description["shape"]), np.dtype(description["dtype"]).newbyteorder("<")
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        whole = PAGE + size + -size % PAGE + PAGE
        if stream.seek(0, 2) != whole:
            raise _refused(path, f"{stream.tell()} bytes", f"a whole file of {whole} bytes; it may be torn")
        stream.seek(-len(MAGIC), 2)
        if stream.read() != MAGIC:
            raise _refused(path, "another end", "the end of a file of rows; it may be torn")
    if not size:
        return RowBlock(np.zeros(shape, dtype), description, path)
    rows = np.memmap(path, dtype, "r", PAGE, shape)
    native = rows if sys.byteorder == "little" else rows.astype(dtype.newbyteorder("="))
    return RowBlock(native, description, path)


def _described(path: Path, stream: IO[bytes]) -> dict[str, Any]:
    """Read and check the header."""
    head = stream.read(PAGE)
    if len(head) < PAGE or not head.startswith(MAGIC):
        raise _refused(path, head[: len(MAGIC)].decode("latin-1"), "a file of rows of this program")
    _, length, digest = HEAD.unpack_from(head)
    text = head[HEAD.size : HEAD.size + length]
    if length > PAGE - HEAD.size or hashlib.sha256(text).digest() != digest:
        raise _refused(path, "another hash", "a description as it was written")
    description: dict[str, Any] = json.loads(text)
    if description["version"] != VERSION:
        raise _refused(path, str(description["version"]), f"version {VERSION}")
    if description["dtype"] not in TYPES:
        raise _refused(path, str(description["dtype"]), f"one of {', '.join(TYPES)}")
    return description


def verify_rows(block: RowBlock) -> None:
    """Read all rows and compare their hash with the one that was written.

    Raises
    ------
    InputError
        If they differ.
    """
    digest = hashlib.sha256()
    for chunk in _chunks(np.ascontiguousarray(block.rows)):
        digest.update(hashlib.sha256(chunk).digest())
    with block.path.open("rb") as stream:
        stream.seek(-len(MAGIC) - digest.digest_size, 2)
        if stream.read(digest.digest_size) != digest.digest():
            raise _refused(block.path, "another hash", "rows as they were written")


def _refused(path: str | Path, value: str, rule: str) -> InputError:
    return InputError([BadRecord(file=str(path), line=0, field="", value=value, rule=rule)])
