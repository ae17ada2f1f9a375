"""The files of a bot's own identity: their names and forms, half states, and damage."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base.errors import BadParameter
from teleport.bot.held import make_key
from teleport.bot.parts import Held
from teleport.bot.storage import NEXT, Found, Next, Storage, hash_of, position
from teleport.pki import keys, ssh
from tests.support.auth_cluster import Cluster, running
from tests.support.bot_doors import AuthDoor, Killed, Place, at, full
from tests.support.bots import make_bot
from tests.support.joiner import SECRET

TOKEN_HASH = hash_of(SECRET)


@cache
def made() -> tuple[Held, Held, Cluster]:
    """Two identities that follow each other, and the cluster that made them."""

    async def story() -> tuple[Held, Held, Cluster]:
        async with running() as cluster:
            await make_bot(cluster)
            door = AuthDoor(cluster.service, cluster.clock, SECRET)
            first = await door.join(make_key(cluster.entropy), None)
            return first, await door.renew(first, make_key(cluster.entropy)), cluster

    return asyncio.run(story())


@cache
def saved() -> dict[str, bytes]:
    """The files of the first."""
    place = Place()
    asyncio.run(Storage(place).save(made()[0], TOKEN_HASH))
    return place.files


def filled() -> Place:
    place = Place()
    place.files = dict(saved())
    return place


def loaded(place: Place) -> Found:
    return asyncio.run(Storage(place).load())


def refused(place: Place) -> BadParameter:
    with pytest.raises(BadParameter) as caught:
        loaded(place)
    return caught.value


def killed(place: Place, moment: str, work: Callable[[Storage], Awaitable[None]]) -> None:
    place.strike = at(moment, Killed)
    with pytest.raises(Killed):
        asyncio.run(work(Storage(place)))  # type: ignore[arg-type]


def test_the_files_are_what_others_expect() -> None:
    """Names and forms as in section 7 of the reference."""
    held, files = made()[0], saved()
    assert sorted(files) == [
        "identity.next", "key", "key-cert.pub", "key.pub", "sshcacerts", "tlscacerts", "tlscert", "tokenhash",
    ]  # fmt: skip
    assert files["key"].startswith(b"-----BEGIN PRIVATE KEY-----\n")
    blob = keys.load_ssh_line(files["key.pub"].decode())
    assert blob == keys.ssh_blob(keys.load_private(files["key"]).public_key())
    assert ssh.parse(keys.load_ssh_line(files["key-cert.pub"].decode())).key == blob
    assert files["tlscert"].startswith(b"-----BEGIN CERTIFICATE-----\n")
    hosts = next(each for each in held.authorities if each.type == "host")
    assert files["sshcacerts"].decode().split("$") == list(hosts.ssh_keys)
    assert files["tlscacerts"].decode().split("$") == list(hosts.tls_certificates)
    assert files["tokenhash"] == TOKEN_HASH.encode()
    assert len(TOKEN_HASH) == 64
    assert files[NEXT] == b""


def test_what_was_saved_is_found_again() -> None:
    first, _, _ = made()
    found = loaded(filled())
    assert (found.token_hash, found.next, found.settled) == (TOKEN_HASH, None, True)
    held = found.held
    assert held is not None
    assert (held.key, held.identity, held.expires) == (first.key, first.identity, first.expires)
    assert (held.ssh_certificate, held.tls_certificate) == (first.ssh_certificate, first.tls_certificate)
    assert (held.valid_after, position(held)) == (first.valid_after, f"{first.identity.bot_instance_id}/1")
    assert [(each.type, each.cluster) for each in held.authorities] == [("host", "example.com")]


def test_several_authorities_stand_in_one_file() -> None:
    """While an authority is replaced, two of them vouch."""
    place = filled()
    for name in ("sshcacerts", "tlscacerts"):
        place.files[name] = b"$".join([place.files[name]] * 2)
    held = loaded(place).held
    assert held is not None
    (hosts,) = held.authorities
    assert (len(hosts.ssh_keys), len(hosts.tls_certificates)) == (2, 2)


def test_an_empty_storage_holds_nothing() -> None:
    place = Place()
    assert loaded(place) == Found()
    place.files = dict.fromkeys(saved(), b"")
    assert loaded(place) == Found()
    assert asyncio.run(Storage(place).token_hash()) == ""


def test_what_was_asked_for_is_remembered() -> None:
    place, next = filled(), Next(key=make_key(made()[2].entropy), follows="x/1", token_hash=TOKEN_HASH)
    asyncio.run(Storage(place).expect(next, None, TOKEN_HASH))
    found = loaded(place)
    assert (found.next, found.settled, found.held is not None) == (next, True, True)
    assert next.key not in repr(found.next)
    assert next.key not in repr(found)


@pytest.mark.parametrize("moment", [f"after {NEXT}", *(f"{when} {name}" for when in ("before", "after") for name in (
    "key", "key.pub", "key-cert.pub", "tlscert", "sshcacerts", "tlscacerts", "tokenhash"))])  # fmt: skip
def test_what_was_given_is_completed(moment: str) -> None:
    """Whatever file was the last to be written, the start writes the rest."""
    first, second, _ = made()
    place = filled()
    killed(place, moment, lambda storage: storage.save(second, TOKEN_HASH))
    found = loaded(place)
    assert found.held is not None
    assert (found.held.identity.generation, found.settled, place.files[NEXT]) == (2, True, b"")
    assert place.files["key"].decode() == second.key != first.key
    assert loaded(place).held == found.held


def test_a_torn_file_is_written_again_from_what_was_given() -> None:
    second = made()[1]
    place = filled()
    killed(place, "after tlscert", lambda storage: storage.save(second, TOKEN_HASH))
    place.files["tlscert"] = place.files["tlscert"][:77]
    found = loaded(place)
    assert found.held is not None
    assert place.files["tlscert"].decode() == second.tls_certificate


def test_without_room_to_complete_it_is_used_all_the_same() -> None:
    second = made()[1]
    place = filled()
    killed(place, f"after {NEXT}", lambda storage: storage.save(second, TOKEN_HASH))
    place.strike = at("before key", full)
    found = loaded(place)
    assert found.held is not None
    assert (found.held.identity.generation, found.settled) == (2, False)
    next = Next(key=make_key(made()[2].entropy), follows=position(second), token_hash=TOKEN_HASH)
    asyncio.run(Storage(place).expect(next, found.held, TOKEN_HASH))
    again = loaded(place)
    assert again.held is not None
    assert (again.held.identity.generation, again.next, again.settled) == (2, next, False)
    assert place.files["key"].decode() == second.key, "the files are completed all the same"


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n", "BOT-STORAGE-CORRUPT"),
        ("key-cert.pub", b"ssh-ed25519 AAAA", "BOT-STORAGE-CORRUPT"),
        ("tlscert", b"\xff\xfe", "BOT-STORAGE-CORRUPT"),
        ("sshcacerts", b"none", "BOT-STORAGE-CORRUPT"),
        ("tlscacerts", b"none", "BOT-STORAGE-CORRUPT"),
        (NEXT, b'{"next": {"ke', "BOT-STORAGE-CORRUPT"),
        (NEXT, b'{"identity": {"key": "k", "ssh_certificate": "", "tls_certificate": "", "ssh_authorities": [], '
         b'"tls_authorities": []}}', "BOT-STORAGE-CORRUPT"),
        ("key", b"", "BOT-STORAGE-INCOMPLETE"),
        ("tlscacerts", b"", "BOT-STORAGE-INCOMPLETE"),
    ],
)  # fmt: skip
def test_damage_names_the_file(name: str, data: bytes, code: str) -> None:
    place = filled()
    place.files[name] = data
    error = refused(place)
    assert (error.code, error.what.split()[0]) == (code, name)
    assert "directory: /var/lib/teleport/bot" in error.what
    assert "tctl bots instances add" in error.fix


@pytest.mark.parametrize("name", ["key", "key-cert.pub", "tlscert"])
def test_files_of_two_identities_are_told_apart(name: str) -> None:
    second, place = Place(), filled()
    asyncio.run(Storage(second).save(made()[1], TOKEN_HASH))
    place.files[name] = second.files[name]
    assert refused(place).code == "BOT-STORAGE-MIXED"


def test_only_certificates_for_the_key_are_taken() -> None:
    first, second, _ = made()
    storage = Storage(Place())
    storage.accept(first, first.key)
    with pytest.raises(BadParameter) as caught:
        storage.accept(first, second.key)
    assert caught.value.code == "BOT-IDENTITY-REPLY"


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(["key", "key-cert.pub", "tlscert", "sshcacerts", "tlscacerts", NEXT]), st.data())
def test_no_damage_is_more_than_named(name: str, data: st.DataObject) -> None:
    """Whatever became of a file, it is read or it is named."""
    place = filled()
    if name == NEXT:
        asyncio.run(Storage(place).expect(Next(key="k"), made()[0], TOKEN_HASH))
    content = place.files[name]
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 40)))
    place.files[name] = content[:start] + data.draw(st.binary(max_size=40)) + content[end:]
    try:
        loaded(place)
    except BadParameter as error:
        assert error.code.startswith("BOT-STORAGE-")  # noqa: PT017 - most of it is refused, some of it is read
