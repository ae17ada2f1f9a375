"""Reading and changing resources through the API: rights, references, revisions, events, hidden things."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from teleport.api.messages import Selection
from teleport.auth import resources as under_test
from teleport.base import errors
from teleport.base.errors import TeleportError
from teleport.model.kinds.user import Author, CreatedBy
from teleport.model.resource import every
from teleport.store.backend import Delete, Op
from tests.support.auth_cluster import HOST_UUID, Cluster, document_of, node, role, rule, run, user

OTHER_UUID = "99999999-2222-4333-8444-555555555555"


async def code_of(call: Any) -> str:
    try:
        await call
    except TeleportError as error:
        return error.code
    return "no error"


def same_but_for_the_id(error: TeleportError) -> tuple[object, ...]:
    text = (error.what, error.why, error.fix, repr(sorted(error.fields.items())))
    assert error.id
    return type(error), error.code, *(part.replace(error.id, "<id>") for part in text)


def test_a_resource_is_created_read_changed_listed_and_deleted() -> None:
    async def story(cluster: Cluster) -> None:
        admin = cluster.admin
        made = await admin.create(role("dev", logins=["dev"]))
        assert (await admin.get("role", "dev")) == made
        changed = msgspec.structs.replace(made, metadata=msgspec.structs.replace(made.metadata, description="x"))
        updated = await admin.update(changed)
        assert updated.metadata.revision != made.metadata.revision
        with pytest.raises(errors.CompareFailed):
            await admin.update(changed)
        assert [r.name async for r in admin.list("role")] == ["access", "auditor", "dev", "editor"]
        await admin.delete("role", "dev")
        with pytest.raises(errors.NotFound):
            await admin.get("role", "dev")

    run(story)


def test_every_change_is_an_event_of_the_same_commit() -> None:
    async def story(cluster: Cluster) -> None:
        admin = cluster.admin
        made = await admin.create(role("dev"))
        await admin.update(made)
        await admin.upsert(made)
        await admin.delete("role", "dev")
        events = await cluster.events("role.created", "role.updated", "role.deleted")
        ours = [event for event in events if event["name"] == "dev"]
        assert [event["event"] for event in ours] == ["role.created", "role.updated", "role.updated", "role.deleted"]
        assert {(event["user"], event["cluster_name"]) for event in ours} == {("admin@test", "example.com")}
        assert (await admin.verify_audit())[0].problem == ""

    run(story)


def test_a_change_that_is_refused_leaves_nothing() -> None:
    async def story(cluster: Cluster) -> None:
        before = len(await cluster.events())
        assert await code_of(cluster.admin.create(user("bob", "nowhere"))) == "AUTH-NO-ROLE"
        assert await code_of(cluster.admin.create(role("access"))) == "STORE-RESOURCE-EXISTS"
        assert await code_of(cluster.admin.delete("cert_authority", "example.com", sub_kind="user")) == (
            "AUTH-OWN-AUTHORITY"
        )
        assert await code_of(cluster.admin.create(node("n1"))) == "AUTH-NODE-AGENT"
        assert len(await cluster.events()) == before

    run(story)


def test_a_role_that_a_user_holds_stays() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(role("dev"))
        await cluster.admin.create(user("bob", "dev"))
        with pytest.raises(errors.BadParameter) as caught:
            await cluster.admin.delete("role", "dev")
        assert caught.value.fields["users"] == "bob"
        await cluster.admin.delete("user", "bob")
        await cluster.admin.delete("role", "dev")

    run(story)


def test_no_user_is_left_with_a_role_that_is_deleted_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(role("dev"))
        commit = cluster.backend.commit

        async def slow_for_roles(*ops: Op) -> int:
            if any(op.key == "/roles/dev" for op in ops if isinstance(op, Delete)):
                for _ in range(200):  # time enough for the other change, if it does not wait for this one
                    await asyncio.sleep(0)
            return await commit(*ops)

        monkeypatch.setattr(cluster.backend, "commit", slow_for_roles)
        removal = asyncio.gather(code_of(cluster.admin.delete("role", "dev")))  # starts it
        for _ in range(60):
            await asyncio.sleep(0)
        created = await code_of(cluster.admin.create(user("bob", "dev")))
        assert ((await removal)[0], created) in (("no error", "AUTH-NO-ROLE"), ("AUTH-ROLE-IN-USE", "no error"))

    run(story)


def test_a_role_with_an_expression_that_cannot_be_read_is_refused() -> None:
    async def story(cluster: Cluster) -> None:
        broken = role("dev", rules=[rule("node", "list", where="equals(")])
        assert await code_of(cluster.admin.create(broken)) == "POL-PREDICATE"

    run(story)


def test_a_lock_gets_a_name_a_time_and_an_author() -> None:
    async def story(cluster: Cluster) -> None:
        made = await cluster.admin.create(document_of("lock", "", {"target": {"user": "bob"}}))
        assert re.fullmatch(r"[0-9a-f-]{36}", made.name)
        assert (made.spec.created_by, made.spec.created_at) == ("admin@test", cluster.clock.now())

    run(story)


def test_what_the_server_says_of_a_user_is_kept() -> None:
    async def story(cluster: Cluster) -> None:
        made = await cluster.admin.create(user("bob", "access"))
        assert made.spec.created_by.user.name == "admin@test"
        forged = msgspec.structs.replace(made.spec, created_by=CreatedBy(user=Author(name="eve")))
        again = await cluster.admin.update(msgspec.structs.replace(made, spec=forged))
        assert again.spec.created_by == made.spec.created_by

    run(story)


def test_rights_are_those_of_the_roles() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(role("reader", rules=[rule("role", "list read")]))
        reader = cluster.client(cluster.user("bob", "reader"))
        assert (await reader.get("role", "access")).name == "access"
        assert await code_of(reader.create(role("x"))) == "POL-NO-VERB"
        assert await code_of(reader.upsert(role("access"))) == "POL-NO-VERB"
        assert await code_of(reader.delete("role", "access")) == "POL-NO-VERB"
        assert await code_of(reader.get("user", "bob")) == "POL-NOT-FOUND"
        assert await code_of(reader.get("lock", "x")) == "POL-NO-VERB"
        with pytest.raises(errors.AccessDenied) as caught:
            _ = [entry async for entry in reader.list("lock")]
        assert str(caught.value) == 'access denied to perform action "list" on "lock"'
        editor = cluster.client(cluster.user("eve", "editor"))
        assert (await editor.create(role("x"))).name == "x"

    run(story)


def test_a_caller_whose_role_was_deleted_may_do_nothing() -> None:
    async def story(cluster: Cluster) -> None:
        assert await code_of(cluster.client(cluster.user("bob", "gone")).get("role", "access")) == "POL-ROLE-MISSING"

    run(story)


def test_a_locked_caller_may_do_nothing_at_once() -> None:
    async def story(cluster: Cluster) -> None:
        editor = cluster.client(cluster.user("bob", "editor"))
        await editor.get("role", "access")
        await cluster.admin.create(document_of("lock", "", {"target": {"user": "bob"}, "message": "left"}))
        with pytest.raises(errors.AccessDenied) as caught:
            await editor.get("role", "access")
        assert str(caught.value) == 'lock targeting User:"bob" is in force: left'

    run(story)


async def three_nodes(cluster: Cluster) -> None:
    for number, env in enumerate(("prod", "dev", "dev")):
        uuid = HOST_UUID[:-1] + str(number)
        await cluster.client(cluster.host("Node", uuid=uuid)).upsert(node(uuid, f"n{number}", env=env))
    await cluster.admin.create(role("dev", logins=["root"], node_labels={"env": "dev"}))


def test_lists_show_what_can_be_connected_to() -> None:
    async def story(cluster: Cluster) -> None:
        await three_nodes(cluster)
        dev = cluster.client(cluster.user("bob", "dev"))
        assert [n.spec.hostname async for n in dev.list("node")] == ["n1", "n2"]
        assert [n.spec.hostname async for n in cluster.admin.list("node")] == ["n0", "n1", "n2"]
        assert [n async for n in cluster.client(cluster.user("bob", "dev", logins=("eve",))).list("node")] == []

    run(story)


def test_what_is_hidden_is_refused_like_what_is_not_there() -> None:
    async def story(cluster: Cluster) -> None:
        await three_nodes(cluster)
        only_dev = 'equals(resource.metadata.labels["env"], "dev")'
        await cluster.admin.create(role("janitor", rules=[rule("node", "delete", where=only_dev)]))
        bob = cluster.client(cluster.user("bob", "dev", "janitor"))
        hidden, missing = HOST_UUID[:-1] + "0", HOST_UUID[:-1] + "9"
        seen = []
        for name in (hidden, missing):
            found = [await not_found(call("node", name)) for call in (bob.get, bob.delete, bob.get)]
            assert len({error.id for error in found}) == 1  # whatever was tried, and counted together
            seen.append({tuple(str(part).replace(name, "<name>") for part in same_but_for_the_id(e)) for e in found})
        assert seen[0] == seen[1]
        assert len(seen[0]) == 1

    run(story)


async def not_found(call: Any) -> errors.NotFound:
    with pytest.raises(errors.NotFound) as caught:
        await call
    return caught.value


def test_a_list_can_be_narrowed() -> None:
    async def story(cluster: Cluster) -> None:
        await three_nodes(cluster)
        admin = cluster.admin

        async def hosts(**how: Any) -> list[str]:
            return [n.spec.hostname async for n in admin.list("node", **how)]

        assert await hosts(labels={"env": "prod"}) == ["n0"]
        assert await hosts(search=["DEV", "n2"]) == ["n2"]
        assert await hosts(query='labels["env"] == "dev" && !contains(split(name, "-"), "x")') == ["n1", "n2"]
        assert await hosts(labels={"env": "prod"}, search=["n1"]) == []
        with pytest.raises(errors.BadParameter):
            await hosts(query="labels[")

    run(story)


def test_pages_follow_each_other_without_loss() -> None:
    async def story(cluster: Cluster) -> None:
        for number in range(25):
            await cluster.admin.create(role(f"r{number:02}"))
        names, after = [], ""
        while True:
            page = await cluster.admin.page(Selection(kind="role", limit=7, after=after))
            assert len(page.resources) <= 7
            names += [r.name for r in page.resources]
            after = page.next
            if not after:
                break
        assert names == sorted(names)
        assert len(names) == 28
        assert [ca.sub_kind async for ca in cluster.admin.list("cert_authority")] == [
            "audit",
            "bound_keypair",
            "db",
            "db_client",
            "host",
            "jwt",
            "openssh",
            "user",
        ]
        first = await cluster.admin.page(Selection(kind="cert_authority", limit=1))
        second = await cluster.admin.page(Selection(kind="cert_authority", limit=1, after=first.next))
        assert [first.resources[0].sub_kind, second.resources[0].sub_kind] == ["audit", "bound_keypair"]
        assert await code_of(cluster.admin.page(Selection(kind="role", limit=100_000))) == "AUTH-LIST-LIMIT"

    run(story)


def test_a_page_over_the_bound_of_a_message_ends_early() -> None:
    async def story(cluster: Cluster) -> None:
        for number in range(12):
            big = {"env": "dev", "fill": "x"}
            made = node(HOST_UUID[:-2] + f"{number:02}", **big)
            made = msgspec.structs.replace(made, metadata=msgspec.structs.replace(made.metadata, description="y" * 500))
            await cluster.service.store.create(made)
        await cluster.service.store.create(role("big", node_labels={f"k{i}": "v" * 400 for i in range(2000)}))
        for number in range(6):
            await cluster.service.store.create(
                role(f"huge{number}", node_labels={f"k{i}": "v" * 400 for i in range(2000)})
            )  # fmt: skip
        page = await cluster.admin.page(Selection(kind="role"))
        assert page.next
        assert len([r async for r in cluster.admin.list("role")]) == 10

    run(story)


async def node_changes(cluster: Cluster) -> list[tuple[str, str]]:
    changes = await cluster.events("resource.change")
    return [(event["action"], event["name"]) for event in changes if event["resource_kind"] == "node"]


def test_a_node_keeps_its_own_entry_and_no_other() -> None:
    async def story(cluster: Cluster) -> None:
        mine = cluster.client(cluster.host("Node"))
        await mine.upsert(node(HOST_UUID, "n"))
        await mine.upsert(node(HOST_UUID, "n", env="dev"))
        assert await code_of(mine.upsert(node(OTHER_UUID, "n"))) in ("POL-SYSTEM", "POL-NOT-FOUND")
        assert await code_of(mine.create(role("x"))) == "POL-SYSTEM"
        assert {r.name async for r in mine.list("role")} == {"access", "auditor", "editor"}
        assert await node_changes(cluster) == []  # heartbeats are no news
        await cluster.admin.delete("node", HOST_UUID)
        assert await node_changes(cluster) == [("delete", HOST_UUID)]

    run(story)


def test_a_watch_begins_with_init_and_tells_every_later_change() -> None:
    async def story(cluster: Cluster) -> None:
        watch = cluster.admin.watch("role", "lock")
        assert (await anext(watch)).type == "init"
        await cluster.admin.create(role("dev"))
        await cluster.admin.delete("role", "dev")
        first, second = await anext(watch), await anext(watch)
        assert (first.type, first.resource and first.resource.name) == ("put", "dev")
        assert (second.type, second.gone and second.gone.name) == ("delete", "dev")
        await watch.aclose()

    run(story)


def test_a_watch_shows_only_what_a_list_would() -> None:
    async def story(cluster: Cluster) -> None:
        await three_nodes(cluster)
        watch = cluster.client(cluster.user("bob", "dev")).watch("node")
        assert (await anext(watch)).type == "init"
        for number, env in ((0, "prod"), (1, "prod"), (2, "dev")):
            uuid = HOST_UUID[:-1] + str(number)
            await cluster.client(cluster.host("Node", uuid=uuid)).upsert(node(uuid, f"n{number}", env=env))
        await cluster.admin.delete("node", HOST_UUID[:-1] + "0")
        await cluster.admin.delete("node", HOST_UUID[:-1] + "2")
        seen = [await anext(watch) for _ in range(3)]
        gone = [change.gone.name[-1] for change in seen if change.gone]
        assert [change.type for change in seen] == ["delete", "put", "delete"]
        assert gone == ["1", "2"]
        await watch.aclose()

    run(story)


def test_a_watch_ends_with_the_rights_to_it() -> None:
    async def story(cluster: Cluster) -> None:
        await three_nodes(cluster)
        watch = cluster.client(cluster.user("bob", "dev")).watch("node")
        await anext(watch)
        await cluster.admin.create(document_of("lock", "", {"target": {"user": "bob"}}))
        await cluster.client(cluster.host("Node")).upsert(node(HOST_UUID, "n", env="dev"))
        with pytest.raises(errors.AccessDenied):
            await anext(watch)
        assert await code_of(anext(cluster.client(cluster.user("bob", "dev")).watch("lock"))) == "POL-LOCKED"
        assert await code_of(anext(cluster.admin.watch())) == "AUTH-WATCH-KINDS"

    run(story)


def test_of_many_who_replace_one_resource_each_succeeds() -> None:
    async def story(cluster: Cluster) -> None:
        clients = [cluster.admin for _ in range(5)]
        await asyncio.gather(*(client.upsert(role("dev", logins=["a"])) for client in clients))
        await asyncio.gather(*(client.delete("role", "dev") for client in clients[:1]))

    run(story)


def test_a_kind_or_document_that_cannot_be_read_is_refused() -> None:
    async def story(cluster: Cluster) -> None:
        assert await code_of(cluster.admin.get("nothing", "x")) == "KIND-UNKNOWN"
        assert await code_of(cluster.admin.get("role", "../x")) == "POL-NOT-FOUND"
        assert await code_of(cluster.admin.delete("role", "x/y")) == "POL-NOT-FOUND"

    run(story)


def test_generic_code_names_no_kind() -> None:
    text = Path(under_test.__file__).read_text()
    named = [info.name for info in every() if re.search(rf'["\']{info.name}["\']', text)]
    assert named == []
