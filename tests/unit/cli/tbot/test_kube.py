"""tbot kube credentials: the certificate of an output, as kubectl takes it."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from teleport.base.clock import ManualClock
from teleport.base.disk import MemoryDisk, SystemDisk
from teleport.base.errors import NotAuthenticated, NotFound
from teleport.cli.tbot.kube import answer
from tests.support import authorities, identities
from tests.support.admin_host import run

FOLDER = "/opt/machine-id"


def disk() -> MemoryDisk:
    found = MemoryDisk()
    found.make_dir(FOLDER)
    found.write(f"{FOLDER}/identity", identities.data())
    return found


def test_the_answer_is_of_the_identity_file() -> None:
    said = json.loads(answer(disk(), ManualClock(authorities.NOW), FOLDER, ""))
    parts = identities.parts(authorities.cluster())
    assert (said["apiVersion"], said["kind"]) == ("client.authentication.k8s.io/v1beta1", "ExecCredential")
    assert said["status"] == {
        "clientCertificateData": parts.tls_certificate, "clientKeyData": parts.key,
        "expirationTimestamp": "2026-03-01T13:00:00Z",
    }  # fmt: skip


def test_what_has_ended_is_not_handed_out() -> None:
    with pytest.raises(NotAuthenticated) as caught:
        answer(disk(), ManualClock(authorities.NOW + dt.timedelta(hours=1)), FOLDER, "")
    assert caught.value.code == "KUBE-EXPIRED"
    assert FOLDER in caught.value.what


def test_a_folder_that_is_no_output_is_told_with_the_type_that_it_needs() -> None:
    with pytest.raises(NotFound) as caught:
        answer(disk(), ManualClock(authorities.NOW), "/opt/other", "")
    assert caught.value.code == "CLIENT-DESTINATION"
    assert "an output of the type kubernetes," in caught.value.fix


def test_kubectl_gets_the_error_and_nothing_else(tmp_path: Path) -> None:
    SystemDisk().write(str(tmp_path / "identity"), identities.data())
    done = run("tbot", "kube", "credentials", f"--destination-dir={tmp_path}")
    assert (done.status, done.out, "KUBE-EXPIRED" in done.err) == (1, "", True)


def test_the_version_is_the_one_that_kubectl_asks_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    expires = authorities.NOW + dt.timedelta(days=36500)
    SystemDisk().write(str(tmp_path / "identity"), identities.data(expires=expires))
    monkeypatch.setenv("KUBERNETES_EXEC_INFO", '{"apiVersion": "client.authentication.k8s.io/v1"}')
    done = run("tbot", "kube", "credentials", f"--destination-dir={tmp_path}")
    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out)["apiVersion"] == "client.authentication.k8s.io/v1"


def test_a_folder_that_no_output_has(tmp_path: Path) -> None:
    done = run("tbot", "kube", "credentials", f"--destination-dir={tmp_path}")
    assert (done.status, done.out) == (1, "")
    assert "CLIENT-DESTINATION" in done.err
    assert "name the folder of an output of the type kubernetes, " in done.err
