"""Which examples of graphs train and which are scored."""
