"""pki.custody: keys on shelves, what is signed and what is not."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import AccessDenied, BadParameter, Internal, NotFound, NotSupported, Unavailable
from teleport.pki import envelope, keys
from teleport.pki.custody import Custody, FolderShelf, MemoryShelf
from tests.unit.pki.test_purpose import ssh_tbs

UNKNOWN = "0" * 32


def test_a_key_survives_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    handle = Custody(FolderShelf(folder), SeededEntropy(1)).generate("ed25519", "ssh")
    public = keys.load_spki(handle.spki)
    again = Custody(FolderShelf(folder), SeededEntropy(2))
    tbs = ssh_tbs(public)
    for _ in range(2):  # read from the folder, then from memory
        assert keys.verify(public, again.sign(handle.key_id, tbs), tbs)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()] == [0o600]
    again.retire(handle.key_id)
    assert list(folder.iterdir()) == []
    with pytest.raises(NotFound, match=handle.key_id):
        again.sign(handle.key_id, tbs)


def test_memory_keeps_the_same_contract() -> None:
    shelf = MemoryShelf()
    handle = Custody(shelf, SeededEntropy(1)).generate("ecdsa-p256", "ssh")
    tbs = ssh_tbs(keys.load_spki(handle.spki))
    other = Custody(shelf, SeededEntropy(2))
    assert keys.verify(keys.load_spki(handle.spki), other.sign(handle.key_id, tbs), tbs)
    other.retire(handle.key_id)
    other.retire(handle.key_id)
    other.retire("../elsewhere")
    with pytest.raises(NotFound):
        other.sign(handle.key_id, tbs)


@pytest.mark.parametrize(("algorithm", "purpose"), [("rsa-2048", "x509"), ("ed25519", "email")])
def test_other_keys_are_not_made(algorithm: str, purpose: str) -> None:
    with pytest.raises(NotSupported, match=algorithm):
        Custody(MemoryShelf(), SeededEntropy(1)).generate(algorithm, purpose)


def test_a_foreign_document_is_not_signed() -> None:
    custody = Custody(MemoryShelf(), SeededEntropy(1))
    handle = custody.generate("ed25519", "ssh")
    with pytest.raises(AccessDenied, match="another authority") as caught:
        custody.sign(handle.key_id, ssh_tbs())
    assert caught.value.code == "PKI-SIGN-REFUSED"


def test_a_faulty_signature_does_not_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    custody = Custody(MemoryShelf(), SeededEntropy(1))
    handle = custody.generate("ed25519", "ssh")
    monkeypatch.setattr(keys, "sign", lambda key, message: bytes(64))
    with pytest.raises(Internal, match="does not verify"):
        custody.sign(handle.key_id, ssh_tbs(keys.load_spki(handle.spki)))


def test_a_key_file_must_say_its_purpose() -> None:
    shelf = MemoryShelf()
    shelf.put(UNKNOWN, b"purpose: anything\n" + keys.private_pem(keys.make_ed25519(SeededEntropy(1))))
    with pytest.raises(BadParameter, match="purpose"):
        Custody(shelf, SeededEntropy(1)).sign(UNKNOWN, b"")


def _refused(folder: Path, problem: str) -> None:
    with pytest.raises(BadParameter, match=problem) as caught:
        FolderShelf(folder).get(UNKNOWN)
    assert caught.value.code == "PKI-KEY-STORE"


def test_a_folder_that_others_can_read_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    _refused(tmp_path, "others")


def test_a_link_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(0o700)
    (tmp_path / "keys").symlink_to(tmp_path / "real")
    _refused(tmp_path / "keys", "not a folder")


def test_a_key_must_be_a_private_regular_file(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert FolderShelf(tmp_path).get(UNKNOWN) is None
    file = tmp_path / UNKNOWN
    file.touch(0o640)
    file.chmod(0o640)
    _refused(tmp_path, "others")
    file.unlink()
    os.mkfifo(file, 0o600)
    _refused(tmp_path, "regular")
    file.unlink()
    file.symlink_to("/etc/hostname")
    _refused(tmp_path, "symbolic links")


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    _refused(tmp_path, "another user")


def test_a_key_for_recordings_unwraps_and_signs_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    custody = Custody(FolderShelf(folder), SeededEntropy(1))
    handle, other = custody.generate("x25519", "recording"), custody.generate("ed25519", "ssh")
    assert (handle.algorithm, handle.purpose) == ("x25519", "recording")
    wrapped = envelope.wrap(b"d" * 32, envelope.load_public(handle.spki))
    for keeper in (custody, Custody(FolderShelf(folder), SeededEntropy(2))):
        for _ in range(2):  # read from the folder, then from memory
            assert keeper.decipher(handle.key_id, wrapped) == b"d" * 32
        with pytest.raises(AccessDenied, match="signs nothing"):
            keeper.sign(handle.key_id, ssh_tbs())
        with pytest.raises(AccessDenied, match="opens no recordings"):
            keeper.decipher(other.key_id, wrapped)
        with pytest.raises(BadParameter, match="cannot be opened"):
            keeper.decipher(handle.key_id, wrapped[:-1] + b"?")
    custody.retire(handle.key_id)
    with pytest.raises(NotFound):
        custody.decipher(handle.key_id, wrapped)


@pytest.mark.parametrize(("algorithm", "purpose"), [("x25519", "ssh"), ("ed25519", "recording")])
def test_keys_for_recordings_and_for_signing_are_told_apart(algorithm: str, purpose: str) -> None:
    with pytest.raises(NotSupported, match=algorithm):
        Custody(MemoryShelf(), SeededEntropy(1)).generate(algorithm, purpose)


def test_a_key_is_written_whole_where_writes_take_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    FolderShelf(tmp_path).put(UNKNOWN, b"a key, and a long one")
    assert FolderShelf(tmp_path).get(UNKNOWN) == b"a key, and a long one"


def test_a_full_disk_is_told_and_leaves_no_part_of_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    tmp_path.chmod(0o700)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable) as caught:
        FolderShelf(tmp_path).put(UNKNOWN, b"a key")
    assert caught.value.code == "DISK-FULL"
    assert caught.value.fields["path"] == str(tmp_path / UNKNOWN)
    assert os.listdir(tmp_path) == []
