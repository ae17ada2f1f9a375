"""The destination of a bot's output, as whom a command acts."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from teleport.base.clock import ManualClock
from teleport.base.disk import MemoryDisk, SystemDisk
from teleport.base.errors import AccessDenied, BadParameter, NotAuthenticated, NotFound, Unavailable
from teleport.client import identity_file, output_folder
from tests.support import authorities, identities
from tests.support.authorities import NOW

PARTS = identities.parts(authorities.cluster())


def acting() -> output_folder.Acting:
    disk = MemoryDisk()
    disk.make_dir("/opt")
    disk.make_dir("/opt/machine-id")
    disk.write("/opt/machine-id/identity", identity_file.write(PARTS, "example.com"))
    return output_folder.read(disk, "/opt/machine-id/", "proxy.example.com:443", "example.com")


def test_it_is_read_once() -> None:
    """What tbot renews meanwhile does not change a connection that is open."""
    home, profile = acting().opened({"HTTPS_PROXY": "http://p:1"}, upgraded=True)
    files = home.files(profile)
    assert home.disk.read(files.tls_key, private=True).decode() == PARTS.key
    assert home.disk.read(files.ssh_certificate).decode() == f"{PARTS.ssh_certificate}\n"
    assert (profile.cluster, profile.upgraded, home.between) == ("example.com", True, {"HTTPS_PROXY": "http://p:1"})


def test_a_login_that_the_certificate_has_not_got() -> None:
    """S1-29: the text of the seed, who was asked for, whom the certificate has, and how to mend it."""
    with pytest.raises(AccessDenied) as caught, acting().in_use("bob", ManualClock(NOW)):
        raise AccessDenied("CLIENT-NODE-REFUSED", host="node-1", said="no")
    error = caught.value
    assert error.what == (
        "ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], "
        "no supported methods remain"
    )
    assert error.why.startswith("bob is not among the logins of your certificate (root, alice)")
    assert "pkill -sigusr1 tbot" in error.fix


def test_certificates_that_have_ended_are_the_cause() -> None:
    later = ManualClock(NOW + dt.timedelta(days=1))
    with pytest.raises(NotAuthenticated) as caught, acting().in_use("root", later):
        raise Unavailable("NET-RESET", address="p", reason="closed")
    assert caught.value.code == "CLIENT-IDENTITY-EXPIRED"


def test_tbot_is_what_renews_them(tmp_path: Path) -> None:
    identities.output(tmp_path, bot_name="ex")
    acting = output_folder.read(SystemDisk(), str(tmp_path), "proxy.example.com:443", "example.com")
    with pytest.raises(NotAuthenticated) as caught, acting.in_use("root", ManualClock(NOW + dt.timedelta(days=1))):
        raise Unavailable("NET-RESET", address="p", reason="closed")
    assert caught.value.code == "CLIENT-OUTPUT-EXPIRED"
    (tmp_path / "identity").write_bytes(b"something else")
    with pytest.raises(BadParameter) as damaged:
        output_folder.read(SystemDisk(), str(tmp_path), "proxy.example.com:443", "example.com")
    assert damaged.value.code == "CLIENT-OUTPUT-DAMAGED"


def test_parts_of_two_identities_are_a_file_that_was_damaged(tmp_path: Path) -> None:
    """Nobody looks at them before a connection fails."""
    file = identities.output(tmp_path, bot_name="ex")
    other = identities.parts(authorities.cluster(), bot_name="ex", name="other")
    file.write_bytes(identities.data_of(PARTS, "example.com", tls_certificate=other.tls_certificate))
    acting = output_folder.read(SystemDisk(), str(tmp_path), "proxy.example.com:443", "example.com")
    with pytest.raises(BadParameter) as damaged, acting.in_use("root", ManualClock(NOW)):
        raise Unavailable("NET-RESET", address="p", reason="closed")
    assert damaged.value.code == "CLIENT-OUTPUT-DAMAGED"


def test_other_failures_stay_what_they_are() -> None:
    with pytest.raises(NotFound) as caught, acting().in_use("root", ManualClock(NOW)):
        raise NotFound("PROXY-CLUSTER", cluster="other", known="example.com")
    assert caught.value.code == "PROXY-CLUSTER"
