"""Checks of the network between here and a cluster, in the order in which a connection meets its parts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from teleport.client.doctor.net import (
    advertised,
    auth,
    balancer,
    clock,
    connect,
    dns,
    environment,
    ssh,
    tcp,
    tls,
    version,
    web,
)
from teleport.client.doctor.report import Finding
from teleport.client.doctor.trip import Trip


class Check(NamedTuple):
    """One thing to look at."""

    name: str
    run: Callable[[Trip], Awaitable[str | Finding]]
    """Returns evidence, or a finding of another sort; raises what is wrong."""
    needs: tuple[str, ...] = ()
    """Checks without which this one says nothing."""
    of_proxy: bool = True
    """Whether only proxies can be asked this."""


CHECKS = (
    Check("environment", environment.run, of_proxy=False),
    Check("dns", dns.run, ("environment",), of_proxy=False),
    Check("tcp", tcp.run, ("dns",), of_proxy=False),
    Check("connect", connect.run, ("tcp",), of_proxy=False),
    Check("tls", tls.run, ("connect",)),
    Check("web", web.run, ("tls",)),
    Check("version", version.run, ("web",)),
    Check("clock", clock.run, ("web",)),
    Check("balancer", balancer.run, ("tls",)),
    Check("advertised", advertised.run, ("web",)),
    Check("ssh", ssh.run, ("connect",)),
    Check("auth", auth.run, ("connect",), of_proxy=False),
)
