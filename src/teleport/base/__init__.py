"""Floor 0: words everyone uses. No sockets, no domain."""
