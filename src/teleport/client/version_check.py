"""Whether this program and a cluster are of versions that work together, before anybody signs in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teleport.base.errors import BadParameter, NotSupported
from teleport.base.version_order import check_fit, ordered
from teleport.version import VERSION


def check(settings: Mapping[str, Any], *, skip: bool = False, ours: str = VERSION) -> NotSupported | None:
    """Look at what a proxy says of itself (`server_version`, `min_client_version`). Return what people should be warned
    of (VER-BEHIND; with `skip` also what would be raised), or None.

    Raises NotSupported (VER-TOO-OLD, VER-TOO-NEW)."""
    theirs, least = (str(settings.get(key, ""))[:40] for key in ("server_version", "min_client_version"))
    try:
        check_fit(ours, theirs, who="this program", least=least)
        own, other = ordered(ours), ordered(theirs)
    except NotSupported as error:
        if not skip:
            raise
        return error
    except BadParameter:
        return None
    if own >= other:
        return None
    far = ", and is 1 major version out of date" if own[0] < other[0] else ""
    return NotSupported("VER-BEHIND", ours=ours, theirs=theirs, far=far)
