"""Fields that events have, and those that none has."""

import pytest

from teleport.base.errors import BadParameter
from teleport.model.event_fields import asked, check, known
from teleport.model.event_query import EventQuery, IsNull
from teleport.model.event_query_parser import parse


def test_every_field_of_a_query_is_looked_at():
    query = parse(
        "SELECT time, user FROM events WHERE (a = 1 OR NOT b IN (1)) AND c LIKE 'x' AND d IS NULL AND e BETWEEN 1 AND 2"
    )
    assert list(asked(query)) == ["time", "user", "a", "b", "c", "d", "e"]
    assert list(asked(parse("SELECT sid, COUNT(*) FROM events GROUP BY sid"))) == ["sid"]
    assert list(asked(parse("SELECT COUNT(*) FROM events"))) == []


@pytest.mark.parametrize(
    "name", ["time", "event", "code", "uid", "user", "addr.remote", "server_labels", "server_labels.env", "success"]
)
def test_fields_that_there_are(name):
    check(EventQuery((name,)))


@pytest.mark.parametrize(
    ("name", "hint"), [("tme", "'time'"), ("usr", "'user'"), ("addr_remote", "'addr.remote'"), ("user.name", "")]
)
def test_fields_that_there_are_not(name, hint):
    with pytest.raises(BadParameter) as caught:
        check(EventQuery(where=IsNull(name)))
    assert caught.value.code == "EVENT-FIELD"
    assert hint in caught.value.what


def test_open_fields_are_those_of_objects():
    assert "server_labels" in known().open
    assert "user" not in known().open
    assert "fields" not in known().names
