"""Administrators and bots on a real cluster: what is printed works, a locked bot comes back, and who may do what."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import BIN, Cluster, User, decision_in
from tests.support.tbot import Machine, identity_in, instances, make_bot

RULES = [
    {"resources": ["bot", "bot_instance", "token"], "verbs": ["list", "create", "read", "update", "delete"]},
    {"resources": ["lock", "event"], "verbs": ["list", "read"]},
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")).running() as running:
        running.role("access", logins=["alice"])
        running.role("bots", rules=RULES)
        yield running


@pytest.fixture(scope="module")
def operator(cluster: Cluster) -> User:
    """Somebody at a workstation who looks after bots, and may not lift locks."""
    return cluster.sign_up("olga", ["bots"])


def recipe(text: str, folder: Path) -> list[str]:
    """Return the command that stands in a text, to run once, with folders of this test."""
    found = re.search(r"^> (tbot start .*?)\n\n", text, re.DOTALL | re.MULTILINE)
    assert found, text
    words = shlex.split(found[1].replace("\\\n", ""))
    kept = [word for word in words if not word.startswith(("--storage=", "--destination="))]
    assert len(words) - len(kept) == 2
    return [str(BIN / "tbot"), *kept[1:], f"--storage={folder / 'storage'}", f"--destination={folder / 'out'}",
            "--oneshot"]  # fmt: skip


def token_in(text: str) -> str:
    found = re.search(r"The bot token: ([0-9a-f]{32})\nThis token will expire in 60 minutes\.\n", text)
    assert found, text
    return found[1]


def test_what_is_printed_works_at_the_auth_service(cluster: Cluster, tmp_path: Path) -> None:
    """S1-47, S1-15: on the auth host the Auth Service is named, with the pin of its authority."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first = recipe(cluster.tctl("bots", "add", "printed", "--roles=access").out, tmp_path / "one")
    assert any(word.startswith("--ca-pin=sha256:") for word in first)
    auth = next(word for word in first if word.startswith("--auth-server="))
    here = [f"--auth-server=127.0.0.1:{auth.rpartition(':')[2]}" if word == auth else word for word in first]
    cluster.run(*here)  # the name of this node is known to nobody
    assert identity_in(tmp_path / "one" / "storage").renewable
    second = recipe(cluster.tctl("bots", "instances", "add", "printed").out, tmp_path / "two")
    cluster.run(*[f"--auth-server=127.0.0.1:{auth.rpartition(':')[2]}" if word == auth else word for word in second])
    assert sorted(instances(cluster, "printed").values()) == [1, 1]


def test_what_is_printed_works_through_the_proxy(cluster: Cluster, operator: User, tmp_path: Path) -> None:
    words = recipe(operator.tctl("bots", "add", "remote", "--roles=access").out, tmp_path)
    assert f"--proxy-server={cluster.public}" in words
    cluster.run(*words)
    assert identity_in(tmp_path / "out").roles == ("access",)


def test_a_locked_bot_comes_back(cluster: Cluster, operator: User) -> None:
    """S1-04, S1-07, S1-13, S1-14, S1-15, S1-17, S1-18, S1-46, S1-61: from the mismatch to a bot that works, by hand."""
    machine = Machine(cluster, "example", make_bot(cluster, "example", "access"))
    machine.once()
    before = machine.folder / "before"
    shutil.copytree(machine.storage, before)
    machine.once()
    machine.settings["storage"]["path"] = str(before)
    assert "renewable cert generation mismatch: stored=2, presented=1" in machine.once(status=1).err
    assert cluster.read("user", "bot-example")["spec"]["roles"] == ["bot-example"]
    documents = cluster.tctl("get", "locks").out
    assert (
        '  message: The bot user "bot-example" has been locked due to a certificate generation\n'
        "    mismatch, possibly indicating a stolen certificate.\n  target:\n    user: bot-example\nversion: v2\n"
    ) in documents
    assert re.search(r"^kind: lock\nmetadata:\n  id: \d{19}\n  name: [0-9a-f-]{36}\n", documents), documents
    listed = json.loads(cluster.tctl("get", "locks", "--format=json").out)
    every = listed if isinstance(listed, list) else [listed]
    (lock,) = [each["metadata"]["name"] for each in every if each["spec"]["target"].get("user") == "bot-example"]
    machine.settings["storage"]["path"] = str(machine.storage)
    assert f"(it removes lock/{lock} and makes a new token)" in machine.once(status=1).err
    assert (
        '[AUTH]      lock targeting User:"bot-example" is in force: The bot user "bot-example" has been' in cluster.log
    )
    denied = operator.tctl("bots", "recover", "example", "--yes", status=1)
    assert "BOT-GEN-MISMATCH" in denied.out
    assert decision_in(denied.err), "who may not make locks, lifts none"
    token = token_in(cluster.tctl("bots", "instances", "add", "example").out)
    machine.settings["onboarding"]["token"] = token
    machine.once(status=1)
    assert cluster.tctl("rm", f"lock/{lock}").out == f'lock "{lock}" has been deleted\n'
    machine.once()
    assert instances(cluster, "example")[identity_in(machine.storage).bot_instance_id] == 1
    assert cluster.tctl("bots", "rm", "example").out == 'Bot "example" deleted successfully.\n'
    left = cluster.tctl("get", "users,roles,bots,bot_instances,tokens").out
    assert not [word for word in left.split() if word in ("bot-example", "example")], left


def test_one_command_leads_back(cluster: Cluster) -> None:
    token = make_bot(cluster, "careless", "access")
    machine = Machine(cluster, "careless", token)
    machine.once()
    before = machine.folder / "before"
    shutil.copytree(machine.storage, before)
    machine.once()
    machine.settings["storage"]["path"] = str(before)
    machine.once(status=1)
    former = identity_in(machine.storage).bot_instance_id
    done = cluster.tctl("bots", "recover", "careless", stdin="y\n")
    assert "Renewed last: " in done.out
    machine.settings["onboarding"]["token"] = token_in(done.out)
    machine.once()  # in the folder that was copied
    assert instances(cluster, "careless")[identity_in(before).bot_instance_id] == 1
    assert identity_in(before).bot_instance_id != former
    machine.settings["storage"]["path"] = str(machine.storage)
    machine.settings["onboarding"]["token"] = token
    assert f'BotInstanceID:"{former}"' in machine.once(status=1).err, "what still has the former ones locks nobody"
    assert cluster.tctl("bots", "recover", "careless", "--yes", status=1).err.startswith("ERROR: nothing is to be")


def test_a_bound_key_joins_goes_on_and_recovers(cluster: Cluster) -> None:
    machine = Machine(cluster, "keyed", "of-keyed", method="bound_keypair")
    make_bot(cluster, "keyed", "access")
    said = machine.run("keypair", "create", f"--proxy-server={cluster.public}", f"--storage={machine.storage}",
                       "--format=json")  # fmt: skip
    key = json.loads(said.out)["public_key"]
    block = {"onboarding": {"initial_public_key": key}, "recovery": {"limit": 2}}
    spec = {"roles": ["Bot"], "bot_name": "keyed", "join_method": "bound_keypair", "bound_keypair": block}
    cluster.create({"kind": "token", "version": "v2", "metadata": {"name": "of-keyed"}, "spec": spec})
    machine.once()
    first = identity_in(machine.storage).bot_instance_id
    machine.once()
    assert instances(cluster, "keyed") == {first: 2}
    for path in machine.storage.iterdir():
        if path.is_file() and path.name != "bound_keypair.json":
            path.unlink()
    machine.once()
    second = identity_in(machine.storage).bot_instance_id
    assert instances(cluster, "keyed") == {first: 2, second: 1}
    assert cluster.read("bot_instance", second)["spec"]["previous_instance_id"] == first


def test_who_may_not_is_told_with_an_id(cluster: Cluster) -> None:
    nobody = cluster.sign_up("nora", ["access"])
    for words in (("bots", "add", "x", "--roles=access"), ("bots", "instances", "ls"), ("bots", "recover", "x")):
        denied = nobody.tctl(*words, status=1)
        assert "access denied" in denied.err, words
    assert "nora" in cluster.tctl("access", "explain", decision_in(denied.err)).out
