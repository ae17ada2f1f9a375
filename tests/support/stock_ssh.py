"""The clients of a user of a real cluster, aimed at one host: with them the matrix of channels is played."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from tests.support.channels import Ran
from tests.support.cluster import BIN, NAME, NODE, OWN, User

_SECONDS = 60


class Stock:
    """Stock OpenSSH."""

    def __init__(self, user: User, *options: str, host: str = NODE, config: str = "") -> None:
        """`options` come first in each call; `config` is the configuration to use in place of the user's."""
        self._user = user
        self._options = options
        self._host = host
        self._config = config or str(user._config)

    def _call(self, program: str, options: Sequence[str], command: Sequence[str]) -> list[str]:
        target = f"{OWN}@{self._host}.{NAME}"
        return [program, "-F", self._config, *self._options, *options, target, *command]

    async def run(
        self, *options: str, command: Sequence[str] = (), stdin: bytes = b"", env: dict[str, str] | None = None,
        program: str = "ssh",
    ) -> Ran:  # fmt: skip
        """See channels.Stock."""
        async with self._running(self._call(program, options, command), env) as process:
            out, err = await process.communicate(stdin)
        return Ran(process.returncode or 0, out, err.decode(errors="replace"))

    @contextlib.asynccontextmanager
    async def start(
        self, *options: str, command: Sequence[str] = (), env: dict[str, str] | None = None
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """See channels.Stock."""
        async with self._running(self._call("ssh", options, command), env) as process:
            yield process

    @contextlib.asynccontextmanager
    async def _running(self, argv: list[str], env: dict[str, str] | None) -> AsyncIterator[asyncio.subprocess.Process]:
        pipe = asyncio.subprocess.PIPE
        whole = self._user.cluster.environment(self._user.name, **(env or {}))
        process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe, env=whole)
        try:
            async with asyncio.timeout(_SECONDS):
                yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class Tsh(Stock):
    """`tsh ssh`, which takes the options of stock OpenSSH; its agent is the one of the environment."""

    def _call(self, program: str, options: Sequence[str], command: Sequence[str]) -> list[str]:
        kept = [word for word in options if not word.startswith("IdentityAgent=")]
        kept = [word for word, after in zip(kept, [*kept[1:], ""], strict=True) if word != "-o" or "=" in after]
        return [str(BIN / "tsh"), "ssh", *kept, f"{OWN}@{self._host}", *command]
