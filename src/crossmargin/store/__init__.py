"""The scenario store: rows that are dear to compute, kept where they are cheap to read."""
