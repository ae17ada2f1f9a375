"""tbot.yaml: what it says, and every way in which it can be wrong, with the place."""

from __future__ import annotations

import pytest

from teleport.base.errors import BadParameter, NotSupported, TeleportError
from teleport.base.struct import Duration
from teleport.model.config.tbot_destinations import (
    DirectoryDestination,
    KubernetesSecretDestination,
    MemoryDestination,
    Reader,
)
from teleport.model.config.tbot_services import (
    ApplicationOutput,
    DatabaseOutput,
    IdentityOutput,
    KubernetesOutput,
    KubernetesV2Output,
    SshHostOutput,
    SshMultiplexer,
)
from teleport.model.config.tbot_yaml import DEFAULT_STORAGE, TbotYaml, dump, load, read

FULL = """\
version: v2
debug: on
proxy_server: teleport.example.com:443
credential_ttl: 2h
renewal_interval: 30m
oneshot: false
diag_addr: 127.0.0.1:3001
pid_file: /run/tbot.pid
onboarding:
  token: /etc/tbot/token
  join_method: gitlab
  ca_pins: [/etc/pin]
  azure: {client_id: abc}
  gitlab: {token_env_var_name: MINE}
  kubernetes: {token_path: /token}
  bound_keypair: {registration_secret: s, static_private_key_path: /key}
storage: {type: memory}
services:
- type: identity
  name: my+own_1
  destination: {type: directory, path: /opt/machine-id, symlinks: secure, acls: off, readers: [{user: a}, {group: 5}]}
  roles: [access]
  ssh_config: off
  allow_reissue: yes
  cluster: leaf
  credential_ttl: 10m
  renewal_interval: 1m
- {type: application, app_name: grafana, specific_tls_naming: true, destination: {directory: /opt/app}}
- {type: database, service: pg, database: d, username: u, format: tls, destination: {directory: {path: /opt/db}}}
- {type: kubernetes, kubernetes_cluster: prod, destination: {type: kubernetes_secret, name: n, namespace: x}}
- type: kubernetes/v2
  destination: {type: memory}
  selectors: [{name: a, default_namespace: b}, {labels: {env: prod}}]
  context_name_template: "{{.KubeName}}"
- {type: ssh_host, principals: [web-1], ca_type: openssh, destination: {directory: /etc/ssh/t}}
outputs:
- {type: ssh-multiplexer, destination: {directory: ./ssh}, enable_resumption: no, proxy_command: [a, b]}
"""


def failure(text: str) -> TeleportError:
    with pytest.raises(TeleportError) as caught:
        read(text, "t.yaml")
    return caught.value


def services(*entries: str) -> str:
    return "version: v2\nservices:\n" + "\n".join(f"- {entry}" for entry in entries) + "\n"


def test_everything_this_build_acts_on() -> None:
    found = read(FULL, "t.yaml")
    config = found.config
    assert (found.warnings, found.version) == ((), "v2")
    assert (config.debug, config.proxy_server) == (True, "teleport.example.com:443")
    assert (config.credential_ttl, config.renewal_interval) == (Duration(7200), Duration(1800))
    assert (config.diag_addr, config.pid_file) == ("127.0.0.1:3001", "/run/tbot.pid")
    joining = config.onboarding
    assert (joining.token, joining.join_method, joining.ca_pins) == ("/etc/tbot/token", "gitlab", ("/etc/pin",))
    assert joining.bound_keypair.static_key_path == "/key"
    assert config.storage == MemoryDestination()
    identity, app, database, kube, kubes, host, sockets = config.services
    assert isinstance(identity, IdentityOutput)
    readers = (Reader(user="a"), Reader(group=5))
    assert identity.destination == DirectoryDestination(
        path="/opt/machine-id", symlinks="secure", acls="off", readers=readers
    )
    assert (identity.ssh_config, identity.allow_reissue, identity.roles) == (False, True, ("access",))
    assert isinstance(app, ApplicationOutput) and app.specific_tls_naming == True  # noqa: E712, PT018 - a Switch
    assert isinstance(database, DatabaseOutput) and database.format == "tls"  # noqa: PT018
    assert isinstance(kube, KubernetesOutput)
    assert isinstance(kubes, KubernetesV2Output) and kubes.selectors[1].labels == {"env": "prod"}  # noqa: PT018
    assert isinstance(host, SshHostOutput)
    assert isinstance(sockets, SshMultiplexer) and sockets.destination.path == "./ssh"  # noqa: PT018
    assert config.names == (
        "my+own_1", "application-output-2", "database-output-3", "kubernetes-output-4", "kubernetes-v2-output-5",
        "ssh_host-output-6", "ssh-multiplexer-7",
    )  # fmt: skip


def test_what_is_written_loads_to_the_same() -> None:
    config = load(FULL, "t.yaml")
    assert read(dump(config), "again").config == config
    assert dump(config).startswith("version: v2\ndebug: true\n")
    assert dump(TbotYaml()) == "version: v2\n"


def test_secrets_are_in_no_representation() -> None:
    file = FULL.replace("/etc/tbot/token", "the-secret").replace("registration_secret: s", "registration_secret: q9")
    text = repr(load(file, "t"))
    assert "the-secret" not in text
    assert "q9" not in text


def test_defaults() -> None:
    config = load("version: v2\n", "t")
    assert config == TbotYaml()
    assert config.storage == DirectoryDestination(path=DEFAULT_STORAGE)
    assert (str(config.credential_ttl), str(config.renewal_interval)) == ("1h0m0s", "20m0s")
    assert load("version: v2\nonboarding:\nservices:\nstorage:\noutputs:\nfips: no\n", "t") == TbotYaml()


def test_the_secret_of_the_seed() -> None:
    """S1-49: a kubernetes output with static credentials in a Secret."""
    text = """\
version: v2
services:
- type: kubernetes
  kubernetes_cluster: example-k8s-cluster
  disable_exec_plugin: true
  destination:
    type: kubernetes_secret
    name: identity-output
"""
    (output,) = load(text, "t").services
    assert isinstance(output, KubernetesOutput)
    assert output.disable_exec_plugin == True  # noqa: E712 - a Switch
    assert output.destination == KubernetesSecretDestination(name="identity-output")
    assert str(output.destination) == "kubernetes_secret: identity-output"


@pytest.mark.parametrize("word", ['"off"', "off", "no", "false"])
def test_without_a_proxy(word: str) -> None:
    """S1-58: `ssh_config: "off"` as text and as a boolean, and paths from where tbot is started."""
    text = f"""\
version: v2
auth_server: auth.example.com:3025
onboarding:
  token: abcd123-insecure-do-not-use-this
  join_method: token
storage:
  type: directory
  path: ./storage
outputs:
- type: identity
  ssh_config: {word}
  destination:
    type: directory
    path: ./destination
"""
    config = load(text, "t")
    (output,) = config.services
    assert isinstance(output, IdentityOutput)
    assert output.ssh_config == False  # noqa: E712 - a Switch
    assert (str(config.storage), str(output.destination)) == ("directory: ./storage", "directory: ./destination")


@pytest.mark.parametrize("text", ["", "# nothing\n", "auth_server: a\n", "version: v1\n"])
def test_files_without_version_are_v1(text: str) -> None:
    found = read(text, "t")
    assert found.version == "v1"
    assert found.warnings[0].code == "TBOT-DEPRECATED"
    assert str(found.warnings[0]).startswith("Deprecated config version (V1) detected")


ID, A = "type: identity, destination: {directory: /a}", "type: application, app_name: x"


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("- 1", "TBOT-NOT-A-MAP", "t.yaml: this is not a configuration file"),
        ("version: v2\n---\nversion: v2", "TBOT-NOT-A-MAP", "t.yaml: this is not"),
        ("a: 1\nversion: v9", "TBOT-VERSION", 't.yaml:2:1: unrecognized config version "v9"'),
        ("version: 2", "TBOT-VERSION", 't.yaml:1:1: unrecognized config version "2"'),
        ("outputs: []", "TBOT-OUTPUTS", "the file has been detected as potentially v1, but has the v2"),
        ("version: v2\nx: 1", "TBOT-PROBLEMS", "failed parsing config file: t.yaml:2:1: x: unknown key"),
        ("version: v2\nauth_server: a\nproxy_server: b", "TBOT-TWO-SERVERS", "t.yaml:3:1: both auth_server and"),
        ("version: v2\nproxy_server: 'a:b:c'", "KIND-ADDRESS", "t.yaml:2:1: "),
        ("version: v2\ndiag_addr: ':::'", "KIND-ADDRESS", "t.yaml:2:1: "),
        ("version: v2\ninsecure: yes\nonboarding: {ca_pins: [/x]}", "TBOT-CA",
         "t.yaml:3:14: the option ca-pin is mutually exclusive with --insecure"),
        ("version: v2\ninsecure: yes\nonboarding: {ca_path: /x}", "TBOT-CA",
         "t.yaml:3:14: the option ca-path is mutually exclusive with --insecure"),
        ("version: v2\nonboarding: {ca_path: /x, ca_pins: [/y]}", "TBOT-CA",
         "t.yaml:2:14: the options ca-pin and ca-path are mutually exclusive"),
        ("version: v2\nonboarding: {ca_pins: [nonsense]}", "CONFIG-VALUE", "t.yaml:2:24: unknown CA pin"),
        ("version: v2\nonboarding: {join_method: x}", "TBOT-JOIN-METHOD",
         't.yaml:2:14: unrecognized join method: "x"'),
        ("version: v2\nonboarding: {join_method: ec2}", "TBOT-JOIN-METHOD", 'unrecognized join method: "ec2"'),
        ("version: v2\nonboarding: {join_method: circleci}", "CONFIG-NOT-SUPPORTED", "t.yaml:2:14: onboarding.join_"),
        ("version: v2\nonboarding: {terraform: {audience_tag: x}}", "CONFIG-NOT-SUPPORTED", "t.yaml:2:14: onb"),
        ("version: v2\nfips: yes", "CONFIG-NOT-SUPPORTED", "t.yaml:2:1: fips is not supported yet; supported: no"),
        ("version: v2\nonboarding: {bound_keypair: {registration_secret: a, registration_secret_path: b}}",
         "TBOT-TWO-SECRETS", "t.yaml:2:14: both registration_secret"),
        ("version: v2\ncertificate_ttl: 1h\ncredential_ttl: 1h", "TBOT-TWICE", "t.yaml:2:1: both credential_ttl"),
        ("version: v2\ncredential_ttl: 0", "TBOT-EMPTY", "t.yaml:2:1: credential_ttl is not longer than no time"),
        ("version: v2\nrenewal_interval: never", "TBOT-EMPTY", "t.yaml:2:1: renewal_interval is not longer"),
        ("version: v2\ncredential_ttl: soon", "TBOT-PROBLEMS", "t.yaml:2:1: credential_ttl: "),
        ("version: v2\nstorage: {type: x}", "TBOT-TYPE", "t.yaml:2:11: unrecognized destination type (x)"),
        ("version: v2\nstorage: /x", "TBOT-PROBLEMS", "t.yaml:2:1: storage: Expected `mapping`, got `str`"),
        ("version: v2\nstorage: {path: /x}", "TBOT-TYPE", "t.yaml:2:1: unrecognized destination type ()"),
        ("version: v2\nstorage: {directory: ''}", "TBOT-NO-PATH",
         "t.yaml:2:1: destination path must not be empty"),
        (services("{type: x}"), "TBOT-TYPE", "t.yaml:3:4: unrecognized service type (x)"),
        (services("{type: [x]}"), "TBOT-TYPE", "t.yaml:3:4: unrecognized service type (["),
        (services("x"), "TBOT-PROBLEMS", "t.yaml:3:3: services[0]: Expected `mapping`, got `str`"),
        ("version: v2\noutputs: [{type: x}]", "TBOT-TYPE", "t.yaml:2:12: unrecognized output type (x)"),
        (services("{type: spiffe-svid}"), "CONFIG-NOT-SUPPORTED", "t.yaml:3:4: services[0].type: spiffe-svid is not"),
        (services("{type: identity, destination: {type: z}}"), "TBOT-TYPE", "t.yaml:3:34: unrecognized dest"),
        (services("{type: identity}"), "TBOT-PROBLEMS", "Object missing required field `destination`"),
        (services(f"{{{ID}, sshconfig: off}}"), "TBOT-PROBLEMS", "services[0].sshconfig: unknown key, did you"),
        (services(f"{{{ID}, name: 'a b'}}"), "TBOT-NAME", "the name a b of a service cannot be used"),
        (services(f"{{{ID}, name: {'a' * 65}}}"), "TBOT-NAME", "t.yaml:3:"),
        (services(f"{{{ID}, name: heartbeat}}"), "TBOT-OWN-NAME", "the name heartbeat belongs to"),
        (services(f"{{{ID}, credential_ttl: 0s}}"), "TBOT-EMPTY", "credential_ttl is not longer"),
        (services(f"{{{ID}, name: application-output-2}}", f"{{{A}, destination: {{type: memory}}}}"),
         "TBOT-SAME-NAME", "t.yaml:4:3: two services have the name application-output-2"),
        (services("{type: identity, destination: {directory: /a, acls: off}}"), "TBOT-TYPE", "t.yaml:3:"),
        (services('{type: identity, destination: {directory: "/a\\0"}}'), "TBOT-EMPTY", "path has a NUL"),
        (services("{type: identity, destination: {type: directory, path: /a, readers: [{}]}}"), "TBOT-READER",
         "a reader must be one user or one group"),
        (services("{type: identity, destination: {type: directory, path: /a, readers: [{user: a, group: b}]}}"),
         "TBOT-READER", "a reader must be"),
        (services("{type: identity, destination: {type: kubernetes_secret}}"), "TBOT-EMPTY", "name is empty"),
        (services("{type: application, app_name: '', destination: {type: memory}}"), "TBOT-EMPTY", "app_name is"),
        (services("{type: database, service: '', destination: {type: memory}}"), "TBOT-EMPTY", "service is"),
        (services("{type: kubernetes, kubernetes_cluster: '', destination: {type: memory}}"), "TBOT-EMPTY",
         "kubernetes_cluster is empty"),
        (services("{type: ssh_host, principals: [], destination: {type: memory}}"), "TBOT-EMPTY", "principals"),
        (services("{type: kubernetes/v2, destination: {type: memory}}"), "TBOT-SELECTOR", "there is none"),
        (services("{type: kubernetes/v2, destination: {type: memory}, selectors: [{}]}"), "TBOT-SELECTOR",
         "it has neither"),
        (services("{type: kubernetes/v2, destination: {type: memory}, selectors: [{name: a, labels: {a: b}}]}"),
         "TBOT-SELECTOR", "it has both"),
        (services("{type: kubernetes/v2, destination: {type: memory}, selectors: [{name: a}], relay_server: x}"),
         "CONFIG-NOT-SUPPORTED", "services[0].relay_server is not supported yet"),
        (services("{type: ssh-multiplexer, destination: {type: memory}}"), "TBOT-PROBLEMS", "t.yaml:3:"),
        (services("{type: ssh-multiplexer, destination: {type: directory}}"), "TBOT-NO-PATH", "t.yaml:3:"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, code: str, said: str) -> None:
    error = failure(text)
    assert (error.code, said in str(error)) == (code, True), str(error)


@pytest.mark.parametrize(
    "text",
    [
        services(f"{{{ID}}}", f"{{{A}, destination: {{type: directory, path: /b/../a/}}}}"),
        services(f"{{{ID}}}") + "outputs:\n- {type: database, service: x, destination: {directory: /a}}\n",
        services(f"{{{ID}}}") + "storage: {directory: /a}\n",
        services(*["{type: application, app_name: x, destination: {type: kubernetes_secret, name: a}}"] * 2),
    ],
)
def test_destinations_are_not_shared(text: str) -> None:
    """S1-50: two outputs, or an output and the storage."""
    error = failure(text)
    assert error.code == "TBOT-IDENTICAL"
    place = "kubernetes-secret://a" if "kubernetes_secret" in text else "file:///a"
    assert f"Identical destinations used within config: {place}" in str(error)
    assert str(error).startswith("t.yaml:")


def test_destinations_that_only_look_alike() -> None:
    memory = [f"{{{A}, destination: {{type: memory}}}}"] * 2
    secrets = [
        f"{{{A}, destination: {{type: kubernetes_secret, name: a, {more}}}}}"
        for more in ("namespace: x", "namespace: y", "kubeconfig_path: /k")
    ]
    assert len(load(services(*memory, *secrets), "t").services) == 5


def test_all_problems_are_told_at_once() -> None:
    error = failure(
        "version: v2\nproxy_serve: b\noutputs:\n- {type: foo}\nservices:\n- {type: example}\n"
        "- {type: database, destination: {type: memory}}\n- {type: kubernetes, destination: {type: nope}}\n"
        "- {type: identity, name: a b, destination: {directory: ''}}\nstorage: {type: kubernetes_secret}\n"
    )
    assert isinstance(error, BadParameter)
    lines = str(error).splitlines()
    assert lines[0] == "failed parsing config file: t.yaml:2:1: proxy_serve: unknown key, did you mean 'proxy_server'?"
    assert [line.partition(": ")[0] for line in lines[1:]] == [
        "t.yaml:4:4", "t.yaml:6:4", "t.yaml:7:3", "t.yaml:8:3", "t.yaml:8:36", "t.yaml:9:20", "t.yaml:9:31",
        "t.yaml:10:1",
    ]  # fmt: skip


def test_every_value_of_a_wrong_type_is_told_beside_unknown_keys() -> None:
    error = failure(
        "version: v2\nstorage: hello\nproxy_server: 5\noneshot: maybe\nonboarding: {ca_pins: 5, tokn: x}\n"
        "services: 3\noutputs:\n- 7\n- {type: identity, destination: hello, roles: x, name: 5}\n"
        "- {type: identity, destination: {type: directory, path: 5, acls: x, readers: [{user: []}]}}\nwrong: 1\n"
    )
    assert error.code == "TBOT-PROBLEMS"
    assert [line.rpartition("t.yaml:")[2].partition(" (")[0] for line in str(error).splitlines()] == [
        "2:1: storage: Expected `mapping`, got `str`",
        "3:1: proxy_server: Expected `str`, got `int`",
        "4:1: oneshot: 'maybe' is neither yes nor no: this field takes yes, no, on, off, true or false",
        "5:14: onboarding.ca_pins: Expected `list`, got `int`",
        "5:26: onboarding.tokn: unknown key, did you mean 'token'?",
        "6:1: services: Expected `list`, got `int`",
        "8:3: outputs[0]: Expected `mapping`, got `int`",
        "9:20: outputs[1].destination: Expected `mapping`, got `str`",
        "9:40: outputs[1].roles: Expected `list`, got `str`",
        "9:50: outputs[1].name: Expected `str`, got `int`",
        "10:51: outputs[2].destination.path: Expected `str`, got `int`",
        "10:60: outputs[2].destination.acls: Invalid enum value 'x'",
        "10:80: outputs[2].destination.readers[0].user: Expected `int | str | null`, got `list`",
        "11:1: wrong: unknown key",
    ]


def test_more_problems_than_anybody_reads_are_a_number() -> None:
    entries = "\n".join(f"- {{type: identity, destination: {{type: memory}}, roles: {n}}}" for n in range(70))
    lines = str(failure(f"version: v2\nservices:\n{entries}\n")).splitlines()
    assert (lines[0].count("t.yaml:3:"), len(lines), lines[-1]) == (1, 51, "t.yaml: and 20 more")


def test_values_are_told_beside_keys_of_other_parts() -> None:
    error = failure("version: v2\nauth_server: a\nproxy_server: b\ncertificate_ttl: 0\nservices: [{type: x}]\n")
    assert [line.rpartition("t.yaml:")[2][:3] for line in str(error).splitlines()] == ["3:1", "4:1", "5:1"]


def test_several_keys_for_later_are_one_error_of_their_sort() -> None:
    error = failure("version: v2\nfips: yes\nservices:\n- {type: database-tunnel}\n")
    assert isinstance(error, NotSupported)
    assert error.code == "CONFIG-NOT-SUPPORTED-KEYS"


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        ("credential_ttl: 5m", ["TBOT-SHORT-TTL"]),
        ("certificate_ttl: 5m", ["TBOT-SHORT-TTL"]),
        ("credential_ttl: 5m\noneshot: yes", []),
        ("credential_ttl: 24h", []),
        ("credential_ttl: 25h", ["TBOT-LONG-TTL"]),
        (f"services:\n- {{{ID}, credential_ttl: 5m}}", ["TBOT-SHORT-TTL"]),
        (f"services:\n- {{{ID}, renewal_interval: 2h}}", ["TBOT-SHORT-TTL"]),
        (f"services:\n- {{{ID}, credential_ttl: 30h, renewal_interval: 31h}}",
         ["TBOT-SHORT-TTL", "TBOT-LONG-TTL"]),
    ],
)  # fmt: skip
def test_warnings_about_times(lines: str, codes: list[str]) -> None:
    found = read(f"version: v2\n{lines}\n", "t").warnings
    assert [warning.code for warning in found] == codes
    texts = {
        "TBOT-SHORT-TTL": "TTL is shorter than the renewal interval. This is likely an invalid configuration",
        "TBOT-LONG-TTL": "Requested certificate TTL exceeds the maximum TTL allowed and will likely be reduced "
        "by the Teleport server",
    }
    assert all(texts[warning.code] in str(warning) for warning in found)
