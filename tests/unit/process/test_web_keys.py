"""The certificates of the web port in use: which one a name gets, and when files are read again."""

from __future__ import annotations

import asyncio

import pytest

from teleport.base import log
from teleport.base.clock import ManualClock
from teleport.base.disk import MemoryDisk
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter
from teleport.model.config import teleport_yaml
from teleport.process.settings import Settings, make
from teleport.process.web_keys import WebKeys
from tests.support import virtual_loop
from tests.support.authorities import NOW
from tests.support.tls import authority


def settings(*names: str, interval: str = "0s", **more: str) -> Settings:
    pairs = ", ".join(f"{{key_file: /etc/{name}.pem, cert_file: /etc/{name}.pem}}" for name in names)
    listed = f"https_keypairs: [{pairs}], https_keypairs_reload_interval: {interval}"
    return make(teleport_yaml.load(f"teleport: {{data_dir: /data}}\nproxy_service: {{{listed}}}\n", "t"), "t")


def pem(name: str) -> bytes:
    return authority().issue(name)


@pytest.fixture
def disk() -> MemoryDisk:
    made = MemoryDisk()
    for folder in ("/etc", "/data"):
        made.make_dir(folder)
    for name, dns in (("a", "a.example.com"), ("b", "b.example.com")):
        made.write(f"/etc/{name}.pem", pem(dns))
    return made


def web_keys(found: Settings, disk: MemoryDisk) -> WebKeys:
    return WebKeys(found, disk=disk, clock=ManualClock(NOW), entropy=SeededEntropy(1))


def test_each_name_gets_its_certificate_and_all_others_the_first(disk: MemoryDisk) -> None:
    keys = web_keys(settings("a", "b"), disk)
    first, second = keys.context("a.example.com"), keys.context("b.example.com")
    assert first is not second
    assert keys.context("B.Example.com") is second
    assert keys.context("c.example.com") is keys.context("") is first


def test_without_files_there_is_one_of_our_own(disk: MemoryDisk) -> None:
    keys = web_keys(settings(), disk)
    assert keys.context("x") is keys.context("localhost")
    assert disk.exists("/data/webproxy_cert.pem")


def test_what_is_no_pair_stops_the_start_and_changes_nothing_later(disk: MemoryDisk) -> None:
    keys = web_keys(settings("a"), disk)
    before = keys.context("")
    assert not keys.renew(settings("a"))
    disk.write("/etc/a.pem", b"nothing")
    for attempt in (lambda: keys.renew(settings("a")), lambda: web_keys(settings("a"), disk)):
        with pytest.raises(BadParameter) as caught:
            attempt()
        assert caught.value.code == "PROXY-KEYPAIR"
    assert keys.context("") is before
    assert keys.renew(settings("b"))
    assert keys.context("") is not before


def test_files_are_read_again_as_often_as_the_configuration_says(
    disk: MemoryDisk, caplog: pytest.LogCaptureFixture
) -> None:
    former = log.get_level()
    log.set_level("INFO")

    async def story() -> None:
        keys = web_keys(settings("a", interval="1h"), disk)
        following = asyncio.get_running_loop().create_task(keys.follow())
        first = keys.context("")
        await asyncio.sleep(3700)
        assert keys.context("") is first
        disk.write("/etc/a.pem", pem("new.example.com"))
        await asyncio.sleep(3700)
        second = keys.context("")
        assert second is not first
        assert "uses new certificates" in caplog.text
        disk.write("/etc/a.pem", b"half")
        await asyncio.sleep(3700)
        assert keys.context("") is second
        assert "the former ones stay" in caplog.text
        following.cancel()
        await asyncio.wait([following])

    try:
        virtual_loop.run(story())
    finally:
        log.set_level(former)


def test_without_an_interval_nothing_is_read_by_itself(disk: MemoryDisk) -> None:
    virtual_loop.run(web_keys(settings("a"), disk).follow())
