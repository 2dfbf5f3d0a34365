"""Frozen towers, and the one place that reaches into them."""
