"""Join states: whom and which join they tell of, and what of them is compared."""

from __future__ import annotations

import msgspec
import pytest

from teleport.auth.join.join_state import JoinState, StateKeeper
from teleport.pki import jws
from tests.support.auth_cluster import CLUSTER, Cluster, run

HOST = JoinState(host_id="h1", recovery_sequence=2)
BOT = JoinState(bot_name="example", bot_instance_id="i1", recovery_sequence=2)


def keeper(cluster: Cluster, name: str = CLUSTER) -> StateKeeper:
    return StateKeeper(cluster.service.authorities, cluster.signer, cluster.clock, name)


@pytest.mark.parametrize(("state", "subject"), [(HOST, "h1"), (BOT, "example")])
def test_what_was_signed_is_what_was_meant(state: JoinState, subject: str) -> None:
    async def story(cluster: Cluster) -> None:
        states = keeper(cluster)
        text = await states.sign(state)
        claims = jws.read(text).claims
        assert (claims["sub"], claims["iss"], "exp" in claims) == (subject, CLUSTER, False)
        assert await states.problem(text, state) == ""
        later = msgspec.structs.replace(state, recovery_sequence=3)
        assert await states.problem(text, later) == "recovery counter mismatch"
        assert await states.problem("", state) == "previous join state is required but was not provided"
        assert await keeper(cluster, "other").problem(text, state) == "join state could not be verified"

    run(story)


def test_whom_it_is_about() -> None:
    async def story(cluster: Cluster) -> None:
        states = keeper(cluster)
        other = msgspec.structs.replace(BOT, bot_instance_id="i2")
        assert await states.problem(await states.sign(other), BOT) == "bot instance mismatch"
        assert await states.problem(await states.sign(HOST), BOT) == "bot instance mismatch"
        host = msgspec.structs.replace(HOST, host_id="h2")
        assert await states.problem(await states.sign(host), HOST) == "host id mismatch"

    run(story)
