"""db_server: an agent that serves a database, as it last said of itself. It ends unless it is said again."""

from __future__ import annotations

from collections.abc import Mapping

from teleport.base.text import label_text
from teleport.model.kinds.db import Db
from teleport.model.resource import NAME, Column, Resource, kind
from teleport.model.served import ServerSpec, check_server


class DbServerSpec(ServerSpec, frozen=True, kw_only=True):
    """Which agent serves which database."""

    database: Db


@kind(
    key="db_servers",
    versions=("v3",),
    aliases=("db_servers",),
    by_sub_kind=True,
    selector="db_labels",
    writable=("rm",),
    columns=(
        Column("Host", lambda server: str(server.spec.hostname)),
        NAME,
        Column("Protocol", lambda server: str(server.spec.database.spec.protocol)),
        Column("URI", lambda server: str(server.spec.database.spec.uri)),
        Column("Labels", lambda server: label_text(server.labels_now())),
        Column("Version", lambda server: str(server.spec.version)),
    ),
    messages={"delete": 'database server "{name}" has been deleted'},
)
class DbServer(Resource[DbServerSpec], frozen=True, kw_only=True, tag="db_server"):
    """A served database; its name is the database's, its sub-kind the id of the agent's host."""

    def check(self) -> None:
        """Raise BadParameter (KIND-*) for values out of grammar, NotSupported for unacted fields."""
        check_server(self, self.spec.database)

    def labels_now(self) -> Mapping[str, str]:
        """Labels of the database."""
        return self.spec.database.labels_now()
