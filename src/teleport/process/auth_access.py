"""AuthAccess: how the services of this process reach the Auth Service and who they are there, wherever it runs.

Two implement it: `process.control_plane` (the Auth Service is in this process: memory) and `process.membership` (it is
elsewhere: TLS with certificates of this host). Services take this and never know which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from teleport.api.client import AuthClient
from teleport.net.stream import Stream
from teleport.process import facts
from teleport.process.identity import RoleIdentity, Wanted
from teleport.process.settings import Settings

PROXY_NAME_FOR_KUBE = "remote.kube.proxy.teleport.cluster.local"
_EVERY = ("0.0.0.0", "::")  # noqa: S104 - compared only


class AuthAccess(Protocol):
    """Everything but `client` may be asked once the service that gives access is ready."""

    @property
    def host_uuid(self) -> str:
        """Id of this host in the cluster."""
        ...

    @property
    def settings(self) -> Settings:
        """The settings of this process; what the cluster decides is as its Auth Service says."""
        ...

    def client(self, role: str) -> AuthClient:
        """Return a client that acts in a system role of this process; closed with what gave it."""
        ...

    def identity(self, role: str) -> RoleIdentity:
        """Return keys and certificates of a role: `Node` or `Proxy`, as far as they are enabled."""
        ...

    @property
    def proxy(self) -> str:
        """Address of the proxy through which everything goes, and to which agents keep tunnels; empty: there is none,
        agents are dialled."""
        ...

    async def dial_proxy(self, role: str) -> Stream:
        """Return a connection to that proxy for the tunnel of a role, on which both sides have proven themselves.
        Raises what dialling and TLS raise."""
        ...

    async def dial_auth(self) -> Stream:
        """Return a bare connection to an Auth Service, to carry somebody else's TLS. Raises what dialling raises."""
        ...


def wanted(settings: Settings, outward: Callable[[], str] = facts.outward_address) -> tuple[Wanted, ...]:
    """Return what the certificates of the enabled services shall say. `outward` tells the machine's own address."""
    found = []
    if settings.proxy.enabled:
        found.append(Wanted("Proxy", settings.nodename, proxy_names(settings, outward)))
    if settings.ssh.enabled:
        found.append(Wanted("Node", settings.nodename, tuple(address.host for address in settings.ssh.public)))
    return tuple(found)


def proxy_names(settings: Settings, outward: Callable[[], str]) -> tuple[str, ...]:
    """Return the names of the proxy beside those of its host: public addresses, addresses that it listens on, and the
    name under which the proxy of another cluster is asked for Kubernetes. `outward` tells the machine's own address,
    for a proxy that listens on every one."""
    listens = [address.host for address in (settings.proxy.web_listen, *settings.proxy_ports.values())]
    reached = [outward() if host in _EVERY else host for host in listens]
    public = [address.host for address in settings.proxy.public]
    return tuple(dict.fromkeys(name for name in (*public, *reached, PROXY_NAME_FOR_KUBE) if name))
