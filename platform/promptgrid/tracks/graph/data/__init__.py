"""How graphs become columns of batches."""
