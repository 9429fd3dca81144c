"""A synthetic market of three houses, invented from a seed: no number describes a real instrument or firm."""
