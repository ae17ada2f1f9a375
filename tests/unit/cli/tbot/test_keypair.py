"""tbot keypair create: what is printed, what is kept, and that a bot joins with it."""

from __future__ import annotations

import base64
import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from teleport.base.disk import SystemDisk
from teleport.base.entropy import SystemEntropy
from teleport.client.joining.bound_keypair import FILE, BoundKeypairMethod
from tests.support.admin_host import AdminHost, run
from tests.support.auth_cluster import role
from tests.support.bots import identity_of
from tests.support.joiner import STRANGER, join

PROXY = "--proxy-server=proxy.example.com:443"


def create(*words: str) -> Any:
    done = run("tbot", "keypair", "create", PROXY, *words)
    assert done.status == 0, done
    return done


def accepted(host: AdminHost, name: str, text: str) -> None:
    """Make a bot, and the token that the command has printed."""
    host.do(lambda cluster: cluster.admin.upsert(role("foo")))
    host.do(lambda cluster: cluster.admin.upsert(role("bar")))
    document = text[text.index("  kind: token") : text.index("\nThen start")]
    host.tctl("create", stdin=f"kind: bot\nversion: v1\nmetadata: {{name: {name}}}\nspec: {{roles: [foo]}}\n")
    host.tctl("create", stdin=document.replace("NAME", f"of-{name}").replace("BOT", name))


def joined(host: AdminHost, name: str, method: BoundKeypairMethod) -> Any:
    made = host.do(lambda cluster: join(cluster, method, STRANGER, token=f"of-{name}", system_role="Bot"))
    return identity_of(made.certificates)


def test_a_key_in_the_storage_is_kept_and_printed_again(tmp_path: Path) -> None:
    storage = tmp_path / "bot"
    first = json.loads(create(f"--storage={storage}", "--format=json").out)
    assert list(first) == ["public_key"]
    assert first["public_key"].startswith("ssh-ed25519 ")
    assert stat.S_IMODE((storage / FILE).stat().st_mode) == 0o600
    again = create(f"--storage=file://{storage}", "--format=json")
    assert (json.loads(again.out), "there already" in again.err) == (first, True)
    other = json.loads(create(f"--storage={storage}", "--overwrite", "--format=json").out)
    assert other != first
    assert create(f"--storage={storage}").out.startswith(f"Public key:\n\n  {other['public_key']}\n")


def test_a_bot_joins_with_it(host: AdminHost, tmp_path: Path) -> None:
    out = create(f"--storage={tmp_path / 'bot'}").out
    accepted(host, "keyed", out)
    assert f"--join-method=bound_keypair {PROXY} --storage={tmp_path / 'bot'}" in out
    method = BoundKeypairMethod(SystemDisk(), str(tmp_path / "bot"), SystemEntropy())
    assert joined(host, "keyed", method).bot_name == "keyed"


def test_a_static_key_is_in_a_file_or_in_a_variable(host: AdminHost, tmp_path: Path) -> None:
    told = json.loads(create("--static", "--format=json").out)
    assert list(told) == ["public_key", "private_key"]
    path = tmp_path / "key.pem"
    done = create(f"--static-key-path={path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert base64.b64encode(path.read_bytes()).decode() not in done.out
    again = create("--static", f"--static-key-path={path}")
    assert (again.out, "there already" in again.err) == (done.out, True)
    assert create("--static", f"--static-key-path={path}", "--overwrite").out != done.out
    text = create("--static").out
    secret = re.search(r"STATIC_KEY:\n\n  (\S+)\n", text)
    assert secret
    assert "mode: insecure" in text
    accepted(host, "static", text)
    for number in range(2):  # nothing that is kept is needed the second time
        folder = tmp_path / f"bot-{number}"
        method = BoundKeypairMethod(SystemDisk(), str(folder), SystemEntropy(), static_key=secret[1])
        assert joined(host, "static", method).bot_name == "static"


@pytest.mark.parametrize("storage", ["memory://", "kubernetes-secret://x", "file://host/x"])
def test_what_keeps_no_key(storage: str) -> None:
    done = run("tbot", "keypair", "create", PROXY, f"--storage={storage}")
    assert (done.status, "BOT-KEYPAIR-STORAGE" in done.err) == (1, True)


def test_the_proxy_must_be_said() -> None:
    assert run("tbot", "keypair", "create").status == 2
