"""Checks of the network between here and a cluster, in the order in which a connection meets its parts."""

from __future__ import annotations

from teleport.client.doctor.check import Check
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
from teleport.client.doctor.trip import Trip


def _of_proxy(trip: Trip) -> bool:
    """Whether only proxies can be asked this."""
    return not trip.is_auth


CHECKS: tuple[Check[Trip], ...] = (
    Check("environment", environment.run),
    Check("dns", dns.run, ("environment",)),
    Check("tcp", tcp.run, ("dns",)),
    Check("connect", connect.run, ("tcp",)),
    Check("tls", tls.run, ("connect",), applies=_of_proxy),
    Check("web", web.run, ("tls",), applies=_of_proxy),
    Check("version", version.run, ("web",), applies=_of_proxy),
    Check("clock", clock.run, ("web",), applies=_of_proxy),
    Check("balancer", balancer.run, ("tls",), applies=_of_proxy),
    Check("advertised", advertised.run, ("web",), applies=_of_proxy),
    Check("ssh", ssh.run, ("connect",), applies=_of_proxy),
    Check("auth", auth.run, ("connect",)),
)
