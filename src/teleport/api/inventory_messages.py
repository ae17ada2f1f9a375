"""What is said on control streams, and about them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hello:
    """How a process introduces itself."""

    version: str
    hostname: str
    services: tuple[str, ...]
    """System roles."""
    external_upgrader: str = ""
    external_upgrader_version: str = ""
    process_id: str = ""
    """Random at every start."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A process whose control stream is open."""

    server_id: str
    hello: Hello
    address: str
    since: dt.datetime


@dataclass(frozen=True, slots=True)
class Ping:
    """The Auth Service asks for an answer with this number."""

    number: int


@dataclass(frozen=True, slots=True)
class Clone:
    """Another process acts under the same host id."""

    address: str
    hostname: str


Word = Ping | Clone
"""What the Auth Service says to a process after its hello."""
