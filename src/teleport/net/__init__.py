"""Floor 3: bytes in motion."""
