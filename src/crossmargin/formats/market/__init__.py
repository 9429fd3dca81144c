"""The market folder, this project's own neutral input, and readers that fill a market from outside files."""
