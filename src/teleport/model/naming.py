"""Naming: the grammar of names, labels and short texts that every kind shares.

One rule in one place, because a name travels far: into storage keys, certificates, comma lists of the
command line, log lines and terminals. What could end a line, split a list, leave a folder or pass for
another name is refused when it enters. Logins have a narrower grammar (`model.login`).
"""

from __future__ import annotations

from teleport.base.errors import AccessDenied, BadParameter
from teleport.base.lean import Iterable, Mapping, dt

CLUSTER_NAME = "teleport.cluster.local"
"""DNS name that certificates of the cluster's services carry; clients that hold the cluster's host
authority verify it whatever address they dialled."""
MAX_NAME = 1000
"""Longest name, in characters."""
MAX_LABEL_KEY, MAX_LABEL_VALUE = 256, 4096
"""Longest key and value of a label, in characters."""
MAX_TEXT = 4096
"""Longest message or description, in characters."""
RESERVED_PREFIX = "teleport.internal/"
"""Labels that only the cluster itself sets."""

_WORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
"""What most names consist of; no regular expressions, because commands that must start at once read names."""
_LONGEST_CLUSTER = 253
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def name_problem(name: str) -> str:
    """Return why `name` may not be a name, or an empty text.

    Letters of any script are welcome; separators of lists and paths, control, format and unassigned
    characters are not, and of white space only the plain blank inside. Text must be in Unicode's form NFC,
    so that two names that look the same are the same.
    """
    if not 0 < len(name) <= MAX_NAME:
        return "it is empty" if not name else f"it is longer than {MAX_NAME} characters"
    if _is_plain(name, "_"):
        return ""
    import unicodedata

    for char in name:
        if char in "/,":
            return f"it contains {char!r}, which separates names"
        category = unicodedata.category(char)
        if category in _INVISIBLE or (category == "Zs" and char != " "):
            return f"it contains the character U+{ord(char):04X}"
    if name != name.strip(" ") or name.startswith("-"):
        return "it starts or ends with a blank, or starts with a hyphen"
    if not name.strip("."):
        return "it consists of dots alone"
    return "" if unicodedata.is_normalized("NFC", name) else "it is not in Unicode's composed form (NFC)"


def _is_plain(name: str, ends: str = "") -> bool:
    """Whether a name has letters and digits of ASCII, and inside `.`, `-` and `_`; `ends` may also begin and end it."""
    edges = _WORD + ends
    return bool(name) and name[0] in edges and name[-1] in edges and not name.strip(_WORD + "._-")


def check_name(what: str, name: str) -> None:
    """Raise BadParameter (KIND-NAME) unless `name` is a name; `what` says of what, for example `role`."""
    problem = name_problem(name)
    if problem:
        raise BadParameter("KIND-NAME", kind=what, name=ascii(name[:60]), problem=problem)


def check_names(what: str, names: Iterable[str]) -> None:
    """Check several names that stand in one field."""
    for name in names:
        check_name(what, name)


def is_cluster_name(name: str) -> bool:
    """Whether `name` may name a cluster: letters, digits, `.`, `-`, `_`; it becomes part of host names."""
    return len(name) <= _LONGEST_CLUSTER and ".." not in name and _is_plain(name)


def check_cluster_name(name: str) -> None:
    """Raise BadParameter (KIND-NAME) unless `name` may name a cluster."""
    if not is_cluster_name(name):
        problem = "a cluster's name has letters, digits, '.', '-' and '_', like a host name"
        raise BadParameter("KIND-NAME", kind="cluster", name=ascii(name[:60]), problem=problem)


def label_problem(key: str, value: str) -> str:
    """Return why `key: value` may not be a label, or an empty text."""
    if len(key) > MAX_LABEL_KEY or not key or key.strip(_WORD + "/._:*-"):
        return f"a key has 1 to {MAX_LABEL_KEY} letters, digits and / . _ : * -"
    if len(value) > MAX_LABEL_VALUE:
        return f"the value is longer than {MAX_LABEL_VALUE} characters"
    return "the value contains characters that do not print" if _unprintable(value, allowed="") else ""


def check_labels(what: str, labels: Mapping[str, str]) -> None:
    """Raise BadParameter (KIND-LABEL) unless every label follows the grammar."""
    for key, value in labels.items():
        problem = label_problem(key, value)
        if problem:
            raise BadParameter("KIND-LABEL", kind=what, label=ascii(key[:60]), problem=problem)


def check_reserved(what: str, labels: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Raise AccessDenied (KIND-LABEL-RESERVED) if a person's write adds, changes or removes a reserved label.

    `before` are the labels of the stored resource, none for a new one: sending back what was read is fine.
    """
    for key in sorted({*labels, *before}):
        if key.startswith(RESERVED_PREFIX) and labels.get(key) != before.get(key):
            raise AccessDenied("KIND-LABEL-RESERVED", kind=what, label=key)


def check_text(what: str, field: str, text: str) -> None:
    """Raise BadParameter (KIND-TEXT) unless `text` is safe to show: no control characters but newline and tab."""
    if len(text) > MAX_TEXT or _unprintable(text, allowed="\n\t"):
        problem = f"longer than {MAX_TEXT} characters" if len(text) > MAX_TEXT else "not printable"
        raise BadParameter("KIND-TEXT", kind=what, field=field, problem=problem)


def check_time(what: str, field: str, moment: dt.datetime | None) -> None:
    """Raise BadParameter (KIND-TIME) for a moment that has no place in UTC: hours at the ends of the calendar."""
    try:
        if moment is not None:
            moment.astimezone(dt.UTC)
    except OverflowError:
        raise BadParameter("KIND-TIME", kind=what, field=field) from None


def check_metadata(what: str, name: str, description: str, labels: Mapping[str, str], namespace: str) -> None:
    """Check what all kinds share. An empty name is let through here: some kinds get theirs from the server."""
    if name:
        check_name(what, name)
    check_text(what, "metadata.description", description)
    check_labels(what, labels)
    if namespace != "default":
        raise BadParameter("KIND-NAMESPACE", kind=what, namespace=ascii(namespace[:60]))


def _unprintable(text: str, allowed: str) -> bool:
    if text.isascii() and text.isprintable():
        return False
    import unicodedata

    return any(char not in allowed and unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text)
