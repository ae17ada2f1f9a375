"""Archives: what goes in comes out, by the kernel; and what else could stand in one is refused."""

import io
import os
import tarfile
from contextlib import closing, contextmanager

import pytest

from teleport.base.errors import BadParameter, NotFound, TeleportError
from teleport.process import archive


@contextmanager
def opened(path, flags=os.O_RDWR | os.O_CREAT):
    file = os.open(path, flags, 0o600)
    try:
        yield file
    finally:
        os.close(file)


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 3_000_000])
def test_there_and_back(tmp_path, size):
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size))
    os.chmod(source, 0o644)
    with opened(tmp_path / "a.tar") as file:
        writer = archive.ArchiveWriter(file)
        added = writer.add("keys/one", source)
        writer.add_bytes("manifest.json", b"{}")
        writer.finish()
        found = archive.members(file, "a.tar")
        assert found["keys/one"] == added
        archive.extract(file, found["keys/one"], tmp_path / "back")
        assert b"".join(archive.read(file, found["manifest.json"])) == b"{}"
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert (tmp_path / "back").stat().st_mode & 0o777 == 0o644


def test_stock_tar_reads_it(tmp_path):
    (tmp_path / "source").write_bytes(b"hello")
    with opened(tmp_path / "a.tar") as file:
        writer = archive.ArchiveWriter(file)
        writer.add("a/b", tmp_path / "source")
        writer.finish()
    with tarfile.open(tmp_path / "a.tar") as tar, closing(tar.extractfile("a/b")) as member:
        assert member.read() == b"hello"


def test_permissions_of_others_to_write_are_not_kept(tmp_path):
    (tmp_path / "source").write_bytes(b"")
    os.chmod(tmp_path / "source", 0o6777)  # noqa: S103 - what must not be kept
    with opened(tmp_path / "a.tar") as file:
        assert archive.ArchiveWriter(file).add("x", tmp_path / "source").mode == 0o755


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "a//b", ".hidden", "a/../b", "a/.b", "", "a\nb", "x" * 300])
def test_names_that_lead_elsewhere_are_not_written(tmp_path, name):
    with opened(tmp_path / "a.tar") as file, pytest.raises(BadParameter) as caught:
        archive.ArchiveWriter(file).add_bytes(name, b"")
    assert caught.value.code == "BACKUP-NAME"


def test_only_regular_files_are_added(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    with opened(tmp_path / "a.tar") as file:
        for name in ("folder", "link", "pipe"):
            with pytest.raises(BadParameter):
                archive.ArchiveWriter(file).add("x", tmp_path / name)
        with pytest.raises(NotFound):
            archive.ArchiveWriter(file).add("x", tmp_path / "missing")


def tar(*entries, tail=bytes(1024)):
    """Make an archive by hand of (name, type, content)."""
    found = io.BytesIO()
    for name, kind, content in entries:
        entry = tarfile.TarInfo(name)
        entry.type, entry.size, entry.linkname = kind, len(content), "/etc/passwd"
        found.write(entry.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512))
    return found.getvalue() + tail


@pytest.mark.parametrize(
    "data",
    [
        b"", b"rubbish" * 100, bytes(511), tar(("a", b"0", b"x"), tail=b""), tar(("../a", b"0", b"")),
        tar(("/a", b"0", b"")), tar(("a", tarfile.SYMTYPE, b"")), tar(("a", tarfile.LNKTYPE, b"")),
        tar(("a", tarfile.DIRTYPE, b"")), tar(("a", tarfile.CHRTYPE, b"")), tar(("a", b"0", b"1"), ("a", b"0", b"2")),
        tar(("a", b"0", b"x" * 4000))[:1024],
    ],
    ids=str,
)  # fmt: skip
def test_everything_else_is_refused(tmp_path, data):
    (tmp_path / "a.tar").write_bytes(data)
    with opened(tmp_path / "a.tar") as file, pytest.raises(BadParameter) as caught:
        archive.members(file, "a.tar")
    assert caught.value.code == "BACKUP-ARCHIVE"


def test_a_member_that_ends_early_is_an_error(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    with opened(tmp_path / "a") as file, pytest.raises(TeleportError):
        archive.extract(file, archive.Member(0, 10), tmp_path / "out")


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    with opened(tmp_path / "a") as file, pytest.raises(TeleportError) as caught:
        archive.extract(file, archive.Member(0, 5), tmp_path / "a")
    assert caught.value.code == "DISK-EXISTS"
