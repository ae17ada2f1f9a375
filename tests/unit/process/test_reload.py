"""Reloading: what is applied, what is named as waiting for a restart, what a broken file does. Row S0-05."""

import dataclasses

import pytest

from teleport.base import log
from teleport.base.errors import BadParameter
from teleport.model.config import teleport_yaml
from teleport.process.reload import Parts, Reloader, changes
from teleport.process.settings import make
from tests.support.log_lines import said

__all__ = ["said"]

BASE = """\
version: v3
teleport: {{nodename: n, data_dir: /data, log: {{severity: {severity}, output: {output}}}}}
auth_service: {{cluster_name: example.com, listen_addr: "127.0.0.1:{port}"}}
"""


def settings(severity="INFO", output="stderr", port=3025):
    return make(teleport_yaml.load(BASE.format(severity=severity, output=output, port=port), "t.yaml"), "t.yaml")


def reloader(new, *, old=None, debug=False):
    def reread():
        if isinstance(new, Exception):
            raise new
        return new

    return Reloader(old or settings(), reread, debug=debug)


@pytest.fixture
def errors(said, capsys):
    """What is said on the new stderr after a reload, together with what was said before."""
    return lambda: said.getvalue() + capsys.readouterr().err


def test_the_level_changes(errors):
    reloader(settings("DEBUG")).reload()
    assert log.get_level() == "DEBUG"
    assert "reloaded:teleport.log failed:nothing need_restart:nothing" in errors()


def test_the_log_is_compared_with_what_is_in_force(errors):
    new = [settings("DEBUG"), settings("DEBUG"), settings("INFO"), settings("INFO")]
    one = Reloader(settings(), lambda: new.pop(0))
    for expected in ("reloaded:teleport.log", "reloaded:nothing", "reloaded:teleport.log"):
        one.reload()
        assert expected in errors()
    log.set_level("ERROR")  # through the debug service
    one.reload()
    assert log.get_level() == "INFO"
    assert "reloaded:teleport.log" in errors()


def test_the_flag_wins(errors):
    reloader(settings("ERROR"), debug=True).reload()
    assert log.get_level() == "DEBUG"


def test_what_needs_a_restart_is_named(errors):
    reloader(settings(port=3999)).reload()
    text = errors()
    assert "WARN [PROC:1]    These changes need a restart keys:auth_service.listen_addr" in text
    assert "need_restart:auth_service.listen_addr" in text


def test_it_is_named_again_until_the_restart(errors):
    one = reloader(settings(port=3999))
    one.reload()
    errors()
    one.reload()
    assert "need_restart:auth_service.listen_addr" in errors()


def test_a_broken_file_changes_nothing(errors):
    reloader(BadParameter("CFG-DURATION", value="x")).reload()
    assert log.get_level() == "INFO"
    assert "not reloaded" in errors()


def test_a_log_that_cannot_be_opened_changes_nothing(errors, tmp_path):
    reloader(settings("DEBUG", tmp_path / "missing" / "log")).reload()
    assert log.get_level() == "INFO"
    assert "DISK-MISSING" in errors()


def test_a_log_file_is_opened_anew(errors, tmp_path):
    """What logrotate expects of SIGHUP."""
    path = tmp_path / "log"
    one = reloader(settings(output=path))
    one.reload()
    path.rename(tmp_path / "log.1")
    one.reload()
    assert "Reloaded the configuration" in path.read_text()
    reloads = one._output
    assert reloads is not None
    reloads.close()


def test_parts_say_whether_they_changed_and_may_fail_alone(errors):
    one = reloader(settings())
    told = []

    def fails(new):
        raise BadParameter("PROXY-KEYPAIR", certificate="/c", key="/k")

    one.parts.add("proxy_service.https_keypairs", lambda new: told.append(new) or True)
    one.parts.add("proxy_service.other", lambda new: False)
    one.parts.add("ssh_service.thing", fails)
    one.reload()
    text = errors()
    assert "reloaded:proxy_service.https_keypairs failed:ssh_service.thing need_restart:nothing" in text
    assert "PROXY-KEYPAIR" in text
    assert len(told) == 1


def test_a_part_of_the_same_key_is_replaced():
    parts = Parts()
    parts.add("a", lambda new: False)
    parts.add("a", lambda new: True)
    ((key, apply),) = parts.items()
    assert (key, apply(settings())) == ("a", True)


def test_changes_have_the_names_of_the_file():
    old = settings()
    new = dataclasses.replace(settings("DEBUG", port=1), nodename="m", source="other", debug_enabled=False)
    assert changes(old, new) == [
        "teleport.nodename", "auth_service.listen_addr", "debug_service.enabled", "teleport.log.severity",
    ]  # fmt: skip
    assert changes(old, old) == []
