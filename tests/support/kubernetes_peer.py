"""The process that runs etcd and kube-apiserver for `tests.support.kubernetes`: folder.

It writes `running.json` when the API server is ready, and ends both when nobody holds the lock `users` any more.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.kubernetes import command, kubeconfig, ready
from tests.support.ports import free_ports
from tests.support.processes import wait_for
from tests.support.programs import need
from tests.support.tls import Authority


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
        (folder / "admin.yaml").write_text(kubeconfig(url, (folder / "ca.pem").read_text(), {"token": token}))
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


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.umask(0o077)
    main(Path(sys.argv[1]))
