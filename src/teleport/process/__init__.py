"""Floor 7: configuration to services; supervisor; diagnostics."""
