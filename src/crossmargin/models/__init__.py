"""Margin methods: pure functions of positions, parameters and settings. No path, no clock, no global."""
