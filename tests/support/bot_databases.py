"""Bots and a database `example` of a cluster: the role that an output for it needs, and such an output."""

from __future__ import annotations

from pathlib import Path

from tests.support.cluster import Cluster
from tests.support.tbot import Machine, make_bot

ROLE = """\
kind: role
version: v5
metadata:
  name: machine-id-db
spec:
  allow:
    db_labels:
      '*': '*'
    db_names: [example, app]
    db_users: [alice]
    rules:
      - resources: [db_server, db]
        verbs: [read, list]
"""
DATABASE = {
    "kind": "db", "version": "v3", "metadata": {"name": "example", "labels": {"env": "dev"}},
    "spec": {"protocol": "postgres", "uri": "localhost:5432"},
}  # fmt: skip


def permit(cluster: Cluster) -> None:
    """Create the role of the reference."""
    path = cluster.folder / "role.yaml"
    path.write_text(ROLE)
    cluster.tctl("create", "-f", str(path))


def output(path: Path, **fields: object) -> dict[str, object]:
    """Return an output for the database, as alice."""
    return {
        "type": "database", "destination": {"type": "directory", "path": str(path)}, "service": "example",
        "database": "app", "username": "alice", **fields,
    }  # fmt: skip


def machine(cluster: Cluster, name: str, *roles: str) -> Machine:
    """Return a machine with a bot that has one output, for the database."""
    found = Machine(cluster, name, make_bot(cluster, name, *roles))
    found.settings["services"] = [output(found.out)]
    return found
