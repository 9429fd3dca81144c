"""Which kind of SPAN file it is, from its content."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from crossmargin.errors import BadRecord, InputError
from crossmargin.formats.span.compressed import open_compressed
from crossmargin.formats.span.positional import is_positional, read_positional
from crossmargin.formats.span.xml_reader import is_spn, read_spn

if TYPE_CHECKING:
    from crossmargin.models.span.parameters import SpanParameters

__all__ = ["read_span_parameters"]

HEAD_BYTES: Final = 4096


def read_span_parameters(path: str | Path) -> SpanParameters:
    """Read a SPAN risk parameter file, positional or XML, plain or in a zip or gzip.

    Raises
    ------
    InputError
        If the content is of neither kind, or listing every bad record.
    """
    path = Path(path)
    with open_compressed(path) as stream:
        head = stream.read(HEAD_BYTES)
    if is_spn(head):
        return read_spn(path)
    if is_positional(head):
        return read_positional(path)
    rule = "a SPAN file: expanded positional records (U2, PA2) or SPAN XML"
    value = head[:60].decode("utf-8", errors="replace")
    raise InputError([BadRecord(file=str(path), line=1, field="", value=value, rule=rule)])
