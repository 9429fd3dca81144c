"""Several houses' positions on common scenarios: the joint expected shortfall, its parts and its reasons."""
