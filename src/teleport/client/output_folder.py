"""The destination of a bot's output as whom a command acts: `ssh` starts `tbot ssh-proxy-command` with its path.

The identity file in it is one file, so that key and certificates belong together while tbot writes new ones. It is read
once: what a connection began with is what it is resumed with, whatever is renewed meanwhile.
"""

from __future__ import annotations

from teleport.base.clock import Clock
from teleport.base.disk import Disk
from teleport.base.errors import BadParameter, NotFound
from teleport.base.lean import TYPE_CHECKING, Iterator, Mapping, NamedTuple, contextmanager
from teleport.client import identity_file
from teleport.client.credentials import Credentials
from teleport.client.identity_file import IdentityFile

if TYPE_CHECKING:
    from teleport.client.profile import Home, Profile

NAME = "identity"


class Acting(NamedTuple):
    """As whom, through which proxy, in which cluster."""

    path: str
    """Of the identity file."""
    parts: IdentityFile
    address: str
    """`host:port` of the proxy."""
    cluster: str

    def opened(self, between: Mapping[str, str], *, upgraded: bool) -> tuple[Home, Profile]:
        """Return a home and a profile for connections. `between` are the variables of `profile.between`."""
        home, profile = identity_file.open_unread(self.parts, self.address, self.cluster)
        home.between = between
        return home, profile._replace(upgraded=upgraded)

    @contextmanager
    def in_use(self, login: str, clock: Clock) -> Iterator[None]:
        """Say of whatever fails in the block what is wrong with the identity, if that is why: it has ended, it is of
        another cluster, or it has not got the login.

        Raises NotAuthenticated (CLIENT-IDENTITY-*), AccessDenied (CLIENT-LOGIN), BadParameter (CLIENT-IDENTITY), and
        what the block raises."""
        from teleport.base.errors import TeleportError

        try:
            yield
        except TeleportError as error:
            home, profile = identity_file.open_home(self.parts, self.path, self.address)
            chosen = Credentials(home, profile, self.path)
            chosen.check_valid(clock)
            with chosen.in_use(login):
                raise error from None


def read(disk: Disk, folder: str, address: str, cluster: str, *, kind: str = "identity") -> Acting:
    """Read a destination. `kind`: of which type its output should be, as the error says it.

    Raises BadParameter (CLIENT-IDENTITY), NotFound (CLIENT-DESTINATION), DISK-*."""
    path = f"{folder.rstrip('/')}/{NAME}"
    try:
        data = disk.read(path, limit=identity_file.MAX_FILE)
    except NotFound:
        raise NotFound(
            "CLIENT-DESTINATION", folder=folder, kind=kind, problem=f"there is no file {NAME} in it"
        ) from None
    try:
        return Acting(path, identity_file.parse(data, path), address, cluster)
    except BadParameter:
        if data:
            raise
        raise NotFound("CLIENT-DESTINATION", folder=folder, kind=kind, problem=f"its file {NAME} is empty") from None
