"""Running: asks AWS whether an instance runs, and whose it is (ec2:DescribeInstances), in a role that a token names.

The credentials are those of the Auth Service (environment, or the role of its own instance); with them it takes on the
role (sts:AssumeRole) and asks as that. Both services answer in XML, of which a few values are needed.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from teleport.auth.join.iam import CHINA, REGIONS
from teleport.base.clock import Clock
from teleport.base.errors import TeleportError, Unavailable
from teleport.net.fetch import Fetch
from teleport.wire import sigv4

Find = Callable[[], Awaitable[sigv4.Credentials]]
"""Returns the credentials of the Auth Service."""
_OWNER = re.compile(rb"<ownerId>([0-9]{12})</ownerId>")
_STATE = re.compile(rb"<instanceState>\s*<code>[0-9]+</code>\s*<name>([a-z-]+)</name>")
_ID = re.compile(rb"<instanceId>(i-[0-9a-f]{8,17})</instanceId>")
_FORM = "application/x-www-form-urlencoded; charset=utf-8"


class Running:
    """Asks with the credentials of the Auth Service."""

    def __init__(self, fetch: Fetch, find: Find, clock: Clock) -> None:
        self._fetch = fetch
        self._find = find
        self._clock = clock

    async def __call__(self, region: str, instance: str, role: str) -> str:
        """Return the account of an instance that runs, empty if it does not. Raises Unavailable (AUTH-JOIN-EC2)."""
        if region not in REGIONS | CHINA:
            raise Unavailable("AUTH-JOIN-EC2", problem=f"the region {region} is not known")
        try:
            assumed = await self._assume(region, role)
            asked = {"Action": "DescribeInstances", "InstanceId.1": instance, "Version": "2016-11-15"}
            answer = await self._ask(assumed, "ec2", region, asked)
        except TeleportError as error:
            raise Unavailable("AUTH-JOIN-EC2", problem=error.what) from None
        found = (_OWNER.search(answer), _ID.search(answer), _STATE.search(answer))
        owner, name, state = (each[1].decode() if each else "" for each in found)
        return owner if (name, state) == (instance, "running") else ""

    async def _assume(self, region: str, role: str) -> sigv4.Credentials:
        session = {"Action": "AssumeRole", "RoleArn": role, "RoleSessionName": "teleport", "Version": "2011-06-15"}
        answer = await self._ask(await self._find(), "sts", region, session)
        names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
        found = [re.search(rf"<{name}>([!-;=?-~]+)</{name}>".encode(), answer) for name in names]
        key, secret, token = (each[1].decode() if each else "" for each in found)
        return sigv4.Credentials(access_key=key, secret_key=secret, session_token=token)

    async def _ask(self, who: sigv4.Credentials, service: str, region: str, form: dict[str, str]) -> bytes:
        host = f"{service}.{region}.amazonaws.com" + (".cn" if region in CHINA else "")
        body = urlencode(form).encode()
        headers = sigv4.sign(
            who, host=host, region=region, service=service, body=body, headers={"content-type": _FORM},
            now=self._clock.now(),
        )  # fmt: skip
        answer = await self._fetch(f"https://{host}/", method="POST", headers=headers, body=body)
        if answer.status != 200:
            raise Unavailable("AUTH-JOIN-EC2", problem=f"{form['Action']} was answered with status {answer.status}")
        return answer.body
