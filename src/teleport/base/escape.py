"""Characters that do not print, made visible: for logs and terminals, which obey what they are sent."""

from __future__ import annotations


def escape(text: str) -> str:
    """Return `text` with every character that does not print written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
