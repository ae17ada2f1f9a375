"""Proofs that somebody else signed: where each method finds its token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest

from teleport.api.join_messages import SUITE, Accepted
from teleport.api.join_proofs import IdToken, read
from teleport.base.disk import MemoryDisk
from teleport.base.errors import TeleportError, Unavailable
from teleport.client.joining import id_token
from teleport.client.joining.id_token import IdTokenMethod
from teleport.net.fetch import Answer

HERE = Accepted(join_method="x", suite=SUITE, cluster="my cluster")


class Web:
    """Answers every request alike, and keeps what was asked."""

    def __init__(self, body: bytes = b"", status: int = 200) -> None:
        self.answer = Answer(status, body)
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    async def __call__(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        self.asked.append((url, headers or {}))
        if self.answer.status == 0:
            raise Unavailable("NET-FETCH", url=url, problem="nobody is there")
        return self.answer


def proof(method: IdTokenMethod) -> str:
    return read(asyncio.run(method.first(HERE)), IdToken).id_token


def refused(method: IdTokenMethod) -> str:
    with pytest.raises(TeleportError) as caught:
        proof(method)
    assert caught.value.code == "CLIENT-JOIN-PROOF"
    return caught.value.what


RUN = {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://gh/token?v=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "bearer"}


def test_github() -> None:
    web = Web(json.dumps({"value": "jwt", "count": 1}).encode())
    assert proof(id_token.github(RUN, web)) == "jwt"
    ((url, headers),) = web.asked
    assert url == "https://gh/token?v=1&audience=my%20cluster"
    assert headers["Authorization"] == "Bearer bearer"
    assert "id-token: write" in refused(id_token.github({}, web))
    assert "did not answer with a token" in refused(id_token.github(RUN, Web(b"{}")))
    assert "status 403 of https://gh/token" in refused(id_token.github(RUN, Web(status=403)))
    assert "nobody is there" in refused(id_token.github(RUN, Web(status=0)))


def test_gitlab() -> None:
    assert proof(id_token.gitlab({"TBOT_GITLAB_JWT": "jwt"})) == "jwt"
    assert "TBOT_GITLAB_JWT is not set" in refused(id_token.gitlab({}))


def test_kubernetes() -> None:
    disk = MemoryDisk()
    disk.make_dir("/var/run/secrets/kubernetes.io/serviceaccount")
    assert "does not exist" in refused(id_token.kubernetes({}, disk))
    disk.write(id_token.KUBERNETES_TOKEN, b"usual\n")
    disk.write("/var/run/other", b"other")
    assert proof(id_token.kubernetes({}, disk)) == "usual"
    assert proof(id_token.kubernetes({"KUBERNETES_TOKEN_PATH": "/var/run/other"}, disk)) == "other"


def test_gcp() -> None:
    web = Web(b"jwt\n")
    assert proof(id_token.gcp(web, "http://here")) == "jwt"
    ((url, headers),) = web.asked
    assert url.startswith("http://here/computeMetadata/v1/instance/service-accounts/default/identity?")
    assert "audience=teleport.cluster.local" in url
    assert headers == {"Metadata-Flavor": "Google"}


def test_nothing_else_is_answered() -> None:
    with pytest.raises(TeleportError) as caught:
        asyncio.run(id_token.gitlab({}).solve(b"{}"))
    assert caught.value.code == "CLIENT-JOIN-CHALLENGE"
