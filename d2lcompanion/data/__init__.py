"""Data: where they come from, whose they are, and how they are read."""
