"""What a bot says that the cluster does not serve: locked out, expired, with a used token - and the way back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleport.base.clock import SystemClock
from tests.support.cluster import Cluster
from tests.support.processes import wait_for
from tests.support.tbot import Machine, identity_in, instances, make_bot, new_token

LOG = "  log: {severity: INFO, format: {output: text, extra_fields: [component, level, caller]}}\n"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster"), teleport=LOG).running() as running:
        running.role("access", logins=["alice"])
        yield running


def test_a_copied_storage_locks_the_bot_and_a_new_token_is_the_way_back(cluster: Cluster) -> None:
    """S1-01, S1-02, S1-03, S1-04, S1-07, S1-09 (a copied directory), S1-16, S1-17, S1-18, S1-22, S1-60, S1-62."""
    machine = Machine(cluster, "example", make_bot(cluster, "example", "access"), direct=True)
    machine.once()
    machine.once()
    (first,) = instances(cluster, "example")
    delegated = _bound(cluster, "example")
    delegated.once()
    copy = Machine(cluster, "copy", machine.settings["onboarding"]["token"], direct=True)
    shutil.copytree(machine.storage, copy.storage)
    machine.once()
    said = copy.once(status=1)
    assert "ERROR: renewable cert generation mismatch: stored=3, presented=2\n" in said.err
    assert "code: AUTH-BOT-GENERATION" in said.err

    auth = f"127.0.0.1:{cluster.settings['auth']}"
    tunnel = f'Get "https://{auth}/webapi/find": x509: certificate signed by unknown authority'
    question = 'Get "https://teleport.cluster.local/v2/configuration/name"'
    denied = "auth API: access denied [00]"
    said = machine.once(status=1)
    lines = said.err.splitlines()
    assert f"ERROR: failed direct dial to auth server: {denied}" in lines
    assert "  code: POL-LOCKED" in lines
    assert next(line for line in lines if line.startswith("  why:")).startswith(
        '  why:  lock targeting User:"bot-example"'
    )
    assert "  fix:  ask an administrator to lift the lock: tctl bots recover example (it removes lock/" in said.err
    assert len([line for line in lines if f"ERRO [TBOT]      Failed to resolve tunnel address {tunnel} " in line]) == 2
    assert '"\\t' not in said.err  # what followed from it is folded

    lines = machine.once("--debug", status=1).err.splitlines()
    place = lines.index(f"ERROR: failed direct dial to auth server: {denied}")
    quoted = tunnel.replace('"', '\\"')
    asked = question.replace('"', '\\"')
    assert lines[place + 1 : place + 3] == [
        f'"\\t{denied}, failed dial to auth server through reverse tunnel: {asked}: {quoted}"',
        f'"\\t{asked}: {quoted}"',
    ]

    message = (
        'lock targeting User:"bot-example" is in force: The bot user "bot-example" has been locked due to a '
        "certificate generation mismatch, possibly indicating a stolen certificate. "
    )
    logged = [line for line in cluster.log.splitlines() if line.startswith(f"[AUTH]      WARN {message}")]
    assert len(logged) >= 2
    assert denied in delegated.once(status=1).err  # the lock is on the user, whichever way an instance came

    machine.settings["onboarding"]["token"] = new_token(cluster, "example")
    assert "POL-LOCKED" in machine.once(status=1).err  # a token alone does not help
    cluster.tctl("rm", f"lock/{_lock(cluster)}")
    said = machine.once()
    assert "Bot identity loaded from store does not match configured token" in said.err
    new = instances(cluster, "example")
    assert [generation for id, generation in new.items() if id not in (first, *_of(delegated))] == [1]
    delegated.once()


def test_a_bot_that_was_removed_is_told_so(cluster: Cluster) -> None:
    """A bot that runs once, with the certificates that it has; S1-46."""
    machine = Machine(cluster, "gone", make_bot(cluster, "gone", "access"), direct=True)
    machine.once()
    cluster.tctl("bots", "rm", "gone")
    said = machine.once(status=1)
    assert "  code: AUTH-BOT-GONE\n" in said.err
    assert "with the new token: tctl bots add gone --roles=" in said.err
    machine.settings["onboarding"]["token"] = make_bot(cluster, "gone", "access")
    machine.once()


def test_an_expired_identity_says_so_and_a_new_token_is_taken(cluster: Cluster) -> None:
    """S1-16, S1-20, S1-21, S1-22, S1-23, S1-24, S1-25, S1-60."""
    machine = Machine(cluster, "test", make_bot(cluster, "test", "access", ttl="1s"), direct=True)
    machine.settings["services"] = []
    machine.once()
    _ended(machine.storage)
    said = machine.once("--debug", status=1)
    lines = said.err.splitlines()
    loaded, expired, ignored = (
        next(number for number, line in enumerate(lines) if text in line)
        for text in (
            "INFO [TBOT]      Successfully loaded bot identity, valid: after=",
            "ERRO [TBOT]      Identity has expired. The renewal is likely to fail. (expires: ",
            "WARN [TBOT]      Note: onboarding config ignored as identity was loaded from persistent storage",
        )
    )
    assert loaded < expired < ignored
    cause = 'Get "https://teleport.cluster.local/v2/configuration/name": remote error: tls: bad certificate'
    place = lines.index(f"ERROR: failed direct dial to auth server: {cause}")
    tunnel = [line for line in lines if "ERRO [TBOT]      Failed to resolve tunnel address Get " in line]
    assert len(tunnel) == 2
    assert '/webapi/find": x509: certificate signed by unknown authority' in tunnel[0]
    assert lines[place + 1].startswith(
        '"\\tGet \\"https://teleport.cluster.local/v2/configuration/name\\": remote error: '
    )
    assert ", failed dial to auth server through reverse tunnel: Get " in lines[place + 1]
    assert lines[place + 2].startswith(
        '"\\tGet \\"https://teleport.cluster.local/v2/configuration/name\\": Get \\"https'
    )
    assert ignored < place
    assert "  code: BOT-IDENT-EXPIRED" in lines
    assert "  fix:  make a new token: tctl bots instances add test" in said.err

    other = Machine(cluster, "late", machine.settings["onboarding"]["token"], direct=True)
    said = other.once(status=1)
    assert "token expired or not found" in said.err  # it was good for one join

    cluster.tctl("bots", "update", "test", "--set-max-session-ttl=1h")
    machine.settings["onboarding"]["token"] = new_token(cluster, "test")
    machine.once()
    assert identity_in(machine.storage).generation == 1


def test_who_proves_itself_anew_joins_again_after_its_end(cluster: Cluster) -> None:
    """S1-24: a method without a secret of one use."""
    cluster.tctl("bots", "add", "delegated", "--roles=access", "--max-session-ttl=1s")
    machine = _bound(cluster, "delegated")
    machine.once()
    _ended(machine.storage)
    assert "The bot's identity has expired, it joins again" in machine.once().err
    assert not identity_in(machine.storage).renewable


def _bound(cluster: Cluster, bot: str) -> Machine:
    """Return a machine of a bot that joins with a bound key."""
    token = f"bound-{bot}"
    spec = {
        "roles": ["Bot"], "bot_name": bot, "join_method": "bound_keypair",
        "bound_keypair": {"recovery": {"limit": 9}},
    }  # fmt: skip
    cluster.create({"kind": "token", "version": "v2", "metadata": {"name": token}, "spec": spec})
    shown = json.loads(cluster.tctl("get", f"token/{token}", "--with-secrets", "--format=json").out)
    secret = shown[0]["status"]["bound_keypair"]["registration_secret"]
    machine = Machine(cluster, token, token, direct=True, method="bound_keypair")
    machine.settings["onboarding"]["bound_keypair"] = {"registration_secret": secret}
    machine.settings["services"] = []
    return machine


def _of(machine: Machine) -> tuple[str]:
    return (identity_in(machine.storage).bot_instance_id,)


def _lock(cluster: Cluster) -> str:
    found = json.loads(cluster.tctl("get", "locks", "--format=json").out)
    return next(str(each["metadata"]["name"]) for each in found if each["spec"]["target"].get("user") == "bot-example")


def _ended(storage: Path) -> None:
    """Wait until the certificate in a storage has ended."""
    end = identity_in(storage).expires
    wait_for("the end of the certificate", lambda: SystemClock().now() > end)
