"""English texts, one file per area."""
