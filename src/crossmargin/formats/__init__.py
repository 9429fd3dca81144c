"""Readers and writers of outside file formats, one folder each.

A reader reports every bad record of a file and then refuses the file; it never drops, repairs or
defaults anything. What it accepts beyond the letter of a format is only what changes no meaning: CRLF
line ends, a byte order mark, and empty fields behind the last one that a record needs.
"""
