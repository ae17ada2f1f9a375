"""tctl audit head, verify, export and prune, as somebody at the auth host uses them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import auth_cluster
from tests.support.admin_host import AdminHost


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminHost]:
    with AdminHost(tmp_path_factory.mktemp("proof")) as running:
        yield running


def test_head_in_text_and_for_programs(host: AdminHost) -> None:
    told = json.loads(host.tctl("audit", "head", "--format=json").out)
    assert told["number"] == told["checkpoint"]["number"]
    text = host.tctl("audit", "head").out
    assert f"digest:     {told['digest']}" in text
    assert "audit/auth-1" in text


def test_verify_with_and_without_a_copy(host: AdminHost) -> None:
    copy = host.tctl("audit", "head", "--format=json").out
    first, *_, last = host.tctl("audit", "verify").out.splitlines()
    assert first.startswith("audit/auth-1: ")
    assert " records, whole, head sha256:" in first
    assert "none given" in last
    done = host.tctl("audit", "verify", "--checkpoint", "-", "--format=json", stdin=copy)
    assert json.loads(done.out)["intact"]


def test_verify_says_what_is_wrong_why_and_what_to_do(host: AdminHost, tmp_path: Path) -> None:
    copy = json.loads(host.tctl("audit", "head", "--format=json").out)
    copy["signature"] = "AAAA" + copy["signature"][4:]
    (tmp_path / "copy.json").write_text(json.dumps(copy))
    done = host.tctl("audit", "verify", "--checkpoint", str(tmp_path / "copy.json"), status=1)
    assert f"WRONG: copy record {copy['number']}: the copy of checkpoint" in done.out
    assert "  why: the copy is damaged" in done.out
    assert "  fix: use another copy" in done.out
    assert "CLI-AUDIT-BROKEN" in done.err


@pytest.mark.parametrize("text", ["", "nothing of the kind", '{"checkpoint": {'])
def test_a_file_without_copies_is_refused(host: AdminHost, text: str) -> None:
    assert "CLI-AUDIT-COPIES" in host.tctl("audit", "verify", "--checkpoint", "-", stdin=text, status=1).err


def test_an_export_is_checked_by_the_program_beside_it(host: AdminHost, tmp_path: Path) -> None:
    copy, out = host.tctl("audit", "head", "--format=json").out, tmp_path / "export"
    told = json.loads(host.tctl("audit", "export", "--out", str(out), "--format=json").out)
    names = {"audit-heads.json", "audit-keys.json", "audit_verify.py", "audit-auth-1.jsonl", "checkpoints.jsonl"}
    assert set(told["files"]) == names == {path.name for path in out.iterdir()}
    assert all(path.stat().st_mode & 0o077 == 0 for path in out.iterdir())
    program = [sys.executable, "-I", "-S", str(out / "audit_verify.py"), str(out), "--checkpoint", "-"]
    done = subprocess.run(program, cwd=tmp_path, input=copy, capture_output=True, text=True, check=False, env={})
    assert (done.returncode, done.stderr) == (0, "")
    file = out / "audit-auth-1.jsonl"
    file.write_text(file.read_text().replace("role.created", "role.deleted", 1))
    done = subprocess.run(program, cwd=tmp_path, input=copy, capture_output=True, text=True, check=False, env={})
    assert done.returncode == 1
    assert "WRONG: audit/auth-1 record " in done.stdout
    assert "CLI-AUDIT-FOLDER" in host.tctl("audit", "export", "--out", str(out), status=1).err
    assert " files, " in host.tctl("audit", "export", "--out", str(tmp_path / "second")).out


def test_prune_says_what_would_go_and_what_went(host: AdminHost) -> None:
    host.do(lambda cluster: cluster.admin.audit_proof.head())
    host.do(lambda cluster: cluster.admin.create(auth_cluster.role("later")))
    would = json.loads(host.tctl("audit", "prune", "--before=2999-01-01", "--dry-run", "--format=json").out)
    assert would["dry_run"]
    assert would["records"] > 0
    assert host.tctl("audit", "prune", "--before", "36500d").out == "0 records were removed\n"
    text = host.tctl("audit", "prune", "--before=2999-01-01T00:00:00+00:00").out
    assert text.endswith(f"{would['records']} records were removed\n")
    assert "pruned before" in host.tctl("audit", "verify").out
    assert "CFG-DURATION" in host.tctl("audit", "prune", "--before=soon", status=1).err


def test_the_audit_key_is_exported(host: AdminHost) -> None:
    assert host.tctl("auth", "export", "--type=audit").out.startswith("-----BEGIN PUBLIC KEY-----\n")
