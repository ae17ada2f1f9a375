"""Variables of the environment for the way to other machines."""

from __future__ import annotations

import pytest

from teleport.base.errors import BadParameter
from teleport.model.address import Address
from teleport.model.proxy_env import ConnectProxy, connect_proxy, read_proxy, upgrade_wanted

PROXY = "http://proxy.example.com:8080/"
SEED = "localhost,127.0.0.1,192.168.0.0/16,172.16.0.0/12,10.0.0.0/8"


def through(environment: dict[str, str], host: str = "t.example", port: int = 443) -> str:
    """Which variable's proxy is used; empty for none."""
    found = connect_proxy(environment, host, port)
    return found.variable if found else ""


@pytest.mark.parametrize(
    ("set_", "used"),
    [
        ("HTTPS_PROXY", "HTTPS_PROXY"),
        ("https_proxy", "https_proxy"),
        ("HTTP_PROXY", "HTTP_PROXY"),
        ("http_proxy", "http_proxy"),
        ("HTTP_PROXY https_proxy", "https_proxy"),
        ("http_proxy HTTP_PROXY https_proxy HTTPS_PROXY", "HTTPS_PROXY"),
        ("", ""),
        ("ALL_PROXY", ""),
    ],
)
def test_s3_13_variables_in_both_cases(set_: str, used: str) -> None:
    """S3-13: HTTPS_PROXY before HTTP_PROXY, and NO_PROXY, upper and lower case."""
    environment = dict.fromkeys(set_.split(), PROXY)
    assert through(environment) == used
    for exception in ("NO_PROXY", "no_proxy"):
        assert through({**environment, exception: "t.example"}) == ""
    assert through({**environment, "NO_PROXY": " ", "HTTPS_PROXY": environment.get("HTTPS_PROXY", "")}) == used


@pytest.mark.parametrize(
    ("value", "address", "tls", "authorization"),
    [
        ("http://proxy.example.com:8080", "proxy.example.com:8080", False, ""),
        ("https://proxy.example.com:8443", "proxy.example.com:8443", True, ""),
        ("HTTPS://proxy.example.com", "proxy.example.com:443", True, ""),
        ("proxy.example.com:8080", "proxy.example.com:8080", False, ""),
        ("proxy", "proxy:80", False, ""),
        ("bob:secret@proxy:8080", "proxy:8080", False, "Basic Ym9iOnNlY3JldA=="),
        ("http://bob@proxy:8080", "proxy:8080", False, "Basic Ym9iOg=="),
        ("http://b%40b:s%3Acret@proxy:8080", "proxy:8080", False, "Basic YkBiOnM6Y3JldA=="),
        ("http://[2001:db8::1]:3128", "[2001:db8::1]:3128", False, ""),
        ("http://10.0.0.1:3128", "10.0.0.1:3128", False, ""),
    ],
)
def test_s3_19_values(value: str, address: str, tls: bool, authorization: str) -> None:
    """S3-19: scheme://[user[:password]@]host:port, http or https; a bare host:port is http."""
    found = read_proxy("HTTPS_PROXY", value)
    assert (str(found.address), found.tls, found.authorization) == (address, tls, authorization)


@pytest.mark.parametrize("value", [PROXY, "http://proxy.example.com:8080/a/path?x#y", "http://proxy.example.com:8080#"])
def test_s3_45_slash_and_path_mean_nothing(value: str) -> None:
    """S3-45: a trailing / is accepted, a path ignored, and http is a scheme for HTTPS_PROXY."""
    found = connect_proxy({"HTTPS_PROXY": value}, "t.example", 443)
    assert found == ConnectProxy(Address("proxy.example.com", 8080), False, "", "HTTPS_PROXY")


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST.", "127.0.0.1", "[::1]", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]"],  # noqa: S104
)
def test_s3_20_loopback_is_no_proxy(host: str) -> None:
    """S3-20: refused by an error that names the variable; what NO_PROXY names goes the straight way."""
    with pytest.raises(BadParameter) as caught:
        connect_proxy({"http_proxy": f"http://{host}:8080"}, "t.example", 443)
    assert (caught.value.code, caught.value.what.split()[0]) == ("NET-CONNECT-LOOPBACK", "http_proxy")
    assert through({"http_proxy": f"http://{host}:8080", "NO_PROXY": "t.example"}) == ""


@pytest.mark.parametrize(
    "value",
    ["socks5://proxy:1080", "http://", "http://:8080", "http://a b:1", "proxy:x", "http://u:\x07@proxy:1", "u:secret@"],
)  # fmt: skip
def test_values_that_name_no_proxy(value: str) -> None:
    with pytest.raises(BadParameter) as caught:
        read_proxy("HTTPS_PROXY", value)
    assert caught.value.code == "NET-CONNECT-VALUE"
    assert "secret" not in f"{caught.value.what} {caught.value.why} {caught.value.fix}"


def test_credentials_are_not_shown() -> None:
    assert (
        repr(read_proxy("HTTPS_PROXY", "https://bob:secret@proxy:1")) == "ConnectProxy(https://proxy:1 of HTTPS_PROXY)"
    )


@pytest.mark.parametrize(
    ("exceptions", "host", "straight"),
    [
        (SEED, "192.168.7.1", True), (SEED, "172.31.255.255", True), (SEED, "172.32.0.1", False),
        (SEED, "10.1.2.3", True),
        (SEED, "11.1.2.3", False), (SEED, "localhost", True), (SEED, "127.0.0.1", True), (SEED, "127.0.0.2", False),
        (SEED, "t.example", False), ("fd00::/8", "fd00::1", True), ("fd00::/8", "10.0.0.1", False),
        ("10.0.0.0/33", "10.0.0.1", False),
    ],
)  # fmt: skip
def test_s3_16_networks(exceptions: str, host: str, straight: bool) -> None:
    """S3-16: the seed's NO_PROXY, with networks in CIDR notation."""
    assert (through({"HTTPS_PROXY": PROXY, "NO_PROXY": exceptions}, host) == "") is straight


@pytest.mark.parametrize(
    ("exceptions", "host", "port", "straight"),
    [
        ("teleportproxy.example.com:3024", "teleportproxy.example.com", 3024, True),
        ("teleportproxy.example.com:3024", "teleportproxy.example.com", 3080, False),
        ("10.0.0.1:3024", "10.0.0.1", 3024, True), ("10.0.0.1:3024", "10.0.0.1", 3080, False),
        ("[fd00::1]:3024", "fd00::1", 3024, True), ("[fd00::1]:3024", "fd00::1", 3080, False),
        ("[fd00::1]", "fd00::1", 3080, True), ("fd00::1", "fd00::1", 3080, True),
    ],
)  # fmt: skip
def test_s3_18_one_port(exceptions: str, host: str, port: int, straight: bool) -> None:
    """S3-18: an entry with a port exempts that port alone."""
    assert (through({"HTTPS_PROXY": PROXY, "no_proxy": exceptions}, host, port) == "") is straight


@pytest.mark.parametrize(
    ("exceptions", "host", "straight"),
    [
        ("*", "t.example", True), ("example.com", "example.com", True), ("example.com", "a.EXAMPLE.com.", True),
        ("example.com", "anexample.com", False), (".example.com", "a.example.com", True),
        (".example.com", "example.com", False), ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False), (" , ,example.com. ", "a.example.com", True),
        (",", "t.example", False),
        (".", "t.example", False), (":443", "t.example", False), ("10.0.0.1", "110.0.0.1", False),
    ],
)  # fmt: skip
def test_names_and_what_is_below_them(exceptions: str, host: str, straight: bool) -> None:
    assert (through({"HTTPS_PROXY": PROXY, "NO_PROXY": exceptions}, host) == "") is straight


@pytest.mark.parametrize("name", ["kube.teleport.cluster.local", "kube-teleport-proxy-alpn.teleport.cluster.local"])
def test_s3_21_kubernetes_in_the_same_cluster(name: str) -> None:
    """S3-21: the documented names bypass the proxy once they stand in NO_PROXY."""
    assert through({"HTTPS_PROXY": PROXY}, name) == "HTTPS_PROXY"
    assert through({"HTTPS_PROXY": PROXY, "NO_PROXY": f"10.0.0.0/8,{name}"}, name) == ""


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("", None), ("true", True), ("1", True), ("YES", True), ("false", False), ("0", False), ("off", False),
        ("proxy.example:443=true", True), ("proxy.example=yes", True), ("other:443=true", None),
        ("proxy.example:444=true", None), ("false;proxy.example:443=true", True), ("true,proxy.example:443=0", False),
        ("proxy.example:443=0, true", False), ("other:1=0;true", True), (" ; ,", None),
    ],
)  # fmt: skip
def test_forced_and_forbidden_upgrades(value: str, wanted: bool | None) -> None:
    where = Address("proxy.example", 443)
    for name in ("TELEPORT_TLS_ROUTING_CONN_UPGRADE", "TELEPORT_TLS_ROUTING_UPGRADE"):
        assert upgrade_wanted({name: value}, where) is wanted


@pytest.mark.parametrize("value", ["maybe", "proxy.example:443=maybe", "true,proxy.example=", "a=b=c"])
def test_upgrades_neither_forced_nor_forbidden(value: str) -> None:
    with pytest.raises(BadParameter) as caught:
        upgrade_wanted({"TELEPORT_TLS_ROUTING_UPGRADE": value}, Address("proxy.example", 443))
    assert caught.value.code == "NET-UPGRADE-VALUE"
    assert "TELEPORT_TLS_ROUTING_UPGRADE" in caught.value.what
