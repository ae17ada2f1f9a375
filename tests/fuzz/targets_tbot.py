"""What people write for bots: tbot.yaml in both versions, and destinations on command lines."""

from __future__ import annotations

import json
from pathlib import Path

import yaml as pyyaml

from teleport.base.errors import BadParameter, NotSupported
from teleport.model.config import tbot_destinations, tbot_forms, tbot_yaml
from tests.fuzz.engine import Target, plain, register, text
from tests.fuzz.targets_text import YAML
from tests.unit.model.config.test_tbot_yaml import FULL

_GOLDEN = Path(__file__).parents[1] / "golden" / "tbot"


def _files() -> list[bytes]:
    found = [FULL.encode(), b"", *(path.read_bytes() for path in sorted(_GOLDEN.glob("*.yaml")))]
    return [*found, json.dumps(pyyaml.safe_load(FULL)).encode()]


def _tbot_yaml(data: bytes) -> object:
    found = tbot_yaml.read(text(data), "tbot.yaml")
    again = tbot_yaml.read(tbot_yaml.dump(found.config), "again")
    assert again.config == found.config, "what is written reads back"
    assert all(str(warning) for warning in found.warnings)
    kinds = tuple(entry.type for entry in found.config.services[:3])
    return found.version, kinds, tuple(warning.code for warning in found.warnings)


register(
    Target(
        "model.tbot",
        plain(_tbot_yaml),
        _files,
        (BadParameter, NotSupported),
        dictionary=(
            *YAML, b"version: v1", b"version: v2", b"services: ", b"outputs: ", b"destinations: ", b"directory: ",
            b"memory: ", b"configs: ", b"acls: off", b"ssh_host_cert: ", b"certificate_ttl: ", b"1h", b"0s", b"type: ",
            b"static_private_key_path: ", b"insecure: yes", b"{{.KubeName}}", b"spiffe-svid",
            *(name.encode() for name in (*tbot_forms.SERVICES, *tbot_forms.DESTINATIONS)),
        ),
        is_json=True,
        limit=16384,
    )
)  # fmt: skip


def _destination(data: bytes) -> object:
    found = tbot_destinations.from_uri(text(data))
    assert [*found.faults()] == []
    return type(found).__name__, found.place[:24]


register(
    Target(
        "model.destination",
        plain(_destination),
        lambda: [
            b"/opt/a",
            b"file:///a%20b",
            b"memory://",
            b"kubernetes-secret://ns/name",
            b"file://host/a",
            b"s3://x",
        ],
        (BadParameter,),
        dictionary=(b"file://", b"memory://", b"kubernetes-secret://", b"%00", b"%2f", b"..", b"/", b"://"),
        limit=512,
    )
)
