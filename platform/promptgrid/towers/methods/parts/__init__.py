"""What several methods on a tower of tokens share."""
