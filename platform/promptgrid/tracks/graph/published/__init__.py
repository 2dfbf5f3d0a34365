"""What papers report of graph methods."""
