from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from teleport.base.errors import BadParameter, NotSupported, TeleportError
from teleport.base.struct import Duration
from teleport.model.address import Address
from teleport.model.config.teleport_yaml import TeleportYaml, load

FULL = """\
version: v3
teleport:
  nodename: web-1
  data_dir: /srv/teleport
  pid_file: /run/teleport.pid
  log:
    output: /var/log/teleport.log
    severity: warning
    format: {output: json, extra_fields: [level, timestamp]}
auth_service:
  enabled: "yes"
  listen_addr: "[::1]:3025"
  cluster_name: example.com
  authentication:
    type: local
    local_auth: on
    second_factors: [otp]
  web_idle_timeout: 5m
  session_recording: off
proxy_service:
  web_listen_addr: 127.0.0.1:0
  public_addr: [example.com:443, other.example.com]
  https_keypairs:
  - {key_file: /etc/key.pem, cert_file: /etc/cert.pem}
ssh_service:
  listen_addr: 127.0.0.1
  public_addr: web-1.example.com
  labels: {env: dev}
  commands:
  - {name: kernel, command: [/bin/uname, -r], period: 1m30s}
debug_service: {enabled: no}
"""


def failure(text: str) -> TeleportError:
    with pytest.raises(TeleportError) as caught:
        load(text, "t.yaml")
    return caught.value


def test_everything_this_build_acts_on() -> None:
    config = load(FULL, "t.yaml")
    assert [each.code for each in config.warnings] == ["CONFIG-SEVERAL-PUBLIC"]
    assert config.teleport.nodename == "web-1"
    assert config.teleport.log.level == "WARN"
    assert config.teleport.log.format.extra_fields == ("level", "timestamp")
    assert config.auth_service.listen == Address("::1", 3025)
    assert config.auth_service.authentication.required == "otp"
    assert config.auth_service.web_idle_timeout == Duration(300)
    assert config.auth_service.recording_mode == "off"
    assert config.proxy_service.web_listen == Address("127.0.0.1", 0)
    assert config.proxy_service.public == (Address("example.com", 443), Address("other.example.com", 3080))
    assert config.proxy_service.https_keypairs[0].key_file == "/etc/key.pem"
    assert config.ssh_service.listen == Address("127.0.0.1", 3022)
    assert config.ssh_service.public == (Address("web-1.example.com", 3022),)
    assert config.ssh_service.commands[0].period == Duration(90)
    assert [*config.sections()] == ["teleport", "auth_service", "proxy_service", "ssh_service"]


def test_defaults() -> None:
    """S3-35: the Auth Service listens on 3025."""
    config = load("", "t.yaml")
    assert config == TeleportYaml() == load("# nothing\n", "t.yaml")
    assert config.teleport.data_dir == "/var/lib/teleport"
    assert str(config.auth_service.listen) == "0.0.0.0:3025"
    assert str(config.proxy_service.web_listen) == "0.0.0.0:3080"
    assert str(config.ssh_service.listen) == "0.0.0.0:3022"
    assert config.proxy_service.public == config.ssh_service.public == ()
    assert len(config.sections()) == 5
    assert list(config.faults()) == []


def test_sections_and_keys_without_value_say_nothing() -> None:
    assert load("auth_service:\nproxy_service:\nssh_service:\n  labels:\nteleport:\n  log:\n", "t") == TeleportYaml()


AGENT = (
    'version: v3\nteleport:\n  join_params: {token_name: "/tmp/token", method: token}\n'
    "  proxy_server: teleport.example.com:443\nauth_service: {enabled: off}\nproxy_service: {enabled: off}\n"
    "ssh_service: {enabled: off}\n"
)


def test_the_agent_example_of_the_documentation_but_for_the_service_that_is_not_there() -> None:
    error = failure(AGENT + 'kubernetes_service: {enabled: "yes"}\n')
    assert isinstance(error, NotSupported)
    assert str(error).startswith("t.yaml:8:1: kubernetes_service is not supported yet")
    section = load(AGENT, "t").teleport
    assert (section.token, section.join_params.method) == ("/tmp/token", "token")
    assert section.proxy_address == Address("teleport.example.com", 443)


@pytest.mark.parametrize("service", ["app_service", "db_service", "discovery_service"])
@pytest.mark.parametrize(("version", "key"), [("v3", "auth_server: a"), ("v2", "auth_servers: [a]")])
def test_services_that_only_a_tunnel_reaches_do_not_join_directly(service: str, version: str, key: str) -> None:
    """S3-44: beside that the service is not there yet, which is as true."""
    text = f"version: {version}\nteleport: {{{key}}}\n{service}: {{enabled: yes}}\n{OFF}"
    said = str(failure(text))
    assert f"t.yaml:3:1: {service} is not supported yet" in said
    assert f"t.yaml:3:1: {service} cannot join with teleport.{key.partition(':')[0]}: " in said
    assert "it needs proxy_server" in said
    load(text.replace("yes", "no"), "t.yaml")
    for other in (text.replace(key, "proxy_server: p").replace("v2", "v3"), text.replace(OFF, "")):
        assert failure(other).code == "CONFIG-NOT-SUPPORTED", "through a proxy it is only not there yet"


@pytest.mark.parametrize("service", ["kubernetes_service", "windows_desktop_service"])
def test_services_that_may_join_directly_are_only_not_there_yet(service: str) -> None:
    """S3-41, S3-42: the words say which line and which key."""
    error = failure(f"version: v3\nteleport: {{auth_server: a}}\n{service}: {{listen_addr: '0.0.0.0:3026'}}\n")
    assert error.code == "CONFIG-NOT-SUPPORTED"
    assert str(error).startswith(f"t.yaml:3:1: {service} is not supported yet")


PIN = f"sha256:{'0a' * 32}"
OFF = "auth_service: {enabled: no}\nproxy_service: {enabled: no}\n"


@pytest.mark.config("teleport.auth_server", "teleport.auth_servers", "teleport.ca_pin", "teleport.proxy_server")
def test_where_the_auth_service_is() -> None:
    section = load(f"version: v3\nteleport: {{auth_server: 'auth', ca_pin: '{PIN}'}}\n", "t").teleport
    assert (section.auth_addresses, section.pins) == ((Address("auth", 3025),), (PIN,))
    text = f"version: v2\nteleport: {{auth_servers: [a, 'b:443'], ca_pin: ['{PIN}', /etc/pin]}}\n"
    section = load(text, "t").teleport
    assert section.auth_addresses == (Address("a", 3025), Address("b", 443))
    assert section.pins == (PIN, "/etc/pin")
    assert load(f"version: v3\nteleport: {{proxy_server: p}}\n{OFF}", "t").teleport.proxy_address == ("p", 3080)
    assert (section.proxy_address, section.advertised) == (None, None)


@pytest.mark.config("teleport.join_params.token_name", "teleport.join_params.method", "teleport.auth_token")
@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("version: v3\nteleport: {auth_servers: [a]}", "CONFIG-SERVER-VERSION"),
        ("version: v2\nteleport: {auth_server: a}", "CONFIG-SERVER-VERSION"),
        ("version: v1\nteleport: {proxy_server: a}\n" + OFF, "CONFIG-SERVER-VERSION"),
        ("version: v3\nteleport: {auth_server: a, proxy_server: b}\n" + OFF, "CONFIG-TWO-SERVERS"),
        ("version: v3\nteleport: {proxy_server: b}", "CONFIG-PROXY-SERVER"),
        ("version: v3\nteleport: {proxy_server: b}\nauth_service: {enabled: no}", "CONFIG-PROXY-SERVER"),
        ("version: v3\nteleport: {auth_server: 'a:b'}", "KIND-ADDRESS"),
        ("version: v2\nteleport: {auth_servers: ['a:b']}", "KIND-ADDRESS"),
        ("version: v3\nteleport: {proxy_server: 'https://b'}\n" + OFF, "KIND-ADDRESS"),
        ("version: v3\nteleport: {advertise_ip: 'a b'}", "KIND-ADDRESS"),
        ("version: v3\nteleport: {ca_pin: 'md5:00'}", "CONFIG-VALUE"),
        ("version: v3\nteleport: {join_params: {method: magic}}", "CONFIG-VALUE"),
        ("version: v3\nteleport: {auth_token: a, join_params: {token_name: b}}", "CONFIG-TWO-TOKENS"),
    ],
)
def test_ways_to_the_auth_service_that_cannot_be(lines: str, code: str) -> None:
    assert failure(lines).code == code


def test_a_token_is_not_shown_by_accident() -> None:
    section = load("version: v3\nteleport: {join_params: {token_name: s3cret}}", "t").teleport
    assert section.token == "s3cret"
    assert "s3cret" not in repr(section.join_params)
    assert load("version: v3\nteleport: {auth_token: old}", "t").teleport.token == "old"


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_versions(version: str) -> None:
    assert load(f"version: {version}\n", "t").warnings == ()


@pytest.mark.config("version")
@pytest.mark.parametrize("version", ["v4", "3", "V3", "[v3]", "true"])
def test_other_versions(version: str) -> None:
    error = failure(f"teleport: {{}}\nversion: {version}\n")
    assert (error.code, str(error)) == ("CONFIG-VERSION", "t.yaml:2:1: version must be one of v1, v2, v3")


@pytest.mark.config("version")
def test_a_missing_version_is_v3_with_a_warning() -> None:
    warned = load("teleport: {}\n", "t").warnings
    assert [each.code for each in warned] == ["CONFIG-NO-VERSION"]
    assert "v3" in str(warned[0])


@pytest.mark.parametrize("word", ["off", "'off'", "no"])
def test_a_file_that_switches_second_factors_off_is_warned_of(word: str) -> None:
    authentication = f"authentication: {{second_factor: {word}}}"
    config = load(f"version: v3\nauth_service: {{{authentication}}}\n", "t")
    assert config.auth_service.authentication.required == "off"
    (warned,) = config.warnings
    assert (warned.code, str(warned)) == (
        "CONFIG-NO-SECOND-FACTOR", "second factors are off: people sign in with a password alone",
    )  # fmt: skip
    assert load(f"version: v3\nauth_service: {{enabled: no, {authentication}}}\n", "t").warnings == ()


def test_several_public_addresses_of_the_proxy_are_warned_of() -> None:
    """S3-07: whoever asks is sent to the first of them."""
    (warned,) = load("version: v3\nproxy_service: {public_addr: [a.example.com:443, b.example.com]}\n", "t").warnings
    assert str(warned) == (
        "proxy_service.public_addr has 2 addresses: every client and agent is sent to the first, a.example.com:443"
    )
    for quiet in ("{public_addr: [a.example.com]}", "{enabled: no, public_addr: [a, b]}"):
        assert load(f"version: v3\nproxy_service: {quiet}\n", "t").warnings == ()


def test_what_there_is_for_several_proxies() -> None:
    config = load("version: v3\n", "t")
    assert config.auth_service.tunnel_strategy.connections == 0
    assert str(config.proxy_service.peer_listen) == "0.0.0.0:3021"
    assert (config.proxy_service.peer_public, config.proxy_service.tunnel_public) == (None, None)
    text = (
        "version: v3\nauth_service: {tunnel_strategy: {type: proxy_peering}}\nproxy_service:\n"
        "  peer_listen_addr: 10.0.0.1:4021\n  peer_public_addr: p1.example.com\n  tunnel_listen_addr: 0.0.0.0:4024\n"
        "  tunnel_public_addr: [t.example.com, other.example.com:1]\n"
    )
    config = load(text, "t")
    assert config.auth_service.tunnel_strategy.connections == 1
    assert str(config.proxy_service.peer_public) == "p1.example.com:4021"
    assert str(config.proxy_service.tunnel_public) == "t.example.com:4024"
    text = "auth_service: {tunnel_strategy: {type: proxy_peering, agent_connection_count: 3}}\n"
    assert load(text, "t").auth_service.tunnel_strategy.connections == 3


@pytest.mark.parametrize("text", ["{}", "{second_factor: otp}", "{second_factors: [otp]}", "{second_factors: }"])
def test_second_factors_are_on_unless_the_file_says_otherwise(text: str) -> None:
    config = load(f"version: v3\nauth_service: {{authentication: {text}}}\n", "t")
    assert config.auth_service.authentication.required == "otp"
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("text", "cuts"),
    [
        ("{}", False), ("{disconnect_expired_cert: yes}", True),
        ("{authentication: {disconnect_expired_cert: yes}}", True),
        ("{disconnect_expired_cert: yes, authentication: {disconnect_expired_cert: no}}", False),
    ],
)  # fmt: skip
def test_the_newer_place_of_a_switch_counts(text: str, cuts: bool) -> None:
    assert load(f"version: v3\nauth_service: {text}\n", "t").auth_service.cuts_expired is cuts


@pytest.mark.parametrize("text", ["- 1\n", "x\n", "a: 1\n---\nb: 2\n"])
def test_what_is_no_configuration(text: str) -> None:
    assert failure(text).code == "CONFIG-NOT-A-MAP"


def test_all_problems_are_told_at_once() -> None:
    error = failure("teleport:\n  nodname: x\n  diag_addr: 'a:1'\nssh_service:\n  label: {a: b}\nsssh_service: {}\n")
    assert isinstance(error, BadParameter)
    assert error.code == "CONFIG-PROBLEMS"
    assert sorted(str(error).splitlines()) == sorted(
        [
            "t.yaml:2:3: teleport.nodname: unknown key, did you mean 'nodename'?",
            "t.yaml:5:3: ssh_service.label: unknown key, did you mean 'labels'?",
            "t.yaml:6:1: sssh_service: unknown key, did you mean 'ssh_service'?",
            "t.yaml:3:3: teleport.diag_addr is not supported yet; "
            "supported: beside it nodename, data_dir, pid_file, log, auth_token, join_params, ca_pin, auth_server, "
            "auth_servers, proxy_server, advertise_ip",
        ]
    )


def test_a_flood_of_problems_is_cut() -> None:
    error = failure("teleport:\n" + "".join(f"  zz{number}: 1\n" for number in range(80)))
    assert len(str(error).splitlines()) == 51
    assert str(error).endswith("t.yaml: and 30 more")


@pytest.mark.config("auth_service.authentication.type", "auth_service.authentication.local_auth")
@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("teleport:\n  nodename: a,b\n", "KIND-NAME", "2:3"),
        ("teleport:\n  data_dir: here\n", "CONFIG-PATH", "2:3"),
        ("teleport:\n  data_dir: ''\n", "CONFIG-PATH", "2:3"),
        ("teleport:\n  pid_file: x.pid\n", "CONFIG-PATH", "2:3"),
        ("teleport:\n  log:\n    severity: LOUD\n", "CONFIG-VALUE", "3:5"),
        ("teleport:\n  log:\n    output: stdlog\n", "CONFIG-VALUE", "3:5"),
        ("teleport:\n  log:\n    output: syslog\n", "CONFIG-NOT-SUPPORTED", "3:5"),
        ("teleport:\n  log:\n    format: {output: xml}\n", "CONFIG-VALUE", "3:14"),
        ("teleport:\n  log:\n    format:\n      extra_fields:\n      - level\n      - pid\n", "CONFIG-VALUE", "6:9"),
        ("auth_service:\n  listen_addr: x:y\n", "KIND-ADDRESS", "2:3"),
        ("auth_service:\n  cluster_name: a b\n", "KIND-NAME", "2:3"),
        ("auth_service:\n  authentication:\n    type: oidc\n", "CONFIG-NOT-SUPPORTED", "3:5"),
        ("auth_service:\n  authentication:\n    type: ldap\n", "CONFIG-VALUE", "3:5"),
        ("auth_service:\n  authentication:\n    local_auth: no\n", "CONFIG-NOBODY", "3:5"),
        ("auth_service:\n  authentication:\n    second_factor: webauthn\n", "CONFIG-NOT-SUPPORTED", "3:5"),
        ("auth_service:\n  authentication:\n    second_factor: optional\n", "CONFIG-NOT-SUPPORTED", "3:5"),
        ("auth_service:\n  authentication:\n    second_factors: []\n", "CONFIG-NO-FACTORS", "3:5"),
        ("auth_service:\n  authentication:\n    second_factors: [otp, webauthn]\n", "CONFIG-NOT-SUPPORTED", "3:27"),
        ("auth_service:\n  authentication:\n    second_factors: [off]\n", "CONFIG-PROBLEMS", None),
        ("auth_service:\n  authentication:\n    second_factors: [sms]\n", "CONFIG-VALUE", "3:22"),
        (
            "auth_service:\n  authentication: {second_factor: otp, second_factors: [otp]}\n",
            "CONFIG-TWO-FACTORS",
            "2:40",
        ),
        ("auth_service:\n  session_recording: on\n", "CONFIG-VALUE", "2:3"),
        ("auth_service:\n  web_idle_timeout: soon\n", "CONFIG-PROBLEMS", None),
        ("auth_service:\n  tokens: ['node:abc', 'secret']\n", "CONFIG-STATIC-TOKEN", "2:24"),
        ("auth_service:\n  tokens: ['node:']\n", "CONFIG-STATIC-TOKEN", "2:12"),
        ("auth_service:\n  tokens: ['bot:abc']\n", "KIND-TOKEN-BOT", "2:12"),
        ("auth_service:\n  tokens: ['nodes:abc']\n", "KIND-TOKEN-ROLE", "2:12"),
        ("auth_service:\n  tokens: ['node:a b/c']\n", "CONFIG-STATIC-TOKEN", "2:12"),
        ("auth_service:\n  web_idle_timeout: -5\n", "CONFIG-VALUE", "2:3"),
        ("auth_service:\n  keep_alive_interval: -1\n", "CONFIG-VALUE", "2:3"),
        ("auth_service:\n  client_idle_timeout: -1\n", "CONFIG-VALUE", "2:3"),
        ("auth_service:\n  keep_alive_count_max: 0\n", "CONFIG-VALUE", "2:3"),
        ("auth_service:\n  authentication:\n    second_factor: on\n", "CONFIG-NOT-SUPPORTED", "3:5"),
        ("auth_service:\n  authentication:\n    second_factor: sms\n", "CONFIG-VALUE", "3:5"),
        ("auth_service:\n  authentication:\n    locking_mode: lax\n", "CONFIG-NOT-SUPPORTED", "3:5"),
        ("auth_service:\n  tunnel_strategy: {type: star}\n", "CONFIG-VALUE", "2:21"),
        ("auth_service:\n  tunnel_strategy: {agent_connection_count: 2}\n", "CONFIG-MESH-COUNT", "2:21"),
        (
            "auth_service:\n  tunnel_strategy: {type: proxy_peering, agent_connection_count: 0}\n",
            "CONFIG-VALUE",
            "2:42",
        ),
        ("proxy_service:\n  peer_listen_addr: ':x'\n", "KIND-ADDRESS", "2:3"),
        ("proxy_service:\n  peer_public_addr: 'a b'\n", "KIND-ADDRESS", "2:3"),
        ("proxy_service:\n  tunnel_public_addr: 'a b'\n", "KIND-ADDRESS", "2:3"),
        ("proxy_service:\n  web_listen_addr: ':x'\n", "KIND-ADDRESS", "2:3"),
        ("proxy_service:\n  listen_addr: ':x'\n", "KIND-ADDRESS", "2:3"),
        ("proxy_service:\n  proxy_protocol: maybe\n", "CONFIG-VALUE", "2:3"),
        ("auth_service:\n  proxy_protocol: maybe\n", "CONFIG-VALUE", "2:3"),
        ("auth_service:\n  proxy_listener_mode: both\n", "CONFIG-VALUE", "2:3"),
        ("proxy_service:\n  https_keypairs_reload_interval: -5\n", "CONFIG-VALUE", "2:3"),
        ("proxy_service:\n  public_addr: [a, 'https://b']\n", "KIND-ADDRESS", "2:3"),
        ("proxy_service:\n  https_keypairs:\n  - key_file: ''\n    cert_file: /c\n", "CONFIG-PATH", "3:5"),
        ("proxy_service:\n  https_keypairs: [{key_file: /k}]\n", "CONFIG-PROBLEMS", None),
        ("ssh_service:\n  public_addr: 'a b'\n", "KIND-ADDRESS", "2:3"),
        ("ssh_service:\n  labels:\n    a b: c\n", "KIND-LABEL", "3:5"),
        ("ssh_service:\n  labels:\n    teleport.internal/x: c\n", "KIND-LABEL", "3:5"),
        ("ssh_service:\n  commands:\n  - {name: a, command: []}\n", "KIND-LABEL", "3:15"),
        ("ssh_service:\n  commands:\n  - {name: a, command: [x], period: 100ms}\n", "KIND-LABEL", "3:29"),
        ("ssh_service:\n  labels: {a: b}\n  commands:\n  - {name: a, command: [x]}\n", "KIND-LABEL", "4:6"),
        ("ssh_service:\n  commands:\n  - {name: a, command: [x]}\n  - {name: a, command: [x]}\n", "KIND-LABEL", "4:6"),
        ("ssh_service:\n  x11: {display_offset: -1}\n", "CONFIG-DISPLAY", "2:9"),
        ("ssh_service:\n  x11: {display_offset: 59536}\n", "CONFIG-DISPLAY", "2:9"),
        ("ssh_service:\n  x11: {max_display: 9}\n", "CONFIG-DISPLAY", "2:9"),
        ("ssh_service:\n  x11: {max_display: 60000}\n", "CONFIG-DISPLAY", "2:9"),
        ("ssh_service:\n  commands: [{name: a, command: [x], period: soon}]\n", "CONFIG-PROBLEMS", None),
        ("ssh_service:\n  enabled: perhaps\n", "CONFIG-PROBLEMS", None),
    ],
)
def test_values_that_cannot_be(text: str, code: str, place: str | None) -> None:
    error = failure(text)
    assert error.code == code
    if place is not None:
        assert error.place == f"t.yaml:{place}"
    assert str(error).startswith("t.yaml:")


def test_nothing_in_a_disabled_service_has_an_effect() -> None:
    text = (
        "ssh_service: {enabled: no, x11: {enabled: yes}, listen_addr: 'x:y'}\napp_service: {enabled: 'off', a: [1]}\n"
    )
    assert not load(text, "t").ssh_service.enabled
    assert failure(text.replace("x11", "x12")).code == "CONFIG-PROBLEMS"


_LATER = """
teleport ["x"]
  diag_addr cache connection_limits
  storage ciphers kex_algos mac_algos ciphersuites ca_signature_algo
auth_service "x"
  public_addr session_control_timeout ssh_dial_timeout
  routing_strategy case_insensitive_routing message_of_the_day license_file load_all_cas
  ca_key_params access_monitoring hosted_plugins kubeconfig_file
auth_service.authentication ["x"]
  webauthn passwordless headless connector_name require_session_mfa locking_mode default_session_ttl device_trust
  stable_unix_user_config signature_algorithm_suite hardware_key u2f message_of_the_day
proxy_service {"enabled":true}
  ssh_public_addr
  kube_public_addr mysql_public_addr postgres_public_addr mongo_public_addr kubernetes
  mongo_listen_addr acme
  ui idp automatic_upgrades_channels limit cors
ssh_service true
  permit_user_env pam allow_tcp_forwarding
ssh_service false
  force_listen
- {"x":1}
  app_service db_service kubernetes_service windows_desktop_service linux_desktop_service discovery_service
  jamf_service okta_service relay_service metrics_service tracing_service access_graph
"""


def _later() -> dict[str, Any]:
    keys: dict[str, Any] = {}
    section, value = "", None
    for line in _LATER.strip().splitlines():
        if line.startswith(" "):
            keys |= {f"{section}.{key}".removeprefix("-."): value for key in line.split()}
        else:
            section, _, text = line.partition(" ")
            value = json.loads(text)
    return keys


LATER = _later()
"""Every key of the format that this build does not act on, with a value that would change something."""

HARMLESS: list[tuple[str, Any]] = [
    ("teleport.storage", {"type": "sqlite"}), ("teleport.storage", {"type": "dir"}), ("teleport.ca_pin", []),
    ("teleport.join_params", {"azure": {}}),
    ("teleport.cache", {"enabled": False}), ("teleport.diag_addr", ""),
    ("auth_service.routing_strategy", "unambiguous_match"),
    ("auth_service.authentication.connector_name", "local"),
    ("auth_service.authentication.default_session_ttl", "12h"),
    ("auth_service.authentication.locking_mode", "best_effort"),
    ("auth_service.authentication.signature_algorithm_suite", "balanced-v1"),
    ("auth_service.authentication.device_trust", {"mode": "off"}),
    ("proxy_service.acme", {"enabled": "no", "email": "a@b"}), ("proxy_service.acme", {}),
    ("proxy_service.idp", {"saml": {"enabled": False}}),
    ("ssh_service.pam", {"enabled": "no", "service_name": "sshd"}),
    ("app_service", {"enabled": "no", "debug_app": True}),
]  # fmt: skip


def written(path: str, value: Any) -> str:
    for key in reversed(path.split(".")):
        value = {key: value}
    return yaml.safe_dump(value)


@pytest.mark.parametrize("path", LATER)
def test_every_other_key_is_known_and_refused_with_its_place(path: str) -> None:
    error = failure(written(path, LATER[path]))
    assert isinstance(error, NotSupported)
    assert error.code == "CONFIG-NOT-SUPPORTED"
    assert error.fields["key"] == path
    assert str(error).startswith(f"t.yaml:{path.count('.') + 1}:{2 * path.count('.') + 1}: {path} is not supported yet")
    assert "{" not in error.fix + error.why


@pytest.mark.parametrize(("path", "value"), HARMLESS)
def test_values_that_say_what_happens_anyway_are_let_through(path: str, value: Any) -> None:
    load(written(path, value), "t.yaml")


def test_the_tables_above_name_every_key_that_is_not_acted_on() -> None:
    config = TeleportYaml()
    sections = ("teleport", "auth_service", "proxy_service", "ssh_service")
    declared = {f"{name}.{key}" for name in sections for key in getattr(config, name).__struct_fields__}
    inside = {f"auth_service.authentication.{key}" for key in config.auth_service.authentication.__struct_fields__}
    services = {*config.__struct_fields__} - {*sections}
    assert (declared | inside | services) - {*LATER} == {
        "teleport.auth_token", "teleport.join_params", "teleport.ca_pin", "teleport.auth_server",
        "teleport.auth_servers", "teleport.proxy_server", "teleport.advertise_ip",
        "teleport.nodename", "teleport.data_dir", "teleport.pid_file", "teleport.log",
        "auth_service.enabled", "auth_service.listen_addr", "auth_service.cluster_name", "auth_service.authentication",
        "auth_service.authentication.type", "auth_service.authentication.local_auth",
        "auth_service.authentication.second_factor", "auth_service.authentication.second_factors",
        "auth_service.tokens", "auth_service.session_recording", "auth_service.proxy_checks_host_keys",
        "auth_service.web_idle_timeout", "auth_service.disconnect_expired_cert", "auth_service.keep_alive_interval",
        "auth_service.keep_alive_count_max", "auth_service.client_idle_timeout",
        "auth_service.client_idle_timeout_message", "auth_service.authentication.disconnect_expired_cert",
        "proxy_service.enabled", "proxy_service.web_listen_addr", "proxy_service.public_addr",
        "proxy_service.https_keypairs", "proxy_service.https_keypairs_reload_interval", "proxy_service.proxy_protocol",
        "proxy_service.listen_addr", "proxy_service.trust_x_forwarded_for", "proxy_service.tunnel_listen_addr",
        "proxy_service.kube_listen_addr", "proxy_service.mysql_listen_addr", "proxy_service.postgres_listen_addr",
        "auth_service.proxy_protocol", "auth_service.proxy_listener_mode", "auth_service.tunnel_strategy",
        "proxy_service.peer_listen_addr", "proxy_service.peer_public_addr", "proxy_service.tunnel_public_addr",
        "ssh_service.disable_create_host_user", "ssh_service.enhanced_recording",
        "ssh_service.enabled", "ssh_service.listen_addr", "ssh_service.public_addr",
        "ssh_service.labels", "ssh_service.commands", "ssh_service.port_forwarding",
        "ssh_service.ssh_file_copy", "ssh_service.x11", "version", "debug_service",
    }  # fmt: skip
