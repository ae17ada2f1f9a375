"""Destinations as command lines name them."""

from __future__ import annotations

import pytest

from teleport.base.errors import BadParameter
from teleport.model.config.tbot_destinations import (
    DestinationSection,
    DirectoryDestination,
    KubernetesSecretDestination,
    MemoryDestination,
    from_uri,
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("/opt/a", DirectoryDestination(path="/opt/a")),
        ("./a b", DirectoryDestination(path="./a b")),
        ("file:///opt/a%20b", DirectoryDestination(path="/opt/a b")),
        ("memory://", MemoryDestination()),
        ("kubernetes-secret://name", KubernetesSecretDestination(name="name")),
        ("kubernetes-secret:///name", KubernetesSecretDestination(name="name")),
        ("kubernetes-secret://ns/name", KubernetesSecretDestination(name="name", namespace="ns")),
    ],
)
def test_uris(text: str, wanted: DestinationSection) -> None:
    assert from_uri(text) == wanted


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("file://host/a", "TBOT-URI-HOST", "file-backed data storage must be on the local host"),
        ("s3://bucket", "TBOT-URI-SCHEME", "unrecognized data storage scheme"),
        ("memory://x", "TBOT-URI-SCHEME", "unrecognized data storage scheme"),
        ("", "TBOT-NO-PATH", "destination path must not be empty"),
        ("file://", "TBOT-NO-PATH", "destination path must not be empty"),
        ("kubernetes-secret://", "TBOT-EMPTY", "name is empty"),
    ],
)
def test_what_is_none(text: str, code: str, said: str) -> None:
    with pytest.raises(BadParameter) as caught:
        from_uri(text)
    assert (caught.value.code, str(caught.value)) == (code, said)


def test_places_are_those_of_the_machine() -> None:
    places = [DirectoryDestination(path=path).place for path in ("/a", "/b/../a/", "./a", "a", "")]
    assert places == ["file:///a", "file:///a", "file://a", "file://a", ""]
