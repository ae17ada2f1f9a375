"""The names for which the proxy has itself certified. Everything else of the module is in test_assembly."""

from __future__ import annotations

import pytest

from teleport.model.config import teleport_yaml
from teleport.process.node_access import names
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
    assert names(settings, lambda: outward) == expected
