"""Join method iam: a request to AWS that says who this machine is, signed and not sent.

Credentials are those of the environment, or those of the instance's role, which its metadata service hands out
(IMDSv2).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from teleport.api.join_messages import Accepted
from teleport.api.join_proofs import Challenge, StsRequest, read, write
from teleport.base.clock import Clock
from teleport.base.errors import Unavailable
from teleport.client.joining.imds import AWS, ask_aws
from teleport.net.fetch import Fetch
from teleport.wire import sigv4

BODY = b"Action=GetCallerIdentity&Version=2011-06-15"
_ROLES = "/latest/meta-data/iam/security-credentials/"

Find = Callable[[], Awaitable[sigv4.Credentials]]
"""Returns credentials. Raises Unavailable (CLIENT-JOIN-PROOF)."""


class IamMethod:
    """Implements `client.joining.join.Method`."""

    name = "iam"

    def __init__(self, find: Find, clock: Clock, region: str = "") -> None:
        """`region` names the endpoint of STS; empty: the global one."""
        self._find = find
        self._clock = clock
        self._region = region

    async def first(self, accepted: Accepted) -> bytes:
        """Nothing: the proof has to repeat a challenge."""
        return b""

    async def solve(self, challenge: bytes) -> bytes:
        """Return the signed request, with the challenge in it."""
        return write(StsRequest(request=await self._signed(read(challenge, Challenge).challenge)))

    async def keep(self, keepsake: bytes) -> None:
        """There is nothing to keep."""

    async def _signed(self, challenge: str) -> str:
        region = self._region or "us-east-1"
        suffix = ".cn" if region.startswith("cn-") else ""
        host = f"sts.{region}.amazonaws.com{suffix}" if self._region else "sts.amazonaws.com"
        headers = {
            "accept": "application/json", "content-type": "application/x-www-form-urlencoded; charset=utf-8",
            "x-teleport-challenge": challenge,
        }  # fmt: skip
        moment: dt.datetime = self._clock.now()
        made = sigv4.sign(
            await self._find(), host=host, region=region, service="sts", body=BODY, headers=headers, now=moment
        )  # fmt: skip
        return sigv4.write(made, BODY)


def credentials(environment: Mapping[str, str], fetch: Fetch, address: str = "") -> Find:
    """Return who finds the credentials of this machine; `fetch` must let plain HTTP pass."""

    async def find() -> sigv4.Credentials:
        key, secret = environment.get("AWS_ACCESS_KEY_ID", ""), environment.get("AWS_SECRET_ACCESS_KEY", "")
        if key and secret:
            token = environment.get("AWS_SESSION_TOKEN", "")
            return sigv4.Credentials(access_key=key, secret_key=secret, session_token=token)
        place = address or environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "") or AWS
        return await _of_the_instance(fetch, place.rstrip("/"))

    return find


class _RoleCredentials(msgspec.Struct):
    AccessKeyId: str
    SecretAccessKey: str
    Token: str


async def _of_the_instance(fetch: Fetch, address: str) -> sigv4.Credentials:
    async def ask(path: str) -> str:
        return (await ask_aws(fetch, "iam", address, path)).decode(errors="replace")

    role = (await ask(_ROLES)).partition("\n")[0].strip()
    try:
        keys = msgspec.json.decode(await ask(_ROLES + role), type=_RoleCredentials)
    except msgspec.DecodeError:
        problem = "the metadata service has no credentials: attach a role to the instance"
        raise Unavailable("CLIENT-JOIN-PROOF", method="iam", problem=problem) from None
    return sigv4.Credentials(
        access_key=keys.AccessKeyId, secret_key=keys.SecretAccessKey, session_token=keys.Token
    )  # fmt: skip
