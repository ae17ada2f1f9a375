"""Chains of certificates of others: makers of chips and clouds. The house's own authorities need none (`pki.check`).

What is looked at: signatures, names, that each issuer is an authority, and validity. What is not: whom the end of the
chain is about - the caller knows whom it must be about.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from cryptography import x509

from teleport.pki.x509 import is_issued_by

LONGEST = 3
"""Certificates between the end of a chain and its root."""


def is_valid(certificate: x509.Certificate, now: dt.datetime) -> bool:
    """Whether `now` lies between the certificate's times."""
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def leads(
    certificate: x509.Certificate, between: Sequence[x509.Certificate], roots: Iterable[x509.Certificate], *,
    now: dt.datetime, longest: int = LONGEST,
) -> bool:  # fmt: skip
    """Whether a chain of valid certificates goes from this one over some of those `between` to one of the `roots`."""
    known = tuple(roots)
    if not is_valid(certificate, now):
        return False
    if any(is_valid(root, now) and is_issued_by(certificate, root) for root in known):
        return True
    if not longest:
        return False
    issuers = (each for each in between if is_issued_by(certificate, each))
    return any(leads(each, between, known, now=now, longest=longest - 1) for each in issuers)
