"""Whether roles want an account made, and which."""

from __future__ import annotations

from typing import Any

import pytest

from teleport.access.host_users import HostUser, Prevented, host_user
from teleport.access.roleset import RoleSet
from teleport.model.kinds.role import Role
from tests.support import policy

TRAITS = {"team": ("dba", "web"), "host_user_uid": ("4711", "12"), "host_user_gid": ("4712",)}


def made(name: str, mode: str = "keep", *, env: str = "prod", deny: Any = None, **more: Any) -> Role:
    options = more.pop("options", {"create_host_user_mode": mode})
    allow = {"logins": ["alice"], "node_labels": {"env": env}, **more}
    return policy.role(name, allow=allow, deny=deny or {}, options=options)


def asked(*roles: Role, traits: dict[str, tuple[str, ...]] | None = None) -> HostUser | Prevented:
    return host_user(RoleSet.build(roles, traits or {}), {"env": "prod"}, {})


@pytest.mark.parametrize(
    ("modes", "result"),
    [
        (["keep"], "keep"),
        (["insecure-drop"], "insecure-drop"),
        (["drop"], "insecure-drop"),
        (["insecure-drop", "keep"], "keep"),
    ],
)
def test_the_mode_of_all_roles_together(modes: list[str], result: str) -> None:
    found = asked(*(made(f"r{number}", mode) for number, mode in enumerate(modes)))
    assert found == HostUser(result)


@pytest.mark.parametrize("mode", ["off", ""])
def test_a_role_that_reaches_the_node_and_does_not_ask_prevents_it(mode: str) -> None:
    assert asked(made("a"), made("b", mode), made("c")) == Prevented("b")
    assert asked(made("a"), made("b", mode, env="dev")) == HostUser("keep")
    assert asked(made("b", env="dev")) == Prevented("")


def test_the_old_switch_means_that_the_account_goes() -> None:
    assert asked(made("a", options={"create_host_user": True})) == HostUser("insecure-drop")


def test_groups_and_sudoers_add_up_in_the_order_of_names() -> None:
    found = asked(
        made("b", host_sudoers=["ALL=(root) /bin/b"], host_groups=["{{external.team}}", "z"]),
        made("a", host_sudoers=["ALL=(root) /bin/z", "ALL=(root) /bin/b"], host_groups=["a", "z"]),
        made("other", env="dev", host_groups=["admin"], host_sudoers=["ALL=(ALL) ALL"]),
        traits=TRAITS,
    )
    assert isinstance(found, HostUser)
    assert found.groups == ("a", "dba", "web", "z")
    assert found.sudoers == ("ALL=(root) /bin/z", "ALL=(root) /bin/b")
    assert (found.uid, found.gid) == ("4711", "4712")


def test_what_any_role_denies_is_taken_away() -> None:
    giving = made("a", host_sudoers=["one", "two"], host_groups=["one", "two"])
    some = policy.role("d", deny={"host_sudoers": ["two"], "host_groups": ["one"]})
    every = policy.role("e", deny={"host_sudoers": ["*"]})
    found = asked(giving, some)
    assert isinstance(found, HostUser)
    assert (found.sudoers, found.groups) == (("one",), ("two",))
    found = asked(giving, every)
    assert isinstance(found, HostUser)
    assert (found.sudoers, found.groups) == ((), ("one", "two"))


def test_the_first_shell_counts() -> None:
    roles = [
        made("a"),
        made("b", options={"create_host_user_mode": "keep", "create_host_user_default_shell": "/bin/b"}),
        made("c", options={"create_host_user_mode": "keep", "create_host_user_default_shell": "/bin/c"}),
    ]
    found = asked(*roles)
    assert isinstance(found, HostUser)
    assert found.shell == "/bin/b"
