"""spec.tpm: machines, by the endorsement key of their TPM 2.0."""

from __future__ import annotations

import re

from teleport.base.struct import Struct
from teleport.model.token_methods.rules import check_rules, demand

_HASH = re.compile(r"[0-9a-f]{64}")
_SERIAL = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){0,19}")


class TpmRule(Struct, frozen=True, kw_only=True):
    """A chip, as `teleport tpm identify` describes it."""

    description: str = ""
    """For people."""
    ek_public_hash: str = ""
    """SHA-256 of the public endorsement key (SubjectPublicKeyInfo), in hex."""
    ek_certificate_serial: str = ""
    """Serial number of the key's certificate, in hex with colons. Makers number as they like: without
    `ekcert_allowed_cas` anybody can make a certificate with this number."""


class Tpm(Struct, frozen=True, kw_only=True):
    """Which chips."""

    ekcert_allowed_cas: tuple[str, ...] = ()
    """Certificates (PEM) of makers; where there are some, each chip must have a certificate that one of them signed."""
    allow: tuple[TpmRule, ...] = ()

    def check(self) -> None:
        """Raise BadParameter (KIND-TOKEN-BLOCK)."""
        check_rules("tpm", self.allow, ("ek_public_hash", "ek_certificate_serial"))
        for index, rule in enumerate(self.allow):
            known, serial = rule.ek_public_hash, rule.ek_certificate_serial
            demand(not known or _HASH.fullmatch(known), "tpm", f"allow[{index}].ek_public_hash is 64 hex digits")
            problem = f"allow[{index}].ek_certificate_serial is hex digits in pairs, with colons: 01:23:ab"
            demand(not serial or _SERIAL.fullmatch(serial), "tpm", problem)
            problem = f"allow[{index}] knows a chip by a serial number alone, which means nothing without"
            demand(known or self.ekcert_allowed_cas, "tpm", f"{problem} ekcert_allowed_cas")
        for index, text in enumerate(self.ekcert_allowed_cas):
            problem = f"ekcert_allowed_cas[{index}] is not a certificate in PEM"
            demand("-----BEGIN CERTIFICATE-----" in text, "tpm", problem)
