"""Scenarios: from histories of prices to sets of moves of risk factors."""
