"""Files of weights: from a hub or from disk, read without running anything that they hold."""
