"""app_server: an agent that serves an application, as it last said of itself. It ends unless it is said again."""

from __future__ import annotations

from collections.abc import Mapping

from teleport.base.text import label_text
from teleport.model.kinds.app import App, app_type
from teleport.model.resource import NAME, Column, Resource, kind
from teleport.model.served import ServerSpec, check_server


class AppServerSpec(ServerSpec, frozen=True, kw_only=True):
    """Which agent serves which application."""

    app: App


@kind(
    key="app_servers",
    versions=("v3",),
    aliases=("app_servers",),
    by_sub_kind=True,
    selector="app_labels",
    writable=("rm",),
    columns=(
        Column("Host", lambda server: str(server.spec.hostname)),
        NAME,
        Column("Type", lambda server: app_type(server.spec.app)),
        Column("Public Address", lambda server: str(server.spec.app.spec.public_addr)),
        Column("URI", lambda server: str(server.spec.app.spec.uri)),
        Column("Labels", lambda server: label_text(server.labels_now())),
        Column("Version", lambda server: str(server.spec.version)),
    ),
    messages={"delete": 'application server "{name}" has been deleted'},
)
class AppServer(Resource[AppServerSpec], frozen=True, kw_only=True, tag="app_server"):
    """A served application; its name is the application's, its sub-kind the id of the agent's host."""

    def check(self) -> None:
        """Raise BadParameter (KIND-*) for values out of grammar, NotSupported for unacted fields."""
        check_server(self, self.spec.app)

    def labels_now(self) -> Mapping[str, str]:
        """Labels of the application."""
        return self.spec.app.labels_now()
