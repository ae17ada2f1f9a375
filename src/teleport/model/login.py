"""Login: the grammar of names by which people enter a host's operating system.

One rule for roles, traits and certificates, so that a name which one part accepts cannot mean something
else to another: a comma separates principals in OpenSSH's files (CVE-2026-35414), a newline ends a
line, a leading hyphen is an option or one of our own internal principals.
"""

from __future__ import annotations

import unicodedata

MAX_BYTES = 256
"""Length of a login in UTF-8: the longest that common systems accept."""

JOIN = "-teleport-internal-join"
"""Login with which running sessions are joined. Every user's certificate has it; it is no account anywhere."""
JOIN_MODE = "TELEPORT_SSH_JOIN_MODE"
"""Variable that says how somebody takes part in the session they join: observer, peer or moderator."""
JOIN_SESSION = "TELEPORT_SSH_JOIN_SESSION"
"""Variable with the id of that session."""

_PUNCTUATION = frozenset("._-@+$\\")


def is_login(text: str) -> bool:
    """Whether `text` may be a login: letters, digits, marks and `._-@+$\\`, in Unicode's form NFC.

    What is not listed is refused: separators, white space, control and invisible characters. A hyphen
    may not come first; a name of dots alone is a path, not a person.
    """
    return (
        0 < len(text.encode("utf-8", "surrogatepass")) <= MAX_BYTES
        and not text.startswith("-")
        and text.strip(".") != ""
        and are_login_characters(text)
        and unicodedata.is_normalized("NFC", text)
    )


def are_login_characters(text: str) -> bool:
    """Whether every character may stand in a login: for the fixed parts of a template."""
    return all(c in _PUNCTUATION or unicodedata.category(c) in ("Ll", "Lu", "Lo", "Lm", "Mn", "Mc", "Nd") for c in text)
