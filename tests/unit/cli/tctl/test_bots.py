"""tctl bots: what is made, said and shown of bots and their instances."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.admin_host import AdminHost
from tests.support.auth_cluster import document_of, role
from tests.support.bots import Robot


@pytest.fixture
def roles(host: AdminHost) -> AdminHost:
    async def make(cluster: Any) -> None:
        for name in ("foo", "bar", "machine-id-db"):
            await cluster.admin.upsert(role(name))

    host.do(make)
    return host


def stored(host: AdminHost, kind: str, name: str) -> Any:
    return host.do(lambda cluster: cluster.service.store.get(kind, name))


def made(host: AdminHost, name: str, *words: str) -> str:
    out = host.tctl("bots", "add", name, *words).out
    found = re.fullmatch(r"The bot token: ([0-9a-f]{32})\nThis token will expire in (\d+) minutes?\.\n", out)
    assert found, out
    return found[1]


def test_add_says_the_token(roles: AdminHost) -> None:
    """S1-47: a bot with roles to impersonate, and its token."""
    token = stored(roles, "token", made(roles, "example", "--roles=foo,bar,machine-id-db", "--logins=alice,bob"))
    assert (token.spec.roles, token.spec.bot_name, token.spec.join_method) == (("Bot",), "example", "token")
    bot = stored(roles, "bot", "example")
    assert (bot.spec.roles, bot.traits) == (("foo", "bar", "machine-id-db"), {"logins": ("alice", "bob")})
    assert roles.tctl("get", "user/bot-example").out.startswith("kind: user")
    assert "already exists" in roles.tctl("bots", "add", "example", "--roles=foo", status=1).err


def test_add_for_programs_and_with_a_token_of_ones_own(roles: AdminHost) -> None:
    spec = {"roles": ["Bot"], "bot_name": "second"}
    roles.do(lambda cluster: cluster.admin.create(document_of("token", "a-token-made-before", spec)))
    words = ("--roles=foo", "--token=a-token-made-before", "--max-session-ttl=24h", "--format=json")
    found = json.loads(roles.tctl("bots", "add", "second", *words).out)
    assert found == {
        "user_name": "bot-second", "role_name": "bot-second", "token_id": "a-token-made-before", "token_ttl": 0,
    }  # fmt: skip
    assert str(stored(roles, "bot", "second").spec.max_session_ttl) == "24h0m0s"
    done = roles.tctl("bots", "add", "third", "--token=a-token-made-before", status=1)
    assert 'is not one for bot "third"' in done.err
    assert "not found" in roles.tctl("get", "bot/third", status=1).err, "nothing was made"
    for words in (("--ttl=0s",), ("--max-session-ttl=169h",)):
        assert "fix:" in roles.tctl("bots", "add", "third", "--roles=foo", *words, status=1).err


def test_a_bot_without_roles_is_warned_of(roles: AdminHost) -> None:
    done = roles.tctl("bots", "add", "idle")
    assert 'warning: bot "idle" has no roles' in done.err
    assert done.out.startswith("The bot token: ")


def test_list_and_remove(roles: AdminHost) -> None:
    """S1-26, S1-46: delete and make anew works too."""
    made(roles, "listed", "--roles=foo,bar")
    lines = roles.tctl("bots", "ls").out.splitlines()
    assert lines[0].split() == ["Bot", "User", "Roles"]
    assert ["listed", "bot-listed", "foo,bar"] in [line.split() for line in lines]
    assert lines[-2:] == ["To view active instances of a bot, run:", "> tctl bots instances list [name]"]
    assert roles.tctl("bots", "rm", "listed").out == 'Bot "listed" deleted successfully.\n'
    assert "listed" not in roles.tctl("bots", "ls").out
    assert "not found" in roles.tctl("get", "user/bot-listed", status=1).err
    made(roles, "listed", "--roles=foo")


def test_no_bots(host: AdminHost) -> None:
    for bot in json.loads(host.tctl("bots", "ls", "--format=json").out):
        host.tctl("bots", "rm", bot["metadata"]["name"])
    assert host.tctl("bots", "ls").out == "No bots found\n"


def test_update_says_what_has_changed(roles: AdminHost) -> None:
    made(roles, "growing", "--roles=foo")
    out = roles.tctl("bots", "update", "growing", "--add-roles=bar,foo", "--set-logins=alice").out
    assert out == 'Bot "growing" has been updated\nroles: foo,bar\nlogins: alice\n'
    out = roles.tctl("bots", "update", "growing", "--add-logins=bob", "--lock-scope=instance").out
    assert out == 'Bot "growing" has been updated\nlogins: alice,bob\nlock_scope: instance\n'
    out = roles.tctl("bots", "update", "growing", "--set-roles=bar", "--set-max-session-ttl=2h").out
    assert out == 'Bot "growing" has been updated\nroles: bar\nmax_session_ttl: 2h0m0s\n'
    assert roles.tctl("bots", "update", "growing").out == "Nothing to change.\n"
    assert "contradict" in roles.tctl("bots", "update", "growing", "--set-roles=a", "--add-roles=b", status=1).err
    assert "gone" in roles.tctl("bots", "update", "growing", "--add-roles=gone", status=1).err


def test_instances(roles: AdminHost) -> None:
    """S1-15, S1-17: a new one-time token for a bot that is there; what joins with it is a new instance."""
    first = made(roles, "lively", "--roles=foo")
    one = roles.do(lambda cluster: Robot.joined(cluster, first))
    roles.do(lambda cluster: one.renew())
    out = roles.tctl("bots", "instances", "add", "lively").out
    second = re.match(r"The bot token: ([0-9a-f]{32})\nThis token will expire in 60 minutes\.\n", out)
    assert second, out
    two = roles.do(lambda cluster: Robot.joined(cluster, second[1]))
    out = roles.tctl("bots", "instances", "ls", "lively").out
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.startswith("lively/")}
    assert rows[f"lively/{one.identity.bot_instance_id}"][-1] == "2"
    row = rows[f"lively/{two.identity.bot_instance_id}"]
    assert (row[1], row[2], row[-1], len(rows)) == ("token", "n/a", "1", 2)
    assert roles.tctl("bots", "instances", "list", "nobody").out.startswith("ID ")
    shown = roles.tctl("bots", "instances", "show", f"lively/{one.identity.bot_instance_id}").out
    assert shown.startswith(f"Bot: lively\nID:  {one.identity.bot_instance_id}\n\nInitial Authentication:\n")
    assert re.search(r"Public Key: +<91 bytes>", shown), shown
    assert "No heartbeat records." in shown
    again = roles.tctl("bots", "instances", "add", "nobody", status=1)
    assert "nobody" in again.err


def test_which_instance_is_meant(roles: AdminHost) -> None:
    token = made(roles, "meant", "--roles=foo")
    id = roles.do(lambda cluster: Robot.joined(cluster, token)).identity.bot_instance_id
    for wrong in ("meant", "meant/", f"/{id}", f"meant/{id}/x"):
        done = roles.tctl("bots", "instances", "show", wrong, status=1)
        assert "invalid bot instance syntax, must be: [bot name]/[uuid]" in done.err
    assert f"meant/{id}" in roles.tctl("bots", "instances", "show", f"other/{id}", status=1).err
