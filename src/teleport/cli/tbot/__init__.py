"""The tbot command."""
