"""What a recording says of its session."""

from __future__ import annotations

import datetime as dt

import pytest

from teleport.base.errors import BadParameter
from teleport.model.recorded_session import decode_facts, encode_facts, recorded
from tests.support.recordings import START, facts, session_id


def test_facts_are_read_as_they_were_written_whatever_stands_beside_them() -> None:
    about = facts(1, labels={"env": "dev"}, command="ls")
    written = encode_facts(about)
    assert decode_facts(written) == about
    assert decode_facts(written[:-1] + b', "later": 1}') == about


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"\xff", b'{"session_id": 1}', b'{"start": "2030-01-01T00:00:00"}']
)
def test_other_bytes_are_no_facts(data: bytes) -> None:
    with pytest.raises(BadParameter, match="first frame"):
        decode_facts(data)


def test_rules_see_a_session_by_the_names_of_its_events() -> None:
    stop = START + dt.timedelta(hours=1)
    session = recorded(facts(1, participants=()), stop=stop, size=7, problem="cut")
    assert session.name == session.spec.sid == session_id(1)
    assert session.spec.participants == ("alice",)
    assert (session.spec.session_stop, session.spec.size, session.spec.problem) == (stop, 7, "cut")
    assert recorded(facts(1, user="", participants=()), stop=stop, size=0).spec.participants == ()
