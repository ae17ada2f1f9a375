"""Joining a cluster: the side of who has no certificate yet."""
