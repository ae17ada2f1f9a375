"""Output `ssh_host`: what it asks for, as whom, and the key that stays."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from teleport.api.openssh_messages import ServerCertified, ServerRequest
from teleport.bot.outputs import ssh_host
from teleport.bot.outputs.ssh_host import SshHostService
from teleport.model.config.tbot_destinations import DirectoryDestination
from teleport.model.config.tbot_services import SshHostOutput
from teleport.pki import keys
from tests.support.authorities import NOW
from tests.support.bot_outputs import Issuing, Place, generate, means

ASKED: list[ServerRequest] = []


class Calls:
    """What answers at the Auth Service."""

    def __init__(self, client: Any) -> None:
        pass

    async def issue_server(self, asked: ServerRequest) -> ServerCertified:
        ASKED.append(asked)
        return ServerCertified(
            certificate=asked.ssh_public_key, expires=asked.expires, user_authorities=("ssh-ed25519 AAAA", "ssh-x B")
        )


@pytest.fixture(autouse=True)
def calls(monkeypatch: pytest.MonkeyPatch) -> None:
    ASKED.clear()
    monkeypatch.setattr(ssh_host, "OpenSSHCalls", Calls)


def generated(place: Place, bot: Issuing, times: int = 1) -> None:
    """Start an output, and let it generate."""
    section = SshHostOutput(
        destination=DirectoryDestination(path=place.folder), principals=("build-1.example.com",), ca_type="openssh",
        roles=("host-signer",),
    )  # fmt: skip
    service = SshHostService(section, name="ssh-host-1", ttl=600.0, interval=1200.0, means=means(place))
    generate(service, bot, times)


def test_it_asks_with_the_roles_of_the_output() -> None:
    place, bot = Place(), Issuing()
    generated(place, bot)
    assert [asked.roles for asked in bot.asked] == [("host-signer",)]
    (seen,) = bot.seen
    assert seen is not None
    assert seen.identity.roles == ("host-signer",)
    (asked,) = ASKED
    assert (asked.principals, asked.trusts) == (("build-1.example.com",), "openssh")
    assert asked.expires == NOW + dt.timedelta(seconds=600)
    assert set(place.files) == {"ssh_host", "ssh_host-cert.pub", "ssh_host-user-ca.pub"} == set(place.names)
    assert place.files["ssh_host-user-ca.pub"] == b"ssh-ed25519 AAAA\nssh-x B\n"
    key = keys.load_private(place.files["ssh_host"])
    assert place.files["ssh_host-cert.pub"].decode() == f"{keys.ssh_line(keys.ssh_blob(key.public_key()))}\n"


def test_the_key_stays_over_renewals_and_restarts() -> None:
    place, bot = Place(), Issuing()
    generated(place, bot, times=2)
    generated(place, bot)
    assert len({asked.ssh_public_key for asked in ASKED}) == 1


@pytest.mark.parametrize("left", [b"", b"something else"])
def test_what_is_no_key_is_replaced(left: bytes) -> None:
    """`tbot init` leaves empty files."""
    place = Place()
    place.files["ssh_host"] = left
    generated(place, Issuing())
    assert keys.load_private(place.files["ssh_host"])
