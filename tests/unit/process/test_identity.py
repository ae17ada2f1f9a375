"""The identity of a process: what is on disk, who reads it, and when it is renewed."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
from pathlib import Path

import pytest

from teleport.api.messages import HostRequest, MadeCertificates
from teleport.base import tasks
from teleport.base.disk import MemoryDisk
from teleport.base.errors import BadParameter, Internal, TeleportError, Unavailable
from teleport.pki import issue, keys, x509
from teleport.process.identity import HostIdentity, IdentityStore, KeyPair, RoleIdentity, Wanted, keeping
from tests.support import virtual_loop
from tests.support.authorities import cluster

UUID = "00000000-0000-4000-8000-00000000abcd"
DATA = Path("/data")
LIFE = dt.timedelta(days=30)
WANTED = Wanted("Node", "n1", ("a.example.com",))


class Auth:
    """Certifies, for a month, as long as it is there."""

    def __init__(self, clock: virtual_loop.LoopClock) -> None:
        self.clock = clock
        self.asked: list[HostRequest] = []
        self.gone = False

    async def issue(self, request: HostRequest) -> MadeCertificates:
        self.asked.append(request)
        if self.gone:
            raise Unavailable("API-UNAVAILABLE", problem="gone")
        now = self.clock.now()
        identity = HOME.host_identity(expires=(now + LIFE).replace(microsecond=0))
        key, spki = keys.load_ssh_line(request.ssh_public_key), _der(request.tls_public_key)
        ssh = await issue.ssh_certificate(HOME.signer, HOME.host, identity, key=key, now=now, entropy=HOME.entropy)
        tls = await issue.tls_certificate(HOME.signer, HOME.host, identity, spki=spki, now=now, entropy=HOME.entropy)
        return MadeCertificates(
            ssh_certificate=ssh.line(), tls_certificate=x509.pem(tls), expires=identity.expires, authorities=()
        )  # fmt: skip


def _der(pem: str) -> bytes:
    return base64.b64decode("".join(pem.splitlines()[1:-1]))


HOME = cluster(now=virtual_loop.START)


def store(disk: MemoryDisk) -> IdentityStore:
    disk.make_dir(str(DATA))
    return IdentityStore(disk, DATA)


def role(auth: Auth, loop: virtual_loop.VirtualLoop, kept: IdentityStore | None = None, wanted: Wanted = WANTED):  # type: ignore[no-untyped-def]
    return RoleIdentity(wanted, issue=auth.issue, clock=loop.clock, entropy=loop.entropy, store=kept)


def test_what_is_on_disk_is_private_and_used_again() -> None:
    async def main() -> None:
        loop, disk = virtual_loop.current(), MemoryDisk()
        kept, auth = store(disk), Auth(loop.clock)
        first = role(auth, loop, kept)
        with pytest.raises(Internal):
            _ = first.current
        await first.ensure(UUID, HOME.name)
        assert (disk.mode("/data/proc"), disk.mode("/data/proc/node.json")) == (0o700, 0o600)
        assert (kept.host_uuid(), disk.mode("/data/host_uuid")) == (UUID, 0o600)
        again = role(auth, loop, kept)
        await again.ensure(UUID, HOME.name)
        assert again.current == first.current
        assert len(auth.asked) == 1
        assert again.current.host_key.private == first.current.keys.ssh.encode()
        assert "PRIVATE" not in repr(again.current) + repr(again.current.keys)

    virtual_loop.run(main())


@pytest.mark.parametrize(
    ("wanted", "uuid", "name"),
    [
        (Wanted("Node", "n2", ("a.example.com",)), UUID, HOME.name), (Wanted("Node", "n1"), UUID, HOME.name),
        (WANTED, UUID.replace("abcd", "abce"), HOME.name), (WANTED, UUID, "other.example.com"),
    ],
)  # fmt: skip
def test_other_names_need_other_certificates(wanted: Wanted, uuid: str, name: str) -> None:
    async def main() -> None:
        loop, kept = virtual_loop.current(), store(MemoryDisk())
        auth = Auth(loop.clock)
        await role(auth, loop, kept).ensure(UUID, HOME.name)
        changed = role(auth, loop, kept, wanted)
        await changed.ensure(uuid, name)
        assert len(auth.asked) == 2
        assert (auth.asked[1].node_name, auth.asked[1].principals) == (wanted.node_name, wanted.principals)
        assert (changed.current.host_uuid, kept.host_uuid()) == (uuid, uuid)

    virtual_loop.run(main())


def test_renewed_when_two_thirds_are_over_and_again() -> None:
    async def main() -> None:
        loop = virtual_loop.current()
        auth, heard = Auth(loop.clock), list[HostIdentity]()
        identity = RoleIdentity(
            WANTED, issue=auth.issue, clock=loop.clock, entropy=loop.entropy, on_change=heard.append
        )  # fmt: skip
        await identity.ensure(UUID, HOME.name)
        task, first = keeping(identity), identity.current
        await asyncio.sleep((LIFE * 0.66).total_seconds())
        assert identity.current is first
        await asyncio.sleep((LIFE * 0.01).total_seconds())
        assert identity.current is not first
        assert identity.current.keys != first.keys, "a new certificate is for a new key"
        await asyncio.sleep((LIFE * 0.67).total_seconds())
        assert len(auth.asked) == len(heard) == 3
        await tasks.cancel(task)

    virtual_loop.run(main())


def test_while_the_auth_service_is_away_the_former_one_stays(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        loop = virtual_loop.current()
        auth = Auth(loop.clock)
        identity = role(auth, loop)
        await identity.ensure(UUID, HOME.name)
        task, first = keeping(identity), identity.current
        auth.gone = True
        await asyncio.sleep((LIFE * 0.67).total_seconds())
        assert identity.current is first
        assert len(auth.asked) > 20, "it is asked again and again, every ten minutes at the least"
        auth.gone = False
        await asyncio.sleep(700)
        assert identity.current is not first
        await tasks.cancel(task)

    virtual_loop.run(main())


def test_what_is_about_to_end_is_not_begun_with() -> None:
    async def main() -> None:
        loop, kept = virtual_loop.current(), store(MemoryDisk())
        auth = Auth(loop.clock)
        await role(auth, loop, kept).ensure(UUID, HOME.name)
        await asyncio.sleep((LIFE * 0.7).total_seconds())
        late = role(auth, loop, kept)
        await late.ensure(UUID, HOME.name)
        assert (len(auth.asked), late.current.issued) == (2, loop.clock.now())

    virtual_loop.run(main())


def damaged(disk: MemoryDisk) -> TeleportError:
    with pytest.raises(BadParameter) as caught:
        IdentityStore(disk, DATA).load("Node")
    return caught.value


def test_what_cannot_be_read_is_told() -> None:
    async def main() -> None:
        loop, disk = virtual_loop.current(), MemoryDisk()
        auth = Auth(loop.clock)
        assert store(disk).load("Node") is None
        await role(auth, loop, store(disk)).ensure(UUID, HOME.name)
        path, good = "/data/proc/node.json", json.loads(disk.read("/data/proc/node.json"))
        for change in ({"tls_certificate": "x"}, {"keys": {"ssh": "x", "tls": "y"}}, {"ssh_certificate": ""}, {"a": 1}):
            disk.write(path, json.dumps({**good, **change}).encode())
            assert damaged(disk).code == "PROC-IDENTITY"
        disk.write(path, b"{")
        assert damaged(disk).code == "PROC-IDENTITY"
        disk.write(path, json.dumps(good).encode(), mode=0o644)
        assert damaged(disk).code == "DISK-PERMISSIONS"

    virtual_loop.run(main())


def test_authorities_are_kept_and_checked() -> None:
    disk = MemoryDisk()
    kept = store(disk)
    assert kept.authorities() == ()
    (text,) = [key.cert for entry in HOME.both if entry.spec.type == "host" for key in entry.trusted_tls()]
    kept.save_authorities([text])
    assert kept.authorities() == (text,)
    for data in (b"-----BEGIN CERTIFICATE-----\nx\n", b"\xff"):
        disk.write("/data/proc/authorities.pem", data)
        with pytest.raises(BadParameter) as caught:
            kept.authorities()
        assert caught.value.code == "PROC-IDENTITY"


def test_new_keys_are_new() -> None:
    first, second = KeyPair.make(HOME.entropy), KeyPair.make(HOME.entropy)
    assert first != second
    assert first.ssh_public.startswith("ssh-ed25519 ")
    assert first.tls_public.startswith("-----BEGIN PUBLIC KEY-----")
