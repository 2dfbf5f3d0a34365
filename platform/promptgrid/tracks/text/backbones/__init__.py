"""Text towers: where they come from, and the one place that reaches into them."""
