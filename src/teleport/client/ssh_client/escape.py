"""The way out of a session that hangs: `~.` at the beginning of a line, as with ssh(1). `~~` sends one `~`."""

from __future__ import annotations

_MARK, _LEAVE = ord("~"), ord(".")
_NEWLINES = b"\r\n"


class Escape:
    """Looks through what is typed."""

    def __init__(self) -> None:
        self.leaving = False
        self._at_start = True
        self._marked = False

    def feed(self, data: bytes) -> bytes:
        """Return what is to be sent of it."""
        if _MARK not in data and not self._marked:
            self._at_start = data[-1] in _NEWLINES if data else self._at_start
            return data
        kept = bytearray()
        for key in data:
            if self._marked:
                self._marked = False
                if key == _LEAVE:
                    self.leaving = True
                    break
                if key != _MARK:
                    kept.append(_MARK)
            elif key == _MARK and self._at_start:
                self._marked, self._at_start = True, False
                continue
            kept.append(key)
            self._at_start = key in _NEWLINES
        return bytes(kept)
