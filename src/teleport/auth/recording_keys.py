"""Keys of recordings, and the setting that says whether sessions are recorded.

The setting is made by the first start of a cluster, or of this version in an older one. The private keys are with
the signer. A key is never taken away: what was sealed to it stays readable.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from teleport.api.caller import Caller
from teleport.api.recording_messages import RecordingKey
from teleport.auth.authorize import Authorizer
from teleport.auth.hooks import Hooks
from teleport.base.clock import Clock
from teleport.base.errors import AlreadyExists, BadParameter, CompareFailed, NotFound
from teleport.base.struct import Switch
from teleport.model.events.base import caller_fields
from teleport.model.events.recording import RecordingKeyRotated
from teleport.model.identity import Identity
from teleport.model.kinds.session_recording_config import (
    CONFIG_FILE,
    DEFAULTS,
    DYNAMIC,
    ORIGIN,
    SealingKey,
    SessionRecordingConfig,
    SessionRecordingConfigSpec,
    Status,
)
from teleport.model.resource import Metadata, Resource
from teleport.pki.signer import Signer
from teleport.store.audit.log import AuditLog
from teleport.store.backend import Op
from teleport.store.resources import Resources

KIND = SessionRecordingConfig.info.name
_TRIES = 5


class RecordingKeys:
    """Makes keys and keeps the setting."""

    def __init__(
        self, store: Resources, signer: Signer, audit: AuditLog, authorizer: Authorizer, clock: Clock
    ) -> None:  # fmt: skip
        self._store = store
        self._signer = signer
        self._audit = audit
        self._authorizer = authorizer
        self._clock = clock

    async def ensure(self, mode: str, checks: bool | None = None) -> None:
        """Make the setting if there is none, with a key; bring it in line with `mode` of the configuration file.

        `mode` is empty and `checks` (of host keys) None where the file says nothing: then people decide, and a setting
        that came from the file before becomes theirs.
        """
        in_file = bool(mode) or checks is not None
        try:
            found = await self._store.get(SessionRecordingConfig, "")
        except NotFound:
            spec = _as_file_says(SessionRecordingConfigSpec(), mode, checks)
            made = _from(SessionRecordingConfig(version="v2", metadata=_NAMED, spec=spec), in_file, DEFAULTS)
            try:
                await self._store.create(made.with_key(await self._new_key()))
                return
            except AlreadyExists:  # another process was first
                found = await self._store.get(SessionRecordingConfig, "")
        wanted = found
        if in_file:
            spec = _as_file_says(found.spec, mode, checks)
            wanted = _from(msgspec.structs.replace(found, spec=spec), in_file, "")
        elif found.metadata.labels.get(ORIGIN) == CONFIG_FILE:
            wanted = _from(found, False, DYNAMIC)
        if not wanted.status.keys:
            wanted = wanted.with_key(await self._new_key())
        if wanted != found:
            await self._store.update(wanted)

    async def every(self) -> tuple[RecordingKey, ...]:
        """Return all keys, the active one first."""
        keys = (await self._store.get(SessionRecordingConfig, "")).status.keys
        return tuple(RecordingKey(key.id, key.spki(), key.created, key is keys[0]) for key in keys)

    async def keys(self, caller: Caller) -> tuple[RecordingKey, ...]:
        """As `every`, for who may read the setting."""
        await self._authorizer.require(caller, "read", KIND)
        return await self.every()

    async def rotate(self, caller: Caller) -> tuple[RecordingKey, ...]:
        """Make a new key for recordings that begin from now on; return all."""
        rights = await self._authorizer.rights(caller)
        await self._authorizer.demand(rights, "update", KIND)
        key = await self._new_key()
        said = caller_fields(rights.identity)
        event = RecordingKeyRotated(key_id=key.id, addr_remote=rights.conditions.client_ip, **said)
        for attempt in range(_TRIES):
            found = await self._store.get(SessionRecordingConfig, "")
            try:
                await self._store.update(found.with_key(key), self._audit.op(event))
                break
            except CompareFailed:
                if attempt == _TRIES - 1:
                    raise
        return await self.every()

    async def _new_key(self) -> SealingKey:
        made = await self._signer.generate("x25519", "recording")
        public = base64.b64encode(made.spki).decode()
        return SealingKey(id=made.key_id, public_key=public, created=self._clock.now().replace(microsecond=0))


class ConfigHooks(Hooks):
    """What the configuration file says is changed there; the server's own part is nobody else's."""

    async def prepare(
        self, new: Resource[Any], old: Resource[Any] | None, by: Identity
    ) -> tuple[Resource[Any], Sequence[Op]]:
        assert isinstance(new, SessionRecordingConfig)  # noqa: S101 - the table of hooks pairs kind and hooks
        if not isinstance(old, SessionRecordingConfig):
            return _from(msgspec.structs.replace(new, status=Status()), False, DYNAMIC), ()
        if old.metadata.labels.get(ORIGIN) == CONFIG_FILE:
            raise BadParameter("REC-CONFIG-FILE")
        return _from(msgspec.structs.replace(new, status=old.status), False, DYNAMIC), ()


_NAMED = Metadata(name=SessionRecordingConfig.info.singleton)


def _as_file_says(spec: SessionRecordingConfigSpec, mode: str, checks: bool | None) -> SessionRecordingConfigSpec:
    checked = spec.proxy_checks_host_keys if checks is None else Switch(checks)
    return msgspec.structs.replace(spec, mode=mode or spec.mode, proxy_checks_host_keys=checked)


def _from(config: SessionRecordingConfig, in_file: bool, otherwise: str) -> SessionRecordingConfig:
    """Return the setting with the label that says where it comes from."""
    labels = {**config.metadata.labels, ORIGIN: CONFIG_FILE if in_file else otherwise}
    return config.with_metadata(labels=labels)
