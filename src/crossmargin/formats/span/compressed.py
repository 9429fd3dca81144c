"""Open a file that may be zipped or gzipped: recognised from its first bytes, never from its name.

What comes out of a compressed file is bounded, so that a small file cannot fill the memory.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path
from typing import IO, Any, Final

from crossmargin.errors import BadRecord, InputError

__all__ = ["DECOMPRESSED_BYTES_MAX", "open_compressed"]

DECOMPRESSED_BYTES_MAX: Final = 4 << 30
"""No more than this comes out of a compressed file."""

GZIP_MARK: Final = b"\x1f\x8b"
ZIP_MARKS: Final = (b"PK\x03\x04", b"PK\x05\x06")
BROKEN: Final = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, LZMAError, EOFError, OSError)
ENCRYPTED: Final = 1


class _Bounded(io.RawIOBase):
    """A decompressed stream that stops at a limit and refuses broken input by name."""

    def __init__(self, stream: IO[bytes], owner: IO[bytes], file: str, bytes_max: int) -> None:
        super().__init__()
        self._stream, self._owner, self._file, self._left = stream, owner, file, bytes_max

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        try:
            content = self._stream.read(len(view))
        except BROKEN as error:
            raise _refusal(self._file, str(error), "a compressed file that is whole") from error
        self._left -= len(content)
        if self._left < 0:
            raise _refusal(self._file, "more than the limit", "a file within the limit of decompression")
        view[: len(content)] = content
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
            self._owner.close()
        super().close()


def open_compressed(path: str | Path, *, bytes_max: int = DECOMPRESSED_BYTES_MAX) -> IO[bytes]:
    """Open a file for reading, decompressed where it is a zip or gzip.

    Parameters
    ----------
    path : str or Path
        The file; a zip must hold exactly one.
    bytes_max : int
        Most bytes that may come out of a compressed file.

    Returns
    -------
    binary stream
        Its ``read`` raises ``InputError`` where compressed content is broken or beyond the limit.

    Raises
    ------
    InputError
        If a zip is broken, encrypted, or holds none or several files.
    """
    path = Path(path)
    stream = path.open("rb")
    try:
        head = stream.read(4)
        stream.seek(0)
        if head.startswith(GZIP_MARK):
            return io.BufferedReader(
                _Bounded(gzip.GzipFile(fileobj=stream), stream, str(path), bytes_max)  # type: ignore[arg-type]
            )
        if head in ZIP_MARKS:
            return io.BufferedReader(_Bounded(_zip_member(stream, str(path)), stream, str(path), bytes_max))
    except BaseException:
        stream.close()
        raise
    return stream


def _zip_member(stream: IO[bytes], file: str) -> IO[bytes]:
    try:
        archive = zipfile.ZipFile(stream)
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) != 1:
            raise _refusal(file, f"{len(members)} files", "a zip that holds exactly one file")
        if members[0].flag_bits & ENCRYPTED:
            raise _refusal(file, members[0].filename, "a zip without a password")
        return archive.open(members[0])
    except (*BROKEN, NotImplementedError, RuntimeError, ValueError) as error:
        raise _refusal(file, str(error), "a zip that is whole") from error


def _refusal(file: str, value: str, rule: str) -> InputError:
    return InputError([BadRecord(file=file, line=0, field="", value=value, rule=rule)])
