"""Budgets: what a peer may send that makes work and asks for nothing.

Pings, settings, resets and the like are part of HTTP/2, a few of them belong to every connection, and none of
them costs the sender anything (CVE-2019-9512, -9514, -9515, -9518, CVE-2023-44487). Each has a price, the
connection has a purse that fills slowly, and whoever empties it is cut off.
"""

from __future__ import annotations

from collections.abc import Mapping

from h2 import events

PURSE = 1000.0
"""What a new connection holds, and the most that it can save up."""
INCOME = 100.0
"""What it earns in a second."""

_PRICES: Mapping[type[events.Event], float] = {
    events.StreamReset: 1.0,
    events.RemoteSettingsChanged: 1.0,
    events.PingReceived: 1.0,
    events.PriorityUpdated: 1.0,
    events.UnknownFrameReceived: 1.0,
    events.WindowUpdated: 0.05,  # whoever reads a lot sends many
}


class Budget:
    """The purse of one connection. Times are those of one monotonic clock, in seconds."""

    def __init__(self, now: float) -> None:
        self._left = PURSE
        self._as_of = now

    def covers(self, event: events.Event, now: float) -> bool:
        """Pay for an event; False when the purse does not hold enough."""
        price = _price(event)
        if not price:
            return True
        self._left = min(PURSE, self._left + (now - self._as_of) * INCOME) - price
        self._as_of = now
        return self._left >= 0


def _price(event: events.Event) -> float:
    if isinstance(event, events.DataReceived):
        return 0.0 if event.data or event.stream_ended is not None else 1.0
    return _PRICES.get(type(event), 0.0)
