"""Generations: whether the certificates that a bot shows are the last ones that it was given.

A bot that holds a secret token's certificates renews them with themselves. Each renewal makes the next generation,
and a bot stores the key pair of the next one before it asks: so a request that is repeated, because its answer was
lost, the disk full or the bot killed, names the same key and gets the same generation again. The next generation
shown confirms that it arrived. Two holders of copied certificates make keys of their own, and one of them shows what
is not the last, or asks for a second key: neither may go on.
"""

from __future__ import annotations

import hmac
from typing import Literal

Renewal = Literal["next", "again", "fork", "mismatch"]
"""`next`: what was given last is shown, the next generation is due. `again`: the answer to the same request was lost.
`fork`: the generation before is shown and another key than the one that has been certified since; `mismatch`: neither
the last generation nor the one before it is shown."""


def judge(given: int, key: bytes, shown: int, wanted_key: bytes) -> Renewal:
    """Judge a renewal. `given` is the generation that was given out last, for the public key `key`; `shown` stands in
    the certificate of who asks, `wanted_key` is the public key to certify."""
    if shown == given:
        return "next"
    if shown != given - 1:
        return "mismatch"
    return "again" if hmac.compare_digest(key, wanted_key) else "fork"
