"""Expected-shortfall margin on one set of scenarios for all houses' products."""
