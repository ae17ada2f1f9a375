"""tsh ssh with labels, `--search` or `--query`: which nodes are meant, and a command on all of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from teleport.base.clock import SystemClock
from teleport.base.disk import SystemDisk
from teleport.base.errors import NotFound
from teleport.base.text import table, terminal_width
from teleport.cli.common import show
from teleport.cli.tsh.session import ask, collect
from teleport.client import many, ssh_targets
from teleport.client.credentials import Credentials
from teleport.client.many import Files, Many, Result, Runner
from teleport.client.ssh_targets import Target
from teleport.model.kinds.node import Node
from teleport.model.resource import Resource

AT_ONCE = 20
_WIDTH = 200


class Output(NamedTuple):
    """Where the output of a command on many nodes goes."""

    format: str = "text"
    folder: str = ""
    """For a file of each output; empty for none."""
    at_once: int = AT_ONCE

    @property
    def asked_for(self) -> bool:
        """Whether it was said, so that also one node is treated as many."""
        return self.format != "text" or bool(self.folder)


def find(chosen: Credentials, target: Target, cluster: str) -> list[Node]:
    """Return the nodes that a target means. Raises what `ssh_targets.choose` raises, and NotFound (PROXY-CLUSTER)."""
    known = chosen.profile.cluster
    if cluster not in ("", known):
        raise NotFound("PROXY-CLUSTER", cluster=cluster, known=known)
    found: list[Resource[Any]] = ask(
        chosen,
        lambda client: collect(
            client.list("node", labels=dict(target.labels), search=target.filters.search, query=target.filters.query)
        ),
    )
    return ssh_targets.choose(found, target, known)


def run(nodes: Sequence[Node], runner: Runner, output: Output) -> int:
    """Run a command on nodes and tell how it ended; return 1 if it has failed on one. Raises DISK-*."""
    text = output.format == "text"
    results = Many(
        ssh_targets.names(nodes), runner, SystemClock(), at_once=output.at_once, keep=not text,
        on_line=many.printer(os.write) if text else None,
        files=Files(SystemDisk(), output.folder) if output.folder else None,
    ).run()  # fmt: skip
    if text:
        _summary(results)
    else:
        show([_document(result) for result in results], output.format)
    return 1 if many.failed(results) else 0


def _summary(results: Sequence[Result]) -> None:
    """Tell how it ended, on stderr: stdout is the commands' own."""
    rows = [
        [result.name, "-" if result.error else result.status, f"{result.seconds:.1f}", _problem(result)]
        for result in results
    ]
    headings = ["Node", "Exit Status", "Seconds", "Problem"]
    lines = table(headings, rows, width=terminal_width(_WIDTH), wide="Problem")
    count = len(many.failed(results))
    print("", *lines, f"{len(results) - count} of {len(results)} succeeded.", sep="\n", file=sys.stderr)


def _problem(result: Result) -> str:
    return f"{result.error.what} ({result.error.code})" if result.error else ""


def _document(result: Result) -> dict[str, Any]:
    error = result.error
    return {
        "name": result.name, "id": result.id, "exit_status": None if error else result.status,
        "seconds": round(result.seconds, 3),
        "error": {"code": error.code, "message": error.what, "id": error.id} if error else None,
        "stdout": result.stdout.decode(errors="replace"), "stderr": result.stderr.decode(errors="replace"),
        "truncated": result.cut,
    }  # fmt: skip
