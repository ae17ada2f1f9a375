"""Programs of other versions than the cluster: each a process whose version was set before it began."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from teleport.version import VERSION
from tests.support.apart import Apart, Member
from tests.support.cluster import OWN, PASSWORD, User
from tests.support.processes import wait_for

CLUSTER = "5.2.0"


def version(folder: Path, number: str) -> dict[str, str]:
    """Return variables with which a program takes itself for one of another version."""
    place = folder / f"version-{number}"
    place.mkdir(exist_ok=True)
    (place / "sitecustomize.py").write_text(f"import teleport.version\nteleport.version.VERSION = {number!r}\n")
    return {"PYTHONPATH": str(place)}


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    made = Apart(tmp_path_factory.mktemp("versions"))
    made.data.mkdir(mode=0o700)
    environment, own = made.environment, version(made.folder, CLUSTER)
    made.environment = lambda home="nobody", **more: {**environment(home, **more), **own}  # type: ignore[method-assign]
    with made.running(), made.proxy().running():
        made.role("walker", logins=[OWN])
        yield made


def node(apart: Apart, number: str) -> Member:
    made = apart.node(f"node-{number.partition('.')[0]}")
    made.env = version(apart.folder, number)
    return made


def said(member: Member, text: str) -> None:
    wait_for(f"the log to say {text}", lambda: text in member.log, seconds=60)


def test_a_version_too_old_is_refused_when_it_joins(apart: Apart) -> None:
    member = node(apart, "3.9.0")
    with member.launched():
        said(member, "client version is unsupported, minimum supported version is 4.0.0")
        said(member, "VER-TOO-OLD")
    event = apart.event("node-3", event="instance.join", success=False)
    assert "minimum supported version" in event["error"]


def test_one_major_version_behind_is_fine(apart: Apart) -> None:
    with node(apart, "4.0.0").running():
        apart.wait_for_node("node-4")


def test_a_version_too_new_waits_for_the_cluster_unless_told_not_to(apart: Apart) -> None:
    member = node(apart, "6.0.0")
    with member.launched():
        said(member, "node-6 has version 6.0.0, which is newer than the 5.2.0 of the cluster")
        said(member, "VER-TOO-NEW")
    with member.running("--skip-version-check"):
        apart.wait_for_node("node-6")


def test_tsh_says_so_before_anybody_signs_in(apart: Apart) -> None:
    """The program is of this build, the cluster says that it is later: nobody is asked for a password."""
    page = apart.browser().set_password(apart.invite("alice", ["walker"]), PASSWORD)
    assert page.status == 200
    alice = User(apart, "alice")
    options = ("login", f"--proxy={apart.public}", "--user=alice")
    refused = alice.tsh(*options, status=1).err
    assert "client version is unsupported, minimum supported version is 4.0.0" in refused
    assert "password" not in refused
    done = alice.tsh(*options, "--skip-version-check", stdin=f"{PASSWORD}\n{alice.code()}\n")
    assert "WARNING: client version is unsupported" in done.err
    assert VERSION in alice.tsh("version").out
