"""Join method github: the token of a run, its issuer, and the rules."""

from __future__ import annotations

from typing import Any

import pytest

from teleport.api.join_proofs import IdToken
from teleport.model.token_methods.github import PUBLIC_ISSUER
from teleport.pki import codec, x509
from tests.support.auth_cluster import CLUSTER, Cluster, run
from tests.support.issuer import Issuer
from tests.support.joiner import Shows, join, make, refused

RULES = [{"repository": "o/r", "ref": "refs/heads/main"}, {"sub": "exact"}]


def claims(cluster: Cluster, **changes: Any) -> dict[str, Any]:
    now = cluster.clock.now().timestamp()
    usual = {
        "aud": CLUSTER, "iat": now, "nbf": now, "exp": now + 300, "sub": "repo:o/r:ref:refs/heads/main",
        "repository": "o/r", "repository_owner": "o", "ref": "refs/heads/main", "actor": "alice",
    }  # fmt: skip
    return {**usual, **changes}


async def stage(cluster: Cluster, issuer: Issuer, **block: Any) -> None:
    cluster.fetch = issuer
    await make(cluster, "ci", join_method="github", github={"allow": RULES, **block})


def run_of(cluster: Cluster, issuer: Issuer, **changes: Any) -> Shows:
    return Shows("github", IdToken(id_token=issuer.token(**claims(cluster, **changes))))


def test_a_run_joins_and_the_certificate_names_the_token() -> None:
    async def story(cluster: Cluster) -> None:
        issuer = Issuer(PUBLIC_ISSUER)
        await stage(cluster, issuer)
        joined = await join(cluster, run_of(cluster, issuer), token="ci")
        (event,) = await cluster.events("instance.join")
        assert (event["method"], event["token_name"]) == ("github", "ci")
        assert event["attributes"]["repository"] == "o/r"
        identity = codec.from_x509(x509.parse(joined.certificates.tls_certificate.encode()))
        assert identity.join_token == "ci"

    run(story)


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"repository": "o/other"}, "AUTH-JOIN-RULES", "the run of o/other did not match any allow rules in token ci"),
        ({"ref": "refs/heads/evil"}, "AUTH-JOIN-RULES", ""), ({"repository": "o/r*"}, "AUTH-JOIN-RULES", ""),
        ({"repository": ["o/r"]}, "AUTH-JOIN-RULES", ""), ({"aud": "other.example.com"}, "AUTH-JOIN-PROOF", "audience"),
        ({"iss": "https://evil.example.com"}, "AUTH-JOIN-PROOF", "issuer"), ({"exp": 1}, "AUTH-JOIN-PROOF", "expired"),
    ],
)  # fmt: skip
def test_runs_that_do_not(changes: dict[str, Any], code: str, words: str) -> None:
    async def story(cluster: Cluster) -> None:
        issuer = Issuer(PUBLIC_ISSUER)
        await stage(cluster, issuer)
        error = await refused(cluster, run_of(cluster, issuer, **changes), token="ci")
        assert (error.code, words in error.what) == (code, True), error.what

    run(story)


@pytest.mark.parametrize(
    ("block", "issuer"),
    [
        ({"enterprise_slug": "acme"}, f"{PUBLIC_ISSUER}/acme"),
        ({"enterprise_server_host": "gh.example.com"}, "https://gh.example.com/_services/token"),
    ],
)
def test_enterprises_have_issuers_of_their_own(block: dict[str, str], issuer: str) -> None:
    async def story(cluster: Cluster) -> None:
        own = Issuer(issuer)
        await stage(cluster, own, **block)
        assert (await join(cluster, run_of(cluster, own), token="ci")).host_id
        public = Issuer(PUBLIC_ISSUER)
        assert (await refused(cluster, run_of(cluster, public), token="ci")).code == "AUTH-JOIN-PROOF"

    run(story)


def test_keys_in_the_token_of_the_cluster_need_no_network() -> None:
    async def story(cluster: Cluster) -> None:
        issuer = Issuer(PUBLIC_ISSUER)
        await stage(cluster, issuer, static_jwks=issuer.jwks)
        assert (await join(cluster, run_of(cluster, issuer, sub="exact", ref=""), token="ci")).host_id
        assert issuer.asked == []
        wrong = run_of(cluster, issuer, iss="https://evil.example.com")
        assert (await refused(cluster, wrong, token="ci")).code == "AUTH-JOIN-PROOF"

    run(story)


def test_the_name_of_such_a_token_is_no_secret_that_opens_anything() -> None:
    async def story(cluster: Cluster) -> None:
        await stage(cluster, Issuer(PUBLIC_ISSUER))
        assert (await refused(cluster, Shows("token"), token="ci")).code == "AUTH-JOIN-METHOD"
        assert (await refused(cluster, Shows("", b""), token="ci", join_method="")).code == "API-JOIN-PROOF"
        assert (await refused(cluster, Shows("github", b"{}"), token="ci")).code == "API-JOIN-PROOF"

    run(story)
