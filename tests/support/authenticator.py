"""An authenticator app, written from RFC 6238 alone, and a person who types each of its codes once.

Nothing of the server's code for codes is used here: what both agree on is the standard.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct

from teleport.base.clock import SystemClock
from tests.support.processes import wait_for

_clock = SystemClock()
_STEP = 30
_ON_ITS_WAY = 8.0
"""Seconds that may pass between typing a code and its arrival."""


class Authenticator:
    """Knows one secret."""

    def __init__(self, secret: str) -> None:
        text = secret.replace(" ", "")
        self.secret = base64.b32decode(text + "=" * (-len(text) % 8))
        self._last = 0

    def at(self, step: int) -> str:
        """Return the code of a step."""
        digest = hmac.new(self.secret, struct.pack(">Q", step), hashlib.sha1).digest()
        at = digest[19] & 15
        return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 1000000:06}"

    def code(self) -> str:
        """Return a code that was not used and is good now.

        A server accepts the codes of one step before and after, each once; so three are good at a time,
        as from phones whose clocks are a little off. Waits for the next one when all are used.
        """
        while True:
            now = _clock.now().timestamp()
            early = now % _STEP < _STEP - _ON_ITS_WAY
            step = max(self._last + 1, int(now // _STEP) - early)
            if step <= now // _STEP + 1:
                self._last = step
                return self.at(step)
            due = (step - 1) * _STEP
            wait_for("the time of the next code", lambda: _clock.now().timestamp() >= due, seconds=2 * _STEP)  # noqa: B023
