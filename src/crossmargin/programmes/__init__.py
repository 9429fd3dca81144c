"""Cross-margining programmes: who may be margined together, how, and what each house then calls.

Every result is hypothetical: no cross-margining of Hong Kong's clearing houses is in force.
"""
