"""Files as wholes, see ``core.files``."""

from crossmargin.core.files import whole_file

__all__ = ["whole_file"]
