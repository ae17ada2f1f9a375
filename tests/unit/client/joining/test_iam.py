"""Credentials of AWS: of the environment, or of the instance's role."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Mapping

import pytest

from teleport.api.join_messages import SUITE, Accepted
from teleport.api.join_proofs import Challenge, StsRequest, read, write
from teleport.base.clock import ManualClock
from teleport.base.errors import TeleportError, Unavailable
from teleport.client.joining.iam import IamMethod, credentials
from teleport.net.fetch import Answer
from teleport.wire import sigv4

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
KEYS = {"AccessKeyId": "AKIDINSTANCE", "SecretAccessKey": "s", "Token": "t"}


class Imds:
    """A metadata service of version 2."""

    def __init__(self, keys: object = KEYS, status: int = 200) -> None:
        self.keys, self.status = keys, status

    async def __call__(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        if self.status == 0:
            raise Unavailable("NET-FETCH", url=url, problem="nobody is there")
        path = url.removeprefix("http://imds/latest/")
        if (method, path) == ("PUT", "api/token"):
            return Answer(self.status, b"session")
        assert (headers or {}) == {"X-aws-ec2-metadata-token": "session"}
        told = {
            "meta-data/iam/security-credentials/": b"agents\n",
            "meta-data/iam/security-credentials/agents": json.dumps(self.keys).encode(),
        }
        return Answer(200, told[path])


def test_the_environment_first() -> None:
    found = asyncio.run(credentials({"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s"}, Imds())())
    assert (found.access_key, found.session_token) == ("AKID", "")


def test_the_role_of_the_instance() -> None:
    found = asyncio.run(credentials({"AWS_ACCESS_KEY_ID": "AKID"}, Imds(), "http://imds")())
    assert (found.access_key, found.secret_key, found.session_token) == ("AKIDINSTANCE", "s", "t")


@pytest.mark.parametrize(
    ("imds", "words"), [(Imds(status=0), "nobody"), (Imds(status=404), "status 404"), (Imds({}), "attach a role")]
)
def test_no_credentials(imds: Imds, words: str) -> None:
    with pytest.raises(TeleportError) as caught:
        asyncio.run(credentials({}, imds, "http://imds")())
    assert (caught.value.code, words in caught.value.what) == ("CLIENT-JOIN-PROOF", True)


def test_the_challenge_is_signed() -> None:
    async def find() -> sigv4.Credentials:
        return sigv4.Credentials(access_key="AKID", secret_key="s")

    method = IamMethod(find, ManualClock(NOW), "eu-west-1")
    assert asyncio.run(method.first(Accepted(join_method="iam", suite=SUITE, cluster="c"))) == b""
    solution = asyncio.run(method.solve(write(Challenge(challenge="words"))))
    signed = sigv4.read(read(solution, StsRequest).request)
    assert (signed.host, signed.headers["x-teleport-challenge"]) == ("sts.eu-west-1.amazonaws.com", "words")
    assert "x-teleport-challenge" in signed.signed
