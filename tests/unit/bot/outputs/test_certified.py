"""Certificates of an output, and the key that stays."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import io

import pytest

from teleport.api.bot_messages import Output
from teleport.api.messages import Authority
from teleport.base.clock import ManualClock
from teleport.base.entropy import SeededEntropy
from teleport.bot.destinations.memory import Memory
from teleport.bot.outputs.certified import KEY_LIFE, NAMES, Certified, identity_set
from teleport.bot.parts import Held
from teleport.client import identity_file
from teleport.pki import keys
from tests.support.bot_facts import HELD, HOST_KEY
from tests.support.log_lines import said

__all__ = ["said"]

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
TLS = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
SSH = "ecdsa-sha2-nistp256-cert-v01@openssh.com AAAA"
WANTED = Output(ssh_public_key="", tls_public_key="")


class Issuer:
    """As much of a bot as an output asks."""

    def __init__(self, clock: ManualClock, lasts: dt.timedelta = dt.timedelta(hours=1)) -> None:
        self.asked: list[Output] = []
        self._clock = clock
        self._lasts = lasts

    async def issue(self, wanted: Output, key: str) -> Held:
        self.asked.append(wanted)
        return dataclasses.replace(HELD, key=key, expires=self._clock.now() + self._lasts)


def certified(clock: ManualClock) -> Certified:
    return Certified(Memory(), ttl=3600.0, clock=clock, entropy=SeededEntropy(3))


def test_the_key_stays_for_a_day_while_its_certificates_are_valid():
    clock = ManualClock(NOW)
    issuer, output = Issuer(clock), certified(clock)

    async def renewed(after: dt.timedelta) -> str:
        clock.advance(after)
        return (await output.renew(issuer, WANTED)).key  # type: ignore[arg-type]

    first = asyncio.run(renewed(dt.timedelta()))
    step = dt.timedelta(minutes=20)
    same = [asyncio.run(renewed(step)) for _ in range(KEY_LIFE // step - 1)]
    assert {*same} == {first}
    assert asyncio.run(renewed(step)) != first  # a day has passed
    late = asyncio.run(renewed(dt.timedelta()))
    assert asyncio.run(renewed(dt.timedelta(hours=2))) != late  # nobody used what had ended
    assert issuer.asked[0].expires == NOW + dt.timedelta(hours=1)


def test_a_key_that_was_refused_is_not_kept():
    clock = ManualClock(NOW)
    output = certified(clock)

    class Refusing(Issuer):
        async def issue(self, wanted: Output, key: str) -> Held:
            raise ValueError

    with pytest.raises(ValueError):
        asyncio.run(output.renew(Refusing(clock), WANTED))  # type: ignore[arg-type]
    assert asyncio.run(output.renew(Issuer(clock), WANTED)).key  # type: ignore[arg-type]


def test_the_identity_set_has_what_other_programs_expect():
    key = keys.private_pem(keys.make_p256(SeededEntropy(5))).decode()
    authority = Authority(cluster="example.com", type="host", ssh_keys=(HOST_KEY,), tls_certificates=(TLS,))
    made = dataclasses.replace(HELD, key=key, authorities=(authority,), ssh_certificate=SSH, tls_certificate=TLS)
    files = identity_set(made)
    assert {*files} <= {*NAMES}
    parts = identity_file.parse(files["identity"], "identity")
    assert parts.key == key
    assert files["key.pub"].startswith(b"ecdsa-sha2-nistp256 ")
    assert files[".write-test"] == b""


def test_the_log_tells_of_what_was_written(said: io.StringIO):
    """S1-32."""
    clock = ManualClock(NOW)
    output = certified(clock)
    output.tell(HELD)
    line = "INFO [TBOT]      Successfully renewed impersonated certificates for memory, valid: after="
    assert line in said.getvalue()
