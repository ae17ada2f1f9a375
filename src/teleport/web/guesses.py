"""Guesses: how often sign-ins may fail from one place, whoever they name.

The Auth Service counts failures by user (`auth.attempts`); here they are counted by source, so that one password
cannot be tried on many names, and nobody keeps the comparing of passwords busy. An attempt is counted
before it is made and given back when it succeeds: many at once are no way around.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager

from teleport.base.errors import AccessDenied, LimitExceeded, NotAuthenticated

LIMIT = 60
"""Failures of one source within the window. Many people may share an address, who mistype now and then."""
WINDOW = 600.0
"""Seconds for which a failure counts."""
_SOURCES = 10_000
"""Sources that are remembered; the longest silent one makes room."""
_IPV6_NETWORK = 64
"""Bits of an IPv6 address that one customer cannot change."""


class Guesses:
    """Counts failures in memory; a restart forgets them, and the lock-out of users stays."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    @contextmanager
    def attempt(self, address: str) -> Iterator[None]:
        """Hold one attempt from `address` (an IP address, empty for none).

        Raises LimitExceeded (WEB-GUESSES) without letting it begin.
        """
        now, failures = asyncio.get_running_loop().time(), self._of(source_of(address))
        while failures and failures[0] <= now - WINDOW:
            failures.popleft()
        if len(failures) >= LIMIT:
            raise LimitExceeded("WEB-GUESSES", limit=LIMIT, minutes=f"{WINDOW / 60:g}")
        failures.append(now)
        try:
            yield
        except (NotAuthenticated, AccessDenied, LimitExceeded):
            raise
        except BaseException:
            failures.remove(now)  # nothing was told of a password
            raise
        failures.remove(now)

    def _of(self, source: str) -> deque[float]:
        failures = self._failures.setdefault(source, deque(maxlen=LIMIT))
        self._failures.move_to_end(source)
        if len(self._failures) > _SOURCES:
            self._failures.popitem(last=False)
        return failures


def source_of(address: str) -> str:
    """Return what is counted as one source: an IPv4 address, or the network of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, _IPV6_NETWORK), strict=False))
