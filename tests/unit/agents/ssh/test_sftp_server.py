"""The SFTP server, request by request, and with OpenSSH's client; what it may not know is what it does not import."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleport.agents.ssh.sftp_server import HANDLES
from teleport.wire import sftp
from teleport.wire.sftp import LIMIT, PAYLOAD, Attrs, Kind, Open, Packet, Status, write
from tests.support.programs import need
from tests.support.sftp_peer import SftpPeer

NEW = Open.READ | Open.WRITE | Open.CREATE | Open.TRUNCATE
OK, GONE, DENIED, FAILED = Status.OK, Status.NO_SUCH_FILE, Status.PERMISSION_DENIED, Status.FAILURE
SERVER = (
    "import socket; from teleport.agents.ssh.sftp_server import serve; serve(socket.socket(fileno=0), read_only=False)"
)


@pytest.fixture
def peer() -> Iterator[SftpPeer]:
    with SftpPeer() as peer:
        yield peer


@pytest.fixture
def root(tmp_path: Path) -> bytes:
    return os.fsencode(tmp_path) + b"/"


def test_what_it_can_is_said_at_the_beginning(peer: SftpPeer) -> None:
    assert peer.version.id == 3
    assert peer.version.fields[0] == {n.encode(): v.encode() for n, v in sftp.EXTENSIONS.items()}
    limits = peer.ask(Kind.EXTENDED, name=sftp.LIMITS).fields[0]
    assert [int.from_bytes(limits[at : at + 8], "big") for at in (0, 8, 16, 24)] == [LIMIT, PAYLOAD, PAYLOAD, HANDLES]


def test_contents_of_any_size(peer: SftpPeer, root: bytes, tmp_path: Path) -> None:
    handle = peer.open(root + b"f", NEW, Attrs(mode=0o640))
    contents = os.urandom(PAYLOAD)
    assert peer.status(Kind.WRITE, handle, 0, contents) == OK
    assert peer.status(Kind.WRITE, handle, PAYLOAD, b"tail") == OK
    assert peer.ask(Kind.READ, handle, 0, 2**32 - 1).fields[0] == contents
    assert peer.ask(Kind.READ, handle, PAYLOAD, PAYLOAD).fields[0] == b"tail"
    assert peer.status(Kind.READ, handle, PAYLOAD + 4, 1) == Status.EOF
    assert peer.status(Kind.READ, handle, 0, 0) == Status.EOF
    assert peer.ask(Kind.FSTAT, handle).fields[0].size == PAYLOAD + 4
    assert peer.status(Kind.CLOSE, handle) == OK
    assert (tmp_path / "f").read_bytes() == contents + b"tail"
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640


def test_offsets_beyond_four_gigabytes(peer: SftpPeer, root: bytes, tmp_path: Path) -> None:
    handle, far = peer.open(root + b"sparse", NEW), 5 * 1024**3
    assert peer.status(Kind.WRITE, handle, far, b"end") == OK
    assert peer.ask(Kind.READ, handle, far - 2, 100).fields[0] == b"\0\0end"
    assert (tmp_path / "sparse").stat().st_size == far + 3
    for offset in (2**63 - 1, 2**64 - 1):
        assert peer.status(Kind.READ, handle, offset, 1) == FAILED
        assert peer.status(Kind.WRITE, handle, offset, b"x") == FAILED
    assert peer.status(Kind.FSETSTAT, handle, Attrs(size=2**64 - 1)) == Status.BAD_MESSAGE


def test_many_requests_are_answered_in_their_order(peer: SftpPeer, root: bytes) -> None:
    """Pipelined, and split at odd places, as a network does."""
    handle = peer.open(root + b"f", NEW)
    contents = os.urandom(300_000)
    parts = [(start, contents[start : start + 7001]) for start in range(0, len(contents), 7001)]
    stream = b"".join(write(Packet(Kind.WRITE, 1000 + n, (handle, *part))) for n, part in enumerate(parts))
    stream += b"".join(write(Packet(Kind.READ, 2000 + n, (handle, at, 7001))) for n, (at, _) in enumerate(parts))

    def send() -> None:
        for start in range(0, len(stream), 9973):
            peer.send(stream[start : start + 9973])

    thread = threading.Thread(target=send)
    thread.start()
    answers = [peer.answer() for _ in range(2 * len(parts))]
    thread.join()
    assert [answer.id for answer in answers] == [base + n for base in (1000, 2000) for n in range(len(parts))]
    assert b"".join(answer.fields[0] for answer in answers[len(parts) :]) == contents


def test_appending_is_at_the_end_whatever_the_offset(peer: SftpPeer, root: bytes, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one ")
    handle = peer.open(root + b"log", Open.WRITE | Open.APPEND)
    assert peer.status(Kind.WRITE, handle, 0, b"two") == OK
    assert (tmp_path / "log").read_bytes() == b"one two"


def test_open_fails_as_the_system_says(peer: SftpPeer, root: bytes) -> None:
    peer.open(root + b"f", NEW)
    wanted = {
        (b"missing", Open.READ): GONE, (b"f", Open.WRITE | Open.CREATE | Open.EXCLUSIVE): FAILED,
        (b"f/below", Open.READ): GONE, (b".", Open.WRITE): FAILED, (b"x" * 300, Open.READ): Status.BAD_MESSAGE,
        (b"a\0b", Open.READ): Status.BAD_MESSAGE, (b"no/such", NEW): GONE,
    }  # fmt: skip
    for (path, flags), status in wanted.items():
        answer = peer.ask(Kind.OPEN, root + path, flags, Attrs())
        assert (answer.kind, answer.fields[0]) == (Kind.STATUS, status), path
        assert answer.fields[1], "it says why"


def test_a_pipe_without_another_end_stops_nobody(peer: SftpPeer, root: bytes) -> None:
    os.mkfifo(root + b"pipe")
    assert peer.status(Kind.OPEN, root + b"pipe", Open.WRITE, Attrs()) == FAILED
    handle = peer.open(root + b"pipe", Open.READ)
    assert peer.status(Kind.READ, handle, 0, 10) == FAILED


def test_open_files_are_counted(peer: SftpPeer, root: bytes, tmp_path: Path) -> None:
    handles = [peer.open(root + b"f", NEW) for _ in range(HANDLES)]
    assert len(set(handles)) == HANDLES
    answer = peer.ask(Kind.OPEN, root + b"other", NEW, Attrs())
    assert (answer.fields[0], b"close some" in answer.fields[1]) == (FAILED, True)
    assert not (tmp_path / "other").exists(), "refused before anything is done"
    assert peer.status(Kind.OPENDIR, root) == FAILED
    assert peer.status(Kind.CLOSE, handles[7]) == OK
    assert peer.open(root + b"f", Open.READ) not in handles


def test_handles_that_are_none(peer: SftpPeer, root: bytes) -> None:
    peer.open(root + b"f", NEW)
    folder = peer.ask(Kind.OPENDIR, root).fields[0]
    for handle in (b"", b"none", b"x" * 30, folder):
        assert peer.status(Kind.READ, handle, 0, 10) == GONE
        assert peer.status(Kind.WRITE, handle, 0, b"0123456789") == GONE
    for handle in (b"", b"none", b"x" * 300):
        assert peer.status(Kind.CLOSE, handle) == GONE
        assert peer.status(Kind.FSTAT, handle) == GONE
        assert peer.status(Kind.READDIR, handle) == GONE
    assert peer.ask(Kind.FSTAT, folder).kind == Kind.ATTRS


def test_folders(peer: SftpPeer, root: bytes, tmp_path: Path) -> None:
    assert peer.status(Kind.MKDIR, root + b"d", Attrs(mode=0o750)) == OK
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o750
    assert peer.status(Kind.MKDIR, root + b"d", Attrs()) == FAILED
    wanted = {b".", b"..", b"\xff\xfe", b"new\nline", b" blank ", b"-rf", "ünï".encode()}
    for name in wanted - {b".", b".."}:
        with open(root + b"d/" + name, "wb"):
            pass
    os.symlink(b"nowhere", root + b"d/link")
    found = {entry.name: entry for entry in peer.names(root + b"d")}
    assert found.keys() == wanted | {b"link"}
    assert stat.S_ISLNK(found[b"link"].attrs.mode)
    assert found[b"-rf"].longname.endswith(b" -rf")
    assert peer.status(Kind.RMDIR, root + b"d") == FAILED
    assert peer.status(Kind.OPENDIR, root + b"d/-rf") == GONE


def test_a_large_folder_comes_in_bits(peer: SftpPeer, root: bytes) -> None:
    names = {b"%0240d" % number for number in range(700)}
    for name in names:
        with open(root + name, "wb"):
            pass
    assert {entry.name for entry in peer.names(root)} - {b".", b".."} == names


def test_renaming_never_replaces_but_where_it_is_asked_for(peer: SftpPeer, root: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    assert peer.status(Kind.RENAME, root + b"a", root + b"b") == FAILED
    assert (tmp_path / "b").read_text() == "b"
    assert peer.status(Kind.RENAME, root + b"a", root + b"c") == OK
    assert not (tmp_path / "a").exists()
    assert peer.status(Kind.EXTENDED, root + b"c", root + b"b", name=sftp.POSIX_RENAME) == OK
    assert (tmp_path / "b").read_text() == "a"
    for name in ("d", "e"):
        (tmp_path / name).mkdir()
    assert peer.status(Kind.RENAME, root + b"d", root + b"e") == FAILED, "rename(2) would replace an empty folder"
    assert peer.status(Kind.RENAME, root + b"d", root + b"f") == OK
    assert peer.status(Kind.RENAME, root + b"missing", root + b"g") == GONE


def test_links(peer: SftpPeer, root: bytes, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("text")
    assert peer.status(Kind.SYMLINK, b"f", root + b"soft") == OK
    assert os.readlink(tmp_path / "soft") == "f"
    assert peer.ask(Kind.READLINK, root + b"soft").fields[0][0].name == b"f"
    assert peer.status(Kind.READLINK, root + b"f") == Status.BAD_MESSAGE
    assert peer.status(Kind.EXTENDED, root + b"f", root + b"hard", name=sftp.HARDLINK) == OK
    assert (tmp_path / "hard").stat().st_nlink == 2
    assert stat.S_ISLNK(peer.ask(Kind.LSTAT, root + b"soft").fields[0].mode)
    assert stat.S_ISREG(peer.ask(Kind.STAT, root + b"soft").fields[0].mode)
    assert peer.status(Kind.REMOVE, root + b"soft") == OK
    assert (tmp_path / "f").exists()


def test_attributes_by_path_and_by_what_is_open(peer: SftpPeer, root: bytes, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("contents")
    assert peer.status(Kind.SETSTAT, root + b"f", Attrs(size=4, mode=0o4600, atime=10, mtime=20)) == OK
    found = file.stat()
    assert (found.st_size, stat.S_IMODE(found.st_mode), found.st_atime, found.st_mtime) == (4, 0o4600, 10, 20)
    handle = peer.open(root + b"f", Open.READ | Open.WRITE)
    file.rename(tmp_path / "moved")
    file.write_text("another")
    assert peer.status(Kind.FSETSTAT, handle, Attrs(mode=0o600, mtime=30, atime=30, size=1)) == OK
    assert (file.read_text(), (tmp_path / "moved").read_text()) == ("another", "c")
    assert peer.ask(Kind.FSTAT, handle).fields[0].mtime == 30
    assert peer.status(Kind.FSETSTAT, handle, Attrs(uid=os.getuid(), gid=os.getgid())) == OK
    assert peer.status(Kind.EXTENDED, handle, name=sftp.FSYNC) == OK
    assert peer.status(Kind.SETSTAT, root + b"none", Attrs(mode=0o600)) == GONE


def test_attributes_of_a_link_itself(peer: SftpPeer, root: bytes, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("")
    os.utime(file, (1, 1))
    (tmp_path / "soft").symlink_to("f")
    ask = peer.status
    assert ask(Kind.EXTENDED, root + b"soft", Attrs(atime=50, mtime=60), name=sftp.LSETSTAT) == OK
    assert (os.lstat(tmp_path / "soft").st_mtime, file.stat().st_mtime) == (60, 1)
    mode = stat.S_IMODE(file.stat().st_mode)
    assert ask(Kind.EXTENDED, root + b"soft", Attrs(mode=0o777), name=sftp.LSETSTAT) == FAILED
    assert stat.S_IMODE(file.stat().st_mode) == mode
    assert ask(Kind.EXTENDED, root + b"f", Attrs(mode=0o601), name=sftp.LSETSTAT) == OK
    assert stat.S_IMODE(file.stat().st_mode) == 0o601
    assert ask(Kind.EXTENDED, root + b"soft", Attrs(size=0), name=sftp.LSETSTAT) == FAILED
    assert ask(Kind.EXTENDED, root + b"soft", Attrs(uid=os.getuid(), gid=os.getgid()), name=sftp.LSETSTAT) == OK


def test_paths_are_made_absolute(peer: SftpPeer, root: bytes, tmp_path: Path) -> None:
    def real(path: bytes, kind: int = Kind.REALPATH, name: str = "") -> bytes | Status:
        answer = peer.ask(kind, path, name=name)
        return answer.fields[0][0].name if answer.kind == Kind.NAME else Status(answer.fields[0])

    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_text("")
    (tmp_path / "soft").symlink_to("d")
    (tmp_path / "loop").symlink_to("loop")
    assert real(b".") == real(b"") == os.fsencode(Path.cwd())
    assert real(root + b"soft/../soft/./new") == root + b"d/new"
    assert real(root + b"none/new") == GONE
    assert real(root + b"f/new") == GONE
    assert real(root + b"loop") == GONE
    home = os.path.expanduser("~root")
    assert real(b"~root/..", Kind.EXTENDED, sftp.EXPAND_PATH) == os.fsencode(os.path.realpath(home + "/.."))
    assert real(b"~no-such-account", Kind.EXTENDED, sftp.EXPAND_PATH) == GONE
    assert isinstance(real(b"~", Kind.EXTENDED, sftp.EXPAND_PATH), bytes)


def test_space_of_the_file_system(peer: SftpPeer, root: bytes) -> None:
    found = os.statvfs(root)
    handle = peer.open(root + b"f", NEW)
    for asked, name in ((root, sftp.STATVFS), (handle, sftp.FSTATVFS)):
        data = peer.ask(Kind.EXTENDED, asked, name=name).fields[0]
        numbers = [int.from_bytes(data[at : at + 8], "big") for at in range(0, 88, 8)]
        assert (numbers[0], numbers[2], numbers[10]) == (found.f_bsize, found.f_blocks, found.f_namemax)


def test_copying_inside_the_node(peer: SftpPeer, root: bytes, tmp_path: Path) -> None:
    contents = os.urandom(3_000_000)
    (tmp_path / "f").write_bytes(contents)
    source, target = peer.open(root + b"f", Open.READ), peer.open(root + b"g", NEW)

    def copy(*fields: object) -> Status:
        return peer.status(Kind.EXTENDED, *fields, name=sftp.COPY_DATA)

    assert copy(source, 0, 0, target, 0) == OK
    assert (tmp_path / "g").read_bytes() == contents
    assert copy(source, 100, 10, target, 0) == OK
    assert (tmp_path / "g").read_bytes()[:12] == contents[100:110] + contents[10:12]
    assert copy(source, len(contents) - 5, 10, target, 0) == Status.EOF
    assert copy(source, len(contents) + 5, 0, target, 0) == OK
    assert copy(source, 0, 0, peer.open(root + b"f", Open.WRITE), 0) == FAILED
    assert copy(peer.open(b"/dev/zero", Open.READ), 0, 0, target, 0) == FAILED, "it would never end"
    assert copy(source, 0, 0, b"none", 0) == GONE


def test_what_is_not_known_is_said(peer: SftpPeer) -> None:
    assert peer.status(Kind.EXTENDED, b"data", name="no-such@example.com") == Status.OP_UNSUPPORTED
    assert peer.status(Kind.EXTENDED, b"", name="") == Status.OP_UNSUPPORTED
    assert peer.status(Kind.DATA, b"") == Status.OP_UNSUPPORTED
    assert peer.status(Kind.INIT, {}) == Status.OP_UNSUPPORTED
    peer.send(b"\0\0\0\5\x63\0\0\0\7")
    assert peer.answer()[:2] == (Kind.STATUS, 7)
    peer.send(b"\0\0\0\7\x11\0\0\0\7\0\0")
    assert peer.answer().fields[0] == Status.BAD_MESSAGE


def test_a_write_with_less_than_it_says(peer: SftpPeer, root: bytes) -> None:
    whole = bytearray(write(Packet(Kind.WRITE, 9, (peer.open(root + b"f", NEW), 0, b"abc"))))
    whole[25:29] = (4).to_bytes(4, "big")
    peer.send(bytes(whole))
    assert peer.answer().fields[0] == Status.BAD_MESSAGE


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with SftpPeer() as peer:
        for number in range(5):
            peer.open(os.fsencode(tmp_path / str(number)), NEW)
            peer.ask(Kind.OPENDIR, os.fsencode(tmp_path))
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize("data", [b"\0\0\0\4abcde", b"\0\4\0\1\1\0\0\0\3", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff"])
def test_what_is_no_stream_of_packets_ends_it(peer: SftpPeer, data: bytes) -> None:
    peer.send(data)
    peer._thread.join(60)
    assert not peer._thread.is_alive()


def test_nothing_but_init_is_first() -> None:
    peer = SftpPeer()
    peer._thread.start()
    peer.send(write(Packet(Kind.STAT, 1, (b"/",))))
    peer._thread.join(60)
    peer.__exit__()


def test_a_channel_that_only_reads(root: bytes, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("text")
    path, attrs = root + b"f", Attrs(mode=0o600)
    with SftpPeer(read_only=True) as peer:
        for flags in (Open.WRITE, Open.CREATE, Open.READ | Open.TRUNCATE, Open.APPEND):
            assert peer.status(Kind.OPEN, path, flags, Attrs()) == DENIED
        handle = peer.open(path, Open.READ)
        assert peer.ask(Kind.READ, handle, 0, 10).fields[0] == b"text"
        refused = [
            (Kind.WRITE, handle, 0, b"x"), (Kind.SETSTAT, path, attrs), (Kind.FSETSTAT, handle, attrs),
            (Kind.REMOVE, path), (Kind.MKDIR, root + b"d", attrs), (Kind.RMDIR, root), (Kind.RENAME, path, root + b"g"),
            (Kind.SYMLINK, path, root + b"s"),
        ]  # fmt: skip
        for kind, *fields in refused:
            assert peer.status(kind, *fields) == DENIED, kind
        extended = {
            sftp.POSIX_RENAME: (path, root + b"g"), sftp.HARDLINK: (path, root + b"h"), sftp.LSETSTAT: (path, attrs),
            sftp.COPY_DATA: (handle, 0, 0, handle, 0),
        }  # fmt: skip
        for name, fields in extended.items():
            assert peer.status(Kind.EXTENDED, *fields, name=name) == DENIED, name
        assert peer.status(Kind.CLOSE, handle) == OK
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_text() == "text"


def test_it_needs_nothing_that_knows_a_network() -> None:
    """What the process imports before it becomes the user has no parser of SSH, and no event loop."""
    code = "import sys, teleport.agents.ssh.sftp_server; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"asyncio", "asyncssh", "ssl", "cryptography", "msgspec", "teleport.net"} & set(loaded)


def openssh(folder: Path, commands: str, server: str = "") -> tuple[int, str]:
    """Run OpenSSH's sftp(1) with a server of its own in `folder`: ours unless another is named."""
    own = folder.parent / "server"
    own.write_text(f"#!{sys.executable}\n{SERVER}\n")
    own.chmod(0o755)
    batch = folder.parent / "batch"
    batch.write_text(commands)
    done = subprocess.run(
        ["sftp", "-q", "-D", server or str(own), "-b", str(batch), "/dev/null"], cwd=folder, capture_output=True,
        text=True, stdin=subprocess.DEVNULL, timeout=300, env={**os.environ, "TZ": "UTC"},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_with_openssh(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    (folder / "tree" / "sub").mkdir(parents=True)
    data = os.urandom(1_000_000)
    (folder / "tree" / "sub" / "a file").write_bytes(data)
    (folder / "tree" / "empty").write_bytes(b"")
    os.utime(folder / "tree" / "empty", (1_000_000_000, 1_000_000_000))
    status, said = openssh(
        folder,
        'put -Rp tree copy\nget -Rp copy back\nchmod 600 copy/empty\nln copy/empty copy/hard\nln -s empty copy/soft\n'
        'rename copy/hard copy/renamed\n-rm copy/nothing\nmkdir m\nrmdir m\ndf .\ncp "copy/sub/a file" copy/third\n'
        '!head -c 400000 "tree/sub/a file" > part\nreget "copy/sub/a file" part\nput part half\n'
        "!truncate -s 300000 half\nreput part half\npwd\ncd copy\nls -la\n",
    )  # fmt: skip
    assert status == 0, said
    for place in ("copy/sub/a file", "back/sub/a file", "copy/third", "part", "half"):
        assert (folder / place).read_bytes() == data, place
    assert (folder / "back" / "empty").stat().st_mtime == 1_000_000_000
    assert (folder / "copy" / "renamed").stat().st_ino == (folder / "copy" / "empty").stat().st_ino
    assert os.readlink(folder / "copy" / "soft") == "empty"
    assert stat.S_IMODE((folder / "copy" / "empty").stat().st_mode) == 0o600


def test_listings_and_failures_read_like_openssh(tmp_path: Path) -> None:
    theirs_is = need("/usr/lib/openssh/sftp-server")
    folder = tmp_path / "work"
    folder.mkdir()
    for name, moment in (("new", 1_700_000_000), ("old", 1_000_000_000), ("réseau", 5)):
        (folder / name).write_text(name)
        os.utime(folder / name, (moment, moment))
    (folder / "soft").symlink_to("old")
    os.mkfifo(folder / "pipe")
    (folder / "open").mkdir(mode=0o777)
    (folder / "open").chmod(0o1777)
    commands = (
        "ls -la\nls -l open\npwd\n-get missing\n-rmdir new\n-mkdir open\n-rm open\n-ln new old\n-chmod 600 missing\n"
        "-cd new\n-rename missing x\n-put /dev/null no/such\n"
    )
    ours, theirs = openssh(folder, commands), openssh(folder, commands, theirs_is)
    # OpenSSH's client writes listings of its own, without the number of links, when it can ask for names of users.
    links = re.compile(r"(?m)^([-dlp][-rwxt]{9}) +([0-9]+|\?) ")
    assert [links.sub(r"\1 ", said) for _, said in (ours, theirs)] == [links.sub(r"\1 ", theirs[1])] * 2
    assert ours[0] == theirs[0]
