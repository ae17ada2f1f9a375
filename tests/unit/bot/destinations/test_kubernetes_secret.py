"""Secrets as destinations, in a real API server."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from teleport.base.disk import SystemDisk
from teleport.base.errors import (
    AccessDenied,
    BadParameter,
    CompareFailed,
    NotAuthenticated,
    NotFound,
    TeleportError,
    Unavailable,
)
from teleport.bot.destinations import hold, make, shared_storage
from teleport.bot.destinations.kubeconfig import Account
from teleport.bot.destinations.kubernetes_secret import KubernetesSecret
from teleport.bot.parts import Destination
from teleport.bot.storage import FILES as OF_STORAGE
from teleport.model.config.tbot_destinations import KubernetesSecretDestination
from teleport.net.fetch import Answer, Fetch
from tests.support.kubernetes import ApiServer, Namespace, api_server, kubeconfig
from tests.support.ports import free_ports
from tests.support.processes import wait_for
from tests.support.tls import authority

FILES = {"key": b"a key", "kubeconfig.yaml": b"\0\xff binary", "cockroach/node.key": b"a key below"}
VERBS = "get,create,update"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory) as running:
        yield running


@pytest.fixture(scope="module")
def space(api: ApiServer) -> Namespace:
    made = api.namespace()
    made.allow("writer", VERBS, "secrets")
    return made


@pytest.fixture(scope="module")
def path(space: Namespace, tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(space.kubeconfig(tmp_path_factory.mktemp("kube"), "writer"))


def secret(name: str, path: str, **fields: Any) -> Destination:
    return make(KubernetesSecretDestination(name=name, kubeconfig_path=path, **fields))


def write(place: Destination, files: dict[str, bytes]) -> None:
    asyncio.run(place.write(files))


def test_nothing_is_written_where_a_bot_keeps_itself(space: Namespace, path: str) -> None:
    place = secret("storage", path)
    asyncio.run(place.prepare(OF_STORAGE))
    write(place, {"tokenhash": b"", "key": b"its own"})
    asyncio.run(place.prepare(OF_STORAGE))
    with pytest.raises(BadParameter) as caught:
        asyncio.run(place.prepare(["key"]))
    assert (caught.value.code, "kubernetes_secret: storage" in caught.value.what) == ("DEST-STORAGE", True)


def test_a_secret_is_made_and_its_keys_replaced(space: Namespace, path: str) -> None:
    """S1-49: the Secret of a destination is written, and holds the files."""
    place = secret("identity-output", path, labels={"app": "robot"})
    assert (str(place), place.folder) == ("kubernetes_secret: identity-output", "")
    asyncio.run(place.prepare(list(FILES)))
    assert asyncio.run(place.read("key")) is None
    asyncio.run(place.check())
    write(place, FILES)
    write(place, {"key": b"another key"})
    expected = {"key": b"another key", "kubeconfig.yaml": b"\0\xff binary", "cockroach.node.key": b"a key below"}
    assert space.secret("identity-output") == expected | {".write-test": b""}
    assert asyncio.run(place.read("cockroach/node.key")) == b"a key below"
    assert asyncio.run(place.read("none")) is None
    made = space.api.call("GET", space.path("secrets", "identity-output"))
    assert made["metadata"]["labels"] == {"app": "robot"}
    assert made["type"] == "Opaque"
    shown = space.api.kubectl("get", "secret", "identity-output", "-n", space.name, "-o", "jsonpath={.data.key}")
    assert base64.b64decode(shown) == b"another key"


def test_what_others_have_put_there_stays(space: Namespace, path: str) -> None:
    metadata = {"name": "shared", "labels": {"team": "a"}, "annotations": {"note": "kept"}}
    theirs = {"data": {"theirs": base64.b64encode(b"x").decode()}, "metadata": metadata, "type": "example.com/own"}
    space.api.call("POST", space.path("secrets"), theirs)
    write(secret("shared", path, labels={"app": "robot"}), {"key": b"k"})
    assert space.secret("shared") == {"theirs": b"x", "key": b"k"}
    found = space.api.call("GET", space.path("secrets", "shared"))
    assert found["metadata"]["labels"] == {"team": "a", "app": "robot"}
    assert found["metadata"]["annotations"] == {"note": "kept"}
    assert found["type"] == "example.com/own"


def test_writers_at_the_same_time_lose_nothing(space: Namespace, path: str) -> None:
    async def story() -> None:
        await asyncio.gather(*(secret("busy", path).write({f"key-{n}": b"%d" % n}) for n in range(5)))

    asyncio.run(story())
    assert space.secret("busy") == {f"key-{n}": b"%d" % n for n in range(5)}


def test_the_namespace_comes_from_the_section_the_pod_or_the_context(
    api: ApiServer, space: Namespace, tmp_path: Path
) -> None:
    other = api.namespace()
    other.allow("writer", VERBS, "secrets")
    path = str(other.kubeconfig(tmp_path, "writer"))
    section = KubernetesSecretDestination(name="s", kubeconfig_path=path, namespace=other.name)
    elsewhere = {"POD_NAMESPACE": space.name}
    write(make(section, environment=elsewhere), {"key": b"1"})
    assert other.secret("s") == {"key": b"1"}
    with pytest.raises(AccessDenied, match=f'in the namespace "{space.name}"'):
        write(make(KubernetesSecretDestination(name="s", kubeconfig_path=path), environment=elsewhere), {"key": b"2"})
    write(make(KubernetesSecretDestination(name="s"), environment={"KUBECONFIG": path}), {"key": b"3"})
    assert other.secret("s") == {"key": b"3"}
    (tmp_path / "none.yaml").write_text(kubeconfig(api.url, api.ca, {"token": "t"}, ""))
    with pytest.raises(BadParameter, match="is in no namespace"):
        write(secret("s", str(tmp_path / "none.yaml")), {})


def test_in_a_pod_the_account_of_the_pod_is_used_and_read_each_time(space: Namespace, tmp_path: Path) -> None:
    host, port = space.api.url.removeprefix("https://").rsplit(":", 1)
    environment = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    (tmp_path / "ca.crt").write_text(space.api.ca)
    (tmp_path / "token").write_text("expired")
    (tmp_path / "namespace").write_text(space.name)
    section = KubernetesSecretDestination(name="pod")
    place = KubernetesSecret(section, environment, disk=SystemDisk(), pod=str(tmp_path))
    with pytest.raises(NotAuthenticated, match="does not know who tbot is"):
        write(place, {"key": b"1"})
    (tmp_path / "token").write_text(space.token("writer") + "\n")
    write(place, {"key": b"1"})
    assert space.secret("pod") == {"key": b"1"}
    with pytest.raises(NotFound, match="no API server of Kubernetes to ask"):
        write(make(section), {})


def test_a_client_certificate(space: Namespace, tmp_path: Path) -> None:
    pem = space.api.certificate("bob")
    space.allow("bob", VERBS, "secrets", user="bob")
    (tmp_path / "bob.pem").write_text(pem)
    inline = base64.b64encode(pem.encode()).decode()
    for user in (
        {"client-certificate": "bob.pem", "client-key": "bob.pem"},
        {"client-certificate-data": inline, "client-key-data": inline},
    ):
        place = secret("by-certificate", str(space.kubeconfig(tmp_path, "writer", **user)))
        write(place, {"key": b"1"})
    assert space.secret("by-certificate") == {"key": b"1"}


# Refusals


def failure(place: Destination, files: dict[str, bytes]) -> TeleportError:
    with pytest.raises(TeleportError) as caught:
        write(place, files)
    assert caught.value.why
    assert caught.value.fix
    return caught.value


def test_missing_rights_are_told_with_the_rule_that_is_missing(api: ApiServer, tmp_path: Path) -> None:
    own = api.namespace()
    own.allow("reader", "list", "pods")
    path = str(own.kubeconfig(tmp_path, "reader"))
    denied = failure(secret("output", path), FILES)
    assert denied.code == "KUBE-DENIED"
    assert f'User "system:serviceaccount:{own.name}:reader" cannot get resource "secrets"' in denied.what
    assert "resources: [secrets], resourceNames: [output], verbs: [get, update]" in denied.fix
    with pytest.raises(AccessDenied) as caught:
        asyncio.run(secret("output", path).check())
    assert caught.value.what == "Cannot write to destination kubernetes_secret: output, aborting."
    assert "cannot get resource" in caught.value.why
    # What the error says to run is enough.
    create, bind = denied.fix.split("; as YAML")[0].split(", and bind it: ")
    for line in (create, bind.replace(":NAME", ":reader")):
        api.kubectl(*line.split()[1:])
    wait_for("the role in force", lambda: written(secret("output", path)), seconds=60)
    assert set(own.secret("output") or {}) == {"key"}


def written(place: Destination) -> bool:
    """Write; say whether it was allowed: roles come into force a moment after they were made."""
    try:
        write(place, {"key": b"x"})
    except AccessDenied:
        return False
    return True


def test_a_namespace_that_is_not_there(api: ApiServer, tmp_path: Path) -> None:
    path = tmp_path / "admin.yaml"
    path.write_text(kubeconfig(api.url, api.ca, {"token": api._token}, "nowhere"))
    error = failure(secret("output", str(path)), FILES)
    assert error.what == "no namespace nowhere for the destination kubernetes_secret: output"
    assert error.fix.startswith("kubectl create namespace nowhere")


def test_what_the_server_does_not_take(space: Namespace, path: str) -> None:
    immutable = {"metadata": {"name": "fixed"}, "immutable": True, "data": {}}
    space.api.call("POST", space.path("secrets"), immutable)
    error = failure(secret("fixed", path), {"key": b"very secret"})
    assert error.code == "KUBE-REFUSED"
    assert "immutable" in error.what
    assert base64.b64encode(b"very secret").decode() not in error.what
    assert failure(secret("Not A Name", path), FILES).code == "KUBE-REFUSED"


def test_a_server_that_is_away_or_somebody_else(space: Namespace, tmp_path: Path) -> None:
    (tmp_path / "away.yaml").write_text(
        kubeconfig(f"https://localhost:{free_ports(1)[0]}", space.api.ca, {"token": "t"})
    )
    assert failure(secret("s", str(tmp_path / "away.yaml")), FILES).code == "KUBE-UNREACHABLE"
    (tmp_path / "other.yaml").write_text(kubeconfig(space.api.url, authority().pem, {"token": "t"}))
    error = failure(secret("s", str(tmp_path / "other.yaml")), FILES)
    assert "certificate" in error.what
    text = kubeconfig(space.api.url.replace("localhost", "127.0.0.1"), space.api.ca, {"token": space.token("writer")})
    for more, works in ((None, False), ("tls-server-name: localhost", True), ("insecure-skip-tls-verify: true", True)):
        changed = text.replace("server:", f"{more}\n    server:") if more else text
        (tmp_path / "number.yaml").write_text(changed)
        place = secret("by-number", str(tmp_path / "number.yaml"), namespace=space.name)
        if works:
            write(place, {"key": b"1"})
        else:
            assert "certificate" in failure(place, {}).what


@pytest.mark.parametrize("names", [["a+b"], ["a/b", "a.b"], ["../x"], ["ü"]])
def test_names_that_cannot_be_keys(names: list[str], space: Namespace, path: str) -> None:
    with pytest.raises(BadParameter, match="cannot be"):
        asyncio.run(secret("s", path).prepare(names))
    with pytest.raises(BadParameter, match="cannot be"):
        write(secret("s", path), dict.fromkeys(names, b""))


def test_a_secret_has_no_lock(path: str) -> None:
    hold(secret("s", path), host="h").release()
    assert shared_storage(secret("s", path)) is None


# A server that behaves as one that is hard to have


def against(answers: list[Answer], path: str) -> tuple[KubernetesSecret, list[str]]:
    asked: list[str] = []

    async def fetch(url: str, *, method: str = "GET", **_: Any) -> Answer:
        asked.append(method)
        return answers[min(len(asked), len(answers)) - 1]

    def make_fetch(_: Account) -> Fetch:
        return fetch

    section = KubernetesSecretDestination(name="s", kubeconfig_path=path)
    return KubernetesSecret(section, {}, disk=SystemDisk(), fetch=make_fetch), asked


def answer(status: int, body: object) -> Answer:
    return Answer(status, json.dumps(body).encode() if not isinstance(body, bytes) else body)


def test_somebody_else_who_writes_all_the_time(path: str) -> None:
    found, conflict = answer(200, {"metadata": {}, "data": None}), answer(409, {"message": "object has been modified"})
    place, asked = against([found, conflict] * 10, path)
    with pytest.raises(CompareFailed, match="was changed by somebody else 10 times"):
        write(place, FILES)
    assert asked == ["GET", "PUT"] * 10


def test_a_secret_that_is_removed_between_is_made_again(path: str) -> None:
    found, gone, made = answer(200, {"metadata": {}}), answer(404, {"message": "gone"}), answer(201, {})
    place, asked = against([found, gone, gone, answer(409, {}), found, made], path)
    write(place, FILES)
    assert asked == ["GET", "PUT", "GET", "POST", "GET", "PUT"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (answer(503, b"<html>"), "503: it says no reason"),
        (answer(429, {"message": "slow down"}), "429: slow down"),
        (answer(200, b"<html>"), "something else than JSON"),
        (answer(200, []), "something else than JSON"),
    ],
)
def test_a_server_in_trouble(given: Answer, said: str, path: str) -> None:
    place, _ = against([given], path)
    with pytest.raises(Unavailable, match=said):
        asyncio.run(place.prepare(["key"]))
