"""The JSON endpoints of `tsh`: settings, and a password against certificates."""

import pytest

from tests.support import auth_cluster, web_site
from tests.support.auth_cluster import CLUSTER, PASSWORD

SEED = {
    "kube": {"enabled", "listen_addr"},
    "ssh": {"listen_addr", "tunnel_listen_addr", "web_listen_addr", "public_addr", "dial_timeout"},
    "db": {"postgres_listen_addr", "mysql_listen_addr"},
}
"""Fields of `.proxy` in the example of the networking guide (config reference, section 8)."""


async def wish(cluster, **changes):
    await cluster.make_user("alice", "access", logins=("root",))
    keys = auth_cluster.public_keys(cluster.entropy)
    wanted = {
        "user": "alice", "password": PASSWORD, "ssh_pub_key": keys["ssh_public_key"],
        "tls_pub_key": keys["tls_public_key"], "ttl": "1h",
    }  # fmt: skip
    return {**wanted, **changes}


def test_ping_and_find_have_the_documented_fields():
    async def story(cluster, site):
        ping, find = (await site.ask("GET", "/webapi/ping")).json, (await site.ask("GET", "/webapi/find")).json
        assert {name: set(ping["proxy"][name]) for name in SEED} == SEED
        assert ping["proxy"]["tls_routing_enabled"] is True
        assert ping["proxy"]["ssh"]["dial_timeout"] == 30_000_000_000
        assert ping["cluster_name"] == CLUSTER
        assert {"type", "second_factor", "local", "private_key_policy"} <= set(ping["auth"])
        assert find == {**ping, "auth": {}}

    web_site.run(story)


def test_password_gives_certificates():
    async def story(cluster, site):
        reply = await site.post("/webapi/ssh/certs", await wish(cluster))
        assert reply.status == 200
        answer = reply.json
        assert answer["username"] == "alice"
        assert answer["cert"].startswith("ssh-ed25519-cert-v01@openssh.com ")
        assert answer["tls_cert"].startswith("-----BEGIN CERTIFICATE-----")
        (signer,) = answer["host_signers"]
        assert signer["domain_name"] == CLUSTER
        assert signer["checking_keys"][0].startswith("ssh-ed25519 ")
        assert reply.headers["Cache-Control"] == "no-store"
        (event,) = await cluster.events("user.login")
        assert event["addr.remote"] == web_site.CLIENT

    web_site.run(story)


def test_wrong_password_is_401_and_says_no_more():
    async def story(cluster, site):
        wanted = await wish(cluster, password="not the password")
        wrong = await site.post("/webapi/ssh/certs", wanted)
        unknown = await site.post("/webapi/ssh/certs", {**wanted, "user": "nobody"})
        assert wrong.status == unknown.status == 401
        assert wrong.json == unknown.json
        assert wrong.json["error"]["code"] == "AUTH-LOGIN"
        assert "not the password" not in wrong.text

    web_site.run(story)


@pytest.mark.parametrize(
    "changes",
    [
        {"password": ["hunter2hunter2"]},
        {"password": {"hunter2hunter2": 1}},
        {"password": None},
        {"ttl": "hunter"},
        {"ttl": []},
        {"extra": "hunter2hunter2"},
        {"user": 5},
    ],
)
def test_body_of_the_wrong_shape_is_told_without_its_values(changes):
    async def story(cluster, site):
        reply = await site.post("/webapi/ssh/certs", await wish(cluster, **changes))
        assert (reply.status, reply.json["error"]["code"]) == (400, "WEB-REQUEST")
        assert "hunter2" not in reply.text
        assert PASSWORD not in reply.text

    web_site.run(story)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b""),
        ("application/json", b'{"password": "hunter2hunter2"'),
        ("application/json", b"\xff\xfe"),
        ("text/plain", b"{}"),
        ("application/x-www-form-urlencoded", b"password=hunter2hunter2"),
    ],
)
def test_what_is_not_json_is_refused(kind, body):
    async def story(cluster, site):
        reply = await site.ask("POST", "/webapi/ssh/certs", body, content_type=kind)
        assert (reply.status, reply.json["error"]["code"]) == (400, "WEB-REQUEST")
        assert "hunter2" not in reply.text

    web_site.run(story)


@pytest.mark.parametrize("ttl", [-5, "0", 1e9, "400h"])
def test_strange_ttl_is_kept_within_bounds(ttl):
    async def story(cluster, site):
        assert (await site.post("/webapi/ssh/certs", await wish(cluster, ttl=ttl))).status == 200

    web_site.run(story)


def test_keys_that_are_none_are_refused():
    async def story(cluster, site):
        reply = await site.post("/webapi/ssh/certs", await wish(cluster, ssh_pub_key="ssh-rsa AAAA"))
        assert (reply.status, reply.json["error"]["code"]) == (400, "PKI-KEY")

    web_site.run(story)
