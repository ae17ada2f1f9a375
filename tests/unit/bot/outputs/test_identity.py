"""Output `identity`: for which cluster it is."""

from __future__ import annotations

import pytest

from teleport.base.errors import NotSupported
from teleport.bot.outputs.identity import IdentityService
from teleport.model.config.section import OFF
from teleport.model.config.tbot_destinations import DirectoryDestination
from teleport.model.config.tbot_services import IdentityOutput
from tests.support.bot_outputs import Issuing, Place, generate, means


def service(place: Place, cluster: str) -> IdentityService:
    section = IdentityOutput(destination=DirectoryDestination(path=place.folder), cluster=cluster, ssh_config=OFF)
    return IdentityService(section, name="one", ttl=3600.0, interval=1200.0, means=means(place))


@pytest.mark.parametrize("cluster", ["", "example.com"])
def test_the_own_cluster_may_be_named(cluster: str) -> None:
    place = Place()
    generate(service(place, cluster), Issuing())
    assert "identity" in place.files


def test_another_cluster_is_refused_and_nothing_is_asked_for() -> None:
    place, bot = Place(), Issuing()
    with pytest.raises(NotSupported) as caught:
        generate(service(place, "leaf.example.com"), bot)
    assert (caught.value.code, place.files, bot.asked) == ("BOT-OTHER-CLUSTER", {}, [])
    assert "of the cluster leaf.example.com, and the bot is in example.com" in caught.value.what
