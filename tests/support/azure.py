"""A machine of Azure that is none: what its metadata service says, signed like Azure does it.

Azure cannot run here. The shapes are those of its documentation (attested data of the Instance Metadata Service; access
tokens of managed identities); root and issuing authority are made here, and the root reaches the Auth Service by the
same file as the real ones.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from teleport.base.errors import Unavailable
from teleport.net.fetch import Answer
from tests.support.cms import Authority, message
from tests.support.issuer import Issuer

PUBLISHED = "http://www.microsoft.com/pkiops/certs/issuing.crt"
ROOT, OTHER_ROOT = Authority("DigiCert Global Root G2"), Authority("DigiCert Global Root G2")
ISSUING = Authority("Microsoft Azure RSA TLS Issuing CA 03", ROOT)
SIGNER = Authority("metadata.azure.com", ISSUING, ca=False, fetched_from=PUBLISHED)
TENANT = "11111111-2222-3333-4444-555555555555"
SUBSCRIPTION, VM = "aaaaaaaa-2222-3333-4444-555555555555", "bbbbbbbb-2222-3333-4444-555555555555"
MACHINE = f"/subscriptions/{SUBSCRIPTION}/resourcegroups/Rack7/providers/Microsoft.Compute/virtualMachines/vm1"
_TIME = "%m/%d/%y %H:%M:%S -0000"


class Cloud:
    """Issues tokens, publishes keys and certificates, and is the metadata service of one machine."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now
        self.issuer = Issuer(f"https://sts.windows.net/{TENANT}")
        self.issuer.claims_of_discovery["issuer"] += "/"
        self.signer, self.carried = SIGNER, [SIGNER]
        self.published: dict[str, bytes] = {PUBLISHED.replace("http:", "https:"): ISSUING.der}
        self.document: dict[str, Any] = {}
        self.claims: dict[str, Any] = {"xms_mirid": MACHINE}
        """What differs from the usual."""
        self.encoding, self.status = "pkcs7", 200
        self.asked: list[str] = []

    async def __call__(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        self.asked.append(url)
        if url in self.published:
            return Answer(self.status, self.published[url])
        if not url.startswith("http://169.254.169.254/metadata/"):
            if not url.startswith(self.issuer.url):
                raise Unavailable("NET-FETCH", url=url, problem="nobody is there")
            return await self.issuer(url)
        assert headers == {"Metadata": "true"}
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        if "/attested/document" in url:
            told = {"encoding": self.encoding, "signature": self.attested(query["nonce"])}
        else:
            assert query["resource"] == "https://management.azure.com/"
            told = {"access_token": self.token(), "expires_in": "86399"}
        return Answer(self.status, json.dumps(told).encode())

    def attested(self, nonce: str) -> str:
        """Return the signed document."""
        times = {"createdOn": self.now.strftime(_TIME), "expiresOn": (self.now + dt.timedelta(hours=6)).strftime(_TIME)}
        told = {
            "licenseType": "", "nonce": nonce, "plan": {}, "sku": "22_04-lts", "subscriptionId": SUBSCRIPTION,
            "timeStamp": times, "vmId": VM, **self.document,
        }  # fmt: skip
        return base64.b64encode(message(json.dumps(told).encode(), self.signer, certificates=self.carried)).decode()

    def token(self) -> str:
        """Return an access token of the machine's identity."""
        usual = {
            "iss": f"{self.issuer.url}/", "aud": "https://management.azure.com/", "tid": TENANT,
            "iat": self.now.timestamp(), "exp": self.now.timestamp() + 3600,
        }  # fmt: skip
        return self.issuer.token(**{**usual, **self.claims})
