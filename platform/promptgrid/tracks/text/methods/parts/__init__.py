"""What several text methods share."""
