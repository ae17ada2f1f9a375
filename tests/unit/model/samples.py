"""One document of each kind, and a strategy that makes many. Shared by the tests of this folder."""

from __future__ import annotations

import datetime as dt
import unicodedata
from typing import Any

from hypothesis import strategies as st

from teleport.base.struct import Duration
from teleport.model.kinds.cert_authority import SERVED_TYPES
from teleport.model.kinds.token import LOCAL_SERVICES
from teleport.model.naming import label_problem, name_problem

SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f host"
PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"
CERT = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgI=\n-----END CERTIFICATE-----\n"
UUID = "5cee949f-5203-4f3b-9805-dac35d798a16"

_APP = {
    "kind": "app",
    "version": "v3",
    "metadata": {"name": "grafana", "description": "Graphs", "labels": {"env": "dev"}},
    "spec": {
        "uri": "http://localhost:3000",
        "public_addr": "grafana.example.com",
        "insecure_skip_verify": True,
        "rewrite": {"redirect": ["localhost"], "headers": [{"name": "X-Team", "value": "a"}], "jwt_claims": "roles"},
        "required_app_names": ["api"],
        "cors": {"allowed_origins": ["https://example.com"], "max_age": 60},
    },
}
_DB = {
    "kind": "db",
    "version": "v3",
    "metadata": {"name": "example", "labels": {"env": "dev"}},
    "spec": {
        "protocol": "postgres",
        "uri": "db.example.com:5432",
        "tls": {"mode": "verify-ca", "ca_cert": CERT},
        "admin_user": {"name": "teleport-admin"},
        "dynamic_labels": {"kernel": {"command": ["/bin/uname", "-r"], "period": "1m0s", "result": "6.1"}},
    },
}
_KUBE = {
    "kind": "kube_cluster",
    "version": "v3",
    "metadata": {"name": "example-k8s-cluster", "labels": {"env": "dev"}},
    "spec": {
        "azure": {"resource_name": "example", "resource_group": "group", "tenant_id": UUID, "subscription_id": UUID},
    },
}
_AGENT = {"host_id": UUID, "hostname": "agent-1", "version": "0.1.0", "proxy_ids": [UUID]}


def _heartbeat(kind: str, field: str, served: dict[str, Any]) -> dict[str, Any]:
    """Return what an agent says of something that it serves."""
    return {
        "kind": kind, "sub_kind": UUID, "version": "v3",
        "metadata": {"name": served["metadata"]["name"], "expires": "2026-01-02T03:04:05Z"},
        "spec": {**_AGENT, field: served},
    }  # fmt: skip


SAMPLES: dict[str, dict[str, Any]] = {
    "app": _APP,
    "app_server": _heartbeat("app_server", "app", _APP),
    "db": _DB,
    "db_server": _heartbeat("db_server", "database", _DB),
    "kube_cluster": _KUBE,
    "kube_server": _heartbeat("kube_server", "cluster", _KUBE),
    "auth_server": {
        "kind": "auth_server", "version": "v2", "metadata": {"name": UUID, "expires": "2026-01-02T03:04:05Z"},
        "spec": {"hostname": "auth-1", "addr": "10.0.0.1:3025", "version": "0.1.0"},
    },
    "bot": {
        "kind": "bot", "version": "v1", "metadata": {"name": "example"},
        "spec": {
            "roles": ["access", "machine-id-db"], "traits": [{"name": "logins", "values": ["alice"]}],
            "max_session_ttl": "24h0m0s", "lock_scope": "instance",
        },
        "status": {"user_name": "bot-example", "role_name": "bot-example"},
    },
    "bot_instance": {
        "kind": "bot_instance", "version": "v1", "metadata": {"name": UUID, "expires": "2026-01-02T03:04:05Z"},
        "spec": {"bot_name": "example", "instance_id": UUID},
        "status": {
            "initial_authentication": {"authenticated_at": "2026-01-02T02:00:00Z", "generation": 1},
            "latest_authentications": [{
                "authenticated_at": "2026-01-02T02:20:00Z", "join_method": "token", "join_token": "****cdef",
                "generation": 2, "public_key": "MFkwEw==", "addr_remote": "10.0.0.2:40000", "attributes": {"a": "b"},
            }],
            "initial_heartbeat": {"recorded_at": "2026-01-02T02:00:01Z", "is_startup": True},
            "latest_heartbeats": [{
                "recorded_at": "2026-01-02T02:30:00Z", "hostname": "build-7", "uptime": 1800, "one_shot": False,
                "join_method": "token", "version": "16.2.0", "architecture": "x86_64", "os": "linux",
            }],
        },
    },
    "cert_authority": {
        "kind": "cert_authority", "sub_kind": "host", "version": "v2", "metadata": {"name": "example.com"},
        "spec": {
            "type": "host", "cluster_name": "example.com",
            "active_keys": {
                "ssh": [{"public_key": SSH_KEY, "key_id": "host-ssh-1", "algorithm": "Ed25519"}],
                "tls": [{"cert": CERT, "key_id": "host-tls-1", "algorithm": "ECDSA P-256"}],
            },
            "rotation": {"state": "standby"},
        },
    },
    "cluster_name": {
        "kind": "cluster_name", "version": "v2", "metadata": {"name": "cluster-name"},
        "spec": {"cluster_name": "example.com", "cluster_id": UUID},
    },
    "lock": {
        "kind": "lock", "version": "v2", "metadata": {"name": UUID, "id": 1658359514703080513},
        "spec": {
            "message": 'The bot user "bot-example" has been locked due to a certificate generation mismatch, '
            "possibly indicating a stolen certificate.",
            "target": {"user": "bot-example"},
        },
    },
    "node": {
        "kind": "node", "version": "v2", "metadata": {"name": UUID, "labels": {"env": "dev"}},
        "spec": {
            "hostname": "web-1", "addr": "10.0.0.5:3022", "version": "0.1.0",
            "public_addrs": ["web-1.example.com:3022"],
            "proxy_ids": [UUID],
            "cmd_labels": {"kernel": {"command": ["/bin/uname", "-r"], "period": "1m0s", "result": "6.1"}},
        },
    },
    "proxy": {
        "kind": "proxy", "version": "v2", "metadata": {"name": UUID, "expires": "2026-01-02T03:04:05Z"},
        "spec": {
            "hostname": "proxy-1", "addr": "10.0.0.2:3080", "public_addrs": ["teleport.example.com:443"],
            "peer_addr": "10.0.0.2:3021", "version": "0.1.0",
        },
    },
    "role": {
        "kind": "role", "version": "v8", "metadata": {"name": "access", "description": "Reach servers of development"},
        "spec": {
            "allow": {
                "logins": ["alice", "{{internal.logins}}"], "node_labels": {"env": ["dev", "test"]},
                "rules": [{"resources": ["db", "node"], "verbs": ["list", "read"]}],
            },
            "deny": {"logins": ["root"]},
        },
    },
    "session_recording_config": {
        "kind": "session_recording_config", "version": "v2",
        "metadata": {"name": "session-recording-config", "labels": {"teleport.dev/origin": "dynamic"}},
        "spec": {"mode": "off"},
        "status": {"keys": [{"id": "0" * 32, "public_key": "MCowBQYDK2VuAyEA", "created": "2026-01-01T03:04:05Z"}]},
    },
    "cluster_networking_config": {
        "kind": "cluster_networking_config", "version": "v2",
        "metadata": {"name": "cluster-networking-config", "labels": {"teleport.dev/origin": "dynamic"}},
        "spec": {
            "client_idle_timeout": "30m0s", "client_idle_timeout_message": "bye", "keep_alive_interval": "1m0s",
            "keep_alive_count_max": 2,
        },
    },
    "semaphore": {
        "kind": "semaphore", "sub_kind": "connection", "version": "v3",
        "metadata": {"name": "alice", "expires": "2026-01-02T03:04:05Z"},
        "spec": {
            "leases": [{"lease_id": UUID, "holder": UUID, "expires": "2026-01-02T03:04:05Z"}], "max_leases": 3,
        },
    },
    "session_termination": {
        "kind": "session_termination", "version": "v1", "metadata": {"name": UUID, "expires": "2026-01-02T03:04:05Z"},
        "spec": {
            "message": "maintenance", "server_id": UUID, "host_user": "alice", "created_by": "bob",
            "created_at": "2026-01-02T02:34:05Z",
        },
    },
    "session_tracker": {
        "kind": "session_tracker", "version": "v1", "metadata": {"name": UUID, "expires": "2026-01-02T03:04:05Z"},
        "spec": {
            "session_id": UUID, "kind": "ssh", "state": "running", "created": "2026-01-02T02:34:05Z", "server_id": UUID,
            "host_user": "alice", "login": "root", "hostname": "node-1", "address": "10.0.0.1:3022",
            "cluster": "example.com", "command": "uptime", "interactive": True,
            "participants": [{"id": UUID, "user": "alice", "mode": "peer", "last_active": "2026-01-02T02:34:05Z"}],
        },
    },
    "instance": {
        "kind": "instance", "version": "v1", "metadata": {"name": UUID, "expires": "2026-01-02T03:04:05Z"},
        "spec": {
            "hostname": "node-1", "version": "16.2.0", "services": ["Node"], "last_seen": "2026-01-02T02:44:05Z",
            "external_upgrader": "unit", "external_upgrader_version": "16.2.0", "clones": ["10.0.0.2:40000"],
        },
    },
    "token": {
        "kind": "token", "version": "v2", "metadata": {"name": "0123456789abcdef0123456789abcdef",
                                                       "expires": "2026-01-02T03:04:05Z", "labels": {"a": "b"}},
        "spec": {"roles": ["Node"], "join_method": "token"},
    },
    "user": {
        "kind": "user", "version": "v2", "metadata": {"name": "alice@example.com"},
        "spec": {
            "roles": ["access"], "traits": {"logins": ["alice", "0755"], "hours": ["22:22"]},
            "expires": "2026-01-02T03:04:05Z",
            "created_by": {"time": "2026-01-01T03:04:05Z", "user": {"name": "root"}},
            "status": {"is_locked": True, "locked_message": "off", "lock_expires": "2026-01-02T03:04:05Z"},
        },
    },
}  # fmt: skip

_text = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=20)
names = (
    st.text(st.characters(categories=("Ll", "Lu", "Lo", "Nd", "Sm", "Po", "Mn", "Zs")), min_size=1, max_size=12)
    .map(lambda name: unicodedata.normalize("NFC", "a" + name.translate({ord(","): "!", ord("/"): "-"}) + "."))
    .map(lambda name: "".join(" " if unicodedata.category(c) == "Zs" else c for c in name))
    .filter(lambda name: not name_problem(name))
)
_labels = st.dictionaries(st.text("abz019/._:*-", min_size=1, max_size=8), _text, max_size=3).filter(
    lambda labels: not any(label_problem(*entry) for entry in labels.items())
)
_selectors = st.dictionaries(
    st.text("abz019/._:", min_size=1, max_size=8), st.text("abz019-*,ü ", max_size=8), max_size=3
)
"""Selectors of roles without regular expressions and templates, whose grammar is tested with `role`."""
_times = st.datetimes(dt.datetime(1980, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC)).map(
    lambda moment: moment.isoformat()
)
_periods = st.integers(1, 10**6).map(lambda seconds: str(Duration(seconds)))
_logins = st.text("abcz019._@", min_size=1, max_size=9).filter(lambda login: login.strip("."))
_hosts = st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z]{1,4})?", fullmatch=True)
_addresses = st.one_of(_hosts, st.builds("{}:{}".format, _hosts, st.integers(0, 65535)), st.just("[::1]:22"))
_keys = st.fixed_dictionaries(
    {"ssh": st.lists(st.fixed_dictionaries({"public_key": st.just(SSH_KEY), "key_id": names}), max_size=2),
     "tls": st.lists(st.fixed_dictionaries({"cert": st.just(CERT), "key_id": names}), max_size=2),
     "jwt": st.lists(st.fixed_dictionaries({"public_key": st.just(PUBLIC_KEY), "key_id": names}), max_size=2)}
)  # fmt: skip


def _several(entries: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(entries, max_size=3)


_commands = st.dictionaries(
    st.from_regex(r"cmd/[a-z]{1,4}", fullmatch=True),
    st.fixed_dictionaries({}, optional={"command": _several(_text), "period": _periods, "result": _text}),
    max_size=2,
)
_SPECS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "app": st.fixed_dictionaries(
        {"uri": st.sampled_from(["http://localhost:3000", "tcp://db:1", "cloud://AWS"])},
        optional={
            "public_addr": _hosts,
            "insecure_skip_verify": st.booleans(),
            "dynamic_labels": _commands,
            "cloud": st.sampled_from(["", "AWS", "GCP"]),
            "tcp_ports": st.lists(st.fixed_dictionaries({"port": st.integers(1, 65535)}), max_size=2),
        },
    ),
    "db": st.fixed_dictionaries(
        {"protocol": st.sampled_from(["postgres", "redis"]), "uri": st.sampled_from(["db:5432", "[::1]:1"])},
        optional={
            "tls": st.fixed_dictionaries({}, optional={"mode": st.just("insecure"), "server_name": _hosts}),
            "mysql": st.fixed_dictionaries({"server_version": _text}),
            "admin_user": st.fixed_dictionaries({"name": _text}),
            "dynamic_labels": _commands,
        },
    ),
    "kube_cluster": st.fixed_dictionaries(
        {},
        optional={
            "aws": st.fixed_dictionaries({"region": _text, "name": _text}),
            "dynamic_labels": _commands,
        },
    ),
    **{
        kind: st.fixed_dictionaries(
            {"host_id": st.just(UUID), field: st.just(served)},
            optional={"hostname": names, "version": _text, "proxy_ids": _several(names)},
        )
        for kind, field, served in (
            ("app_server", "app", _APP),
            ("db_server", "database", _DB),
            ("kube_server", "cluster", _KUBE),
        )
    },
    "bot": st.fixed_dictionaries(
        {},
        optional={
            "roles": _several(names),
            "traits": st.lists(
                st.fixed_dictionaries({"name": names.filter(lambda name: name != "logins"), "values": _several(_text)}),
                max_size=2,
            ),
            "max_session_ttl": st.integers(1, 168 * 3600).map(lambda seconds: str(Duration(seconds))),
            "lock_scope": st.sampled_from(["user", "instance"]),
        },
    ),
    "bot_instance": st.fixed_dictionaries({"bot_name": names, "instance_id": names}),
    "cert_authority": st.fixed_dictionaries(
        {"type": st.sampled_from(SERVED_TYPES), "cluster_name": _hosts},
        optional={
            "active_keys": _keys,
            "additional_trusted_keys": _keys,
            "rotation": st.fixed_dictionaries(
                {"state": st.sampled_from(["standby", "in_progress"])},
                optional={"phase": st.just("init"), "started": _times, "grace_period": _periods},
            ),
        },
    ),
    "cluster_name": st.fixed_dictionaries({"cluster_name": _hosts}, optional={"cluster_id": names}),
    "lock": st.fixed_dictionaries(
        {
            "target": st.dictionaries(
                st.sampled_from(["user", "role", "login", "node", "join_token"]), names, min_size=1
            )
        },
        optional={"message": _text, "expires": _times, "created_at": _times, "created_by": _text},
    ),
    "semaphore": st.fixed_dictionaries(
        {"leases": st.lists(st.fixed_dictionaries({"lease_id": names, "holder": names}), max_size=2)},
        optional={"max_leases": st.integers(0, 9)},
    ),
    "session_termination": st.fixed_dictionaries({"message": _text, "host_user": names, "created_at": _times}),
    "session_tracker": st.fixed_dictionaries(
        {
            "host_user": names,
            "server_id": names,
            "hostname": names,
            "created": _times,
            "login": _text,
            "state": st.sampled_from(["pending", "running", "terminated"]),
            "interactive": st.booleans(),
        }
    ),
    "node": st.fixed_dictionaries(
        {},
        optional={
            "hostname": names,
            "addr": _addresses,
            "public_addrs": _several(_addresses),
            "version": _text,
            "use_tunnel": st.booleans(),
            "cmd_labels": _commands,
        },
    ),
    "role": st.fixed_dictionaries(
        {},
        optional={
            "allow": st.fixed_dictionaries({}, optional={"logins": _several(_logins), "node_labels": _selectors}),
            "deny": st.fixed_dictionaries({}, optional={"logins": _several(_logins)}),
        },
    ),
    "session_recording_config": st.fixed_dictionaries(
        {},
        optional={
            "mode": st.sampled_from(["node", "off", False]),
            "encryption": st.fixed_dictionaries({}, optional={"enabled": st.sampled_from([True, "yes"])}),
            "proxy_checks_host_keys": st.booleans(),
        },
    ),
    "auth_server": st.fixed_dictionaries(
        {}, optional={"hostname": names, "addr": _addresses, "version": st.sampled_from(["1.2.3", ""])}
    ),
    "proxy": st.fixed_dictionaries(
        {},
        optional={
            "hostname": names,
            "addr": _addresses,
            "public_addrs": _several(_addresses),
            "peer_addr": _addresses,
            "version": st.sampled_from(["1.2.3", ""]),
        },
    ),
    "cluster_networking_config": st.fixed_dictionaries(
        {},
        optional={
            "client_idle_timeout": st.sampled_from(["0s", "30m", "never"]),
            "client_idle_timeout_message": names,
            "keep_alive_interval": st.sampled_from(["0s", "5m"]),
            "keep_alive_count_max": st.integers(1, 100),
        },
    ),
    "instance": st.fixed_dictionaries(
        {},
        optional={
            "hostname": names,
            "version": st.sampled_from(["1.2.3", "v16.0.0-rc.1"]),
            "last_seen": _times,
            "services": st.lists(st.sampled_from(["Auth", "Node", "Proxy"]), max_size=3),
            "external_upgrader": st.sampled_from(["", "unit", "kube"]),
        },
    ),
    "token": st.fixed_dictionaries(
        {"roles": st.lists(st.sampled_from([*LOCAL_SERVICES, "Instance", "node", "PROXY"]), min_size=1, max_size=3)},
        optional={"join_method": st.sampled_from(["", "token"])},
    ),
    "user": st.fixed_dictionaries(
        {},
        optional={
            "roles": _several(names),
            "traits": st.dictionaries(names.filter(lambda name: name != "logins"), _several(_text), max_size=3),
            "expires": _times,
            "created_by": st.fixed_dictionaries({}, optional={"time": _times, "user": st.just({"name": "root"})}),
            "status": st.fixed_dictionaries(
                {}, optional={"is_locked": st.sampled_from([True, "yes", "off"]), "lock_expires": _times}
            ),
        },
    ),
}


@st.composite
def documents(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """Make documents of a kind that its grammar allows."""
    spec = draw(_SPECS[kind])
    about: dict[str, Any] = {"name": draw(names), "description": draw(_text), "labels": draw(_labels)}
    if draw(st.booleans()):
        about["expires"] = draw(_times)
    document: dict[str, Any] = {"kind": kind, "metadata": about, "spec": spec}
    if kind == "app":
        about["name"] = draw(st.from_regex(r"[a-z]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True))
    if kind in ("app_server", "db_server", "kube_server"):
        about["name"], document["sub_kind"] = SAMPLES[kind]["metadata"]["name"], UUID
    if kind == "cert_authority":
        document |= {"sub_kind": spec["type"]}
        about["name"] = spec["cluster_name"]
    elif kind == "semaphore":
        document |= {"sub_kind": "connection"}
    elif kind in ("cluster_name", "session_recording_config", "cluster_networking_config"):
        about["name"] = kind.replace("_", "-")
    elif kind == "role":
        about["name"] = "role " + about["name"]
    return document


def sample(kind: str, **changes: Any) -> dict[str, Any]:
    """Return the sample of a kind with the given fields of its spec set; `None` takes a field away."""
    document = SAMPLES[kind]
    spec = {key: value for key, value in {**document["spec"], **changes}.items() if value is not None}
    return {**document, "spec": spec}
