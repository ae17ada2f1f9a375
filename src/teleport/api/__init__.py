"""Floor 4: how programs talk: declared services over gRPC."""
