"""What the certificates of services say."""

from __future__ import annotations

import pytest

from teleport.model.config import teleport_yaml
from teleport.process.auth_access import Wanted, proxy_names, wanted
from teleport.process.settings import make

KUBE = "remote.kube.proxy.teleport.cluster.local"


@pytest.mark.parametrize(
    ("section", "outward", "expected"),
    [
        ("public_addr: [a.example.com, 'b.example:443']", "10.0.0.5", ("a.example.com", "b.example", "10.0.0.5", KUBE)),
        ("web_listen_addr: 10.0.0.7", "10.0.0.5", ("10.0.0.7", KUBE)),
        ("web_listen_addr: '[::]:443', listen_addr: 10.0.0.8", "10.0.0.5", ("10.0.0.5", "10.0.0.8", KUBE)),
        ("public_addr: a.example.com", "", ("a.example.com", KUBE)),
    ],
)  # fmt: skip
def test_s0_20_names_of_the_proxy(section: str, outward: str, expected: tuple[str, ...]) -> None:
    """S0-20: public addresses and the machine's own, where the proxy listens on every one."""
    settings = make(teleport_yaml.load(f"version: v3\nproxy_service: {{{section}}}\n", "t"), "t")
    assert proxy_names(settings, lambda: outward) == expected


def test_each_enabled_service_is_certified_for_its_names() -> None:
    text = "version: v3\nteleport: {nodename: here}\nssh_service: {public_addr: [a.example.com, '10.0.0.9:22']}\n"
    found = wanted(make(teleport_yaml.load(text, "t"), "t"), lambda: "10.0.0.5")
    assert found == (
        Wanted("Proxy", "here", ("10.0.0.5", KUBE)), Wanted("Node", "here", ("a.example.com", "10.0.0.9"))
    )  # fmt: skip
    off = "proxy_service: {enabled: no}\nssh_service: {enabled: no}\n"
    assert wanted(make(teleport_yaml.load(f"version: v3\n{off}", "t"), "t")) == ()
