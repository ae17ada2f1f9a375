"""The process that runs etcd and kube-apiserver for `tests.support.kubernetes`: folder.

It writes `running.json` when the API server is ready, and ends both when nobody holds the lock `users` any more.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.cluster import free_ports
from tests.support.processes import wait_for
from tests.support.programs import need
from tests.support.tls import Authority


def issue(folder: Path, name: str) -> bytes:
    """Return a certificate with its key (PEM), of the authority in the folder."""
    return Authority.load((folder / "authority.pem").read_bytes()).issue(name)


def command(folder: Path, port: int, etcd_port: int, *more: str) -> list[str]:
    """Return how an API server is started on a port, over the etcd on another; of an option that is given twice the
    last one counts."""
    return [
        need("kube-apiserver"), f"--etcd-servers=http://127.0.0.1:{etcd_port}", f"--secure-port={port}",
        "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--tls-cert-file={folder}/server.pem",
        f"--tls-private-key-file={folder}/server.pem", f"--client-ca-file={folder}/ca.pem",
        "--authorization-mode=Node,RBAC", "--anonymous-auth=false", f"--token-auth-file={folder}/tokens.csv",
        f"--service-account-key-file={folder}/accounts.pem",
        f"--service-account-signing-key-file={folder}/accounts.pem",
        "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/24",
        f"--cert-dir={folder}/certs", "--endpoint-reconciler-type=none", "--profiling=false", *more,
    ]  # fmt: skip


def main(folder: Path) -> None:
    """Run both until nobody needs them."""
    token = secrets.token_hex(16)
    etcd_port, etcd_peers, port = free_ports(3)
    _prepare(folder, token)
    url = f"https://localhost:{port}"
    etcd = subprocess.Popen([
        need("etcd"), "--data-dir", str(folder / f"etcd-{etcd_port}"),
        f"--listen-client-urls=http://127.0.0.1:{etcd_port}", f"--advertise-client-urls=http://127.0.0.1:{etcd_port}",
        f"--listen-peer-urls=http://127.0.0.1:{etcd_peers}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{etcd_peers}",
        f"--initial-cluster=default=http://127.0.0.1:{etcd_peers}",
    ])  # fmt: skip
    api = subprocess.Popen(command(folder, port, etcd_port))
    try:
        wait_for("readiness", lambda: ready(str(folder / "ca.pem"), url, token, etcd, api), seconds=100)
        draft = folder / "running.json.new"
        draft.write_text(json.dumps({"url": url, "token": token, "etcd": etcd_port}))
        draft.rename(folder / "running.json")
        with (folder / "users").open("w") as users:
            fcntl.flock(users, fcntl.LOCK_EX)
            (folder / "running.json").unlink()
    finally:
        for process in (api, etcd):
            process.kill()
            process.wait()


def _prepare(folder: Path, token: str) -> None:
    authority = Authority("kubernetes of the tests")
    (folder / "authority.pem").write_bytes(authority.dump())
    (folder / "ca.pem").write_text(authority.pem)
    (folder / "server.pem").write_bytes(authority.issue("localhost"))
    (folder / "accounts.pem").write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')


def ready(authorities: str, url: str, token: str, *processes: subprocess.Popen[bytes]) -> bool:
    """Say whether an API server serves; none of the processes may have ended."""
    for process in processes:
        assert process.poll() is None, f"{process.args} has ended"
    request = urllib.request.Request(f"{url}/readyz", headers={"Authorization": f"Bearer {token}"})  # noqa: S310
    try:
        context = ssl.create_default_context(cafile=authorities)
        with urllib.request.urlopen(request, timeout=30, context=context) as reply:  # noqa: S310
            return bool(reply.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.umask(0o077)
    main(Path(sys.argv[1]))
