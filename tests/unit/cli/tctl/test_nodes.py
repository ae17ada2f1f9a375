"""tctl nodes ls: the table, selections, formats."""

import json

import pytest
import yaml

from tests.support import auth_cluster

UUIDS = ["00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"]


@pytest.fixture(scope="module", autouse=True)
def nodes(host):
    async def announce(cluster):
        for uuid, env in zip(UUIDS, ("dev", "prod"), strict=True):
            made = auth_cluster.node(uuid, f"node-{env}", env=env, note="a long label " * 20)
            await cluster.client(cluster.host("Node", uuid=uuid)).upsert(made)

    host.do(announce)
    yield
    for uuid in UUIDS:
        host.tctl("rm", f"node/{uuid}")


def test_table(host, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    lines = host.tctl("nodes", "ls").out.splitlines()
    assert lines[0].split() == ["Host", "UUID", "Public", "Address", "Labels", "Version"]
    assert [line.split()[0] for line in lines[2:]] == UUIDS
    assert all(len(line) <= 120 and "..." in line for line in lines[2:])
    assert "..." not in host.tctl("nodes", "ls", "-v").out


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("env=dev",), UUIDS[:1]),
        (("env=prod",), UUIDS[1:]),
        (("env=none",), []),
        (("--search=node-dev",), UUIDS[:1]),
        (("--search=node,prod",), UUIDS[1:]),
        (("-n", "default", "env=dev"), UUIDS[:1]),
        (("--query", 'labels["env"] == "prod"'), UUIDS[1:]),
    ],
)
@pytest.mark.parametrize("output_format", ["json", "yaml"])
def test_selection_for_programs(host, words, found, output_format):
    text = host.tctl("nodes", "ls", *words, "--format", output_format).out
    read = json.loads(text) if output_format == "json" else [d for d in yaml.safe_load_all(text) if d]
    assert [node["metadata"]["name"] for node in read] == found


def test_selection_that_is_none(host):
    assert "CFG-LABELS" in host.tctl("nodes", "ls", "env", status=1).err
