"""Output `database`: files of each format, and the database that roles do not show."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from teleport.api.bot_messages import DatabaseRoute
from teleport.base.errors import AccessDenied, NotFound, TeleportError
from teleport.bot import report
from teleport.bot.outputs.certified import NAMES
from teleport.bot.outputs.database import DatabaseService
from teleport.client import identity_file
from teleport.model.config.tbot_destinations import DirectoryDestination
from teleport.model.config.tbot_services import DatabaseOutput
from teleport.pki import codec, x509
from tests.support.bot_outputs import DATABASE_CA, Issuing, Place, generate, means
from tests.support.log_lines import said as said

EXAMPLE = SimpleNamespace(name="example")
DENIED = AccessDenied("POL-NO-VERB", denied="", reason="", hint="")


def generated(bot: Issuing, form: str = "") -> Place:
    place = Place()
    section = DatabaseOutput(
        destination=DirectoryDestination(path=place.folder), service="example", database="app", username="alice",
        format=form, roles=("machine-id-db",),  # type: ignore[arg-type]
    )  # fmt: skip
    service = DatabaseService(section, name="database-output-1", ttl=3600.0, interval=1200.0, means=means(place))
    generate(service, bot)
    return place


def name_in(certificate: bytes) -> str:
    return codec.from_x509(x509.parse(certificate)).name


def test_without_a_format_tlscert_is_for_the_database() -> None:
    bot = Issuing({"db": [EXAMPLE]})
    place = generated(bot)
    who, route = bot.asked
    assert (who.database, who.roles) == (None, ("machine-id-db",))
    assert route.database == DatabaseRoute(service="example", name="app", username="alice")
    assert route.roles == ("machine-id-db",)
    assert set(place.files) == set(NAMES)
    assert name_in(place.files["tlscert"]) == "alice"
    assert place.files["teleport-database-ca.crt"] == DATABASE_CA.encode()


def test_the_identity_file_names_the_bot_and_has_the_same_key() -> None:
    bot = Issuing({"db": [EXAMPLE]})
    files = generated(bot).files
    identity = identity_file.parse(files["identity"], "identity")
    assert name_in(identity.tls_certificate.encode()) == "bot-example"
    assert identity.key.encode() == files["key"]
    (looked,) = bot.seen
    assert looked is not None
    assert looked.identity.name == "bot-example"


FILES = {
    "tls": {"tls.crt": "CERTIFICATE", "tls.key": "KEY", "tls.cas": "CAS"},
    "mongo": {"mongo.crt": "CERTIFICATE KEY", "mongo.cas": "CAS"},
    "cockroach": {"cockroach/node.crt": "CERTIFICATE", "cockroach/node.key": "KEY", "cockroach/ca.crt": "CAS"},
}


@pytest.mark.parametrize("form", FILES)
def test_each_format_has_its_files(form: str) -> None:
    place = generated(Issuing({"db": [EXAMPLE]}), form)
    parts = {"CERTIFICATE": place.files["tlscert"], "KEY": place.files["key"], "CAS": DATABASE_CA.encode()}
    wanted = {name: b"".join(parts[word] for word in words.split()) for name, words in FILES[form].items()}
    assert {name: place.files[name] for name in wanted} == wanted
    assert set(place.files) == {*NAMES, *wanted} == set(place.names)


@pytest.mark.parametrize(
    "shown",
    [
        {"db": DENIED, "db_server": [EXAMPLE]},
        {"db": [], "db_server": [SimpleNamespace(name="example-2"), EXAMPLE]},
        {"db": [EXAMPLE], "db_server": DENIED},
    ],
)
def test_a_database_is_found_in_either_list(shown: Mapping[str, Sequence[Any] | TeleportError]) -> None:
    assert generated(Issuing(shown)).files


@pytest.mark.parametrize(
    "shown", [{}, {"db": [SimpleNamespace(name="example-2")]}, {"db": DENIED, "db_server": DENIED}]
)
def test_what_the_roles_do_not_show_is_not_there(
    shown: Mapping[str, Sequence[Any] | TeleportError], said: io.StringIO
) -> None:
    """S1-38: the first line names the destination, the second one is the cause alone."""
    bot = Issuing(shown)
    with pytest.raises(NotFound) as caught:
        generated(bot)
    error = caught.value
    assert (error.code, error.what) == ("DB-NOT-FOUND-RBAC", 'database "example" not found')
    line = 'Failed to generate impersonated certs for directory /opt/machine-id: database "example" not found'
    assert list(report.lines(error, debug=False))[:2] == [f"ERROR: {line}", 'database "example" not found']
    assert said.getvalue().count(line) == 1
    assert "resources: [db_server, db], verbs: [read, list]" in error.fix
    assert len(bot.asked) == 1, "nothing is asked for it"
