"""Floor 1: bytes to messages and back. Pure: knows no socket, clock or task."""
