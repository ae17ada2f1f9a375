"""Join method kubernetes: projected tokens of pods, and tokens that the API server examines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from teleport.api.join_proofs import IdToken
from teleport.auth.join.token_review import ACCOUNT, Reviewer
from teleport.base.disk import MemoryDisk
from teleport.base.errors import Unavailable
from teleport.net.fetch import Answer
from tests.support.auth_cluster import CLUSTER, Cluster, run
from tests.support.issuer import Issuer
from tests.support.joiner import Shows, join, make, refused

SERVER = Issuer("https://kubernetes.default.svc")
RULES = [{"service_account": "prod:agent"}]
STATIC = {"type": "static_jwks", "static_jwks": {"jwks": SERVER.jwks}, "allow": RULES}
POD = {"namespace": "prod", "pod": {"name": "agent-0", "uid": "1"}}


def pod(cluster: Cluster, issuer: Issuer = SERVER, **changes: Any) -> Shows:
    now = cluster.clock.now().timestamp()
    claims = {
        "aud": [CLUSTER], "iat": now, "exp": now + 600, "sub": "system:serviceaccount:prod:agent", "kubernetes.io": POD
    }  # fmt: skip
    return Shows("kubernetes", IdToken(id_token=issuer.token(**{**claims, **changes})))


def test_a_pod_joins_with_keys_that_the_token_has() -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster, "pods", join_method="kubernetes", kubernetes=STATIC)
        assert (await join(cluster, pod(cluster), token="pods")).host_id
        (event,) = await cluster.events("instance.join")
        assert event["attributes"] == {"type": "static_jwks", "service_account": "prod:agent"}

    run(story)


def test_a_pod_joins_with_keys_that_are_published() -> None:
    async def story(cluster: Cluster) -> None:
        issuer = Issuer("https://oidc.example.com/id/1")
        cluster.fetch = issuer
        block = {"type": "oidc", "oidc": {"issuer": issuer.url}, "allow": RULES}
        await make(cluster, "pods", join_method="kubernetes", kubernetes=block)
        assert (await join(cluster, pod(cluster, issuer), token="pods")).host_id
        assert (await refused(cluster, pod(cluster, SERVER), token="pods")).code == "AUTH-JOIN-PROOF"

    run(story)


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"sub": "system:serviceaccount:prod:other"}, "AUTH-JOIN-RULES", "prod:other"),
        ({"sub": "system:serviceaccount:dev:agent"}, "AUTH-JOIN-RULES", "dev:agent"),
        ({"sub": "alice"}, "AUTH-JOIN-PROOF", "not of a service account"), ({"sub": 5}, "AUTH-JOIN-PROOF", ""),
        ({"kubernetes.io": {}}, "AUTH-JOIN-PROOF", "projected"), ({"kubernetes.io": 1}, "AUTH-JOIN-PROOF", "projected"),
        ({"exp": 9e11}, "AUTH-JOIN-PROOF", "valid for longer"), ({"iat": None}, "AUTH-JOIN-PROOF", "valid for longer"),
        ({"aud": ["https://kubernetes.default.svc"]}, "AUTH-JOIN-PROOF", "audience"),
    ],
)  # fmt: skip
def test_pods_that_do_not(changes: dict[str, Any], code: str, words: str) -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster, "pods", join_method="kubernetes", kubernetes=STATIC)
        error = await refused(cluster, pod(cluster, **changes), token="pods")
        assert (error.code, words in error.what) == (code, True), error.what

    run(story)


class ApiServer:
    """Answers TokenReviews."""

    def __init__(self, status: int = 201, body: Any = None) -> None:
        self.status = status
        self.body = body
        self.asked: list[tuple[str, Mapping[str, str] | None, Any]] = []

    async def __call__(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        self.asked.append((url, headers, json.loads(body)))
        if self.status == 0:
            raise Unavailable("NET-FETCH", url=url, problem="nobody is there")
        return Answer(self.status, json.dumps(self.body).encode())


def reviewer(server: ApiServer) -> Reviewer:
    disk = MemoryDisk()
    disk.make_dir(ACCOUNT)
    disk.write(f"{ACCOUNT}/token", b"own-token\n")
    disk.write(f"{ACCOUNT}/ca.crt", b"PEM")
    return Reviewer("10.0.0.1:443", disk, lambda authority: {"PEM": server}[authority])


def known(user: str, authenticated: bool = True) -> dict[str, Any]:
    return {"status": {"authenticated": authenticated, "user": {"username": user}}}


def test_the_api_server_examines_the_token() -> None:
    async def story(cluster: Cluster) -> None:
        server = ApiServer(body=known("system:serviceaccount:prod:agent"))
        cluster.reviewer = reviewer(server)
        await cluster.restart()
        await make(cluster, "pods", join_method="kubernetes", kubernetes={"allow": RULES})
        shown = Shows("kubernetes", IdToken(id_token="pod-token"))
        assert (await join(cluster, shown, token="pods")).host_id
        ((url, headers, asked),) = server.asked
        assert url == "https://10.0.0.1:443/apis/authentication.k8s.io/v1/tokenreviews"
        assert (headers or {})["Authorization"] == "Bearer own-token"
        assert asked["spec"] == {"token": "pod-token"}
        for status, body, code in (
            (201, known("system:serviceaccount:prod:agent", False), "AUTH-JOIN-PROOF"),
            (201, known("system:serviceaccount:dev:agent"), "AUTH-JOIN-RULES"), (201, known("root"), "AUTH-JOIN-PROOF"),
            (403, {}, "AUTH-JOIN-REVIEW"), (201, {}, "AUTH-JOIN-REVIEW"), (0, {}, "AUTH-JOIN-REVIEW"),
        ):  # fmt: skip
            server.status, server.body = status, body
            assert (await refused(cluster, shown, token="pods")).code == code

    run(story)


def test_outside_of_kubernetes_nobody_examines_it() -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster, "pods", join_method="kubernetes", kubernetes={"allow": RULES})
        shown = Shows("kubernetes", IdToken(id_token="pod-token"))
        assert (await refused(cluster, shown, token="pods")).code == "AUTH-JOIN-IN-CLUSTER"

    run(story)
