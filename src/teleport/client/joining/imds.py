"""Metadata services of clouds: what a machine may ask of the cloud that it runs in, at an address of the link."""

from __future__ import annotations

from collections.abc import Mapping

from teleport.base.errors import TeleportError, Unavailable
from teleport.net.fetch import Fetch

AWS = "http://169.254.169.254"
AZURE = "http://169.254.169.254"


async def ask(fetch: Fetch, method: str, url: str, headers: Mapping[str, str], verb: str = "GET") -> bytes:
    """Return the answer; `method` is the join method that asks. Raises Unavailable (CLIENT-JOIN-PROOF)."""
    try:
        answer = await fetch(url, method=verb, headers=headers)
    except TeleportError as error:
        raise Unavailable("CLIENT-JOIN-PROOF", method=method, problem=error.what) from None
    if answer.status != 200:
        problem = f"status {answer.status} of {url.partition('?')[0][:200]}"
        raise Unavailable("CLIENT-JOIN-PROOF", method=method, problem=problem)
    return answer.body


async def ask_aws(fetch: Fetch, method: str, address: str, path: str) -> bytes:
    """Return what stands at a path, by a session (IMDSv2). Raises Unavailable (CLIENT-JOIN-PROOF)."""
    lasts = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    session = await ask(fetch, method, f"{address}/latest/api/token", lasts, "PUT")
    return await ask(fetch, method, address + path, {"X-aws-ec2-metadata-token": session.decode(errors="replace")})
