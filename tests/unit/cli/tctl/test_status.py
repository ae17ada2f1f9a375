"""tctl status: the block of the reference, and the same for programs."""

import json
import re

import yaml

from teleport.api.messages import AuthorityStatus, ClusterStatus
from teleport.version import VERSION


def test_block(host):
    assert re.fullmatch(
        "Cluster  example\\.com\n"
        f"Version  {re.escape(VERSION)}\n"
        "Host CA  never updated\n"
        "User CA  never updated\n"
        "Jwt CA   never updated\n"
        "CA pin   sha256:[0-9a-f]{64}\n",
        host.tctl("status").out,
    )


def test_one_line_for_each_authority(host, monkeypatch):
    """S0-28: one line for each authority, whatever its type, with the state of its rotation; every pin of two."""
    states = [AuthorityStatus(kind, "standby", "standby", "") for kind in ("host", "user", "jwt")]
    states.append(AuthorityStatus("db_client", "standby", "standby", "2025-04-04T10:14:51+00:00"))
    found = ClusterStatus("mytenant.teleport.sh", "16.1.7", ("sha256:a", "sha256:b"), tuple(states))

    async def status(_):
        return found

    monkeypatch.setattr("teleport.api.client.AuthClient.status", status)
    assert host.tctl("status").out == (
        "Cluster       mytenant.teleport.sh\n"
        "Version       16.1.7\n"
        "Host CA       never updated\n"
        "User CA       never updated\n"
        "Jwt CA        never updated\n"
        "Db_client CA  rotated 2025-04-04T10:14:51+00:00\n"
        "CA pin        sha256:a\n"
        "CA pin        sha256:b\n"
    )


def test_for_programs(host):
    for output_format, read in (("json", json.loads), ("yaml", yaml.safe_load)):
        found = read(host.tctl("status", "--format", output_format).out)
        assert (found["cluster"], found["version"]) == ("example.com", VERSION)
        assert [(a["type"], a["state"]) for a in found["authorities"]] == [
            (kind, "standby") for kind in ("host", "user", "jwt")
        ]
        assert len(found["ca_pins"]) == 1
