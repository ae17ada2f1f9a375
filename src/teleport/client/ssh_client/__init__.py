"""tsh's own SSH client: an engine without sockets, and a loop that runs it over one connection."""
