"""The version, read by the build and stamped on every result."""

__version__ = "0.1.0"
