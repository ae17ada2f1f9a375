"""What the configuration of an SSH Service says of channels, for the checker and for displays."""

from __future__ import annotations

from dataclasses import dataclass

from teleport.access.action import Channel
from teleport.model.config.ssh import SshSection


@dataclass(frozen=True)
class Switches:
    """Which channels are closed to everybody, and the displays that there are."""

    closed: tuple[Channel, ...] = ("x11",)
    display_offset: int = 10
    """First display of sessions."""
    display_most: int = 1010
    """Last one."""

    @classmethod
    def of(cls, section: SshSection) -> Switches:
        """Read them from `ssh_service`."""
        open_: dict[Channel, bool] = {
            "local_forward": bool(section.port_forwarding), "remote_forward": bool(section.port_forwarding),
            "file_copy": bool(section.ssh_file_copy), "x11": bool(section.x11.enabled),
        }  # fmt: skip
        closed = tuple(channel for channel, is_open in open_.items() if not is_open)
        return cls(closed, display_offset=section.x11.display_offset, display_most=section.x11.most)
