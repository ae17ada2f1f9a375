"""LoginProof: what is left of a login by SSH that a third party can check: who signed in, as which account.

RFC 4252 §7: a client signs the session id of its connection with the key in its certificate. Whoever terminated that
connection can show certificate, session id and signature to somebody else, who needs no trust in him to know that the
holder of the key wanted to log in. What it does not say is where: the session id is the only word about the server. So
it is to be taken once, and to open nothing that the user may not open anyway.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from teleport.base.errors import NotAuthenticated
from teleport.model.identity import Identity
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.pki import check, login_request
from teleport.pki.ssh_wire import Malformed


@dataclass(frozen=True, slots=True)
class LoginProof:
    """A login, as the server of it saw it."""

    certificate: bytes
    """Blob of the user's certificate."""
    session_id: bytes
    """Of the connection: the exchange hash of its first key exchange (RFC 4253 §7.2)."""
    message: bytes
    """The request as it was signed, without the session id in front."""
    signature: bytes
    """SSH signature blob."""


def verify(
    proof: LoginProof, *, login: str, authorities: Iterable[CertAuthority], now: dt.datetime, cluster: str
) -> Identity:
    """Return who logged in as `login`.

    Raises NotAuthenticated (PKI-LOGIN-PROOF) for a proof that proves nothing, AccessDenied (PKI-CARRIED) for one by
    a proxy instead of a user, and what `check.check_user` raises; a certificate that is bound to an address is refused
    by it: where the user was cannot be proven.
    """
    try:
        account, certificate = login_request.read(proof.session_id, proof.message, proof.signature)
        if account != login:
            raise Malformed("it is a login as somebody else")
        if certificate.blob != proof.certificate:
            raise Malformed("the signed message is about another certificate")
    except Malformed as error:
        raise NotAuthenticated("PKI-LOGIN-PROOF", problem=error) from None
    identity = check.check_user(
        proof.certificate, proven_key=certificate.key, login=login, authorities=authorities, now=now, source_ip="",
        cluster=cluster,
    )  # fmt: skip
    check.check_carried(identity)
    return identity
