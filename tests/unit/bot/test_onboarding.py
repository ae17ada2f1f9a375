"""How a bot joins in front of a real TLS port: whom it believes, and what it is told when it is not served."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import io
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from teleport.base.clock import ManualClock
from teleport.base.disk import MemoryDisk
from teleport.base.errors import AccessDenied, NotAuthenticated, NotFound, TeleportError
from teleport.bot.held import make_key
from teleport.bot.onboarding import Door
from teleport.bot.parts import Held
from teleport.bot.reach import Reach
from teleport.bot.report import lines
from teleport.bot.web_find import WebFind
from teleport.client.auth_way import AuthWay
from teleport.model.address import Address
from teleport.model.config.tbot_yaml import (
    AzureOnboarding,
    BoundKeypairOnboarding,
    GitlabOnboarding,
    KubernetesOnboarding,
    Onboarding,
)
from teleport.pki import x509
from tests.support.auth_cluster import document_of
from tests.support.auth_door import OpenDoor, open_door
from tests.support.bots import USER, make_bot
from tests.support.joiner import SECRET
from tests.support.log_lines import said

__all__ = ["said"]


class Machine:
    """A machine that reaches the port."""

    def __init__(self, door: OpenDoor, **onboarding: Any) -> None:
        self.disk = MemoryDisk()
        self.clock = ManualClock(door.cluster.clock.now())
        self.entropy = door.cluster.entropy
        way = AuthWay(
            (Address("127.0.0.1", door.port),), network=door.network, entropy=self.entropy, environment={}
        )  # fmt: skip
        find = WebFind(network=door.network, entropy=self.entropy, environment={})
        insecure = onboarding.pop("insecure", False)
        self.reach = Reach(way, find, clock=self.clock)
        self.door = Door(
            Onboarding(**{"token": SECRET, "join_method": "token", **onboarding}), self.reach, ttl=3600.0,
            host_name="machine-1", environment={"MINE": "jwt"}, disk=self.disk, folder="/state", clock=self.clock,
            entropy=self.entropy, insecure=insecure,
        )  # fmt: skip

    async def joined(self, former: Held | None = None) -> Held:
        return await self.door.join(make_key(self.entropy), former)


def on(story: Callable[[OpenDoor], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_door() as door:
            await make_bot(door.cluster, "access")
            await story(door)

    asyncio.run(main())


async def root(door: OpenDoor) -> bytes:
    (found,) = await door.authorities()
    return found


def test_pins_go_before_a_file_and_a_file_is_believed(said: io.StringIO):
    async def story(door: OpenDoor) -> None:
        own = await root(door)
        wrong = Machine(door, ca_pins=("sha256:" + "0" * 64,), ca_path="/ca.pem")
        wrong.disk.write("/ca.pem", x509.pem(own).encode())
        with pytest.raises(AccessDenied) as caught:
            await wrong.joined()
        assert caught.value.code == "CLIENT-CA-PIN"
        by_file = Machine(door, ca_path="/ca.pem")
        by_file.disk.write("/ca.pem", x509.pem(own).encode())
        held = await by_file.joined()
        assert (held.identity.bot_name, held.identity.generation) == ("example", 1)
        assert "validating the identity" not in said.getvalue()

    on(story)


def test_a_pin_may_stand_in_a_file():
    async def story(door: OpenDoor) -> None:
        machine = Machine(door, ca_pins=("/pin",))
        machine.disk.write("/pin", x509.pin(await root(door)).encode() + b"\n")
        assert (await machine.joined()).identity.renewable

    on(story)


def test_another_authority_is_not_believed_and_an_absent_file_is_warned_of(said: io.StringIO):
    async def story(door: OpenDoor) -> None:
        other = Machine(door, ca_path="/ca.pem")
        async with open_door(seed=8) as elsewhere:
            other.disk.write("/ca.pem", x509.pem(await root(elsewhere)).encode())
        with pytest.raises(TeleportError) as caught:
            await other.joined()
        assert caught.value.code == "NET-TLS-UNKNOWN-CA"
        assert (await Machine(door, ca_path="/none.pem").joined()).identity.renewable
        assert "There is no certificate at ca_path: the Auth Service is believed unseen" in said.getvalue()
        assert "without validating the identity of the Auth Server" in said.getvalue()

    on(story)


def test_a_locked_bot_is_told_the_first_cause_and_what_followed(said: io.StringIO):
    """S1-02, S1-03, S1-22, S1-60."""

    async def story(door: OpenDoor) -> None:
        machine = Machine(door, insecure=True)
        held = await machine.joined()
        await door.cluster.admin.create(document_of("lock", "lock-1", {"target": {"user": USER}}))
        with pytest.raises(AccessDenied) as caught:
            await machine.door.renew(held, make_key(machine.entropy))
        assert caught.value.code == "POL-LOCKED"
        shown = list(lines(caught.value, debug=True))
        assert shown[0] == "ERROR: failed direct dial to auth server: auth API: access denied [00]"
        tunnel = (
            f'Get "https://127.0.0.1:{door.port}/webapi/find": x509: cannot validate certificate for 127.0.0.1 because '
            "it doesn't contain any IP SANs"
        )
        quoted = tunnel.replace('"', '\\"')
        question = 'Get \\"https://teleport.cluster.local/v2/configuration/name\\"'
        first = "auth API: access denied [00], failed dial to auth server through reverse tunnel"
        assert shown[1:3] == [f'"\\t{first}: {question}: {quoted}"', f'"\\t{question}: {quoted}"']
        assert said.getvalue().count(f"ERRO [TBOT]      Failed to resolve tunnel address {tunnel} ") == 2

    on(story)


def test_an_ended_identity_is_told_by_its_own_page():
    """S1-23."""

    async def story(door: OpenDoor) -> None:
        machine = Machine(door, insecure=True)
        held = await machine.joined()
        pair = await door.expired()
        ended = dataclasses.replace(held, tls_certificate=pair.certificate, key=pair.key)
        machine.clock.advance(dt.timedelta(hours=2))
        with pytest.raises(NotAuthenticated) as caught:
            async with machine.reach.client(lambda: ended) as client:
                await client.ping()
        assert caught.value.code == "BOT-IDENT-EXPIRED"
        cause = 'Get "https://teleport.cluster.local/v2/configuration/name": remote error: tls: bad certificate'
        assert next(iter(lines(caught.value, debug=False))) == f"ERROR: failed direct dial to auth server: {cause}"
        machine.clock.advance(-dt.timedelta(hours=2))  # by this clock it is valid: then it is about clocks
        with pytest.raises(NotAuthenticated) as caught:
            async with machine.reach.client(lambda: ended) as client:
                await client.ping()
        assert caught.value.code == "API-CERT-EXPIRED"

    on(story)


def test_a_token_is_read_when_it_is_needed():
    async def story(door: OpenDoor) -> None:
        machine = Machine(door, token="/token", insecure=True)
        with pytest.raises(NotFound):
            machine.door.token()
        machine.disk.write("/token", f"{SECRET}\n".encode())
        assert machine.door.token() == SECRET
        assert (await machine.joined()).identity.bot_name == "example"

    on(story)


def test_join_methods_hear_what_the_configuration_says_in_place_of_variables():
    async def story(door: OpenDoor) -> None:
        machine = Machine(
            door, azure=AzureOnboarding(client_id="client"), kubernetes=KubernetesOnboarding(token_path="/pod"),
            gitlab=GitlabOnboarding(token_env_var_name="MINE"),
            bound_keypair=BoundKeypairOnboarding(registration_secret="once"),
        )  # fmt: skip
        found = machine.door._environment
        assert (found["AZURE_CLIENT_ID"], found["KUBERNETES_TOKEN_PATH"], found["TBOT_GITLAB_JWT"]) == (
            "client", "/pod", "jwt",
        )  # fmt: skip
        assert "AZURE_CLIENT_ID" not in Machine(door).door._environment
        assert Machine(door, join_method="").door.method == "token"

    on(story)
