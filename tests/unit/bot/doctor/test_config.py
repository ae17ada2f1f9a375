"""A configuration of which a part can be used, and folders that it must not name, as they are on this machine."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from teleport.base.errors import TeleportError
from teleport.bot.doctor import config
from teleport.client.doctor.report import Finding

SERVER = {"version": "v2", "proxy_server": "teleport.example.com:443", "storage": {"type": "memory"}}


def output(folder: str, **settings: Any) -> dict[str, Any]:
    return {"type": "identity", "destination": {"type": "directory", "path": folder}, **settings}


def left(**settings: Any) -> tuple[tuple[str, ...], str]:
    """Return the names of the services that are looked at, and the code of what is wrong with the file."""
    loaded, fault = config.read(json.dumps({**SERVER, **settings}), "tbot.yaml")
    return loaded.config.names, fault.code if fault else ""


def test_a_file_that_can_be_used_is_read_as_tbot_reads_it() -> None:
    assert left(services=[output("/a"), output("/b", name="web")]) == (("identity-output-1", "web"), "")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (output("/b", rolls=["access"]), "TBOT-PROBLEMS"), ({"type": "identities"}, "TBOT-TYPE"),
        (output("/a"), "TBOT-IDENTICAL"), (output("/b", name="identity-output-1"), "TBOT-SAME-NAME"),
        ("nothing", "TBOT-PROBLEMS"),
    ],
)  # fmt: skip
def test_one_service_that_cannot_be_leaves_the_others_with_their_names(wrong: Any, code: str) -> None:
    kept = ("identity-output-1", "identity-output-3", "identity-output-4")
    assert left(services=[output("/a"), wrong, output("/c")], outputs=[output("/d")]) == (kept, code)


def test_a_bot_is_looked_at_whose_only_service_cannot_be() -> None:
    assert left(services=[output("")]) == ((), "TBOT-NO-PATH")


@pytest.mark.parametrize(
    "text",
    [
        "a: [", "- a", "a: 1\n---\nb: 2", json.dumps({**SERVER, "storage": {"type": "disk"}, "services": [output("")]}),
        json.dumps({"version": "v1", "destinations": [1]}),
    ],
)  # fmt: skip
def test_what_is_wrong_beside_the_services_ends_the_examination(text: str) -> None:
    with pytest.raises(TeleportError):
        config.read(text, "tbot.yaml")


def found(storage: Path, out: Path) -> str | Finding:
    """Return what is found of a bot with one output."""
    settings = {**SERVER, "storage": {"type": "directory", "path": str(storage)}, "services": [output(str(out))]}
    loaded, fault = config.read(json.dumps(settings), "tbot.yaml")
    sections = [*zip(loaded.config.services, loaded.config.names, strict=True)]
    case: Any = SimpleNamespace(loaded=loaded, fault=fault, sections=sections)
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
