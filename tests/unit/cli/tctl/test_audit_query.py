"""tctl audit query: a table, documents for programs, pages, counts, and errors that point at the place."""

import json

import pytest
import yaml

from tests.support.auth_cluster import role


@pytest.fixture(scope="module", autouse=True)
def events(host):
    for name in ("queried-1", "queried-2", "queried-3"):
        host.do(lambda cluster, name=name: cluster.admin.create(role(name)))


CREATED = "SELECT time, name, event FROM events WHERE event = 'role.created' AND name LIKE 'queried-%'"


def test_rows_are_a_table_newest_first(host):
    lines = host.tctl("audit", "query", CREATED).out.splitlines()
    assert lines[0].split() == ["time", "name", "event"]
    assert [line.split()[1] for line in lines[2:]] == ["queried-3", "queried-2", "queried-1"]
    assert "role.created" in host.tctl("audit", "query", "select * from events where name = 'queried-1'").out


def test_pages_go_on_where_the_last_one_ended(host):
    first = host.tctl("audit", "query", "--limit=2", CREATED)
    assert len(first.out.splitlines()) == 4
    token = first.err.split("--after ")[1].split()[0]
    rest = host.tctl("audit", "query", "--after", token, CREATED)
    assert [line.split()[1] for line in rest.out.splitlines()[2:]] == ["queried-1"]
    assert "--after" not in rest.err


@pytest.mark.parametrize(("output_format", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_rows_for_programs(host, output_format, read):
    found = read(host.tctl("audit", "query", "--limit=2", CREATED, "--format", output_format).out)
    assert [row["name"] for row in found["rows"]] == ["queried-3", "queried-2"]
    found = read(host.tctl("audit", "query", "--after", found["next"], CREATED, "--format", output_format).out)
    assert [row["name"] for row in found["rows"]] == ["queried-1"]
    assert found["next"] == ""


def test_counts_are_of_the_whole_log(host):
    counts = "SELECT event, COUNT(*) FROM events WHERE name LIKE 'queried-%' GROUP BY event"
    found = json.loads(host.tctl("audit", "query", counts, "--format=json").out)
    assert found["rows"] == [{"event": "role.created", "count": 3}]
    total = json.loads(host.tctl("audit", "query", "SELECT COUNT(*) FROM events", "--format=json").out)
    assert total["rows"][0]["count"] >= 3
    nothing = "SELECT COUNT(*) FROM events WHERE user = 'nobody at all'"
    assert json.loads(host.tctl("audit", "query", nothing, "--format=json").out)["rows"] == [{"count": 0}]


def test_an_error_shows_the_place(host):
    done = host.tctl("audit", "query", "SELECT * FROM events WHERE usr LIK 'x'", status=1)
    assert "column 32" in done.err
    assert "did you mean 'LIKE'" in done.err


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT tme, user FROM events WHERE user = 'alice'", "'tme', did you mean 'time'?"),
        ("SELECT * FROM events WHERE usr = 1", "'usr', did you mean 'user'?"),
        ("SELECT COUNT(*) FROM events WHERE NOT (user = 'a' OR colour = 'red')", "'colour'"),
    ],
)
def test_a_field_that_no_event_has_is_told(host, query, told):
    done = host.tctl("audit", "query", query, status=1)
    assert f"no event has a field {told}" in done.err
    assert "EVENT-FIELD" in done.err
