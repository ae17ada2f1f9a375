"""What tokens of each join method say of who may join: one file each, checked when a token is written."""
