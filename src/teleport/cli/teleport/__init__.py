"""The teleport command."""
