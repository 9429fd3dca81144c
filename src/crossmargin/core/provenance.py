"""Where a result comes from: what it takes to make it again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from crossmargin._version import __version__

if TYPE_CHECKING:
    from datetime import date

__all__ = ["Provenance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Stamp of a result.

    Parameters
    ----------
    method : str
        Document and version that define the method.
    as_of : date
        Business date of the parameters.
    parameter_sets : tuple of str
        Ids of the dated parameter sets that were used.
    settings : tuple of (str, str)
        Choices of the caller.
    input_hashes : tuple of (str, str)
        Name of each input and the SHA-256 of its content.
    legal_status : str
        What the number is and is not.
    data_note : str
        What the inputs say of themselves, for example that they are synthetic; empty where nothing.
    seed : int, optional
        Seed of the calculation where it draws random numbers.
    engine_version : str
        Version of this package.
    """

    method: str
    as_of: date
    parameter_sets: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]
    input_hashes: tuple[tuple[str, str], ...]
    legal_status: str
    data_note: str = ""
    seed: int | None = None
    engine_version: str = __version__

    def to_dict(self) -> dict[str, object]:
        """Return plain objects; the date in ISO form."""
        plain = asdict(self)
        plain["as_of"] = self.as_of.isoformat()
        plain["settings"] = dict(self.settings)
        plain["input_hashes"] = dict(self.input_hashes)
        plain["parameter_sets"] = list(self.parameter_sets)
        return plain
