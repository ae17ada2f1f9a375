"""db: a database that agents may serve: where it is, and which protocol it speaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from teleport.base.errors import BadParameter
from teleport.base.struct import Struct, Switch
from teleport.base.text import label_text
from teleport.model.address import parse_addr
from teleport.model.command_labels import CommandLabel, check_command_labels, with_results
from teleport.model.later import Unacted, check_later
from teleport.model.naming import check_name, check_text
from teleport.model.resource import NAME, Column, Resource, kind

Protocol = Literal[
    "postgres", "cockroachdb", "mysql", "mongodb", "redis", "sqlserver", "snowflake", "cassandra", "elasticsearch",
    "opensearch", "dynamodb", "clickhouse", "clickhouse-http", "oracle", "spanner",
]  # fmt: skip
PROTOCOLS: tuple[str, ...] = get_args(Protocol)
NAMED = frozenset({"postgres", "mongodb", "spanner"})
"""Protocols in which a connection says which database of the server it is for: `db_names` of roles speak of that."""
_DIALLED = frozenset({"postgres", "cockroachdb", "mysql", "sqlserver", "cassandra", "clickhouse", "oracle"})
"""Protocols whose `uri` is `host:port`."""


class DbTls(Struct, frozen=True, kw_only=True):
    """How the database's own certificate is checked."""

    mode: Literal["verify-full", "verify-ca", "insecure"] = "verify-full"
    ca_cert: str = ""
    """PEM; empty: the cluster's authority `db`."""
    server_name: str = ""
    trust_system_cert_pool: Switch = Switch(False)


class MySql(Struct, frozen=True, kw_only=True):
    """What only MySQL has."""

    server_version: str = ""


class AdminUser(Struct, frozen=True, kw_only=True):
    """The account that makes accounts."""

    name: str = ""
    default_database: str = ""


class DbSpec(Struct, frozen=True, kw_only=True):
    """Where a database is and how it is spoken to."""

    protocol: Protocol
    uri: str
    ca_cert: str = ""
    """As `tls.ca_cert`, in older documents."""
    tls: DbTls = DbTls()
    mysql: MySql | None = None
    admin_user: AdminUser | None = None
    dynamic_labels: dict[str, CommandLabel] = {}
    aws: Unacted = None
    gcp: Unacted = None
    azure: Unacted = None
    ad: Unacted = None
    mongo_atlas: Unacted = None
    oracle: Unacted = None


@kind(
    key="db",
    versions=("v3",),
    aliases=("dbs", "database", "databases"),
    selector="db_labels",
    columns=(
        NAME,
        Column("Protocol", lambda db: str(db.spec.protocol)),
        Column("URI", lambda db: str(db.spec.uri)),
        Column("Labels", lambda db: label_text(db.labels_now())),
    ),
    messages={
        "create": 'database "{name}" has been created',
        "update": 'database "{name}" has been updated',
        "delete": 'database "{name}" has been deleted',
    },
    events={
        "create": ("db.create", "TDB03I"),
        "update": ("db.update", "TDB04I"),
        "delete": ("db.delete", "TDB05I"),
    },
)
class Db(Resource[DbSpec], frozen=True, kw_only=True, tag="db"):
    """A database."""

    def check(self) -> None:
        """Raise BadParameter (KIND-*) for values out of grammar, NotSupported for unacted fields."""
        spec = self.spec
        check_later("db", spec)
        check_text("db", "spec.uri", spec.uri)
        problem = _uri_problem(spec)
        if problem:
            raise BadParameter("KIND-FIELD", kind="db", problem=f"`spec.uri` {problem}")
        for field, text in (("ca_cert", spec.ca_cert), ("tls.ca_cert", spec.tls.ca_cert)):
            if text and "-----BEGIN CERTIFICATE-----" not in text:
                raise BadParameter("KIND-FIELD", kind="db", problem=f"`spec.{field}` is not a certificate in PEM")
        if spec.tls.server_name:
            check_name("host", spec.tls.server_name)
        if spec.mysql is not None:
            check_text("db", "spec.mysql.server_version", spec.mysql.server_version)
        if spec.admin_user is not None:
            check_text("db", "spec.admin_user.name", spec.admin_user.name)
            check_text("db", "spec.admin_user.default_database", spec.admin_user.default_database)
        check_command_labels("db", spec.dynamic_labels, self.metadata.labels)

    def labels_now(self) -> Mapping[str, str]:
        """Fixed labels and the last results of commands; no name is in both."""
        return with_results(self.spec.dynamic_labels, self.metadata.labels)


def _uri_problem(spec: DbSpec) -> str:
    """Return what is wrong with where it is, or an empty text. Raises BadParameter (KIND-ADDRESS)."""
    if not spec.uri:
        return "is empty"
    if spec.protocol == "snowflake" and "snowflakecomputing.com" not in spec.uri:
        return "of Snowflake contains snowflakecomputing.com"
    if spec.protocol in _DIALLED and not parse_addr(spec.uri, 0).port:
        return f"of {spec.protocol} is `host:port`"
    return ""
