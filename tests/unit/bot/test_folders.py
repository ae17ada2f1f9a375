"""Folders that are one folder, however they are spelled."""

from __future__ import annotations

from pathlib import Path

import pytest

from teleport.base.errors import BadParameter
from teleport.bot import folders
from teleport.model.config.tbot_destinations import DirectoryDestination, KubernetesSecretDestination, MemoryDestination
from teleport.model.config.tbot_services import IdentityOutput
from teleport.model.config.tbot_yaml import TbotYaml


def config(storage: str, *outputs: str) -> TbotYaml:
    places = [DirectoryDestination(path=path, symlinks="insecure") for path in outputs]
    services = tuple(IdentityOutput(destination=place) for place in places)
    return TbotYaml(storage=DirectoryDestination(path=storage), services=services)


def refused(config: TbotYaml) -> BadParameter:
    with pytest.raises(BadParameter) as caught:
        folders.check(config)
    assert caught.value.code == "TBOT-IDENTICAL"
    return caught.value


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where tbot is started."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_folder_of_the_storage_is_no_destination_however_it_is_spelled(work: Path) -> None:
    """S1-50: absolute and relative, with detours, and behind a link."""
    (work / "link").symlink_to("own")
    spellings = ("own", "./own", "other/../own", f"{work}/own", f"{work}//own/", "link", f"{work}/link")
    for storage in spellings:
        for output in spellings:
            error = refused(config(storage, "out", output))
            said = f"services[1].destination: Identical destinations used within config: file://{work}/own"
            assert (error.what, error.why.split()[0]) == (said, "storage")
    assert [path.name for path in work.iterdir()] == ["link"]


def test_two_outputs_have_two_folders(work: Path) -> None:
    """S1-50."""
    assert refused(config("own", "out", f"{work}/out")).why.startswith("services[0] writes there too")
    folders.check(config("own", "out", "out/below", "own/below", "own2"))


def test_what_is_no_folder_is_another_place(work: Path) -> None:
    secret = KubernetesSecretDestination(name="own")
    places = (MemoryDestination(), MemoryDestination(), secret, DirectoryDestination(path="own"))
    services = tuple(IdentityOutput(destination=place) for place in places)
    folders.check(TbotYaml(storage=MemoryDestination(), services=services))
