"""The setting of how long connections may be silent: the first one, what the file says of it, and who changes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from teleport.auth.hooks import Hooks
from teleport.base.errors import AlreadyExists, BadParameter
from teleport.model.identity import Identity
from teleport.model.kinds.cluster_networking_config import ClusterNetworkingConfig, ClusterNetworkingConfigSpec
from teleport.model.kinds.session_recording_config import CONFIG_FILE, DEFAULTS, DYNAMIC, ORIGIN
from teleport.model.resource import Metadata, Resource
from teleport.store.backend import Op
from teleport.store.resources import Resources

KIND = ClusterNetworkingConfig.info.name
_NAMED = Metadata(name=ClusterNetworkingConfig.info.singleton)


async def ensure(store: Resources, wanted: ClusterNetworkingConfigSpec | None) -> None:
    """Make the setting if there is none; bring it in line with the configuration file.

    `wanted` is None where the file says nothing: then people decide, and a setting that came from the file before
    becomes theirs.
    """
    origin = DEFAULTS if wanted is None else CONFIG_FILE
    fresh = ClusterNetworkingConfig(version="v2", metadata=_NAMED, spec=wanted or ClusterNetworkingConfigSpec())
    try:
        await store.create(_from(fresh, origin))
        return
    except AlreadyExists:
        found = await store.get(ClusterNetworkingConfig, "")
    new = found
    if wanted is not None:
        new = _from(msgspec.structs.replace(found, spec=wanted), CONFIG_FILE)
    elif found.metadata.labels.get(ORIGIN) == CONFIG_FILE:
        new = _from(found, DYNAMIC)
    if new != found:
        await store.update(new)


class NetworkingHooks(Hooks):
    """What the configuration file says is changed there."""

    async def prepare(
        self, new: Resource[Any], old: Resource[Any] | None, by: Identity
    ) -> tuple[Resource[Any], Sequence[Op]]:
        if old is not None and old.metadata.labels.get(ORIGIN) == CONFIG_FILE:
            raise BadParameter("NET-CONFIG-FILE")
        return _from(new, DYNAMIC), ()


def _from(config: Any, origin: str) -> Any:
    return config.with_metadata(labels={**config.metadata.labels, ORIGIN: origin})
