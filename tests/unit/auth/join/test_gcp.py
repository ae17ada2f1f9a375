"""Join method gcp: the identity token of a machine."""

from __future__ import annotations

from typing import Any

import pytest

from teleport.api.join_proofs import IdToken
from teleport.auth.join.gcp import ISSUER
from tests.support.auth_cluster import CLUSTER, Cluster, run
from tests.support.issuer import Issuer
from tests.support.joiner import Shows, join, make, refused

ENGINE = {"project_id": "p1", "zone": "europe-west3-a", "instance_name": "vm-1"}


def attempt(cluster: Cluster, engine: Any = ENGINE, **changes: Any) -> Shows:
    issuer = Issuer(ISSUER)
    cluster.fetch = issuer
    now = cluster.clock.now().timestamp()
    claims = {
        "aud": "teleport.cluster.local", "iat": now, "exp": now + 300, "email": "sa@p1.example", "email_verified": True,
        "google": {"compute_engine": engine},
    }  # fmt: skip
    return Shows("gcp", IdToken(id_token=issuer.token(**{**claims, **changes})))


@pytest.mark.parametrize(
    "more",
    [{}, {"locations": ["europe-west3"]}, {"locations": ["europe-west3-a"]}, {"service_accounts": ["sa@p1.example"]}],
)
def test_a_machine_joins(more: dict[str, Any]) -> None:
    async def story(cluster: Cluster) -> None:
        await make(cluster, "vms", join_method="gcp", gcp={"allow": [{"project_ids": ["p0", "p1"], **more}]})
        assert (await join(cluster, attempt(cluster), token="vms")).host_id
        (event,) = await cluster.events("instance.join")
        assert event["attributes"] == {"email": "sa@p1.example", **ENGINE}

    run(story)


@pytest.mark.parametrize(
    ("engine", "changes", "code"),
    [
        ({**ENGINE, "project_id": "p2"}, {}, "AUTH-JOIN-RULES"),
        ({**ENGINE, "zone": "us-east1-b"}, {}, "AUTH-JOIN-RULES"),
        (ENGINE, {"email_verified": False}, "AUTH-JOIN-RULES"), (ENGINE, {"email": "x@p1.example"}, "AUTH-JOIN-RULES"),
        ({}, {}, "AUTH-JOIN-PROOF"), (None, {}, "AUTH-JOIN-PROOF"), (ENGINE, {"google": "x"}, "AUTH-JOIN-PROOF"),
        (ENGINE, {"aud": CLUSTER}, "AUTH-JOIN-PROOF"),
    ],
)  # fmt: skip
def test_machines_that_do_not(engine: Any, changes: dict[str, Any], code: str) -> None:
    async def story(cluster: Cluster) -> None:
        rule = {"project_ids": ["p1"], "locations": ["europe-west3"], "service_accounts": ["sa@p1.example"]}
        await make(cluster, "vms", join_method="gcp", gcp={"allow": [rule]})
        assert (await refused(cluster, attempt(cluster, engine, **changes), token="vms")).code == code

    run(story)
