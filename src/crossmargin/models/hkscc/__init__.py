"""HKSCC initial margin and marks for Hong Kong cash equities.

Source throughout: HKEX, *HKSCC – VaR Platform, Initial Margin Calculation Guide*, version 1.4,
October 2025. A section number in this package is a section of that guide.
"""
