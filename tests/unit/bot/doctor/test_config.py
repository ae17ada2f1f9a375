"""Folders that a configuration must not name, as they are on this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from teleport.bot.destinations import make
from teleport.bot.doctor import config
from teleport.client.doctor.report import Finding
from teleport.model.config.tbot_destinations import DirectoryDestination
from teleport.model.config.tbot_services import IdentityOutput
from teleport.model.config.tbot_yaml import Loaded, TbotYaml


def found(storage: Path, out: Path) -> str | Finding:
    """Return what is found of a bot with one output."""
    places = [DirectoryDestination(path=str(path)) for path in (storage, out)]
    said = TbotYaml(storage=places[0], services=(IdentityOutput(destination=places[1]),))
    case: Any = SimpleNamespace(
        loaded=Loaded(said, (), "v2"), sections=[(said.services[0], said.names[0])], destination=make
    )  # fmt: skip
    return asyncio.run(config.run(case))


def test_a_destination_that_is_a_link_to_the_storage(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("storage")
    said = found(tmp_path / "storage", tmp_path / "link")
    assert isinstance(said, Finding)
    assert (said.code, said.state) == ("OUT-SHARED-DEST", "fail")
    assert f"file://{tmp_path}/storage" in said.cause


def test_a_destination_that_is_the_storage_of_another_bot(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert found(tmp_path / "storage", out) == "version v2, 1 services"
    (out / "tokenhash").touch()
    said = found(tmp_path / "storage", out)
    assert isinstance(said, Finding)
    assert (said.code, said.state) == ("DEST-STORAGE", "fail")
    assert str(out) in said.evidence
    assert said.fix
