"""access.channels: merging over roles, what service and certificate say, and what each role says of a channel."""

from typing import get_args

import pytest

from teleport.access.action import Channel
from teleport.access.channels import KINDS, Word, caller_checks, merged, repairs, role_steps
from teleport.model.role_spec import RoleOptions
from tests.support.policy import caller, role


def options(*each):
    return [role(options=values).spec.options for values in each]


def split(local=None, remote=None):
    given = {"local": local, "remote": remote}
    return {"ssh_port_forwarding": {way: {"enabled": on} for way, on in given.items() if on is not None}}


def test_every_channel_has_a_kind():
    assert set(KINDS) == set(get_args(Channel))
    for kind in KINDS.values():
        assert kind.title
        assert kind.option


@pytest.mark.parametrize(
    ("roles", "channel", "expected"),
    [
        ([{}], "local_forward", True),
        ([{}], "remote_forward", True),
        ([{"port_forwarding": False}], "local_forward", False),
        ([{"port_forwarding": False}, {}], "remote_forward", True),
        ([split(local=False)], "local_forward", False),
        ([split(local=False)], "remote_forward", True),
        ([split(remote=False)], "remote_forward", False),
        ([split(remote=False)], "local_forward", True),
        ([split(local=False), {}], "local_forward", False),
        ([split(local=False), split(local=True)], "local_forward", False),
        ([{"port_forwarding": False, **split(local=True)}], "local_forward", True),
        ([{"port_forwarding": False, **split(local=True)}], "remote_forward", False),
        ([{"port_forwarding": True, **split(remote=False)}], "remote_forward", False),
        ([{"port_forwarding": False}, split(remote=True)], "remote_forward", True),
        ([{}], "agent", False),
        ([{"forward_agent": True}, {}], "agent", True),
        ([{}], "x11", False),
        ([{"permit_x11_forwarding": True}, {}], "x11", True),
        ([{}], "file_copy", True),
        ([{"ssh_file_copy": False}, {}], "file_copy", False),
        ([], "file_copy", False),
        ([], "local_forward", False),
    ],
)
def test_merging(roles, channel, expected):
    assert merged(options(*roles), channel) is expected
    assert merged(reversed(options(*roles)), channel) is expected


@pytest.mark.parametrize(
    ("channel", "conditions"),
    [
        ("local_forward", ["ssh_service.port_forwarding", "extension permit-port-forwarding"]),
        ("remote_forward", ["ssh_service.port_forwarding", "extension permit-port-forwarding"]),
        ("agent", ["extension permit-agent-forwarding"]),
        ("x11", ["ssh_service.x11.enabled", "extension permit-X11-forwarding"]),
        ("file_copy", ["ssh_service.ssh_file_copy"]),
    ],
)
def test_service_and_certificate(channel, conditions):
    every = caller(permit_port_forwarding=True, permit_agent_forwarding=True, permit_x11_forwarding=True)
    found = [step for _, step in caller_checks(every, (), channel)]
    assert [step.condition for step in found] == conditions
    assert all(step.matched for step in found)
    nothing = dict(caller_checks(caller(), (channel,), channel))
    assert not any(step.matched for step in nothing.values())
    assert {step.found for step in nothing.values()} <= {"no", "absent"}


def test_each_role_says_what_it_gives_and_what_it_takes():
    given = [(name, role(options=values).spec.options) for name, values in {
        "a": {"port_forwarding": False}, "b": {}, "c": split(local=False),
    }.items()]  # fmt: skip
    steps = role_steps(given, "local_forward")
    assert [(step.role, step.side, step.matched, step.found) for step in steps] == [
        ("a", "allow", False, "no"), ("b", "allow", True, "yes"), ("c", "deny", True, "no"),
    ]  # fmt: skip
    assert repairs(steps, 3) == ('set ssh_port_forwarding.local.enabled of role "c" to yes',)
    assert repairs(steps[:1], 3) == ('set ssh_port_forwarding.local.enabled of role "a" to yes',)
    assert repairs(steps[:2], 1) == ('set ssh_port_forwarding.local.enabled of role "a" to yes',)


def test_following_the_help_gives_the_channel():
    """What `repairs` names is an option that people can write: setting it decides."""
    for values, repaired in (
        ({"ssh_file_copy": False}, {"ssh_file_copy": True}), ({}, {"forward_agent": True}),
        ({}, {"permit_x11_forwarding": True}), (split(remote=False), split(remote=True)),
    ):  # fmt: skip
        (name,) = {name for name in KINDS if not merged(options(values), name) and merged(options(repaired), name)}
        (line,) = repairs(role_steps([("r", options(values)[0])], name), 3)
        assert next(iter(repaired)) in line


def test_words_are_those_of_options():
    assert Word("never") is Word.NEVER
    assert KINDS["agent"].word(RoleOptions()) is Word.SILENT
