"""Dated methodology parameter sets, as data: each with house, version, source and section."""
