"""Errors carry code, words and the way they travel."""

import pytest

from teleport.base import errors
from teleport.base.catalogue import UnknownCode
from teleport.base.errors import BadParameter, Internal, NotFound, from_grpc


def test_error_says_what_why_and_fix():
    error = BadParameter("CFG-DURATION", id="abc", value="5q")
    assert str(error) == error.what == "'5q' is not a duration"
    assert error.why.startswith("a duration is")
    assert error.fix.startswith("write it")
    assert (error.id, error.fields) == ("abc", {"value": "5q"})


def test_unknown_code_and_missing_field_are_defects():
    with pytest.raises(UnknownCode):
        BadParameter("CFG-NO-SUCH")
    with pytest.raises(KeyError):
        BadParameter("CFG-DURATION")


def test_classes_have_distinct_statuses():
    assert len({cls.kind.grpc for cls in errors.CLASSES}) == len(errors.CLASSES)
    assert all(400 <= cls.kind.http < 600 for cls in errors.CLASSES)


@pytest.mark.parametrize("cls", errors.CLASSES)
def test_error_is_rebuilt_on_the_other_side(cls):
    sent = cls("CFG-DURATION", id="1", value="x")
    received = from_grpc(sent.kind.grpc, sent.code, sent.fields, sent.id)
    assert type(received) is cls
    assert (str(received), received.id) == (str(sent), "1")


def test_code_of_a_newer_server_is_kept():
    error = from_grpc(5, "NEW-CODE", {"message": "no such moon"})
    assert isinstance(error, NotFound)
    assert "NEW-CODE: no such moon" in error.what


def test_unknown_status_and_missing_fields_are_internal():
    error = from_grpc(99, "CFG-DURATION", {})
    assert isinstance(error, Internal)
    assert error.code == "API-REMOTE"
