"""The client's side of bound_keypair: its file, and what it does not do."""

from __future__ import annotations

import asyncio
import base64

import pytest

from teleport.api.join_messages import SUITE, Accepted
from teleport.api.join_proofs import (
    BoundAsk,
    BoundClaims,
    BoundInit,
    BoundKeepsake,
    BoundSolution,
    read,
    write,
)
from teleport.base.disk import MemoryDisk
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import TeleportError
from teleport.client.joining.bound_keypair import FILE, KEPT, BoundKeypairMethod, public_line
from teleport.pki import keys

HERE = Accepted(join_method="bound_keypair", suite=SUITE, cluster="c")
PATH = f"/d/proc/{FILE}"


def machine(disk: MemoryDisk) -> BoundKeypairMethod:
    return BoundKeypairMethod(disk, "/d/proc", SeededEntropy(1), "s3cret")


def test_the_secret_is_said_until_there_is_something_better() -> None:
    disk = MemoryDisk()
    method = machine(disk)
    assert read(asyncio.run(method.first(HERE)), BoundInit).initial_join_secret == "s3cret"
    asyncio.run(method.keep(write(BoundKeepsake(join_state="state", bound_public_key="k"))))
    said = read(asyncio.run(machine(disk).first(HERE)), BoundInit)
    assert (said.initial_join_secret, said.previous_join_state) == ("", "state")
    assert disk.mode(PATH) & 0o777 == 0o600


def test_the_last_keys_are_kept() -> None:
    disk = MemoryDisk()
    method = machine(disk)
    made = [asyncio.run(method.solve(write(BoundAsk(rotate=True)))) for _ in range(KEPT + 2)]
    assert len({read(each, BoundSolution).public_key for each in made}) == KEPT + 2
    assert len(set(method._read().keys)) == KEPT


def test_a_key_that_is_not_here() -> None:
    claims = BoundClaims(nonce="n", iss="c", aud="c", sub="SHA256:none", exp=1)
    with pytest.raises(TeleportError) as caught:
        asyncio.run(machine(MemoryDisk()).solve(write(BoundAsk(challenge=claims))))
    assert caught.value.code == "CLIENT-JOIN-KEY"


def test_a_damaged_file_is_not_written_over() -> None:
    disk = MemoryDisk()
    disk.make_dir("/d/proc")
    disk.write(PATH, b"{")
    with pytest.raises(TeleportError) as caught:
        asyncio.run(machine(disk).first(HERE))
    assert caught.value.code == "CLIENT-JOIN-KEPT"
    assert disk.read(PATH) == b"{"


def test_a_static_key_signs_and_is_never_replaced() -> None:
    disk = MemoryDisk()
    made = keys.make_ed25519(SeededEntropy(5))
    text = base64.b64encode(keys.private_pem(made)).decode()
    method = BoundKeypairMethod(disk, "/d/proc", SeededEntropy(1), static_key=text)
    assert method.public_key() == public_line(made)
    claims = BoundClaims(nonce="n", iss="c", aud="c", sub=keys.fingerprint(keys.ssh_blob(made.public_key())), exp=1)
    assert read(asyncio.run(method.solve(write(BoundAsk(challenge=claims)))), BoundSolution).signed
    with pytest.raises(TeleportError) as caught:
        asyncio.run(method.solve(write(BoundAsk(rotate=True))))
    assert caught.value.code == "CLIENT-JOIN-ROTATE"
    assert not disk.exists(PATH)


@pytest.mark.parametrize("text", ["!", "bm8="])
def test_a_static_key_that_is_none(text: str) -> None:
    with pytest.raises(TeleportError) as caught:
        BoundKeypairMethod(MemoryDisk(), "/d/proc", SeededEntropy(1), static_key=text).public_key()
    assert caught.value.code == "CLIENT-JOIN-STATIC"


def test_a_key_that_is_made_before_the_join() -> None:
    disk = MemoryDisk()
    method = machine(disk)
    assert method.public_key() == ""
    first = method.create()
    asyncio.run(method.keep(write(BoundKeepsake(join_state="state", bound_public_key="k"))))
    assert machine(disk).public_key() == first
    assert method.create() != first
    assert (len(method._read().keys), method._read().join_state) == (1, "")
