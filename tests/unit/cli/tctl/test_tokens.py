"""tctl tokens: what is made, how it is shown, and that a secret is shown whole only when asked for."""

import datetime as dt
import json
import re

import pytest
import yaml

from teleport.base.clock import SystemClock


def stored(host, name):
    return host.do(lambda cluster: cluster.service.store.get("token", name))


def made(host, *words):
    return host.tctl("tokens", "add", *words, "--format=text").out.strip()


def test_add_says_token_and_end(host):
    out = host.tctl("tokens", "add", "--type=node").out
    found = re.match(
        r"The invite token: ([0-9a-f]{32})\nThis token will expire in 30 minutes\.\n\nRun this on the new", out
    )
    assert found, out
    token = stored(host, found[1])
    left = token.metadata.expires - SystemClock().now()
    assert (token.spec.roles, dt.timedelta(minutes=28) < left <= dt.timedelta(minutes=30)) == (("Node",), True)
    assert "in 1 minute." in host.tctl("tokens", "add", "--type=node", "--ttl=60s").out


def test_add_for_programs(host):
    found = json.loads(host.tctl("tokens", "add", "--type=node,proxy", "--format=json").out)
    assert set(found) == {"token", "roles", "expires"}
    assert found["roles"] == ["Node", "Proxy"]
    found = yaml.safe_load(host.tctl("tokens", "add", "--type=auth", "--value=by-hand-1", "--format=yaml").out)
    assert found["token"] == "by-hand-1"


def test_add_says_how_a_host_joins(host):
    out = host.tctl("tokens", "add", "--type=node,proxy", "--value=by-hand-2").out
    pin = host.tctl("status").out.split()[-1]
    words = ("> teleport start", "--roles=node,proxy", "--token=by-hand-2", r"--ca-pin=(\S+)", r"--auth-server=(\S+)\n")
    recipe = re.search(r" \\\n   ".join(words), out)
    assert recipe, out
    assert recipe[1] == pin
    assert f"{recipe[2]} must be reachable from the new node" in out


def test_what_no_process_of_this_build_becomes_has_no_recipe(host):
    out = host.tctl("tokens", "add", "--type=windowsdesktop", "--value=by-hand-3").out
    assert out == "The invite token: by-hand-3\nThis token will expire in 30 minutes.\n"


def test_discovery_and_kube_in_a_file(host, tmp_path):
    """S4-18: a combined token, of which the file holds the token alone; kube alone takes app and discovery along."""
    path = tmp_path / "token"
    path.write_text(host.tctl("tokens", "add", "--type=discovery,kube", "--format=text").out)
    assert re.fullmatch(r"[0-9a-f]{32}\n", path.read_text())
    assert stored(host, path.read_text().strip()).spec.roles == ("Discovery", "Kube")
    assert stored(host, made(host, "--type=kube")).spec.roles == ("Kube", "App", "Discovery")


def test_list_hides_secrets_and_is_sorted_by_end(host):
    late = made(host, "--type=node", "--ttl=5h", "--labels=case=sorted")
    soon = made(host, "--type=node", "--ttl=1h", "--labels=case=sorted")
    out = host.tctl("tokens", "ls", "--labels=case=sorted").out
    heading, _, first, second = out.splitlines()
    assert heading.split() == ["Token", "Type", "Labels", "Expiry", "Time", "(UTC)"]
    assert (first.split()[0], second.split()[0]) == ("*" * 24 + soon[24:], "*" * 24 + late[24:])
    assert re.search(r"\d\d \w{3} \d\d \d\d:\d\d UTC \((59m\d+s|1h0m0s)\)$", first)
    assert soon not in out
    whole = host.tctl("tokens", "ls", "--labels=case=sorted", "--with-secrets").out
    assert [line.split()[0] for line in whole.splitlines()[2:]] == [soon, late]


@pytest.mark.parametrize("output_format", ["json", "yaml"])
def test_list_for_programs(host, output_format):
    label = f"case=list-{output_format}"
    token = made(host, "--type=node", f"--labels={label}")
    words = ("tokens", "ls", f"--labels={label}", "--format", output_format)

    def names(*more):
        text = host.tctl(*words, *more).out
        read = json.loads(text) if output_format == "json" else list(yaml.safe_load_all(text))
        return [entry["metadata"]["name"] for entry in read]

    assert names() == ["*" * 24 + token[24:]]
    assert names("--with-secrets") == [token]


def test_none(host):
    assert host.tctl("tokens", "ls", "--labels=case=none").out == "No active tokens found.\n"


def test_without_end(host):
    text = "kind: token\nversion: v2\nmetadata: {name: forever-1, labels: {case: forever}}\nspec: {roles: [Node]}\n"
    host.tctl("create", stdin=text)
    assert host.tctl("tokens", "ls", "--labels=case=forever").out.rstrip().endswith(" never")


def test_rm(host):
    token = made(host, "--type=node")
    assert host.tctl("tokens", "rm", token).out == f"Token {token} has been deleted\n"
    assert "POL-NOT-FOUND" in host.tctl("tokens", "del", token, status=1).err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--type=node", "--value=taken-1"), "CLI-TOKEN-EXISTS"),
        (("--type=node", "--ttl=0s"), "CLI-TOKEN-TTL"),
        (("--type=node", "--ttl=x"), "CFG-DURATION"),
        (("--type=,",), "KIND-TOKEN-ROLES"),
        (("--type=okta",), "KIND-VALUE-NOT-SUPPORTED"),
        (("--type=nothing",), "KIND-TOKEN-ROLE"),
    ],
)
def test_what_is_refused(host, words, code):
    host.tctl("tokens", "add", "--type=node", "--value=taken-1", status=None)
    done = host.tctl("tokens", "add", *words, status=1)
    assert f"code: {code}" in done.err
    assert (done.out, "taken-1" in done.err) == ("", False)
