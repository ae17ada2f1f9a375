"""What is refused before anything starts."""

import pytest

from teleport.base.disk import SystemDisk
from teleport.base.errors import BadParameter, Unavailable
from teleport.model.config import teleport_yaml
from teleport.process import preflight
from teleport.process.settings import find_config, make


def settings(text, data="/nonexistent"):
    return make(teleport_yaml.load(f"teleport: {{data_dir: {data}}}\n{text}", "t.yaml"), "t.yaml")


def test_the_usual_is_accepted(tmp_path):
    preflight.check(settings("version: v3", tmp_path))
    preflight.check(settings("version: v2", tmp_path))
    preflight.check(settings("version: v1", tmp_path))


def test_without_an_auth_service_somebody_has_to_say_where_it_is(tmp_path):
    off = "auth_service: {enabled: no}"
    with pytest.raises(BadParameter) as caught:
        preflight.check(settings(f"version: v3\n{off}", tmp_path))
    assert caught.value.code == "PROC-NO-SERVER"
    preflight.check(settings(f"version: v1\n{off}", tmp_path))  # older versions look on this machine
    for key in ("auth_server", "proxy_server"):
        text = f"version: v3\nteleport: {{data_dir: {tmp_path}, {key}: there}}\n{off}\nproxy_service: {{enabled: no}}"
        preflight.check(make(teleport_yaml.load(text, "t.yaml"), "t.yaml"))


def test_nothing_enabled_is_refused():
    off = "\n".join(f"{name}_service: {{enabled: no}}" for name in ("auth", "proxy", "ssh"))
    with pytest.raises(BadParameter) as caught:
        preflight.check(settings(f"version: v3\n{off}"))
    assert caught.value.code == "PROC-NO-SERVICE"


OFF = "version: v3\nauth_service: {authentication: {second_factor: off}}\n"


def test_second_factors_are_switched_off_only_with_leave_of_the_environment(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text(f"teleport: {{data_dir: {tmp_path}}}\n{OFF}")
    for said in ({}, {"TELEPORT_ALLOW_NO_SECOND_FACTOR": "no"}, {"TELEPORT_ALLOW_NO_SECOND_FACTOR": ""}):
        with pytest.raises(BadParameter) as caught:
            preflight.check(find_config(str(path), said, SystemDisk()))
        assert caught.value.code == "PROC-NO-SECOND-FACTOR"
    for word in ("yes", "YES", "true", "1"):
        preflight.check(find_config(str(path), {"TELEPORT_ALLOW_NO_SECOND_FACTOR": word}, SystemDisk()))


def test_without_an_auth_service_second_factors_are_no_matter():
    off = OFF.replace("version: v3", "version: v2").replace("auth_service: {", "auth_service: {enabled: no, ")
    preflight.check(settings(off))


def test_half_a_restore_is_refused(tmp_path):
    (tmp_path / preflight.UNFINISHED).touch()
    with pytest.raises(Unavailable) as caught:
        preflight.check(settings("version: v3", tmp_path))
    assert caught.value.code == "PROC-RESTORE-UNFINISHED"
