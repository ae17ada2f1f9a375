"""AWS as others have written it for tests (moto), on loopback: STS, IAM and EC2 of one account."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from teleport.net.fetch import Answer, SystemFetch
from tests.support.ports import free_ports
from tests.support.processes import wait_for

ACCOUNT = "123456789012"
REGION = "eu-central-1"
_VERSIONS = {"ec2": "2016-11-15", "iam": "2010-05-08", "sts": "2011-06-15"}


class Moto:
    """A server. As a `Fetch` it is AWS: what is for a host of amazonaws.com reaches it, everything else does not."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._fetch = SystemFetch(plain=True, timeout=60.0)
        self.asked: list[str] = []

    async def __call__(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        assert re.fullmatch(r"https://(sts|ec2)(\.[a-z0-9-]+)?\.amazonaws\.com/", url), url
        self.asked.append(url)
        return await self._fetch(self._url, method=method, headers=headers, body=body)

    def call(self, service: str, action: str, **form: str) -> str:
        """Make a call as somebody who may do everything; return the answer (XML)."""
        scope = f"Credential=AKIDADMIN/20300101/{REGION}/{service}/aws4_request"
        request = urllib.request.Request(  # noqa: S310 - loopback
            self._url, urlencode({"Action": action, "Version": _VERSIONS[service], **form}).encode(),
            {"Host": f"{service}.{REGION}.amazonaws.com",
             "Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=00"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310 - loopback
            return str(reply.read().decode())

    def answers(self) -> bool:
        """Whether it runs."""
        try:
            return "GetCallerIdentityResult" in self.call("sts", "GetCallerIdentity")
        except urllib.error.URLError:
            return False


def value(answer: str, name: str) -> str:
    """Return the first value of a name in an answer."""
    found = re.search(f"<{name}>([^<]+)</{name}>", answer)
    assert found, answer
    return found[1]


@contextmanager
def running() -> Iterator[Moto]:
    """Have a server run."""
    port = free_ports(1)[0]
    program = str(Path(sys.executable).parent / "moto_server")
    with subprocess.Popen(
        [program, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            moto = Moto(f"http://127.0.0.1:{port}/")
            wait_for("moto to answer", moto.answers, seconds=120)
            yield moto
        finally:
            process.kill()
