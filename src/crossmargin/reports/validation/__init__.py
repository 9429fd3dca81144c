"""Backtests, stress tests and procyclicality as tables, pages and disclosure rows."""
