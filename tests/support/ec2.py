"""An instance of EC2 that is none: its identity document, signed like AWS does it, and its metadata service.

AWS cannot run here. The shapes are those of its documentation (instance identity documents; the RSA-2048 signature is
a PKCS #7 message in BER); the certificate of the region is made here, and reaches the Auth Service by the same file as
the real ones.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from teleport.net.fetch import Answer
from tests.support.cms import Authority, message

AWS, FORGER = Authority("ec2.example"), Authority("ec2.example")
ACCOUNT, INSTANCE = "123456789012", "i-0abc1234def567890"


def document(pending: dt.datetime, **changes: Any) -> bytes:
    """Return a document; `changes` replace what it says, None takes it out."""
    told = {
        "accountId": ACCOUNT, "architecture": "x86_64", "availabilityZone": "eu-central-1a", "imageId": "ami-1",
        "instanceId": INSTANCE, "instanceType": "t3.micro", "pendingTime": pending.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "privateIp": "10.0.0.7", "region": "eu-central-1", "version": "2017-09-30", **changes,
    }  # fmt: skip
    return json.dumps({key: value for key, value in told.items() if value is not None}).encode()


def signed(content: bytes, by: Authority = AWS) -> str:
    """Return what stands at `instance-identity/rsa2048`: base64 in lines."""
    text = base64.b64encode(message(content, by, ber=True)).decode()
    return "\n".join(text[at : at + 64] for at in range(0, len(text), 64))


class Imds:
    """The metadata service (version 2) of an instance."""

    def __init__(self, text: str, status: int = 200) -> None:
        self.text, self.status = text, status

    async def __call__(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        if (method, url) == ("PUT", "http://169.254.169.254/latest/api/token"):
            return Answer(self.status, b"session")
        assert headers == {"X-aws-ec2-metadata-token": "session"}
        assert url == "http://169.254.169.254/latest/dynamic/instance-identity/rsa2048"
        return Answer(200, self.text.encode())
