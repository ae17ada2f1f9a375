"""The first walk of an ordinary user of the machine: the server runs as they, and starts commands as they alone."""

from __future__ import annotations

import grp
import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ordinary_user
from tests.support.cluster import OWN, Cluster
from tests.support.processes import tree


def accounts() -> list[str]:
    """Return who may run the server here: root may be anybody, everybody else is only themselves."""
    if os.geteuid() != 0:
        return [OWN]
    found = ordinary_user.with_shell()
    return [*([found.pw_name] if found else []), "nobody"]


@pytest.fixture(params=accounts())
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    account = pwd.getpwnam(request.param)
    with tempfile.TemporaryDirectory(prefix="teleport-test-") as folder, tempfile.TemporaryDirectory() as stage:
        if account.pw_uid != os.geteuid():
            os.chown(folder, account.pw_uid, account.pw_gid)
        try:
            wrapper = ordinary_user.wrapper(account, Path(stage))
        except ordinary_user.NotPossible as problem:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(str(problem))
        with Cluster(Path(folder), login=account.pw_name, wrapper=wrapper).running() as running:
            yield running


def test_only_the_own_login_is_reached(cluster: Cluster) -> None:
    """Started by an ordinary user, the cluster runs commands as that user; other logins that the roles allow
    are refused with what, why and fix."""
    own = pwd.getpwnam(cluster.login)
    for process in tree(cluster.pid):
        assert Path(f"/proc/{process.pid}").stat().st_uid in (own.pw_uid, 0)  # 0: the signer is not dumpable
        assert f"\nUid:\t{own.pw_uid}\t{own.pw_uid}\t" in Path(f"/proc/{process.pid}/status").read_text()
    cluster.role("walker", logins=["{{internal.logins}}"])
    alice = cluster.sign_up("alice", ["walker"], [own.pw_name, "root"])
    assert "node-1" in alice.tsh("ls").out
    assert cluster.tctl("get", "role/walker").out

    other = alice.ssh("id", login="root", status=255)
    assert other.out == ""
    assert "SSH-NOT-ROOT: this node cannot start commands as 'root'" in other.err
    assert f"runs as '{own.pw_name}', not as root" in other.err
    assert f"log in as '{own.pw_name}', or run the service as root" in other.err

    if os.path.basename(own.pw_shell) in ordinary_user.SHELLS:
        assert alice.ssh("id -u; id -Gn").out.split() == [str(own.pw_uid), *_groups(own)]
        shown = alice.ssh("stat -c '%U %a' $SSH_TTY; stty size; exit 3", options=["-tt"], status=3).out
        assert shown.split() == [own.pw_name, "620", "25", "80"]
    else:
        refused = alice.ssh("id", status=255).err
        assert f"SSH-ACCOUNT-NOLOGIN: the account '{own.pw_name}' is not for logging in" in refused
        assert f"its shell is {own.pw_shell}" in refused


def _groups(own: pwd.struct_passwd) -> list[str]:
    """Names of the groups that commands have: the server's own, because it cannot give them others."""
    numbers = os.getgroups() if own.pw_uid == os.geteuid() else []
    return [grp.getgrgid(number).gr_name for number in dict.fromkeys([own.pw_gid, *numbers])]
