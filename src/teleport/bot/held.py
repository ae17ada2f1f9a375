"""Held: a private key with its certificates, made from what the Auth Service answers, and how the log tells of it."""

from __future__ import annotations

import datetime as dt

from teleport.api.messages import MadeCertificates
from teleport.base.entropy import Entropy
from teleport.base.struct import Duration
from teleport.bot.parts import Held
from teleport.pki import codec, keys, ssh, x509


def make_key(entropy: Entropy) -> str:
    """Return a new private key (PEM). P-256, because one key is for SSH and TLS, and every TLS library knows it."""
    return keys.private_pem(keys.make_p256(entropy)).decode()


def public_keys(key: str) -> tuple[str, str]:
    """Return the public half of a key (PEM): a line of authorized_keys, and PEM. Raises BadParameter (PKI-KEY)."""
    public = keys.load_private(key.encode()).public_key()
    return keys.ssh_line(keys.ssh_blob(public)), keys.public_pem(public)


def held_of(key: str, made: MadeCertificates) -> Held:
    """Return a key (PEM) with the certificates that were made for it. Raises BadParameter (PKI-X509, PKI-SSH-CERT,
    PKI-IDENTITY)."""
    certificate = x509.parse(made.tls_certificate.encode())
    # One for a database names there only the account; the other certificate is always of who holds both.
    identity = codec.from_ssh(ssh.parse(keys.load_ssh_line(made.ssh_certificate)))
    return Held(
        key=key, ssh_certificate=made.ssh_certificate.strip(), tls_certificate=made.tls_certificate,
        identity=identity, valid_after=certificate.not_valid_before_utc,
        expires=certificate.not_valid_after_utc, authorities=made.authorities,
    )  # fmt: skip


def described(held: Held) -> str:
    """Return what the log says of certificates, in the words and the order of the reference."""
    who, length = held.identity, (held.expires - held.valid_after).total_seconds()
    facts = (
        "kind=tls", f"renewable={_word(who.renewable)}", f"disallow-reissue={_word(who.disallow_reissue)}",
        f"roles=[{' '.join(who.roles)}]", f"principals=[{' '.join(who.principals)}]", f"generation={who.generation}",
    )  # fmt: skip
    span = f"after={stamp(held.valid_after)}, before={stamp(held.expires)}, duration={Duration(length)}"
    return f"valid: {span} | {', '.join(facts)}"


def stamp(moment: dt.datetime) -> str:
    """Return a moment as RFC 3339 has it: `2022-07-21T21:49:26Z`."""
    return f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def host_certificates(held: Held) -> tuple[str, ...]:
    """Return the certificates (PEM) of the authority that vouches for the services of the bot's cluster."""
    return certificates(held, "host")


def certificates(held: Held, kind: str) -> tuple[str, ...]:
    """Return the certificates (PEM) of one authority of the bot's cluster: `host`, `user`, `db`."""
    own = [each for each in held.authorities if each.type == kind and each.cluster == held.identity.cluster]
    return tuple(text for each in own for text in each.tls_certificates)


def _word(value: bool) -> str:
    return "true" if value else "false"
