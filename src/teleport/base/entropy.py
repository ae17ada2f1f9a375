"""Randomness, injected. Secrets, identifiers and jitter all come from here."""

from __future__ import annotations

import os

from teleport.base.lean import Protocol


class Entropy(Protocol):
    """A source of random bytes."""

    def token(self, size: int) -> bytes:
        """Return `size` unpredictable bytes."""


class SystemEntropy:
    """The operating system's generator."""

    def token(self, size: int) -> bytes:
        return os.urandom(size)


class SeededEntropy:
    """Repeatable bytes for simulations. Never used where a secret matters."""

    def __init__(self, seed: int) -> None:
        from random import Random  # what runs for real, in processes of every sort, does without

        self._random = Random(seed)  # noqa: S311 - repeatable on purpose

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)


def new_uuid(entropy: Entropy) -> str:
    """Return a random UUID (RFC 9562, version 4) in its 36-character form."""
    number = int.from_bytes(entropy.token(16), "big")
    number = number & ~(0xF << 76) | 4 << 76  # the version
    number = number & ~(3 << 62) | 2 << 62  # the variant
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_id(entropy: Entropy) -> str:
    """Return a random identifier of 26 lower-case characters (128 bits), easy to read aloud and to paste.

    Identifiers of decisions are made here: they carry no authority and say nothing of their subject.
    """
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
    number = int.from_bytes(entropy.token(16), "big")
    return "".join(alphabet[(number >> shift) & 31] for shift in range(125, -1, -5))


def fraction(entropy: Entropy) -> float:
    """Return a number in [0, 1), for jitter."""
    # 53 bits are what a float holds exactly: with more, the largest values would round up to 1.
    return (int.from_bytes(entropy.token(7), "big") >> 3) / float(1 << 53)
