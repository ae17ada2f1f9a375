"""Floor 3: bytes at rest."""
