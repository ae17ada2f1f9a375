"""Floor 1: what things are. Kinds, identities, events, configuration."""
