"""Session recordings at rest: sealed chunks in files, and the catalogue of what there is."""
