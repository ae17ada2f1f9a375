"""Names and bounds of profiles: what the command and the process must agree on. Making them: `profiles`."""

NAMES = ("allocs", "cmdline", "goroutine", "heap", "profile")
USUAL = ("goroutine", "heap", "profile")
"""Those that are made when none is named."""
TIMED = frozenset({"allocs", "profile"})
"""Those that measure for a time."""
SECONDS = 10
"""How long, unless told otherwise."""
MOST_SECONDS = 300
