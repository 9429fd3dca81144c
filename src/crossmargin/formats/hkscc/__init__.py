"""HKSCC's files: risk parameters (RPF01), position reports, and the participant's settings (TOML)."""
