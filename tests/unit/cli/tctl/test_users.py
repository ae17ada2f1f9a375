"""tctl users: the texts of the reference, links that work, and failures that leave nothing half done."""

import json
import re

import pytest
import yaml

from tests.support import auth_cluster

LINK = r"https://proxy\.example\.com:443/web/{kind}/[0-9a-f]{{64}}"
NOTE = "NOTE: Make sure proxy.example.com:443 points at a Teleport proxy which users can access.\n"


def link(kind):
    return LINK.format(kind=kind)


def stored(host, name):
    return host.do(lambda cluster: cluster.service.store.get("user", name))


def token(text):
    return re.search(r"/web/\w+/([0-9a-f]{64})", text)[1]


def test_add_prints_a_link(host):
    done = host.tctl("users", "add", "joe", "--roles=access,editor", "--logins=joe, root")
    text = (
        'User "joe" has been created but requires a password. '
        "Share this URL with the user to complete user setup, link is valid for 1h:\n"
    )
    assert re.fullmatch(re.escape(text) + link("invite") + "\n\n" + re.escape(NOTE), done.out)
    assert done.err == ""
    user = stored(host, "joe")
    assert (user.spec.roles, user.spec.traits) == (("access", "editor"), {"logins": ("joe", "root")})
    found = host.do(lambda cluster: cluster.proxy.describe_invite(token(done.out)))
    assert (found.user, found.purpose) == ("joe", "invite")


@pytest.mark.parametrize(("ttl", "said"), [("30m", "30m"), ("90m", "1h30m"), ("2h", "2h"), ("48h", "48h")])
def test_length_of_the_link_is_said_as_people_say_it(host, ttl, said):
    done = host.tctl("users", "add", f"ttl-{ttl}", "--roles=access", f"--ttl={ttl}")
    assert f"link is valid for {said}:\n" in done.out


@pytest.mark.parametrize("output_format", ["json", "yaml"])
def test_link_for_programs(host, output_format):
    done = host.tctl("users", "add", f"prog-{output_format}", "--roles=access", "--format", output_format)
    found = json.loads(done.out) if output_format == "json" else yaml.safe_load(done.out)
    assert found["user"] == f"prog-{output_format}"
    assert re.fullmatch(link("invite"), found["url"])
    assert found["expires"]


def test_user_without_a_link_is_not_left_behind(host):
    for ttl in ("49h", "1s"):
        done = host.tctl("users", "add", "late", "--roles=access", f"--ttl={ttl}", status=1)
        assert "AUTH-INVITE-TTL" in done.err
    assert host.tctl("get", "user/late", status=1).out == ""
    host.tctl("users", "add", "late", "--roles=access")


@pytest.mark.parametrize(
    ("words", "code", "status"),
    [
        (("x",), "CLI-USAGE", 2),
        (("--roles=access",), "CLI-USAGE", 2),
        (("x", "--roles=nowhere"), "AUTH-NO-ROLE", 1),
        (("a/b", "--roles=access"), "KIND-NAME", 1),
        (("x", "--roles=access", "--logins=a b"), "KIND-LOGIN", 1),
        (("x", "--roles=access", "--ttl=soon"), "CFG-DURATION", 1),
    ],
)
def test_what_cannot_be_added(host, words, code, status):
    done = host.tctl("users", "add", *words, status=status)
    assert f"code: {code}" in done.err
    assert done.out == ""


def test_name_that_is_taken(host):
    host.tctl("users", "add", "taken", "--roles=access")
    done = host.tctl("users", "add", "taken", "--roles=access", status=1)
    assert done.err.startswith('ERROR: user "taken" already exists\n')


def test_reset_prints_a_link_and_ends_the_password(host):
    host.do(lambda cluster: cluster.make_user("jeff", "access"))
    done = host.tctl("users", "reset", "jeff")
    text = "User jeff has been reset. Share this URL with the user to complete password reset, link is valid for 8h:\n"
    assert re.fullmatch(re.escape(text) + link("reset") + "\n\n" + re.escape(NOTE), done.out)
    found = host.do(lambda cluster: cluster.proxy.describe_invite(token(done.out)))
    assert found.purpose == "reset"

    async def sign_in(cluster):
        keys = auth_cluster.public_keys(cluster.entropy)
        await cluster.proxy.login("jeff", auth_cluster.PASSWORD, **keys)

    with pytest.raises(Exception, match=r"user name or password|credentials|wrong"):
        host.do(sign_in)


def test_reset_of_nobody(host):
    assert 'user "nobody-x" not found' in host.tctl("users", "reset", "nobody-x", status=1).err


def test_list(host):
    host.tctl("users", "add", "zoe", "--roles=access,auditor")
    lines = host.tctl("users", "ls").out.splitlines()
    assert lines[0].split() == ["User", "Roles"]
    assert set(lines[1]) == {"-", " "}
    assert "zoe" in [line.split()[0] for line in lines[2:]]
    assert next(line for line in lines if line.startswith("zoe")).split() == ["zoe", "access,auditor"]


@pytest.mark.parametrize("output_format", ["json", "yaml"])
def test_list_for_programs_has_no_secret(host, output_format):
    host.do(lambda cluster: cluster.make_user(f"secret-{output_format}", "access"))
    text = host.tctl("users", "ls", "--format", output_format).out
    found = json.loads(text) if output_format == "json" else list(yaml.safe_load_all(text))
    assert f"secret-{output_format}" in [user["metadata"]["name"] for user in found]
    assert "password" not in text


def test_update_replaces_and_says_what(host):
    host.tctl("users", "add", "changing", "--roles=access", "--logins=a")
    done = host.tctl("users", "update", "changing", "--set-roles=editor,auditor", "--set-logins=b,c")
    assert done.out == "User changing has been updated:\n\tNew roles: editor,auditor\n\tNew logins: b,c\n"
    user = stored(host, "changing")
    assert (user.spec.roles, user.spec.traits["logins"]) == (("editor", "auditor"), ("b", "c"))
    host.tctl("users", "update", "changing", "--set-logins=d")
    assert stored(host, "changing").spec.roles == ("editor", "auditor")


def test_update_of_nothing_is_no_update(host):
    host.tctl("users", "add", "same", "--roles=access")
    before = stored(host, "same").metadata.revision
    done = host.tctl("users", "update", "same", status=2)
    assert "Nothing to update" in done.err
    assert stored(host, "same").metadata.revision == before


def test_update_to_a_role_that_does_not_exist(host):
    host.tctl("users", "add", "bound", "--roles=access")
    done = host.tctl("users", "update", "bound", "--set-roles=nowhere", status=1)
    assert "AUTH-NO-ROLE" in done.err
    assert done.out == ""


@pytest.mark.parametrize("word", ["rm", "del"])
def test_remove_several(host, word):
    names = [f"{word}-1", f"{word}-2"]
    for name in names:
        host.tctl("users", "add", name, "--roles=access")
    done = host.tctl("users", word, ", ".join(names))
    assert done.out == "".join(f'User "{name}" has been deleted\n' for name in names)
    assert host.tctl("get", f"user/{names[0]}", status=1).out == ""


def test_remove_tells_what_was_done_before_a_failure(host):
    host.tctl("users", "add", "last", "--roles=access")
    done = host.tctl("users", "rm", "last,never-was", status=1)
    assert done.out == 'User "last" has been deleted\n'
    assert 'user "never-was" not found' in done.err


def test_remove_of_nobody_is_a_mistake(host):
    assert "CLI-RM-NAME" in host.tctl("users", "rm", ",", status=1).err


def test_traits_of_every_kind(host):
    words = ("--db-users=ann,app", "--kubernetes-groups=viewers", "--host-user-uid=1005")
    host.tctl("users", "add", "traits-1", "--roles=access", "--logins=ann", *words)
    wanted = {
        "logins": ("ann",), "db_users": ("ann", "app"), "kubernetes_groups": ("viewers",), "host_user_uid": ("1005",),
    }  # fmt: skip
    assert stored(host, "traits-1").spec.traits == wanted
    done = host.tctl("users", "update", "traits-1", "--set-db-users=app", "--set-windows-logins=ann,adm")
    assert done.out == "User traits-1 has been updated:\n\tNew windows logins: ann,adm\n\tNew db users: app\n"
    assert stored(host, "traits-1").spec.traits == {**wanted, "db_users": ("app",), "windows_logins": ("ann", "adm")}
    assert stored(host, "traits-1").spec.roles == ("access",)
