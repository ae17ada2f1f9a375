"""access.action: names of targets, and instants."""

import datetime as dt

from teleport.access.action import clock_text, kind_of, name_of, title_of, utc
from tests.support.policy import NOW, node, role, tracker


def test_targets():
    assert (kind_of("role"), name_of("role"), title_of("role")) == ("role", "", "")
    assert (kind_of(node()), name_of(node()), title_of(node())) == ("node", "uuid-7", "node-7")
    assert (kind_of(role()), name_of(role()), title_of(role())) == ("role", "dev", "dev")
    assert title_of(node(hostname="")) == "uuid-7"
    assert title_of(tracker()) == "session-1"


def test_instants():
    assert utc(NOW) is NOW
    assert utc(NOW.replace(tzinfo=None)) == NOW
    assert clock_text(NOW) == "2026-01-02T12:04:11Z"
    assert clock_text(dt.datetime.min) == "0001-01-01T00:00:00Z"
