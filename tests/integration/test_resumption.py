"""Sessions that go on when the proxy between client and node is killed, or restarted, in the middle of a transfer."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.support.apart import Apart, Member
from tests.support.cluster import BIN, NAME, NODE, OWN, User
from tests.support.processes import wait_for

SIZE = 16 * 1024 * 1024
"""Bytes each way: far more than all that waits anywhere between the two ends."""
BEFORE = 1024 * 1024
"""Bytes that have arrived when the proxy goes."""
ECHO = "echo open; exec cat"


class Stage:
    """Auth Service, proxy and node in processes of their own; the node can only be reached through its tunnel."""

    def __init__(self, cluster: Apart, proxy: Member, node: Member, alice: User) -> None:
        self.cluster, self.proxy, self.node, self.alice = cluster, proxy, node, alice

    def restart(self, end: Callable[[Member], object]) -> None:
        """End the proxy in some way, and start it again."""
        end(self.proxy)
        self.proxy.start()

    def tsh(self, *arguments: str) -> list[str]:
        return [*self.cluster.wrapper, str(BIN / "tsh"), *arguments]

    def ssh(self, command: str) -> list[str]:
        """Return the command line of stock OpenSSH, with `tsh proxy ssh` as its way."""
        config = self.cluster.folder / "ssh-config"
        if not config.exists():
            config.write_text(self.alice.tsh("config").out)
        return [*self.cluster.wrapper, "ssh", "-F", str(config), f"{OWN}@{NODE}.{NAME}", command]

    @contextlib.contextmanager
    def echoing(self, argv: list[str], **env: str) -> Iterator[Echo]:
        """Run a client whose other end says everything again."""
        environment = self.cluster.environment(self.alice.name, **env)
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=environment) as client:  # fmt: skip
            try:
                yield Echo(client)
            finally:
                client.kill()


class Echo:
    """A client that sends all it is given to a `cat`, and what comes back."""

    def __init__(self, client: subprocess.Popen[bytes]) -> None:
        assert client.stdin is not None
        assert client.stdout is not None
        assert client.stderr is not None
        self.client, self.stdin, self.stdout, self.stderr = client, client.stdin, client.stdout, client.stderr
        assert self.stdout.readline() == b"open\n", self.stderr.read()
        self.data = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(SIZE // 32))
        self.back = b""
        self._writer = threading.Thread(target=self._write)

    def begin(self) -> None:
        """Send everything, and read until the middle of it."""
        self._writer.start()
        self.back = self.stdout.read(BEFORE)

    def _write(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.stdin.write(self.data)
            self.stdin.close()

    def finish(self) -> tuple[int, str]:
        """Read the rest; return status and standard error."""
        self.back += self.stdout.read()
        if self._writer.is_alive():
            self._writer.join(60)
        return self.client.wait(60), self.stderr.read().decode()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    cluster = Apart(tmp_path_factory.mktemp("resumption"))
    cluster.data.mkdir(mode=0o700)
    with contextlib.ExitStack() as stack:
        stack.enter_context(cluster.running())
        proxy = stack.enter_context(cluster.proxy().running())
        token = cluster.token("node")
        lines = f"  proxy_server: {cluster.public}\n  join_params: {{token_name: {token}, method: token}}\n"
        node = stack.enter_context(cluster.node(NODE, teleport=lines).running())
        cluster.role("walker", logins=[OWN])
        alice = cluster.sign_up("alice", ["walker"])
        cluster.wait_for_node(NODE)
        wait_for("a session", lambda: alice.tsh("ssh", f"{OWN}@{NODE}", "true", status=None).status == 0, seconds=60)
        yield Stage(cluster, proxy, node, alice)


@pytest.mark.parametrize("end", [Member.kill, Member.stop])
def test_transfers_both_ways_survive_the_proxy(stage: Stage, end: Callable[[Member], object]) -> None:
    ways = {
        "tsh ssh": stage.tsh("ssh", f"{OWN}@{NODE}", ECHO),
        "ssh": stage.ssh(ECHO),
    }  # fmt: skip
    with contextlib.ExitStack() as stack:
        echoes = {way: stack.enter_context(stage.echoing(argv)) for way, argv in ways.items()}
        for echo in echoes.values():
            echo.begin()
        words = stage.tsh("ssh", "--no-resume", f"{OWN}@{NODE}", ECHO)
        without = stack.enter_context(stage.echoing(words))
        variable = stack.enter_context(stage.echoing(stage.ssh(ECHO), TELEPORT_NO_RESUME="1"))
        stage.restart(end)
        for echo in (without, variable):
            status, said = echo.finish()
            assert status != 0
            assert "was lost" not in said
        for way, echo in echoes.items():
            status, said = echo.finish()
            assert echo.back == echo.data, f"{way}: {len(echo.back)} of {SIZE} bytes; {said}"
            assert status == 0
            assert "was lost" in said, way
            assert "was resumed" in said, way
