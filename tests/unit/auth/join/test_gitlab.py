"""Join method gitlab: the id token of a job, and rules with patterns."""

from __future__ import annotations

from typing import Any

import pytest

from teleport.api.join_proofs import IdToken
from tests.support.auth_cluster import CLUSTER, Cluster, run
from tests.support.issuer import Issuer
from tests.support.joiner import Shows, join, make, refused

RULES = [{"project_path": "team/*", "ref_protected": True, "user_login": "alice"}]


async def attempt(cluster: Cluster, issuer: Issuer, **changes: Any) -> Shows:
    cluster.fetch = issuer
    now = cluster.clock.now().timestamp()
    claims = {
        "aud": CLUSTER, "iat": now, "exp": now + 300, "project_path": "team/app", "ref_protected": "true",
        "user_login": "alice", "sub": "project_path:team/app:ref_type:branch:ref:main",
    }  # fmt: skip
    return Shows("gitlab", IdToken(id_token=issuer.token(**{**claims, **changes})))


@pytest.mark.parametrize(
    ("domain", "issuer"), [(None, "https://gitlab.com"), ("g.example.com", "https://g.example.com")]
)
def test_a_job_joins(domain: str | None, issuer: str) -> None:
    async def story(cluster: Cluster) -> None:
        block = {"allow": RULES, **({"domain": domain} if domain else {})}
        await make(cluster, "ci", join_method="gitlab", gitlab=block)
        assert (await join(cluster, await attempt(cluster, Issuer(issuer)), token="ci")).host_id
        (event,) = await cluster.events("instance.join")
        assert event["attributes"]["project_path"] == "team/app"

    run(story)


@pytest.mark.parametrize(
    "changes",
    [{"project_path": "other/app"}, {"ref_protected": "false"}, {"ref_protected": None}, {"user_login": "alice*"},
     {"project_path": 5}],
)  # fmt: skip
def test_jobs_that_do_not(changes: dict[str, Any]) -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster, "ci", join_method="gitlab", gitlab={"allow": RULES})
        shown = await attempt(cluster, Issuer("https://gitlab.com"), **changes)
        assert (await refused(cluster, shown, token="ci")).code == "AUTH-JOIN-RULES"

    run(story)
