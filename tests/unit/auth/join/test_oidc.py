"""Keys of issuers: fetched when needed, kept, fetched again when one is not known, and not believed blindly."""

from __future__ import annotations

import datetime as dt

from cryptography.hazmat.primitives.asymmetric import ed25519

from teleport.model.token_methods.github import PUBLIC_ISSUER
from tests.support.auth_cluster import Cluster, run
from tests.support.issuer import Issuer
from tests.support.joiner import join, refused
from tests.unit.auth.join.test_github import run_of, stage


def test_keys_are_kept_for_minutes() -> None:
    async def story(cluster: Cluster) -> None:
        issuer = Issuer(PUBLIC_ISSUER)
        await stage(cluster, issuer)
        for _ in range(3):
            await join(cluster, run_of(cluster, issuer), token="ci")
        assert len(issuer.asked) == 2
        cluster.clock.advance(dt.timedelta(minutes=11))
        await join(cluster, run_of(cluster, issuer), token="ci")
        assert len(issuer.asked) == 4

    run(story)


def test_a_new_key_is_looked_for_but_not_all_the_time() -> None:
    async def story(cluster: Cluster) -> None:
        issuer = Issuer(PUBLIC_ISSUER)
        await stage(cluster, issuer)
        await join(cluster, run_of(cluster, issuer), token="ci")
        issuer.key, issuer.kid = ed25519.Ed25519PrivateKey.generate(), "k2"
        token = {"algorithm": "EdDSA"}
        assert (await refused(cluster, run_of(cluster, issuer, **token), token="ci")).code == "AUTH-JOIN-PROOF"
        assert len(issuer.asked) == 2
        cluster.clock.advance(dt.timedelta(seconds=31))
        assert (await join(cluster, run_of(cluster, issuer, **token), token="ci")).host_id
        assert len(issuer.asked) == 4

    run(story)


def test_an_issuer_that_says_it_is_another_is_not_believed() -> None:
    async def story(cluster: Cluster) -> None:
        issuer = Issuer(PUBLIC_ISSUER)
        await stage(cluster, issuer)
        for told in (
            {"issuer": "https://evil.example.com", "jwks_uri": f"{PUBLIC_ISSUER}/keys"},
            {"issuer": PUBLIC_ISSUER, "jwks_uri": "https://elsewhere.example.com/keys"}, {"issuer": PUBLIC_ISSUER}, {},
        ):  # fmt: skip
            issuer.claims_of_discovery = dict(told)
            assert (await refused(cluster, run_of(cluster, issuer), token="ci")).code == "AUTH-JOIN-PROOF"
        issuer.status = 500
        assert "status 500" in (await refused(cluster, run_of(cluster, issuer), token="ci")).what

    run(story)


def test_nothing_is_fetched_for_a_token_of_another() -> None:
    async def story(cluster: Cluster) -> None:
        issuer = Issuer(PUBLIC_ISSUER)
        await stage(cluster, issuer)
        await refused(cluster, run_of(cluster, issuer, iss="https://evil.example.com"), token="ci")
        assert issuer.asked == []

    run(story)
