"""The tsh command."""
