"""Choices of the expected-shortfall margin."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.core.columns import require_number

__all__ = ["EsSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EsSettings:
    """How expected shortfalls become a requirement.

    Parameters
    ----------
    buffer : float
        Share added to the margin as an anti-procyclical buffer, which a house lets be used up when
        margins rise; 0.25 is the first tool of Article 28 of EMIR's technical standards
        (Delegated Regulation (EU) No 153/2013).
    """

    buffer: float = 0.0

    def __post_init__(self) -> None:
        require_number(self.buffer, "buffer")

    def described(self) -> tuple[tuple[str, str], ...]:
        """Return every choice as text, for the provenance of a result."""
        return (("buffer", str(self.buffer)),)
