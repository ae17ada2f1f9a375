"""What calls about servers without an agent take and give, in plain terms."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from teleport.pki.login_proof import LoginProof


@dataclass(frozen=True, slots=True)
class Certified:
    """An SSH certificate and its end."""

    certificate: bytes
    """Blob."""
    expires: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAt:
    """A user who has signed in at the proxy wants to go on to a server without an agent."""

    node: str
    """Name of its resource."""
    login: str
    ssh_public_key: bytes
    """Blob of the key that the proxy shows there."""
    proof: LoginProof
    client_address: str = ""
    """`host:port` of the user, for the record."""


@dataclass(frozen=True, slots=True)
class Former:
    """What a server shows to keep the id that it has."""

    certificate: bytes
    """Blob of its host certificate."""
    signature: bytes
    """By the key in it, over `statement`: SSH signature blob."""


def statement(token: str, ssh_public_key: bytes) -> bytes:
    """Return what a server signs with its former key: this token and this key, and nothing that could be used again."""
    return b"teleport join openssh\0" + hashlib.sha256(token.encode()).digest() + ssh_public_key


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinServer:
    """A server without an agent wants to be known."""

    token: str = field(repr=False)
    hostname: str
    address: str
    """`host:port` of its sshd."""
    ssh_public_key: bytes
    """Blob of its host key."""
    former: Former | None = None
    """What it was at an earlier time; None: it gets a new id."""
    labels: Mapping[str, str] = field(default_factory=dict)
    principals: tuple[str, ...] = ()
    client_address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What a server without an agent gets."""

    host_uuid: str
    cluster: str
    certificate: bytes
    """Blob of its host certificate."""
    expires: dt.datetime
    user_authorities: tuple[str, ...]
    """Keys that its sshd has to trust for users: lines of authorized_keys without options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRequest:
    """An OpenSSH server is to have a host certificate."""

    ssh_public_key: bytes
    """Blob of its host key."""
    principals: tuple[str, ...]
    """Names under which it is reached; no others stand in the certificate."""
    expires: dt.datetime
    trusts: str = "user"
    """Authority whose keys it is going to trust for users: `user` or `openssh`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCertified:
    """What an OpenSSH server gets."""

    certificate: bytes
    """Blob."""
    expires: dt.datetime
    user_authorities: tuple[str, ...]
    """Keys that its sshd has to trust for users: lines of authorized_keys without options."""
