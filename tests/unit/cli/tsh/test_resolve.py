"""tsh resolve: one node, none, or several. The client's connection is replaced by one to a real Auth Service in
memory; over TLS it is walked in tests/integration."""

import asyncio
import json

import pytest
import yaml

from teleport.base.clock import SystemClock
from teleport.cli.tsh import resolve
from tests.support import auth_cluster
from tests.support.admin_host import run

UUIDS = [f"00000000-0000-4000-8000-00000000000{digit}" for digit in "abcd"]


@pytest.fixture(autouse=True)
def cluster(monkeypatch):
    """A cluster with one `single`, two `twin`, and a node that alice may not see."""

    def call(_who, work):
        async def story():
            async with auth_cluster.running(clock=SystemClock()) as made:
                await made.admin.create(auth_cluster.role("dev", logins=["root"], node_labels={"env": "dev"}))
                names = (("single", "dev"), ("twin", "dev"), ("twin", "dev"), ("hidden", "prod"))
                for uuid, (name, env) in zip(UUIDS, names, strict=True):
                    service = made.client(made.host("Node", uuid=uuid))
                    await service.upsert(auth_cluster.node(uuid, name, env=env))
                return await work(made.client(made.user("alice", "dev")))

        return asyncio.run(story())

    monkeypatch.setattr(resolve, "call", call)


@pytest.mark.parametrize("host", ["single", "single:3022", "single.example.com", UUIDS[0]])
def test_one_node_by_any_of_its_names(host):
    heading, _, row = run("tsh", "resolve", host).out.splitlines()
    assert heading.split() == ["Node", "Name", "Node", "ID", "Address", "Labels"]
    assert row.split() == ["single", UUIDS[0], "127.0.0.1:3022", "env=dev"]


@pytest.mark.parametrize(("word", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_for_programs(word, read):
    assert read(run("tsh", "resolve", "single", "-f", word).out)["metadata"]["name"] == UUIDS[0]


def test_quiet_says_it_by_the_status():
    assert run("tsh", "resolve", "-q", "single")[:2] == (0, "")
    assert run("tsh", "resolve", "-q", "none")[:2] == (1, "")
    assert run("tsh", "resolve", "-q", "twin")[:2] == (1, "")


def test_what_is_hidden_is_not_there():
    absent, hidden = run("tsh", "resolve", "none").err, run("tsh", "resolve", "hidden").err
    assert absent.startswith("ERROR: no matching hosts found\n")
    assert hidden == absent.replace("none of", "\0").replace("none", "hidden").replace("\0", "none of")


def test_several_are_named():
    done = run("tsh", "resolve", "twin")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("ERROR: multiple matching hosts found\n")
    assert "CLIENT-SEVERAL-MATCHES" in done.err
    assert all(uuid in done.err for uuid in UUIDS[1:3])


def test_what_names_no_host():
    assert run("tsh", "resolve", "a b").status == 1
