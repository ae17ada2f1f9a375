"""tctl audit: what happened, in a table and for programs, and a chain that holds."""

import json

import pytest
import yaml

from tests.support.auth_cluster import role


@pytest.fixture(scope="module", autouse=True)
def events(host):
    host.do(lambda cluster: cluster.admin.create(role("audited")))
    host.do(lambda cluster: cluster.make_user("audited-user", "audited"))


def test_newest_events_are_last(host):
    lines = host.tctl("audit", "ls", "--limit=500").out.splitlines()
    assert lines[0].split()[:5] == ["Time", "(UTC)", "Code", "Event", "User"]
    times = [line[:19] for line in lines[2:]]
    assert times == sorted(times)
    assert any("role.created" in line and "name:audited" in line for line in lines)


@pytest.mark.parametrize(
    ("output_format", "read"), [("json", json.loads), ("yaml", lambda t: list(yaml.safe_load_all(t)))]
)
def test_events_for_programs(host, output_format, read):
    found = read(host.tctl("audit", "ls", "--limit=500", "--format", output_format).out)
    assert {"role.created", "user.create"} <= {event["event"] for event in found}


def test_limit(host):
    assert len(json.loads(host.tctl("audit", "ls", "--limit=2", "--format=json").out)) == 2
    assert host.tctl("audit", "ls", "--limit=0", status=2).out == ""


def test_search_by_type_user_and_words(host):
    found = json.loads(host.tctl("audit", "search", "--type=role.created", "audited", "--format=json").out)
    assert [event["name"] for event in found] == ["audited"]
    found = json.loads(host.tctl("audit", "search", "--user=audited-user", "--format=json").out)
    assert {event["user"] for event in found} == {"audited-user"}
    assert json.loads(host.tctl("audit", "search", "no such words", "--format=json").out) == []


def test_password_is_in_no_event(host):
    text = host.tctl("audit", "ls", "--limit=1000", "--format=json").out
    assert "correct horse" not in text
