"""`tbot configure` and `tbot migrate`: what they print, and that it loads to what was asked."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from teleport.base.struct import encode
from teleport.cli.entry import main
from teleport.cli.tbot import options
from teleport.cli.tbot.types import TYPES
from teleport.model.config.tbot_services import LATER
from teleport.model.config.tbot_yaml import TbotYaml, load, read

Captured = pytest.CaptureFixture[str]
PROXY = "--proxy-server=t.example.com:443"


def configured(capsys: Captured, *words: str) -> tuple[TbotYaml, str]:
    """Run the command; return what it means and what was said beside it."""
    assert main("tbot", ["configure", *words]) == 0
    printed = capsys.readouterr()
    return load(printed.out, "printed"), printed.err


def data(config: TbotYaml) -> object:
    return json.loads(encode(config))


def refused(capsys: Captured, *words: str, status: int = 1) -> str:
    assert main("tbot", [*words]) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


@pytest.mark.parametrize(
    ("words", "service"),
    [
        (("identity", "--destination=/a"), {"type": "identity", "destination": {"type": "directory", "path": "/a"}}),
        (("identity", "--destination=file:///a", "--reader-user=alice", "--reader-user=10", "--reader-group=ops",
          "--cluster=leaf", "--allow-reissue"),
         {"type": "identity", "cluster": "leaf", "allow_reissue": True, "destination": {
             "type": "directory", "path": "/a", "readers": [{"user": "alice"}, {"user": 10}, {"group": "ops"}]}}),
        (("application", "--app=grafana", "--destination=memory://", "--specific-tls-extensions"),
         {"type": "application", "app_name": "grafana", "specific_tls_naming": True,
          "destination": {"type": "memory"}}),
        (("database", "--service=pg", "--database=d", "--username=u", "--format=mongo", "--destination=/a"),
         {"type": "database", "service": "pg", "database": "d", "username": "u", "format": "mongo",
          "destination": {"type": "directory", "path": "/a"}}),
        (("kubernetes", "--kubernetes-cluster=prod", "--disable-exec-plugin", "--destination=kubernetes-secret://ns/n"),
         {"type": "kubernetes", "kubernetes_cluster": "prod", "disable_exec_plugin": True,
          "destination": {"type": "kubernetes_secret", "name": "n", "namespace": "ns"}}),
        (("kubernetes/v2", "--label-selector=a=b,c=d", "--label-selector=e=f", "--destination=/a"),
         {"type": "kubernetes/v2", "selectors": [{"labels": {"a": "b", "c": "d"}}, {"labels": {"e": "f"}}],
          "destination": {"type": "directory", "path": "/a"}}),
        (("kubernetes/v2", "--name-selector=a", "--destination=/a"),
         {"type": "kubernetes/v2", "selectors": [{"name": "a"}], "destination": {"type": "directory", "path": "/a"}}),
        (("ssh-host", "--principals=a,b", "--principals=c", "--ca-type=openssh", "--destination=/a"),
         {"type": "ssh_host", "principals": ["a", "b", "c"], "ca_type": "openssh",
          "destination": {"type": "directory", "path": "/a"}}),
        (("ssh-multiplexer", "--no-enable-resumption", "--proxy-templates-path=/t", "--destination=/a"),
         {"type": "ssh-multiplexer", "enable_resumption": False, "proxy_templates_path": "/t",
          "destination": {"type": "directory", "path": "/a"}}),
    ],
)  # fmt: skip
def test_each_type(capsys: Captured, words: tuple[str, ...], service: dict[str, object]) -> None:
    config, err = configured(capsys, *words, PROXY, "--token=/etc/token", "--join-method=gitlab")
    assert data(config) == {
        "version": "v2",
        "proxy_server": "t.example.com:443",
        "onboarding": {"token": "/etc/token", "join_method": "gitlab"},
        "services": [service],
    }
    assert err == ""


def test_every_type_has_a_command() -> None:
    import importlib

    table = importlib.import_module("teleport.cli.tbot").COMMANDS
    assert {name.removeprefix("configure ") for name in table if name.startswith("configure ")} == set(TYPES)


def test_the_form_with_one_output(capsys: Captured) -> None:
    """S1-27: the token from the command line."""
    config, err = configured(
        capsys, "legacy", "--destination-dir=/opt/machine-id", "--data-dir=/srv/bot", "--token=abcd", "-a", "a:3025",
        "--ca-pin=/pin", "--oneshot", "--certificate-ttl=1h30m", "--renewal-interval=10m", "--diag-addr=127.0.0.1:3001",
        "--pid-file=/run/tbot.pid", "--debug", "--join-method=token",
    )  # fmt: skip
    assert data(config) == {
        "version": "v2",
        "auth_server": "a:3025", "debug": True, "oneshot": True, "credential_ttl": "1h30m0s",
        "renewal_interval": "10m0s", "diag_addr": "127.0.0.1:3001", "pid_file": "/run/tbot.pid",
        "onboarding": {"token": "abcd", "join_method": "token", "ca_pins": ["/pin"]},
        "storage": {"type": "directory", "path": "/srv/bot"},
        "services": [{"type": "identity", "destination": {"type": "directory", "path": "/opt/machine-id"}}],
    }  # fmt: skip
    assert err == ""


FILE = """\
version: v2
proxy_server: t.example.com:443
onboarding: {token: the-old-secret, join_method: token}
services:
- {type: identity, destination: {directory: /a}}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "tbot.yaml"
    path.write_text(FILE)
    return str(path)


def test_the_token_of_the_file(capsys: Captured, file: str) -> None:
    """S1-27: `onboarding.token` of tbot.yaml counts where no flag says another."""
    config, err = configured(capsys, "-c", file)
    assert (config, err) == (load(FILE, "t"), "")
    config, err = configured(capsys, "-c", file, "--token=the-new-secret")
    assert config.onboarding.token == "the-new-secret"
    assert "CLI parameters are overriding configuration flag=--token config_value=****** cli_value=******" in err
    assert "secret" not in err


def test_the_environment_is_command_line(
    capsys: Captured, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TBOT_CONFIG_PATH", file)
    monkeypatch.setenv("TBOT_DEBUG", "true")
    monkeypatch.setenv("TELEPORT_AUTH_SERVER", "auth:3025")
    monkeypatch.setenv("TELEPORT_BOT_TOKEN", "another")
    config, err = configured(capsys)
    assert (config.auth_server, config.proxy_server, config.onboarding.token) == ("auth:3025", "", "another")
    assert config.debug
    assert len(err.splitlines()) == 3
    monkeypatch.setenv("TELEPORT_PROXY", "p:443")
    assert "TBOT-TWO-SERVERS" in refused(capsys, "configure")


def test_a_service_of_the_command_line_is_added_to_the_file(capsys: Captured, file: str) -> None:
    config, _ = configured(capsys, "application", "--app=x", "--destination=/b", "-c", file)
    assert [entry.type for entry in config.services] == ["identity", "application"]
    said = refused(capsys, "-c", file, "configure", "application", "--app=x", "--destination=/a")
    assert "Identical destinations used within config: file:///a" in said


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ((), 1, "BOT-NO-SERVER"),
        ((PROXY, "-a", "a:3025"), 1, "TBOT-TWO-SERVERS"),
        ((PROXY, "nonsense"), 1, "unrecognized service type (nonsense)"),
        ((PROXY, "--join-method=x"), 1, 'unrecognized join method: "x"'),
        ((PROXY, "--insecure", "--ca-pin=/x"), 1, "the option ca-pin is mutually exclusive with --insecure"),
        ((PROXY, "--insecure", "--ca-pin=/x", "--join-method=x"), 1, "TBOT-LINE"),
        ((PROXY, "--fips"), 1, "--fips is not supported yet"),
        ((PROXY, "--storage=s3://x"), 1, "unrecognized data storage scheme"),
        ((PROXY, "--renewal-interval=x"), 1, "CFG-DURATION"),
        (("identity", PROXY), 2, "Missing option '--destination'"),
        (("identity", PROXY, "--destination=file://h/a"), 1, "file-backed data storage must be on the local host"),
        (("identity", PROXY, "--destination=memory://", "--reader-user=a"), 1,
         "--reader-user and --reader-group are only compatible with file destinations"),
        (("kubernetes/v2", PROXY, "--destination=/a"), 1, "a selector must have a name or labels: there is none"),
        (("kubernetes/v2", PROXY, "--destination=/a", "--name-selector=a", "--label-selector=b=c"), 1,
         "--name-selector and --label-selector are mutually exclusive"),
        (("kubernetes/v2", PROXY, "--destination=/a", "--label-selector=b"), 1, "TBOT-LABELS"),
        (("ssh-multiplexer", PROXY, "--destination=memory://"), 1, "unrecognized destination type (memory)"),
        (("-c", "/nonexistent/tbot.yaml"), 1, "/nonexistent/tbot.yaml"),
    ],
)  # fmt: skip
def test_what_is_refused(capsys: Captured, words: tuple[str, ...], status: int, said: str) -> None:
    assert said in refused(capsys, "configure", *words, status=status)


@pytest.mark.parametrize("kind", LATER)
def test_types_that_are_not_there_yet(capsys: Captured, kind: str) -> None:
    assert f"the service type {kind} is not supported yet" in refused(capsys, "configure", kind, PROXY)


def test_a_file_is_written_for_its_owner_alone_and_never_over_another(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "new.yaml"
    assert main("tbot", ["configure", "identity", PROXY, "--destination=/a", "-o", str(path)]) == 0
    printed = capsys.readouterr()
    assert (printed.out, f"tbot start -c {path}" in printed.err) == ("", True)
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert len(load(path.read_text(), "t").services) == 1
    assert "DISK-EXISTS" in refused(capsys, "configure", "identity", PROXY, "--destination=/a", "-o", str(path))


V1 = "auth_server: a:3025\ncertificate_ttl: 5m\ndestinations:\n- directory: /a\n"


def test_migrate(capsys: Captured, tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(V1)
    assert main("tbot", ["migrate", "-c", str(old)]) == 0
    printed = capsys.readouterr()
    assert read(printed.out, "p").version == "v2"
    assert load(printed.out, "p") == load(V1, "o")
    assert "shorter than the renewal interval" in printed.err
    assert "Deprecated" not in printed.err
    assert main("tbot", ["-c", str(old), "migrate", "-o", str(new)]) == 0
    assert new.read_text() == printed.out
    assert old.read_text() == V1
    capsys.readouterr()
    assert main("tbot", ["migrate", "-c", str(new)]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "configuration already the latest version. nothing to migrate.\n")
    assert "Missing option" in refused(capsys, "migrate", status=2)


def test_old_files_still_work_and_say_so(capsys: Captured, tmp_path: Path) -> None:
    old = tmp_path / "old.yaml"
    old.write_text(V1)
    _, err = configured(capsys, "-c", str(old))
    assert err.startswith("WARNING: Deprecated config version (V1) detected")


def test_options_of_the_shared_table_have_names_of_their_own() -> None:
    command = options.legacy("x")(lambda given: None)
    names = [word for parameter in command.params for word in parameter.opts]
    assert len(names) == len(set(names))
