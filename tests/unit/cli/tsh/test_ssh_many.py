"""What is told of a command on many nodes."""

import json

import pytest

from teleport.base.errors import NotFound, Unavailable
from teleport.cli.tsh import ssh_many
from teleport.cli.tsh.ssh_many import Output
from teleport.client import ssh_targets
from teleport.client.credentials import Credentials
from teleport.model import resource
from tests.support import signed_in

NODES = [
    resource.load({
        "kind": "node", "version": "v2", "metadata": {"name": f"5cee949f-5203-4f3b-9805-dac35d79000{number}"},
        "spec": {"hostname": name, "addr": "10.0.0.1:3022"},
    })
    for number, name in enumerate(("web", "db"))
]  # fmt: skip


def run(id, ends):
    if id.endswith("1"):
        raise Unavailable("CLIENT-SSH", host="db", problem="gone")
    return 3


def test_a_summary(capfd):
    assert ssh_many.run(NODES, run, Output()) == 1
    lines = capfd.readouterr().err.splitlines()
    assert lines[1].split() == ["Node", "Exit", "Status", "Seconds", "Problem"]
    assert lines[3].split()[:2] == ["web", "3"]
    assert lines[4].split()[:2] == ["db", "-"]
    assert "the connection to db failed: gone (CLIENT-SSH)" in lines[4]
    assert lines[5] == "0 of 2 succeeded."


def test_documents(capfd, tmp_path):
    assert ssh_many.run(NODES[:1], lambda id, ends: 0, Output("json", str(tmp_path))) == 0
    captured = capfd.readouterr()
    assert captured.err == ""
    (found,) = json.loads(captured.out)
    assert (found["name"], found["exit_status"], found["error"], found["truncated"]) == ("web", 0, None, False)
    assert len(list(tmp_path.iterdir())) == 2
    ssh_many.run(NODES, run, Output("json"))
    assert json.loads(capfd.readouterr().out)[1]["error"]["code"] == "CLIENT-SSH"


@pytest.mark.parametrize(("output", "asked"), [(Output(), False), (Output("json"), True), (Output(folder="x"), True)])
def test_when_one_node_is_treated_as_many(output, asked):
    assert output.asked_for is asked


def test_another_cluster_is_not_known():
    chosen = Credentials(None, signed_in.profile())
    with pytest.raises(NotFound) as caught:
        ssh_many.find(chosen, ssh_targets.parse("a@env=prod"), "leaf")
    assert caught.value.code == "PROXY-CLUSTER"
