"""A cluster of real processes: `teleport start` and the commands beside it, in one folder, on loopback.

    with Cluster(tmp_path).running() as cluster:
        cluster.role("developer", logins=[OWN], labels={"env": ["dev"]})
        alice = cluster.sign_up("alice", roles=["developer"], logins=[OWN])
        assert alice.ssh("echo here").out == "here\n"

Everything is waited for by its condition; every process is ended by its pid, and the end is checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import pwd
import random
import re
import shutil
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from teleport.api.client import AuthClient, over_unix
from teleport.api.event_outbox import OWNER as EVENTS
from teleport.api.messages import EventQuery
from teleport.base.append import SystemFolder
from teleport.base.clock import SystemClock
from teleport.base.errors import NotFound
from teleport.model import resource
from teleport.store.brief_files import OWNER as GROWTHS
from teleport.store.journal import Journal
from tests.support.authenticator import Authenticator
from tests.support.browser import Browser
from tests.support.ports import free_ports
from tests.support.processes import wait_for
from tests.support.server_process import BIN, ServerProcess

T = TypeVar("T")

OWN = pwd.getpwuid(os.geteuid()).pw_name
"""The login that a server of this user may always start commands as."""
NAME = "teleport.example.com"
NODE = "node-1"
PASSWORD = "correct horse battery staple"
_LIMIT = 60.0
"""Seconds that any command may take."""

CONFIG = """\
version: {version}
teleport:
  nodename: {node}
  data_dir: {data}
{teleport}auth_service:
  enabled: yes
  cluster_name: {name}
  listen_addr: 127.0.0.1:{auth}
{auth_more}proxy_service:
  enabled: yes
  web_listen_addr: {web}
  public_addr: {public}
{proxy}ssh_service:
  enabled: yes
  listen_addr: 127.0.0.1:{ssh}
  labels: {{env: dev}}
"""

DIRECT = """\
Host {node}.{name}
    HostName 127.0.0.1
    Port {ssh}
    HostKeyAlias {node}.{name}
    ProxyCommand none

"""
"""For `ssh`: the node is reached directly, with keys and known hosts as `tsh config` says."""


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


class Cluster(ServerProcess):
    """One data directory, its server while that runs, and its users."""

    def __init__(
        self, folder: Path, *, login: str = OWN, wrapper: Sequence[str] = (), web: str = "", teleport: str = "",
        auth_service: str = "", proxy_service: str = "", version: str = "v3",
    ) -> None:  # fmt: skip
        """`wrapper` is put in front of every command, to run as another user. `web` is the address of the
        proxy, if a port must be a certain one; `teleport`, `auth_service` and `proxy_service` are more lines for
        these sections of the file."""
        self.folder = folder
        self.data = folder / "data"
        self.config = folder / "teleport.yaml"
        self.login = login
        self.wrapper = tuple(wrapper)
        auth, port, ssh = free_ports(3)
        self.public = web or f"localhost:{port}"
        self.settings = {
            "node": NODE, "data": self.data, "name": NAME, "auth": auth, "ssh": ssh, "teleport": teleport,
            "auth_more": auth_service, "proxy": proxy_service, "version": version,
            "web": web or f"127.0.0.1:{port}", "public": self.public,
        }  # fmt: skip
        self.phones: dict[str, Authenticator] = {}
        """The authenticator apps of everybody who has signed up, by user."""
        ServerProcess.__init__(self)
        self.write_configs()

    # -- the server ---------------------------------------------------------------------------------------

    def write_configs(self) -> None:
        """Write the server's configuration from `settings`, and one for machines without an auth service."""
        self.config.write_text(CONFIG.format(**self.settings))
        elsewhere = self.folder / "elsewhere.yaml"
        elsewhere.write_text(f"version: v3\nteleport:\n  data_dir: {self.folder}/none\nauth_service:\n  enabled: no\n")

    def environment(self, home: str = "nobody", **more: str) -> dict[str, str]:
        """Return the environment of a command; `home` is whose profile `tsh` uses."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TELEPORT", "SSH_"))}
        return {
            **kept, "PATH": f"{BIN}:{os.environ['PATH']}", "NO_COLOR": "1", "HOME": str(self.folder),
            "TELEPORT_HOME": str(self.folder / f"home-{home}"), "TELEPORT_CONFIG_FILE": str(self.config),
            "SSL_CERT_FILE": str(self.data / "webproxy_cert.pem"), "NO_PROXY": "*",
            "TELEPORT_NO_HOLDER": "1", **more,
        }  # fmt: skip

    # -- commands -----------------------------------------------------------------------------------------

    def run(self, *argv: str, stdin: str = "", status: int | None = 0, env: Mapping[str, str] | None = None) -> Done:
        """Run a command as a user would. Fails unless it ends with `status`; None allows any."""
        done = subprocess.run(
            [*self.wrapper, *argv], input=stdin, env=dict(env or self.environment()), capture_output=True, text=True,
            timeout=_LIMIT, cwd=self.folder,
        )  # fmt: skip
        said = f"{' '.join(argv)} -> {done.returncode}\n{done.stdout}{done.stderr}"
        assert status is None or done.returncode == status, said
        return Done(done.returncode, done.stdout, done.stderr)

    def tctl(self, *arguments: str, stdin: str = "", status: int | None = 0, **env: str) -> Done:
        """Run `tctl` on the auth host."""
        return self.run(str(BIN / "tctl"), *arguments, stdin=stdin, status=status, env=self.environment(**env))

    def teleport(self, *arguments: str, status: int | None = 0) -> Done:
        """Run `teleport`."""
        return self.run(str(BIN / "teleport"), *arguments, status=status)

    def role(self, name: str, *, logins: Sequence[str] = (), env: Sequence[str] = ("dev",), **allow: Any) -> None:
        """Write a role, whether or not it exists."""
        spec = {"allow": {"logins": list(logins), "node_labels": {"env": list(env)}, **allow}}
        self.create({"kind": "role", "version": "v7", "metadata": {"name": name}, "spec": spec})

    def create(self, document: Mapping[str, Any]) -> None:
        """Write a resource, whether or not it exists."""
        self.ask(lambda client: client.upsert(resource.load(dict(document))))

    def read(self, kind: str, name: str) -> dict[str, Any]:
        """Return a resource."""
        return resource.dump(self.ask(lambda client: client.get(kind, name)))

    def events(self, words: str = "", **fields: object) -> list[dict[str, Any]]:
        """Return audit events that contain the words and have the fields, of all that has been acknowledged so far."""
        waiting = self.data / "log" / "spool" / "events"
        wait_for("the services' events to be sent", lambda: _all_sent(waiting), seconds=60)
        since = SystemClock().now() - dt.timedelta(days=1)
        query = EventQuery(since=since, text=words, limit=5000)
        found = self.ask(lambda client: client.search_events(query)).events
        return [event for event in found if fields.items() <= event.items()]

    def event(self, words: str = "", **fields: object) -> dict[str, Any]:
        """Return the one audit event that contains the words and has the fields, as soon as there is one: what a
        service tells a user, or does, may be seen before it has written of it."""
        (found,) = self.some(words, **fields)
        return found

    def some(self, words: str = "", /, least: int = 1, **fields: object) -> list[dict[str, Any]]:
        """Return the audit events that contain the words and have the fields, as soon as there are so many."""
        return wait_for(
            f"{least} events {words} {fields}",
            lambda: found if len(found := self.events(words, **fields)) >= least else None,
        )

    def ask(self, work: Callable[[AuthClient], Awaitable[T]]) -> T:
        """Ask the auth service as its administrator, where the command is not what a test is about."""

        async def run() -> T:
            async with AuthClient(over_unix(str(self.data / "admin.sock"))) as client:
                return await work(client)

        return asyncio.run(run())

    def browser(self) -> Browser:
        """Return a new person's browser."""
        return Browser(self.data / "webproxy_cert.pem", self.phones)

    def invite(self, name: str, roles: Sequence[str], logins: Sequence[str] = ()) -> str:
        """Make a user and return the link to set a password."""
        spec = {"roles": list(roles), "traits": {"logins": list(logins)} if logins else {}}
        self.create({"kind": "user", "version": "v2", "metadata": {"name": name}, "spec": spec})
        return f"https://{self.public}{self.ask(lambda client: client.create_invite(name)).path}"

    def sign_up(
        self, name: str, roles: Sequence[str], logins: Sequence[str] = (), password: str = PASSWORD
    ) -> User:  # fmt: skip
        """Make a user who has set a password, enrolled an authenticator app and is signed in."""
        page = self.browser().set_password(self.invite(name, roles, logins), password)
        assert page.status == 200, page.text
        user = User(self, name, password)
        user.sign_in()
        return user


class User:
    """A person at a workstation, with a `tsh` profile of their own."""

    def __init__(self, cluster: Cluster, name: str, password: str = PASSWORD) -> None:
        self.cluster = cluster
        self.name = name
        self.password = password
        self._config = cluster.folder / f"ssh-config-{name}"

    def tsh(self, *arguments: str, stdin: str = "", status: int | None = 0) -> Done:
        """Run `tsh`."""
        env = self.cluster.environment(self.name)
        return self.cluster.run(str(BIN / "tsh"), *arguments, stdin=stdin, status=status, env=env)

    def tctl(self, *arguments: str, stdin: str = "", status: int | None = 0) -> Done:
        """Run `tctl` on this workstation, where no auth service is: through the profile."""
        env = self.cluster.environment(self.name, TELEPORT_CONFIG_FILE=str(self.cluster.folder / "elsewhere.yaml"))
        return self.cluster.run(str(BIN / "tctl"), *arguments, stdin=stdin, status=status, env=env)

    def code(self) -> str:
        """Return what the person's authenticator app shows; for one who has none, what somebody might try."""
        phone = self.cluster.phones.get(self.name)
        return phone.code() if phone else "000000"

    def sign_in(self, *, status: int = 0, code: str = "") -> Done:
        """Sign in anew, and write the configuration of `ssh` once. `code` is typed instead of what the app shows."""
        shutil.rmtree(self.cluster.folder / f"home-{self.name}", ignore_errors=True)
        options = (f"--proxy={self.cluster.public}", f"--user={self.name}")
        done = self.tsh("login", *options, stdin=f"{self.password}\n{code or self.code()}\n", status=status)
        if status == 0 and not self._config.exists():
            self._config.write_text(DIRECT.format(**self.cluster.settings) + self.tsh("config").out)
        return done

    def ssh_argv(self, command: str, *, login: str = "", options: Sequence[str] = ()) -> list[str]:
        """Return the command line of stock OpenSSH."""
        target = f"{login or self.cluster.login}@{NODE}.{NAME}"
        return [*self.cluster.wrapper, "ssh", "-F", str(self._config), *options, target, command]

    def ssh(
        self, command: str, *, login: str = "", options: Sequence[str] = (), status: int | None = 0, stdin: str = ""
    ) -> Done:  # fmt: skip
        """Run a command on the node with stock OpenSSH."""
        argv = self.ssh_argv(command, login=login, options=options)[len(self.cluster.wrapper) :]
        return self.cluster.run(*argv, stdin=stdin, status=status, env=self.cluster.environment(self.name))

    @contextlib.contextmanager
    def session(self, command: str = "echo open; exec cat", **options: Any) -> Iterator[subprocess.Popen[bytes]]:
        """Keep a command running on the node for the time of a block; it has said `open` by then."""
        argv = self.ssh_argv(command, **options)
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=self.cluster.environment(self.name)) as client:  # fmt: skip
            try:
                assert client.stdout is not None
                assert client.stdout.readline() == b"open\n"
                yield client
                assert client.stdin is not None
                client.stdin.close()  # the command ends with its input
                with contextlib.suppress(subprocess.TimeoutExpired):
                    client.wait(2)
            finally:
                client.kill()


def decision_in(text: str) -> str:
    """Return the id of a decision that stands in a text."""
    found = re.search(r"\b[0-9a-hjkmnp-tv-z]{26}\b", text)
    assert found is not None, f"no id in: {text}"
    return found[0]


def link_in(text: str) -> str:
    """Return the link that stands in a text."""
    found = re.search(r"https://\S+", text)
    assert found is not None, f"no link in: {text}"
    return found[0]


def loopback_with(port: int) -> str:
    """Return `host:port` for an address of 127/8 whose port nobody uses, for ports that must be a certain one."""
    while True:
        host = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((host, port))
            return f"{host}:{port}"


def _all_sent(spools: Path) -> bool:
    """Say whether no journal of a service holds an event; the segment that is made for the next one may stand there."""
    try:
        owners = (EVENTS, GROWTHS)
        return all(Journal(SystemFolder(str(spool)), owners=owners).empty(EVENTS) for spool in spools.glob("*"))
    except NotFound:
        return False  # one was sent while it was looked at
