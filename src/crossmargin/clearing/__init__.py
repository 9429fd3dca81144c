"""What stands behind a default: default funds, the waterfall, closing out a defaulter's positions."""
