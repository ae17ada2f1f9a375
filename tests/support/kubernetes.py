"""A real API server of Kubernetes (kube-apiserver 1.20 with etcd) on loopback, one for all workers of a test run.

How to use it: take a fixture of your file from `api_server`, and a namespace of your own from that.

    @pytest.fixture(scope="module")
    def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
        with api_server(tmp_path_factory) as running:
            yield running

    def test_it(api: ApiServer, tmp_path: Path) -> None:
        space = api.namespace()                                    # a new namespace, "test-..."
        space.allow("writer", "get,create,update", "secrets")      # a service account with a role
        path = space.kubeconfig(tmp_path, "writer")                # a kubeconfig with its token
        space.secret("name")                                       # {"key": b"..."}, None where there is none
        api.kubectl("get", "pods", "-A")                           # the real kubectl, as administrator
        api.call("POST", "/api/v1/namespaces", {...})              # anything else, as administrator
        api.certificate("bob")                                     # a client certificate (PEM) of the user bob

There are no nodes, controllers or scheduler: Secrets, roles, tokens, reviews and kubectl work, pods stay pending.
Whoever comes first starts both programs (some seconds); they end when the last worker lets go of them, killed workers
included, because what holds them is a lock that ends with a process. `scripts/setup.sh` gets the programs.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.ports import free_ports
from tests.support.processes import wait_for
from tests.support.programs import need
from tests.support.tls import Authority

HOST = "localhost"
_ROOT = Path(__file__).parents[2]


class Refused(Exception):
    """The API server answered with another status than 200 or 201."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status}: {body.decode(errors='replace')}")
        self.status = status


class ApiServer:
    """A running API server. Calls without a name of whom are the administrator's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        said = json.loads((folder / "running.json").read_text())
        self.url: str = said["url"]
        self._token: str = said["token"]
        self._etcd: int = said["etcd"]
        self.ca = (folder / "ca.pem").read_text()
        """Certificate (PEM) of the authority that has signed the server's; for clients it trusts the same."""
        self._context = ssl.create_default_context(cadata=self.ca)

    def call(self, method: str, path: str, body: object = None, *, token: str = "") -> Any:
        """Make a call, with JSON or without; return the answer. Raises Refused."""
        request = urllib.request.Request(  # noqa: S310 - https alone
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {token or self._token}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=60, context=self._context) as reply:  # noqa: S310
                return json.loads(reply.read())
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, error.read()) from None

    def namespace(self) -> Namespace:
        """Make a namespace."""
        name = f"test-{secrets.token_hex(6)}"
        self.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        return Namespace(self, name)

    def certificate(self, user: str) -> str:
        """Return a client certificate with its key (PEM) for a user. The user may do what a role gives it."""
        return Authority.load((self._folder / "authority.pem").read_bytes()).issue(user).decode()

    @contextlib.contextmanager
    def beside(self, folder: Path, *, certificate: Path, key: Path, authorities: Path, clients: Path) -> Iterator[str]:
        """Run another API server for the same things, with a certificate (PEM) of its own, vouched for by
        `authorities`, and for clients of `clients`; yield its URL."""
        (port,) = free_ports(1)
        url, more = f"https://localhost:{port}", (
            f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}", f"--client-ca-file={clients}",
            f"--cert-dir={folder}/certs",
        )  # fmt: skip
        argv = command(self._folder, port, self._etcd, *more)
        with (folder / "kube-apiserver.log").open("wb") as log:
            process = subprocess.Popen(argv, stdout=log, stderr=log)
        try:
            wait_for("readiness", lambda: ready(str(authorities), url, self._token, process), seconds=180)
            yield url
        finally:
            process.kill()
            process.wait()

    def kubectl(self, *arguments: str, kubeconfig: Path | None = None, check: bool = True) -> str:
        """Run kubectl, as administrator or with a kubeconfig; return what it says. Without `check`: on stderr, too."""
        done = subprocess.run(
            [need("kubectl"), "--kubeconfig", str(kubeconfig or self._folder / "admin.yaml"),
             "--cache-dir", str(self._folder / "kubectl-cache"), *arguments],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout if check else done.stdout + done.stderr


class Namespace:
    """A namespace of a test."""

    def __init__(self, api: ApiServer, name: str) -> None:
        self.api, self.name = api, name

    def path(self, kind: str, name: str = "", *, group: str = "api/v1") -> str:
        """Return the path of a kind of things, or of one of them."""
        return f"/{group}/namespaces/{self.name}/{kind}" + (f"/{name}" if name else "")

    def allow(self, account: str, verbs: str, resources: str, *, user: str = "") -> None:
        """Make a service account that may do this in the namespace; with `user` it is that user instead. Again for the
        same one: it may do this instead."""
        rules = [{"apiGroups": [""], "resources": resources.split(","), "verbs": verbs.split(",")}]
        who = {"kind": "User", "name": user} if user else {"kind": "ServiceAccount", "name": account}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account}
        access = "apis/rbac.authorization.k8s.io/v1"
        for path, body in (
            (self.path("serviceaccounts"), {}),
            (self.path("roles", group=access), {"rules": rules}),
            (
                self.path("rolebindings", group=access),
                {"roleRef": reference, "subjects": [who if user else {**who, "namespace": self.name}]},
            ),
        ):
            try:
                self.api.call("POST", path, {"metadata": {"name": account}, **body})
            except Refused as refused:
                if refused.status != 409:
                    raise
        self.api.call("PUT", self.path("roles", account, group=access), {"metadata": {"name": account}, "rules": rules})

    def token(self, account: str, *, seconds: int = 3600) -> str:
        """Return a token of a service account."""
        wish = {"spec": {"expirationSeconds": seconds, "audiences": None}}
        path = self.path("serviceaccounts", f"{account}/token")
        return str(self.api.call("POST", path, wish)["status"]["token"])

    def kubeconfig(self, folder: Path, account: str, **user: str) -> Path:
        """Write a kubeconfig with a token of a service account, or with these keys of `user` instead."""
        path = folder / f"{account}.yaml"
        path.write_text(kubeconfig(self.api.url, self.api.ca, user or {"token": self.token(account)}, self.name))
        return path

    def secret(self, name: str) -> dict[str, bytes] | None:
        """Return what is in a Secret, or None."""
        try:
            found = self.api.call("GET", self.path("secrets", name))
        except Refused as refused:
            if refused.status != 404:
                raise
            return None
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}


def kubeconfig(url: str, ca: str, user: dict[str, str], namespace: str = "default") -> str:
    """Return a kubeconfig of one context, `test`."""
    authority = base64.b64encode(ca.encode()).decode()
    return str(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority-data": authority}}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
    }))  # fmt: skip


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


def ready(authorities: str, url: str, token: str, *processes: subprocess.Popen[bytes]) -> bool:
    """Say whether an API server serves; none of the processes may have ended."""
    for process in processes:
        assert process.poll() is None, f"{process.args!r} has ended"
    request = urllib.request.Request(f"{url}/readyz", headers={"Authorization": f"Bearer {token}"})  # noqa: S310
    try:
        context = ssl.create_default_context(cafile=authorities)
        with urllib.request.urlopen(request, timeout=30, context=context) as reply:  # noqa: S310
            return bool(reply.status == 200)
    except OSError:
        return False


@contextlib.contextmanager
def api_server(factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Yield the API server of this run; start it if it is not there. Without its programs the test is skipped."""
    for program in ("etcd", "kube-apiserver", "kubectl"):
        need(program)
    base = factory.getbasetemp()
    # Under xdist each worker has a folder in that of the run.
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "kubernetes"
    folder.mkdir(exist_ok=True)
    with (folder / "turn").open("w") as turn, (folder / "users").open("w") as users:
        fcntl.flock(turn, fcntl.LOCK_EX)
        # While a former one stops it has the lock for itself.
        fcntl.flock(users, fcntl.LOCK_SH)
        if not (folder / "running.json").exists():
            _start(folder)
        fcntl.flock(turn, fcntl.LOCK_UN)
        yield ApiServer(folder)


def _start(folder: Path) -> None:
    log = (folder / "log").open("ab")
    with log:
        peer = subprocess.Popen(
            [sys.executable, "-m", "tests.support.kubernetes_peer", str(folder)],
            cwd=_ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def there() -> bool:
        assert peer.poll() is None, (folder / "log").read_text()[-4000:]
        return (folder / "running.json").exists()

    wait_for("the API server that answers", there, seconds=110)
    peer.returncode = 0  # it outlives this worker, and ends by itself
