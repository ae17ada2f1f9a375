"""One file per kind; the name of the file is the name of the kind."""
