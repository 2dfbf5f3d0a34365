"""What graphs say for the cards of their methods."""
