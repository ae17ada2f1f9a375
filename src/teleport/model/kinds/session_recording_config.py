"""session_recording_config: whether sessions are recorded, and the keys that recordings are sealed to.

There is one in a cluster, made by its first start. `status` is the server's: what people write there is ignored. A
private key is not in the document, and there is no field for one: `id` names it to the signer.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from teleport.base.errors import BadParameter, NotSupported
from teleport.base.struct import Struct, Switch
from teleport.model.later import Later, check_later
from teleport.model.naming import check_name
from teleport.model.resource import Column, Resource, Time, kind

MODES = ("node", "off", "node-sync", "proxy", "proxy-sync")
"""Words of `mode`."""
AT_PROXY = ("proxy", "proxy-sync")
"""Modes in which the proxy ends every SSH connection and records it."""
ORIGIN = "teleport.dev/origin"
"""Label that says where the settings come from."""
CONFIG_FILE, DYNAMIC, DEFAULTS = "config-file", "dynamic", "defaults"


class Encryption(Struct, frozen=True, kw_only=True):
    """Recordings are always sealed: `enabled` may say so or be left out."""

    enabled: Switch = Switch(True)
    manual_key_management: Annotated[Any, Later(({"enabled": False},))] = None


class SessionRecordingConfigSpec(Struct, frozen=True, kw_only=True):
    """What people decide."""

    mode: str = "node"
    """`node`: the server that a session is on records it; `node-sync`: it does, and what it records counts
    when the Auth Service has it; `proxy`, `proxy-sync`: the proxy ends every connection and records; `off`: nothing
    is recorded."""
    proxy_checks_host_keys: Switch = Switch(True)
    """Whether a server at which the proxy arrives has to show a host certificate of the cluster."""
    encryption: Encryption = Encryption()


class SealingKey(Struct, frozen=True, kw_only=True):
    """A key that recordings are sealed to."""

    id: str
    public_key: str
    """SubjectPublicKeyInfo in DER, base64."""
    created: Time

    def spki(self) -> bytes:
        """Return the public key in DER."""
        return base64.b64decode(self.public_key)


class Status(Struct, frozen=True, kw_only=True):
    """What the server says."""

    keys: tuple[SealingKey, ...] = ()
    """The first one seals new recordings, all open theirs."""


@kind(
    key="session_recording_config",
    versions=("v2",),
    singleton="session-recording-config",
    aliases=("recconfig", "rec_config", "recording_config", "session_recording"),
    writable=("create", "edit"),
    columns=(
        Column("Mode", lambda it: str(it.spec.mode)),
        Column("Origin", lambda it: str(it.metadata.labels.get(ORIGIN, ""))),
        Column("Keys", lambda it: str(len(it.status.keys))),
    ),
    messages={
        "create": "session recording config has been created", "update": "session recording config has been updated",
    },
    events={
        "create": ("session_recording_config.update", "TCREC003I"),
        "update": ("session_recording_config.update", "TCREC003I"),
    },
)  # fmt: skip
class SessionRecordingConfig(
    Resource[SessionRecordingConfigSpec], frozen=True, kw_only=True, tag="session_recording_config"
):  # fmt: skip
    """How sessions are recorded."""

    status: Status = Status()

    @classmethod
    def upgrade(cls, document: dict[str, Any]) -> dict[str, Any]:
        """Read `mode: off` as the word that people mean: YAML takes it for a truth value."""
        spec = document.get("spec")
        if isinstance(spec, Mapping) and spec.get("mode") is False:
            return {**document, "spec": {**spec, "mode": "off"}}
        return document

    def check(self) -> None:
        """Raise BadParameter (KIND-VALUE, KIND-NAME) for unknown words, NotSupported for what is not acted on."""
        check_later("session_recording_config", self.spec)
        check_mode(self.spec.mode)
        if not self.spec.encryption.enabled:
            raise NotSupported(
                "KIND-FIELD-NOT-SUPPORTED", kind="session_recording_config", field="spec.encryption.enabled",
                supported="yes: recordings are always sealed",
            )  # fmt: skip
        for key in self.status.keys:
            check_name("key id", key.id)
            try:
                base64.b64decode(key.public_key, validate=True)
            except (binascii.Error, ValueError):
                raise BadParameter(
                    "KIND-FIELD", kind="session_recording_config", problem="a key is not base64 - at `$.status.keys`"
                ) from None

    @property
    def records(self) -> bool:
        """Whether sessions are recorded."""
        return self.spec.mode != "off"

    @property
    def at_proxy(self) -> bool:
        """Whether the proxy ends the connections to every node, and records them."""
        return self.spec.mode in AT_PROXY

    @property
    def synchronous(self) -> bool:
        """Whether a session waits until the Auth Service has what it recorded."""
        return self.spec.mode.endswith("-sync")

    @property
    def checks_host_keys(self) -> bool:
        """Whether a server at which the proxy arrives has to show a host certificate of the cluster."""
        return bool(self.spec.proxy_checks_host_keys)

    @property
    def sealing_key(self) -> SealingKey | None:
        """The key for new recordings."""
        return self.status.keys[0] if self.status.keys else None

    def with_key(self, key: SealingKey) -> SessionRecordingConfig:
        """Return the same with a new key in front."""
        return msgspec.structs.replace(self, status=Status(keys=(key, *self.status.keys)))


def check_mode(mode: str) -> None:
    """Raise BadParameter (CONFIG-VALUE) for an unknown mode."""
    if mode not in MODES:
        known = ", ".join(MODES)
        raise BadParameter("CONFIG-VALUE", what="mode of session recording", value=ascii(mode[:40]), known=known)
