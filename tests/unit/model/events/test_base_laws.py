"""Laws of the audit log's records, for every event."""

from __future__ import annotations

import datetime as dt
import json
import typing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.model.events import base
from teleport.model.events.audit import Cut
from teleport.model.events.cert import CertIdentity
from teleport.model.events.file_copy import Action, Attributes, FileTransfer

EVENTS = [name for name in base.every() if name != "unknown"]

_times = st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2200, 1, 1), timezones=st.just(dt.UTC))
_texts = st.text(st.characters(codec="utf-8"), max_size=12)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
)
_values: dict[Any, st.SearchStrategy[Any]] = {
    str: _texts,
    int: st.integers(-(2**53), 2**53),
    bool: st.booleans(),
    dt.datetime: _times,
    tuple[str, ...]: st.lists(_texts, max_size=3).map(tuple),
    dict[str, int]: st.dictionaries(_texts, st.integers(0, 2**53), max_size=3),
    Action: st.sampled_from(Action),
    Attributes: st.builds(Attributes, permissions=st.none() | st.integers(0, 2**32)),
    tuple[FileTransfer, ...]: st.lists(st.builds(FileTransfer, path=_texts), max_size=3).map(tuple),
    dict[str, str]: st.dictionaries(_texts, _texts, max_size=3),
    tuple[Cut, ...]: st.lists(
        st.builds(Cut, log=_texts, sequence=st.integers(1, 2**53), digest=_texts), max_size=3
    ).map(tuple),
    CertIdentity: st.builds(CertIdentity, user=_texts, roles=st.lists(_texts, max_size=2).map(tuple), expires=_times),
}


def _strategy(hint: Any) -> st.SearchStrategy[Any]:
    if typing.get_origin(hint) is typing.Annotated:
        return _strategy(typing.get_args(hint)[0])
    if typing.get_origin(hint) is typing.Literal:
        return st.sampled_from(typing.get_args(hint))
    if type(None) in typing.get_args(hint):
        return st.none() | _strategy(typing.get_args(hint)[0])
    return _values[hint]


def _events(name: str) -> st.SearchStrategy[base.Event]:
    shape = base.every()[name]
    hints = typing.get_type_hints(shape, include_extras=True)
    fields = {field: _strategy(hints[field]) for field in shape.__struct_fields__ if field not in ("code", "time")}
    return st.builds(
        lambda time, values: shape(**values).stamped(time=time, uid="u", cluster_name="c"),
        _times,
        st.fixed_dictionaries(fields),
    )


@pytest.mark.parametrize("name", EVENTS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_what_is_written_reads_back_in_one_line(name: str, data: st.DataObject) -> None:
    event = data.draw(_events(name))
    written = base.encode(event)
    assert base.decode(written) == event
    assert base.encode(base.decode(written)) == written
    assert b"\n" not in written
    assert list(json.loads(written)) == sorted(json.loads(written))


@pytest.mark.parametrize("name", EVENTS)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_lower_level_never_sees_more(name: str, data: st.DataObject) -> None:
    event = data.draw(_events(name))
    seen = [{*base.redact(event, level)} - {"redacted"} for level in base.Level]
    assert seen[0] <= seen[1] <= seen[2] == {*base.document(event)}


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(_texts | st.sampled_from(["event", "code", "time", "uid", "success"]), _json, max_size=6))
def test_any_object_is_read_and_what_is_unknown_is_written_back_unchanged(fields: dict[str, Any]) -> None:
    event = base.decode(json.dumps(fields).encode())
    assert json.loads(base.encode(event)) == fields
