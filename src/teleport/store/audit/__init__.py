"""Floor 3: the audit log."""
