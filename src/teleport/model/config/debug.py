"""`debug_service`: the local socket that changes the log level of a running process."""

from __future__ import annotations

from teleport.model.config.section import ServiceSection


class DebugSection(ServiceSection, frozen=True, kw_only=True):
    """Only whether it runs; the socket is `<data_dir>/debug.sock`."""
