"""The few data types of SSH that keys and certificates are made of (RFC 4251 section 5).

Reading is strict and bounded by the input; what is wrong is told as `Malformed`, which the modules
above turn into an error with a code. Nothing here knows what the bytes mean.
"""

from __future__ import annotations


class Malformed(ValueError):
    """The bytes are not what they should be. `str()` says what is wrong, in a few words."""


def string(data: bytes) -> bytes:
    """Return `data` with its length in front (RFC 4251: string)."""
    return len(data).to_bytes(4, "big") + data


def mpint(number: int) -> bytes:
    """Return a non-negative number as an mpint, shortest form (RFC 4251: mpint)."""
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big") if number else b"")


class Reader:
    """Takes values off the front of a byte string."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def position(self) -> int:
        """Number of bytes taken so far."""
        return self._at

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._data)

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes. Raises Malformed if there are fewer."""
        end = self._at + size
        if end > len(self._data):
            raise Malformed("it is cut short")
        part = self._data[self._at : end]
        self._at = end
        return part

    def uint(self, size: int) -> int:
        """Return the next big-endian number of `size` bytes."""
        return int.from_bytes(self.take(size), "big")

    def string(self) -> bytes:
        """Return the next length-prefixed string."""
        return self.take(self.uint(4))

    def text(self) -> str:
        """Return the next string as text. Raises Malformed unless it is UTF-8."""
        try:
            return self.string().decode()
        except UnicodeDecodeError:
            raise Malformed("a text in it is not UTF-8") from None

    def mpint(self) -> int:
        """Return the next non-negative mpint. Raises Malformed unless it is in shortest form."""
        data = self.string()
        number = int.from_bytes(data, "big")
        if mpint(number) != string(data):
            raise Malformed("a number in it is negative or not in shortest form")
        return number

    def end(self) -> None:
        """Raise Malformed if anything is left."""
        if not self.done:
            raise Malformed("bytes follow its end")
