"""SIGHUP: read the configuration again and apply what can change without dropping a session.

A part that can change registers under its key in the file; the log is such a part always. Everything
else that differs is named in the log as waiting for a restart. A file that cannot be read changes nothing. So it is
where the Auth Service runs, whose store one process has at a time; elsewhere another process takes over
(`process.handover`), and the file is only looked at here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TextIO

import msgspec

from teleport.base.errors import TeleportError
from teleport.base.log import get_level, logger
from teleport.process import preflight
from teleport.process.settings import LogSettings, Settings

log = logger("PROC:1")

Apply = Callable[[Settings], bool]
"""Take what concerns a part from new settings; say whether anything changed. Raises TeleportError."""

LOG = "teleport.log"
_KEYS = {
    "version": "version", "nodename": "teleport.nodename", "data_dir": "teleport.data_dir",
    "pid_file": "teleport.pid_file",
    "cluster_name": "auth_service.cluster_name", "auth": "auth_service", "proxy": "proxy_service",
    "ssh": "ssh_service", "debug_enabled": "debug_service.enabled", "log": LOG,
    "join": "teleport.join_params", "advertised": "teleport.advertise_ip",
}  # fmt: skip
"""Where the fields of Settings stand in the file."""
NOT_RELOADED = "The configuration was not reloaded, the process goes on with the former one"
_NOT_COMPARED = frozenset({"source", "warnings", "environment", "skip_version_check", "allow_old_clients"})


class Parts:
    """What can be changed in a running process, by key of the file: `proxy_service.https_keypairs`."""

    def __init__(self) -> None:
        self._parts: dict[str, Apply] = {}

    def add(self, key: str, apply: Apply) -> None:
        """Register a part; one of the same key is replaced (a service that was started again)."""
        self._parts[key] = apply

    def items(self) -> list[tuple[str, Apply]]:
        """Return every part, in the order of registration."""
        return list(self._parts.items())


class Reloader:
    """Applies new settings to the running process."""

    def __init__(self, settings: Settings, reread: Callable[[], Settings], *, debug: bool = False) -> None:
        """`reread` reads the configuration as the start did; `debug` is the flag that wins over its level."""
        self._settings = settings
        self._log = settings.log
        self.parts = Parts()
        self._reread = reread
        self._debug = debug
        self._output: TextIO | None = None

    def check(self) -> bool:
        """Read the configuration as a new process will, say whether one could start with it, and open the log anew."""
        try:
            new = self._reread()
            preflight.check(new)
            self._reopen(new.log)
        except TeleportError as error:
            log.error(NOT_RELOADED, error=error)
            return False
        return True

    def reload(self) -> None:
        """Apply what can be applied and tell the log what was, what was not, and what needs a restart."""
        log.info('Got signal "hangup", reloading the configuration.')
        level = get_level()
        try:
            new = self._reread()
            self._reopen(new.log)
        except TeleportError as error:
            log.error(NOT_RELOADED, error=error)
            return
        # The level may also have been changed through the debug service since.
        applied = [LOG] if changes(self._log, new.log, LOG) or get_level() != level else []
        self._log = new.log
        failed = []
        for key, apply in self.parts.items():
            try:
                applied += [key] if apply(new) else []
            except TeleportError as error:
                failed.append(key)
                log.error("A part was not reloaded, its former state stays", part=key, error=error)
        covered = (LOG, *(key for key, _ in self.parts.items()))
        waiting = [key for key in changes(self._settings, new) if not key.startswith(covered)]
        if waiting:
            log.warn("These changes need a restart", keys=", ".join(waiting))
        names = {"reloaded": applied, "failed": failed, "need_restart": waiting}
        log.info("Reloaded the configuration", **{name: ",".join(keys) or "nothing" for name, keys in names.items()})

    def _reopen(self, settings: LogSettings) -> None:
        """Open the log anew even where nothing changed: log files are renamed away and expect that."""
        former, self._output = self._output, settings.apply(debug=self._debug)
        if former is not None:
            former.close()


def changes(old: object, new: object, path: str = "") -> list[str]:
    """Return the keys of the file at which two settings differ."""
    return list(dict.fromkeys(_changes(old, new, path)))


def _changes(old: object, new: object, path: str) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, Settings) and isinstance(new, Settings):
        for field in dataclasses.fields(old):
            if field.name not in _NOT_COMPARED:
                key = _KEYS.get(field.name, field.name)
                yield from _changes(getattr(old, field.name), getattr(new, field.name), key)
    elif isinstance(old, LogSettings) and isinstance(new, LogSettings):
        yield from _changes(old.section, new.section, path)
    elif isinstance(old, msgspec.Struct) and type(old) is type(new):
        for name, key in zip(old.__struct_fields__, old.__struct_encode_fields__, strict=True):
            yield from _changes(getattr(old, name), getattr(new, name), f"{path}.{key}")
    else:
        yield path
