"""One command on many nodes, some at a time: their output by whole lines, with the name of the node before each.

What is here: the workers, the pipes between them and the one who prints, the files of `--log-dir`. What is not: SSH
(a `Runner` does one node) and which nodes are meant (`ssh_targets`).

A worker that is not finished when the program ends does not keep it: interrupting the command ends all of it.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from teleport.base.clock import Clock
from teleport.base.disk import Disk, map_errors
from teleport.base.errors import TeleportError, Unavailable
from teleport.base.escape import escape

FAILED = 255
"""Exit status of a node where no command ended: what `ssh` uses."""
LONGEST_LINE = 65536
"""Bytes of a line that are kept back while it has no end."""
KEPT = 1 << 20
"""Bytes of each output that a document of results has."""
_CHUNK = 65536
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


class Outputs(NamedTuple):
    """Descriptors that a runner writes to. A command on many nodes has no input."""

    stdout: int
    stderr: int


Runner = Callable[[str, Outputs], int]
"""Runs the command on the node with an id and returns its exit status; raises TeleportError."""
Printer = Callable[[str, bytes, bool], None]
"""Takes the name of a node, a line without its end, and whether it is of the error output."""


@dataclass
class Result:
    """How a command ended on a node."""

    name: str
    id: str
    status: int = FAILED
    seconds: float = 0.0
    error: TeleportError | None = None
    stdout: bytearray = field(default_factory=bytearray)
    """The beginning of it, if results are to have it."""
    stderr: bytearray = field(default_factory=bytearray)
    cut: bool = False
    """Whether there was more output than was kept."""


class Many:
    """One run. `names` are the nodes by id."""

    def __init__(
        self, names: Mapping[str, str], runner: Runner, clock: Clock, *, at_once: int, keep: bool = False,
        on_line: Printer | None = None, files: Files | None = None,
    ) -> None:  # fmt: skip
        """`keep`: results have the output. `on_line` is called in the thread of `run`."""
        self._waiting = [Result(name, id) for id, name in names.items()]
        self._results = list(self._waiting)
        self._runner = runner
        self._clock = clock
        self._at_once = at_once
        self._keep = keep
        self._on_line = on_line
        self._files = files
        self._selector = selectors.DefaultSelector()
        self._open: dict[str, int] = {}
        """Outputs that are still open, by node."""
        self._workers: dict[str, threading.Thread] = {}

    def run(self) -> list[Result]:
        """Run the command on all nodes, in the order of `names`. Raises DISK-* for files that cannot be written."""
        with self._selector:
            while self._waiting or self._open:
                while self._waiting and len(self._open) < self._at_once:
                    self._start(self._waiting.pop(0))
                for key, _ in self._selector.select():
                    self._read(key.data)
        return self._results

    def _start(self, result: Result) -> None:
        logs = [self._files.open(result, is_error) if self._files else None for is_error in (False, True)]
        pairs = [os.pipe(), os.pipe()]
        for (reading, _), is_error, log in zip(pairs, (False, True), logs, strict=True):
            os.set_blocking(reading, False)
            self._selector.register(reading, selectors.EVENT_READ, _Output(result, reading, is_error, log))
        self._open[result.id] = 2
        writing = (pairs[0][1], pairs[1][1])
        worker = threading.Thread(target=self._work, args=(result, *writing), name=f"node {result.name}", daemon=True)
        self._workers[result.id] = worker
        worker.start()

    def _work(self, result: Result, stdout: int, stderr: int) -> None:
        began = self._clock.now()
        try:
            result.status = self._runner(result.id, Outputs(stdout, stderr))
        except TeleportError as error:
            result.error = error
        except OSError as error:
            result.error = Unavailable("CLIENT-SSH", host=result.name, problem=error)
        finally:
            result.seconds = max((self._clock.now() - began).total_seconds(), 0.0)
            for descriptor in (stdout, stderr):
                os.close(descriptor)

    def _read(self, output: _Output) -> None:
        data = os.read(output.descriptor, _CHUNK)
        if output.log is not None and data:
            with map_errors(output.log.path):
                _write_all(output.log.descriptor, data)
        if self._keep:
            output.keep(data)
        for line in output.lines(data):
            if self._on_line is not None:
                self._on_line(output.result.name, line, output.is_error)
        if not data:
            self._ended(output)

    def _ended(self, output: _Output) -> None:
        self._selector.unregister(output.descriptor)
        os.close(output.descriptor)
        if output.log is not None:
            os.close(output.log.descriptor)
        id = output.result.id
        self._open[id] -= 1
        if not self._open[id]:
            del self._open[id]
            self._workers.pop(id).join()  # it has closed its outputs: nothing is left to do for it


class _Log(NamedTuple):
    path: str
    descriptor: int


class _Output:
    """One of the two outputs of a node."""

    def __init__(self, result: Result, descriptor: int, is_error: bool, log: _Log | None) -> None:
        self.result, self.descriptor, self.is_error, self.log = result, descriptor, is_error, log
        self._pending = b""

    def lines(self, data: bytes) -> list[bytes]:
        """Return the lines that have ended, without their ends; with the last data also what is left."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        if self._pending and (not data or len(self._pending) > LONGEST_LINE):
            lines.append(self._pending)
            self._pending = b""
        return [line.removesuffix(b"\r") for line in lines]

    def keep(self, data: bytes) -> None:
        kept = self.result.stderr if self.is_error else self.result.stdout
        room = KEPT - len(kept)
        kept += data[:room]
        self.result.cut |= len(data) > room


class Files:
    """Where the outputs of each node go: `<name>.stdout` and `<name>.stderr` in one folder, for nobody else to read."""

    def __init__(self, disk: Disk, folder: str) -> None:
        """Make the folder if it is not there. Raises DISK-*."""
        self.folder = os.path.abspath(folder)
        self._taken: dict[str, str] = {}
        disk.make_dir(self.folder)

    def path(self, result: Result, is_error: bool) -> str:
        """Return the file of an output; whatever the node is called, it is in the folder."""
        word = file_name(result.name)
        if self._taken.setdefault(word.lower(), result.id) != result.id:  # two names that are written alike
            word = f"{word}-{file_name(result.id)}"
        return os.path.join(self.folder, f"{word}.{'stderr' if is_error else 'stdout'}")

    def open(self, result: Result, is_error: bool) -> _Log:
        """Open the file anew, not through a link. Raises DISK-*."""
        path = self.path(result, is_error)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with map_errors(path):
            descriptor = os.open(path, flags, 0o600)
            os.fchmod(descriptor, 0o600)
        return _Log(path, descriptor)


def file_name(name: str) -> str:
    """Return a node's name as one of a file: what is not of a host name becomes `_`."""
    word = _UNSAFE.sub("_", name)[:200].lstrip(".")
    return word or "_"


def printer(write: Callable[[int, bytes], object]) -> Printer:
    """Return a Printer that writes `name: line` to descriptor 1 or 2, each line in one call.

    A terminal obeys what it is sent: of a node's name nothing but its letters is printed. The line is the command's.
    """

    def on_line(name: str, line: bytes, is_error: bool) -> None:
        with contextlib.suppress(BrokenPipeError):
            write(2 if is_error else 1, escape(name).encode() + b": " + line + b"\n")

    return on_line


def failed(results: Sequence[Result]) -> list[Result]:
    """Return the nodes on which the command did not end with 0."""
    return [result for result in results if result.status != 0 or result.error is not None]


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
