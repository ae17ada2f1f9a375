"""The page of servers: for whom it opens, what it shows, and how it ends."""

import datetime as dt

import pytest

from teleport.web import servers
from tests.support import web_site
from tests.support.auth_cluster import document_of, node, role
from tests.support.web_person import signed_in


def run(story):
    web_site.run(story, "otp")


async def with_nodes(cluster):
    for name, env in (("n1", "dev"), ("n2", "prod"), ("n3", "dev")):
        await cluster.client(cluster.host("Node", uuid=name)).upsert(node(name, f"host-{name}", env=env))
    await cluster.admin.create(role("developer", logins=["root"], node_labels={"env": ["dev"]}))


def test_shows_the_servers_that_the_user_may_reach():
    async def story(cluster, site):
        await with_nodes(cluster)
        _, tab = await signed_in(cluster, site, "developer")
        page = await tab.get("/web")
        assert [name for name in ("host-n1", "host-n2", "host-n3") if name in page.text] == ["host-n1", "host-n3"]
        assert "env=dev" in page.text
        assert "tsh login --proxy=proxy.example.com:443 --user=alice" in page.shown

    run(story)


def test_says_so_when_there_are_none():
    async def story(cluster, site):
        _, tab = await signed_in(cluster, site, "auditor")
        assert "tctl access can alice" in (await tab.get("/web")).text

    run(story)


def test_long_lists_have_pages(monkeypatch):
    async def story(cluster, site):
        monkeypatch.setattr(servers, "PAGE", 1)
        await with_nodes(cluster)
        _, tab = await signed_in(cluster, site, "developer")
        assert "host-n1" in (await tab.get("/web")).text
        assert "/web?after=n1" in (await tab.get("/web")).text
        second = (await tab.get("/web?after=n1")).text
        assert ("host-n1" in second, "host-n3" in second) == (False, True)
        assert "There are no more" in (await tab.get("/web?after=n9")).text

    run(story)


@pytest.mark.parametrize(
    "cookie", ["", "__Host-session=", "__Host-session=" + "0" * 64, "__Host-session=x", "session=" + "0" * 64,
               "__Host-session=\xff\xfe", "__Host-session=" + "0" * 6000, "__Host-session=../../x"],
)  # fmt: skip
def test_without_a_session_it_leads_to_the_sign_in(cookie):
    async def story(cluster, site):
        reply = await site.ask("GET", "/web", **({"cookie": cookie} if cookie else {}))
        assert (reply.status, reply.headers["Location"]) == (303, "/web/login")
        assert reply.session == ""
        assert reply.headers["Cache-Control"] == "no-store"

    run(story)


def test_session_that_was_not_used_is_over():
    async def story(cluster, site):
        _, tab = await signed_in(cluster, site)
        cluster.clock.advance(dt.timedelta(minutes=9))
        assert (await tab.get("/web")).status == 200
        cluster.clock.advance(dt.timedelta(minutes=10))
        assert (await tab.get("/web")).headers["Location"] == "/web/login"
        assert "__Host-session" not in tab.cookies

    run(story)


def test_lock_is_told_once_and_ends_the_session():
    async def story(cluster, site):
        _, tab = await signed_in(cluster, site)
        await cluster.admin.create(document_of("lock", "", {"target": {"user": "alice"}, "message": "stolen laptop"}))
        told = await tab.get("/web")
        assert told.status == 403
        assert "stolen laptop" in told.text
        assert (await tab.get("/web")).headers["Location"] == "/web/login"

    run(story)


def test_names_and_labels_are_escaped():
    async def story(cluster, site):
        odd = node("n1", "host-1", note='<script>"')
        await cluster.client(cluster.host("Node", uuid="n1")).upsert(odd)
        _, tab = await signed_in(cluster, site)
        page = await tab.get("/web")
        assert "host-1" in page.text
        assert "<script" not in page.text

    run(story)
