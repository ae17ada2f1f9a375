"""The setting of how long connections may be silent."""

from __future__ import annotations

import pytest

from teleport.auth import networking_config
from teleport.base import errors
from teleport.base.struct import Duration
from teleport.model.kinds.cluster_networking_config import ClusterNetworkingConfig, ClusterNetworkingConfigSpec
from tests.support.auth_cluster import Cluster, document_of, run

KIND = networking_config.KIND
FILE = ClusterNetworkingConfigSpec(client_idle_timeout=Duration(600))


async def setting(cluster: Cluster) -> tuple[float, str]:
    found = await cluster.admin.get(KIND, "")
    assert isinstance(found, ClusterNetworkingConfig)
    return float(found.spec.client_idle_timeout), found.metadata.labels["teleport.dev/origin"]


def test_a_first_start_makes_it_and_later_ones_keep_it() -> None:
    async def story(cluster: Cluster) -> None:
        assert await setting(cluster) == (0.0, "defaults")
        await cluster.admin.upsert(document_of(KIND, "", {"client_idle_timeout": "1m"}))
        assert await setting(cluster) == (60.0, "dynamic")
        await networking_config.ensure(cluster.service.store, None)
        assert await setting(cluster) == (60.0, "dynamic")
        (event,) = await cluster.events("cluster_networking_config.update")
        assert event["code"] == "TCNET002I"

    run(story)


def test_the_configuration_file_wins_while_it_says_something() -> None:
    async def story(cluster: Cluster) -> None:
        await networking_config.ensure(cluster.service.store, FILE)
        assert await setting(cluster) == (600.0, "config-file")
        with pytest.raises(errors.BadParameter, match="static configuration"):
            await cluster.admin.upsert(document_of(KIND, "", {"client_idle_timeout": "1m"}))
        await networking_config.ensure(cluster.service.store, None)
        assert await setting(cluster) == (600.0, "dynamic")
        await cluster.admin.upsert(document_of(KIND, "", {"client_idle_timeout": "1m"}))
        assert await setting(cluster) == (60.0, "dynamic")

    run(story)


@pytest.mark.parametrize(
    "spec", [{"client_idle_timeout": -1}, {"keep_alive_interval": -1}, {"keep_alive_count_max": 0}]
)  # fmt: skip
def test_numbers_that_mean_nothing_are_refused(spec: dict[str, int]) -> None:
    async def story(cluster: Cluster) -> None:
        with pytest.raises(errors.BadParameter):
            await cluster.admin.upsert(document_of(KIND, "", spec))

    run(story)
