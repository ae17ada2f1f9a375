"""The bodies of /webapi/find and /webapi/ping, field by field of the networking guide's example."""

from teleport.base.version_order import oldest
from teleport.proxy import ping
from teleport.version import VERSION

EXAMPLE = {
    "kube": {"enabled": False, "listen_addr": "0.0.0.0:3080"},
    "ssh": {
        "listen_addr": "0.0.0.0:3080", "tunnel_listen_addr": "0.0.0.0:3080", "web_listen_addr": "0.0.0.0:3080",
        "public_addr": "example.teleport.sh:443", "dial_timeout": 30000000000,
    },
    "db": {"postgres_listen_addr": "0.0.0.0:3080", "mysql_listen_addr": "0.0.0.0:3080"},
    "tls_routing_enabled": True,
}  # fmt: skip
"""The example, but for Kubernetes, which this build does not serve."""


def found(*public):
    return ping.settings(cluster="c.example", web_address="0.0.0.0:3080", public_addresses=public)


def test_proxy_is_the_one_of_the_example():
    assert found("example.teleport.sh:443")["proxy"] == EXAMPLE


def test_clients_are_sent_to_the_first_public_address():
    assert found("a:443", "b:443")["proxy"]["ssh"]["public_addr"] == "a:443"
    assert "public_addr" not in found()["proxy"]["ssh"]


def test_the_address_for_tunnels_is_named_where_somebody_has_said_it():
    ssh = ping.settings(
        cluster="c.example", web_address="0.0.0.0:3080", public_addresses=["a:443"], one_port=False,
        ports={"tunnel": "0.0.0.0:3024"}, tunnel_address="t.example:3024",
    )["proxy"]["ssh"]  # fmt: skip
    assert (ssh["ssh_tunnel_public_addr"], ssh["tunnel_listen_addr"]) == ("t.example:3024", "0.0.0.0:3024")
    assert "ssh_tunnel_public_addr" not in found("a:443")["proxy"]["ssh"]


def test_versions_and_name():
    settings = found()
    assert (settings["cluster_name"], settings["server_version"], settings["min_client_version"]) == (
        "c.example", VERSION, oldest(VERSION),
    )  # fmt: skip


def test_what_a_person_needs_to_sign_in():
    auth = ping.auth_settings(second_factor="otp")
    assert (auth["type"], auth["second_factor"], auth["allow_passwordless"]) == ("local", "otp", False)


def test_with_separate_ports_each_protocol_has_its_own():
    proxy = ping.settings(
        cluster="c.example", web_address="0.0.0.0:443", public_addresses=(), one_port=False,
        ports={"ssh": "0.0.0.0:5", "tunnel": "0.0.0.0:3024", "kube": "0.0.0.0:3026", "mysql": "0.0.0.0:3036"},
    )["proxy"]  # fmt: skip
    assert proxy == {
        "kube": {"enabled": False, "listen_addr": "0.0.0.0:3026"},
        "ssh": {
            "listen_addr": "0.0.0.0:5", "tunnel_listen_addr": "0.0.0.0:3024", "web_listen_addr": "0.0.0.0:443",
            "dial_timeout": 30000000000,
        },
        "db": {"postgres_listen_addr": "0.0.0.0:443", "mysql_listen_addr": "0.0.0.0:3036"},
        "tls_routing_enabled": False,
    }  # fmt: skip


def test_every_field_that_is_always_there():
    assert {"auto_update", "automatic_upgrades", "edition", "fips"} <= set(found())
    assert {"device_trust", "has_motd", "default_session_ttl", "piv_slot", "piv_pin_cache_duration"} <= set(
        ping.auth_settings(second_factor="otp")
    )
