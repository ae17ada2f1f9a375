"""A command through the cluster as a person waits for it, and what an idle cluster holds. Part of `make bench`.

`tsh ssh node true` goes through the proxy's one port to the node. Its peer is OpenSSH with `-J`: once over the same
proxy to the same node, once over two OpenSSH servers (jump host and node) with certificates and default algorithms.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support import bare_home
from tests.support.cluster import BIN, NAME, NODE, OWN, Cluster
from tests.support.ports import free_ports
from tests.support.processes import tree, wait_for

ROUNDS = 15
Row = tuple[str, str]

SSHD = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
HostCertificate {folder}/host-cert.pub
TrustedUserCAKeys {folder}/ca.pub
PidFile none
UsePAM no
PasswordAuthentication no
AuthorizedKeysFile none
StrictModes no
MaxStartups 100
Subsystem sftp internal-sftp
SetEnv LANG=C.UTF-8
"""
"""The locale is what our node gives its shells, as PAM does on ordinary machines: reading it is work of the shell."""

SSH = """\
Host *
  User {login}
  HostName 127.0.0.1
  HostKeyAlias node
  IdentityFile {folder}/user
  CertificateFile {folder}/user-cert.pub
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  IdentitiesOnly yes
  IdentityAgent none
  LogLevel ERROR
Host node
  Port {node}
Host jump
  Port {jump}
"""


def milliseconds(argv: Sequence[str], environment: dict[str, str]) -> float:
    """Run a command that must succeed."""
    began = time.perf_counter()
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True, env=environment)
    return (time.perf_counter() - began) * 1e3


def proportional(pid: int) -> int:
    """Return the bytes of a process, pages that are shared counted in proportion (`Pss`)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


@contextmanager
def openssh(folder: Path) -> Iterator[list[str] | None]:
    """Yield the command for `true` over two OpenSSH servers; None where there is none to start."""
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if sshd is None:
        yield None
        return
    for key in ("ca", "host", "user"):
        _keygen("-t", "ed25519", "-N", "", "-f", str(folder / key))
    _keygen("-s", str(folder / "ca"), "-h", "-I", "host", "-n", "node", str(folder / "host.pub"))
    _keygen("-s", str(folder / "ca"), "-I", "user", "-n", OWN, str(folder / "user.pub"))
    (folder / "known_hosts").write_text(f"@cert-authority * {(folder / 'ca.pub').read_text()}")
    jump, node = free_ports(2)
    (folder / "ssh").write_text(SSH.format(login=OWN, folder=folder, node=node, jump=jump))
    with ExitStack() as stack:
        for port in (jump, node):
            (folder / f"sshd-{port}").write_text(SSHD.format(port=port, folder=folder))
            argv = [*bare_home.wrapper(), *_WITH_ITS_FOLDER, sshd, "-D", "-e", "-f", str(folder / f"sshd-{port}")]
            server = stack.enter_context(subprocess.Popen(argv, stderr=subprocess.DEVNULL))
            stack.callback(server.terminate)
        command = ["ssh", "-F", str(folder / "ssh"), "-J", "jump", "node", "true"]
        wait_for("the servers", lambda: not subprocess.run(command, capture_output=True).returncode)
        yield command


_WITH_ITS_FOLDER = (
    ["unshare", "--mount", "sh", "-ceu", 'mount -t tmpfs none /run; mkdir /run/sshd; exec "$@"', "sh"]
    if os.geteuid() == 0
    else []
)
"""As root sshd wants an empty /run/sshd. It gets one of its own, so that nothing of the machine changes."""


def _keygen(*arguments: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *arguments], check=True)


def rows() -> list[Row]:
    """Measure all ways in turn, and return the rows of the table."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        (folder := Path(name, "openssh")).mkdir(mode=0o700)
        (place := Path(name, "cluster")).mkdir()
        cluster = stack.enter_context(Cluster(place).running())
        memory = sum(proportional(pid) for pid in {cluster.pid, *(process.pid for process in tree(cluster.pid))})
        cluster.role("developer", logins=[OWN])
        alice = cluster.sign_up("alice", ["developer"])
        alice._config.write_text(alice.tsh("config").out)
        environment = cluster.environment("alice")
        jump = alice.ssh_argv("true", options=("-J", f"alice@{cluster.public}"))
        ways = {
            "tsh ssh": [str(BIN / "tsh"), "ssh", f"{OWN}@{NODE}", "true"],
            "ssh with ProxyCommand": alice.ssh_argv("true"),
            "ssh -J over our proxy": jump,
        }
        if command := stack.enter_context(openssh(folder)):
            ways["ssh -J over OpenSSH servers"] = command
        figures: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(ROUNDS + 1):
            for way, argv in ways.items():
                took = milliseconds(argv, environment)
                if number:
                    figures[way].append(took)
    medians = {way: statistics.median(took) for way, took in figures.items()}
    ours = medians["tsh ssh"]
    shown = [(f"a command on {NODE}.{NAME}: {way}", f"{median:.0f} ms; tsh ssh is {ours / median:.2f} x")
             for way, median in medians.items()]  # fmt: skip
    return [*shown, ("idle cluster in one process, all its processes (PSS)", f"{memory / 1e6:.1f} MB")]


if __name__ == "__main__":
    for what, figure in rows():
        print(f"| {what} | {figure} |")
