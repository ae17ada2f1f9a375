"""tsh's own SSH client: one command or shell on one node, through the proxy.

The node proves itself with a certificate of the cluster's host authority for the name that was typed; there is no
other way to be trusted, and nothing is learnt on first use. Blocking and quick to import: no event loop, and of
cryptography only what this connection uses. The protocol is in `ssh_client`.
"""

from __future__ import annotations

from teleport.base.clock import Clock, SystemClock
from teleport.base.lean import TYPE_CHECKING, Callable, Mapping
from teleport.client.holder_call import OFF
from teleport.client.profile import Home, Profile
from teleport.client.reach import ask, enter, knock, reach
from teleport.client.resumption import Means, ResumableCarrier, tell
from teleport.client.ssh_client.connection import Connection, engine_of
from teleport.client.ssh_client.session import FAILED as FAILED
from teleport.client.ssh_client.session import Ends as Ends
from teleport.client.ssh_client.session import Session, Wanted, unblocked
from teleport.client.ssh_client.trust import HostTrust, host_authorities, user_key
from teleport.wire.reach import Request

if TYPE_CHECKING:
    from teleport.client.stdio import BlockingTls
    from teleport.client.terminal import Terminal


def connect(
    home: Home, profile: Profile, request: Request, *, host: str, proxy: str = "", clock: Clock | None = None,
    way: BlockingTls | None = None, tell: Callable[[str], None] | None = tell,
) -> Connection:  # fmt: skip
    """Return a connection on which the profile's user is signed in; `host` is the name that the node's certificate
    must have. `proxy` is the address of another proxy of the cluster to go through. Who was in a hurry gives `way`, on
    which the node has been asked for (`client.reach.ask`). `tell` hears when the way is lost and another one found;
    None: with the way the connection is lost.

    Raises what `client.reach` raises, NotAuthenticated (CLIENT-HOST-KEY, CLIENT-NODE-REFUSED), Unavailable
    (CLIENT-SSH, NET-*), and BadParameter (PKI-KEY, DISK-*) for keys that cannot be used.
    """
    if way is None:
        way = knock(home, profile, proxy=proxy)
        ask(way, request)
    try:
        trust = HostTrust(host, host_authorities(home, profile), (clock or SystemClock()).now)
        key = user_key(home, profile)
        engine = engine_of(request.login, key, trust)
    except BaseException:
        way.sock.close()
        raise
    first = engine.take()
    enter(way, first)
    if tell is None:
        return Connection.begun(way, engine, host)

    def again(node: str) -> BlockingTls:
        return reach(home, profile, request._replace(target=node), proxy=proxy)

    return Connection.begun(ResumableCarrier(way, first, Means(again, lambda: key, host, tell)), engine, host)


def run(
    home: Home, profile: Profile, request: Request, *, host: str, command: str | None, ends: Ends,
    terminal: Terminal | None = None, tell: Callable[[str], None] | None = tell,
) -> int:  # fmt: skip
    """Run a command on a node and return its exit status. `tell` as for `connect`.

    Without a command the node's shell is asked for, with `terminal` at one of its own. Raises what `connect` and
    `run_on` raise.
    """
    connection = connect(home, profile, request, host=host, tell=tell)
    try:
        return run_on(connection, Wanted(command), ends, terminal)
    finally:
        connection.close()


def run_on(connection: Connection, wanted: Wanted, ends: Ends, terminal: Terminal | None = None) -> int:
    """Run one session on a connection and return its exit status.

    Raises AccessDenied (CLIENT-NODE-REFUSED), Unavailable (CLIENT-SSH, NET-*), BrokenPipeError.
    """
    if terminal is None:
        with unblocked(ends.stdin, ends.stdout, ends.stderr):
            return _finish(connection, connection.open_session(ends, wanted))
    # The shell may speak before its request is known to have been granted: signals are ours from here on.
    with terminal.watched() as signals, unblocked(ends.stdin, ends.stdout, ends.stderr):
        session = connection.open_session(ends, wanted._replace(terminal=terminal.wanted(), escapes=terminal.is_real))
        signals.tell(session.resize, lambda number: session.leave(128 + number))
        connection.watched.append(signals)
        connection.run(lambda: session.started or session.done)
        if session.done:
            return _finish(connection, session)
        with terminal.raw(session.resize):
            return _finish(connection, session)


def _finish(connection: Connection, session: Session) -> int:
    connection.run(lambda: session.done)
    return session.result()


def keep(connection: Connection, environment: Mapping[str, str], profile: Profile, key: bytes) -> None:
    """Let a process of its own hold the connection for the next call, or leave it: ours ends now. `key` is what it is
    for (`holder_call.key`); empty if it may not be held."""
    if key and not environment.get(OFF) and not connection.suspended:
        from teleport.client import holder

        if holder.may_hold(environment, profile):
            holder.keep(connection, environment, key, profile.valid_until)
            return
    connection.leave()
