"""Settings: where the configuration comes from, and what an empty value means."""

import base64
import json
import socket

import pytest

from teleport.base import log
from teleport.base.disk import MemoryDisk
from teleport.base.errors import BadParameter, NotFound, TeleportError
from teleport.model.config.log import LogFormat, LogSection
from teleport.model.config.teleport_yaml import load
from teleport.process.settings import DEFAULT_CONFIG, LogSettings, find_config, make

NAMED = "version: v3\nteleport: {nodename: %s}\n"


@pytest.fixture
def disk():
    made = MemoryDisk()
    made.make_dir("/etc")
    for path, name in ((DEFAULT_CONFIG, "default"), ("/flag.yaml", "flag"), ("/environment.yaml", "environment")):
        made.write(path, (NAMED % name).encode())
    return made


INLINE = base64.b64encode((NAMED % "inline").encode()).decode()
FILE = {"TELEPORT_CONFIG_FILE": "/environment.yaml"}


@pytest.mark.parametrize(
    ("flag", "environment", "name", "source"),
    [
        ("/flag.yaml", {**FILE, "TELEPORT_CONFIG": INLINE}, "flag", "/flag.yaml"),
        (None, {**FILE, "TELEPORT_CONFIG": INLINE}, "inline", "the built-in defaults"),
        (None, FILE, "environment", "/environment.yaml"),
        (None, {}, "default", DEFAULT_CONFIG),
        (None, {"TELEPORT_CONFIG": "", "TELEPORT_CONFIG_FILE": ""}, "default", DEFAULT_CONFIG),
    ],
)
def test_flag_wins_then_the_environment_then_the_default_file(disk, flag, environment, name, source):
    found = find_config(flag, environment, disk)
    assert (found.nodename, found.source) == (name, source)


def test_default_file_may_be_missing_a_named_one_not():
    disk = MemoryDisk()
    assert find_config(None, {}, disk).nodename == socket.gethostname()
    for flag, environment in (("/none.yaml", {}), (None, {"TELEPORT_CONFIG_FILE": "/none.yaml"})):
        with pytest.raises(NotFound) as caught:
            find_config(flag, environment, disk)
        assert caught.value.code == "PROC-CONFIG-MISSING"
        assert "/none.yaml" in caught.value.what


@pytest.mark.parametrize("text", ["not base64!", "é", "YQ", base64.b64encode(b"\xff\xfe").decode()])
def test_inline_configuration_that_is_none(text):
    with pytest.raises(BadParameter) as caught:
        find_config(None, {"TELEPORT_CONFIG": text}, MemoryDisk())
    assert caught.value.code == "PROC-CONFIG-BASE64"


def test_mistake_in_an_inline_configuration_has_its_place():
    text = base64.b64encode(b"version: v3\nteleportt: {}\n").decode()
    with pytest.raises(TeleportError) as caught:
        find_config(None, {"TELEPORT_CONFIG": text}, MemoryDisk())
    assert "TELEPORT_CONFIG:2:1" in caught.value.what


def test_file_that_is_no_text_is_told(disk):
    disk.write("/flag.yaml", b"\xff\xfe\x00")
    with pytest.raises(TeleportError):
        find_config("/flag.yaml", {}, disk)


def configured(disk, text):
    disk.write("/flag.yaml", f"version: v3\n{text}".encode())
    return find_config("/flag.yaml", {}, disk)


@pytest.mark.parametrize(
    ("text", "cluster", "address"),
    [
        ("teleport: {nodename: n}", "n", "n:3080"),
        ("teleport: {nodename: n}\nproxy_service: {public_addr: p.example.com}", "p.example.com", "p.example.com:3080"),
        ("teleport: {nodename: n}\nproxy_service: {public_addr: [a.example:443, b:1]}", "a.example", "a.example:443"),
        ("teleport: {nodename: n}\nproxy_service: {web_listen_addr: '127.0.0.1:9999'}", "n", "n:9999"),
        ("auth_service: {cluster_name: c}\nproxy_service: {public_addr: p}", "c", "p:3080"),
    ],
)
def test_names_are_taken_from_what_is_known(disk, text, cluster, address):
    found = configured(disk, text)
    assert (found.cluster_name, found.public_address) == (cluster, address)


def test_data_directory_is_absolute(disk):
    assert str(find_config("/flag.yaml", {}, disk).data_dir) == "/var/lib/teleport"


def test_warnings_reach_the_log(disk):
    assert any("second factor" in w or "version" in w for w in find_config(None, {}, MemoryDisk()).warnings)


@pytest.mark.parametrize(("word", "allowed"), [("yes", True), ("1", True), ("TRUE", True), ("no", False), ("", False)])
def test_second_factor_may_be_permitted_to_be_off(disk, word, allowed):
    assert find_config("/flag.yaml", {"TELEPORT_ALLOW_NO_SECOND_FACTOR": word}, disk).allow_no_second_factor is allowed


# the log


@pytest.fixture
def _restored():
    former = log.get_level()
    yield
    log.setup(level=former)


def applied(section, *, debug=False):
    return LogSettings(section).apply(debug=debug)


@pytest.mark.usefixtures("_restored")
def test_log_goes_to_a_file_in_the_form_that_is_wanted(tmp_path):
    path = tmp_path / "teleport.log"
    opened = applied(LogSection(output=str(path), severity="warn", format=LogFormat(output="json")))
    log.logger("TEST").info("left out")
    log.logger("TEST").warn("told", field=1)
    opened.close()
    (line,) = path.read_text().splitlines()
    assert json.loads(line)["message"] == "told"


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize(("output", "stream"), [("stderr", "err"), ("stdout", "out")])
def test_log_goes_to_standard_streams(capsys, output, stream):
    assert applied(LogSection(output=output)) is None
    log.logger("TEST").info("told")
    assert "told" in getattr(capsys.readouterr(), stream)


@pytest.mark.usefixtures("_restored")
def test_flag_wins_over_the_level():
    applied(LogSection(severity="ERROR"), debug=True)
    assert log.get_level() == "DEBUG"


def test_log_file_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(NotFound) as caught:
        applied(LogSection(output=str(tmp_path / "no" / "folder.log")))
    assert "folder.log" in caught.value.what


@pytest.mark.parametrize(
    ("text", "one_port", "ssh"),
    [
        ("version: v3", True, None),
        ("version: v2", True, None),
        ("", True, None),
        ("version: v1", False, "0.0.0.0:3023"),
        ("version: v1\nauth_service: {proxy_listener_mode: multiplex}", True, None),
        ("version: v3\nauth_service: {proxy_listener_mode: separate}", False, "0.0.0.0:3023"),
        ("version: v1\nproxy_service: {listen_addr: '127.0.0.1:5'}", False, "127.0.0.1:5"),
        ("version: v3\nproxy_service: {listen_addr: 127.0.0.1}", True, "127.0.0.1:3023"),
    ],
)
def test_ports_are_separate_where_the_version_or_the_mode_says_so(text, one_port, ssh):
    """S3-23, S0-41: a port that is named is open in any case."""
    found = make(load(text, "t"), "t")
    assert found.tls_routing is one_port
    assert (str(found.proxy_ports["ssh"]) if "ssh" in found.proxy_ports else None) == ssh


def test_s0_43_without_one_port_the_ports_of_the_guide_apply():
    """S0-43: the defaults, with their port for each protocol; PostgreSQL has one only where it is named."""
    found = make(load("version: v1", "t"), "t")
    assert {name: address.port for name, address in found.proxy_ports.items()} == {
        "ssh": 3023, "tunnel": 3024, "kube": 3026, "mysql": 3036,
    }  # fmt: skip
    assert (found.proxy.web_listen.port, found.auth.listen.port, found.ssh.listen.port) == (3080, 3025, 3022)
    assert make(load("version: v3", "t"), "t").proxy_ports == {}
