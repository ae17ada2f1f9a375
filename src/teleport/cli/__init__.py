"""Floor 8: words and tables only."""
