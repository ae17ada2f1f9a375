"""The chip of a machine, against a real TPM 2.0 (swtpm): what it says, what it opens, and what is left in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleport.api.join_messages import SUITE, Accepted
from teleport.api.join_proofs import TpmAsk, TpmInit, TpmSolution, read, write
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import TeleportError, Unavailable
from teleport.client.joining import tpm as joining
from teleport.client.joining.tpm import TpmMethod, identify
from teleport.net.tpm_device import TpmDevice
from teleport.pki import tpm
from teleport.wire import tpm2
from tests.support.swtpm import Swtpm
from tests.unit.wire.test_tpm2 import answer

HERE = Accepted(join_method="tpm", suite=SUITE, cluster="c")


@pytest.fixture(scope="module")
def chip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with Swtpm(tmp_path_factory.mktemp("tpm")).running() as path:
        yield path


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A chip without a certificate."""
    with Swtpm(tmp_path_factory.mktemp("bare"), certified=False).running() as path:
        yield path


def method(path: Path) -> TpmMethod:
    return TpmMethod(lambda: TpmDevice(str(path)), SystemEntropy())


def test_it_opens_what_is_made_for_it_and_is_left_as_it_was(chip: Path) -> None:
    async def story() -> None:
        mine = method(chip)
        for _ in range(4):  # there is room for three keys and three sessions in it
            said = read(await mine.first(HERE), TpmInit)
            key, name = tpm.load_key(said.ek_key), tpm2.ak_name(said.ak_public)
            _, certified = tpm.load_certificate(said.ek_cert)
            assert tpm.key_der(certified) == said.ek_key
            made = tpm.make_credential(key, name, b"words", SystemEntropy())
            ask = write(TpmAsk(blob=made.blob, secret=made.secret))
            assert read(await mine.solve(ask), TpmSolution).secret == b"words"
            other = tpm.make_credential(key, name[:-1] + b"?", b"words", SystemEntropy())
            with pytest.raises(Unavailable) as caught:
                await mine.solve(write(TpmAsk(blob=other.blob, secret=other.secret)))
            assert caught.value.code == "NET-TPM-REFUSED"
        await mine.keep(b"")

    asyncio.run(story())


def test_a_chip_without_a_certificate(bare: Path) -> None:
    async def story() -> None:
        async with TpmDevice(str(bare)) as device:
            found = await identify(device)
        assert (found.certificate, found.serial, len(found.key_hash)) == (b"", "", 64)

    asyncio.run(story())


def test_another_chip_in_its_place(chip: Path, bare: Path) -> None:
    async def story() -> None:
        places = [chip, bare]
        moved = TpmMethod(lambda: TpmDevice(str(places.pop(0))), SystemEntropy())
        await moved.first(HERE)
        with pytest.raises(TeleportError) as caught:
            await moved.solve(write(TpmAsk(blob=b"", secret=b"")))
        assert caught.value.code == "CLIENT-JOIN-PROOF"

    asyncio.run(story())


class Scripted:
    """A chip that gives prepared answers, the last one again and again."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)

    async def exchange(self, command: bytes) -> bytes:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_a_busy_chip_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "_PAUSE", 0.0)
    busy, done = answer(code=0x922), answer()
    assert asyncio.run(joining._say(Scripted(busy, busy, done), b"")) == done
    assert asyncio.run(joining._say(Scripted(busy), b"")) == busy


def test_a_certificate_that_is_shorter_than_it_is_said_to_be() -> None:
    size = answer(bytes.fromhex("000e01c00002000b0000000000000003"))
    none = answer(b"\0\0", sessions=True)
    assert asyncio.run(joining._certificate(Scripted(size, none))) == bytes(3)
