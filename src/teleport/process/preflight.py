"""What must hold before anything is started: services that this build can run with these settings."""

from __future__ import annotations

from teleport.base.errors import BadParameter, Unavailable
from teleport.process.settings import NO_SECOND_FACTOR, Settings

UNFINISHED = "restore-unfinished"
"""A file of this name in the data directory: a restore was interrupted there."""


def check(settings: Settings) -> None:
    """Raise BadParameter (PROC-NO-SERVICE, PROC-NO-SERVER, PROC-NO-SECOND-FACTOR) or Unavailable
    (PROC-RESTORE-UNFINISHED)."""
    check_services(settings)
    off = settings.auth.enabled and settings.auth.authentication.required == "off"
    if off and not settings.allow_no_second_factor:
        raise BadParameter("PROC-NO-SECOND-FACTOR", source=settings.source, variable=NO_SECOND_FACTOR)
    if (settings.data_dir / UNFINISHED).exists():
        raise Unavailable("PROC-RESTORE-UNFINISHED", path=settings.data_dir)


def check_services(settings: Settings) -> None:
    """The part of `check` that depends on the configuration alone."""
    sections = (("proxy_service", settings.proxy), ("ssh_service", settings.ssh))
    enabled = [name for name, section in sections if section.enabled]
    if settings.auth.enabled:
        return
    if not enabled:
        raise BadParameter("PROC-NO-SERVICE", source=settings.source)
    if not settings.join.servers:
        raise BadParameter("PROC-NO-SERVER", source=settings.source)
