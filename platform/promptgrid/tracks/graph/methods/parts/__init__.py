"""What several methods on graphs share."""
