"""Joining: a token and a proof against certificates."""
