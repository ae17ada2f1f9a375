"""Every command that lists or shows something prints it as text, JSON and YAML: the tree of commands is walked."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator

import click
import pytest
import yaml

from teleport.cli import tbot
from teleport.cli.common import FORMATS
from teleport.model.kinds.instance import Instance, InstanceSpec
from teleport.model.resource import Metadata, load
from tests.support import auth_cluster
from tests.support.admin_host import AdminHost
from tests.unit.model.samples import SAMPLES
from tests.unit.model.samples import UUID as SAMPLE_ID

SHOWING = {
    "can", "doctor", "env", "explain", "get", "get-log-level", "head", "identify", "list", "ls", "net", "ping", "prune",
    "query", "readyz", "resolve", "search", "show", "status", "verify", "api-resources",
}  # fmt: skip
"""Last words of commands that show something."""
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
"""Ends of what is decided now differ from one command to the next."""
OWN_FORM = {
    "tctl auth export", "tsh config", "teleport debug metrics", "teleport debug profile", "teleport backup",
    "tbot db", "tbot install systemd", "tbot kube credentials", "tbot migrate", "tctl audit export",
    "teleport configure", "teleport install systemd",
    *(f"tbot {name}" for name in tbot.COMMANDS if name.partition(" ")[0] == "configure"),
}  # fmt: skip
"""Commands that print a file in a format of other programs."""
TALKING = {
    "add", "create", "del", "download", "edit", "init", "join", "lock", "login", "logout", "openssh", "play", "proxy",
    "puttyconfig", "recover", "reset", "restore", "rm", "rotate", "scp", "set-log-level", "sftp", "sign", "ssh",
    "ssh-multiplexer-proxy-command", "ssh-proxy-command", "start", "terminate", "update", "wait",
}  # fmt: skip
"""Last words of commands that do something and say that it is done."""


def tree() -> list[tuple[str, str]]:
    """Return every command of the programs, with what serves it."""
    return [
        (f"{program} {name}", target)
        for program in ("teleport", "tctl", "tsh", "tbot")
        for name, target in importlib.import_module(f"teleport.cli.{program}").COMMANDS.items()
    ]


def command(target: str) -> click.Command:
    module, _, attribute = target.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    assert isinstance(found, click.Command)
    return found


SHOWN = [(name, target) for name, target in tree() if name.split()[-1] in SHOWING]


def test_every_command_is_of_one_sort() -> None:
    # A new command has to say here what it is: then the next test knows whether it must have --format.
    for name, _ in tree():
        last = "start" if name.startswith("tbot start ") else name.split()[-1]  # what follows is a type of service
        assert (last in SHOWING) + (name in OWN_FORM) + (last in TALKING) == 1, name
    assert len(SHOWN) >= 15


@pytest.mark.parametrize(("name", "target"), SHOWN, ids=[name for name, _ in SHOWN])
def test_what_shows_something_takes_every_format(name: str, target: str) -> None:
    options = [p for p in command(target).params if "--format" in p.opts]
    assert len(options) == 1, f"{name} has no --format"
    assert isinstance(options[0].type, click.Choice)
    assert set(FORMATS) <= set(options[0].type.choices)
    assert options[0].name == "output_format"


BOT_INSTANCE = "22222222-2222-4333-8444-555555555555"
ARGUMENTS = {
    "access can": ("format-user", "root@format-node"),
    "access explain": None,
    "api-resources": (),
    "apps ls": (),
    "audit head": (),
    "audit ls": (),
    "audit prune": ("--before=2020-01-01", "--dry-run"),
    "audit query": ("SELECT * FROM events LIMIT 3",),
    "audit search": ("--type=role.created",),
    "audit verify": (),
    "bots instances list": (),
    "bots instances ls": (),
    "bots instances show": (f"example/{BOT_INSTANCE}",),
    "bots ls": (),
    "db ls": (),
    "get": ("roles",),
    "inventory ls": (),
    "inventory ping": None,
    "inventory status": (),
    "kube ls": (),
    "nodes ls": (),
    "recordings encryption status": (),
    "recordings ls": None,
    "sessions ls": (),
    "status": (),
    "tokens ls": (),
    "users ls": (),
}
"""Arguments with which each command of `tctl` shows something on the host below; None where a test of its own does."""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminHost]:
    async def fill(cluster: auth_cluster.Cluster) -> None:
        uuid = "00000000-0000-4000-8000-00000000000f"
        node = cluster.client(cluster.host("Node", uuid=uuid))
        await node.upsert(auth_cluster.node(uuid, "format-node"))
        await node.upsert(auth_cluster.document_of("session_tracker", "session-1", {"server_id": uuid}))
        agent = cluster.client(cluster.host("Instance", "App", "Db", "Kube", uuid=SAMPLE_ID))
        for kind in ("app_server", "db_server", "kube_server"):
            await agent.upsert(load(SAMPLES[kind]).with_metadata(expires=None))
        spec = InstanceSpec(hostname="format-node", version="1.2.3", services=("Node",))
        await cluster.service.store.upsert(Instance(version="v1", metadata=Metadata(name=uuid), spec=spec))
        await cluster.admin.create(auth_cluster.user("format-user", "access", logins=("root",)))
        await cluster.admin.create(auth_cluster.document_of("token", "format-token-1", {"roles": ["Node"]}))
        await cluster.admin.create(auth_cluster.document_of("bot", "example", {"roles": ["access"]}))
        life = auth_cluster.document_of("bot_instance", BOT_INSTANCE, {"bot_name": "example"})
        await cluster.service.store.upsert(life)

    with AdminHost(tmp_path_factory.mktemp("formats")) as running:
        running.do(fill)
        yield running


@pytest.mark.parametrize("name", sorted(name.removeprefix("tctl ") for name, _ in SHOWN if name.startswith("tctl ")))
def test_what_tctl_shows_can_be_read_by_programs(host: AdminHost, name: str) -> None:
    arguments = ARGUMENTS[name]
    if arguments is None:
        return
    text, as_json, as_yaml = (
        MOMENT.sub("a moment", host.tctl(*name.split(), *arguments, "--format", output_format).out)
        for output_format in FORMATS
    )
    assert text.strip()
    found = json.loads(as_json)
    documents = list(yaml.safe_load_all(as_yaml))
    assert found
    assert documents == (found if isinstance(found, list) else [found])
