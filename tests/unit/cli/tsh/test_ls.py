"""tsh ls: the table, formats and selections. The client's connection is replaced by one to a real Auth Service in
memory; everything behind it is real. Over TLS it is walked in tests/integration."""

import asyncio
import json

import pytest
import yaml

from teleport.base.clock import SystemClock
from teleport.cli.tsh import ls
from tests.support import auth_cluster
from tests.support.admin_host import run

UUIDS = ["00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"]


@pytest.fixture(autouse=True)
def cluster(monkeypatch):
    """A cluster with two nodes, of which alice may see the one with env=dev."""

    def call(_who, work):
        async def story():
            async with auth_cluster.running(clock=SystemClock()) as made:
                await made.admin.create(auth_cluster.role("dev", logins=["root"], node_labels={"env": "dev"}))
                for uuid, name, env in zip(UUIDS, ("node-b", "node-a"), ("dev", "dev"), strict=True):
                    await announce(made, uuid, name, env=env, note="long " * 40)
                await announce(made, "00000000-0000-4000-8000-00000000000c", "hidden", env="prod")
                return await work(made.client(made.user("alice", "dev")))

        return asyncio.run(story())

    async def announce(made, uuid, name, **labels):
        await made.client(made.host("Node", uuid=uuid)).upsert(auth_cluster.node(uuid, name, **labels))

    monkeypatch.setattr(ls, "call", call)


def test_table_in_order_of_name(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = run("tsh", "ls").out.splitlines()
    assert lines[0].split() == ["Node", "Name", "Address", "Labels"]
    assert [line.split()[:2] for line in lines[2:]] == [["node-a", "127.0.0.1:3022"], ["node-b", "127.0.0.1:3022"]]
    assert all(len(line) <= 60 and line.endswith("...") for line in lines[2:])


def test_verbose_has_ids_and_whole_labels():
    lines = run("tsh", "ls", "-v").out.splitlines()
    assert lines[0].split()[:4] == ["Node", "Name", "Node", "ID"]
    assert [line.split()[1] for line in lines[2:]] == [UUIDS[1], UUIDS[0]]
    assert "..." not in lines[2]


@pytest.mark.parametrize("output_format", ["json", "yaml"])
@pytest.mark.parametrize(
    ("words", "found"),
    [((), ["node-a", "node-b"]), (("env=dev",), ["node-a", "node-b"]), (("env=prod",), []),
     (("--search=node-a,long",), ["node-a"]), (("--query", 'name == "' + UUIDS[0] + '"'), ["node-b"])],
)  # fmt: skip
def test_for_programs(words, found, output_format):
    text = run("tsh", "ls", *words, "--format", output_format).out
    read = json.loads(text) if output_format == "json" else [d for d in yaml.safe_load_all(text) if d]
    assert [node["spec"]["hostname"] for node in read] == found


@pytest.mark.parametrize(("words", "code"), [(("env",), "CFG-LABELS"), (("--query=)(",), "POL-PREDICATE")])
def test_selection_that_is_none(words, code):
    assert code in run("tsh", "ls", *words).err
