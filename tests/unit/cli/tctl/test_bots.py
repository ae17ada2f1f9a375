"""tctl bots: what is made, said and shown of bots and their instances."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest

from teleport.model.kinds.bot_instance import Heartbeat, ServiceHealth
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
    found = re.match(r"The bot token: ([0-9a-f]{32})\nThis token will expire in (\d+) minutes?\.\n", out)
    assert found, out
    return found[1]


def test_add_says_the_token(roles: AdminHost) -> None:
    """S1-47: a bot with roles to impersonate, and its token; S1-61: its user has the name of the bot behind `bot-`."""
    token = stored(roles, "token", made(roles, "example", "--roles=foo,bar,machine-id-db", "--logins=alice,bob"))
    assert (token.spec.roles, token.spec.bot_name, token.spec.join_method) == (("Bot",), "example", "token")
    bot = stored(roles, "bot", "example")
    assert (bot.spec.roles, bot.traits) == (("foo", "bar", "machine-id-db"), {"logins": ("alice", "bob")})
    assert roles.tctl("get", "user/bot-example").out.startswith("kind: user")
    assert "already exists" in roles.tctl("bots", "add", "example", "--roles=foo", status=1).err
    roles.tctl("bots", "rm", "example")  # another story is about a bot of this name


def test_a_name_of_two_words_is_quoted_in_commands(host: AdminHost) -> None:
    said = host.tctl("bots", "add", "my bot")
    assert "  - The token is good for one join. For another machine: tctl bots instances add 'my bot'\n" in said.out
    assert "Give it some: tctl bots update 'my bot' --add-roles=ROLE\n" in said.err


def test_add_says_how_tbot_is_started(roles: AdminHost) -> None:
    out = roles.tctl("bots", "add", "started", "--roles=foo", "--ttl=5m").out
    assert "This token will expire in 5 minutes.\n" in out
    recipe = out[out.index("> tbot") + 2 :].partition("\n\n")[0].replace("\\\n", "")
    words = shlex.split(recipe)
    token = re.search(r"The bot token: (\w+)", out)
    pin = re.search(r"CA pin +(sha256:\w+)", roles.tctl("status").out)
    assert token
    assert pin
    assert words == [
        "tbot", "start", "identity", f"--token={token[1]}", "--join-method=token", f"--ca-pin={pin[1]}",
        "--auth-server=auth-host:3025", "--storage=/var/lib/teleport/bot", "--destination=/opt/machine-id",
    ]  # fmt: skip
    again = roles.tctl("bots", "instances", "add", "started", "--ttl=5m").out
    other = re.search(r"The bot token: (\w+)", again)
    assert other
    assert other[1] != token[1]
    assert again.replace(other[1], token[1]) == out, "the same text, with another token"


def test_a_token_that_proves_nothing_by_itself_has_no_warning(roles: AdminHost) -> None:
    spec = {
        "roles": ["Bot"], "bot_name": "pods", "join_method": "kubernetes",
        "kubernetes": {"allow": [{"service_account": "prod:ci"}]},
    }  # fmt: skip
    roles.do(lambda cluster: cluster.admin.create(document_of("token", "for-pods", spec)))
    out = roles.tctl("bots", "add", "pods", "--roles=foo", "--token=for-pods").out
    assert out.startswith("The bot token: for-pods\n\n"), "it does not end"
    assert "--join-method=kubernetes" in out
    assert "one join" not in out


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
    assert (row[1], row[2], row[-1], len(rows)) == ("token", "n1", "1", 2)
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


def test_get_and_remove_one_instance(roles: AdminHost) -> None:
    token = made(roles, "owner", "--roles=foo")
    id = roles.do(lambda cluster: Robot.joined(cluster, token)).identity.bot_instance_id
    shown = roles.tctl("get", f"bot_instance/owner/{id}").out
    assert shown.startswith("kind: bot_instance\n")
    assert f"  name: {id}\n" in shown
    assert roles.tctl("get", f"bot_instance/{id}").out == shown
    assert roles.tctl("get", "bot_instance/owner").out == shown
    other = roles.tctl("get", f"bot_instance/other/{id}", status=1)
    assert f'there is no bot_instance "{id}" of "other"' in other.err
    assert 'of "other"' in roles.tctl("rm", f"bot_instance/other/{id}", status=1).err
    done = roles.tctl("rm", f"bot_instance/owner/{id}")
    assert done.out == f'bot_instance "owner/{id}" has been deleted\n'
    assert "not found" in roles.tctl("get", f"bot_instance/owner/{id}", status=1).err


def test_bots_are_resources_too(roles: AdminHost) -> None:
    document = "kind: bot\nversion: v1\nmetadata: {name: written}\nspec: {roles: [foo]}\n"
    assert roles.tctl("create", stdin=document).out == 'bot "written" has been created\n'
    assert "already exists" in roles.tctl("create", stdin=document, status=1).err
    assert roles.tctl("create", "-f", stdin=document.replace("foo", "foo, bar")).out.endswith("updated\n")
    shown = roles.tctl("get", "bot/written").out
    assert "  - foo\n  - bar\n" in shown
    assert "  user_name: bot-written\n" in shown
    assert "role" in roles.tctl("create", "-f", stdin=document.replace("foo", "gone"), status=1).err
    assert roles.tctl("rm", "bot/written").out == 'bot "written" has been deleted\n'
    assert "not found" in roles.tctl("get", "user/bot-written", status=1).err


def test_lock_is_one_word(roles: AdminHost) -> None:
    made(roles, "shut", "--roles=foo")
    out = roles.tctl("bots", "lock", "shut", "--message=holiday", "--ttl=1h").out
    found = re.fullmatch(r'Created a lock with name "([0-9a-f-]{36})"\.\n', out)
    assert found, out
    lock = stored(roles, "lock", found[1])
    assert (lock.spec.target.named(), lock.spec.message) == ({"user": "bot-shut"}, "holiday")
    assert "not found" in roles.tctl("bots", "lock", "nobody", status=1).err
    assert "bots lock" not in roles.tctl("help").out
    assert "bots recover" in roles.tctl("help").out
    roles.tctl("rm", f"lock/{found[1]}")


def test_health_is_shown(roles: AdminHost) -> None:
    token = made(roles, "healthy", "--roles=foo")
    robot = roles.do(lambda cluster: Robot.joined(cluster, token))
    said = [ServiceHealth(name="identity", status="healthy"), ServiceHealth(name="db", status="unhealthy", reason="no")]
    roles.do(lambda cluster: robot.calls.beat(Heartbeat(hostname="build-7"), said))
    out = roles.tctl("bots", "instances", "show", f"healthy/{robot.identity.bot_instance_id}").out
    assert re.search(r"Service Health:\n +Name +Status +Reason +Updated", out), out
    assert re.search(r"db +unhealthy +no +2", out), out
    assert re.search(r"Hostname: +build-7", out), out
