"""Generations: whether the certificates that a bot shows are the last ones that it was given.

A bot that holds a secret token's certificates renews them with themselves. Each renewal makes the next generation,
and a bot stores the key pair of the next one before it asks: so a request that is repeated, because its answer was
lost, the disk full or the bot killed, names the same key and gets the same generation again. The next generation
shown confirms that it arrived. Two holders of copied certificates make keys of their own, and one of them shows what
is not the last, or asks for a second key: neither may go on.

A request can also be late: it was given up and repeated, the repetition was answered, and it arrives when more has
happened since. It is word for word what the holder of a copy would send whose storage was put back. The two are told
apart by asking: who is really there is told which generation was given last, and says so when it asks again.
"""

from __future__ import annotations

import hmac
from typing import Literal

Renewal = Literal["next", "again", "late", "fork", "mismatch"]
"""`next`: what was given last is shown, the next generation is due. `again`: the answer to the same request was lost.
`late`: a request that was answered long ago, from somebody who may not be there any more. `fork`: the generation before
is shown and another key than the one that has been certified since; `mismatch`: neither the last generation nor the one
before it is shown."""


def judge(
    given: int, key: bytes, shown: int, wanted_key: bytes, *, followed: bytes = b"", told: int = 0
) -> Renewal:  # fmt: skip
    """Judge a renewal. `given` is the generation that was given out last, for the public key `key`; `shown` stands in
    the certificate of who asks, `wanted_key` is the public key to certify. `followed` is the key that was certified
    after the shown generation, as far as that is remembered; `told`, the last generation that who asks was told of."""
    if shown == given:
        return "next"
    if shown == given - 1:
        return "again" if hmac.compare_digest(key, wanted_key) else "fork"
    answered = shown < given and bool(followed) and hmac.compare_digest(followed, wanted_key)
    return "late" if answered and told < given else "mismatch"
