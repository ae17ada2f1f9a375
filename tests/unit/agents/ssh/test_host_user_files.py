"""Files of accounts that are made for logins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from teleport.agents.ssh.host_user_files import login_of, make_home, sudoers_file, write_sudoers
from teleport.base.errors import Unavailable
from tests.support.root import need_root


def test_names_of_files_lead_back_to_the_login(tmp_path: Path) -> None:
    for login in ("alice", "a.b.c", "a_2e"):
        file = sudoers_file(tmp_path, login)
        assert "." not in file.name
        assert login_of(file) == login


def test_lines_are_in_force_only_after_they_were_checked(tmp_path: Path) -> None:
    need_root()
    seen: list[str] = []

    def check(path: Path) -> None:
        seen.append(path.name)
        assert path.read_text() == "alice ALL=(ALL) ALL\nalice ALL=(root) /bin/ls\n"
        assert path.stat().st_mode & 0o777 == 0o440

    def refuse(path: Path) -> None:
        raise Unavailable("SSH-HOST-USER-TOOL", tool="visudo", problem="no")

    (tmp_path / "teleport-alice.new").symlink_to("/etc/passwd")
    write_sudoers(tmp_path, "alice", ["ALL=(ALL) ALL", "ALL=(root) /bin/ls"], check)
    assert seen == ["teleport-alice.new"]
    before = (tmp_path / "teleport-alice").read_text()
    with pytest.raises(Unavailable):
        write_sudoers(tmp_path, "alice", ["other"], refuse)
    assert [path.name for path in tmp_path.iterdir()] == ["teleport-alice"]
    assert (tmp_path / "teleport-alice").read_text() == before
    write_sudoers(tmp_path, "alice", [], refuse)
    assert list(tmp_path.iterdir()) == []


def test_a_home_has_what_the_skeleton_has_and_follows_no_links(tmp_path: Path) -> None:
    need_root()
    skeleton, home = tmp_path / "skel", tmp_path / "alice"
    (skeleton / "folder").mkdir(parents=True)
    (skeleton / ".profile").write_text("hello")
    (skeleton / "secret").symlink_to("/etc/shadow")
    make_home(home, 4711, 4712, skeleton)
    assert [path.name for path in home.iterdir()] == [".profile"]
    for path in (home, home / ".profile"):
        assert (path.stat().st_uid, path.stat().st_gid) == (4711, 4712)
    assert home.stat().st_mode & 0o777 == 0o700
    make_home(home, 1, 1, skeleton)
    assert home.stat().st_uid == 4711, "a home that is there stays as it is"
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    make_home(link, 1, 1, skeleton)
    assert not os.path.exists(tmp_path / "elsewhere")
