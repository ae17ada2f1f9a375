"""The spawner's part in enhanced recording, as far as it needs no root: names, numbers, the program."""

from __future__ import annotations

import os
from typing import Any

import pytest

from teleport.agents.ssh.cgroups import Groups, enter
from teleport.agents.ssh.enhanced.program import program
from teleport.agents.ssh.spawner_messages import Observe
from teleport.agents.ssh.tracer import Tracer, environment
from teleport.base.errors import BadParameter, TeleportError, Unavailable


@pytest.mark.parametrize(("pages", "told"), [(1, "1"), (5, "8"), (8, "8"), (144, "256")])
def test_the_buffer_is_a_power_of_two(pages: int, told: str) -> None:
    assert environment(Observe(1, "/a", "/b", pages))["BPFTRACE_PERF_RB_PAGES"] == told


@pytest.mark.parametrize("root", ["", "/", "a", '/a"b', "/a/../b", "/a b", "/a\nb", "/a/"])
def test_a_path_that_could_end_the_text_it_stands_in_is_refused(root: str) -> None:
    with pytest.raises(BadParameter):
        program(root)
    for request in (Observe(1, "/a", root, 1), Observe(1, root, "/a", 1)):
        with pytest.raises(BadParameter):
            Tracer().start(request, [0])


def test_the_program_speaks_of_groups_below_the_root_alone() -> None:
    assert 'strncmp(str(args->path), "/teleport/x/", 12)' in program("/teleport/x")


@pytest.mark.parametrize("changes", [{"pages": 0}, {"pages": 5000}])
def test_numbers_of_pages_that_cannot_be(changes: dict[str, Any]) -> None:
    with pytest.raises(BadParameter):
        Tracer().start(Observe(1, "/a", "/b", 1)._replace(**changes), [0])
    with pytest.raises(BadParameter):
        Tracer().start(Observe(1, "/a", "/b", 1), [])


def test_who_is_not_root_cannot_observe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Unavailable) as caught:
        Tracer().start(Observe(1, "/a", "/b", 1), [0])
    assert caught.value.code == "SSH-BPF-RIGHTS"
    with pytest.raises(Unavailable):
        _ = Tracer().groups


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("teleport.agents.ssh.tracer.PATH", "/nowhere")
    with pytest.raises(Unavailable) as caught:
        Tracer().start(Observe(1, "/a", "/b", 1), [0])
    assert (caught.value.code, caught.value.fields["tool"]) == ("SSH-BPF-TOOL", "bpftrace")


@pytest.mark.parametrize("name", ["", "..", "a/b", "x", "A", "a" * 41, "a\n"])
def test_names_of_groups_are_ids(name: str, tmp_path: Any) -> None:
    for act in (Groups(str(tmp_path), "/r").make, Groups(str(tmp_path), "/r").entrance):
        with pytest.raises(BadParameter):
            act(name)


def test_groups_come_and_go_when_they_are_empty(tmp_path: Any) -> None:
    (tmp_path / "cgroup.controllers").touch()  # an ordinary folder will do
    (tmp_path / "r" / "c9").mkdir(parents=True)
    groups = Groups(str(tmp_path), "/r")
    groups.prepare()
    assert not (tmp_path / "r" / "c9").exists()
    assert groups.make("c1") == (tmp_path / "r" / "c1").stat().st_ino
    (tmp_path / "r" / "c1" / "cgroup.procs").touch()
    enter(groups.entrance("c1"))
    assert (tmp_path / "r" / "c1" / "cgroup.procs").read_text() == "0"
    groups.remove("c1")
    assert (tmp_path / "r" / "c1").exists(), "somebody is in it"
    (tmp_path / "r" / "c1" / "cgroup.procs").unlink()
    with pytest.raises(TeleportError):
        groups.make("c2"), groups.make("c2")
    assert not (tmp_path / "r" / "c1").exists()
    (tmp_path / "r" / "c2" / "cgroup.procs").touch()
    groups.close()
    assert (tmp_path / "r" / "c2").exists(), "somebody is in it"
    (tmp_path / "r" / "c2" / "cgroup.procs").unlink()
    groups.close()
    assert not (tmp_path / "r").exists()
    groups.remove("c2")
