"""Session recordings at rest, and the index of what stood on their screens."""
