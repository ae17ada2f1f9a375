"""Floor 6: machine identity."""
