"""One command on many nodes: whole lines, bounds, files, and what happens to the rest when one fails."""

import datetime as dt
import os
import threading

import pytest

from teleport.base.clock import ManualClock, SystemClock
from teleport.base.disk import SystemDisk
from teleport.base.errors import AccessDenied, TeleportError
from teleport.client import many
from teleport.client.many import Files, Many, Result

NAMES = {f"id-{number}": f"node-{number}" for number in range(1, 4)}


def said(**options):
    """Lines that were printed, and a Many that prints them."""
    lines = []
    return lines, {"on_line": lambda *line: lines.append(line), "at_once": 20, **options}


def test_lines_come_whole_and_with_the_name():
    def run(id, ends):
        for part in (b"one ", b"line\ntwo\n", b"no end"):
            os.write(ends.stdout, part)
        os.write(ends.stderr, b"oh\r\n")
        return int(id[-1]) - 1

    lines, options = said()
    results = Many(NAMES, run, SystemClock(), **options).run()
    assert [(result.name, result.id, result.status) for result in results] == [
        ("node-1", "id-1", 0), ("node-2", "id-2", 1), ("node-3", "id-3", 2),
    ]  # fmt: skip
    for name in NAMES.values():
        own = [line[1:] for line in lines if line[0] == name]
        assert [line for line, is_error in own if not is_error] == [b"one line", b"two", b"no end"]
        assert [line for line, is_error in own if is_error] == [b"oh"]
    assert [result.name for result in many.failed(results)] == ["node-2", "node-3"]


def test_no_more_run_at_once_than_allowed():
    """A line is printed when all that may run have been started; only then a worker looks how many there are."""
    names = {f"id-{number}": f"counted-{number}" for number in range(6)}
    printed = {name: threading.Event() for name in names.values()}
    most = []

    def run(id, ends):
        os.write(ends.stdout, b"here\n")
        assert printed[names[id]].wait(30)
        most.append(sum(thread.name.startswith("node counted-") for thread in threading.enumerate()))
        return 0

    results = Many(names, run, SystemClock(), at_once=2, on_line=lambda name, *_: printed[name].set()).run()
    assert [result.status for result in results] == [0] * 6
    assert max(most) == 2


def test_one_that_fails_does_not_end_the_others():
    def run(id, ends):
        if id == "id-2":
            raise AccessDenied("CLIENT-NODE-REFUSED", host=id, said="no")
        if id == "id-3":
            raise ConnectionResetError("gone")
        os.write(ends.stdout, b"fine\n")
        return 0

    clock = ManualClock(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    lines, options = said()
    results = Many(NAMES, run, clock, **options).run()
    assert [result.status for result in results] == [0, many.FAILED, many.FAILED]
    assert [result.error and result.error.code for result in results] == [None, "CLIENT-NODE-REFUSED", "CLIENT-SSH"]
    assert [result.seconds for result in results] == [0.0, 0.0, 0.0]
    assert [line[0] for line in lines] == ["node-1"]


def test_a_line_without_an_end_is_not_kept_for_ever():
    def run(id, ends):
        for _ in range(4):
            os.write(ends.stdout, b"x" * 40_000)
        return 0

    lines, options = said()
    Many({"id": "n"}, run, SystemClock(), **options).run()
    assert sum(len(line[1]) for line in lines) == 160_000
    assert max(len(line[1]) for line in lines) <= many.LONGEST_LINE + 65536


def test_results_have_the_beginning_of_the_output(monkeypatch):
    monkeypatch.setattr(many, "KEPT", 8)

    def run(id, ends):
        os.write(ends.stdout, b"12345")
        os.write(ends.stderr, b"err")
        if id == "id-2":
            os.write(ends.stdout, b"678910")
        return 0

    results = Many(NAMES, run, SystemClock(), at_once=1, keep=True).run()
    assert (bytes(results[0].stdout), bytes(results[0].stderr), results[0].cut) == (b"12345", b"err", False)
    assert (bytes(results[1].stdout), results[1].cut) == (b"12345678", True)


def test_files_for_each_node(tmp_path):
    def run(id, ends):
        os.write(ends.stdout, f"out of {id}\n".encode())
        os.write(ends.stderr, b"\xff\0")
        return 0

    folder = tmp_path / "new" / "logs"
    files = Files(SystemDisk(), str(folder))
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "node-1.stdout").write_text("of another run")
    (folder / "node-1.stdout").chmod(0o644)
    Many(NAMES, run, SystemClock(), at_once=20, files=files).run()
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{name}.{kind}" for name in NAMES.values() for kind in ("stdout", "stderr")
    )
    assert (folder / "node-1.stdout").read_text() == "out of id-1\n"
    assert (folder / "node-2.stderr").read_bytes() == b"\xff\0"
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_link_in_the_folder_is_not_followed(tmp_path):
    (tmp_path / "other").write_text("precious")
    (tmp_path / "node-1.stdout").symlink_to(tmp_path / "other")
    with pytest.raises(TeleportError):
        Many(NAMES, lambda id, ends: 0, SystemClock(), at_once=1, files=Files(SystemDisk(), str(tmp_path))).run()
    assert (tmp_path / "other").read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "word"),
    [("node-1.example.com", "node-1.example.com"), ("../../etc/passwd", "_.._etc_passwd"), ("web/1234", "web_1234"),
     ("..", "_"), ("n\n", "n_"), ("x" * 300, "x" * 200)],
)  # fmt: skip
def test_names_of_files(name, word):
    assert many.file_name(name) == word


def test_two_nodes_never_share_a_file(tmp_path):
    def run(id, ends):
        os.write(ends.stdout, id.encode())
        return 0

    names = {"id-1": "a/b", "id-2": "a_b", "id-3": "A_B"}
    Many(names, run, SystemClock(), at_once=3, files=Files(SystemDisk(), str(tmp_path))).run()
    assert sorted(path.read_text() for path in tmp_path.glob("*.stdout")) == ["id-1", "id-2", "id-3"]


def test_what_is_printed():
    written = []
    on_line = many.printer(lambda descriptor, data: written.append((descriptor, data)))
    on_line("node-1", b"a \xff", False)
    on_line("no\x1b[2Jde", b"b", True)
    assert written[0] == (1, b"node-1: a \xff\n")
    assert written[1][0] == 2
    assert b"\x1b" not in written[1][1]

    def broken(descriptor, data):
        raise BrokenPipeError

    many.printer(broken)("n", b"", False)


def test_a_result_has_failed_until_it_is_known():
    assert many.failed([Result("n", "id")]) != []
