"""Credentials: whom a command acts as - a profile of `tsh login`, or an identity file.

Both become a home and a profile, so that everything after this works the same. An identity file is read into
memory and never copied to disk; it says nothing about where the cluster is, so the proxy must be named.

Quick to import: what reads certificates is imported only for an identity file.
"""

from __future__ import annotations

from teleport.base.clock import Clock
from teleport.base.disk import Disk
from teleport.base.errors import AccessDenied, BadParameter, NotAuthenticated, NotFound, TeleportError, Unavailable
from teleport.base.lean import Callable, Iterator, Mapping, NamedTuple, contextmanager
from teleport.client.profile import DEFAULT_PORTS, Home, Profile, address_of, between
from teleport.model.address import Address

CONNECT_TIMEOUT = 10.0
"""Seconds for each port that is tried."""
_NOT_OURS = frozenset({
    "NET-TLS-UNKNOWN-CA", "NET-TLS-NAME", "NET-TLS-BAD-CERTIFICATE", "NET-TLS-REFUSED-UNKNOWN-CA",
    "NET-TLS-REFUSED-BAD-CERTIFICATE", "NET-TLS-PROTOCOL", "API-CERT-UNKNOWN-CA",
})  # fmt: skip
"""What shows that one side is of another cluster, or of none."""


_OTHER_LOGIN = frozenset({"POL-NO-LOGIN", "POL-NO-PRINCIPAL", "CLIENT-NODE-REFUSED"})
"""What is said of a login that the certificate is not for."""


class Wanted(NamedTuple):
    """What the options of a command say about whom it acts as; empty where they say nothing."""

    proxy: str = ""
    identity: str = ""
    """Path of an identity file."""
    user: str = ""


class Credentials(NamedTuple):
    """Whom a command acts as."""

    home: Home
    profile: Profile
    identity: str = ""
    """Path of the identity file; empty for a profile."""
    of_tbot: bool = False
    """Whether `tbot` writes that file."""

    def check_valid(self, clock: Clock) -> None:
        """Raise NotAuthenticated (CLIENT-EXPIRED, CLIENT-IDENTITY-EXPIRED, CLIENT-OUTPUT-EXPIRED) when the certificates
        have ended."""
        profile, until = self.profile, self.profile.valid_until.isoformat()
        if profile.valid_until > clock.now():
            return
        if self.of_tbot:
            raise NotAuthenticated("CLIENT-OUTPUT-EXPIRED", path=self.identity, user=profile.user, until=until)
        if self.identity:
            raise NotAuthenticated("CLIENT-IDENTITY-EXPIRED", path=self.identity, user=profile.user, until=until)
        raise NotAuthenticated("CLIENT-EXPIRED", user=profile.user, proxy=profile.proxy_host, until=until)

    @contextmanager
    def in_use(self, login: str = "") -> Iterator[None]:
        """Say what was wrong with the credentials: of an identity which cluster it is of, when one side could not
        prove to the other that both are of it, and that a `login` on a node is none of the certificate's.

        Raises NotAuthenticated (CLIENT-IDENTITY-FOREIGN), AccessDenied (CLIENT-LOGIN) and what the block raises."""
        try:
            yield
        except TeleportError as error:
            if login and error.code in _OTHER_LOGIN and login not in self.profile.logins:
                logins = ", ".join(self.profile.logins) or "none"
                said = f"{error.what} ({error.why})" if error.why else error.what
                raise AccessDenied("CLIENT-LOGIN", id=error.id, login=login, logins=logins, said=said) from error
            if not self.identity or error.code not in _NOT_OURS:
                raise
            raise NotAuthenticated(
                "CLIENT-IDENTITY-FOREIGN", path=self.identity, cluster=self.profile.cluster,
                proxy=self.profile.web_proxy_addr, problem=str(error),
            ) from error  # fmt: skip


def choose(environment: Mapping[str, str], disk: Disk, wanted: Wanted, *, warn: Callable[[str], None]) -> Credentials:
    """Return the credentials that options and environment mean: the identity file, else the profile of the proxy,
    else the current one. `warn` is told of an identity file that others may read.

    Raises what `Home.choose` raises, NotFound (CLIENT-NOT-LOGGED-IN) for another user's, BadParameter
    (CLIENT-IDENTITY, CLIENT-IDENTITY-PROXY, CLIENT-OUTPUT-DAMAGED), DISK-*, and Unavailable (CLIENT-UNREACHABLE) for
    a proxy without a port that answers on none.
    """
    proxy = wanted.proxy or environment.get("TELEPORT_PROXY", "")
    path = wanted.identity or environment.get("TELEPORT_IDENTITY_FILE", "")
    if path:
        found = _from_file(disk, path, proxy, warn, between(environment))
    else:
        home = Home.from_environment(environment, disk)
        found = Credentials(home, home.choose(proxy))
    if wanted.user not in ("", found.profile.user):
        raise NotFound("CLIENT-NOT-LOGGED-IN")
    return found


def _from_file(
    disk: Disk, path: str, proxy: str, warn: Callable[[str], None], variables: Mapping[str, str]
) -> Credentials:  # fmt: skip
    from teleport.client import identity_file

    with identity_file.read_from(disk, path):
        parts = identity_file.parse(disk.read(path, limit=identity_file.MAX_FILE), path)
    if (mode := disk.mode(path)) & 0o077:
        warn(f"others may use the private key in {path} (mode {mode:04o}): chmod 600 {path}")
    if not proxy:
        raise BadParameter("CLIENT-IDENTITY-PROXY", path=path)
    address = locate(proxy, variables)
    with identity_file.read_from(disk, path):
        home, profile = identity_file.open_home(parts, path, address)
    home.between = variables
    return Credentials(home, profile, path, identity_file.is_of_tbot(disk, path))


def locate(proxy: str, variables: Mapping[str, str] | None = None) -> str:
    """Return `host:port` of a proxy. Where no port is given, the first default one that somebody listens on; the
    `variables` say on which way.

    Raises BadParameter (KIND-ADDRESS), Unavailable (CLIENT-UNREACHABLE).
    """
    host, port = address_of(proxy)
    if port:
        return str(Address(host, port))
    problem: object = None
    for number in DEFAULT_PORTS:
        try:
            _knock(Address(host, number), variables)
            return str(Address(host, number))
        except OSError as error:
            problem = error.strerror or error
        except TeleportError as error:
            problem = error.what
    raise Unavailable("CLIENT-UNREACHABLE", address=host, problem=problem)


def _knock(address: Address, variables: Mapping[str, str] | None) -> None:
    """Connect once. Raises OSError, and what `client.way.straight` raises."""
    if variables:
        from teleport.client.way import straight

        straight(str(address), variables).close()
    else:
        import socket  # where the proxy is, is known to all who have signed in

        socket.create_connection(address, timeout=CONNECT_TIMEOUT).close()
