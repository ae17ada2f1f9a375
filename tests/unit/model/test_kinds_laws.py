"""Laws that hold for every kind of the registry."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base.errors import TeleportError
from teleport.model import resource as kinds
from teleport.model.document import dump_yaml, read
from tests.unit.model.samples import _SPECS, SAMPLES, documents

KINDS = sorted(info.name for info in kinds.every())


def test_every_kind_has_samples() -> None:
    assert sorted(SAMPLES) == sorted(_SPECS) == KINDS


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_written_reads_back_as_the_same(kind: str, data: st.DataObject) -> None:
    resource = kinds.load(data.draw(documents(kind)))
    assert kinds.load(kinds.dump(resource)) == resource
    assert read(dump_yaml([resource, resource]), "f") == [resource, resource]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_columns_and_labels_are_text_whatever_is_in_the_document(kind: str, data: st.DataObject) -> None:
    resource = kinds.load(data.draw(documents(kind)))
    assert all(isinstance(column.cell(resource), str) for column in resource.info.columns)
    assert all(isinstance(value, str) for value in resource.labels_now().values())


_junk: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_wrong_document_gives_an_error_with_a_code_and_nothing_else(kind: str, data: st.DataObject) -> None:
    fields = kinds.load(SAMPLES[kind]).spec.__struct_encode_fields__
    spec = data.draw(_junk | st.dictionaries(st.sampled_from(fields), _junk, max_size=3))
    document = {**SAMPLES[kind], "spec": spec, **data.draw(st.fixed_dictionaries({}, optional={"metadata": _junk}))}
    with contextlib.suppress(TeleportError):
        kinds.load(document)
