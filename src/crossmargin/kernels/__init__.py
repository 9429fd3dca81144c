"""Loops over plain arrays, compiled by numba. They know no domain type; each has a NumPy twin."""
