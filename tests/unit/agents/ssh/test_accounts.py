"""Which accounts a command may run as."""

from __future__ import annotations

import datetime as dt
import pwd
from pathlib import Path

import pytest

from teleport.agents.ssh import accounts
from teleport.agents.ssh.accounts import Account, Files, find, search_path
from teleport.base.errors import TeleportError

TODAY = dt.date(2026, 3, 1)
DAY = (TODAY - dt.date(1970, 1, 1)).days


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "shadow", tmp_path / "login.defs", (tmp_path / "nologin", tmp_path / "run-nologin"))


@pytest.fixture(autouse=True)
def passwd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts of a machine that is not this one."""
    entries = {
        "root": (0, 0, "/root", "/bin/sh"),
        "alice": (1000, 1001, "/home/alice", "/bin/sh"),
        "plain": (1001, 1001, "", ""),
        "daemon": (1, 1, "/", "/usr/sbin/nologin"),
        "false": (2, 2, "/", "/bin/false"),
        "gone": (3, 3, "/", "/no/such/shell"),
        "relative": (4, 4, "/", "sh"),
        "folder": (5, 5, "/", "/usr"),
    }

    def by_name(name: str) -> pwd.struct_passwd:
        if "\0" in name:
            raise ValueError("embedded null byte")
        uid, gid, home, shell = entries[name.lower()]
        return pwd.struct_passwd((name.lower(), "x", uid, gid, "", home, shell))

    def by_uid(uid: int) -> pwd.struct_passwd:
        return by_name({entry[0]: name for name, entry in entries.items()}[uid])

    monkeypatch.setattr(accounts.pwd, "getpwnam", by_name)
    monkeypatch.setattr(accounts.pwd, "getpwuid", by_uid)


def refused(login: str, files: Files, euid: int = 0) -> TeleportError:
    with pytest.raises(TeleportError) as caught:
        find(login, files=files, today=TODAY, euid=euid)
    assert caught.value.why
    assert caught.value.fix
    return caught.value


def test_root_may_act_for_all_and_others_for_themselves(files: Files) -> None:
    alice = Account("alice", 1000, 1001, "/home/alice", "/bin/sh")
    assert find("alice", files=files, today=TODAY, euid=0) == alice
    assert find("alice", files=files, today=TODAY, euid=1000) == alice
    assert find("plain", files=files, today=TODAY, euid=0) == Account("plain", 1001, 1001, "/", "/bin/sh")


@pytest.mark.parametrize("login", ["nobody-here", "-teleport-internal-join", "", "al\0ice", "ALICE"])
def test_unknown(login: str, files: Files) -> None:
    assert refused(login, files).code == "SSH-UNKNOWN-USER"


def test_without_root_only_the_own_login(files: Files) -> None:
    error = refused("root", files, euid=1000)
    assert error.code == "SSH-NOT-ROOT"
    assert "'alice' alone" in error.why
    assert "'4321'" in refused("root", files, euid=4321).why


@pytest.mark.parametrize(
    ("login", "code"),
    [
        ("daemon", "SSH-ACCOUNT-NOLOGIN"), ("false", "SSH-ACCOUNT-NOLOGIN"), ("gone", "SSH-SHELL"),
        ("relative", "SSH-SHELL"), ("folder", "SSH-SHELL"),
    ],
)  # fmt: skip
def test_shells(login: str, code: str, files: Files) -> None:
    assert refused(login, files).code == code


@pytest.mark.parametrize("which", [0, 1])
def test_a_closed_machine_is_open_for_root_alone(which: int, files: Files) -> None:
    files.nologin[which].write_text("back at\n  noon\n")
    error = refused("alice", files)
    assert (error.code, error.fields["message"]) == ("SSH-NOLOGIN", "back at   noon")
    assert refused("alice", files, euid=1000).code == "SSH-NOLOGIN"
    assert find("root", files=files, today=TODAY, euid=0).uid == 0


def test_a_closed_machine_without_a_reason(files: Files) -> None:
    files.nologin[0].touch()
    assert "the file is empty" in str(refused("alice", files))


@pytest.mark.parametrize(("field", "expired"), [(DAY, True), (DAY - 1, True), (1, True), (DAY + 1, False)])
def test_expiry(field: int, expired: bool, files: Files) -> None:
    files.shadow.write_text(f"root:*:1::::::\nalice:!:19000:0:99999:7::{field}:\n")
    if expired:
        assert refused("alice", files).code == "SSH-ACCOUNT-EXPIRED"
    else:
        assert find("alice", files=files, today=TODAY, euid=0).uid == 1000
    assert find("alice", files=files, today=TODAY, euid=1000).uid == 1000  # without root nobody reads shadow


@pytest.mark.parametrize("line", ["alice:!:19000:0:99999:7:::", "alice:!", "alice:!:1:::::-1:", "alic:!:1:::::1:", ""])
def test_no_expiry(line: str, files: Files) -> None:
    files.shadow.write_text(line + "\n")
    assert find("alice", files=files, today=TODAY, euid=0).uid == 1000


def test_a_shadow_file_that_cannot_be_read_is_no_permission(files: Files) -> None:
    files.shadow.mkdir()
    assert refused("alice", files).code == "SSH-SPAWN"


def test_search_path(files: Files) -> None:
    root, alice = (find(name, files=files, today=TODAY, euid=0) for name in ("root", "alice"))
    assert search_path(root, files) == accounts.DEFAULT_ROOT_PATH
    assert search_path(alice, files) == accounts.DEFAULT_PATH
    files.login_defs.write_text("# ENV_PATH PATH=/no\nENV_SUPATH\tPATH=/sbin:/bin\nENV_PATH  PATH=/bin:/opt/bin\nX\n")
    assert (search_path(root, files), search_path(alice, files)) == ("/sbin:/bin", "/bin:/opt/bin")
