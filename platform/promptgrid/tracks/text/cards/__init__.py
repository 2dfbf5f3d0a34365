"""What texts say for the cards of their methods."""
