"""Limits of an account, as limits.conf(5) says them."""

from __future__ import annotations

import grp
import os
import pwd
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from teleport.agents.ssh import limits
from teleport.agents.ssh.accounts import Account
from teleport.agents.ssh.limits import Limit

SOMEBODY = next(entry for entry in pwd.getpwall() if entry.pw_uid not in (0, os.geteuid()))
ACCOUNT = Account(SOMEBODY.pw_name, SOMEBODY.pw_uid, SOMEBODY.pw_gid, "/", "/bin/sh")
NAME, UID, GID = ACCOUNT.login, ACCOUNT.uid, ACCOUNT.gid
GROUP = grp.getgrgid(GID).gr_name
ENDLESS = resource.RLIM_INFINITY
NOFILE, NPROC, CORE = resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_CORE


def found(tmp_path: Path, text: str, account: Account = ACCOUNT) -> dict[tuple[int, str], int]:
    (tmp_path / "limits.conf").write_text(text)
    return {(each.resource, each.side): each.value for each in limits.find(account, [f"{tmp_path}/limits.conf"])}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("* soft nofile 100", 100),
        (f"{NAME} soft nofile 100 # a comment", 100),
        (f"@{GROUP}\tsoft\tnofile\t100", 100),
        (f"{UID}:{UID} soft nofile 100", 100),
        (f"{UID}: soft nofile 100", 100),
        (f":{UID} soft nofile 100", 100),
        (f"@{GID}:{GID} soft nofile 100", 100),
        ("* soft nofile unlimited", ENDLESS),
        ("* soft nofile infinity", ENDLESS),
        ("* soft nofile -1", ENDLESS),
    ],
)
def test_whom_a_line_means(tmp_path: Path, line: str, value: int) -> None:
    assert found(tmp_path, line) == {(NOFILE, "soft"): value}


@pytest.mark.parametrize(
    "line",
    [
        "# * soft nofile 100", "", "nobody-at-all soft nofile 100", "@no-such-group soft nofile 100", "% soft nofile 1",
        f"{UID + 1}: soft nofile 100", f"@{GID + 1}:{GID + 1} soft nofile 100", ": soft nofile 100",
        "* soft nofile", "* soft nofile many", "* soft nofile -5", "* firm nofile 100", "* soft maxlogins 1",
        "* soft nofile 100 200", "* soft nice high", "*", "* -",
    ],
)  # fmt: skip
def test_lines_that_mean_nothing(tmp_path: Path, line: str) -> None:
    assert found(tmp_path, line) == {}


def test_both_sides_and_units(tmp_path: Path) -> None:
    text = "* - core 2\n* hard cpu 3\n* soft nice -5\n* hard nice 19\n"
    assert found(tmp_path, text) == {
        (CORE, "hard"): 2048, (CORE, "soft"): 2048, (resource.RLIMIT_CPU, "hard"): 180,
        (resource.RLIMIT_NICE, "soft"): 25, (resource.RLIMIT_NICE, "hard"): 1,
    }  # fmt: skip


def test_the_more_special_line_wins_and_of_equals_the_last(tmp_path: Path) -> None:
    text = f"* soft nofile 2\n{NAME} soft nofile 1\n* soft nofile 3\n@{GROUP} soft nofile 4\n"
    text += "* soft nproc 5\n* soft nproc 6\n"
    assert found(tmp_path, text) == {(NOFILE, "soft"): 1, (NPROC, "soft"): 6}


def test_a_user_can_be_freed_of_all(tmp_path: Path) -> None:
    assert found(tmp_path, f"* soft nofile 1\n{NAME} -\n") == {}


def test_root_is_met_by_its_name_alone(tmp_path: Path) -> None:
    root = Account("root", 0, 0, "/root", "/bin/sh")
    text = "* soft nofile 1\n@root soft nofile 2\n0:0 soft nofile 3\n:0 soft nofile 4\n"
    assert found(tmp_path, text, root) == {}
    assert found(tmp_path, text + "root soft nofile 5\n", root) == {(NOFILE, "soft"): 5}


def test_files_of_a_folder_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, value in (("b.conf", 2), ("a.conf", 1), ("c.txt", 3)):
        (tmp_path / name).write_text(f"* soft nofile {value}\n")
    (tmp_path / "z.conf").mkdir()
    assert limits.find(ACCOUNT, [f"{tmp_path}/none.conf", f"{tmp_path}/*.conf"]) == [Limit(NOFILE, "soft", 2)]


def test_an_account_whose_group_has_no_name() -> None:
    assert limits.find(ACCOUNT._replace(gid=4_000_000), []) == []


def applied(*wanted: Limit) -> list[int]:
    """Return soft and hard limit of open files of a process of our own after `apply`."""
    program = (
        "import sys, resource; from teleport.agents.ssh import limits; from teleport.agents.ssh.limits import Limit; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (500, 1000)); "
        f"limits.apply({list(wanted)!r}); print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, check=True, text=True)
    return [int(word) for word in done.stdout.split()]


def test_applying() -> None:
    assert applied(Limit(NOFILE, "soft", 700)) == [700, 1000]
    assert applied(Limit(NOFILE, "soft", 5000)) == [1000, 1000]
    assert applied(Limit(NOFILE, "soft", ENDLESS)) == [1000, 1000]
    assert applied(Limit(NOFILE, "soft", 800), Limit(NOFILE, "hard", 600)) == [600, 600]
    assert applied(Limit(NOFILE, "hard", 1 << 62), Limit(NOFILE, "soft", 300)) == [300, 1000]
    assert applied(Limit(999, "hard", 1)) == [500, 1000]
