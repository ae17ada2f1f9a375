"""More nodes for a cluster of one process: OpenSSH's server with a host certificate of the cluster, on loopback.

    with sshd_node.running(cluster, "web-1", env="prod") as node:
        user.tsh("ssh", f"{OWN}@web-1", "uptime")

It trusts the cluster's users, and the cluster has a record of it. Nothing of it is recorded or decided by our node.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from teleport.api.client import AuthClient, over_stream
from teleport.api.messages import HostRequest
from teleport.base.entropy import SystemEntropy, new_uuid
from teleport.client.cluster import auth_protocol
from teleport.model import resource
from teleport.net import tls
from teleport.net.network import SystemNetwork
from teleport.net.stream import Stream
from teleport.pki import contexts, keys, x509
from tests.support.cluster import NAME, Cluster
from tests.support.ports import free_ports
from tests.support.processes import wait_for
from tests.support.programs import need

CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey {key}
HostCertificate {key}-cert.pub
TrustedUserCAKeys {folder}/users
AuthorizedKeysFile none
AuthorizedPrincipalsFile none
PidFile none
UsePAM no
StrictModes no
PrintMotd no
PrintLastLog no
SetEnv NODE_NAME={name}
Subsystem sftp internal-sftp
"""


class SshdNode(NamedTuple):
    """A running server."""

    name: str
    id: str
    port: int


@contextlib.contextmanager
def running(cluster: Cluster, name: str, *, public: str = "", up: bool = True, **labels: str) -> Iterator[SshdNode]:
    """Run a server under a record in the cluster; with `up` false there is the record alone."""
    program = need("sshd")
    number = len(list(cluster.folder.glob("sshd-*")))
    folder = cluster.folder / f"sshd-{number}"
    folder.mkdir()
    (port,) = free_ports(1)
    id = _issue(cluster, folder / "host", name)
    authority = cluster.tctl("auth", "export", "--type=user").out
    (folder / "users").write_text(re.sub(r"(?m)^cert-authority (\S+ \S+).*", r"\1", authority))
    config = folder / "sshd_config"
    config.write_text(CONFIG.format(port=port, key=folder / "host", folder=folder, name=name))
    record = {
        "kind": "node", "version": "v2", "metadata": {"name": id, "labels": labels},
        "spec": {"hostname": name, "addr": f"127.0.0.1:{port}", **({"public_addrs": [public]} if public else {})},
    }  # fmt: skip
    asyncio.run(_announce(cluster, folder / "host", record))
    node = SshdNode(name, id, port)
    if not up:
        yield node
        return
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd run by root wants to see it
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen([program, "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL, stderr=log)
    try:
        wait_for("sshd", lambda: b"listening" in (folder / "log").read_bytes() or server.poll() is not None)
        assert server.poll() is None, (folder / "log").read_text()
        yield node
    finally:
        server.terminate()
        server.wait(30)


def _issue(cluster: Cluster, path: Path, name: str) -> str:
    """Write key and certificates of a new host; return its id."""
    key, id = keys.make_ed25519(SystemEntropy()), new_uuid(SystemEntropy())
    own = keys.make_p256(SystemEntropy())
    request = HostRequest(
        host_uuid=id, node_name=name, roles=("Node",), principals=("127.0.0.1",),
        ssh_public_key=keys.ssh_line(keys.ssh_blob(key.public_key())), tls_public_key=keys.public_pem(own.public_key()),
    )  # fmt: skip
    made = cluster.ask(lambda client: client.issue_host(request))
    for ending, data in (
        ("", keys.private_openssh(key)), ("-cert.pub", made.ssh_certificate.encode() + b"\n"),
        (".tls.key", keys.private_pem(own)), (".tls.crt", made.tls_certificate.encode()),
    ):  # fmt: skip
        file = path.with_name(path.name + ending)
        file.touch(mode=0o600)
        file.write_bytes(data)
    return id


async def _announce(cluster: Cluster, path: Path, record: dict[str, Any]) -> None:
    """Let the host itself tell the cluster of it."""
    authorities = cluster.tctl("auth", "export", "--type=tls-host").out
    context = contexts.client_context(
        host_authorities=x509.split_pem(authorities), certificate=path.with_name("host.tls.crt").read_text(),
        key=path.with_name("host.tls.key").read_text(), alpn=(auth_protocol(NAME),),
    )  # fmt: skip

    async def dial() -> Stream:
        stream = await SystemNetwork().dial(f"127.0.0.1:{cluster.settings['auth']}")
        return await tls.client_handshake(stream, context, server_name=x509.CLUSTER_NAME)

    async with AuthClient(over_stream(dial)) as client:
        await client.upsert(resource.load(record))
