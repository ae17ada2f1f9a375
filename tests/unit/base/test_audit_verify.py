"""The check of audit logs, as an auditor runs it: one file, alone, over the files of an export."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from teleport.base import audit_verify
from teleport.base.chain import link
from tests.audit.world import World, WorldSource, build, write_export

CHANCE = random.Random(5)


def alone(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the file from an empty folder, without our package and without any library."""
    home = folder / "elsewhere"
    home.mkdir(exist_ok=True)
    program = shutil.copy(audit_verify.__file__, folder / "audit_verify.py")
    command = [sys.executable, "-I", "-S", str(program), str(folder / "export"), *arguments]
    return subprocess.run(command, cwd=home, capture_output=True, text=True, input=stdin, check=False, env={})


@pytest.fixture(scope="module")
def world() -> World:
    return build(11)


def test_a_whole_export_is_whole_without_any_library(world: World, tmp_path: Path) -> None:
    write_export(world, tmp_path / "export")
    (tmp_path / "head.json").write_text(json.dumps(world.outside[0]))
    done = alone(tmp_path, "--checkpoint", str(tmp_path / "head.json"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "proven by checkpoints to" in done.stdout
    told = json.loads(alone(tmp_path, "--json").stdout)
    assert told["intact"]
    # The library, where there is one, says the same as the numbers.
    assert told == audit_verify.verify(audit_verify.Export(str(tmp_path / "export"))).document()


def test_what_is_wrong_is_told_with_the_event(world: World, tmp_path: Path) -> None:
    changed = world.clone()
    sequence, data, digest = changed.logs["audit/one"][5]
    changed.logs["audit/one"][5] = (sequence, data.replace(b"exec", b"echo"), digest)
    write_export(changed, tmp_path / "export")
    done = alone(tmp_path)
    assert done.returncode == 1
    assert f"WRONG: audit/one record {sequence}: record {sequence} was changed (uid:" in done.stdout


def test_a_cut_that_only_the_outside_knows_of_is_found_with_a_line_of_the_log(world: World, tmp_path: Path) -> None:
    changed = world.clone()
    changed.logs = {audit_verify.CHECKPOINTS: [], "audit/one": world.logs["audit/one"][:1]}
    first = changed.logs["audit/one"][0]
    changed.heads = {"audit/one": (first[0], first[2])}
    changed.pruned = {"audit/one": (first[0] - 1, world.pruned.get("audit/one", (0, audit_verify.START))[1])}
    changed.pruned = {log: base for log, base in changed.pruned.items() if base[0]}
    write_export(changed, tmp_path / "export")
    copy = world.outside[0]
    text = json.dumps(json.dumps(copy["checkpoint"], separators=(",", ":"), sort_keys=True))
    line = f"2026-01-01T02:03:04Z INFO [AUDIT] Audit checkpoint number:{copy['number']} time:{copy['time']} digest:"
    line += f"{copy['digest']} key:{copy['key']} signature:{copy['signature']} checkpoint:{text} auth/x.py:1\n"
    done = alone(tmp_path, "--checkpoint", "-", "--json", stdin="something else\n" + line)
    assert done.returncode == 1
    found = {(f["log"], f["problem"]): f for f in json.loads(done.stdout)["findings"]}
    cut = found["audit/one", "truncated"]
    assert (cut["sequence"], cut["until"]) == (first[0] + 1, world.covered("audit/one"))
    assert ("checkpoints", "outside") in found


@pytest.mark.parametrize("text", ["", "no such thing\n", '{"checkpoint": 1}'])
def test_a_file_without_checkpoints_is_no_proof(world: World, tmp_path: Path, text: str) -> None:
    write_export(world, tmp_path / "export")
    done = alone(tmp_path, "--checkpoint", "-", stdin=text)
    assert done.returncode == 2
    assert done.stderr.startswith("cannot be read: ")


def test_a_folder_that_is_no_export_cannot_be_read(tmp_path: Path) -> None:
    assert alone(tmp_path).returncode == 2


def test_lines_that_cannot_be_read_are_found(world: World, tmp_path: Path) -> None:
    write_export(world, tmp_path / "export")
    file = tmp_path / "export" / "audit-two.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    lines[2] = lines[2][:40] + "\n"
    file.write_text("".join(lines))
    found = audit_verify.verify(audit_verify.Export(str(tmp_path / "export"))).findings[0]
    assert (found["log"], found["problem"]) == ("audit/two", "misplaced")
    assert found["sequence"] == world.logs["audit/two"][2][0]


def test_copies_are_read_in_every_form(world: World) -> None:
    copy: dict[str, Any] = world.outside[0]
    logged = {**copy, "checkpoint": json.dumps(copy["checkpoint"]), "level": "info", "message": "Audit checkpoint"}
    for text in (json.dumps(copy), json.dumps([copy]), json.dumps(copy, indent=4), f"x\n{json.dumps(logged)}\ny\n"):
        (found,) = audit_verify.copies(text)
        assert (found["number"], found["digest"]) == (copy["number"], copy["digest"])
        assert found["checkpoint"] == copy["checkpoint"]
    brief = {name: copy[name] for name in ("number", "digest", "signature")}
    assert not audit_verify.verify(WorldSource(world), audit_verify.copies(json.dumps(brief))).findings


@pytest.mark.parametrize("change", ["digest", "signature", "checkpoint"])
def test_a_damaged_copy_is_told_apart_from_a_damaged_log(world: World, change: str) -> None:
    copy = json.loads(json.dumps(world.outside[0]))
    if change == "digest":
        copy["digest"] = "00" * 32
    elif change == "signature":
        copy["signature"] = "AA" + copy["signature"][2:]
    else:
        copy["checkpoint"]["time"] = "another"
    (found,) = audit_verify.verify(WorldSource(world), [copy]).findings
    assert (found["log"], found["sequence"], found["problem"]) == ("copy", copy["number"], "copy")


def test_a_check_that_nobody_waits_for_ends(world: World) -> None:
    assert audit_verify.verify(WorldSource(world), over=lambda: True).logs == []


def test_a_log_with_much_damage_is_not_read_to_its_end(world: World) -> None:
    changed = world.clone()
    changed.logs["audit/one"] = [(n, b"x", d) for n, _, d in changed.logs["audit/one"]] * 3
    report = audit_verify.verify(WorldSource(changed))
    assert audit_verify.MOST <= len(report.findings) < len(changed.logs["audit/one"])


def test_ed25519_by_numbers_agrees_with_the_library() -> None:
    for _ in range(25):
        key, message = Ed25519PrivateKey.from_private_bytes(CHANCE.randbytes(32)), CHANCE.randbytes(40)
        public, signature = key.public_key().public_bytes_raw(), key.sign(message)
        assert audit_verify.is_signed_slowly(public, signature, message)
        at = CHANCE.randrange(64)
        wrong = signature[:at] + bytes([signature[at] ^ 1 << CHANCE.randrange(8)]) + signature[at + 1 :]
        for case in (
            (public, wrong, message),
            (public, signature, message + b"x"),
            (CHANCE.randbytes(32), signature, b""),
        ):
            assert audit_verify.is_signed_slowly(*case) is audit_verify.is_signed(*case) is False


def test_ed25519_of_rfc_8032() -> None:
    # Section 7.1, test 2; and what must never be a signature.
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert audit_verify.is_signed_slowly(public, signature, b"\x72")
    order = 2**252 + 27742317777372353535851937790883648493
    greater = int.from_bytes(signature[32:], "little") + order
    for wrong in (signature[:32] + greater.to_bytes(32, "little"), signature[:-1], signature + b"\0", bytes(64), b""):
        assert not audit_verify.is_signed_slowly(public, wrong, b"\x72")
    for key in (b"", bytes(31), b"\xff" * 32, public + b"\0"):
        assert not audit_verify.is_signed_slowly(key, signature, b"\x72")


def test_the_chain_is_that_of_the_store() -> None:
    report = audit_verify.Report()
    walk = audit_verify.Walk(report, "a", (0, audit_verify.START), ())
    one = link(audit_verify.START, 1, b"x")
    walk.feed([(1, b"x", one), (2, b"y", link(one, 2, b"y"))])
    walk.end((2, link(one, 2, b"y")), whole=True)
    assert report.document()["intact"]


@pytest.mark.parametrize("store_first", [True, False])
def test_checkpoints_that_contradict_each_other_are_told_with_the_records_between(store_first: bool) -> None:
    """A forger's own checkpoint may stand at the very record at which one that was kept elsewhere does."""
    rows, digest = [], audit_verify.START
    for sequence in range(1, 6):
        data = b"%d" % sequence
        digest = link(digest, sequence, data)
        rows.append((sequence, data, digest))
    other = bytes(32) if not store_first else b"\xff" * 32
    points = sorted([(2, rows[1][2], 1), (5, digest, 2), (5, other, 7)])
    report = audit_verify.Report()
    walk = audit_verify.Walk(report, "a", (0, audit_verify.START), points)
    walk.feed(rows)
    walk.end((5, digest), whole=False)
    (found,) = report.findings
    assert (found["sequence"], found["until"], found["problem"]) == (3, 5, "rewritten")
    assert "checkpoint 7" in found["what"]
