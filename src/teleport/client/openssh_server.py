"""Making a server without an agent of this machine: its host key certified, its sshd told whom to trust.

sshd keeps its own host key; what is added is a certificate for it, the authority whose users it lets in, and one line
of `Include` in its configuration. Nothing is replaced before sshd itself has said that it would accept it.
"""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from teleport.api.openssh_messages import statement
from teleport.base.disk import Disk
from teleport.base.errors import BadParameter, NotFound, Unavailable
from teleport.client.web_api import WebApi
from teleport.pki import keys, ssh

FOLDER = "openssh"
"""Name of our folder in the data directory."""
SETTINGS = """\
# Written by `teleport join openssh`; it is written again whenever that runs.
TrustedUserCAKeys {folder}/user_ca.pub
HostCertificate {folder}/host-cert.pub
"""
BACKUP = ".before-teleport"
_WHOLE = 64 * 1024
_TIMEOUT = 60


class Answer(msgspec.Struct, frozen=True):
    """What the proxy answers."""

    host_uuid: str
    cluster: str
    cert: str
    user_cas: tuple[str, ...]


@dataclass(frozen=True)
class Wish:
    """As what the server joins."""

    token: str
    hostname: str
    address: str
    labels: Mapping[str, str]
    principals: tuple[str, ...] = ()


@dataclass(frozen=True)
class HostKey:
    """A host key of sshd."""

    private: keys.PrivateKey
    blob: bytes


class Server:
    """This machine's sshd."""

    def __init__(self, disk: Disk, *, config: str, data_dir: str, check: Sequence[str]) -> None:
        """`check` is the command that checks a configuration, whose path follows it; its first word is sshd."""
        self._disk = disk
        self._config = config
        self._folder = f"{data_dir}/{FOLDER}"
        self._check = tuple(check)

    def host_key(self) -> HostKey:
        """Return the host key to certify. Raises NotFound (CLI-JOIN-HOST-KEY), and what `_run` raises."""
        effective = ("-T", "-C", "user=root,host=localhost,addr=127.0.0.1", "-f", self._config)
        said = self._run((self._check[0], *effective))
        found = [line.split(maxsplit=1)[1] for line in said.splitlines() if line.lower().startswith("hostkey ")]
        for path in sorted(found, key=lambda path: "ed25519" not in path):
            try:
                private = keys.load_private(self._disk.read(path, limit=_WHOLE, private=True))
            except (BadParameter, NotFound):
                continue
            return HostKey(private, keys.ssh_blob(private.public_key()))
        raise NotFound("CLI-JOIN-HOST-KEY", keys=", ".join(found) or "no keys", config=self._config)

    def join(self, proxy: WebApi, wish: Wish) -> Answer:
        """Join, and let sshd trust the cluster; its configuration is in place afterwards. Joining again renews it."""
        key = self.host_key()
        request = {
            "token": wish.token, "hostname": wish.hostname, "address": wish.address, "labels": dict(wish.labels),
            "principals": list(wish.principals), "ssh_pub_key": keys.ssh_line(key.blob),
            "former": self._former(key, wish.token),
        }  # fmt: skip
        try:
            answer = msgspec.convert(proxy.post("/webapi/openssh/join", request), Answer)
        except msgspec.ValidationError as problem:
            raise BadParameter("CLIENT-ANSWER", problem=f"a part is missing: {problem}") from None
        if ssh.parse(keys.load_ssh_line(answer.cert)).key != key.blob:
            raise BadParameter("CLIENT-ANSWER", problem="the certificate is not for the key that was sent")
        for line in answer.user_cas:
            keys.load_ssh_blob(keys.load_ssh_line(line))
        self._install(answer)
        return answer

    def _former(self, key: HostKey, token: str) -> dict[str, str] | None:
        """Return what proves that this server was here before; None where it was not, or has another key since."""
        path = f"{self._folder}/host-cert.pub"
        if not self._disk.exists(path):
            return None
        line = self._disk.read(path, limit=_WHOLE).decode(errors="replace").strip()
        try:
            if ssh.parse(keys.load_ssh_line(line)).key != key.blob:
                return None
        except BadParameter:
            return None
        signature = keys.ssh_signature(key.private.public_key(), keys.sign(key.private, statement(token, key.blob)))
        return {"certificate": line, "signature": base64.b64encode(signature).decode()}

    def _install(self, answer: Answer) -> None:
        """Write our files, and the line that makes sshd read them. What was there comes back if sshd objects."""
        self._disk.make_dir(self._folder)
        wanted = {
            f"{self._folder}/host-cert.pub": f"{answer.cert}\n",
            f"{self._folder}/user_ca.pub": "".join(f"{line}\n" for line in answer.user_cas),
            f"{self._folder}/sshd.conf": SETTINGS.format(folder=self._folder),
        }
        before = {path: self._disk.read(path) if self._disk.exists(path) else None for path in wanted}
        for path, text in wanted.items():
            self._disk.write(path, text.encode(), mode=0o644)
        try:
            self._include()
        except BaseException:
            for path, data in before.items():
                if data is None:
                    self._disk.remove(path)
                else:
                    self._disk.write(path, data, mode=0o644)
            raise

    def _include(self) -> None:
        """See that the configuration includes ours, as its first line: in sshd the first word counts."""
        line = f'Include "{self._folder}/sshd.conf"'
        disk, config = self._disk, self._config
        data, mode = disk.read(config), disk.mode(config)
        is_there = line in data.decode(errors="replace").splitlines()
        new = data if is_there else f"{line}\n".encode() + data
        trial = f"{config}.teleport-trial"
        disk.write(trial, new, mode=mode)
        try:
            self._run((*self._check, trial))
        finally:
            disk.remove(trial)
        if not is_there:
            if not disk.exists(config + BACKUP):
                disk.write(config + BACKUP, data, mode=mode)
            disk.write(config, new, mode=mode)

    def _run(self, command: Sequence[str]) -> str:
        """Return what a command of sshd prints. Raises Unavailable (CLI-JOIN-SSHD)."""
        shown = " ".join(command)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise Unavailable("CLI-JOIN-SSHD", problem=problem, command=shown, config=self._config) from None
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-500:] or f"status {done.returncode}"
            raise Unavailable("CLI-JOIN-SSHD", problem=said, command=shown, config=self._config)
        return done.stdout
