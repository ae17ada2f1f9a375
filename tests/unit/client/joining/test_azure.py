"""The metadata service of Azure, as a machine asks it."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from teleport.api.join_messages import SUITE, Accepted
from teleport.api.join_proofs import AzureSolution, Challenge, read, write
from teleport.base.errors import TeleportError
from teleport.client.joining.azure import AzureMethod
from tests.support.azure import Cloud

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
ASK = write(Challenge(challenge="words"))


def test_document_and_token() -> None:
    async def story() -> None:
        cloud = Cloud(NOW)
        method = AzureMethod(cloud, client_id="one of several")
        assert await method.first(Accepted(join_method="azure", suite=SUITE, cluster="c")) == b""
        assert read(await method.solve(ASK), AzureSolution).access_token
        document, token = cloud.asked
        assert ("nonce=words" in document, "client_id=one+of+several" in token) == (True, True)
        await AzureMethod(cloud).solve(ASK)
        assert "client_id" not in cloud.asked[-1]
        await method.keep(b"")

    asyncio.run(story())


@pytest.mark.parametrize(
    ("change", "words"),
    [({"status": 404}, "status 404 of http://169.254.169.254/metadata/attested/document"),
     ({"encoding": "none"}, "not as pkcs7"), ({"encoding": 5}, "with something else")],
)  # fmt: skip
def test_other_answers(change: dict[str, object], words: str) -> None:
    cloud = Cloud(NOW)
    for name, value in change.items():
        setattr(cloud, name, value)
    with pytest.raises(TeleportError) as caught:
        asyncio.run(AzureMethod(cloud).solve(ASK))
    assert (caught.value.code, words in caught.value.what) == ("CLIENT-JOIN-PROOF", True), caught.value.what
