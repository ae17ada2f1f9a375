"""tctl status: the block of the reference, and the same for programs."""

import json
import re

import yaml

from teleport.version import VERSION


def test_block(host):
    assert re.fullmatch(
        "Cluster  example\\.com\n"
        f"Version  {re.escape(VERSION)}\n"
        "Host CA  never updated\n"
        "User CA  never updated\n"
        "CA pin   sha256:[0-9a-f]{64}\n",
        host.tctl("status").out,
    )


def test_for_programs(host):
    for output_format, read in (("json", json.loads), ("yaml", yaml.safe_load)):
        found = read(host.tctl("status", "--format", output_format).out)
        assert (found["cluster"], found["version"]) == ("example.com", VERSION)
        assert [(a["type"], a["state"]) for a in found["authorities"]] == [("host", "standby"), ("user", "standby")]
        assert len(found["ca_pins"]) == 1
