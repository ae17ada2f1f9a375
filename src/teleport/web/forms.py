"""Forms: what a browser sends with a POST."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from teleport.base.errors import BadParameter
from teleport.web import security


async def checked_fields(request: web.Request) -> Mapping[str, str]:
    """Return the fields of a form that this browser got from us.

    Raises BadParameter (WEB-REQUEST), AccessDenied (WEB-CSRF).
    """
    if request.content_type != "application/x-www-form-urlencoded":
        raise BadParameter("WEB-REQUEST", problem="the body must be a form")
    try:
        fields = {name: str(value) for name, value in (await request.post()).items()}
    except (LookupError, ValueError):  # an encoding that does not exist, or text that is not in it
        raise BadParameter("WEB-REQUEST", problem="the form is not text") from None
    security.check_csrf(request, fields.get("csrf", ""))
    return fields
