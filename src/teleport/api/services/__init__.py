"""One file per declared service."""
