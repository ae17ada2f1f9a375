"""teleport.yaml: one file per section."""
