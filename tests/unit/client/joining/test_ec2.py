"""The identity document, as an instance asks for it."""

from __future__ import annotations

import asyncio

import pytest

from teleport.api.join_messages import SUITE, Accepted
from teleport.api.join_proofs import Ec2Init, read
from teleport.base.errors import TeleportError
from teleport.client.joining.ec2 import Ec2Method
from tests.support.ec2 import Imds

HERE = Accepted(join_method="ec2", suite=SUITE, cluster="c")


def test_the_document_as_it_comes() -> None:
    method = Ec2Method(Imds("MIAG\nabc"))
    assert read(asyncio.run(method.first(HERE)), Ec2Init).identity_document == "MIAG\nabc"
    asyncio.run(method.keep(b""))


def test_no_document() -> None:
    with pytest.raises(TeleportError) as caught:
        asyncio.run(Ec2Method(Imds("", 403)).first(HERE))
    assert (caught.value.code, "status 403" in caught.value.what) == ("CLIENT-JOIN-PROOF", True)


def test_nothing_else_is_answered() -> None:
    with pytest.raises(TeleportError) as caught:
        asyncio.run(Ec2Method(Imds("")).solve(b"{}"))
    assert caught.value.code == "CLIENT-JOIN-CHALLENGE"
