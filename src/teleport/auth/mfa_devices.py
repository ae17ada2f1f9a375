"""Devices: what a user proves possession of when signing in. So far authenticator apps (TOTP).

A device is part of the user's secrets: it stands at `/web/users/<name>/mfa/<id>`, where no API reads it,
and goes with the user. With it stands the step of the last code that was accepted: whoever accepts a code
writes the step under the condition that the device is unchanged, so of two who use a code at the same
time one wins.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from teleport.base.entropy import Entropy, new_uuid
from teleport.store.backend import Absent, At, Backend, Delete, Put

TOTP: Literal["TOTP"] = "TOTP"
MOST = 10
"""Devices of one user."""


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticator app that knows a secret."""

    id: str
    name: str
    secret: bytes
    added: dt.datetime
    last_used: dt.datetime
    last_step: int
    """Step of the last accepted code: neither it nor an earlier one is accepted again."""
    type: Literal["TOTP"] = TOTP


@dataclass(frozen=True, slots=True)
class Held:
    """A device as it stands in the store."""

    key: str
    revision: int
    device: Device

    def used_op(self, step: int, now: dt.datetime) -> Put:
        """Return the operation that uses a code up. It fails when another code was used meanwhile."""
        used = msgspec.structs.replace(self.device, last_step=step, last_used=now)
        return Put(self.key, msgspec.json.encode(used), when=At(self.revision))

    def delete_op(self) -> Delete:
        """Return the operation that removes the device."""
        return Delete(self.key)


class Devices:
    """Finds devices and makes the operations that change them; commits nothing by itself."""

    def __init__(self, backend: Backend, entropy: Entropy) -> None:
        self._backend = backend
        self._entropy = entropy

    async def of(self, user: str) -> tuple[Held, ...]:
        """Return the devices of a user, a checked name."""
        found = []
        async for item in self._backend.scan(_folder(user), limit=MOST):
            found.append(Held(item.key, item.revision, msgspec.json.decode(item.value, type=Device)))  # noqa: PERF401
        return tuple(found)

    async def delete_ops(self, user: str) -> Sequence[Delete]:
        """Return the operations that remove every device of a user."""
        return [held.delete_op() for held in await self.of(user)]

    def new(self, user: str, *, name: str, secret: bytes, step: int, now: dt.datetime) -> tuple[Device, Put]:
        """Return a new device, proven by the code of `step`, and the operation that stores it."""
        device = Device(
            id=new_uuid(self._entropy), name=name, secret=secret, added=now, last_used=now, last_step=step
        )  # fmt: skip
        return device, Put(_folder(user) + device.id, msgspec.json.encode(device), when=Absent())


def _folder(user: str) -> str:
    return f"/web/users/{user}/mfa/"
