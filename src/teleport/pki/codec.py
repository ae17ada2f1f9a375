"""Identity in certificates: one object, two encodings, each reversible.

Law: reading back what was written gives the same Identity, from X.509 and from SSH alike. Reading is
strict: every value in the certificate must be known, and writing the identity again must give exactly
what was read, so nothing is dropped, defaulted or understood in two ways.

X.509 subject (attribute: field). Documented: CN name, O roles, L principals, STREET route_to_cluster,
PostalCode traits as JSON; under 1.3.9999: 1.1 kubernetes_users, 1.2 kubernetes_groups, 1.3 kubernetes_cluster,
1.5 app_cluster, 1.6 app_public_addr, 1.7 cluster, 1.8 mfa_verified, 1.9 login_ip, 1.10 app_name, 1.13 renewable,
1.14 generation, 1.15 private_key_policy, 2.1 database_service, 2.2 database_protocol, 2.3 database_user,
2.4 database_name, 2.5 database_names, 2.6 database_users, 2.7 impersonator, 2.8 active_requests,
2.9 disallow_reissue, 2.11 system_roles, 2.15 pinned_ip, 2.18 bot_name, 2.20 bot_instance_id. Our own, because no
documented attribute holds them: 9.1 kind (absent: human), 9.2 join_token, 9.3 each permitted session feature
(pty, agent-forwarding, port-forwarding, X11-forwarding).

SSH: key id, principals, end of validity, critical option source-address (pinned_ip with full prefix
length), and the extensions of the documented names; our own are x-teleport-authority (cluster),
x-teleport-kind (where the certificate's type does not say it), and x-teleport-* for the rest (lists as JSON).

The end of validity stands in whole seconds and is the certificate's own. Limits: see `check`. Not here: certificates
that databases read (`pki.database`).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from cryptography.x509 import Certificate

from teleport.base.errors import BadParameter
from teleport.model.identity import Identity
from teleport.pki import ssh, x509

_MAX_TEXT = 512
_MAX_ITEMS = 256
_MAX_TRAITS = 32768

_TEXTS = {
    "cluster": ("1.3.9999.1.7", "x-teleport-authority"),
    "route_to_cluster": ("2.5.4.9", "teleport-route-to-cluster"),
    "login_ip": ("1.3.9999.1.9", "login-ip"),
    "mfa_verified": ("1.3.9999.1.8", "mfa-verified"),
    "impersonator": ("1.3.9999.2.7", "impersonator"),
    "private_key_policy": ("1.3.9999.1.15", "private-key-policy"),
    "bot_name": ("1.3.9999.2.18", "bot-name@goteleport.com"),
    "bot_instance_id": ("1.3.9999.2.20", "bot-instance-id@goteleport.com"),
    "join_token": ("1.3.9999.9.2", "join-token@goteleport.com"),
    "kubernetes_cluster": ("1.3.9999.1.3", "x-teleport-kubernetes-cluster"),
    "app_name": ("1.3.9999.1.10", "x-teleport-app-name"),
    "app_public_addr": ("1.3.9999.1.6", "x-teleport-app-public-addr"),
    "app_cluster": ("1.3.9999.1.5", "x-teleport-app-cluster"),
    "database_service": ("1.3.9999.2.1", "x-teleport-database-service"),
    "database_protocol": ("1.3.9999.2.2", "x-teleport-database-protocol"),
    "database_user": ("1.3.9999.2.3", "x-teleport-database-user"),
    "database_name": ("1.3.9999.2.4", "x-teleport-database-name"),
}
"""Plain texts: X.509 attribute and SSH extension."""
_CARRIED = {"recorded_by": "recorded-by@goteleport.com", "only_at": "only-at@goteleport.com"}
"""Texts of SSH extensions alone: connections of the SSH kind are all that a proxy carries on."""
_FLAGS = {
    "renewable": ("1.3.9999.1.13", "renewable"),
    "disallow_reissue": ("1.3.9999.2.9", "disallow-reissue"),
}
_PERMITS = {
    "permit_pty": "pty",
    "permit_agent_forwarding": "agent-forwarding",
    "permit_port_forwarding": "port-forwarding",
    "permit_x11_forwarding": "X11-forwarding",
}
_CN, _KIND, _PINNED, _GENERATION = "2.5.4.3", "1.3.9999.9.1", "1.3.9999.2.15", "1.3.9999.1.14"
_TRAITS, _PERMIT = "2.5.4.17", "1.3.9999.9.3"
_LISTS = {
    "roles": "2.5.4.10",
    "principals": "2.5.4.7",
    "system_roles": "1.3.9999.2.11",
    "active_requests": "1.3.9999.2.8",
    "kubernetes_users": "1.3.9999.1.1",
    "kubernetes_groups": "1.3.9999.1.2",
    "database_names": "1.3.9999.2.5",
    "database_users": "1.3.9999.2.6",
}
_LISTED = {
    "system_roles": "x-teleport-system-roles",
    "kubernetes_users": "x-teleport-kubernetes-users",
    "kubernetes_groups": "x-teleport-kubernetes-groups",
    "database_names": "x-teleport-database-names",
    "database_users": "x-teleport-database-users",
}
"""Lists that SSH extensions hold as JSON."""
_DEFAULTS: dict[str, Any] = {"private_key_policy": "none"}


class _Roles(msgspec.Struct, forbid_unknown_fields=True):
    version: str
    roles: tuple[str, ...]


class _Requests(msgspec.Struct, forbid_unknown_fields=True):
    access_requests: tuple[str, ...]


class SSHFields(NamedTuple):
    """What an identity becomes in an SSH certificate; named as in `pki.ssh.issue`."""

    type: ssh.CertificateType
    key_id: str
    principals: tuple[str, ...]
    valid_before: int
    critical_options: dict[str, str]
    extensions: dict[str, str]


def check(identity: Identity) -> None:
    """Raise BadParameter (PKI-IDENTITY) unless the identity can stand in a certificate.

    It needs a name, a cluster, at least one role and one principal; the local administrator never gets a
    certificate. Texts have at most 512 characters and no control characters, lists at most 256 entries,
    traits at most 32 KiB as JSON, times whole seconds."""
    _demand(identity.kind in ("human", "bot", "host"), "its kind never gets a certificate")
    for field in ("name", "private_key_policy", "cluster"):
        _demand(getattr(identity, field) != "", f"{field} is empty")
    carried = bool(identity.recorded_by)
    _demand(carried == bool(identity.only_at), "one of recorded_by and only_at is missing")
    _demand(not (carried and identity.is_host), "the connections of a host are not recorded")
    for field in ("name", *_TEXTS, *_CARRIED):
        _demand_text(getattr(identity, field), field)
    for field in _LISTS:
        values = getattr(identity, field)
        _demand(len(values) <= _MAX_ITEMS, f"{field} has too many entries")
        for text in values:
            _demand(text != "", f"{field} has an empty entry")
            _demand_text(text, field)
    _demand(bool(identity.roles), "it has no role")
    _demand(bool(identity.principals), "it has no principal")
    _demand(len(set(identity.principals)) == len(identity.principals), "a principal stands there twice")
    for principal in identity.principals:
        _check_principal(principal)
    _demand(0 <= identity.generation < 1 << 63, "generation is out of range")
    _demand(identity.pinned_ip in ("", _address(identity.pinned_ip)), "pinned_ip is not an IP address")
    _demand(not (identity.pinned_ip and identity.is_host), "a host cannot be bound to an address")
    expires = identity.expires
    _demand(expires.tzinfo is not None and not expires.microsecond, "expires is not in whole seconds of a known zone")
    _demand(1971 <= expires.year < 9999, "expires is out of range")
    _demand(len(_write_traits(identity)) <= _MAX_TRAITS, "traits are too long")


def _check_principal(principal: str) -> None:
    try:
        ssh.check_principal(principal)
    except BadParameter as error:
        raise _bad(error.fields["problem"]) from None


def _write_traits(identity: Identity) -> str:
    try:
        return msgspec.json.encode(identity.traits, order="deterministic").decode()
    except UnicodeEncodeError:
        raise _bad("traits are not text") from None


def to_subject(identity: Identity) -> tuple[tuple[str, str], ...]:
    """Return the subject of the identity's X.509 certificate, (OID, text) pairs in order.

    Raises BadParameter (PKI-IDENTITY)."""
    check(identity)
    _demand(not identity.recorded_by, "what a proxy records is a connection by SSH")
    pairs = [(_CN, identity.name)]
    for field, oid in _LISTS.items():
        pairs += [(oid, text) for text in getattr(identity, field)]
    for field, (oid, _) in _TEXTS.items():
        if getattr(identity, field) != _DEFAULTS.get(field, ""):
            pairs.append((oid, getattr(identity, field)))
    pairs += [(oid, "true") for field, (oid, _) in _FLAGS.items() if getattr(identity, field)]
    pairs += [(_PERMIT, word) for field, word in _PERMITS.items() if getattr(identity, field)]
    if identity.generation:
        pairs.append((_GENERATION, str(identity.generation)))
    if identity.traits:
        pairs.append((_TRAITS, _write_traits(identity)))
    if identity.pinned_ip:
        pairs.append((_PINNED, identity.pinned_ip))
    if identity.kind != "human":
        pairs.append((_KIND, identity.kind))
    return tuple(pairs)


def from_subject(subject: Sequence[tuple[str, str]], expires: dt.datetime) -> Identity:
    """Read an identity from a subject. Raises BadParameter (PKI-IDENTITY)."""
    found: dict[str, list[str]] = {}
    for oid, text in subject:
        found.setdefault(oid, []).append(text)
    fields: dict[str, Any] = {field: tuple(found.pop(oid, ())) for field, oid in _LISTS.items()}
    permits = found.pop(_PERMIT, [])
    fields |= {field: word in permits for field, word in _PERMITS.items()}
    single = {oid: texts[0] for oid, texts in found.items()}
    for field, (oid, _) in _TEXTS.items():
        fields[field] = single.pop(oid, _DEFAULTS.get(field, ""))
    fields |= {field: single.pop(oid, "") == "true" for field, (oid, _) in _FLAGS.items()}
    fields |= {
        "name": single.pop(_CN, ""), "kind": single.pop(_KIND, "human"), "pinned_ip": single.pop(_PINNED, ""),
        "generation": _number(single.pop(_GENERATION, "0")), "expires": expires,
        "traits": _read_json(single.pop(_TRAITS, "{}"), dict[str, tuple[str, ...]]),
    }  # fmt: skip
    for oid in single:
        raise _bad(f"the attribute {oid} is not known")
    identity = Identity(**fields)
    if to_subject(identity) != tuple(subject):
        raise _bad("an attribute is repeated, out of order or not in its canonical form")
    return identity


def from_x509(certificate: Certificate) -> Identity:
    """Read the identity of a certificate. Raises BadParameter (PKI-IDENTITY)."""
    try:
        subject = x509.subject_of(certificate)
    except BadParameter as error:
        raise _bad(error.fields["problem"]) from None
    return from_subject(subject, certificate.not_valid_after_utc)


def to_ssh(identity: Identity) -> SSHFields:
    """Return the fields of the identity's SSH certificate. Raises BadParameter (PKI-IDENTITY)."""
    check(identity)
    extensions = {"teleport-roles": _json(_Roles("v1", identity.roles))}
    for field, (_, name) in _TEXTS.items():
        if getattr(identity, field) != _DEFAULTS.get(field, ""):
            extensions[name] = getattr(identity, field)
    extensions |= {name: getattr(identity, field) for field, name in _CARRIED.items() if getattr(identity, field)}
    extensions |= {name: "" for field, (_, name) in _FLAGS.items() if getattr(identity, field)}
    extensions |= {f"permit-{word}": "" for field, word in _PERMITS.items() if getattr(identity, field)}
    if identity.generation:
        extensions["generation"] = str(identity.generation)
    if identity.traits:
        extensions["teleport-traits"] = _write_traits(identity)
    extensions |= {name: _json(getattr(identity, field)) for field, name in _LISTED.items() if getattr(identity, field)}
    if identity.active_requests:
        extensions["teleport-active-requests"] = _json(_Requests(identity.active_requests))
    if identity.kind == "bot":
        extensions["x-teleport-kind"] = "bot"
    critical = {}
    if identity.pinned_ip:
        critical["source-address"] = str(ipaddress.ip_network(identity.pinned_ip))
    return SSHFields(
        "host" if identity.is_host else "user", identity.name, identity.principals, int(identity.expires.timestamp()),
        critical, extensions,
    )  # fmt: skip


def from_ssh(certificate: ssh.Body | ssh.SSHCertificate) -> Identity:
    """Read the identity of a certificate. Raises BadParameter (PKI-IDENTITY)."""
    left = dict(certificate.extensions)
    critical = dict(certificate.critical_options)
    fields: dict[str, Any] = {field: left.pop(name, _DEFAULTS.get(field, "")) for field, (_, name) in _TEXTS.items()}
    fields |= {field: left.pop(name, "") for field, name in _CARRIED.items()}
    fields |= {field: left.pop(name, None) is not None for field, (_, name) in _FLAGS.items()}
    fields |= {field: left.pop(f"permit-{word}", None) is not None for field, word in _PERMITS.items()}
    fields |= {
        "name": certificate.key_id, "principals": certificate.principals,
        "roles": _read_json(left.pop("teleport-roles", ""), _Roles).roles,
        **{field: _read_json(left.pop(name, "[]"), tuple[str, ...]) for field, name in _LISTED.items()},
        "traits": _read_json(left.pop("teleport-traits", "{}"), dict[str, tuple[str, ...]]),
        "active_requests": _read_json(
            left.pop("teleport-active-requests", '{"access_requests":[]}'), _Requests
        ).access_requests,
        "generation": _number(left.pop("generation", "0")),
        "kind": "host" if certificate.type == "host" else left.pop("x-teleport-kind", "human"),
        "pinned_ip": critical.pop("source-address", "").partition("/")[0],
        "expires": _moment(certificate.valid_before),
    }  # fmt: skip
    for name in (*critical, *left):
        raise _bad(f"the option {name} is not known")
    identity = Identity(**fields)
    again = to_ssh(identity)
    if not _same(again, certificate):
        raise _bad("an option is not in its canonical form")
    return identity


def _same(fields: SSHFields, certificate: ssh.Body | ssh.SSHCertificate) -> bool:
    return all(getattr(certificate, name) == getattr(fields, name) for name in SSHFields._fields)


def _moment(seconds: int) -> dt.datetime:
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError):
        raise _bad("expires is out of range") from None


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise _bad("generation is not a number")
    return int(text)


def _address(text: str) -> str:
    """Return the canonical form of an IP address, or something that differs from any input."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "-"
    # A zone means something on one machine only, and mapped addresses have two spellings.
    is_odd = isinstance(address, ipaddress.IPv6Address) and (address.scope_id or address.ipv4_mapped)
    return "-" if is_odd else str(address)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _read_json(text: str, shape: Any) -> Any:
    try:
        return msgspec.json.decode(text, type=shape)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        raise _bad("roles, traits or requests are not the JSON they should be") from None


def _demand_text(text: str, field: str) -> None:
    usual = text.isascii() and text.isprintable()
    plain = usual or not any(unicodedata.category(c) in ("Cc", "Cs") for c in text)
    _demand(plain and len(text) <= _MAX_TEXT, f"{field} is too long or has a control character")


def _demand(condition: bool, problem: str) -> None:
    if not condition:
        raise _bad(problem)


def _bad(problem: str) -> BadParameter:
    return BadParameter("PKI-IDENTITY", problem=problem)
