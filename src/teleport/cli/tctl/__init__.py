"""The tctl command."""
