"""Refusals: connections that were turned away before anybody was known, in the log and in the audit log.

Anybody on the network can cause them, as many as they like. So the same refusal of the same source is written
once in a minute, with one more event for the rest of the minute; and in all there are at most `MOST` sources
written in a minute: what comes on top is counted together. An IPv6 source is its /64, which is what one host has.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass

from teleport.base.clock import Clock
from teleport.base.errors import TeleportError
from teleport.base.log import logger
from teleport.model.events.access import AuthAttempt
from teleport.store.audit.log import AuditLog

log = logger("AUTH")

WINDOW = dt.timedelta(seconds=60)
MOST = 20
"""Sources and reasons that are written one by one in a window; all others share one line."""
_OTHERS = "others"


@dataclass(slots=True)
class _Window:
    began: dt.datetime
    error: TeleportError
    more: int = 0
    """Refusals after the one that was written."""


class Refusals:
    """Notes refusals."""

    def __init__(self, audit: AuditLog, clock: Clock, server_id: str) -> None:
        self._audit = audit
        self._clock = clock
        self._server_id = server_id
        self._open: dict[tuple[str, str], _Window] = {}

    async def note(self, ip: str, error: TeleportError) -> None:
        """Note that a connection from `ip` was refused with `error`. Failures to write are logged."""
        await self.close_windows()
        key = (source_of(ip), error.code)
        if key not in self._open and len(self._open) >= MOST:
            key = (_OTHERS, _OTHERS)
        window = self._open.get(key)
        if window is not None:
            window.more += 1
            return
        self._open[key] = _Window(self._clock.now(), error)
        if key[0] == _OTHERS:
            self._open[key].more = 1
            return
        log.warn("A connection was refused", peer=ip, error=error)
        await self._write(error, ip, f"{error.code}: {error.why}")

    async def close_windows(self, *, all: bool = False) -> None:
        """Write what has been counted in windows that are over. Called with every refusal, and regularly."""
        limit = self._clock.now() - WINDOW
        for key, window in list(self._open.items()):
            if (window.began <= limit or all) and self._open.pop(key, None) is not None and window.more:
                source = "" if key[0] == _OTHERS else key[0]
                seconds = int(WINDOW.total_seconds())
                log.warn("More connections were refused", source=key[0], count=window.more, error=window.error)
                await self._write(window.error, source, f"{window.more} more within {seconds} seconds")

    async def _write(self, error: TeleportError, source: str, message: str) -> None:
        event = AuthAttempt(
            error=f"{error.what} ({error.code})", message=message, addr_remote=source, server_id=self._server_id
        )  # fmt: skip
        try:
            await self._audit.record(event)
        except TeleportError as failure:
            log.warn("A refusal was not written to the audit log", error=failure)


def source_of(ip: str) -> str:
    """Return what one sender cannot easily change of an address; the text itself where it is no address."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False).network_address) + "/64"
    return str(getattr(address, "ipv4_mapped", None) or address)
