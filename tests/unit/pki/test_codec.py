"""pki.codec: the documented places of every field, and what is refused."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest
from cryptography import x509 as library
from cryptography.hazmat.primitives import hashes

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter
from teleport.model.identity import Identity
from teleport.pki import codec, keys, ssh, x509

EXPIRES = dt.datetime(2026, 3, 1, 13, 0, tzinfo=dt.UTC)
PLAIN = Identity(
    name="alice",
    cluster="example.com",
    roles=("access",),
    principals=("root", "-teleport-internal-join"),
    expires=EXPIRES,
)
FULL = Identity(
    name="bot-test", cluster="example.com", kind="bot", roles=("access", "bot-test"), system_roles=("Node",),
    principals=("-teleport-internal-join",), traits={"logins": ("root", "b,c"), "a": ()}, expires=EXPIRES,
    route_to_cluster="leaf.example.com", login_ip="10.0.0.2", pinned_ip="2001:db8::1", mfa_verified="device-1",
    impersonator="bob", renewable=True, disallow_reissue=True, generation=2, active_requests=("r1", "r2"),
    private_key_policy="hardware_key", bot_name="test", bot_instance_id="i1", join_token="token1",
    kubernetes_cluster="k8s", kubernetes_users=("ci",), kubernetes_groups=("viewers", "a,b"), app_name="grafana",
    app_public_addr="grafana.example.com", app_cluster="example.com", database_service="sales",
    database_protocol="postgres", database_user="alice", database_name="orders", database_users=("*",),
    database_names=("orders", "stock"),
    permit_pty=False, permit_agent_forwarding=True, permit_port_forwarding=True, permit_x11_forwarding=True,
)  # fmt: skip
CARRIED = msgspec.structs.replace(PLAIN, recorded_by="proxy-1", only_at="node-1")
HOST = Identity(
    name="id1.example.com", cluster="example.com", kind="host", roles=("Instance",), system_roles=("Node", "Proxy"),
    principals=("id1.example.com", "localhost", "::1"), expires=EXPIRES, permit_pty=False,
)  # fmt: skip
CA = keys.make_ed25519(SeededEntropy(1))


def body(fields: codec.SSHFields, **changes: Any) -> ssh.Body:
    """Return what `ssh.parse` would give for a certificate with these fields."""
    blob = keys.ssh_blob(CA.public_key())
    made = ssh.Body(key=blob, nonce=bytes(32), serial=1, valid_after=1, authority=blob, **fields._asdict())
    return made._replace(**changes)


def test_subject_is_as_documented() -> None:
    assert codec.to_subject(PLAIN) == (
        ("2.5.4.3", "alice"), ("2.5.4.10", "access"), ("2.5.4.7", "root"), ("2.5.4.7", "-teleport-internal-join"),
        ("1.3.9999.1.7", "example.com"), ("1.3.9999.9.3", "pty"),
    )  # fmt: skip
    assert set(codec.to_subject(FULL)) == {
        ("2.5.4.3", "bot-test"), ("2.5.4.10", "access"), ("2.5.4.10", "bot-test"),
        ("2.5.4.7", "-teleport-internal-join"), ("2.5.4.9", "leaf.example.com"),
        ("2.5.4.17", '{"a":[],"logins":["root","b,c"]}'), ("1.3.9999.1.7", "example.com"),
        ("1.3.9999.1.8", "device-1"), ("1.3.9999.1.9", "10.0.0.2"), ("1.3.9999.1.13", "true"),
        ("1.3.9999.1.14", "2"), ("1.3.9999.1.15", "hardware_key"), ("1.3.9999.2.7", "bob"), ("1.3.9999.2.8", "r1"),
        ("1.3.9999.2.8", "r2"), ("1.3.9999.2.9", "true"), ("1.3.9999.2.11", "Node"), ("1.3.9999.2.15", "2001:db8::1"),
        ("1.3.9999.2.18", "test"), ("1.3.9999.2.20", "i1"), ("1.3.9999.9.1", "bot"), ("1.3.9999.9.2", "token1"),
        ("1.3.9999.1.1", "ci"), ("1.3.9999.1.2", "viewers"), ("1.3.9999.1.2", "a,b"), ("1.3.9999.1.3", "k8s"),
        ("1.3.9999.1.5", "example.com"), ("1.3.9999.1.6", "grafana.example.com"), ("1.3.9999.1.10", "grafana"),
        ("1.3.9999.2.1", "sales"), ("1.3.9999.2.2", "postgres"), ("1.3.9999.2.3", "alice"), ("1.3.9999.2.4", "orders"),
        ("1.3.9999.2.5", "orders"), ("1.3.9999.2.5", "stock"), ("1.3.9999.2.6", "*"),
        ("1.3.9999.9.3", "agent-forwarding"), ("1.3.9999.9.3", "port-forwarding"), ("1.3.9999.9.3", "X11-forwarding"),
    }  # fmt: skip


def test_ssh_fields_are_as_documented() -> None:
    assert codec.to_ssh(PLAIN) == codec.SSHFields(
        "user", "alice", ("root", "-teleport-internal-join"), int(EXPIRES.timestamp()), {},
        {
            "permit-pty": "", "teleport-roles": '{"version":"v1","roles":["access"]}',
            "x-teleport-authority": "example.com",
        },
    )  # fmt: skip
    full = codec.to_ssh(FULL)
    assert full.critical_options == {"source-address": "2001:db8::1/128"}
    assert full.extensions == {
        "teleport-roles": '{"version":"v1","roles":["access","bot-test"]}', "x-teleport-authority": "example.com",
        "teleport-traits": '{"a":[],"logins":["root","b,c"]}', "teleport-route-to-cluster": "leaf.example.com",
        "login-ip": "10.0.0.2", "mfa-verified": "device-1", "impersonator": "bob", "renewable": "",
        "disallow-reissue": "", "generation": "2", "teleport-active-requests": '{"access_requests":["r1","r2"]}',
        "private-key-policy": "hardware_key", "bot-name@goteleport.com": "test",
        "bot-instance-id@goteleport.com": "i1", "join-token@goteleport.com": "token1", "x-teleport-kind": "bot",
        "x-teleport-system-roles": '["Node"]', "x-teleport-kubernetes-cluster": "k8s",
        "x-teleport-kubernetes-users": '["ci"]', "x-teleport-kubernetes-groups": '["viewers","a,b"]',
        "x-teleport-app-name": "grafana", "x-teleport-app-public-addr": "grafana.example.com",
        "x-teleport-app-cluster": "example.com", "x-teleport-database-service": "sales",
        "x-teleport-database-protocol": "postgres", "x-teleport-database-user": "alice",
        "x-teleport-database-name": "orders", "x-teleport-database-users": '["*"]',
        "x-teleport-database-names": '["orders","stock"]', "permit-agent-forwarding": "", "permit-port-forwarding": "",
        "permit-X11-forwarding": "",
    }  # fmt: skip
    assert codec.to_ssh(HOST).type == "host"


@pytest.mark.parametrize("identity", [PLAIN, FULL, HOST], ids=["plain", "full", "host"])
def test_both_encodings_are_reversible(identity: Identity) -> None:
    assert codec.from_subject(codec.to_subject(identity), EXPIRES) == identity
    assert codec.from_ssh(body(codec.to_ssh(identity))) == identity


def test_every_field_is_carried() -> None:
    """A field that is added to Identity and forgotten here fails."""
    defaults = {field.name for field in msgspec.structs.fields(Identity) if getattr(FULL, field.name) == field.default}
    assert defaults == {"recorded_by", "only_at"}
    assert (CARRIED.recorded_by, CARRIED.only_at) != (FULL.recorded_by, FULL.only_at)


def refuse(call: Any, problem: str) -> None:
    with pytest.raises(BadParameter, match=problem) as caught:
        call()
    assert caught.value.code == "PKI-IDENTITY"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"kind": "admin"}, "never gets"),
        ({"name": ""}, "name is empty"),
        ({"cluster": ""}, "cluster is empty"),
        ({"private_key_policy": ""}, "private_key_policy is empty"),
        ({"name": "a\nb"}, "name is too long or has"),
        ({"impersonator": "\ud800"}, "impersonator is too long or has"),
        ({"bot_name": "x" * 513}, "bot_name is too long"),
        ({"roles": ()}, "no role"),
        ({"roles": ("a", "")}, "empty entry"),
        ({"roles": ("a\0",)}, "roles is too long or has"),
        ({"active_requests": tuple(map(str, range(257)))}, "too many"),
        ({"principals": ()}, "no principal"),
        ({"principals": ("root", "root")}, "twice"),
        ({"principals": ("root,admin",)}, "comma"),
        ({"generation": -1}, "generation"),
        ({"generation": 1 << 63}, "generation"),
        ({"pinned_ip": "somewhere"}, "pinned_ip"),
        ({"pinned_ip": "2001:DB8::1"}, "pinned_ip"),
        ({"pinned_ip": "fe80::1%eth0"}, "pinned_ip"),
        ({"pinned_ip": "::ffff:10.0.0.1"}, "pinned_ip"),
        ({"pinned_ip": "10.0.0.1", "kind": "host"}, "host cannot"),
        ({"recorded_by": "proxy-1"}, "only_at is missing"),
        ({"only_at": "node-1"}, "only_at is missing"),
        ({"recorded_by": "proxy-1", "only_at": "node-1", "kind": "host"}, "connections of a host"),
        ({"recorded_by": "proxy-1", "only_at": "a\nb"}, "only_at is too long or has"),
        ({"expires": EXPIRES.replace(tzinfo=None)}, "whole seconds"),
        ({"expires": EXPIRES.replace(microsecond=1)}, "whole seconds"),
        ({"expires": EXPIRES.replace(year=9999)}, "out of range"),
        ({"expires": EXPIRES.replace(year=1970)}, "out of range"),
        ({"traits": {"a": ("x" * 33000,)}}, "traits are too long"),
        ({"traits": {"a": ("\ud800",)}}, "not text"),
    ],
)
def test_identities_that_cannot_stand_in_a_certificate(changes: dict[str, Any], problem: str) -> None:
    identity = msgspec.structs.replace(PLAIN, **changes)
    refuse(lambda: codec.to_subject(identity), problem)
    refuse(lambda: codec.to_ssh(identity), problem)


def test_who_records_is_said_to_nodes_alone() -> None:
    fields = codec.to_ssh(CARRIED)
    assert fields.extensions["recorded-by@goteleport.com"] == "proxy-1"
    assert fields.extensions["only-at@goteleport.com"] == "node-1"
    assert codec.from_ssh(body(fields)) == CARRIED
    refuse(lambda: codec.to_subject(CARRIED), "connection by SSH")


SUBJECT = codec.to_subject(FULL)


@pytest.mark.parametrize(
    ("subject", "problem"),
    [
        ((), "is empty"),
        ((*SUBJECT, ("1.3.9999.1.4", "session")), "1.3.9999.1.4 is not known"),
        ((*SUBJECT, ("2.5.4.3", "root")), "repeated"),
        (tuple(reversed(SUBJECT)), "canonical|order"),
        ((*SUBJECT, ("1.3.9999.9.3", "everything")), "canonical"),
        (tuple((o, "02" if t == "2" else t) for o, t in SUBJECT), "canonical"),
        (tuple((o, "two" if t == "2" else t) for o, t in SUBJECT), "generation"),
        (tuple((o, "٢" if t == "2" else t) for o, t in SUBJECT), "generation"),
        (tuple((o, "yes" if t == "true" else t) for o, t in SUBJECT), "canonical"),
        (tuple((o, "admin" if o == "1.3.9999.9.1" else t) for o, t in SUBJECT), "never gets"),
        (tuple((o, "{" if o == "2.5.4.17" else t) for o, t in SUBJECT), "JSON"),
        (tuple((o, '{"a": []}' if o == "2.5.4.17" else t) for o, t in SUBJECT), "canonical"),
        (tuple((o, '{"a":[1]}' if o == "2.5.4.17" else t) for o, t in SUBJECT), "JSON"),
    ],
)
def test_other_subjects_are_refused(subject: tuple[tuple[str, str], ...], problem: str) -> None:
    refuse(lambda: codec.from_subject(subject, EXPIRES), problem)


def _with(**changes: str) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in changes.items()}
    return {**codec.to_ssh(FULL).extensions, **named}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"extensions": {}}, "JSON"),
        ({"extensions": _with(teleport_admin="")}, "teleport-admin is not known"),
        ({"critical_options": {"force-command": "id"}}, "force-command is not known"),
        ({"critical_options": {"source-address": "2001:db8::/32"}}, "canonical"),
        ({"critical_options": {"source-address": "10.0.0.1"}}, "canonical"),
        ({"extensions": _with(permit_pty="x")}, "canonical"),
        ({"extensions": _with(renewable="true")}, "canonical"),
        ({"extensions": _with(generation="0")}, "canonical"),
        ({"extensions": _with(x_teleport_kind="admin")}, "never gets"),
        ({"extensions": _with(x_teleport_kind="host")}, "host cannot"),
        ({"extensions": _with(x_teleport_kind="host"), "critical_options": {}}, "canonical"),
        ({"type": "host"}, "x-teleport-kind is not known"),
        ({"extensions": _with(teleport_roles='{"version":"v2","roles":["access"]}')}, "canonical"),
        ({"extensions": _with(teleport_roles='{"version":"v1","roles":["access"],"more":1}')}, "JSON"),
        ({"valid_before": (1 << 64) - 1}, "expires"),
        ({"key_id": ""}, "name is empty"),
        ({"principals": ()}, "no principal"),
    ],
)
def test_other_ssh_certificates_are_refused(changes: dict[str, Any], problem: str) -> None:
    refuse(lambda: codec.from_ssh(body(codec.to_ssh(FULL), **changes)), problem)


def test_x509_certificates_of_others_are_refused() -> None:
    def name(*values: str) -> library.Name:
        part = [library.NameAttribute(library.NameOID.COMMON_NAME, value) for value in values]
        return library.Name([library.RelativeDistinguishedName(part)])

    key = keys.make_p256(SeededEntropy(2))
    for subject, problem in ((name("a", "b"), "several values"), (name("alice"), "is empty")):
        builder = library.CertificateBuilder(subject, subject, key.public_key(), 5, EXPIRES, EXPIRES + dt.timedelta(1))
        certificate = x509.parse(x509.encode(builder.sign(key, hashes.SHA256())))
        refuse(lambda made=certificate: codec.from_x509(made), problem)
