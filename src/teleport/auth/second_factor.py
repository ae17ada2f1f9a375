"""The second factor: who has to show one, how one is enrolled, and what proves it at a sign-in.

Enrolment. A link (`auth.invites`) has a seed that stays here; the secret that a browser is offered is
derived from the seed and from a random value that only this browser keeps. So nothing is stored before
the person has proven that their app works, the form cannot bring a secret of its own choice, and who
looks at the link before or after (a mail scanner, a colleague) is offered another secret.

Proving. A code is used up in the commit of what it was shown for: it counts once, whatever comes first.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from teleport.api.messages import Enrolment
from teleport.auth import totp
from teleport.auth.mfa_devices import Devices
from teleport.base.clock import Clock
from teleport.base.errors import BadParameter, NotFound
from teleport.model.events.base import caller_fields
from teleport.model.events.user import MFADeviceAdd, MFADeviceDelete
from teleport.model.identity import Identity
from teleport.model.naming import check_name
from teleport.store.audit.log import AuditLog
from teleport.store.backend import Op

Kind = Literal["otp", "off"]

DEVICE_NAME = "otp"
"""Name of a device that was given none."""
_NO_SECRET = bytes(totp.SECRET_BYTES)


@dataclass(frozen=True, slots=True)
class Proof:
    """A second factor that was shown: the operations that use it up. Empty where none is asked for."""

    ops: tuple[Op, ...] = ()


class SecondFactor:
    """Knows what the cluster asks for; commits nothing by itself."""

    def __init__(self, devices: Devices, audit: AuditLog, clock: Clock, cluster: str, kind: Kind) -> None:
        self.required = kind == "otp"
        """Whether nobody signs in with a password alone."""
        self._devices = devices
        self._audit = audit
        self._clock = clock
        self._cluster = cluster

    async def prove(self, user: str, code: str) -> Proof | None:
        """Return the proof, or None: the code is wrong or was used, or the user has no device.

        An empty `user`, for one who does not exist, has none.
        """
        if not self.required:
            return Proof()
        now = self._clock.now()
        devices = await self._devices.of(user)
        if not devices:
            totp.accepted_step(_NO_SECRET, code, now)  # as much work as for one who has a device
        for held in devices:
            step = totp.accepted_step(held.device.secret, code, now, last=held.device.last_step)
            if step is not None:
                return Proof((held.used_op(step, now),))
        return None

    def offer(self, user: str, seed: bytes, browser: str) -> Enrolment | None:
        """Return what a browser is offered; None where no second factor is asked for."""
        if not self.required:
            return None
        secret = _secret(seed, browser)
        return Enrolment(totp.base32(secret), totp.uri(secret, issuer=self._cluster, account=user))

    async def enrol_ops(
        self, user: str, seed: bytes, browser: str, code: str, *, name: str, client_ip: str
    ) -> Sequence[Op]:  # fmt: skip
        """Return the operations that make the app which showed `code` the user's one device.

        Raises BadParameter (AUTH-CODE, KIND-NAME) and NotFound (AUTH-INVITE) for a link from before
        there were second factors.
        """
        if not self.required:
            return await self.forget_ops(user, client_ip=client_ip)
        secret, now = _secret(seed, browser), self._clock.now()
        step = totp.accepted_step(secret, code, now)
        if step is None:
            raise BadParameter("AUTH-CODE")
        name = name or DEVICE_NAME
        check_name("device", name)
        device, put = self._devices.new(user, name=name, secret=secret, step=step, now=now)
        added = MFADeviceAdd(
            user=user, user_kind=1, addr_remote=client_ip, mfa_device_name=device.name, mfa_device_uuid=device.id,
            mfa_device_type=device.type,
        )  # fmt: skip
        return (*await self.forget_ops(user, client_ip=client_ip), put, self._audit.op(added))

    async def forget_ops(self, user: str, by: Identity | None = None, *, client_ip: str = "") -> Sequence[Op]:
        """Return the operations that remove every device of `user`, and the events that say so.

        `by` is who does it; None: the user.
        """
        ops: list[Op] = []
        actor = caller_fields(by) if by else {"user": user, "user_kind": 1}
        for held in await self._devices.of(user):
            event = MFADeviceDelete(
                addr_remote=client_ip, mfa_device_name=held.device.name, mfa_device_uuid=held.device.id,
                mfa_device_type=held.device.type, owner=user, **actor,
            )  # fmt: skip
            ops += [held.delete_op(), self._audit.op(event)]
        return ops


def _secret(seed: bytes, browser: str) -> bytes:
    """Derive a secret that nobody knows without both (HMAC as a random function, RFC 2104)."""
    if not seed:
        raise NotFound("AUTH-INVITE")
    return hmac.digest(seed, browser.encode("utf-8", "surrogatepass"), hashlib.sha256)[: totp.SECRET_BYTES]
