"""Margins of a programme on past days, beside what the books then made."""
