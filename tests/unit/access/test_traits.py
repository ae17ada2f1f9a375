"""access.traits: templates filled in; what cannot be filled in is dropped."""

import pytest

from teleport.access.traits import email_local, expand, expand_logins

TRAITS = {"logins": ("alice", "a b", "*"), "email": ("bob@example.com", "nobody"), "team": ("x-dev", "ops")}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("root", ("root",)),
        ("{{internal.logins}}", ("alice", "a b", "*")),
        ("{{external.logins}}", ("alice", "a b", "*")),
        ("p-{{external.team}}-s", ("p-x-dev-s", "p-ops-s")),
        ("{{external.missing}}", ()),
        ("{{email.local(external.email)}}", ("bob",)),
        ('{{regexp.replace(external.team, "^x-(.*)$", "$1")}}', ("dev",)),
        ('{{regexp.replace(external.team, "^ops$", "")}}', ()),
        ("{{broken", ()),
        ('{{regexp.replace(external.team, "o", "%s")}}' % ("$0" * 300), ("o" * 300 + "ps",)),
    ],
)  # fmt: skip
def test_expand(item, expected):
    assert expand(item, TRAITS) == expected


def test_only_logins_become_logins():
    assert expand_logins(("root", "{{internal.logins}}", "*", "a,b"), TRAITS) == {"root", "alice"}
    assert expand_logins(("{{internal.logins}}",), {}) == frozenset()


@pytest.mark.parametrize("address", ["", "a", "@b", "a@", "a@b@c"])
def test_what_is_no_address_has_no_local_part(address):
    assert email_local(address) == ""
