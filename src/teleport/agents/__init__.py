"""Floor 6: at the resources."""
