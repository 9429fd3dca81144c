"""Nouns and small rules that two layers or more share. Imports nothing but ``errors``."""
