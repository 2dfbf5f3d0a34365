"""Which texts train and which are scored."""
