"""What a batch of texts can hold, one file a column."""
