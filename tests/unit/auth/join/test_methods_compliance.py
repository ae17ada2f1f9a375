"""Bots join by every method by which somebody else says who they are: one instance goes on, and a proof each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from teleport.api.caller import Caller
from teleport.api.join_messages import BOT
from teleport.api.join_proofs import IdToken
from teleport.client.joining.azure import AzureMethod
from teleport.client.joining.join import Method
from teleport.model.kinds.bot_instance import BotInstance
from teleport.model.kinds.token import BOT_METHODS, SERVED_METHODS
from tests.support.auth_cluster import CLUSTER, Cluster, run
from tests.support.azure import ROOT, SUBSCRIPTION, Cloud
from tests.support.bots import HOME, NAME, USER, Robot, identity_of, invite, make_bot
from tests.support.issuer import Issuer
from tests.support.joiner import Shows, join
from tests.support.soft_tpm import key_hash
from tests.support.soft_tpm import machine as chip
from tests.unit.auth.join import test_gcp, test_github, test_iam, test_kubernetes

Staged = tuple[dict[str, Any], Callable[[], Method]]
"""What a token says beside its method, and who shows a proof for it."""


def azure(cluster: Cluster) -> Staged:
    cloud = Cloud(cluster.clock.now())
    cluster.fetch = cloud
    cluster.environment["TELEPORT_AZURE_ROOTS"] = "/azure.pem"
    cluster.disk.write("/azure.pem", ROOT.pem.encode())
    return {"azure": {"allow": [{"subscription": SUBSCRIPTION}]}}, lambda: AzureMethod(cloud)


def gcp(cluster: Cluster) -> Staged:
    return {"gcp": {"allow": [{"project_ids": ["p1"]}]}}, lambda: test_gcp.attempt(cluster)


def github(cluster: Cluster) -> Staged:
    issuer = Issuer("https://git.example.com/_services/token")
    block = {"enterprise_server_host": "git.example.com", "static_jwks": issuer.jwks, "allow": [{"repository": "o/r"}]}
    return {"github": block}, lambda: test_github.run_of(cluster, issuer)


def gitlab(cluster: Cluster) -> Staged:
    issuer, now = Issuer("https://gitlab.com"), cluster.clock.now().timestamp()
    proof = issuer.token(aud=CLUSTER, iat=now, exp=now + 300, project_path="team/app")
    block = {"static_jwks": issuer.jwks, "allow": [{"project_path": "team/*"}]}
    return {"gitlab": block}, lambda: Shows("gitlab", IdToken(id_token=proof))


def iam(cluster: Cluster) -> Staged:
    cluster.fetch = test_iam.Sts()
    return {"allow": test_iam.RULES}, test_iam.machine


def kubernetes(cluster: Cluster) -> Staged:
    return {"kubernetes": test_kubernetes.STATIC}, lambda: test_kubernetes.pod(cluster)


def tpm(cluster: Cluster) -> Staged:
    return {"tpm": {"allow": [{"ek_public_hash": key_hash()}]}}, chip


STAGES = {stage.__name__: stage for stage in (azure, gcp, github, gitlab, iam, kubernetes, tpm)}


def test_there_is_a_story_of_each() -> None:
    """`token` and `bound_keypair`, whose bots renew by what they hold, have stories of their own."""
    assert {*STAGES, "token", "bound_keypair"} == {*BOT_METHODS} & {*SERVED_METHODS}


@pytest.mark.parametrize("method", STAGES)
def test_a_bot_joins_and_goes_on(method: str) -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        said, proof = STAGES[method](cluster)
        await invite(cluster, "machines", join_method=method, **said)
        bot = await Robot.joined(cluster, "machines", method=proof())
        first = bot.identity
        assert (first.name, first.bot_name, first.generation, first.renewable) == (USER, NAME, 1, False)
        error = await bot.refused()
        assert error.code == "AUTH-BOT-NOT-RENEWABLE"
        held = Caller(first, HOME)
        again = await join(cluster, proof(), held, token="machines", system_role=BOT)
        second = identity_of(again.certificates)
        assert (second.bot_instance_id, second.generation) == (first.bot_instance_id, 2)
        instance = await cluster.service.store.get(BotInstance, first.bot_instance_id)
        assert instance.latest.join_method == method
        assert instance.latest.attributes == instance.first.attributes != {}

    run(story)
