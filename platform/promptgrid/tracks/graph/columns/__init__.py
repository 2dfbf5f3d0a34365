"""What a batch of graphs can hold."""
