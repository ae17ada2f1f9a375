"""A real sshd on loopback, as a server without an agent: its users come with certificates of the openssh authority.

    with Sshd(tmp_path, authority="ssh-ed25519 AAAA...") as server:
        connect to 127.0.0.1, server.port

It is in the foreground, writes its log beside its configuration, and is ended by its pid.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

from tests.support import bare_home
from tests.support.processes import wait_for
from tests.support.programs import need

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/ssh_host_ed25519_key
PidFile none
AuthorizedKeysFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
UsePAM no
StrictModes no
LogLevel VERBOSE
Subsystem sftp internal-sftp
"""


class Sshd:
    """One server; `start` and `stop` may alternate."""

    def __init__(self, folder: Path, *, port: int, authority: str = "") -> None:
        """`authority`: the key that signs for users, a line without options; empty: none is trusted yet."""
        self.program = need("sshd")
        self.folder = folder
        self.port = port
        self.config = folder / "sshd_config"
        self.log = folder / "sshd.log"
        folder.mkdir(exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        key = folder / "ssh_host_ed25519_key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        text = CONFIG.format(port=port, folder=folder)
        if authority:
            (folder / "user_ca.pub").write_text(f"{authority}\n")
            text += f"TrustedUserCAKeys {folder}/user_ca.pub\n"
        self.config.write_text(text)
        if os.geteuid() == 0:  # sshd looks for the folder to which it locks its unprivileged half
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process, while it runs."""
        assert self._process is not None
        return self._process.pid

    def certify(self, certificate: str) -> None:
        """Show this host certificate (a line) from the next start on."""
        (self.folder / "ssh_host_ed25519_key-cert.pub").write_text(certificate)
        with self.config.open("a") as config:
            config.write(f"HostCertificate {self.folder}/ssh_host_ed25519_key-cert.pub\n")

    def __enter__(self) -> Sshd:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*bare_home.wrapper(), self.program, "-D", "-e", "-f", str(self.config)], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip
        wait_for("sshd", self._answers, seconds=30)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as probe:
                return probe.recv(4) == b"SSH-"
        except OSError:
            return False

    def reload(self) -> None:
        """Let it read its configuration again."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """End it; connections that are open stay, as with any sshd."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
