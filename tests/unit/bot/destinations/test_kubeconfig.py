"""Kubeconfig files as kubectl reads them, and what is refused in them."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from teleport.base.disk import SystemDisk
from teleport.base.errors import BadParameter, NotFound
from teleport.bot.destinations.kubeconfig import Account, find
from tests.support.tls import authority

URL = "https://kube.example.com:6443"


def written(folder: Path, name: str = "config", **changes: dict[str, Any] | str) -> str:
    whole: dict[str, Any] = {
        "current-context": changes.get("current", "one"),
        "clusters": [{"name": "c", "cluster": {"server": URL + "/", **changes.get("cluster", {})}}],  # type: ignore[dict-item]
        "users": [{"name": "u", "user": changes.get("user", {"token": "secret"})}],
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "n"}},
            {"name": "two", "context": {"cluster": "c", "user": "nobody"}},
            {"name": "three", "context": {"cluster": "c"}},
            "nonsense",
        ],
    }
    (folder / name).write_text(yaml.safe_dump(whole))
    return str(folder / name)


def account(path: str, context: str = "", **environment: str) -> Account:
    return find(SystemDisk(), path=path, context=context, environment=environment)


def test_a_context_says_where_and_as_whom(tmp_path: Path) -> None:
    found = account(written(tmp_path))
    assert (found.server, found.token, found.namespace, found.server_name) == (URL, "secret", "n", "")
    assert found.context.verify_mode == ssl.CERT_REQUIRED
    assert account("", KUBECONFIG=written(tmp_path)).server == URL


def test_files_that_it_names_are_beside_it_and_read_each_time(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(authority().pem)
    path = written(tmp_path, user={"tokenFile": "token"}, cluster={"certificate-authority": "ca.pem"})
    for token in ("first", "second"):
        (tmp_path / "token").write_text(f"{token}\n")
        assert account(path).token == token
    assert account(path).context.get_ca_certs()[0]["subject"] == ((("commonName", "test authority"),),)
    (tmp_path / "token").unlink()
    with pytest.raises(NotFound, match="token does not exist"):
        account(path)


def test_of_several_files_the_first_that_names_something_counts(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.write_text("users: [{name: u, user: {token: other}}]\nclusters: nonsense\n")
    both = f"{first}:{tmp_path}/missing::{written(tmp_path)}"
    assert account("", KUBECONFIG=both).token == "other"
    with pytest.raises(NotFound, match="missing does not exist"):
        account(f"{tmp_path}/missing")


@pytest.mark.parametrize(
    ("changes", "context", "said"),
    [
        ({"user": {"exec": {"command": "aws"}}}, "", "it has `exec`, and programs that print credentials"),
        ({"user": {"auth-provider": {"name": "gcp"}}}, "", "auth-provider"),
        ({"user": {"username": "a", "password": "b"}}, "", "passwords are not sent"),
        ({"cluster": {"proxy-url": "http://p"}}, "", "proxies on the way"),
        ({"cluster": {"server": "http://k"}}, "", "its server is http://k, not https"),
        ({"cluster": {"server": ""}}, "", "its server is missing"),
        ({"cluster": {"certificate-authority-data": "!"}}, "", "certificate-authority-data is not base64"),
        ({"cluster": {"certificate-authority-data": "eA=="}}, "", "the certificate of its authority is none"),
        ({"current": ""}, "", "no context is chosen"),
        ({}, "four", "it has no context four"),
        ({}, "two", "it has no user nobody"),
        ({}, "three", "its context names no user"),
    ],
)
def test_what_cannot_be_used_is_named(changes: dict[str, Any], context: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match=said) as caught:
        account(written(tmp_path, **changes), context)
    assert caught.value.code == "KUBE-CONFIG"


def test_what_is_no_kubeconfig(tmp_path: Path) -> None:
    for text in ("", "[]", "just text"):
        (tmp_path / "config").write_text(text)
        with pytest.raises(BadParameter, match="no context is chosen"):
            account(str(tmp_path / "config"))
    (tmp_path / "config").write_text("a: [")
    with pytest.raises(BadParameter, match="config:2:1: did not find"):
        account(str(tmp_path / "config"))


def test_a_key_that_does_not_fit(tmp_path: Path) -> None:
    one, other = (authority().issue(name).decode() for name in ("a", "b"))
    key, certificate = one[one.index("-----BEGIN PRIVATE") :], other[: other.index("-----BEGIN PRIVATE")]
    user = {
        f"client-{part}-data": base64.b64encode(text.encode()).decode()
        for part, text in (("certificate", certificate), ("key", key))
    }
    with pytest.raises(BadParameter, match="they do not fit"):
        account(written(tmp_path, user=user))


def test_a_pod_without_a_namespace_file_and_with_ipv6(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text(authority().pem)
    (tmp_path / "token").write_text("t")
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1"}
    found = find(SystemDisk(), path="", context="", environment=environment, pod=str(tmp_path))
    assert (found.server, found.token, found.namespace) == ("https://[fd00::1]:443", "t", "")
