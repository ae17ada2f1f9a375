"""Floor 2: may this identity do this to that? Pure decisions with reasons."""
