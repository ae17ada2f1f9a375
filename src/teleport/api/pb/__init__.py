"""Generated messages of proto/teleport/v1 (`make proto`). Not for reading; no code of ours."""
