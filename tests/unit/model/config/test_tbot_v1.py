"""tbot.yaml of version v1: each `tests/golden/tbot/*.v1.yaml` means its `*.v2.yaml`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from teleport.base.errors import TeleportError
from teleport.model.config.tbot_yaml import dump, read

GOLDEN = Path(__file__).parents[3] / "golden" / "tbot"
CASES = sorted(path.name.removesuffix(".v1.yaml") for path in GOLDEN.glob("*.v1.yaml"))


@pytest.mark.parametrize("case", CASES)
def test_what_a_file_means(case: str) -> None:
    """`UPDATE_GOLDEN=1 pytest ...` writes the results anew."""
    found = read((GOLDEN / f"{case}.v1.yaml").read_text(), case)
    result = GOLDEN / f"{case}.v2.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        result.write_text(dump(found.config))
    assert result.read_text() == dump(found.config)
    assert read(result.read_text(), case).config == found.config
    assert (found.version, found.warnings[0].code) == ("v1", "TBOT-DEPRECATED")


def test_there_are_cases() -> None:
    assert len(CASES) >= 5


def failure(text: str) -> TeleportError:
    with pytest.raises(TeleportError) as caught:
        read(f"auth_server: a:3025\ndestinations:\n{text}", "t.yaml")
    return caught.value


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("- {directory: /a, app: x, database: {service: y}}", "TBOT-V1-SEVERAL",
         "t.yaml:3:3: multiple potential output types detected, cannot determine correct type"),
        ("- {directory: /a, kubernetes_cluster: x, configs: [ssh_host_cert]}", "TBOT-V1-SEVERAL", "multiple"),
        ("- {directory: /a, app: x, cluster: leaf}", "TBOT-V1-CLUSTER", "type application"),
        ("- {roles: [a]}", "TBOT-V1-DESTINATION", "t.yaml:3:3: a destination needs either"),
        ("- {directory: /a, memory: {}}", "TBOT-V1-DESTINATION", "t.yaml:3:3: a destination needs either"),
        ("- {directory: /a, database: {service: x}, configs: [mongo, tls]}", "TBOT-V1-FORMATS", "mongo, tls"),
        ("- {directory: /a, configs: [nonsense]}", "TBOT-V1-TEMPLATE", "unknown template 'nonsense'"),
        ("- {directory: /a, configs: [{mongo: {}, tls: {}}]}", "TBOT-V1-TEMPLATE", "a map of 2 keys"),
        ("- {directory: /a, configs: [{mongo: 5}]}", "TBOT-V1-TEMPLATE", "unknown template 'mongo'"),
        ("- {directory: /a, configs: [{mongo: {prefix: x}}]}", "TBOT-V1-SETTING", "mongo.prefix has no"),
        ("- {directory: /a, configs: [{ssh_host_cert: {}}]}", "TBOT-EMPTY", "t.yaml:3:3: principals is empty"),
        ("- {directory: /a, configs: [mongo]}\n- {directory: /a}", "TBOT-IDENTICAL", "t.yaml:4:4: Identical"),
        ("- {directory: /a, nonsense: 1}", "TBOT-PROBLEMS", "t.yaml:3:19: destinations[0].nonsense: unknown key"),
        ("- {directory: {path: /a, nonsense: 1}}", "TBOT-PROBLEMS", "t.yaml:3:4: destinations[0].directory"),
        ("- x", "TBOT-PROBLEMS", "t.yaml:3:3: destinations[0]"),
        ("- {directory: /a}\nproxy_server: p", "TBOT-OUTPUTS", "t.yaml:4:1: the file has been detected as"),
        ("- {directory: /a}\nonboarding: {tokn: 1}", "TBOT-PROBLEMS", "t.yaml:4:14: onboarding.tokn: unknown"),
        ("- {directory: /a}\nonboarding: {join_method: x}", "TBOT-JOIN-METHOD", "t.yaml:4:14: unrecognized join"),
        ("- {directory: /a}\ncertificate_ttl: 0", "TBOT-EMPTY", "t.yaml:4:1: credential_ttl is not longer"),
        ("- {directory: /a}\nfips: yes", "CONFIG-NOT-SUPPORTED", "t.yaml:4:1: fips is not supported yet"),
    ],
)  # fmt: skip
def test_what_cannot_be_moved(text: str, code: str, said: str) -> None:
    error = failure(text)
    assert (error.code, said in str(error)) == (code, True), str(error)


def test_several_problems_are_told_at_once() -> None:
    error = failure("- {directory: /a, app: x, cluster: leaf}\n- {roles: [a]}")
    assert (error.code, len(str(error).splitlines())) == ("TBOT-PROBLEMS", 2)
