"""How outputs are made: each section has its service, with the name, interval and destination that it says."""

from __future__ import annotations

from teleport.base.clock import ManualClock
from teleport.base.disk import MemoryDisk
from teleport.base.entropy import SeededEntropy
from teleport.bot.outputs.application import ApplicationService
from teleport.bot.outputs.database import DatabaseService
from teleport.bot.outputs.identity import IdentityService
from teleport.bot.outputs.kubernetes import KubernetesService
from teleport.bot.outputs.kubernetes_v2 import KubernetesV2Service
from teleport.bot.services import Means, make
from teleport.model.config.tbot_destinations import MemoryDestination
from teleport.model.config.tbot_services import (
    ApplicationOutput,
    DatabaseOutput,
    IdentityOutput,
    KubernetesOutput,
    KubernetesV2Output,
)
from tests.support import authorities
from tests.support.bot_outputs import Place

HERE = MemoryDestination()


def test_each_section_has_its_service() -> None:
    asked: list[object] = []

    def destination(section: object) -> Place:
        asked.append(section)
        return Place()

    means = Means(
        clock=ManualClock(authorities.NOW), entropy=SeededEntropy(1), environment={}, disk=MemoryDisk(),
        destination=destination, tbot="/usr/bin/tbot", ttl=3600.0, interval=1200.0,
    )  # fmt: skip
    sections = (
        IdentityOutput(destination=HERE, name="a"),
        ApplicationOutput(destination=HERE, name="b", app_name="grafana"),
        DatabaseOutput(destination=HERE, name="c", service="example"),
        KubernetesOutput(destination=HERE, name="d", kubernetes_cluster="prod"),
        KubernetesV2Output(destination=HERE, name="e"),
    )
    made = make(sections, means)
    kinds = (IdentityService, ApplicationService, DatabaseService, KubernetesService, KubernetesV2Service)
    assert tuple(type(service) for service in made) == kinds
    assert [(service.name, service.interval, service.runs_once) for service in made] == [
        (name, 1200.0, True) for name in "abcde"
    ]
    assert asked == [HERE] * 5
